//! An environment with users, clients of it, and keys to sign tokens with.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cluster::Scratch;
use jsonwebtoken::jwk::{Jwk, KeyAlgorithm};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use proto::user_context::v1::directory_service_client::DirectoryServiceClient;
use proto::user_context::v1::resolve_caller_request::ActsAs;
use proto::user_context::v1::user_context_service_client::UserContextServiceClient;
use proto::user_context::v1::{ResolveCallerRequest, ResolveCallerResponse};
use rpc::{Channel, ServiceIdentity};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::{Request, Status};
use user_context::dev_issuer::{DEFAULT_LIFETIME, DevIssuerConfig, mint};
use user_context::{Config, IssuerConfig, UserContext};

pub(crate) const ORGANIZATION: &str = "http://127.0.0.1:8080";
pub(crate) const CLERK_OBJECT_ID: &str = "7f2c1a80-53d9-4f4e-8f57-3a8d1f3f0c11";
const USERS: &str = r#"
    [[users]]
    name = "usmf-clerk"
    label = "USMF clerk"
    erp_user = "clerk"
    object_id = "7f2c1a80-53d9-4f4e-8f57-3a8d1f3f0c11"
    companies = ["USMF"]
    [[users.privileges]]
    entities = ["CustCustomerV3Entity"]
    access = "read"
"#;

pub(crate) type Client = UserContextServiceClient<Channel>;
pub(crate) type DirectoryClient = DirectoryServiceClient<Channel>;

const TIMEOUT: Duration = Duration::from_secs(20);

/// A running user-context, with the development issuer and the issuers given.
pub(crate) struct Environment {
    pub(crate) context: UserContext,
    pub(crate) client: Client,
    pub(crate) dir: TempDir,
    pub(crate) database_url: String,
    pub(crate) scratch: Scratch,
}

/// A key of an issuer.
pub(crate) struct IssuerKey {
    pub(crate) private: EncodingKey,
    pub(crate) id: String,
    pub(crate) algorithm: Algorithm,
}

pub(crate) struct Stop(JoinHandle<()>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The services of the test environment.
pub(crate) static SERVICES: LazyLock<rpc::Environment> = LazyLock::new(rpc::Environment::generate);

pub(crate) fn identity() -> ServiceIdentity {
    SERVICES.identity("gateway").unwrap()
}

impl Environment {
    pub(crate) async fn start(issuers: Vec<IssuerConfig>, key_refetch_seconds: u64) -> Self {
        Self::start_with(|it| Config { issuers, key_refetch_seconds, ..it }).await
    }

    /// With the users of [`USERS`], the development issuer, and other settings changed.
    pub(crate) async fn start_with(settings: impl FnOnce(Config) -> Config) -> Self {
        let scratch = Scratch::start().await.unwrap();
        let database_url = scratch.database("platform").await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("users.toml"), USERS).unwrap();
        let config = settings(config(&dir, &database_url, ORGANIZATION));
        let context = UserContext::start(config).await.unwrap();
        let client = Client::new(channel(&context));
        Self { context, client, dir, database_url, scratch }
    }

    /// Another user-context over the same directory and files, as a restart or a replica would be.
    pub(crate) async fn again(&self, settings: impl FnOnce(Config) -> Config) -> UserContext {
        let config = settings(config(&self.dir, &self.database_url, ORGANIZATION));
        UserContext::start(config).await.unwrap()
    }

    /// The same with the organization at another URL.
    pub(crate) async fn again_at(&self, organization_url: &str) -> UserContext {
        let config = config(&self.dir, &self.database_url, organization_url);
        UserContext::start(config).await.unwrap()
    }

    pub(crate) async fn resolve(&self, token: &str) -> Result<ResolveCallerResponse, Status> {
        resolve(&self.context, token, None).await
    }

    pub(crate) fn mint(&self, user: &str) -> String {
        mint(self.dir.path(), user, DEFAULT_LIFETIME).unwrap()
    }

    pub(crate) fn directory(&self) -> DirectoryClient {
        DirectoryClient::new(channel(&self.context))
    }

    /// A request by this user to this service itself.
    pub(crate) async fn by<T>(&self, user: &str, message: T) -> Request<T> {
        let answer = self.resolve(&self.mint(user)).await.unwrap();
        request(message, &answer.assertions["user-context"])
    }
}

/// What the gateway asks, for all that it calls.
pub(crate) async fn resolve(
    context: &UserContext,
    token: &str,
    acts_as: Option<ActsAs>,
) -> Result<ResolveCallerResponse, Status> {
    let question = question(token, acts_as);
    Client::new(channel(context)).resolve_caller(question).await.map(tonic::Response::into_inner)
}

pub(crate) fn question(token: &str, acts_as: Option<ActsAs>) -> ResolveCallerRequest {
    ResolveCallerRequest {
        bearer_token: token.into(),
        acts_as,
        audiences: vec!["query".into(), "user-context".into()],
    }
}

pub(crate) fn request<T>(message: T, assertion: &str) -> Request<T> {
    rpc::request(message, assertion, TIMEOUT).unwrap()
}

pub(crate) fn config(dir: &TempDir, database_url: &str, organization_url: &str) -> Config {
    let dev_issuer =
        DevIssuerConfig { data_dir: dir.path().into(), organization_url: organization_url.into() };
    Config {
        users_file: Some(dir.path().join("users.toml")),
        dev_issuer: Some(dev_issuer),
        ..Config::new(database_url.to_owned())
    }
}

/// As the gateway reaches it.
pub(crate) fn channel(context: &UserContext) -> Channel {
    Channel::local(routes(context), "user-context", &identity())
}

pub(crate) fn routes(context: &UserContext) -> tonic::service::Routes {
    let server = SERVICES.server("user-context", context.verifier());
    context.register(server).build().unwrap().0
}

/// Serves routes on a port of their own.
pub(crate) async fn serve(routes: tonic::service::Routes) -> (String, Stop) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        rpc::Server::serve(routes, listener, std::future::pending()).await.unwrap();
    });
    (address, Stop(task))
}

impl IssuerKey {
    pub(crate) fn rsa(id: &str, algorithm: Algorithm) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let body = STANDARD.encode(der.as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
        let private = EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
        Self { private, id: id.into(), algorithm }
    }

    pub(crate) fn ec(id: &str) -> Self {
        use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let der = pair.to_pkcs8v1().unwrap();
        let private = EncodingKey::from_ec_der(der.as_ref());
        Self { private, id: id.into(), algorithm: Algorithm::ES256 }
    }

    pub(crate) fn jwk(&self) -> Jwk {
        let mut jwk = Jwk::from_encoding_key(&self.private, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.id.clone());
        // As Entra publishes its keys: without the algorithm, where it is RS256.
        jwk.common.key_algorithm = match self.algorithm {
            Algorithm::PS256 => Some(KeyAlgorithm::PS256),
            _ => None,
        };
        jwk
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.id.clone());
        jsonwebtoken::encode(&header, claims, &self.private).unwrap()
    }
}

pub(crate) fn jwks(keys: &[&IssuerKey]) -> String {
    let keys: Vec<_> = keys.iter().map(|it| it.jwk()).collect();
    json!({ "keys": keys }).to_string()
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// What a good token of version 2 says.
pub(crate) fn claims(issuer: &str) -> Value {
    json!({
        "iss": issuer, "aud": ORGANIZATION, "iat": now(), "nbf": now(), "exp": now() + 3600,
        "oid": CLERK_OBJECT_ID, "azp": "5f0f0a44-4c14-4f3a-9c0a-6e8a33f6a1b0", "ver": "2.0",
        "preferred_username": "clerk@contoso.example",
    })
}

/// `claims` with some of them replaced, or removed by a null.
pub(crate) fn with(mut claims: Value, changes: Value) -> Value {
    let (Value::Object(all), Value::Object(changes)) = (&mut claims, changes) else {
        panic!("claims are objects")
    };
    for (name, value) in changes {
        if value.is_null() {
            all.remove(&name)
        } else {
            all.insert(name, value)
        };
    }
    claims
}

pub(crate) fn reason(status: &Status) -> (tonic::Code, Option<rpc::ErrorReason>) {
    (status.code(), rpc::reason(status))
}

/// Bounds what is awaited, so that a test that would hang fails.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("in time")
}
