//! What is left of a transaction whose end was refused.

use sqlx::postgres::{PgConnection, PgDatabaseError};

use crate::error::{Error, code};

/// The table of our own has the row already.
pub(crate) fn is_there(error: &sqlx::Error, table: &str) -> bool {
    const UNIQUE_VIOLATION: &str = "23505";
    let of = error.as_database_error().and_then(|it| it.try_downcast_ref::<PgDatabaseError>());
    let is_ours = of.is_some_and(|it| it.schema() == Some("tombolo") && it.table() == Some(table));
    is_ours && code(error) == UNIQUE_VIOLATION
}

/// Of a transaction that has failed.
pub(crate) async fn roll_back(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::raw_sql("ROLLBACK").execute(connection).await.map(drop).map_err(Error::of)
}
