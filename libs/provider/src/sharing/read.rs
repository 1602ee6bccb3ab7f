//! Images and conflicts, read by themselves.

use prost::Message as _;
use proto::query::v1 as pb;
use sqlx::postgres::PgRow;
use sqlx::types::chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Row as _};
use std::time::SystemTime;
use uuid::Uuid;

use super::Sharing;
use super::images::{self, Seen};
use super::log::Reading;
use super::map::Map;
use super::maps;
use super::rights::Unrestricted;
use super::select::Selected;
use super::value;
use crate::changes::Failure;
use crate::error::Error;
use crate::plan::{self, Which};

const FORGET: &str = "DELETE FROM tombolo.dual_write_conflict WHERE id <= $1";
const TAKE: &str = "
    SELECT id, map, record_id, occur_time, winner, loser, incoming_won
    FROM tombolo.dual_write_conflict WHERE id > $1 ORDER BY id LIMIT $2";

impl Sharing {
    pub(super) async fn read(
        &self,
        request: pb::ReadImagesRequest,
        size: i32,
    ) -> Result<pb::ReadImagesResponse, Failure> {
        let selected = Selected::of(request.selection.unwrap_or_default())?;
        let rights = Unrestricted(self.authority());
        let map = Map::compile(&rights, selected.side.clone())?;
        // Rows that are named need no order, and all of them are answered.
        let is_named = selected.names_rows();
        let which = Which {
            after: request.after.as_ref(),
            until: request.until.as_ref(),
            limit: (!is_named).then_some(i64::from(size) + 1),
            ..selected.which()
        };
        let mut reading = Reading::begin(self).await?;
        let mut seen = images::read(reading.connection()?, &rights, &map, &which).await?;
        reading.end().await?.finish();
        let more = !is_named && cut(&map, &mut seen, usize::try_from(size).unwrap_or_default());
        let matches = match selected.unfiltered {
            true => seen.iter().map(|it| it.matches).collect(),
            false => Vec::new(),
        };
        let images = seen.into_iter().map(|it| it.image).collect();
        Ok(pb::ReadImagesResponse { images, matches, more })
    }

    pub(super) async fn count(
        &self,
        selection: pb::ImageSelection,
        explain: bool,
    ) -> Result<pb::CountImagesResponse, Failure> {
        let selected = Selected::of(selection)?;
        let rights = Unrestricted(self.authority());
        let map = Map::compile(&rights, selected.side.clone())?;
        let of = |error| Failure::Provider(Error::of(map.binding.name(), error));
        let grants = rights.grants(&map.binding);
        let (sql, arguments) = plan::count_images(&grants, &map.query(), &selected.which())?;
        let entity = map.binding.name();
        let statement = match explain {
            true => Some(self.provider().explained(entity, sql.clone(), arguments.clone()).await?),
            false => None,
        };
        let mut reading = Reading::begin(self).await?;
        let query = sqlx::query_scalar_with(AssertSqlSafe(sql), arguments.encode().map_err(of)?);
        let count = query.fetch_one(reading.connection()?).await.map_err(of)?;
        reading.end().await?.finish();
        Ok(pb::CountImagesResponse { count, statement })
    }

    /// Conflicts behind the one that the caller has stored, which are forgotten up to it.
    pub(super) async fn conflicts(
        &self,
        after: i64,
        size: i64,
    ) -> Result<Vec<pb::RowConflict>, Failure> {
        let database = |error| Failure::Provider(Error::database(error));
        let mut lease = self.lease().await?;
        let connection = lease.connection().map_err(database)?;
        let mut conflicts = Vec::new();
        if maps::are_there(connection, self.provider()).await.map_err(database)? {
            let forget = sqlx::query(FORGET).bind(after).execute(&mut *connection);
            forget.await.map_err(database)?;
            let take = sqlx::query(TAKE).bind(after).bind(size).fetch_all(connection);
            let rows = take.await.map_err(database)?;
            let read = rows.iter().map(conflict).collect::<Result<_, _>>();
            conflicts = read.map_err(|error| Failure::Provider(Error::Row(error)))?;
        }
        lease.finish();
        Ok(conflicts)
    }
}

fn conflict(row: &PgRow) -> Result<pb::RowConflict, sqlx::Error> {
    let values = |column: usize| {
        let bytes: Vec<u8> = row.try_get(column)?;
        let decoded = pb::AlternateKeyValues::decode(bytes.as_slice());
        decoded.map(|it| it.values).map_err(|it| sqlx::Error::Decode(it.into()))
    };
    let (record_id, at): (Uuid, DateTime<Utc>) = (row.try_get(2)?, row.try_get(3)?);
    Ok(pb::RowConflict {
        id: row.try_get(0)?,
        map: row.try_get(1)?,
        record_id: record_id.into_bytes().to_vec().into(),
        occur_time: Some(SystemTime::from(at).into()),
        winner: values(4)?,
        loser: values(5)?,
        incoming_won: row.try_get(6)?,
    })
}

/// Leaves the rows of a page: those of one key stay together, as the next page begins behind a key. Whether
/// there are more.
fn cut(map: &Map, seen: &mut Vec<Seen>, size: usize) -> bool {
    let Some(first_left) = seen.get(size).map(|it| folded(&map.key_of(&it.image))) else {
        return false;
    };
    let kept = seen.iter().take_while(|it| folded(&map.key_of(&it.image)) != first_left).count();
    // A page that is all of one key is longer.
    if kept > 0 {
        seen.truncate(kept);
    }
    true
}

/// A key as it is compared, at the least.
fn folded(key: &pb::ImageKey) -> pb::ImageKey {
    let values = key.values.iter().map(value::folded).collect();
    pb::ImageKey { company: key.company.to_lowercase(), values }
}
