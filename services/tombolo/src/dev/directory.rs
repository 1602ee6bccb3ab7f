//! Users and legal entities as platform rows: the platform must know who its users are, and which
//! companies the ERP has.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use gateway::Clients;
use model::CompanySettings;
use proto::organization::v1::organization_service_client::OrganizationServiceClient;
use proto::organization::v1::{
    Company, ImportCompaniesRequest, ImportUsersRequest, InstallSampleDataRequest, SystemUser,
};
use proto::query::v1 as pb;
use proto::query::v1::data_provider_service_client::DataProviderServiceClient;
use proto::user_context::v1::ResolveCallerRequest;
use proto::user_context::v1::user_context_service_client::UserContextServiceClient;
use user_context::Users;

use crate::home::Home;
use crate::token;

/// For one call.
const TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(10);
/// More legal entities than this are not an ERP's.
const MAX_COMPANIES: i32 = 5_000;

/// Imports users and companies into the organization.
#[derive(Debug)]
pub(super) struct Directory {
    companies: Option<Companies>,
    organization: rpc::Channel,
    sample_data: bool,
}

/// Where the ERP lists its companies, and how to get there.
#[derive(Clone, Debug)]
struct Companies {
    settings: CompanySettings,
    data_dir: std::path::PathBuf,
    organization: rpc::Channel,
    query: rpc::Channel,
    user_context: rpc::Channel,
}

impl Directory {
    pub(super) fn new(home: &Home, model_dir: &Path, clients: &Clients) -> Result<Self> {
        let model = model::load(model_dir)?;
        let companies = model.company.map(|settings| Companies {
            settings,
            data_dir: home.dir().to_owned(),
            organization: clients.organization.clone(),
            query: clients.query.clone(),
            user_context: clients.user_context.clone(),
        });
        Ok(Self { companies, organization: clients.organization.clone(), sample_data: false })
    }

    /// Has accounts and contacts made, too.
    pub(super) fn with_sample_data(self, sample_data: bool) -> Self {
        Self { sample_data, ..self }
    }

    /// Imports both. An ERP that is down does not keep the system from starting: its companies
    /// follow when it is back.
    pub(super) async fn import(&self, users: &Arc<Users>) {
        if let Err(error) = self.import_users(users).await {
            tracing::error!(error = format!("{error:#}"), "could not import the users");
        }
        let Some(companies) = self.companies.clone() else { return };
        if let Err(error) = companies.import().await {
            tracing::warn!(error = format!("{error:#}"), "could not import the companies yet");
            tokio::spawn(companies.import_until_done());
        }
    }

    async fn import_users(&self, users: &Users) -> Result<()> {
        let users = users
            .iter()
            .map(|it| SystemUser {
                system_user_id: it.system_user_id.to_string(),
                object_id: it.object_id.to_string(),
                domain_name: it.name.clone(),
                full_name: it.display_name.clone(),
            })
            .collect();
        let mut client = OrganizationServiceClient::new(self.organization.clone());
        client.import_users(ImportUsersRequest { users }).await?;
        if self.sample_data {
            // Accounts belong to users, so these come first.
            client.install_sample_data(InstallSampleDataRequest {}).await?;
        }
        Ok(())
    }
}

impl Companies {
    async fn import_until_done(self) {
        let mut delay = FIRST_RETRY;
        while let Err(error) = self.import().await {
            tracing::debug!(error = format!("{error:#}"), "could not import the companies yet");
            tokio::time::sleep(delay).await;
            delay = (delay * 2).min(LAST_RETRY);
        }
        tracing::info!("companies imported");
    }

    async fn import(&self) -> Result<()> {
        let companies = self.read().await.context("read the ERP's companies")?;
        let mut client = OrganizationServiceClient::new(self.organization.clone());
        client.import_companies(ImportCompaniesRequest { companies }).await?;
        Ok(())
    }

    async fn read(&self) -> Result<Vec<Company>> {
        let assertion = self.administrator().await?;
        let output = |field: &str| pb::OutputColumn {
            column: Some(pb::ColumnRef {
                column: Some(pb::column_ref::Column::Field(field.to_owned())),
                ..pb::ColumnRef::default()
            }),
            key: field.to_owned(),
            ..pb::OutputColumn::default()
        };
        let query = pb::QueryExpression {
            entity_name: self.settings.entity.clone(),
            columns: vec![output(&self.settings.code_field), output(&self.settings.name_field)],
            page: Some(pb::Page { size: MAX_COMPANIES, ..pb::Page::default() }),
            ..pb::QueryExpression::default()
        };
        let request = pb::RetrieveMultipleRequest {
            query: Some(query),
            format: pb::RowFormat::Columns.into(),
            ..pb::RetrieveMultipleRequest::default()
        };
        let request = rpc::request(request, &assertion, TIMEOUT)?;
        let mut client = DataProviderServiceClient::new(self.query.clone());
        let mut batches = client.retrieve_multiple(request).await?.into_inner();
        let mut companies = Vec::new();
        while let Some(message) = batches.message().await? {
            companies.append(&mut rows(message)?);
        }
        Ok(companies)
    }

    /// An assertion of the administrator, got the way everybody gets one.
    async fn administrator(&self) -> Result<String> {
        let bearer_token = token::mint(&self.data_dir, user_context::ADMIN)?;
        let mut client = UserContextServiceClient::new(self.user_context.clone());
        let answer = client
            .resolve_caller(ResolveCallerRequest { bearer_token, ..Default::default() })
            .await?;
        Ok(answer.into_inner().assertion)
    }
}

fn rows(message: pb::RetrieveMultipleResponse) -> Result<Vec<Company>> {
    use pb::column_values::Values;
    let Some(pb::RowBatch { rows: Some(pb::row_batch::Rows::Columns(batch)), .. }) = message.batch
    else {
        bail!("the adapter sent no columns");
    };
    let mut columns = batch.columns.into_iter().map(|it| it.values);
    match (columns.next().flatten(), columns.next().flatten()) {
        (Some(Values::Strings(codes)), Some(Values::Strings(names))) => {
            let pairs = codes.values.into_iter().zip(names.values);
            Ok(pairs.map(|(code, display_name)| Company { code, display_name }).collect())
        }
        _ => bail!("the company entity's code and name are not text"),
    }
}
