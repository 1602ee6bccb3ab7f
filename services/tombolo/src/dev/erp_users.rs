//! The ERP's own users and rights, where its model says how to read them.

use anyhow::{Context as _, Result};
use model::{DirectoryQueries, Model, Security};
use proto::user_context::v1::directory_service_client::DirectoryServiceClient;

use super::administrator::Administrator;
use crate::erp_directory;

/// Takes the directory of an ERP over.
#[derive(Clone, Debug)]
pub(super) struct ErpUsers {
    erp_url: String,
    model: Model,
    queries: DirectoryQueries,
    administrator: Administrator,
    user_context: rpc::Channel,
}

impl ErpUsers {
    /// `None` where the model does not say how.
    pub(super) fn new(
        erp_url: &str,
        model: &Model,
        security: Security,
        administrator: &Administrator,
        user_context: &rpc::Channel,
    ) -> Option<Self> {
        security.import.map(|queries| Self {
            erp_url: erp_url.to_owned(),
            model: model.clone(),
            queries,
            administrator: administrator.clone(),
            user_context: user_context.clone(),
        })
    }

    pub(super) async fn import(&self) -> Result<()> {
        let read = erp_directory::read(&self.erp_url, &self.model, &self.queries).await;
        let read = read.context("read the ERP's users")?;
        let request = self.administrator.request("user-context", read.request).await?;
        let mut client = DirectoryServiceClient::new(self.user_context.clone());
        let counts = client.import_directory(request).await?.into_inner();
        tracing::info!(
            created = counts.created_count,
            updated = counts.updated_count,
            deleted = counts.deleted_count,
            "the ERP's users and rights are taken over"
        );
        Ok(())
    }
}
