//! Dual-write of the local system, prepared as its administrator would: linked for every legal entity, and
//! the maps that come with it offered. No map runs before somebody starts it.

use anyhow::{Context as _, Result};
use proto::dual_write::v1 as pb;
use proto::dual_write::v1::link_service_client::LinkServiceClient;
use proto::dual_write::v1::map_service_client::MapServiceClient;
use rpc::ErrorReason;

use super::administrator::Administrator;
use super::companies::Companies;

const SERVICE: &str = "dual-write";

/// Who prepares it, and for whom.
#[derive(Debug)]
pub(super) struct DualWriteLink {
    pub(super) administrator: Administrator,
    pub(super) dual_write: rpc::Channel,
    /// Absent where the ERP has no legal entities.
    pub(super) companies: Option<Companies>,
}

impl DualWriteLink {
    /// Links, unless that was done before: what an administrator changes afterwards stays.
    pub(super) async fn make(
        &self,
        finance_and_operations_environment: &str,
        platform_environment: &str,
    ) -> Result<()> {
        let companies = match &self.companies {
            Some(it) => it.codes().await.context("read the ERP's companies")?,
            None => Vec::new(),
        };
        let link = pb::Link {
            finance_and_operations_environment: finance_and_operations_environment.to_owned(),
            platform_environment: platform_environment.to_owned(),
            companies,
            ..Default::default()
        };
        let request =
            pb::CreateLinkRequest { link: Some(link), consent: true, ..Default::default() };
        let request = self.administrator.request(SERVICE, request).await?;
        let mut links = LinkServiceClient::new(self.dual_write.clone());
        match links.create_link(request).await {
            Ok(_) => {}
            Err(it) if rpc::reason(&it) == Some(ErrorReason::AlreadyLinked) => return Ok(()),
            Err(it) => return Err(it).context("link dual-write"),
        }
        let request = pb::ApplySolutionsRequest::default();
        let request = self.administrator.request(SERVICE, request).await?;
        let mut maps = MapServiceClient::new(self.dual_write.clone());
        maps.apply_solutions(request).await.context("offer the maps")?;
        Ok(())
    }
}
