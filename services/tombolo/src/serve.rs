//! `tombolo serve`: one service of a cluster, from a settings file (docs/configuration.md).

mod settings;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use capacity::Capacity;
use catalog::Catalog;
use data_export::DataExport;
use dual_write::DualWrite;
use gateway::{Clients, Gateway};
use lifecycle::Lifecycle;
use organization::Organization;
use query::Query;
use rpc::tls::ServerTls;
use rpc::{AssertionVerifier, Channel, Listener, Server, TrustKeeper, keep_trust};
use user_context::UserContext;

use crate::cli::{ServeArgs, ServiceName};
use crate::shutdown::Shutdown;
use settings::{Credentials, Settings};

/// Of lifecycle; the others are its add-ins.
const PEERS_OF_LIFECYCLE: [&str; 4] = ["user_context", "organization", "catalog", "capacity"];

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
        ServiceName::Capacity => process.capacity(shutdown).await,
        ServiceName::Lifecycle => process.lifecycle(shutdown).await,
        ServiceName::DataExport => process.data_export(shutdown).await,
        ServiceName::DualWrite => process.dual_write(shutdown).await,
        ServiceName::Gateway => process.gateway(shutdown).await,
    }
}

/// What every service of a cluster has.
struct Process {
    settings: Settings,
    name: &'static str,
    credentials: Credentials,
}

impl Process {
    fn new(name: &'static str, settings: Settings) -> Result<Self> {
        let credentials = settings.credentials(name)?;
        // Told before anything is begun.
        match (name, &settings.gateway) {
            ("gateway", Some(gateway)) => {
                let tls = gateway.tls()?;
                guard(settings.listen, tls.as_ref(), "gateway.tls")?;
                guard(gateway.http_listen, tls.as_ref(), "gateway.tls")?;
            }
            _ => guard(settings.listen, credentials.listen.as_ref(), "tls")?,
        }
        Ok(Self { settings, name, credentials })
    }

    fn peer(&self, name: &str) -> Result<Channel> {
        let address = self
            .settings
            .peers
            .get(name)
            .with_context(|| format!("the settings lack peers.{name}"))?;
        Ok(Channel::tcp(address, &service(name), &self.credentials.identity)?)
    }

    /// A service that the environment can be without.
    fn optional_peer(&self, name: &str) -> Result<Option<Channel>> {
        self.settings.peers.contains_key(name).then(|| self.peer(name)).transpose()
    }

    /// A server that believes what user-context signs.
    fn server(&self) -> Result<(Server, TrustKeeper)> {
        let verifier = Arc::new(AssertionVerifier::new(self.name));
        let keeper = keep_trust(Arc::clone(&verifier), self.peer("user_context")?);
        Ok((self.server_with(verifier), keeper))
    }

    fn server_with(&self, verifier: Arc<AssertionVerifier>) -> Server {
        Server::new(self.name, Arc::clone(&self.credentials.trusted), verifier)
    }

    /// Serves other services until asked to stop; ready when `ready` completes.
    async fn run(
        &self,
        server: Server,
        ready: impl Future<Output = ()>,
        shutdown: Shutdown,
    ) -> Result<()> {
        let tls = self.credentials.listen.clone();
        let listener = Listener::bind(self.settings.listen, tls).await?;
        self.run_at(listener, server, ready, shutdown).await
    }

    async fn run_at(
        &self,
        listener: Listener,
        server: Server,
        ready: impl Future<Output = ()>,
        shutdown: Shutdown,
    ) -> Result<()> {
        let address = listener.local_addr()?;
        let (routes, readiness) = server.build()?;
        let serving = Server::serve(routes, listener, shutdown.asked());
        let announce = async {
            ready.await;
            readiness.set(true).await;
            tracing::info!(service = self.name, %address, "ready");
        };
        let (served, ()) = tokio::join!(serving, announce);
        Ok(served?)
    }

    async fn user_context(self, shutdown: Shutdown) -> Result<()> {
        let config =
            self.settings.user_context.clone().context("the settings lack [user_context]")?;
        let service = UserContext::start(config).await?;
        if self.settings.peers.contains_key("organization") {
            service.join_organization(self.peer("organization")?);
        }
        let server = service.register(self.server_with(service.verifier()));
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
        let service = Organization::start(config, self.peer("user_context")?).await?;
        let (server, _keeper) = self.server()?;
        self.run(service.register(server), std::future::ready(()), shutdown).await
    }

    async fn query(self, shutdown: Shutdown) -> Result<()> {
        let config = self.settings.query.clone().context("the settings lack [query]")?;
        let service = Query::start(&config, self.peer("catalog")?, &self.credentials.identity)?;
        let (server, _keeper) = self.server()?;
        let server = service.register(server);
        self.run(server, service.ready(), shutdown).await
    }

    async fn capacity(self, shutdown: Shutdown) -> Result<()> {
        let config = self.settings.capacity.clone().context("the settings lack [capacity]")?;
        let service = Capacity::start(config, self.peer("user_context")?).await?;
        service.measure(self.peer("lifecycle")?);
        let (server, _keeper) = self.server()?;
        self.run(service.register(server), std::future::ready(()), shutdown).await
    }

    async fn lifecycle(self, shutdown: Shutdown) -> Result<()> {
        let config = self.settings.lifecycle.clone().context("the settings lack [lifecycle]")?;
        let add_ins = self.settings.peers.keys().map(String::as_str);
        let add_ins = add_ins.filter(|it| !PEERS_OF_LIFECYCLE.contains(it));
        let add_ins = add_ins.map(|it| Ok((service(it), self.peer(it)?)));
        let clients = lifecycle::Clients {
            capacity: self.peer("capacity")?,
            organization: self.peer("organization")?,
            catalog: self.peer("catalog")?,
            user_context: self.peer("user_context")?,
            add_ins: add_ins.collect::<Result<BTreeMap<_, _>>>()?,
        };
        let service = Lifecycle::start(config, clients).await?;
        let (server, _keeper) = self.server()?;
        self.run(service.register(server), std::future::ready(()), shutdown).await
    }

    /// No user stands behind what it is asked, so it has nobody's word to believe.
    async fn data_export(self, shutdown: Shutdown) -> Result<()> {
        let config =
            self.settings.data_export.clone().context("the settings lack [data_export]")?;
        let service = DataExport::start(config).await?;
        let server = self.server_with(Arc::new(AssertionVerifier::new(self.name)));
        self.run(service.register(server), std::future::ready(()), shutdown).await
    }

    async fn dual_write(self, shutdown: Shutdown) -> Result<()> {
        let config = self.settings.dual_write.clone().context("the settings lack [dual_write]")?;
        let clients = dual_write::Clients {
            query: self.peer("query")?,
            organization: self.peer("organization")?,
            catalog: self.peer("catalog")?,
            user_context: self.peer("user_context")?,
        };
        let service = DualWrite::start(config, clients).await?;
        let (server, _keeper) = self.server()?;
        self.run(service.register(server), std::future::ready(()), shutdown).await
    }

    async fn gateway(self, shutdown: Shutdown) -> Result<()> {
        let settings = self.settings.gateway.clone().context("the settings lack [gateway]")?;
        let clients = Clients {
            catalog: self.peer("catalog")?,
            organization: self.peer("organization")?,
            query: self.peer("query")?,
            user_context: self.peer("user_context")?,
            lifecycle: self.peer("lifecycle")?,
            capacity: self.peer("capacity")?,
            dual_write: self.optional_peer("dual_write")?,
        };
        let service = Gateway::new(clients, settings.config()?);
        let tls = settings.tls()?;
        let http = Listener::bind(settings.http_listen, tls.clone()).await?;
        let grpc = Listener::bind(self.settings.listen, tls).await?;
        let web = async {
            gateway::serve_http(http, service.http_router(), shutdown.clone().asked()).await;
            Ok(())
        };
        let server = service.register(Server::public());
        let rpc = self.run_at(grpc, server, service.ready(), shutdown.clone());
        tokio::try_join!(web, rpc)?;
        Ok(())
    }
}

/// Refuses what could be read on its way, with the setting that helps.
fn guard(address: SocketAddr, tls: Option<&ServerTls>, setting: &str) -> Result<()> {
    Listener::check(address, tls)
        .map_err(|error| anyhow!("{error}; set [{setting}], or listen on 127.0.0.1"))
}

/// Settings have the names of services as TOML writes them.
fn service(name: &str) -> String {
    name.replace('_', "-")
}

fn name(service: ServiceName) -> &'static str {
    match service {
        ServiceName::Gateway => "gateway",
        ServiceName::Organization => "organization",
        ServiceName::Catalog => "catalog",
        ServiceName::Query => "query",
        ServiceName::UserContext => "user-context",
        ServiceName::Capacity => "capacity",
        ServiceName::Lifecycle => "lifecycle",
        ServiceName::DataExport => "data-export",
        ServiceName::DualWrite => "dual-write",
    }
}
