//! The services and how they reach each other, in the order in which they need each other.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::Router;
use catalog::Catalog;
use gateway::{Clients, Gateway};
use organization::Organization;
use query::Query;
use rpc::{AssertionVerifier, Channel, Readiness, Server, ServiceIdentity, ServiceKey};
use tonic::service::Routes;
use user_context::UserContext;
use user_context::dev_issuer::{self, DevIssuerConfig};

use super::databases::Databases;
use super::directory::Directory;
use crate::home::Home;

/// Every service of the local system.
#[derive(Debug)]
pub(super) struct System {
    gateway: Gateway,
    user_context: UserContext,
    directory: Directory,
    // Kept because they stop when dropped.
    _catalog: Catalog,
    _organization: Organization,
    query: Query,
}

/// What all services of the process share.
struct Shared {
    key: ServiceKey,
    verifier: Arc<AssertionVerifier>,
}

impl System {
    pub(super) async fn start(
        home: &Home,
        databases: &Databases,
        erp: &query::Config,
        model_dir: &Path,
        organization_url: &str,
    ) -> Result<Self> {
        let users_file = model_dir.join("users.toml");
        let user_context = UserContext::new(user_context::Config {
            users_file: users_file.exists().then_some(users_file),
            dev_issuer: Some(DevIssuerConfig {
                data_dir: home.dir().to_owned(),
                organization_url: organization_url.to_owned(),
            }),
            ..user_context::Config::default()
        })?;
        let shared = Shared { key: home.service_key()?, verifier: user_context.verifier() };
        let users = shared.serve(|it| Ok(user_context.register(it)?)).await?;

        let catalog =
            Catalog::start(catalog::Config::new(databases.platform_url(), model_dir.to_owned()))
                .await?;
        let definitions = shared.serve(|it| Ok(catalog.register(it))).await?;

        let query = Query::start(erp, shared.channel(&definitions, "query"))?;
        let rows = shared.serve(|it| Ok(query.register(it))).await?;

        let config = organization::Config::new(databases.platform_url());
        let organization = Organization::start(config).await?;
        let native = shared.serve(|it| Ok(organization.register(it))).await?;

        let authorization_uri = user_context.authorization_uri().unwrap_or_default().to_owned();
        let mut config = gateway::Config::new(
            authorization_uri,
            organization_url.to_owned(),
            home.secret("page-token.key")?,
        );
        // The data directory is this process's alone.
        config.alone = true;
        let clients = Clients {
            catalog: shared.channel(&definitions, "gateway"),
            organization: shared.channel(&native, "gateway"),
            query: shared.channel(&rows, "gateway"),
            user_context: shared.channel(&users, "gateway"),
        };
        let directory = Directory::new(home, model_dir, &clients)?
            .with_sample_data(databases.wants_sample_data());
        let gateway = Gateway::new(clients, config);
        Ok(Self {
            gateway,
            user_context,
            directory,
            _catalog: catalog,
            _organization: organization,
            query,
        })
    }

    /// What the HTTP listener serves: the Web API, and the development issuer's documents.
    pub(super) fn web(&self) -> Router {
        let web = self.gateway.http_router();
        match self.user_context.dev_issuer() {
            Some(issuer) => dev_issuer::router(issuer).fallback_service(web),
            None => web,
        }
    }

    /// What the gRPC listener serves.
    pub(super) fn public_grpc(&self) -> Result<(Routes, Readiness)> {
        self.gateway.register(Server::public()).build().context("describe the public services")
    }

    /// Returns when every table and entity is known, and the platform knows users and companies.
    pub(super) async fn ready(&self) {
        self.query.ready().await;
        self.gateway.ready().await;
        self.directory.import(&self.user_context.users()).await;
    }
}

impl Shared {
    /// A server within the process, ready at once: what it depends on answers for itself.
    async fn serve(&self, register: impl FnOnce(Server) -> Result<Server>) -> Result<Routes> {
        let server = Server::new(self.key.clone(), Arc::clone(&self.verifier));
        let (routes, readiness) = register(server)?.build()?;
        readiness.set(true).await;
        Ok(routes)
    }

    fn channel(&self, routes: &Routes, caller: &'static str) -> Channel {
        Channel::local(routes.clone(), ServiceIdentity::new(caller, self.key.clone()))
    }
}
