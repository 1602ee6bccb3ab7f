//! Which ERP users stand behind portal contacts.

use uuid::Uuid;

use super::Store;

/// A contact and its ERP user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PortalMapping {
    pub(crate) contact: Uuid,
    pub(crate) erp_user: String,
}

impl Store {
    /// Higher after every change of the mappings.
    pub(crate) async fn portal_mapping_revision(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar("SELECT revision FROM portal_mapping_revision")
            .fetch_one(&self.pool)
            .await
    }

    /// All mappings, and the revision that they are of.
    pub(crate) async fn portal_mappings(&self) -> Result<(i64, Vec<PortalMapping>), sqlx::Error> {
        let rows: Vec<(i64, Option<Uuid>, Option<String>)> = sqlx::query_as(
            "SELECT revision, msdyn_contactid, msdyn_financeandoperationsuser
             FROM portal_mapping_revision LEFT JOIN msdyn_externalportalusermapping ON true
             ORDER BY msdyn_contactid",
        )
        .fetch_all(&self.pool)
        .await?;
        let revision = rows.first().map_or(0, |it| it.0);
        let mapping =
            |(_, contact, erp_user)| Some(PortalMapping { contact: contact?, erp_user: erp_user? });
        Ok((revision, rows.into_iter().filter_map(mapping).collect()))
    }
}
