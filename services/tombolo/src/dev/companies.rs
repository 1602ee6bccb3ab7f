//! The ERP's legal entities as platform rows.

use anyhow::{Context as _, Result, bail};
use model::CompanySettings;
use proto::organization::v1::organization_service_client::OrganizationServiceClient;
use proto::organization::v1::{Company, ImportCompaniesRequest};
use proto::query::v1 as pb;
use proto::query::v1::data_provider_service_client::DataProviderServiceClient;

use super::administrator::Administrator;

/// More legal entities than this are not an ERP's.
const MAX_COMPANIES: i32 = 5_000;

/// Where the ERP lists its companies, and how to get there.
#[derive(Clone, Debug)]
pub(super) struct Companies {
    pub(super) settings: CompanySettings,
    pub(super) administrator: Administrator,
    pub(super) organization: rpc::Channel,
    pub(super) query: rpc::Channel,
}

impl Companies {
    pub(super) async fn import(&self) -> Result<()> {
        let companies = self.read().await.context("read the ERP's companies")?;
        let mut client = OrganizationServiceClient::new(self.organization.clone());
        client.import_companies(ImportCompaniesRequest { companies }).await?;
        Ok(())
    }

    /// Codes of all of them.
    pub(super) async fn codes(&self) -> Result<Vec<String>> {
        Ok(self.read().await?.into_iter().map(|it| it.code).collect())
    }

    async fn read(&self) -> Result<Vec<Company>> {
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
        let request = self.administrator.request("query", request).await?;
        let mut client = DataProviderServiceClient::new(self.query.clone());
        let mut batches = client.retrieve_multiple(request).await?.into_inner();
        let mut companies = Vec::new();
        while let Some(message) = batches.message().await? {
            companies.append(&mut rows(message)?);
        }
        Ok(companies)
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
