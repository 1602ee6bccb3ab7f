//! Rows by the keys that the other side knows: where changes of a row failed, the key before the first of these.

use std::borrow::Cow;
use std::collections::HashMap;

use proto::dual_write::v1::{ChangeOperation, PendingChange};
use proto::query::v1 as wire;

use super::Delivery;
use crate::error::Error;
use crate::follow::change::{Change, FieldNames, Images};
use crate::follow::failures;
use crate::image;

// === impl Delivery ===

impl Delivery<'_> {
    /// The changes, each with the key under which the other side has its row.
    pub(super) async fn as_known<'c>(
        &self,
        changes: &[&'c Change],
    ) -> Result<Vec<Cow<'c, Change>>, Error> {
        let rows = changes.iter().filter(|it| it.is_upsert() || it.is_delete());
        let rows = rows.map(|it| (it.map.name.as_str(), it.record_id())).unzip();
        let mut connection = self.core.store.pool().acquire().await?;
        let first = failures::first_of_rows(&mut connection, self.source, rows).await?;
        Ok(changes.iter().map(|it| self.known(it, &first)).collect())
    }

    fn known<'c>(
        &self,
        change: &'c Change,
        first: &HashMap<(String, Vec<u8>), PendingChange>,
    ) -> Cow<'c, Change> {
        let unchanged = Cow::Borrowed(change);
        if first.is_empty() || !(change.is_upsert() || change.is_delete()) {
            return unchanged;
        }
        let waiting = first.get(&(change.map.name.clone(), change.record_id().to_vec()));
        let is_before =
            |it: &&PendingChange| change.images == Images::Current || it.position <= change.number;
        let Some(waiting) = waiting.filter(is_before) else { return unchanged };
        let map_side = change.map.side(self.source);
        let names = FieldNames::new(self.source, map_side.clone());
        let Some(key) = key_before(&names, waiting) else { return unchanged };
        let mut known = change.clone();
        let is_delete = change.is_delete();
        let Some(image) = known.row.image.as_mut() else { return unchanged };
        if image::key(&map_side, image).values == key {
            known.row.previous_key.clear();
        } else if is_delete {
            image::set_key(&map_side, image, &key);
        } else {
            known.row.previous_key = key;
        }
        Cow::Owned(known)
    }
}

/// The key that the row had before a change; `None` where it was made by that.
fn key_before(names: &FieldNames, change: &PendingChange) -> Option<Vec<wire::Value>> {
    if let Some(key) = names.key_among(&change.before) {
        return Some(key);
    }
    // Nothing is told of a key that stayed.
    let is_made = change.operation() == ChangeOperation::Create;
    change.record.as_ref().filter(|_| !is_made).and_then(|it| names.key_among(&it.key))
}
