//! Who is calling and what that user may do: verifies bearer tokens, finds the user behind each, and
//! signs the assertion that carries the user to the other services.
//!
//! [`UserContext`] is the service; start with its `resolve`. `token` decides whom to believe,
//! [`Users`] who exists, and [`dev_issuer`] is the local emulator's own issuer of tokens.

mod config;
pub mod dev_issuer;
mod error;
mod grpc;
mod page_token;
mod token;
mod users;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use proto::user_context::v1::user_context_service_server::UserContextServiceServer;
use rpc::{AssertionIssuer, AssertionVerifier, KeyError, SigningKey};

pub use config::{Config, IssuerConfig};
use dev_issuer::{DevIssuer, StoreError};
use error::Error;
use page_token::PageTokens;
pub use token::IssuerError;
use token::{KeySet, TokenVerifier};
use users::OtherUser;
pub use users::{ADMIN, Mistake, User, Users, UsersError};

/// How long an assertion is believed; also how long a user keeps rights that were taken away.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(300);

/// The service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct UserContext {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    users_file: Option<PathBuf>,
    users: ArcSwap<Users>,
    tokens: TokenVerifier,
    assertions: AssertionIssuer,
    assertion_keys: String,
    verifier: Arc<AssertionVerifier>,
    dev_issuer: Option<DevIssuer>,
    authorization_uri: Option<String>,
}

/// The service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The users file cannot be used.
    #[error(transparent)]
    Users(#[from] UsersError),
    /// A configured issuer cannot be used.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// The development issuer's files cannot be used.
    #[error("development issuer: {0}")]
    DevIssuer(#[from] StoreError),
    /// The assertion key cannot be read.
    #[error("assertion key {}: {source}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The assertion key cannot be made or used.
    #[error("assertion key: {0}")]
    Key(#[from] KeyError),
    /// The public half of a key cannot be written or read again.
    #[error("public key: {0}")]
    PublicKey(String),
}

/// The users file could not be taken over, or not everywhere.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The users file cannot be used; the users are as before.
    #[error(transparent)]
    Users(#[from] UsersError),
    /// The users are the new ones, but `tombolo token` still knows the old.
    #[error("development issuer: {0}")]
    DevIssuer(#[from] StoreError),
}

/// What stands behind a bearer token.
pub(crate) struct Resolved {
    pub(crate) assertion: String,
    pub(crate) expires: SystemTime,
    pub(crate) user: Arc<User>,
}

// === impl UserContext ===

impl UserContext {
    /// Reads users and keys. Remote issuers are asked when their first token comes.
    ///
    /// # Errors
    ///
    /// When a file or an issuer's configuration cannot be used.
    pub fn new(config: Config) -> Result<Self, StartError> {
        let users = Users::load(config.users_file.as_deref())?;
        let dev_issuer =
            config.dev_issuer.clone().map(|it| DevIssuer::open(it, &users)).transpose()?;
        let dev_keys = dev_issuer.as_ref().map(dev_keys).transpose()?;
        let tokens = TokenVerifier::new(&config, dev_keys)?;
        let assertions = AssertionIssuer::new(assertion_key(&config)?, ASSERTION_LIFETIME);
        let assertion_keys = assertions.jwks().map_err(public_key_error)?;
        let verifier = AssertionVerifier::new();
        verifier.set_keys(&assertion_keys).map_err(public_key_error)?;
        let authorization_uri = match &dev_issuer {
            Some(issuer) => Some(issuer.authorization_uri()),
            None => config.issuers.first().map(authorization_uri),
        };
        let state = State {
            users_file: config.users_file,
            users: ArcSwap::from_pointee(users),
            tokens,
            assertions,
            assertion_keys,
            verifier: Arc::new(verifier),
            dev_issuer,
            authorization_uri,
        };
        Ok(Self { state: Arc::new(state) })
    }

    /// Adds the service to a server, which should believe [`Self::verifier`].
    ///
    /// # Errors
    ///
    /// When the system's random source fails.
    pub fn register(&self, server: rpc::Server) -> Result<rpc::Server, StartError> {
        let page_tokens = PageTokens::new().ok_or(KeyError::Generate)?;
        let grpc = grpc::Grpc::new(self.clone(), page_tokens);
        Ok(server.with(UserContextServiceServer::new(grpc)))
    }

    /// Believes what this service signs.
    #[must_use]
    pub fn verifier(&self) -> Arc<AssertionVerifier> {
        Arc::clone(&self.state.verifier)
    }

    /// The users of now.
    #[must_use]
    pub fn users(&self) -> Arc<Users> {
        self.state.users.load_full()
    }

    /// Reads the users file again. Assertions given out before keep the old rights until they
    /// expire, minutes later.
    ///
    /// # Errors
    ///
    /// When the file cannot be used: then the users are as before.
    pub fn reload(&self) -> Result<(), ReloadError> {
        let users = Arc::new(Users::load(self.state.users_file.as_deref())?);
        self.state.users.store(Arc::clone(&users));
        if let Some(issuer) = &self.state.dev_issuer {
            issuer.describe(&users)?;
        }
        Ok(())
    }

    /// The local emulator's issuer, where there is one; see [`dev_issuer::router`].
    #[must_use]
    pub fn dev_issuer(&self) -> Option<&DevIssuer> {
        self.state.dev_issuer.as_ref()
    }

    /// For the challenge to a client that sent no token: where it should get one.
    #[must_use]
    pub fn authorization_uri(&self) -> Option<&str> {
        self.state.authorization_uri.as_deref()
    }

    pub(crate) fn assertion_keys(&self) -> &str {
        &self.state.assertion_keys
    }

    /// Who sent the token, or the user as whom its sender wants to act and may.
    pub(crate) async fn resolve(
        &self,
        token: &str,
        other: Option<OtherUser>,
    ) -> Result<Resolved, Error> {
        let verified = self.state.tokens.verify(token).await?;
        let users = self.users();
        let sender = verified.user(&users).ok_or(Error::UnknownUser)?;
        let (user, caller) = match other {
            None => (sender, sender.as_caller()),
            Some(_) if !sender.acts_on_behalf => return Err(Error::MayNotImpersonate),
            Some(other) => {
                let user = users.find(other).ok_or(Error::NoSuchUser(other))?;
                (user, user.as_caller_for(sender))
            }
        };
        let (assertion, expires) = self.state.assertions.issue_until(caller, verified.expires)?;
        Ok(Resolved { assertion, expires, user: Arc::clone(user) })
    }
}

fn assertion_key(config: &Config) -> Result<SigningKey, StartError> {
    let Some(path) = &config.assertion_key_file else { return Ok(SigningKey::generate()?.0) };
    let bytes =
        std::fs::read(path).map_err(|source| StartError::KeyFile { path: path.clone(), source })?;
    Ok(SigningKey::from_pkcs8(&bytes)?)
}

fn dev_keys(issuer: &DevIssuer) -> Result<KeySet, StartError> {
    let jwks = serde_json::to_string(issuer.jwks()).map_err(public_key_error)?;
    KeySet::parse(&jwks).map_err(public_key_error)
}

fn public_key_error(error: impl ToString) -> StartError {
    StartError::PublicKey(error.to_string())
}

/// `https://HOST/TENANT/v2.0` authorizes at `https://HOST/TENANT/oauth2/authorize`.
fn authorization_uri(issuer: &IssuerConfig) -> String {
    issuer.authorization_uri.clone().unwrap_or_else(|| {
        let base = issuer.issuer.trim_end_matches('/').trim_end_matches("/v2.0");
        format!("{base}/oauth2/authorize")
    })
}
