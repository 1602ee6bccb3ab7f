//! Which failed changes there are.

use chrono::{DateTime, Utc};
use proto::dual_write::v1::{FailedChangeFilter, Side};
use sqlx::PgConnection;

use super::{COLUMNS, Stored, number, time_of};
use crate::error::Error;

/// Stands for all maps.
const EVERY_MAP: &str = "maps/-";

/// Which ones are meant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choice {
    /// `maps/…` or `maps/-`.
    pub(crate) map: String,
    /// `None`: those of the filter.
    pub(crate) ids: Option<Vec<i64>>,
    pub(crate) kind: i16,
    pub(crate) side: i16,
    pub(crate) retry_state: i16,
    pub(crate) origin: i16,
    pub(crate) start_time: Option<DateTime<Utc>>,
    pub(crate) end_time: Option<DateTime<Utc>>,
}

/// Binds [`Choice`] as `$1` to `$8`.
pub(super) const CHOSEN: &str = "($1 = 'maps/-' OR map = $1)
    AND ($2::bigint[] IS NULL OR id = ANY ($2))
    AND ($3::smallint = 0 OR kind = $3) AND ($4::smallint = 0 OR side = $4)
    AND ($5::smallint = 0 OR retry_state = $5) AND ($6::smallint = 0 OR origin = $6)
    AND ($7::timestamptz IS NULL OR commit_time >= $7)
    AND ($8::timestamptz IS NULL OR commit_time < $8)";

/// Binds a choice to a statement that has [`CHOSEN`].
macro_rules! bind_choice {
    ($query:expr, $choice:expr) => {
        $query
            .bind(&$choice.map)
            .bind(&$choice.ids)
            .bind($choice.kind)
            .bind($choice.side)
            .bind($choice.retry_state)
            .bind($choice.origin)
            .bind($choice.start_time)
            .bind($choice.end_time)
    };
}
pub(super) use bind_choice;

/// The next `limit` of them behind `after`, as they came.
pub(crate) async fn list(
    connection: &mut PgConnection,
    choice: &Choice,
    after: Option<i64>,
    limit: i64,
) -> Result<Vec<Stored>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM failed_change
         WHERE {CHOSEN} AND ($9::bigint IS NULL OR id > $9) ORDER BY id LIMIT $10"
    );
    let query = bind_choice!(sqlx::query_as(sqlx::AssertSqlSafe(sql)), choice);
    Ok(query.bind(after).bind(limit).fetch_all(connection).await?)
}

pub(crate) async fn get(
    connection: &mut PgConnection,
    map: &str,
    id: i64,
) -> Result<Option<Stored>, Error> {
    let choice = Choice { map: map.to_owned(), ids: Some(vec![id]), ..Choice::default() };
    Ok(list(connection, &choice, None, 1).await?.pop())
}

/// Failed changes and conflicts of one row that nobody has settled, oldest first.
pub(crate) async fn of_record(
    connection: &mut PgConnection,
    map: &str,
    record_ids: &[Vec<u8>],
    key_digests: &[Vec<u8>],
) -> Result<Vec<Stored>, Error> {
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM failed_change
         WHERE map = $1 AND (record_id = ANY ($2) OR row_key = ANY ($3)) AND retry_state <> 3
         ORDER BY id LIMIT 100"
    )))
    .bind(map)
    .bind(record_ids)
    .bind(key_digests)
    .fetch_all(connection)
    .await?)
}

// === impl Choice ===

impl Choice {
    /// Those with these names, or, without any, those of the filter.
    pub(crate) fn new(
        map: &str,
        names: &[String],
        filter: Option<&FailedChangeFilter>,
    ) -> Result<Self, Error> {
        let filter = filter.cloned().unwrap_or_default();
        let ids = names.iter().map(|it| id_of(map, it)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            map: map.to_owned(),
            ids: (!ids.is_empty()).then_some(ids),
            kind: number(filter.kind),
            side: number(Side::try_from(filter.side).unwrap_or(Side::Unspecified) as i32),
            retry_state: number(filter.retry_state),
            origin: number(filter.origin),
            start_time: filter.start_time.as_ref().map(|it| time_of(Some(it))),
            end_time: filter.end_time.as_ref().map(|it| time_of(Some(it))),
        })
    }
}

/// The number in `maps/…/syncErrors/812`, where it is of this map.
pub(crate) fn id_of(map: &str, name: &str) -> Result<i64, Error> {
    let id = name
        .rsplit_once("/syncErrors/")
        .filter(|(of, _)| map == EVERY_MAP || *of == map)
        .and_then(|(_, id)| id.parse().ok());
    id.ok_or_else(|| Error::NotFound(crate::names::shown(name)))
}
