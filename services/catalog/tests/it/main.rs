//! The catalog over real gRPC and a real PostgreSQL.

mod changes;
mod ids;
mod world;
