//! Environments that were there before: what runs here is registered, and served.

use chrono::Utc;
use proto::lifecycle::v1::{
    FinanceAndOperationsEnvironmentState, FinanceAndOperationsEnvironmentType,
    PlatformEnvironmentState, PlatformEnvironmentType,
};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::Lifecycle;
use crate::error::Error;
use crate::store::finance_and_operations::{self, FinanceAndOperations};
use crate::store::platform::{self, Dataverse, Platform};

/// Of an ERP of which nobody says more.
const VERSION: &str = "10.0.40";

/// Two halves that are there, and not linked yet.
#[derive(Clone, Debug)]
pub struct Adoption {
    /// The ERP.
    pub finance_and_operations: FinanceAndOperationsHalf,
    /// The platform; it is the ERP's initial environment.
    pub platform: PlatformHalf,
}

/// An ERP that is there.
#[derive(Clone, Debug)]
pub struct FinanceAndOperationsHalf {
    /// Last part of its name, and first label of its host.
    pub id: String,
    /// For people.
    pub display_name: String,
    /// Stays for life.
    pub kind: FinanceAndOperationsEnvironmentType,
    /// `westeurope`.
    pub region: String,
    /// Where people find it.
    pub url: String,
    /// Its database on the ERP's server, which stays when the environment is deleted.
    pub database: String,
    /// `users/…`.
    pub administrator: String,
}

/// A platform environment that is there.
#[derive(Clone, Debug)]
pub struct PlatformHalf {
    /// Of its organization's row.
    pub organization_id: Uuid,
    /// For people.
    pub display_name: String,
    /// What it counts as.
    pub kind: PlatformEnvironmentType,
    /// First label of its host.
    pub host_name: String,
    /// Of its Web API.
    pub url: String,
    /// `europe`, of `locations/europe`.
    pub location: String,
    /// `westeurope`; empty: any of the location.
    pub region: String,
    /// Its database on the platform's server.
    pub database: String,
    /// `en-us`.
    pub language: String,
    /// `USD`.
    pub currency_code: String,
}

/// What the halves are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// `financeAndOperationsEnvironments/…`.
    pub finance_and_operations_environment: String,
    /// `platformEnvironments/…`.
    pub platform_environment: String,
    /// `links/…`, once they are linked.
    pub link: Option<String>,
}

/// What is behind a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// `platformEnvironments/…`.
    pub platform_environment: String,
    /// Of its organization's row.
    pub organization_id: Uuid,
    /// Its database on the platform's server.
    pub database: String,
    /// Role that owns it and as which it is used; empty: that of the service.
    pub database_role: String,
    /// The linked ERP's database on its own server.
    pub erp_database: Option<String>,
}

impl Lifecycle {
    /// Registers two halves that are there. Those that are registered already stay as they are, but for
    /// where the platform's is.
    ///
    /// # Errors
    ///
    /// When a name or host is somebody else's, or the store does not answer.
    pub async fn adopt(&self, adoption: &Adoption) -> Result<Adopted, Error> {
        let tenant_id = self.deps.config.tenant_id;
        let mut transaction = self.deps.store.begin().await?;
        // One replica after the other.
        let lock = "SELECT pg_advisory_xact_lock(hashtextextended('lifecycle.adoption', 0))";
        sqlx::query(lock).execute(&mut *transaction).await?;
        let erp = adopt_erp(&mut transaction, &adoption.finance_and_operations, tenant_id).await?;
        let platform = adopt_platform(&mut transaction, &adoption.platform, &erp).await?;
        let erp = finance_and_operations::find(&mut *transaction, erp.environment_id).await?;
        transaction.commit().await?;
        let name = &adoption.finance_and_operations.id;
        let erp = erp.ok_or_else(|| Error::NotFound(name.clone()))?;
        Ok(Adopted {
            finance_and_operations_environment: erp.name(),
            platform_environment: platform.name(),
            link: erp.link.map(|(id, _)| crate::resource::name(crate::resource::LINKS, id)),
        })
    }

    /// The environment that a host name leads to.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn served(&self, host_name: &str) -> Result<Option<Served>, Error> {
        let connection = &mut *self.deps.store.pool().acquire().await?;
        let sql = "SELECT id FROM platform_environment
                   WHERE host_name = lower($1) AND delete_time IS NULL AND state <> 'preparing'";
        let Some(found) = find_by(connection, sql, host_name).await? else { return Ok(None) };
        let Some(dataverse) = &found.dataverse else { return Ok(None) };
        let erp = match &found.link {
            Some(link) => {
                finance_and_operations::find(&mut *connection, link.environment_id).await?
            }
            None => None,
        };
        Ok(Some(Served {
            platform_environment: found.name(),
            organization_id: dataverse.organization_id,
            database: dataverse.database.clone(),
            database_role: dataverse.role.clone(),
            erp_database: erp.map(|it| it.database),
        }))
    }
}

async fn find_by(
    connection: &mut PgConnection,
    sql: &'static str,
    key: &str,
) -> Result<Option<Platform>, Error> {
    let id: Option<Uuid> =
        sqlx::query_scalar(sql).bind(key).fetch_optional(&mut *connection).await?;
    match id {
        Some(id) => Ok(platform::find(connection, id).await?),
        None => Ok(None),
    }
}

async fn adopt_erp(
    connection: &mut PgConnection,
    half: &FinanceAndOperationsHalf,
    tenant_id: Uuid,
) -> Result<FinanceAndOperations, Error> {
    if let Some(found) = finance_and_operations::by_id(&mut *connection, &half.id).await? {
        return Ok(found);
    }
    let new = FinanceAndOperations {
        environment_id: Uuid::new_v4(),
        id: half.id.clone(),
        display_name: half.display_name.clone(),
        kind: half.kind,
        state: FinanceAndOperationsEnvironmentState::Deployed,
        url: half.url.clone(),
        tenant_id,
        region: half.region.clone(),
        administrator: half.administrator.clone(),
        version: VERSION.to_owned(),
        database: half.database.clone(),
        adopted: true,
        create_time: Utc::now(),
        revision: 1,
        initial: None,
        link: None,
    };
    match finance_and_operations::insert(connection, &new).await? {
        None => Ok(new),
        Some(_) => Err(taken(&new.name(), &half.id)),
    }
}

async fn adopt_platform(
    connection: &mut PgConnection,
    half: &PlatformHalf,
    erp: &FinanceAndOperations,
) -> Result<Platform, Error> {
    let sql = "SELECT id FROM platform_environment WHERE database = $1 AND purge_time IS NULL";
    if let Some(found) = find_by(connection, sql, &half.database).await? {
        move_to(connection, &found, &half.url).await?;
        return Ok(found);
    }
    let first = erp.initial.is_none() && erp.link.is_none();
    let new = Platform {
        id: Uuid::new_v4(),
        display_name: half.display_name.clone(),
        kind: half.kind,
        state: PlatformEnvironmentState::Ready,
        location: half.location.clone(),
        region: half.region.clone(),
        tenant_id: erp.tenant_id,
        dataverse: Some(Dataverse {
            host_name: half.host_name.to_lowercase(),
            url: half.url.clone(),
            organization_id: half.organization_id,
            language: half.language.clone(),
            currency_code: half.currency_code.clone(),
            d365_apps_enabled: true,
            database: half.database.clone(),
            role: String::new(),
        }),
        initial_of: first.then_some(erp.environment_id),
        initial_name: None,
        initial: first,
        unified: false,
        platform_tools: false,
        create_time: Utc::now(),
        delete_time: None,
        revision: 1,
        link: None,
        finance_and_operations_url: None,
    };
    match platform::insert(connection, &new).await? {
        true => Ok(new),
        false => Err(taken(&new.name(), &half.host_name)),
    }
}

/// Where it is served may change from start to start.
async fn move_to(connection: &mut PgConnection, found: &Platform, url: &str) -> Result<(), Error> {
    if found.dataverse.as_ref().is_some_and(|it| it.url != url) {
        let sql = "UPDATE platform_environment SET url = $2, revision = revision + 1 WHERE id = $1";
        sqlx::query(sql).bind(found.id).bind(url).execute(connection).await?;
    }
    Ok(())
}

fn taken(resource: &str, name: &str) -> Error {
    let message = format!("`{name}` is the name of another environment");
    Error::Exists { resource: resource.to_owned(), message }
}
