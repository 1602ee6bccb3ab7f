//! What the last scheduled checks found.

use proto::dual_write::v1::{HealthCheck, Side};
use sqlx::PgConnection;

use crate::error::Error;
use crate::store::side_text;

/// Keeps a result, and returns the one before.
pub(crate) async fn put(
    connection: &mut PgConnection,
    code: &str,
    side: Side,
    check: &HealthCheck,
) -> Result<Option<bool>, Error> {
    let before = sqlx::query_scalar("SELECT passed FROM health WHERE code = $1 AND side = $2")
        .bind(code)
        .bind(side_text(side))
        .fetch_optional(&mut *connection)
        .await?;
    sqlx::query(
        "INSERT INTO health (code, side, passed, message) VALUES ($1, $2, $3, $4)
         ON CONFLICT (code, side) DO UPDATE SET passed = excluded.passed,
             message = excluded.message, check_time = now()",
    )
    .bind(code)
    .bind(side_text(side))
    .bind(check.passed)
    .bind(&check.message)
    .execute(connection)
    .await?;
    Ok(before)
}
