//! How far the log of each side has been taken, for each map.

use chrono::{DateTime, Utc};
use proto::dual_write::v1::Side;
use sqlx::PgConnection;

use crate::error::Error;
use crate::store::side_text;

/// Behind it is what has not been taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) side: Side,
    /// As the side gave it out.
    pub(crate) position: String,
    /// When the side gave it out.
    pub(crate) as_of: DateTime<Utc>,
}

/// Of both sides, as far as they are noted.
pub(crate) async fn load(connection: &mut PgConnection, map: &str) -> Result<Vec<Position>, Error> {
    let rows: Vec<(String, String, DateTime<Utc>)> =
        sqlx::query_as("SELECT side, position, as_of FROM map_position WHERE map = $1")
            .bind(map)
            .fetch_all(connection)
            .await?;
    let position = |(side, position, as_of): (String, _, _)| {
        Ok(Position { side: super::side_of(&side)?, position, as_of })
    };
    rows.into_iter().map(position).collect()
}

pub(crate) async fn store(
    connection: &mut PgConnection,
    map: &str,
    side: Side,
    position: &str,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO map_position (map, side, position, as_of) VALUES ($1, $2, $3, now())
         ON CONFLICT (map, side) DO UPDATE SET position = excluded.position, as_of = excluded.as_of",
    )
    .bind(map)
    .bind(side_text(side))
    .bind(position)
    .execute(connection)
    .await?;
    Ok(())
}

/// The same, unless there is one.
pub(crate) async fn begin(
    connection: &mut PgConnection,
    map: &str,
    side: Side,
    position: &str,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO map_position (map, side, position, as_of) VALUES ($1, $2, $3, now())
         ON CONFLICT DO NOTHING",
    )
    .bind(map)
    .bind(side_text(side))
    .bind(position)
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets both.
pub(crate) async fn clear(connection: &mut PgConnection, map: &str) -> Result<(), Error> {
    sqlx::query("DELETE FROM map_position WHERE map = $1").bind(map).execute(connection).await?;
    Ok(())
}
