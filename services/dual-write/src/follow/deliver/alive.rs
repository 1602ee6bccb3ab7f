//! Deleted rows whose keys are in use again.

use std::collections::{BTreeMap, HashMap, HashSet};

use proto::query::v1 as wire;

use super::{Delivery, Failure};
use crate::follow::change::{Change, Images, is_upsert, key_digest};
use crate::image;
use crate::maps::ActiveMap;
use crate::peers::asked;

// === impl Delivery ===

impl Delivery<'_> {
    /// Keys of deleted rows under which there is a row again: their ends do not go over, and the other side's row
    /// becomes that one. Unless it is still to come with a key of its own, which has to be free by then, or as a
    /// part of a history, which has the end first.
    pub(super) async fn alive(&self, deleted: &[&Change]) -> Result<HashSet<Vec<u8>>, Failure> {
        let mut by_map: BTreeMap<&str, (&Change, Vec<wire::ImageKey>)> = BTreeMap::new();
        for change in deleted {
            let (_, keys) = by_map.entry(&change.map.name).or_insert_with(|| (change, Vec::new()));
            keys.push(change.key(self.source));
        }
        let mut alive = HashSet::new();
        for (change, keys) in by_map.into_values() {
            let mut rows = self.with_keys(&change.map, keys).await?;
            if !rows.is_empty() && !change.behind.is_empty() {
                for id in self.to_come(change, rows.keys()).await? {
                    rows.remove(&id);
                }
            }
            alive.extend(rows.into_values());
        }
        Ok(alive)
    }

    /// The rows that have these keys, and what is stored of a key.
    async fn with_keys(
        &self,
        map: &ActiveMap,
        keys: Vec<wire::ImageKey>,
    ) -> Result<HashMap<Vec<u8>, Vec<u8>>, Failure> {
        let map_side = map.side(self.source);
        let selection = wire::ImageSelection {
            map_side: Some(map_side.clone()),
            keys,
            unfiltered: true,
            ..Default::default()
        };
        let request = wire::ReadImagesRequest { selection: Some(selection), ..Default::default() };
        let mut sharing = self.core.sides.of(self.source).sharing();
        let found = sharing.read_images(asked(request)).await;
        let found = found.map_err(|status| Failure::Status { side: self.source, status })?;
        let row = |it: wire::Image| {
            let digest = key_digest(&image::key(&map_side, &it));
            (it.record_id.to_vec(), digest)
        };
        Ok(found.into_inner().images.into_iter().map(row).collect())
    }

    /// Those of the rows that go over later.
    async fn to_come(
        &self,
        change: &Change,
        rows: impl Iterator<Item = &Vec<u8>>,
    ) -> Result<Vec<Vec<u8>>, Failure> {
        let request = wire::ListTouchedRowsRequest {
            map: change.map.name.clone(),
            after_position: change.behind.to_string(),
            record_ids: rows.map(|it| it.clone().into()).collect(),
            ..Default::default()
        };
        let mut sharing = self.core.sides.of(self.source).sharing();
        let touched = sharing.list_touched_rows(asked(request)).await;
        let touched = touched.map_err(|status| Failure::Status { side: self.source, status })?;
        let rows = touched.into_inner().rows.into_iter().filter_map(|it| it.row);
        let comes = |it: &wire::SharedRow| match change.images {
            Images::OfTheChange => is_upsert(it),
            Images::Current => is_upsert(it) && !it.previous_key.is_empty(),
        };
        Ok(rows.filter(comes).filter_map(|it| Some(it.image?.record_id.to_vec())).collect())
    }
}
