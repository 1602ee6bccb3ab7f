//! The pair.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use proto::dual_write::v1::Link;
use sqlx::{PgConnection, Row as _};

use crate::error::Error;
use crate::names;

/// Names of the companies' teams, by company.
pub(crate) type Teams = BTreeMap<String, String>;

/// The link, where there is one.
pub(crate) async fn find(connection: &mut PgConnection) -> Result<Option<Link>, Error> {
    fetch(connection, "").await
}

pub(crate) async fn get(connection: &mut PgConnection) -> Result<Link, Error> {
    find(connection).await?.ok_or(Error::NotLinked)
}

/// Nobody else changes it until the transaction ends.
pub(crate) async fn lock(connection: &mut PgConnection) -> Result<Link, Error> {
    fetch(connection, "FOR UPDATE").await?.ok_or(Error::NotLinked)
}

/// Nobody changes it, or takes it away, until the transaction ends.
pub(crate) async fn hold(connection: &mut PgConnection) -> Result<Link, Error> {
    fetch(connection, "FOR SHARE").await?.ok_or(Error::NotLinked)
}

pub(crate) async fn insert(
    connection: &mut PgConnection,
    link: &Link,
    teams: &Teams,
) -> Result<(), Error> {
    let inserted = sqlx::query(
        "INSERT INTO link (finance_and_operations_environment, platform_environment, companies,
             teams, consent_user, consent_time)
         VALUES ($1, $2, $3, $4::jsonb, $5, now()) ON CONFLICT DO NOTHING",
    )
    .bind(&link.finance_and_operations_environment)
    .bind(&link.platform_environment)
    .bind(&link.companies)
    .bind(json(teams))
    .bind(&link.consent_user)
    .execute(connection)
    .await?;
    if inserted.rows_affected() == 1 {
        return Ok(());
    }
    Err(Error::AlreadyLinked {
        environment: link.finance_and_operations_environment.clone(),
        linked_to: link.platform_environment.clone(),
    })
}

pub(crate) async fn set_companies(
    connection: &mut PgConnection,
    companies: &[String],
    teams: &Teams,
) -> Result<(), Error> {
    sqlx::query("UPDATE link SET companies = $1, teams = $2::jsonb, revision = revision + 1")
        .bind(companies)
        .bind(json(teams))
        .execute(connection)
        .await?;
    Ok(())
}

/// The names as they were when the companies were linked.
pub(crate) async fn teams(connection: &mut PgConnection) -> Result<Teams, Error> {
    let text: Option<String> =
        sqlx::query_scalar("SELECT teams::text FROM link").fetch_optional(connection).await?;
    let Some(text) = text else { return Ok(Teams::new()) };
    serde_json::from_str(&text).map_err(|it| Error::Stored(it.to_string()))
}

/// Forgets the link and everything that hangs on it: maps, keys, alerts, history.
pub(crate) async fn forget(connection: &mut PgConnection) -> Result<(), Error> {
    for statement in [
        "DELETE FROM map",
        "DELETE FROM solution",
        "DELETE FROM activity",
        "DELETE FROM health",
        "DELETE FROM link",
    ] {
        sqlx::query(statement).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn fetch(
    connection: &mut PgConnection,
    locking: &'static str,
) -> Result<Option<Link>, Error> {
    let sql = format!(
        "SELECT finance_and_operations_environment, platform_environment, companies, consent_user,
             consent_time, create_time, revision
         FROM link {locking}"
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(None) };
    let (consented, created): (DateTime<Utc>, DateTime<Utc>) =
        (row.try_get("consent_time")?, row.try_get("create_time")?);
    let revision: i64 = row.try_get("revision")?;
    Ok(Some(Link {
        name: names::LINK.to_owned(),
        finance_and_operations_environment: row.try_get("finance_and_operations_environment")?,
        platform_environment: row.try_get("platform_environment")?,
        companies: row.try_get("companies")?,
        consent_user: row.try_get("consent_user")?,
        consent_time: Some(names::timestamp(consented)),
        create_time: Some(names::timestamp(created)),
        etag: revision.to_string(),
    }))
}

fn json(teams: &Teams) -> String {
    serde_json::to_value(teams).unwrap_or_default().to_string()
}
