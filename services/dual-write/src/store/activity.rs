//! What happened, for the activity log (spec DW-44).

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use crate::error::Error;

/// What happened to a map, or to the link.
#[derive(Clone, Debug)]
pub(crate) struct Activity {
    /// `MapStarted`.
    pub(crate) kind: &'static str,
    pub(crate) message: String,
    pub(crate) detail: Value,
}

/// One that was written down.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) id: i64,
    pub(crate) map: String,
    pub(crate) kind: String,
    pub(crate) message: String,
    pub(crate) actor: String,
    /// A JSON object.
    pub(crate) detail: String,
    pub(crate) occur_time: DateTime<Utc>,
}

type Columns = (i64, String, String, String, String, String, DateTime<Utc>);

/// Writes down what happened to `map`; empty: to the link. `actor` is `users/…`, `alertRules/…`, or
/// empty for the service itself.
pub(crate) async fn record(
    connection: &mut PgConnection,
    map: &str,
    kind: &str,
    message: &str,
    actor: &str,
    detail: Value,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO activity (map, kind, message, actor, detail) VALUES ($1, $2, $3, $4, $5::jsonb)",
    )
    .bind(map)
    .bind(kind)
    .bind(message)
    .bind(actor)
    .bind(detail.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// The newest `limit`, of those before the activity `before`; `map` is a name or `maps/-`.
pub(crate) async fn list(
    connection: &mut PgConnection,
    map: &str,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Recorded>, Error> {
    let rows: Vec<Columns> = sqlx::query_as(
        "SELECT id, map, kind, message, actor, detail::text, occur_time FROM activity
         WHERE ($1 = 'maps/-' OR map = $1) AND ($2::bigint IS NULL OR id < $2)
         ORDER BY id DESC LIMIT $3",
    )
    .bind(map)
    .bind(before)
    .bind(limit)
    .fetch_all(connection)
    .await?;
    let one = |(id, map, kind, message, actor, detail, occur_time)| Recorded {
        id,
        map,
        kind,
        message,
        actor,
        detail,
        occur_time,
    };
    Ok(rows.into_iter().map(one).collect())
}

// === impl Activity ===

impl Activity {
    pub(crate) fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), detail: Value::Object(serde_json::Map::new()) }
    }

    pub(crate) fn with(mut self, detail: Value) -> Self {
        self.detail = detail;
        self
    }

    pub(crate) async fn record(
        &self,
        connection: &mut PgConnection,
        map: &str,
        actor: &str,
    ) -> Result<(), Error> {
        record(connection, map, self.kind, &self.message, actor, self.detail.clone()).await
    }
}
