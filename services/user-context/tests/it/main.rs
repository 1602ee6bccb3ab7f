//! user-context as other services see it: over real channels, with a real database and real issuers.

#![allow(clippy::unwrap_used)] // A test that unwraps nothing has failed.

mod administrators;
mod applications;
mod assertions;
mod audit;
mod directory;
mod external_issuer;
mod impersonation;
mod imports;
mod portal;
mod provisioning;
mod replaced;
mod replicas;
mod support;
mod tokens;
