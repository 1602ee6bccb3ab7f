//! Who and what the system must know of: the ERP's users in the directory, users and legal entities as
//! platform rows.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use gateway::Clients;
use model::{Model, Security};
use proto::organization::v1::InstallSampleDataRequest;
use proto::organization::v1::organization_service_client::OrganizationServiceClient;
use user_context::UserContext;

use super::administrator::Administrator;
use super::companies::Companies;
use super::erp_users::ErpUsers;
use crate::home::Home;

const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(10);

/// Imports users and companies.
#[derive(Debug)]
pub(super) struct Directory {
    erp_users: Option<ErpUsers>,
    companies: Option<Companies>,
    organization: rpc::Channel,
    sample_data: bool,
}

/// Where an ERP's model says that users and companies are.
#[derive(Debug)]
pub(super) struct Sources {
    model: Model,
    security: Security,
}

impl Sources {
    /// Aside: it takes as long as a service takes to start.
    pub(super) async fn read(model_dir: PathBuf) -> Result<Self> {
        let read = move || {
            let model = model::load(&model_dir)?;
            let security = Security::load(&model_dir, &model)?;
            Ok(Self { model, security })
        };
        tokio::task::spawn_blocking(read).await?
    }
}

impl Directory {
    pub(super) fn new(
        home: &Home,
        erp_url: &str,
        Sources { model, security }: Sources,
        clients: &Clients,
    ) -> Self {
        let users = &clients.user_context;
        let administrator = Administrator::new(home, users.clone());
        let erp_users = ErpUsers::new(erp_url, &model, security, &administrator, users);
        let companies = model.company.map(|settings| Companies {
            settings,
            administrator,
            organization: clients.organization.clone(),
            query: clients.query.clone(),
        });
        let organization = clients.organization.clone();
        Self { erp_users, companies, organization, sample_data: false }
    }

    /// Has accounts and contacts made, too.
    pub(super) fn with_sample_data(self, sample_data: bool) -> Self {
        Self { sample_data, ..self }
    }

    /// Where the ERP lists its legal entities, if it has some.
    pub(super) fn companies(&self) -> Option<Companies> {
        self.companies.clone()
    }

    /// Imports everything. An ERP that is down does not keep the system from starting: what it has
    /// follows when it is back.
    pub(super) async fn import(&self, user_context: &UserContext) {
        if let Some(users) = self.erp_users.clone() {
            patiently("the ERP's users", move || {
                let users = users.clone();
                async move { users.import().await }
            })
            .await;
        }
        if let Err(error) = self.prepare(user_context).await {
            tracing::error!(error = format!("{error:#}"), "could not prepare the platform's rows");
        }
        if let Some(companies) = self.companies.clone() {
            patiently("the companies", move || {
                let companies = companies.clone();
                async move { companies.import().await }
            })
            .await;
        }
    }

    /// Accounts belong to users, so these come first.
    async fn prepare(&self, user_context: &UserContext) -> Result<()> {
        user_context.write_platform_users(self.organization.clone()).await?;
        if self.sample_data {
            let mut client = OrganizationServiceClient::new(self.organization.clone());
            client.install_sample_data(InstallSampleDataRequest {}).await?;
        }
        Ok(())
    }
}

/// Imports once, and if that fails, again and again behind everybody's back.
async fn patiently<F>(what: &'static str, import: impl Fn() -> F + Send + 'static)
where
    F: Future<Output = Result<()>> + Send,
{
    let Err(error) = import().await else { return };
    tracing::warn!(error = format!("{error:#}"), "could not import {what} yet");
    tokio::spawn(async move {
        let mut delay = FIRST_RETRY;
        while let Err(error) = import().await {
            tracing::debug!(error = format!("{error:#}"), "could not import {what} yet");
            tokio::time::sleep(delay).await;
            delay = (delay * 2).min(LAST_RETRY);
        }
        tracing::info!("{what} are imported");
    });
}
