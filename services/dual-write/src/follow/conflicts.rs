//! Both sides changed the same columns of a row: the primary side's values stay, and what lost is shown
//! among the failed changes (spec DW-61).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use proto::dual_write::v1::{
    ChangeOperation, FailedChangeOrigin, PendingChange, Record, Side, SyncErrorKind,
};
use proto::query::v1 as wire;
use sqlx::PgConnection;

use super::change::{FieldNames, RowIdentity};
use super::failures::{self, Failed, Losses};
use super::refusal;
use crate::alerts;
use crate::core::Core;
use crate::error::Error;
use crate::peers::{asked, other};

const PAGE_SIZE: i32 = 1_000;
const LOOKED: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Collects conflicts of both sides.
pub(super) async fn run(core: &Core) {
    tokio::join!(follow(core, Side::FinanceAndOperations), follow(core, Side::Platform));
}

async fn follow(core: &Core, side: Side) {
    let mut pause = LOOKED;
    loop {
        pause = match collect(core, side).await {
            Ok(()) => LOOKED,
            Err(error) => {
                tracing::debug!(?side, %error, "conflicts wait");
                (pause * 2).min(LONGEST_PAUSE)
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Takes all there are. A page is stored with the number up to which the side may forget.
pub(super) async fn collect(core: &Core, side: Side) -> Result<(), Error> {
    if core.maps.all().is_empty() {
        return Ok(());
    }
    loop {
        let mut transaction = core.store.begin().await?;
        let after_id = after(&mut transaction, side).await?;
        let request = wire::TakeConflictsRequest { after_id, page_size: PAGE_SIZE };
        let answer = core.sides.of(side).sharing().take_conflicts(asked(request)).await;
        let conflicts = answer.map_err(|it| Error::of_side(side, it))?.into_inner().conflicts;
        let Some(last) = conflicts.iter().map(|it| it.id).max() else { return Ok(()) };
        let records = records(core, side, &conflicts).await?;
        let lost = conflicts.into_iter();
        let lost = lost.filter_map(|it| self::failed(core, side, it, &records));
        let mut failed: Vec<Failed> = lost.collect();
        let mut losses = Losses::load(&mut transaction, &failed).await?;
        failed.retain(|it| !losses.has(it));
        failures::store_all(&mut transaction, &failed).await?;
        sqlx::query("UPDATE conflict_progress SET after_id = $2 WHERE side = $1")
            .bind(i16::try_from(side as i32).unwrap_or_default())
            .bind(last)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        let told = failed.into_iter().map(|it| alerts::Failure {
            map: it.row.map,
            source: it.side,
            error: it.error,
            record: it.change.record,
        });
        let told: Vec<_> = told.collect();
        alerts::report(core, &told).await;
    }
}

/// The number of the last one that is stored; whoever else asks waits.
async fn after(connection: &mut PgConnection, side: Side) -> Result<i64, Error> {
    Ok(sqlx::query_scalar(
        "INSERT INTO conflict_progress (side, after_id) VALUES ($1, 0)
         ON CONFLICT (side) DO UPDATE SET after_id = conflict_progress.after_id
         RETURNING after_id",
    )
    .bind(i16::try_from(side as i32).unwrap_or_default())
    .fetch_one(connection)
    .await?)
}

/// What people call the rows, by map and id. A row that is gone has no more than its id.
async fn records(
    core: &Core,
    side: Side,
    conflicts: &[wire::RowConflict],
) -> Result<HashMap<(String, Vec<u8>), Record>, Error> {
    let mut by_map: BTreeMap<&str, BTreeSet<&[u8]>> = BTreeMap::new();
    for it in conflicts {
        by_map.entry(&it.map).or_default().insert(&it.record_id);
    }
    let mut records = HashMap::new();
    for (name, ids) in by_map {
        let Some(map) = core.maps.get(name).filter(|it| it.compiled.is_some()) else { continue };
        let map_side = map.side(side);
        let selection = wire::ImageSelection {
            map_side: Some(map_side.clone()),
            record_ids: ids.into_iter().map(|it| it.to_vec().into()).collect(),
            unfiltered: true,
            ..Default::default()
        };
        let request = wire::ReadImagesRequest {
            selection: Some(selection),
            page_size: PAGE_SIZE,
            ..Default::default()
        };
        let found = core.sides.of(side).sharing().read_images(asked(request)).await;
        let found = found.map_err(|it| Error::of_side(side, it))?.into_inner();
        let names = FieldNames::new(side, map_side);
        for image in found.images {
            let id = (name.to_owned(), image.record_id.to_vec());
            records.insert(id, names.record(&image));
        }
    }
    Ok(records)
}

/// `None` for a map that is no longer there.
fn failed(
    core: &Core,
    side: Side,
    conflict: wire::RowConflict,
    records: &HashMap<(String, Vec<u8>), Record>,
) -> Option<Failed> {
    let map = core.maps.get(&conflict.map)?;
    // Values, and the row's id, are those of the side that met the conflict.
    let record = records.get(&(conflict.map.clone(), conflict.record_id.to_vec())).cloned();
    let record = record.unwrap_or_else(|| Record {
        side: side.into(),
        entity_name: map.side(side).entity_name,
        record_id: conflict.record_id.clone(),
        ..Record::default()
    });
    let lost = if conflict.incoming_won { side } else { other(side) };
    let columns: Vec<&str> = conflict.loser.iter().map(|it| it.field.as_str()).collect();
    let message = match (columns.as_slice(), conflict.winner.is_empty()) {
        ([], _) => "one side deleted the row that the other side changed, and it stays".to_owned(),
        (_, true) => {
            "one side changed the row that the other side deleted, and it is gone".to_owned()
        }
        _ => format!("both sides changed {}, and the primary side won", columns.join(", ")),
    };
    let mut error = refusal::own_error(SyncErrorKind::Conflict, message);
    error.field = columns.first().copied().unwrap_or_default().to_owned();
    error.occur_time = conflict.occur_time;
    let origin = FailedChangeOrigin::Asynchronous;
    let change = PendingChange {
        position: conflict.id,
        record: Some(record),
        operation: ChangeOperation::Update.into(),
        before: Vec::new(),
        after: conflict.loser,
        user: String::new(),
        commit_time: conflict.occur_time,
    };
    let row = RowIdentity {
        map: conflict.map,
        record_id: conflict.record_id.to_vec(),
        key_digest: Vec::new(),
    };
    Some(Failed { row, side: lost, change, error, origin, winner: conflict.winner })
}
