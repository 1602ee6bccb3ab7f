//! `tombolo serve`: one service of a cluster, from a settings file (docs/configuration.md).

mod settings;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use catalog::Catalog;
use gateway::{Clients, Gateway};
use organization::Organization;
use query::Query;
use rpc::{AssertionVerifier, Channel, KeyKeeper, Server, ServiceIdentity, keep_keys};
use tokio::net::TcpListener;
use user_context::UserContext;

use crate::cli::{ServeArgs, ServiceName};
use crate::shutdown::Shutdown;
use settings::{GatewaySettings, Settings};

/// How long requests in flight may take when the process was asked to stop.
const DRAIN: Duration = Duration::from_secs(10);

pub(crate) async fn run(args: ServeArgs) -> Result<()> {
    let shutdown = Shutdown::listen()?;
    let name = name(args.service);
    let _telemetry = telemetry::init(name, telemetry::Options::default())?;
    let settings = Settings::read(&args.config)?;
    let asked = shutdown.clone();
    let overdue = async {
        asked.asked().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        outcome = serve(args.service, name, settings, shutdown) => outcome,
        () = overdue => {
            tracing::warn!("requests in flight were cut off");
            Ok(())
        }
    }
}

async fn serve(
    service: ServiceName,
    name: &'static str,
    settings: Settings,
    shutdown: Shutdown,
) -> Result<()> {
    let process = Process::new(name, settings)?;
    match service {
        ServiceName::UserContext => process.user_context(shutdown).await,
        ServiceName::Catalog => process.catalog(shutdown).await,
        ServiceName::Query => process.query(shutdown).await,
        ServiceName::Organization => process.organization(shutdown).await,
        ServiceName::Gateway => process.gateway(shutdown).await,
    }
}

/// What every service of a cluster has.
struct Process {
    settings: Settings,
    identity: ServiceIdentity,
    key: rpc::ServiceKey,
}

impl Process {
    fn new(name: &'static str, settings: Settings) -> Result<Self> {
        let key = settings.service_key()?;
        let identity = ServiceIdentity::new(name, key.clone());
        Ok(Self { settings, identity, key })
    }

    fn peer(&self, name: &str) -> Result<Channel> {
        let address = self
            .settings
            .peers
            .get(name)
            .with_context(|| format!("the settings lack peers.{name}"))?;
        Ok(Channel::tcp(address, self.identity.clone())?)
    }

    /// A server that believes what user-context signs.
    fn server(&self) -> Result<(Server, KeyKeeper)> {
        let verifier = Arc::new(AssertionVerifier::new());
        let keeper = keep_keys(Arc::clone(&verifier), self.peer("user_context")?);
        Ok((Server::new(self.key.clone(), verifier), keeper))
    }

    /// Serves gRPC until asked to stop; ready when `ready` completes.
    async fn run(
        &self,
        server: Server,
        ready: impl Future<Output = ()>,
        shutdown: Shutdown,
    ) -> Result<()> {
        let address = self.settings.listen;
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}"))?;
        let (routes, readiness) = server.build()?;
        let serving = Server::serve(routes, listener, shutdown.asked());
        let announce = async {
            ready.await;
            readiness.set(true).await;
            tracing::info!(service = self.identity.name(), %address, "ready");
        };
        let (served, ()) = tokio::join!(serving, announce);
        Ok(served?)
    }

    async fn user_context(self, shutdown: Shutdown) -> Result<()> {
        let config =
            self.settings.user_context.clone().context("the settings lack [user_context]")?;
        let service = UserContext::new(config)?;
        let server = service.register(Server::new(self.key.clone(), service.verifier()))?;
        self.run(server, std::future::ready(()), shutdown).await
    }

    async fn catalog(self, shutdown: Shutdown) -> Result<()> {
        let config = self.settings.catalog.clone().context("the settings lack [catalog]")?;
        let service = Catalog::start(config).await?;
        let (server, _keeper) = self.server()?;
        self.run(service.register(server), std::future::ready(()), shutdown).await
    }

    async fn organization(self, shutdown: Shutdown) -> Result<()> {
        let config =
            self.settings.organization.clone().context("the settings lack [organization]")?;
        let service = Organization::start(config).await?;
        let (server, _keeper) = self.server()?;
        self.run(service.register(server), std::future::ready(()), shutdown).await
    }

    async fn query(self, shutdown: Shutdown) -> Result<()> {
        let config = self.settings.query.clone().context("the settings lack [query]")?;
        let service = Query::start(&config, self.peer("catalog")?)?;
        let (server, _keeper) = self.server()?;
        let server = service.register(server);
        self.run(server, service.ready(), shutdown).await
    }

    async fn gateway(self, shutdown: Shutdown) -> Result<()> {
        let settings = self.settings.gateway.clone().context("the settings lack [gateway]")?;
        let clients = Clients {
            catalog: self.peer("catalog")?,
            organization: self.peer("organization")?,
            query: self.peer("query")?,
            user_context: self.peer("user_context")?,
        };
        let service = Gateway::new(clients, settings.config()?);
        let web = web(&settings, &service, shutdown.clone());
        let server = service.register(Server::public());
        tokio::try_join!(web, self.run(server, service.ready(), shutdown))?;
        Ok(())
    }
}

async fn web(settings: &GatewaySettings, service: &Gateway, shutdown: Shutdown) -> Result<()> {
    let address = settings.http_listen;
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    gateway::serve_http(listener, service.http_router(), shutdown.asked()).await;
    Ok(())
}

fn name(service: ServiceName) -> &'static str {
    match service {
        ServiceName::Gateway => "gateway",
        ServiceName::Organization => "organization",
        ServiceName::Catalog => "catalog",
        ServiceName::Query => "query",
        ServiceName::UserContext => "user-context",
    }
}
