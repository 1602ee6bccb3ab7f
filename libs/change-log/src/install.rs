//! Tombolo's own tables and functions, beside the rows.

use sqlx::postgres::PgConnection;

use crate::error::{Error, code, is_denied};

/// One simple query, so one transaction. Whoever adds something in the schema takes the same lock.
const SCHEMA: &str = include_str!("sql/schema.sql");

/// A log is there, it is this server's, and its functions are as this program knows them.
const PRESENT: &str = "
    SELECT to_regclass('tombolo.change_log_mark') IS NOT NULL
        AND to_regprocedure('tombolo.capture()') IS NOT NULL
        AND obj_description(to_regprocedure('tombolo.capture()'), 'pg_proc') = $1";
const OURS: &str = "SELECT EXISTS (
    SELECT FROM tombolo.change_log_identity WHERE home = tombolo.change_log_home())";

/// To be raised with every change of the schema file.
const VERSION: &str = "Writes tombolo.change_log. Version 4.";

/// Creates what is not there, which is nothing most times. On a connection without an open
/// transaction. Replicas may do it at the same time.
///
/// # Errors
///
/// [`Error::NotGranted`] when the database user may not, or the database's own.
pub async fn install(connection: &mut PgConnection) -> Result<(), Error> {
    if is_installed(connection).await? { Ok(()) } else { create(connection).await }
}

/// Whether everything is there.
///
/// # Errors
///
/// As [`install`].
pub async fn is_installed(connection: &mut PgConnection) -> Result<bool, Error> {
    let present: Option<bool> =
        sqlx::query_scalar(PRESENT).bind(VERSION).fetch_one(&mut *connection).await?;
    if present != Some(true) {
        return Ok(false);
    }
    let ours = sqlx::query_scalar(OURS).fetch_one(connection).await;
    ours.map_err(|it| refusal(it, ""))
}

async fn create(connection: &mut PgConnection) -> Result<(), Error> {
    /// Somebody who does not take the lock may create the same at the same moment, once.
    const TAKEN: [&str; 4] = ["23505", "42P06", "42P07", "XX000"];
    let sql = format!("{SCHEMA};COMMENT ON FUNCTION tombolo.capture() IS '{VERSION}'");
    let run = async |connection: &mut PgConnection| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.clone())).execute(connection).await
    };
    let mut created = run(connection).await;
    if created.as_ref().is_err_and(|it| TAKEN.contains(&code(it).as_str())) {
        created = run(connection).await;
    }
    match created {
        Ok(_) => Ok(()),
        Err(error) if is_denied(&error) => {
            let user: String = sqlx::query_scalar("SELECT quote_ident(current_user)")
                .fetch_one(connection)
                .await?;
            Err(refusal(error, &user))
        }
        Err(error) => Err(Error::of(error)),
    }
}

fn refusal(error: sqlx::Error, user: &str) -> Error {
    if !is_denied(&error) {
        return Error::of(error);
    }
    tracing::warn!(%error, "the change log cannot be installed");
    let user = if user.is_empty() { "the database user" } else { user };
    Error::NotGranted(format!(
        "{user} may not keep Tombolo's own tables; run: \
         CREATE SCHEMA IF NOT EXISTS tombolo AUTHORIZATION {user}, \
         or if the schema is there: ALTER SCHEMA tombolo OWNER TO {user}"
    ))
}
