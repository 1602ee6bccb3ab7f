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
use crate::plan::{self, ImageQuery, ImageStatement, Look, Past, Which};
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
    let statement = plan::lock_images(&grants, &bare, which, None)?;
    let seen = fetch(connection, map, statement).await?;
    Ok(seen.into_iter().map(|it| (it.id, it.place)).collect())
}

/// What a look says of a map that is there.
#[derive(Debug)]
pub(crate) struct Looked {
    /// Behind which snapshot it looked; nowhere, where nobody follows the map yet.
    pub(crate) since: Option<String>,
    /// As of which snapshot.
    pub(crate) present: String,
    /// Something waits.
    pub(crate) waits: bool,
    /// The map's.
    pub(crate) definition: Vec<u8>,
}

/// Rows, each with the snapshot that it is of.
pub(crate) type Locked = Vec<(Seen, String)>;

/// Locks rows, and reads what they hold; with each, as of which snapshot. What is seen after that may be more: somebody
/// else's change that was waited for, in the row or in one that it is joined with. A look sees that.
pub(crate) async fn lock_and_read(
    connection: &mut PgConnection,
    rights: &Unrestricted<'_>,
    map: &Map,
    (which, look): (&Which<'_>, Option<Look>),
) -> Result<(Locked, Option<Looked>), Error> {
    let grants = rights.grants(&map.binding);
    let is_looked = look.is_some();
    let statement = plan::lock_images(&grants, &map.query(), which, look)?;
    let rows = rows(connection, map, &statement).await?;
    let snapshot = statement.flags + 3;
    let looked = match rows.first().filter(|_| is_looked) {
        Some(row) => looked(row, snapshot + 1).map_err(Error::Row)?,
        None => None,
    };
    let mut locked = Vec::with_capacity(rows.len());
    for row in &rows {
        if let Some(of) = row.try_get(snapshot).map_err(Error::Row)? {
            locked.push((seen(row, &statement).map_err(Error::Row)?, of));
        }
    }
    Ok((locked, looked))
}

/// Looks without locks. `None` where the map is not there.
pub(crate) async fn look(
    connection: &mut PgConnection,
    look: Look,
) -> Result<Option<Looked>, Error> {
    let (sql, arguments) = plan::look(look);
    let arguments = arguments.encode().map_err(Error::database)?;
    let query = sqlx::query_with(AssertSqlSafe(sql), arguments);
    let row = query.fetch_one(connection).await.map_err(Error::database)?;
    looked(&row, 0).map_err(Error::Row)
}

fn looked(row: &PgRow, first: usize) -> Result<Option<Looked>, sqlx::Error> {
    let Some(definition) = row.try_get(first + 3)? else { return Ok(None) };
    let (since, present) = (row.try_get(first)?, row.try_get(first + 1)?);
    Ok(Some(Looked { since, present, waits: row.try_get(first + 2)?, definition }))
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
