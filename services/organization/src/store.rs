//! Native rows in PostgreSQL, schema `organization`.

mod background;
mod portal;
mod provisioning;
mod roles;

use std::time::Duration;

use schema::{OpenError, Place, Schema};
use sqlx::PgPool;
use uuid::Uuid;

pub(crate) use self::background::{NewOperation, Operation, Outcome, Reader, State};
pub(crate) use self::portal::{PortalMapping, PortalVersion};
pub(crate) use self::provisioning::{AddIn, Application, Provision, VirtualEntities};

const NAME: &str = "organization";
const SAMPLE_DATA: &str = include_str!("../sql/sample_data.sql");
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);
const SCHEMA: Schema = Schema {
    name: NAME,
    // In order; what has been released is never changed.
    migrations: &[
        (1, "tables", include_str!("../migrations/0001_tables.sql")),
        (2, "user columns", include_str!("../migrations/0002_user_columns.sql")),
        (3, "accounts", include_str!("../migrations/0003_accounts.sql")),
        (4, "rules", include_str!("../migrations/0004_rules.sql")),
        (5, "background operations", include_str!("../migrations/0005_background_operations.sql")),
        (6, "portal users", include_str!("../migrations/0006_portal_users.sql")),
        (7, "environments", include_str!("../migrations/0007_environments.sql")),
        (8, "companies", include_str!("../migrations/0008_companies.sql")),
        (9, "tables of dual-write", include_str!("../migrations/0009_dual_write_tables.sql")),
        (10, "runtime configuration", include_str!("../migrations/0010_runtime_configuration.sql")),
        (11, "roles of teams", include_str!("../migrations/0011_team_roles.sql")),
        (
            12,
            "columns of the runtime configuration",
            include_str!("../migrations/0012_runtime_configuration_columns.sql"),
        ),
    ],
    statement_timeout: STATEMENT_TIMEOUT,
    lock_timeout: None,
};

/// The store.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pool: PgPool,
}

/// A user to be known.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: Uuid,
    pub(crate) object_id: Uuid,
    pub(crate) domain_name: String,
    pub(crate) full_name: String,
    /// The application that calls as the user, if it is no person.
    pub(crate) application_id: Option<Uuid>,
}

/// A company to be known.
#[derive(Clone, Debug)]
pub(crate) struct Company {
    pub(crate) code: String,
    pub(crate) name: String,
}

/// How many rows an import made and changed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Imported {
    pub(crate) created: i32,
    pub(crate) updated: i32,
}

/// The organization itself.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) organization_id: Uuid,
    pub(crate) business_unit_id: Uuid,
    pub(crate) name: String,
    /// 0 is Sunday.
    pub(crate) week_start: i32,
    pub(crate) fiscal_month: i32,
    pub(crate) fiscal_day: i32,
    /// As `organization_fiscalperiodtype` numbers them.
    pub(crate) fiscal_period_type: i32,
}

impl Store {
    pub(crate) async fn open(url: &str) -> Result<Self, OpenError> {
        Ok(Self { pool: SCHEMA.open(url).await? })
    }

    /// Another environment's, to be closed by whoever opens it.
    pub(crate) async fn open_in(url: &str, place: &Place) -> Result<Self, OpenError> {
        Ok(Self { pool: SCHEMA.open_in(url, place).await? })
    }

    /// Returns when there is no connection any more.
    pub(crate) async fn close(self) {
        self.pool.close().await;
    }

    /// Makes rows of users; those that are as they should be are left alone.
    pub(crate) async fn import_users(&self, users: &[User]) -> Result<Imported, sqlx::Error> {
        let ids: Vec<Uuid> = users.iter().map(|it| it.id).collect();
        let object_ids: Vec<Uuid> = users.iter().map(|it| it.object_id).collect();
        let domain_names: Vec<&str> = users.iter().map(|it| it.domain_name.as_str()).collect();
        let full_names: Vec<&str> = users.iter().map(|it| it.full_name.as_str()).collect();
        let applications: Vec<Option<Uuid>> = users.iter().map(|it| it.application_id).collect();
        let created: Vec<bool> = sqlx::query_scalar(
            "INSERT INTO systemuser AS old (systemuserid, azureactivedirectoryobjectid, domainname,
                 fullname, applicationid, businessunitid)
             SELECT given.*, (
                 SELECT businessunitid FROM businessunit WHERE parentbusinessunitid IS NULL
             )
             FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::uuid[]) AS given
             ON CONFLICT (systemuserid) DO UPDATE SET
                 azureactivedirectoryobjectid = excluded.azureactivedirectoryobjectid,
                 domainname = excluded.domainname,
                 fullname = excluded.fullname,
                 applicationid = excluded.applicationid,
                 modifiedon = now() AT TIME ZONE 'UTC'
             WHERE (old.azureactivedirectoryobjectid, old.domainname, old.fullname, old.applicationid)
                 IS DISTINCT FROM (excluded.azureactivedirectoryobjectid, excluded.domainname,
                     excluded.fullname, excluded.applicationid)
             RETURNING xmax = 0",
        )
        .bind(ids)
        .bind(object_ids)
        .bind(domain_names)
        .bind(full_names)
        .bind(applications)
        .fetch_all(&self.pool)
        .await?;
        Ok(Imported::of(&created))
    }

    /// Makes rows of companies; those that are as they should be are left alone.
    pub(crate) async fn import_companies(
        &self,
        companies: &[Company],
    ) -> Result<Imported, sqlx::Error> {
        let ids: Vec<Uuid> = companies.iter().map(|it| provider::company_id(&it.code)).collect();
        let codes: Vec<&str> = companies.iter().map(|it| it.code.as_str()).collect();
        let names: Vec<&str> = companies.iter().map(|it| it.name.as_str()).collect();
        let created: Vec<bool> = sqlx::query_scalar(
            "INSERT INTO cdm_company AS old (cdm_companyid, cdm_companycode, cdm_name)
             SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[])
             ON CONFLICT (cdm_companyid) DO UPDATE SET
                 cdm_companycode = excluded.cdm_companycode,
                 cdm_name = excluded.cdm_name,
                 modifiedon = now() AT TIME ZONE 'UTC'
             WHERE (old.cdm_companycode, old.cdm_name)
                 IS DISTINCT FROM (excluded.cdm_companycode, excluded.cdm_name)
             RETURNING xmax = 0",
        )
        .bind(ids)
        .bind(codes)
        .bind(names)
        .fetch_all(&self.pool)
        .await?;
        Ok(Imported::of(&created))
    }

    /// External names of tables that dual-write has maps of here.
    pub(crate) async fn mapped_tables(&self) -> Result<Vec<String>, sqlx::Error> {
        sqlx::query_scalar(
            "SELECT DISTINCT msdyn_internalentityname FROM msdyn_dualwriteruntimeconfig
             WHERE msdyn_internalentityname IS NOT NULL",
        )
        .fetch_all(&self.pool)
        .await
    }

    /// Makes the sample rows that are not there yet.
    pub(crate) async fn install_sample_data(&self) -> Result<(), sqlx::Error> {
        // One simple query is one transaction.
        sqlx::raw_sql(SAMPLE_DATA).execute(&self.pool).await?;
        Ok(())
    }

    pub(crate) async fn facts(&self) -> Result<Facts, sqlx::Error> {
        let row: (Uuid, String, Uuid, i32, i32, i32, i32) = sqlx::query_as(
            "SELECT organizationid, organization.name, businessunitid, weekstartdaycode,
                 extract(month FROM fiscalcalendarstart)::integer,
                 extract(day FROM fiscalcalendarstart)::integer, fiscalperiodtype
             FROM organization, businessunit
             WHERE parentbusinessunitid IS NULL",
        )
        .fetch_one(&self.pool)
        .await?;
        let (organization_id, name, business_unit_id, week_start, fiscal_month, fiscal_day, period) =
            row;
        Ok(Facts {
            organization_id,
            business_unit_id,
            name,
            week_start,
            fiscal_month,
            fiscal_day,
            fiscal_period_type: period,
        })
    }
}

impl Imported {
    /// Of one flag per written row: whether it was made.
    fn of(created: &[bool]) -> Self {
        let count = |wanted| created.iter().filter(|it| **it == wanted).count();
        let number = |it: usize| i32::try_from(it).unwrap_or(i32::MAX);
        Self { created: number(count(true)), updated: number(count(false)) }
    }
}
