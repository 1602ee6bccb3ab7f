//! The queue of a map, page by page: what waits in both logs, in the order of time.

use std::collections::VecDeque;

use proto::dual_write::v1::{PendingChange, Side};
use proto::query::v1 as wire;
use serde::{Deserialize, Serialize};

use super::change::{FieldNames, pending_of_change};
use super::{keys, queue};
use crate::core::Core;
use crate::error::Error;
use crate::maps::ActiveMap;
use crate::peers::asked;
use crate::store::side_of;

/// Of both logs: small enough to be read again for every page.
const PAGE_SIZE: i32 = 500;

/// Where a page ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    map: String,
    total: i64,
    sides: Vec<SidePlace>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct SidePlace {
    side: String,
    after: String,
    until: String,
    /// The page of the log in which the next change is; `None`: nothing is left.
    page: Option<String>,
    /// Changes up to this one were shown.
    shown: i64,
}

/// One side's log.
struct Reader {
    place: SidePlace,
    side: Side,
    key: Option<wire::ImageKey>,
    names: FieldNames,
    read: VecDeque<wire::RowChangeImage>,
    /// Follows the page that was read.
    next_page: Option<String>,
}

// === impl Place ===

impl Place {
    /// Before the first of all.
    async fn first(core: &Core, map: &ActiveMap) -> Result<Self, Error> {
        let (total, stretches) = queue::measure(core, &map.name).await?;
        let side = |it: queue::Stretch| SidePlace {
            side: crate::store::side_text(it.side).to_owned(),
            after: it.after,
            until: it.until,
            page: Some(String::new()),
            shown: it.done,
        };
        let sides = stretches.into_iter().map(side).collect();
        Ok(Self { map: map.name.clone(), total, sides })
    }
}

/// Changes behind `place`, each with the place where it ends, and how many there are in all.
pub(crate) async fn list(
    core: &Core,
    map: &ActiveMap,
    place: Option<&Place>,
    key: &[wire::FieldValue],
    limit: i64,
) -> Result<(Vec<(PendingChange, Place)>, i64), Error> {
    let mut place = match place {
        Some(place) if place.map == map.name => place.clone(),
        Some(_) => return Err(Error::page_token()),
        None => Place::first(core, map).await?,
    };
    let keys = match key {
        [] => Vec::new(),
        key => keys::on_both_sides(map, key)?.into(),
    };
    let reader = |it: &SidePlace| Reader::new(map, it, &keys);
    let mut readers = place.sides.iter().map(reader).collect::<Result<Vec<_>, _>>()?;
    let limit = usize::try_from(limit).unwrap_or_default();
    let mut found = Vec::new();
    while found.len() < limit {
        let mut first: Option<(usize, (i64, i32))> = None;
        for (at, reader) in readers.iter_mut().enumerate() {
            let Some(time) = reader.peek(core, map).await? else { continue };
            if first.is_none_or(|(_, earliest)| time < earliest) {
                first = Some((at, time));
            }
        }
        let Some(reader) = first.and_then(|(at, _)| readers.get_mut(at)) else { break };
        let Some(change) = reader.take() else { break };
        if let Some(side) = place.sides.iter_mut().find(|it| it.side == reader.place.side) {
            side.clone_from(&reader.place);
        }
        found.push((pending_of_change(&reader.names, &change), place.clone()));
    }
    Ok((found, place.total))
}

// === impl Reader ===

impl Reader {
    fn new(
        map: &ActiveMap,
        place: &SidePlace,
        keys: &[(Side, wire::ImageKey)],
    ) -> Result<Self, Error> {
        let side = side_of(&place.side).map_err(|_| Error::page_token())?;
        let key = keys.iter().find(|it| it.0 == side).map(|it| it.1.clone());
        Ok(Self {
            place: place.clone(),
            side,
            key,
            names: FieldNames::new(side, map.side(side)),
            read: VecDeque::new(),
            next_page: place.page.clone(),
        })
    }

    /// When the next change was made.
    async fn peek(&mut self, core: &Core, map: &ActiveMap) -> Result<Option<(i64, i32)>, Error> {
        while self.read.is_empty() {
            let Some(page_token) = self.next_page.take() else {
                self.place.page = None;
                return Ok(None);
            };
            self.place.page = Some(page_token.clone());
            let request = wire::ListRowChangesRequest {
                map: map.name.clone(),
                after_position: self.place.after.clone(),
                until_position: self.place.until.clone(),
                page_size: PAGE_SIZE,
                page_token,
                key: self.key.clone(),
            };
            let answer = core.sides.of(self.side).sharing().list_row_changes(asked(request)).await;
            let answer = answer.map_err(|it| Error::of_side(self.side, it))?.into_inner();
            self.next_page = Some(answer.next_page_token).filter(|it| !it.is_empty());
            let shown = self.place.shown;
            self.read.extend(answer.changes.into_iter().filter(|it| it.change > shown));
        }
        let time = self.read.front().and_then(|it| it.change_time).unwrap_or_default();
        Ok(Some((time.seconds, time.nanos)))
    }

    fn take(&mut self) -> Option<wire::RowChangeImage> {
        let change = self.read.pop_front()?;
        self.place.shown = change.change;
        Some(change)
    }
}
