//! Rows of the store as plain values.

use rpc::Companies;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Postgres, Row as _, Transaction};

use super::{State, Version};
use crate::content::{Content, Duty, Privilege, Role, Source, User};

pub(super) async fn state(
    transaction: &mut Transaction<'_, Postgres>,
) -> Result<State, sqlx::Error> {
    let version = version(transaction).await?;
    let revocations = sqlx::query_as("SELECT system_user_id, revision FROM revocation")
        .fetch_all(&mut **transaction)
        .await?;
    let mut content = Content::default();
    let privileges = "SELECT name, display_name, source, grants::text AS grants FROM privilege";
    for it in sqlx::query(privileges).try_map(privilege).fetch_all(&mut **transaction).await? {
        content.put(it);
    }
    let duties = "SELECT name, display_name, source, ARRAY(
             SELECT other.name FROM duty_privilege AS link
             JOIN privilege AS other ON other.key = link.privilege_key
             WHERE link.duty_key = duty.key) AS privileges
         FROM duty";
    for it in sqlx::query(duties).try_map(duty).fetch_all(&mut **transaction).await? {
        content.put(it);
    }
    let roles = "SELECT name, display_name, source, ARRAY(
             SELECT other.name FROM role_duty AS link
             JOIN duty AS other ON other.key = link.duty_key
             WHERE link.role_key = role.key) AS duties, ARRAY(
             SELECT other.name FROM role_privilege AS link
             JOIN privilege AS other ON other.key = link.privilege_key
             WHERE link.role_key = role.key) AS privileges
         FROM role";
    for it in sqlx::query(roles).try_map(role).fetch_all(&mut **transaction).await? {
        content.put(it);
    }
    let users = "SELECT name, display_name, system_user_id, object_id, erp_user, companies,
             application_id, disabled, locked, acts_on_behalf, serves_portal, time_zone, language,
             source,
             ARRAY(SELECT role.name FROM user_role AS link
                 JOIN role ON role.key = link.role_key
                 WHERE link.user_key = directory_user.key) AS roles
         FROM directory_user";
    for it in sqlx::query(users).try_map(user).fetch_all(&mut **transaction).await? {
        content.put(it);
    }
    content.settle();
    Ok(State { version, content, revocations })
}

pub(super) async fn version(connection: &mut PgConnection) -> Result<Version, sqlx::Error> {
    let sql =
        "SELECT oid::bigint, number FROM revision, pg_database WHERE datname = current_database()";
    let (database, revision) = sqlx::query_as(sql).fetch_one(connection).await?;
    Ok(Version { database, revision })
}

fn user(row: PgRow) -> Result<User, sqlx::Error> {
    let application_id: String = row.try_get("application_id")?;
    let companies: Vec<String> = row.try_get("companies")?;
    Ok(User {
        name: row.try_get("name")?,
        display_name: row.try_get("display_name")?,
        system_user_id: row.try_get("system_user_id")?,
        object_id: row.try_get("object_id")?,
        erp_user: row.try_get("erp_user")?,
        roles: row.try_get("roles")?,
        companies: match companies.as_slice() {
            [every] if every == "*" => Companies::All,
            _ => Companies::Only(companies),
        },
        application_id: Some(application_id).filter(|it| !it.is_empty()),
        disabled: row.try_get("disabled")?,
        locked: row.try_get("locked")?,
        acts_on_behalf: row.try_get("acts_on_behalf")?,
        serves_portal: row.try_get("serves_portal")?,
        time_zone: row.try_get("time_zone")?,
        language: row.try_get("language")?,
        source: source(&row)?,
    })
}

fn role(row: PgRow) -> Result<Role, sqlx::Error> {
    Ok(Role {
        name: row.try_get("name")?,
        display_name: row.try_get("display_name")?,
        duties: row.try_get("duties")?,
        privileges: row.try_get("privileges")?,
        source: source(&row)?,
    })
}

fn duty(row: PgRow) -> Result<Duty, sqlx::Error> {
    Ok(Duty {
        name: row.try_get("name")?,
        display_name: row.try_get("display_name")?,
        privileges: row.try_get("privileges")?,
        source: source(&row)?,
    })
}

fn privilege(row: PgRow) -> Result<Privilege, sqlx::Error> {
    let grants: String = row.try_get("grants")?;
    Ok(Privilege {
        name: row.try_get("name")?,
        display_name: row.try_get("display_name")?,
        grants: serde_json::from_str(&grants).map_err(|error| damaged("grants", error))?,
        source: source(&row)?,
    })
}

fn source(row: &PgRow) -> Result<Source, sqlx::Error> {
    let name: String = row.try_get("source")?;
    Source::of_name(&name).ok_or_else(|| damaged("source", format!("`{name}` is none")))
}

fn damaged(column: &str, error: impl Into<sqlx::error::BoxDynError>) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: error.into() }
}
