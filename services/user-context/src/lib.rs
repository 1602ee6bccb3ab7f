//! Who is calling and what that user may do: verifies bearer tokens, finds the user behind each, and
//! signs the assertions that carry the user to the other services; keeps the directory of users, roles,
//! duties and privileges, and tells the others what roles mean and whose assertions are revoked.
//!
//! [`UserContext`] is the service; start reading with `resolve` (a token becomes assertions) and
//! `changes` (the directory of now, and how it changes). `token` decides whom to believe, `limits` who
//! may change what, `portal` who stands behind a portal's visitor, `environments` whose directory is meant; `store` is the
//! database, `replicas` how others hear of changes, and [`dev_issuer`] the local emulator's own issuer of tokens.

mod audit;
mod changes;
mod config;
mod content;
pub mod dev_issuer;
mod directory;
mod environments;
mod error;
mod grpc;
mod import;
mod limits;
mod page_token;
mod platform_users;
mod portal;
mod provisioning;
mod replicas;
mod resolve;
mod sources;
mod store;
mod tasks;
mod token;
mod told;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use proto::lifecycle::v1::provisioning_service_server::ProvisioningServiceServer;
use proto::user_context::v1::directory_service_server::DirectoryServiceServer;
use proto::user_context::v1::user_context_service_server::UserContextServiceServer;
use rpc::{AssertionIssuer, AssertionVerifier, Channel, KeyError, SigningKey};

use changes::{Changes, Settings};
pub use config::{Config, IssuerConfig};
pub use content::{ADMIN, Source, User};
use dev_issuer::{DevIssuer, StoreError};
pub use directory::Directory;
use environments::Environments;
use limits::Actor;
use portal::Mappings;
use replicas::Redis;
use resolve::Resolver;
use schema::OpenError;
use sources::Files;
pub use sources::{Mistake, SourceError};
use store::Store;
use tasks::Tasks;
pub use token::IssuerError;
use token::{KeySet, TokenVerifier};
use told::Told;

/// As which assertions name this service.
const NAME: &str = "user-context";
/// How long an assertion is believed: also how long a user keeps rights that were taken away while
/// nobody can be told.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(60);
/// A revocation is told for as long as there can be assertions that it concerns.
const REVOCATIONS_REMEMBERED: Duration = Duration::from_secs(2 * ASSERTION_LIFETIME.as_secs());
/// An import is of a whole ERP's users and rights.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The service. Cheap to clone; follows others until the last clone is dropped, and the last server that
/// it is registered with.
#[derive(Clone, Debug)]
pub struct UserContext {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    resolver: Arc<Resolver>,
    environments: Arc<Environments>,
    verifier: Arc<AssertionVerifier>,
    dev_issuer: Option<DevIssuer>,
    authorization_uri: Option<String>,
}

/// The service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The users file or the model's roles cannot be used.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The directory's store cannot be used.
    #[error("the directory's store: {0}")]
    Store(#[from] schema::OpenError),
    /// The directory cannot be what the files say.
    #[error("the directory cannot be made what its files say: {0}")]
    Directory(String),
    /// Redis cannot be used.
    #[error("Redis: {0}")]
    Redis(#[from] redis::RedisError),
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

/// The files could not be taken over.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The users file or the model's roles cannot be used; the directory is as before.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The directory cannot be what the files say, and is as before.
    #[error("the directory cannot be made what its files say: {0}")]
    Directory(String),
}

// === impl UserContext ===

impl UserContext {
    /// Opens the directory, takes over what the files say if they say something new, and follows what
    /// other replicas change. Remote issuers are asked when their first token comes.
    ///
    /// # Errors
    ///
    /// When the store, a file or an issuer's configuration cannot be used.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let files = Files { users: config.users_file.clone(), model: config.model_dir.clone() };
        let import = files.load()?;
        let redis = config.redis_url.as_deref().map(|it| Redis::new(it, &config.environment));
        let redis = redis.transpose()?;
        let dev_issuer =
            config.dev_issuer.clone().map(|it| DevIssuer::open(it, &[])).transpose()?;
        let tokens_of = dev_issuer.as_ref().or(config.dev_tokens_of.as_ref());
        let dev_keys = tokens_of.map(dev_keys).transpose()?;
        let tokens = TokenVerifier::new(&config, dev_keys)?;
        let assertions = AssertionIssuer::new(assertion_key(&config)?, ASSERTION_LIFETIME);
        let verifier = Arc::new(AssertionVerifier::new(NAME));
        let store = Store::open(&config.database_url).await?;
        let settings = Settings {
            jwks: assertions.jwks().map_err(public_key_error)?,
            remembered: REVOCATIONS_REMEMBERED,
            anonymous: config.anonymous_portal_user.clone(),
        };
        let told = Told { verifier: Arc::clone(&verifier), dev_issuer: dev_issuer.clone() };
        let changes = Changes::open(store, settings, told, files, import).await;
        let changes = changes.map_err(|it| StartError::Directory(it.to_string()))?;
        let changes = Arc::new(changes);
        let environments = Environments::new(config.database_url, Arc::clone(&changes));
        let environments = Arc::new(environments.map_err(OpenError::from)?);
        let authorization_uri = match &dev_issuer {
            Some(issuer) => Some(issuer.authorization_uri()),
            None => config.issuers.first().map(authorization_uri),
        };
        let resolver = Resolver {
            tokens,
            assertions,
            changes: Arc::clone(&changes),
            mappings: Arc::new(Mappings::default()),
            anonymous: config.anonymous_portal_user,
            tasks: Tasks::default(),
        };
        let context = Self {
            state: Arc::new(State {
                resolver: Arc::new(resolver),
                environments,
                verifier,
                dev_issuer,
                authorization_uri,
            }),
        };
        context.state.resolver.tasks.run(replicas::follow(changes, redis));
        Ok(context)
    }

    /// Makes the platform's rows of users follow the directory, and follows the portal's mappings, both
    /// of which the organization behind the channel keeps. Until it is called, portal contacts are refused.
    pub fn join_organization(&self, organization: Channel) {
        let resolver = &self.state.resolver;
        let (mappings, changes) = (Arc::clone(&resolver.mappings), Arc::clone(&resolver.changes));
        let directories = changes.subscribe();
        resolver.tasks.run(platform_users::follow(directories, organization.clone()));
        resolver.tasks.run(portal::follow(mappings, changes, organization));
    }

    /// Writes the platform's rows of users once, for those who need them at once.
    ///
    /// # Errors
    ///
    /// Those of the organization's `ImportUsers`.
    pub async fn write_platform_users(&self, organization: Channel) -> Result<(), tonic::Status> {
        platform_users::write(&self.directory(), organization).await
    }

    /// Adds the services to a server, which should believe [`Self::verifier`].
    #[must_use]
    pub fn register(&self, server: rpc::Server) -> rpc::Server {
        let resolver = &self.state.resolver;
        let directory = grpc::Directory::new(Arc::clone(&resolver.changes));
        let directory = DirectoryServiceServer::new(directory).max_decoding_message_size(MAX_BYTES);
        let environments = || Arc::clone(&self.state.environments);
        let callers = grpc::UserContext::new(Arc::clone(resolver), environments());
        let provisioning = grpc::Provisioning::new(environments());
        server
            .with(UserContextServiceServer::new(callers))
            .with(ProvisioningServiceServer::new(provisioning))
            .with(directory)
    }

    /// Believes what this service signs for itself.
    #[must_use]
    pub fn verifier(&self) -> Arc<AssertionVerifier> {
        Arc::clone(&self.state.verifier)
    }

    /// The directory of now.
    #[must_use]
    pub fn directory(&self) -> Arc<Directory> {
        self.state.resolver.changes.directory()
    }

    /// Returns when the directory has changed since the last time, for ever: a new receiver is told of
    /// the next change.
    #[must_use]
    pub fn changes(&self) -> tokio::sync::watch::Receiver<Arc<Directory>> {
        self.state.resolver.changes.subscribe()
    }

    /// Reads the users file and the model's roles again, and makes the directory say what they say.
    ///
    /// # Errors
    ///
    /// When they cannot be used: then the directory is as before.
    pub async fn reload(&self) -> Result<(), ReloadError> {
        let changes = &self.state.resolver.changes;
        let Some(import) = changes.files().load()? else { return Ok(()) };
        let imported = changes.import(Actor::Environment, &import).await;
        imported.map(drop).map_err(|it| ReloadError::Directory(it.to_string()))
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
}

fn assertion_key(config: &Config) -> Result<SigningKey, StartError> {
    let Some(path) = &config.assertion_key_file else {
        if config.redis_url.is_some() {
            tracing::warn!("replicas must share an `assertion_key_file`, and this one has its own");
        }
        return Ok(SigningKey::generate()?.0);
    };
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
