//! The services of one platform environment and how they reach each other, in the order in which they
//! need each other.

use std::sync::Arc;

use anyhow::Result;
use catalog::Catalog;
use dual_write::DualWrite;
use organization::Organization;
use query::Query;
use rpc::{AssertionVerifier, Channel, Environment, Server, TrustKeeper, keep_trust};
use tonic::service::Routes;
use user_context::UserContext;

const DUAL_WRITE: &str = "dual-write";

/// What each of them is told.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) user_context: user_context::Config,
    pub(super) catalog: catalog::Config,
    pub(super) query: query::Config,
    pub(super) organization: organization::Config,
    pub(super) dual_write: dual_write::Config,
}

/// All of them but the gateway.
#[derive(Debug)]
pub(super) struct Platform {
    pub(super) user_context: UserContext,
    pub(super) query: Query,
    // Kept because they stop when dropped.
    _catalog: Catalog,
    _organization: Organization,
    _dual_write: DualWrite,
    services: Environment,
    users: Routes,
    definitions: Routes,
    native: Routes,
    rows: Routes,
    synchronization: Routes,
    trust: Vec<TrustKeeper>,
}

/// A service by what it is called, and where it is.
pub(super) type Peer<'a> = (&'static str, &'a Routes);

/// The services whose own ones are starting.
struct Starting {
    services: Environment,
    users: Routes,
    trust: Vec<TrustKeeper>,
}

impl Platform {
    pub(super) async fn start(services: Environment, settings: Settings) -> Result<Self> {
        let (user_context, catalog) = tokio::join!(
            UserContext::start(settings.user_context),
            Catalog::start(settings.catalog)
        );
        let (user_context, catalog) = (user_context?, catalog?);
        let server = services.server("user-context", user_context.verifier());
        let users = ready(user_context.register(server)).await?;
        let mut starting = Starting { services, users, trust: Vec::new() };
        let definitions = starting.serve("catalog", |it| catalog.register(it)).await?;

        let identity = starting.services.identity("query")?;
        let definitions_of = starting.channel(("catalog", &definitions), "query")?;
        let query = Query::start(&settings.query, definitions_of, &identity)?;
        let rows = starting.serve("query", |it| query.register(it)).await?;

        let users_of = starting.channel(("user-context", &starting.users), "organization")?;
        let organization = Organization::start(settings.organization, users_of).await?;
        let native = starting.serve("organization", |it| organization.register(it)).await?;

        let clients = dual_write::Clients {
            query: starting.channel(("query", &rows), DUAL_WRITE)?,
            organization: starting.channel(("organization", &native), DUAL_WRITE)?,
            catalog: starting.channel(("catalog", &definitions), DUAL_WRITE)?,
            user_context: starting.channel(("user-context", &starting.users), DUAL_WRITE)?,
        };
        let dual_write = DualWrite::start(settings.dual_write, clients).await?;
        let synchronization = starting.serve(DUAL_WRITE, |it| dual_write.register(it)).await?;

        let Starting { services, users, trust } = starting;
        let platform = Self {
            user_context,
            query,
            _catalog: catalog,
            _organization: organization,
            _dual_write: dual_write,
            services,
            users,
            definitions,
            native,
            rows,
            synchronization,
            trust,
        };
        let native_of = platform.organization("user-context")?;
        platform.user_context.join_organization(native_of);
        Ok(platform)
    }

    pub(super) fn catalog(&self, caller: &str) -> Result<Channel> {
        self.channel(("catalog", &self.definitions), caller)
    }

    pub(super) fn organization(&self, caller: &str) -> Result<Channel> {
        self.channel(("organization", &self.native), caller)
    }

    pub(super) fn query(&self, caller: &str) -> Result<Channel> {
        self.channel(("query", &self.rows), caller)
    }

    pub(super) fn dual_write(&self, caller: &str) -> Result<Channel> {
        self.channel((DUAL_WRITE, &self.synchronization), caller)
    }

    pub(super) fn user_context(&self, caller: &str) -> Result<Channel> {
        self.channel(("user-context", &self.users), caller)
    }

    /// The way to a service that believes this environment's, which `serve` made.
    pub(super) fn channel(&self, (callee, routes): Peer<'_>, caller: &str) -> Result<Channel> {
        Ok(self.services.channel(routes.clone(), caller, callee)?)
    }

    /// A server within the process that is called by services alone: no user stands behind its calls.
    pub(super) async fn serve_services(
        &self,
        name: &'static str,
        register: impl FnOnce(Server) -> Server,
    ) -> Result<Routes> {
        let verifier = Arc::new(AssertionVerifier::new(name));
        ready(register(self.services.server(name, verifier))).await
    }

    /// A server within the process that believes what this environment's user-context signs for it.
    pub(super) async fn serve(
        &mut self,
        name: &'static str,
        register: impl FnOnce(Server) -> Server,
    ) -> Result<Routes> {
        let news = self.user_context(name)?;
        serve(&self.services, news, &mut self.trust, name, register).await
    }
}

impl Starting {
    async fn serve(
        &mut self,
        name: &'static str,
        register: impl FnOnce(Server) -> Server,
    ) -> Result<Routes> {
        let news = self.channel(("user-context", &self.users), name)?;
        serve(&self.services, news, &mut self.trust, name, register).await
    }

    fn channel(&self, (callee, routes): Peer<'_>, caller: &str) -> Result<Channel> {
        Ok(self.services.channel(routes.clone(), caller, callee)?)
    }
}

async fn serve(
    services: &Environment,
    news: Channel,
    trust: &mut Vec<TrustKeeper>,
    name: &'static str,
    register: impl FnOnce(Server) -> Server,
) -> Result<Routes> {
    let verifier = Arc::new(AssertionVerifier::new(name));
    trust.push(keep_trust(Arc::clone(&verifier), news));
    ready(register(services.server(name, verifier))).await
}

/// Ready at once: what the server depends on answers for itself.
async fn ready(server: Server) -> Result<Routes> {
    let (routes, readiness) = server.build()?;
    readiness.set(true).await;
    Ok(routes)
}
