//! What goes over: rows as they are, which nobody changes meanwhile, and rows as they were.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::Instant;

use proto::query::v1 as wire;
use tonic::Status;

use super::{Delivery, Failure};
use crate::follow::change::{Change, Images};
use crate::image;
use crate::maps::ActiveMap;
use crate::peers::{SideTransaction, asked};

/// Rows that nobody changes while the other side follows.
pub(super) struct Held {
    transaction: Option<SideTransaction>,
    /// By map and record.
    images: HashMap<(String, Vec<u8>), wire::Image>,
    /// Of the maps that they are of.
    sides: HashMap<String, wire::MapSide>,
    /// Rows that will be deleted later in their history.
    gone: HashSet<(String, Vec<u8>)>,
}

/// What is to become of a change.
pub(super) enum Going {
    Row(wire::SharedRow),
    Nothing,
    /// The row has been given another key, or an end, since it was listed: it is to be listed again.
    Otherwise,
}

// === impl Held ===

impl Held {
    /// The other side has the rows, and anybody may change them again.
    pub(super) async fn release(self) -> Result<(), Status> {
        match self.transaction {
            Some(transaction) => transaction.commit().await,
            None => Ok(()),
        }
    }

    /// What goes over. Nothing where a row is not as it was listed: the change that did it comes later; but that
    /// one starts from the key that was listed, which the other side must know by then. Of a row that is gone only
    /// its end goes over: made again, it would meet what the other side did with its key; and one that the other
    /// side never had has no end there.
    pub(super) fn row(&mut self, change: &Change) -> Going {
        let found = (change.map.name.clone(), change.record_id().to_vec());
        if change.images == Images::OfTheChange {
            let goes = match (change.is_delete(), &change.went) {
                (true, Some(went)) => went.load(Ordering::Relaxed),
                // Its end comes under the key that it had last.
                _ => !self.gone.contains(&found) || !change.row.previous_key.is_empty(),
            };
            if let (true, Some(went)) = (goes && change.is_upsert(), &change.went) {
                went.store(true, Ordering::Relaxed);
            }
            return if goes { Going::Row(change.row.clone()) } else { Going::Nothing };
        }
        if !change.is_upsert() {
            return Going::Row(change.row.clone());
        }
        let Some(image) = self.images.get(&found) else {
            let had_another_key = !change.row.previous_key.is_empty();
            return if had_another_key { Going::Otherwise } else { Going::Nothing };
        };
        let side = self.sides.get(&change.map.name);
        let key = |it| side.map(|side| image::key(side, it));
        if change.row.image.as_ref().and_then(key) != key(image) {
            return Going::Otherwise;
        }
        Going::Row(wire::SharedRow { image: Some(image.clone()), ..change.row.clone() })
    }
}

// === impl Delivery ===

impl Delivery<'_> {
    /// Locks the rows whose present state goes over, and reads it.
    pub(super) async fn hold(
        &self,
        changes: &[&Change],
        deadline: Instant,
    ) -> Result<Held, Failure> {
        let mut by_map: BTreeMap<&str, (&ActiveMap, Vec<_>)> = BTreeMap::new();
        for change in changes.iter().filter(|it| it.images == Images::Current && it.is_upsert()) {
            let (_, ids) =
                by_map.entry(&change.map.name).or_insert_with(|| (&change.map, Vec::new()));
            ids.push(change.record_id().to_vec().into());
        }
        let gone = self.gone(changes).await?;
        if by_map.is_empty() {
            let (images, sides) = Default::default();
            return Ok(Held { transaction: None, images, sides, gone });
        }
        let failed = |status| Failure::Status { side: self.source, status };
        let begun = self.core.sides.of(self.source).begin(deadline).await;
        let mut transaction = begun.map_err(failed)?;
        let (mut images, mut sides) = (HashMap::new(), HashMap::new());
        for (name, (map, record_ids)) in by_map {
            let side = map.side(self.source);
            let map_side = Some(side.clone());
            sides.insert(name.to_owned(), side);
            let selection = wire::ImageSelection { map_side, record_ids, ..Default::default() };
            for image in transaction.hold(selection).await.map_err(failed)? {
                images.insert((name.to_owned(), image.record_id.to_vec()), image);
            }
        }
        Ok(Held { transaction: Some(transaction), images, sides, gone })
    }

    /// Rows with a history that are no longer there.
    async fn gone(&self, changes: &[&Change]) -> Result<HashSet<(String, Vec<u8>)>, Failure> {
        let past = changes.iter().filter(|it| it.images == Images::OfTheChange && it.is_upsert());
        let mut by_map: BTreeMap<&str, (&ActiveMap, HashSet<&[u8]>)> = BTreeMap::new();
        for change in past {
            let (_, ids) =
                by_map.entry(&change.map.name).or_insert_with(|| (&change.map, HashSet::new()));
            ids.insert(change.record_id());
        }
        let mut gone = HashSet::new();
        for (name, (map, mut ids)) in by_map {
            let selection = wire::ImageSelection {
                map_side: Some(map.side(self.source)),
                record_ids: ids.iter().map(|it| it.to_vec().into()).collect(),
                unfiltered: true,
                ..Default::default()
            };
            let request =
                wire::ReadImagesRequest { selection: Some(selection), ..Default::default() };
            let mut sharing = self.core.sides.of(self.source).sharing();
            let found = sharing.read_images(asked(request)).await;
            let found = found.map_err(|status| Failure::Status { side: self.source, status })?;
            for image in &found.into_inner().images {
                ids.remove(&*image.record_id);
            }
            gone.extend(ids.into_iter().map(|id| (name.to_owned(), id.to_vec())));
        }
        Ok(gone)
    }
}
