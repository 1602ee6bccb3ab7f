//! Everything that `tombolo dev` serves: a platform environment, the tenant's services, and the way in.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::Router;
use gateway::{Clients, Gateway};
use rpc::{Environment, Readiness, Server};
use tonic::service::Routes;
use user_context::dev_issuer::{self, DevIssuerConfig};

use super::control_plane::{Begun, ControlPlane};
use super::databases::Databases;
use super::directory::{Directory, Sources};
use super::environments::Environments;
use super::platform::{Platform, Settings};
use super::tenant::{Link, Tenant};
use crate::home::Home;

/// Every service of the local system.
#[derive(Debug)]
pub(super) struct System {
    gateway: Gateway,
    platform: Platform,
    directory: Directory,
    control_plane: Arc<ControlPlane>,
    tenant: Tenant,
}

/// What it is over, and where it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Over<'a> {
    pub(super) home: &'a Home,
    pub(super) databases: &'a Databases,
    pub(super) erp: &'a query::Config,
    pub(super) model_dir: &'a Path,
    /// `http://HOST:PORT` of the Web API.
    pub(super) url: &'a str,
    pub(super) address: SocketAddr,
}

impl System {
    pub(super) async fn start(over: Over<'_>) -> Result<Self> {
        let Over { home, databases, model_dir, url, .. } = over;
        let services = Environment::generate();
        // Those who run the ERP's logic look there whom to believe.
        services.identity("query")?;
        home.publish("services.json", &services.public_keys()?)?;
        let (mut platform, begun, sources) = tokio::try_join!(
            Platform::start(services, settings(over)),
            Begun::start(home),
            Sources::read(model_dir.to_owned())
        )?;
        let control_plane = ControlPlane::start(begun, home, databases, &mut platform, url).await?;

        let clients = |caller| -> Result<Clients> {
            Ok(Clients {
                catalog: platform.catalog(caller)?,
                organization: platform.organization(caller)?,
                query: platform.query(caller)?,
                user_context: platform.user_context(caller)?,
                dual_write: Some(platform.dual_write(caller)?),
                lifecycle: control_plane.lifecycle(&platform, caller)?,
                capacity: control_plane.capacity(&platform, caller)?,
            })
        };
        let directory = Directory::new(home, databases.erp_url(), sources, &clients("tombolo")?)
            .with_sample_data(databases.wants_sample_data());
        let tenant = Tenant::new(home, &clients("tombolo")?, directory.companies(), over)?;
        let authorization_uri = platform.user_context.authorization_uri().unwrap_or_default();
        let mut config = gateway::Config::new(
            authorization_uri.to_owned(),
            url.to_owned(),
            home.secret("page-token.key")?,
        );
        // The data directory is this process's alone.
        config.alone = true;
        let gateway = Gateway::new(clients("gateway")?, config);
        let control_plane = Arc::new(control_plane);
        Ok(Self { gateway, platform, directory, control_plane, tenant })
    }

    /// What the HTTP listener serves: the Web API of every environment, and the development issuer's
    /// documents.
    pub(super) fn web(&self, over: Over<'_>) -> Result<Router> {
        let web = self.gateway.http_router();
        let Some(issuer) = self.platform.user_context.dev_issuer() else { return Ok(web) };
        let main = dev_issuer::router(issuer).fallback_service(web);
        Ok(Environments::new(main, &self.control_plane, issuer, over)?.router())
    }

    /// What the gRPC listener serves.
    pub(super) fn public_grpc(&self) -> Result<(Routes, Readiness)> {
        self.gateway.register(Server::public()).build().context("describe the public services")
    }

    /// Returns when every table and entity is known, the platform knows users and companies, and the
    /// environment is linked, or said why not.
    pub(super) async fn ready(&self, link: bool) -> Link {
        self.platform.query.ready().await;
        self.gateway.ready().await;
        self.directory.import(&self.platform.user_context).await;
        self.tenant.prepare(&self.control_plane.lifecycle, link).await
    }
}

fn settings(over: Over<'_>) -> Settings {
    let Over { home, databases, erp, model_dir, url, .. } = over;
    let users_file = model_dir.join("users.toml");
    Settings {
        user_context: user_context::Config {
            users_file: users_file.exists().then_some(users_file),
            model_dir: Some(model_dir.to_owned()),
            dev_issuer: Some(DevIssuerConfig {
                data_dir: home.dir().to_owned(),
                organization_url: url.to_owned(),
            }),
            ..user_context::Config::new(databases.platform_url())
        },
        catalog: catalog::Config::new(databases.platform_url(), model_dir.to_owned()),
        query: erp.clone(),
        organization: organization::Config::new(databases.platform_url()),
        dual_write: dual_write::Config {
            web_api_url: format!("{url}/api/data/v9.2"),
            ..dual_write::Config::new(databases.platform_url())
        },
    }
}
