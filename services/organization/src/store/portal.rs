//! Which ERP users stand behind portal contacts.

use uuid::Uuid;

use super::Store;

/// A contact and its ERP user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PortalMapping {
    pub(crate) contact: Uuid,
    pub(crate) erp_user: String,
}

/// Which state of the mappings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PortalVersion {
    /// Tells a database from another one that takes its name.
    database: i64,
    revision: i64,
}

impl Store {
    /// Another one after every change of the mappings.
    pub(crate) async fn portal_version(&self) -> Result<PortalVersion, sqlx::Error> {
        let (database, revision) = sqlx::query_as(
            "SELECT oid::bigint, revision FROM portal_mapping_revision, pg_database
             WHERE datname = current_database()",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(PortalVersion { database, revision })
    }

    /// All mappings, and the version that they are of.
    pub(crate) async fn portal_mappings(
        &self,
    ) -> Result<(PortalVersion, Vec<PortalMapping>), sqlx::Error> {
        let rows: Vec<(i64, i64, Option<Uuid>, Option<String>)> = sqlx::query_as(
            "SELECT pg_database.oid::bigint, revision, msdyn_contactid, msdyn_financeandoperationsuser
             FROM portal_mapping_revision
             JOIN pg_database ON datname = current_database()
             LEFT JOIN msdyn_externalportalusermapping ON true
             ORDER BY msdyn_contactid",
        )
        .fetch_all(&self.pool)
        .await?;
        let version =
            rows.first().map(|&(database, revision, ..)| PortalVersion { database, revision });
        let mapping = |(_, _, contact, erp_user)| {
            Some(PortalMapping { contact: contact?, erp_user: erp_user? })
        };
        Ok((version.unwrap_or_default(), rows.into_iter().filter_map(mapping).collect()))
    }
}
