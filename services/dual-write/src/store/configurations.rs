//! What each side may hold of each map. The row is there from before a side is told until it is known to
//! have forgotten, and is the lock under which it is told.

use proto::dual_write::v1::Side;
use sqlx::PgConnection;

use crate::error::Error;
use crate::store::{side_of, side_text};

/// What a side acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    /// 0: nothing yet.
    pub(crate) epoch: i64,
    /// The `MapSide` that it was given.
    pub(crate) map_side: Vec<u8>,
}

/// Says that a side may come to hold something of the map.
pub(crate) async fn expect(
    connection: &mut PgConnection,
    map: &str,
    side: Side,
) -> Result<(), Error> {
    sqlx::query("INSERT INTO map_configuration (map, side) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(map)
        .bind(side_text(side))
        .execute(connection)
        .await?;
    Ok(())
}

/// What the side acknowledged, with the lock; `None` where there is nothing, or somebody else is at it.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    map: &str,
    side: Side,
) -> Result<Option<Acknowledged>, Error> {
    let row: Option<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT epoch, map_side FROM map_configuration WHERE map = $1 AND side = $2
         FOR UPDATE SKIP LOCKED",
    )
    .bind(map)
    .bind(side_text(side))
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|(epoch, map_side)| Acknowledged { epoch, map_side }))
}

/// Takes the lock, whoever has to be waited for. False where there is no row, and so no lock.
pub(crate) async fn wait(
    connection: &mut PgConnection,
    map: &str,
    side: Side,
) -> Result<bool, Error> {
    let found =
        sqlx::query("SELECT FROM map_configuration WHERE map = $1 AND side = $2 FOR UPDATE")
            .bind(map)
            .bind(side_text(side))
            .fetch_optional(connection)
            .await?;
    Ok(found.is_some())
}

pub(crate) async fn acknowledge(
    connection: &mut PgConnection,
    map: &str,
    side: Side,
    acknowledged: &Acknowledged,
) -> Result<(), Error> {
    sqlx::query(
        "UPDATE map_configuration SET epoch = $3, map_side = $4 WHERE map = $1 AND side = $2",
    )
    .bind(map)
    .bind(side_text(side))
    .bind(acknowledged.epoch)
    .bind(&acknowledged.map_side)
    .execute(connection)
    .await?;
    Ok(())
}

/// The side has forgotten the map.
pub(crate) async fn forget(
    connection: &mut PgConnection,
    map: &str,
    side: Side,
) -> Result<(), Error> {
    sqlx::query("DELETE FROM map_configuration WHERE map = $1 AND side = $2")
        .bind(map)
        .bind(side_text(side))
        .execute(connection)
        .await?;
    Ok(())
}

/// Every side that may hold something, with the epoch that it acknowledged.
pub(crate) async fn all(
    connection: &mut PgConnection,
) -> Result<Vec<(String, Side, Acknowledged)>, Error> {
    let rows: Vec<(String, String, i64, Vec<u8>)> = sqlx::query_as(
        "SELECT map, side, epoch, map_side FROM map_configuration ORDER BY map, side",
    )
    .fetch_all(connection)
    .await?;
    let one = |(map, side, epoch, map_side): (_, String, _, _)| {
        Ok((map, side_of(&side)?, Acknowledged { epoch, map_side }))
    };
    rows.into_iter().map(one).collect()
}

/// What the sides acknowledged of one map.
pub(crate) async fn of(
    connection: &mut PgConnection,
    map: &str,
) -> Result<Vec<(Side, Acknowledged)>, Error> {
    let rows: Vec<(String, i64, Vec<u8>)> =
        sqlx::query_as("SELECT side, epoch, map_side FROM map_configuration WHERE map = $1")
            .bind(map)
            .fetch_all(connection)
            .await?;
    let one = |(side, epoch, map_side): (String, _, _)| {
        Ok((side_of(&side)?, Acknowledged { epoch, map_side }))
    };
    rows.into_iter().map(one).collect()
}
