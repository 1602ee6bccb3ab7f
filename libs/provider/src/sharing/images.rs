//! Images, read.

use std::collections::HashMap;

use proto::query::v1 as pb;
use proto::query::v1::value::Kind as Value;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use super::map::Map;
use super::rights::Unrestricted;
use crate::error::Error;
use crate::plan::{self, ImageQuery, ImageStatement, Past, Which};
use crate::row;

/// A row, as a map sees it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) id: Uuid,
    pub(crate) image: pb::Image,
    /// It is of a linked company.
    pub(crate) linked: bool,
    /// It meets the filter.
    pub(crate) matches: bool,
    /// Which of the keys that were looked for it has, from 0.
    pub(crate) place: Option<usize>,
}

impl Seen {
    /// It takes part in the map.
    pub(crate) fn takes_part(&self) -> bool {
        self.linked && self.matches
    }
}

/// Reads images, as rows are now.
pub(crate) async fn read(
    connection: &mut PgConnection,
    rights: &Unrestricted<'_>,
    map: &Map,
    which: &Which<'_>,
) -> Result<Vec<Seen>, Error> {
    if which.ids.is_some_and(<[Uuid]>::is_empty) {
        return Ok(Vec::new());
    }
    let grants = rights.grants(&map.binding);
    let statement = plan::images(&grants, &map.query(), which, None)?;
    fetch(connection, map, statement).await
}

/// Reads images of some rows, by their ids.
pub(crate) async fn now(
    connection: &mut PgConnection,
    rights: &Unrestricted<'_>,
    map: &Map,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Seen>, Error> {
    let which = Which { ids: Some(ids), unfiltered: true, unlinked: true, ..Which::default() };
    let seen = read(connection, rights, map, &which).await?;
    Ok(seen.into_iter().map(|it| (it.id, it)).collect())
}

/// Reads images of some rows, as they were.
pub(crate) async fn then(
    connection: &mut PgConnection,
    rights: &Unrestricted<'_>,
    map: &Map,
    ids: &[Uuid],
    past: Past,
) -> Result<HashMap<Uuid, Seen>, Error> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let which = Which { ids: Some(ids), unfiltered: true, unlinked: true, ..Which::default() };
    let grants = rights.grants(&map.binding);
    let statement = plan::images(&grants, &map.query(), &which, Some(past))?;
    let seen = fetch(connection, map, statement).await?;
    Ok(seen.into_iter().map(|it| (it.id, it)).collect())
}

/// Locks rows, and says which they are: id, and place among the keys.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    rights: &Unrestricted<'_>,
    map: &Map,
    which: &Which<'_>,
) -> Result<Vec<(Uuid, Option<usize>)>, Error> {
    let grants = rights.grants(&map.binding);
    let bare = ImageQuery { columns: &[], ..map.query() };
    let statement = plan::lock_images(&grants, &bare, which)?;
    let seen = fetch(connection, map, statement).await?;
    Ok(seen.into_iter().map(|it| (it.id, it.place)).collect())
}

/// Locks rows, and reads what they hold; with each, as of which snapshot. What is seen after that may be more: somebody
/// else's change that was waited for, in the row or in one that it is joined with.
pub(crate) async fn lock_and_read(
    connection: &mut PgConnection,
    rights: &Unrestricted<'_>,
    map: &Map,
    which: &Which<'_>,
) -> Result<Vec<(Seen, String)>, Error> {
    let grants = rights.grants(&map.binding);
    let statement = plan::lock_images(&grants, &map.query(), which)?;
    let rows = rows(connection, map, &statement).await?;
    let read = |row: &PgRow| Ok((seen(row, &statement)?, row.try_get(statement.flags + 3)?));
    rows.iter().map(|row| read(row).map_err(Error::Row)).collect()
}

async fn fetch(
    connection: &mut PgConnection,
    map: &Map,
    statement: ImageStatement,
) -> Result<Vec<Seen>, Error> {
    let rows = rows(connection, map, &statement).await?;
    rows.iter().map(|row| seen(row, &statement).map_err(Error::Row)).collect()
}

async fn rows(
    connection: &mut PgConnection,
    map: &Map,
    statement: &ImageStatement,
) -> Result<Vec<PgRow>, Error> {
    let of = |error| Error::of(map.binding.name(), error);
    let arguments = statement.arguments.clone().encode().map_err(of)?;
    let query = sqlx::query_with(AssertSqlSafe(statement.sql.as_str()), arguments);
    query.fetch_all(connection).await.map_err(of)
}

fn seen(row: &PgRow, statement: &ImageStatement) -> Result<Seen, sqlx::Error> {
    let id = match row::value(&statement.id, row)?.kind {
        Some(Value::GuidValue(it)) => Uuid::from_slice(&it).unwrap_or_default(),
        _ => Uuid::nil(),
    };
    let company = match &statement.company {
        Some(reader) => row::value(reader, row)?.kind,
        None => None,
    };
    let company = match company {
        Some(Value::StringValue(it)) => it,
        _ => String::new(),
    };
    let values =
        statement.columns.iter().map(|it| row::value(it, row)).collect::<Result<_, _>>()?;
    let place: Option<i64> = row.try_get(statement.flags + 2)?;
    Ok(Seen {
        id,
        image: pb::Image { record_id: id.into_bytes().to_vec().into(), company, values },
        linked: row.try_get(statement.flags)?,
        matches: row.try_get(statement.flags + 1)?,
        place: place.and_then(|it| usize::try_from(it - 1).ok()),
    })
}
