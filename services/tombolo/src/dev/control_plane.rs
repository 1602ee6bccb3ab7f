//! The tenant's services: what it has bought, and the environments it has.

use std::collections::BTreeMap;

use anyhow::Result;
use capacity::Capacity;
use data_export::DataExport;
use lifecycle::Lifecycle;
use rpc::Channel;
use tonic::service::Routes;
use user_context::dev_issuer;

use super::databases::Databases;
use super::platform::Platform;
use crate::home::Home;

const DATA_EXPORT: &str = "data-export";

/// Started within the environment that is always served, whose users administer the tenant.
#[derive(Debug)]
pub(super) struct ControlPlane {
    pub(super) lifecycle: Lifecycle,
    capacity: Capacity,
    environments: Routes,
    licences: Routes,
}

/// What needs no other service.
#[derive(Debug)]
pub(super) struct Begun {
    data_export: DataExport,
}

/// Where another environment finds them.
#[derive(Debug)]
pub(super) struct Beside {
    pub(super) lifecycle: Routes,
    pub(super) capacity: Routes,
}

impl Begun {
    pub(super) async fn start(home: &Home) -> Result<Self> {
        let folder = |name: &str| home.dir().join(name);
        let config =
            data_export::Config::new(folder(DATA_EXPORT), folder("exports"), folder("secrets"));
        Ok(Self { data_export: DataExport::start(config).await? })
    }
}

impl ControlPlane {
    /// `url` is the Web API's.
    pub(super) async fn start(
        Begun { data_export }: Begun,
        home: &Home,
        databases: &Databases,
        platform: &mut Platform,
        url: &str,
    ) -> Result<Self> {
        let config = capacity::Config::new(databases.tenant_url());
        let capacity = Capacity::start(config, platform.user_context("capacity")?).await?;
        let licences = platform.serve("capacity", |it| capacity.register(it)).await?;
        let exports = platform.serve_services(DATA_EXPORT, |it| data_export.register(it)).await?;
        let clients = lifecycle::Clients {
            capacity: platform.channel(("capacity", &licences), "lifecycle")?,
            organization: platform.organization("lifecycle")?,
            catalog: platform.catalog("lifecycle")?,
            user_context: platform.user_context("lifecycle")?,
            add_ins: BTreeMap::from([(
                DATA_EXPORT.to_owned(),
                platform.channel((DATA_EXPORT, &exports), "lifecycle")?,
            )]),
        };
        let lifecycle = Lifecycle::start(config_of(home, databases, url), clients).await?;
        let environments = platform.serve("lifecycle", |it| lifecycle.register(it)).await?;
        capacity.measure(platform.channel(("lifecycle", &environments), "capacity")?);
        Ok(Self { lifecycle, capacity, environments, licences })
    }

    /// Makes both known to another environment. What they are asked by it is what its Web API asks, and no
    /// more: it is not served to the administrator's clients.
    pub(super) async fn beside(&self, platform: &mut Platform) -> Result<Beside> {
        Ok(Beside {
            lifecycle: platform.serve("lifecycle", |it| self.lifecycle.register(it)).await?,
            capacity: platform.serve("capacity", |it| self.capacity.register(it)).await?,
        })
    }

    pub(super) fn lifecycle(&self, platform: &Platform, caller: &str) -> Result<Channel> {
        platform.channel(("lifecycle", &self.environments), caller)
    }

    pub(super) fn capacity(&self, platform: &Platform, caller: &str) -> Result<Channel> {
        platform.channel(("capacity", &self.licences), caller)
    }
}

fn config_of(home: &Home, databases: &Databases, url: &str) -> lifecycle::Config {
    // Whatever the listener's address is: names below this one are the machine's own.
    let scheme = url.split("://").next().unwrap_or("http");
    let port = url.rsplit(':').next().unwrap_or_default();
    lifecycle::Config {
        database_url: databases.tenant_url(),
        platform_server_url: databases.platform_url(),
        erp_server_url: databases.erp_url().to_owned(),
        erp_template: databases.erp_template().map(str::to_owned),
        backup_dir: home.dir().join("backups"),
        pg_bin: Some(databases.pg_bin().to_owned()),
        add_in_dir: Some(home.dir().join("add-ins")).filter(|it| it.is_dir()),
        tenant_id: dev_issuer::TENANT,
        web_api_url: format!("{scheme}://{{host}}.localhost:{port}"),
        erp_url: super::tenant::ERP_URL.to_owned(),
        workers: 4,
        retries: 8,
        retry_delay_milliseconds: 500,
    }
}
