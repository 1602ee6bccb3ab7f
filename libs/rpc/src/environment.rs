//! The services of one process, as `tombolo dev` and tests have them: keys made on the spot, known to
//! each other and to nobody else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tonic::service::Routes;

use crate::assertion::AssertionVerifier;
use crate::channel::Channel;
use crate::keys::SigningKey;
use crate::server::Server;
use crate::service_token::ServiceIdentity;
use crate::trusted_services::{ServiceKeyError, ServiceKeySet, TrustedServices};

/// Makes identities by name, servers that believe them, and channels between them.
#[derive(Debug)]
pub struct Environment {
    trusted: Arc<TrustedServices>,
    members: Mutex<Members>,
}

#[derive(Debug, Default)]
struct Members {
    identities: BTreeMap<String, ServiceIdentity>,
    keys: ServiceKeySet,
}

/// No key could be made.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// None was generated.
    #[error(transparent)]
    Key(#[from] crate::keys::KeyError),
    /// It was not usable.
    #[error(transparent)]
    Set(#[from] ServiceKeyError),
}

impl Environment {
    /// An environment without services; each gets its key when it is first named.
    #[must_use]
    pub fn generate() -> Self {
        Self { trusted: Arc::new(TrustedServices::none()), members: Mutex::default() }
    }

    /// The service of this name, the same one every time.
    ///
    /// # Errors
    ///
    /// When the system's random source fails.
    pub fn identity(&self, name: &str) -> Result<ServiceIdentity, EnvironmentError> {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(identity) = members.identities.get(name) {
            return Ok(identity.clone());
        }
        let (key, _) = SigningKey::generate()?;
        members.keys.add(name, &key);
        self.trusted.replace(&members.keys)?;
        let identity = ServiceIdentity::new(name, key);
        members.identities.insert(name.to_owned(), identity.clone());
        Ok(identity)
    }

    /// The public keys of those that have been named, as other processes may read them
    /// ([`ServiceKeySet::from_json`]).
    ///
    /// # Errors
    ///
    /// Never for keys that were made here.
    pub fn public_keys(&self) -> Result<String, EnvironmentError> {
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(members.keys.to_json()?)
    }

    /// The named service's server.
    #[must_use]
    pub fn server(&self, name: &str, verifier: Arc<AssertionVerifier>) -> Server {
        Server::new(name, Arc::clone(&self.trusted), verifier)
    }

    /// From one service to another in this process.
    ///
    /// # Errors
    ///
    /// When the system's random source fails.
    pub fn channel(
        &self,
        routes: Routes,
        caller: &str,
        callee: &str,
    ) -> Result<Channel, EnvironmentError> {
        Ok(Channel::local(routes, callee, &self.identity(caller)?))
    }
}
