//! What an environment is set up with. All of it may be written again, and is then as it was.

use sqlx::postgres::PgConnection;
use sqlx::types::Uuid;

use super::Store;
use crate::error::Error;
use crate::packages::{Package, View};

/// What the organization is. What is not said stays as it is.
#[derive(Clone, Debug)]
pub(crate) struct Provision {
    pub(crate) organization_id: Option<Uuid>,
    pub(crate) name: Option<String>,
    /// LCID.
    pub(crate) language: Option<i32>,
    /// ISO 4217.
    pub(crate) currency: Option<String>,
}

/// The ERP that virtual entities lead to.
#[derive(Clone, Debug)]
pub(crate) struct VirtualEntities {
    pub(crate) target_url: String,
    pub(crate) tenant_id: Uuid,
    pub(crate) environment_id: Uuid,
    /// As which application the platform calls the ERP.
    pub(crate) application_id: Uuid,
}

/// An application that calls as itself.
#[derive(Clone, Debug)]
pub(crate) struct Application {
    pub(crate) client_id: Uuid,
    pub(crate) display_name: String,
}

/// An add-in as it is installed.
#[derive(Clone, Debug)]
pub(crate) struct AddIn {
    pub(crate) name: String,
    pub(crate) display_name: String,
    pub(crate) version: String,
    pub(crate) state: String,
    pub(crate) parameters: String,
}

impl Store {
    pub(crate) async fn provision(&self, it: &Provision) -> Result<(), sqlx::Error> {
        // Who worked here knows the id and keeps it: it stands in assertions, in copies and with clients.
        sqlx::query(
            "UPDATE organization SET
                 organizationid = CASE WHEN EXISTS (SELECT FROM systemuser) THEN organizationid
                                       ELSE coalesce($1, organizationid) END,
                 name = coalesce($2, name),
                 languagecode = coalesce($3, languagecode),
                 baseisocurrencycode = coalesce($4, baseisocurrencycode)",
        )
        .bind(it.organization_id)
        .bind(&it.name)
        .bind(it.language)
        .bind(&it.currency)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Unique names of what is installed.
    pub(crate) async fn installed_packages(&self) -> Result<Vec<String>, sqlx::Error> {
        sqlx::query_scalar("SELECT uniquename FROM solution").fetch_all(&self.pool).await
    }

    /// Installs packages, one after the other: all of them or none.
    pub(crate) async fn install_packages(&self, packages: &[&Package]) -> Result<(), Error> {
        let mut transaction = self.pool.begin().await?;
        for package in packages {
            install(&mut transaction, package).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// In place of whatever was configured by hand.
    pub(crate) async fn configure_virtual_entities(
        &self,
        it: &VirtualEntities,
    ) -> Result<(), sqlx::Error> {
        const TABLE_ROW: Uuid = Uuid::from_u128(0x47c4_0dcb_35d6_e911_a95e_000d_3a11_0bbd);
        sqlx::query(
            "INSERT INTO msdyn_financeandoperationsvirtualentity AS old
                 (msdyn_financeandoperationsvirtualentityid, msdyn_targeturl, msdyn_tenantid,
                  msdyn_aadapplicationid, tombolo_environmentid, tombolo_isautomatic)
             VALUES ($1, $2, $3::uuid::text, $4, $5, true)
             ON CONFLICT (only_row) DO UPDATE SET
                 msdyn_financeandoperationsvirtualentityid =
                     excluded.msdyn_financeandoperationsvirtualentityid,
                 msdyn_name = excluded.msdyn_name,
                 msdyn_targeturl = excluded.msdyn_targeturl,
                 msdyn_oauthurl = excluded.msdyn_oauthurl,
                 msdyn_tenantid = excluded.msdyn_tenantid,
                 msdyn_aadapplicationid = excluded.msdyn_aadapplicationid,
                 msdyn_aadresource = excluded.msdyn_aadresource,
                 tombolo_environmentid = excluded.tombolo_environmentid,
                 tombolo_isautomatic = excluded.tombolo_isautomatic
             WHERE (old.msdyn_financeandoperationsvirtualentityid, old.msdyn_name,
                     old.msdyn_targeturl, old.msdyn_oauthurl, old.msdyn_tenantid,
                     old.msdyn_aadapplicationid, old.msdyn_aadresource, old.tombolo_environmentid,
                     old.tombolo_isautomatic)
                 IS DISTINCT FROM (excluded.msdyn_financeandoperationsvirtualentityid,
                     excluded.msdyn_name, excluded.msdyn_targeturl, excluded.msdyn_oauthurl,
                     excluded.msdyn_tenantid, excluded.msdyn_aadapplicationid,
                     excluded.msdyn_aadresource, excluded.tombolo_environmentid,
                     excluded.tombolo_isautomatic)",
        )
        .bind(TABLE_ROW)
        .bind(&it.target_url)
        .bind(it.tenant_id)
        .bind(it.application_id)
        .bind(it.environment_id)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Makes rows of the applications' users, under the ids that the directory gives them.
    pub(crate) async fn register_applications(
        &self,
        applications: &[Application],
    ) -> Result<(), sqlx::Error> {
        let client_ids: Vec<Uuid> = applications.iter().map(|it| it.client_id).collect();
        let ids: Vec<Uuid> =
            client_ids.iter().map(|it| rpc::system_user_id(&it.to_string())).collect();
        let names: Vec<&str> = applications.iter().map(|it| it.display_name.as_str()).collect();
        // The directory may know the application under another name, and have written that.
        sqlx::query(
            "INSERT INTO systemuser (systemuserid, azureactivedirectoryobjectid, domainname, fullname,
                 applicationid, businessunitid)
             SELECT id, client_id, client_id::text, name, client_id, (
                 SELECT businessunitid FROM businessunit WHERE parentbusinessunitid IS NULL
             )
             FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS given (id, client_id, name)
             WHERE NOT EXISTS (SELECT FROM systemuser WHERE applicationid = client_id)
             ON CONFLICT (systemuserid) DO NOTHING",
        )
        .bind(ids)
        .bind(client_ids)
        .bind(names)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Writes an add-in's row, if one of the packages that bring add-ins is there.
    pub(crate) async fn write_add_in(
        &self,
        add_in: &AddIn,
        packages: &[&str],
    ) -> Result<bool, sqlx::Error> {
        let found: bool = sqlx::query_scalar(
            "WITH written AS (
                 INSERT INTO tombolo_addin AS old (tombolo_name, tombolo_displayname, tombolo_version,
                     tombolo_state, tombolo_parameters)
                 SELECT $1, $2, $3, $4, $5
                 WHERE EXISTS (SELECT FROM solution WHERE uniquename = ANY ($6))
                 ON CONFLICT (tombolo_name) DO UPDATE SET
                     tombolo_displayname = excluded.tombolo_displayname,
                     tombolo_version = excluded.tombolo_version,
                     tombolo_state = excluded.tombolo_state,
                     tombolo_parameters = excluded.tombolo_parameters
                 WHERE (old.tombolo_displayname, old.tombolo_version, old.tombolo_state,
                         old.tombolo_parameters)
                     IS DISTINCT FROM (excluded.tombolo_displayname, excluded.tombolo_version,
                         excluded.tombolo_state, excluded.tombolo_parameters)
             )
             SELECT EXISTS (SELECT FROM solution WHERE uniquename = ANY ($6))",
        )
        .bind(&add_in.name)
        .bind(&add_in.display_name)
        .bind(&add_in.version)
        .bind(&add_in.state)
        .bind(&add_in.parameters)
        .bind(packages)
        .fetch_one(&self.pool)
        .await?;
        Ok(found)
    }

    pub(crate) async fn remove_add_in(&self, name: &str) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM tombolo_addin WHERE tombolo_name = $1")
            .bind(name)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

async fn install(connection: &mut PgConnection, package: &Package) -> Result<(), Error> {
    let missing: Option<String> = sqlx::query_scalar(
        "SELECT name FROM unnest($1::text[]) WITH ORDINALITY AS required (name, place)
         WHERE name NOT IN (SELECT uniquename FROM solution) ORDER BY place LIMIT 1",
    )
    .bind(&package.requires)
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(missing) = missing {
        let package = package.unique_name.clone();
        return Err(Error::RequirementUnmet { what: package, missing });
    }
    sqlx::query(
        "INSERT INTO solution AS old
             (uniquename, friendlyname, version, publisheridname, description)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (uniquename) DO UPDATE SET friendlyname = excluded.friendlyname,
             version = excluded.version, publisheridname = excluded.publisheridname,
             description = excluded.description, installedon = excluded.installedon
         WHERE (old.friendlyname, old.version, old.publisheridname, old.description)
             IS DISTINCT FROM (excluded.friendlyname, excluded.version,
                 excluded.publisheridname, excluded.description)",
    )
    .bind(&package.unique_name)
    .bind(&package.friendly_name)
    .bind(&package.version)
    .bind(&package.publisher)
    .bind(&package.description)
    .execute(&mut *connection)
    .await?;
    for view in &package.views {
        insert_view(view).execute(&mut *connection).await?;
    }
    Ok(())
}

/// One that was changed since stays changed.
fn insert_view(view: &View) -> sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments> {
    sqlx::query(
        "INSERT INTO savedquery (savedqueryid, name, returnedtypecode, fetchxml, description)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (savedqueryid) DO NOTHING",
    )
    .bind(view.id)
    .bind(&view.name)
    .bind(&view.table)
    .bind(&view.fetchxml)
    .bind(&view.description)
}
