//! The services and how they reach each other, in the order in which they need each other.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::Router;
use catalog::Catalog;
use gateway::{Clients, Gateway};
use organization::Organization;
use query::Query;
use rpc::{AssertionVerifier, Channel, Environment, Readiness, Server, TrustKeeper, keep_trust};
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
    _trust: Vec<TrustKeeper>,
}

/// What all services of the process share.
struct Shared {
    services: Environment,
    users: Routes,
    trust: Vec<TrustKeeper>,
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
        let user_context = UserContext::start(user_context::Config {
            users_file: users_file.exists().then_some(users_file),
            model_dir: Some(model_dir.to_owned()),
            dev_issuer: Some(DevIssuerConfig {
                data_dir: home.dir().to_owned(),
                organization_url: organization_url.to_owned(),
            }),
            ..user_context::Config::new(databases.platform_url())
        })
        .await?;
        let services = Environment::generate();
        let server = services.server("user-context", user_context.verifier());
        let users = ready(user_context.register(server)).await?;
        let mut shared = Shared { services, users, trust: Vec::new() };

        let catalog =
            Catalog::start(catalog::Config::new(databases.platform_url(), model_dir.to_owned()))
                .await?;
        let definitions = shared.serve("catalog", |it| catalog.register(it)).await?;

        let identity = shared.services.identity("query")?;
        home.publish("services.json", &shared.services.public_keys()?)?;
        let definitions_of = shared.channel(&definitions, "query", "catalog")?;
        let query = Query::start(erp, definitions_of, &identity)?;
        let rows = shared.serve("query", |it| query.register(it)).await?;

        let config = organization::Config::new(databases.platform_url());
        let organization = Organization::start(
            config,
            shared.channel(&shared.users, "organization", "user-context")?,
        )
        .await?;
        let native = shared.serve("organization", |it| organization.register(it)).await?;

        user_context.join_organization(shared.channel(&native, "user-context", "organization")?);

        let authorization_uri = user_context.authorization_uri().unwrap_or_default().to_owned();
        let mut config = gateway::Config::new(
            authorization_uri,
            organization_url.to_owned(),
            home.secret("page-token.key")?,
        );
        // The data directory is this process's alone.
        config.alone = true;
        let clients = |caller| -> Result<Clients> {
            Ok(Clients {
                catalog: shared.channel(&definitions, caller, "catalog")?,
                organization: shared.channel(&native, caller, "organization")?,
                query: shared.channel(&rows, caller, "query")?,
                user_context: shared.channel(&shared.users, caller, "user-context")?,
            })
        };
        let directory = Directory::new(home, databases.erp_url(), model_dir, &clients("tombolo")?)?
            .with_sample_data(databases.wants_sample_data());
        let gateway = Gateway::new(clients("gateway")?, config);
        Ok(Self {
            gateway,
            user_context,
            directory,
            _catalog: catalog,
            _organization: organization,
            query,
            _trust: shared.trust,
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
        self.directory.import(&self.user_context).await;
    }
}

impl Shared {
    /// A server within the process that believes what user-context signs for it.
    async fn serve(
        &mut self,
        name: &'static str,
        register: impl FnOnce(Server) -> Server,
    ) -> Result<Routes> {
        let verifier = Arc::new(AssertionVerifier::new(name));
        let news = self.channel(&self.users, name, "user-context")?;
        self.trust.push(keep_trust(Arc::clone(&verifier), news));
        ready(register(self.services.server(name, verifier))).await
    }

    fn channel(&self, routes: &Routes, caller: &str, callee: &str) -> Result<Channel> {
        Ok(self.services.channel(routes.clone(), caller, callee)?)
    }
}

/// Ready at once: what the server depends on answers for itself.
async fn ready(server: Server) -> Result<Routes> {
    let (routes, readiness) = server.build()?;
    readiness.set(true).await;
    Ok(routes)
}
