//! user-context as other services see it: over real channels, with real issuers.

#![allow(clippy::unwrap_used)] // A test that unwraps nothing has failed.

mod assertions;
mod external_issuer;
mod impersonation;
mod support;
mod tokens;
mod users;
