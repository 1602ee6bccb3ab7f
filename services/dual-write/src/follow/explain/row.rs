//! A row that is asked for, whatever its company and whether it meets the filter.

use chrono::{DateTime, Utc};
use proto::dual_write::v1::Side;
use proto::query::v1 as wire;
use proto::query::v1::record_key::Key;
use proto::query::v1::value::Kind;
use tonic::Code;

use crate::core::Core;
use crate::error::Error;
use crate::follow::failures::time_of;
use crate::follow::keys;
use crate::maps::ActiveMap;
use crate::peers::asked;

/// One row of a side.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) image: wire::Image,
    /// It meets the map's filter.
    pub(super) matches: bool,
}

/// The row with this id or key.
pub(super) async fn read(
    core: &Core,
    map: &ActiveMap,
    side: Side,
    key: &wire::RecordKey,
) -> Result<Option<Row>, Error> {
    let (record_ids, keys) = match &key.key {
        None => return Err(Error::invalid("key", "is missing")),
        Some(Key::RecordId(id)) => (vec![id.clone()], Vec::new()),
        Some(Key::Alternate(it)) => {
            let found = keys::on_side(&map.side(side), &it.values);
            let other = || keys::on_both_sides(map, &it.values).map(|_| None);
            // Says what the key is, where these are no values of one.
            let key = found.map_or_else(other, |it| Ok(Some(it)))?;
            let key = key.ok_or_else(|| Error::invalid("key", "is of the other side"))?;
            (Vec::new(), vec![key])
        }
    };
    select(core, map, side, record_ids, keys).await
}

/// The row with this key.
pub(super) async fn by_key(
    core: &Core,
    map: &ActiveMap,
    side: Side,
    key: wire::ImageKey,
) -> Result<Option<Row>, Error> {
    select(core, map, side, Vec::new(), vec![key]).await
}

/// When it was last changed with events skipped, if nobody has changed it since, as far as the side's log tells.
pub(super) async fn skipped(
    core: &Core,
    map: &ActiveMap,
    side: Side,
    row: &Row,
) -> Result<Option<DateTime<Utc>>, Error> {
    let request_map = &map.name;
    let record_id = row.image.record_id.clone();
    let request = wire::FindSkippedChangeRequest { map: map.name.clone(), record_id };
    let answer = core.sides.of(side).sharing().find_skipped_change(asked(request)).await;
    match answer {
        Ok(answer) => Ok(answer.into_inner().change_time.as_ref().map(|it| time_of(Some(it)))),
        // A map that does not run is not known there.
        Err(status) if status.code() == Code::NotFound => Ok(None),
        // All else that is known of the row is worth telling, however many changes were skipped.
        Err(status)
            if matches!(status.code(), Code::DeadlineExceeded | Code::ResourceExhausted) =>
        {
            tracing::warn!(map = request_map, %status, "skipped changes are too many to look through");
            Ok(None)
        }
        Err(status) => Err(Error::of_side(side, status)),
    }
}

/// Rows of companies that are not linked are none of the map's, so the company is read as any other column.
async fn select(
    core: &Core,
    map: &ActiveMap,
    side: Side,
    record_ids: Vec<prost::bytes::Bytes>,
    keys: Vec<wire::ImageKey>,
) -> Result<Option<Row>, Error> {
    let mut map_side = map.side(side);
    map_side.companies.clear();
    let company = std::mem::take(&mut map_side.company_column);
    let mut keys = keys;
    if !company.is_empty() {
        map_side.key_columns.extend(i32::try_from(map_side.columns.len()));
        map_side.columns.push(company.clone());
        for key in &mut keys {
            let company = Kind::StringValue(std::mem::take(&mut key.company));
            key.values.push(wire::Value { kind: Some(company) });
        }
    }
    let map_side = Some(map_side);
    let selection =
        wire::ImageSelection { map_side, record_ids, keys, unfiltered: true, ..Default::default() };
    let request =
        wire::ReadImagesRequest { selection: Some(selection), page_size: 1, ..Default::default() };
    let answer = core.sides.of(side).sharing().read_images(asked(request)).await;
    let answer = answer.map_err(|it| Error::of_side(side, it))?.into_inner();
    let Some(mut image) = answer.images.into_iter().next() else { return Ok(None) };
    if !company.is_empty() {
        image.company = match image.values.pop().and_then(|it| it.kind) {
            Some(Kind::StringValue(it)) => it,
            _ => String::new(),
        };
    }
    let matches = answer.matches.first().copied().unwrap_or(true);
    Ok(Some(Row { image, matches }))
}
