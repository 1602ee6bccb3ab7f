//! Operations: which there are, and what becomes of one.

use anyhow::Result;
use proto::lifecycle::v1 as pb;

use super::{Env, show};
use crate::client::{self, PAGE_SIZE, explain};
use crate::follow;
use crate::names::resource;

impl Env {
    pub(super) async fn operations(&self, target: Option<String>) -> Result<()> {
        let target = match target {
            // Of an installation, which has no name of its own.
            Some(name) if name.contains('/') => name,
            Some(name) => self.system.environment_named(&name).await?.name().to_owned(),
            None => String::new(),
        };
        let mut client = self.system.operations();
        let operations = client::every(async |page_token| {
            let target = target.clone();
            let page_size = PAGE_SIZE;
            let request =
                pb::ListOperationsRequest { page_size, page_token, target, states: Vec::new() };
            let page = client.list_operations(request).await?.into_inner();
            Ok((page.operations, page.next_page_token))
        });
        let operations = operations.await?;
        self.output.list(&operations, || show::operations(&operations))
    }

    pub(super) async fn watch(&self, name: &str) -> Result<()> {
        let name = resource("operations", name);
        follow::named(&self.system, self.output, self.write.no_wait, name).await
    }

    pub(super) async fn resume(&self, name: &str) -> Result<()> {
        let request = pb::ResumeOperationRequest {
            name: resource("operations", name),
            etag: String::new(),
            idempotency_key: self.write.key(),
        };
        let answer = self.system.operations().resume_operation(request).await.map_err(explain)?;
        self.begun(answer.into_inner().operation).await
    }

    pub(super) async fn cancel(&self, name: &str) -> Result<()> {
        let request = pb::CancelOperationRequest {
            name: resource("operations", name),
            etag: String::new(),
            idempotency_key: self.write.key(),
        };
        let answer = self.system.operations().cancel_operation(request).await.map_err(explain)?;
        self.begun(answer.into_inner().operation).await
    }
}
