//! Reads rows of one side with those of the other that belong to them, and looks again at those that differ:
//! maps are live, and a change may be on its way.

use std::collections::HashSet;
use std::time::Duration;

use prost::bytes::Bytes;
use proto::dual_write::v1::{MapState, Side};
use proto::query::v1::{
    Image, ImageKey, ImageSelection, ListTouchedRowsRequest, ReadImagesRequest,
};

use super::compare::{ByKey, Found, Judge, Peer};
use crate::core::Core;
use crate::error::Error;
use crate::image;
use crate::maps::ActiveMap;
use crate::peers::{asked, other};

/// Rows of a range.
const PAGE: i32 = 1_000;
/// Most that a side gives at once.
const MOST: i32 = 5_000;
/// Until a row that differs is looked at again.
const MOMENT: Duration = Duration::from_secs(1);
/// How often a row is looked at that differs each time in another way.
const LOOKS: usize = 5;

/// Reads both sides of a map.
pub(super) struct Pages<'a> {
    core: &'a Core,
    map: &'a ActiveMap,
    judge: &'a Judge<'a>,
}

/// A range of rows of one side.
pub(super) struct Page {
    pub(super) pairs: Vec<(Image, Option<Peer>)>,
    /// Key of the last row.
    pub(super) last: Option<ImageKey>,
    pub(super) more: bool,
}

// === impl Pages ===

impl<'a> Pages<'a> {
    pub(super) fn new(core: &'a Core, map: &'a ActiveMap, judge: &'a Judge<'a>) -> Self {
        Self { core, map, judge }
    }

    /// The next rows of `source` behind a key, with what belongs to them.
    pub(super) async fn read(
        &self,
        source: Side,
        company: &str,
        after: Option<ImageKey>,
    ) -> Result<Page, Error> {
        let selection = ImageSelection { company: company.to_owned(), ..self.selection(source) };
        let request =
            ReadImagesRequest { selection: Some(selection), page_size: PAGE, after, until: None };
        let mut sharing = self.core.sides.of(source).sharing();
        let answer = sharing.read_images(asked(request)).await;
        let answer = answer.map_err(|status| Error::of_side(source, status))?.into_inner();
        let last = answer.images.last().map(|it| image::key(self.judge.side(source), it));
        let pairs = self.paired(source, answer.images).await?;
        Ok(Page { pairs, last, more: answer.more })
    }

    /// What of the page differs, also after a moment.
    pub(super) async fn differing(&self, source: Side, page: &Page) -> Result<Vec<Found>, Error> {
        let pairs = page.pairs.iter();
        let judged =
            pairs.filter_map(|(image, peer)| self.judge.judge(source, image, peer.as_ref()));
        let mut suspects: Vec<Found> = judged.collect();
        let mut sure = Vec::new();
        for look in 1..=LOOKS {
            if suspects.is_empty() {
                break;
            }
            tokio::time::sleep(MOMENT).await;
            let on_their_way = self.on_their_way(&suspects).await?;
            let again = self.look_again(source, &suspects).await?;
            let mut unsure = Vec::new();
            for found in again {
                let settled = suspects.contains(&found) && !is_on_its_way(&found, &on_their_way);
                if settled || look == LOOKS { &mut sure } else { &mut unsure }.push(found);
            }
            suspects = unsure;
        }
        Ok(sure)
    }

    async fn look_again(&self, source: Side, suspects: &[Found]) -> Result<Vec<Found>, Error> {
        let key = |it: &Found| match source {
            Side::FinanceAndOperations => it.erp.key.clone(),
            Side::Platform | Side::Unspecified => it.platform.key.clone(),
        };
        let keys: Vec<ImageKey> = suspects.iter().filter_map(key).collect();
        let selection = ImageSelection { keys, ..self.selection(source) };
        let images = self.by_keys(source, selection).await?;
        let images = images.into_iter().map(|it| it.image).collect();
        let pairs = self.paired(source, images).await?;
        let judged = pairs
            .into_iter()
            .filter_map(|(image, peer)| self.judge.judge(source, &image, peer.as_ref()));
        Ok(judged.collect())
    }

    /// Rows of a live map whose changes have not been taken from a side's log yet.
    async fn on_their_way(&self, suspects: &[Found]) -> Result<HashSet<Bytes>, Error> {
        if self.map.state() != MapState::Running {
            return Ok(HashSet::new());
        }
        let positions = {
            let mut connection = self.core.store.pool().acquire().await?;
            crate::store::positions::load(&mut connection, &self.map.name).await?
        };
        let mut waiting = HashSet::new();
        for position in positions {
            let request = ListTouchedRowsRequest {
                map: self.map.name.clone(),
                after_position: position.position,
                page_size: MOST,
                ..Default::default()
            };
            let mut sharing = self.core.sides.of(position.side).sharing();
            let answer = sharing.list_touched_rows(asked(request)).await;
            let answer = answer.map_err(|status| Error::of_side(position.side, status))?;
            let rows = answer.into_inner().rows.into_iter();
            waiting.extend(rows.filter_map(|it| it.row?.image).map(|it| it.record_id));
        }
        waiting.retain(|it| suspects.iter().any(|found| records(found).any(|id| id == it)));
        Ok(waiting)
    }

    async fn paired(
        &self,
        source: Side,
        images: Vec<Image>,
    ) -> Result<Vec<(Image, Option<Peer>)>, Error> {
        let target = other(source);
        let counterparts: Vec<Option<ImageKey>> =
            images.iter().map(|it| self.judge.counterpart(source, it).ok()).collect();
        let keys: Vec<ImageKey> = counterparts.iter().flatten().cloned().collect();
        let selection = ImageSelection { keys, unfiltered: true, ..self.selection(target) };
        let peers = self.by_keys(target, selection).await?;
        let peers = ByKey::new(self.judge.side(target), peers);
        let found = counterparts.into_iter().map(|it| it.and_then(|it| peers.find(&it).cloned()));
        Ok(images.into_iter().zip(found).collect())
    }

    /// Rows with the selection's keys.
    async fn by_keys(&self, side: Side, selection: ImageSelection) -> Result<Vec<Peer>, Error> {
        let mut found = Vec::new();
        if selection.keys.is_empty() {
            return Ok(found);
        }
        let mut after = None;
        loop {
            let request = ReadImagesRequest {
                selection: Some(selection.clone()),
                page_size: MOST,
                after,
                until: None,
            };
            let mut sharing = self.core.sides.of(side).sharing();
            let answer = sharing.read_images(asked(request)).await;
            let answer = answer.map_err(|status| Error::of_side(side, status))?.into_inner();
            after = answer.images.last().map(|it| image::key(self.judge.side(side), it));
            let matches = answer.matches.into_iter().chain(std::iter::repeat(true));
            let peers = answer.images.into_iter().zip(matches);
            found.extend(peers.map(|(image, matches)| Peer { image, matches }));
            if !answer.more || after.is_none() {
                return Ok(found);
            }
        }
    }

    fn selection(&self, side: Side) -> ImageSelection {
        ImageSelection { map_side: Some(self.judge.side(side).clone()), ..Default::default() }
    }
}

fn is_on_its_way(found: &Found, waiting: &HashSet<Bytes>) -> bool {
    records(found).any(|it| waiting.contains(it))
}

fn records(found: &Found) -> impl Iterator<Item = &Bytes> {
    let content = &found.content;
    let both = [&content.finance_and_operations_record, &content.platform_record];
    both.into_iter().flatten().map(|it| &it.record_id)
}
