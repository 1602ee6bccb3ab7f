//! What a side's log holds behind the positions of its maps, page by page, in the order of the commits.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt as _, stream};
use proto::dual_write::v1::Side;
use proto::query::v1 as wire;
use tonic::Status;

use super::change::{Change, Images};
use crate::core::Core;
use crate::map::CompiledMap;
use crate::maps::ActiveMap;
use crate::peers::asked;

const PAGE_SIZE: i32 = 1_000;
/// Maps that are asked for at the same time.
const READERS: usize = 8;

/// A stretch of the log, as one map sees it.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) map: Arc<ActiveMap>,
    compiled: Arc<CompiledMap>,
    source: Side,
    pub(super) after: String,
    pub(super) until: String,
    /// What was changed behind it goes over later than what is taken out.
    behind: Arc<str>,
    /// Rows as they are, each once; or every change as it was.
    images: Images,
    /// Changes up to this one are done.
    done: i64,
    read: VecDeque<Change>,
    /// Of a history: rows that were made within it, and whether the other side may have them by now.
    made: HashMap<Vec<u8>, Arc<AtomicBool>>,
    /// Of the next page; absent when there is none.
    next_page: Option<String>,
    /// Changes that were taken out.
    pub(super) taken: u64,
    /// Changes that it leaves out, because whoever wrote said so; known once it was read.
    pub(super) skipped: i64,
}

/// Several of them as one.
#[derive(Debug)]
pub(super) struct Merge {
    pub(super) windows: Vec<Window>,
    /// Number of the next change of each window that has one, and which window it is.
    order: BTreeSet<(i64, usize)>,
    /// Windows whose next change is not known.
    unknown: Vec<usize>,
    /// Windows that could not be read, and why. The others go on.
    pub(super) broken: Vec<(usize, Status)>,
}

// === impl Merge ===

impl Merge {
    pub(super) fn new(windows: Vec<Window>) -> Self {
        let unknown = (0..windows.len()).collect();
        Self { windows, order: BTreeSet::new(), unknown, broken: Vec::new() }
    }

    /// The next change of all.
    pub(super) async fn front(&mut self, core: &Core) -> Option<&Change> {
        let unknown = std::mem::take(&mut self.unknown);
        let windows = self.windows.iter_mut().enumerate();
        let wanted = windows.filter(|(at, _)| unknown.contains(at));
        let reads = wanted.map(|(at, window)| async move { (at, window.peek(core).await) });
        let reads: Vec<_> = reads.collect();
        let read: Vec<_> = stream::iter(reads).buffer_unordered(READERS).collect().await;
        for (at, next) in read {
            match next {
                Ok(Some(number)) => drop(self.order.insert((number, at))),
                Ok(None) => {}
                Err(status) => self.broken.push((at, status)),
            }
        }
        let (_, at) = self.order.first()?;
        self.windows.get(*at)?.read.front()
    }

    /// Takes what [`Self::front`] has shown.
    pub(super) fn take(&mut self) -> Option<Change> {
        let (_, at) = self.order.pop_first()?;
        self.unknown.push(at);
        self.windows.get_mut(at)?.take()
    }

    /// How many changes were taken out.
    pub(super) fn taken(&self) -> u64 {
        self.windows.iter().map(|it| it.taken).sum()
    }

    /// Since when something of each map has been waiting, as far as it is known.
    pub(super) fn waiting(
        &self,
    ) -> impl Iterator<Item = (&Window, Option<prost_types::Timestamp>)> {
        self.windows.iter().map(|it| (it, it.read.front().and_then(|it| it.time)))
    }
}

// === impl Window ===

impl Window {
    pub(super) fn new(
        map: &Arc<ActiveMap>,
        compiled: &Arc<CompiledMap>,
        source: Side,
        (after, until): (String, String),
        images: Images,
    ) -> Self {
        let behind = match images {
            Images::Current => Arc::from(until.as_str()),
            Images::OfTheChange => Arc::from(after.as_str()),
        };
        Self {
            behind,
            map: Arc::clone(map),
            compiled: Arc::clone(compiled),
            source,
            after,
            until,
            images,
            done: 0,
            read: VecDeque::new(),
            made: HashMap::new(),
            next_page: Some(String::new()),
            taken: 0,
            skipped: 0,
        }
    }

    /// The same stretch from its beginning, with other images.
    pub(super) fn again(&self, images: Images) -> Self {
        let stretch = (self.after.clone(), self.until.clone());
        Self::new(&self.map, &self.compiled, self.source, stretch, images)
    }

    /// Passes over changes up to this one.
    pub(super) fn behind(mut self, done: i64) -> Self {
        self.done = done;
        self
    }

    /// Number of the next change; nothing is left where there is none.
    async fn peek(&mut self, core: &Core) -> Result<Option<i64>, Status> {
        while self.read.is_empty() {
            let Some(page) = self.next_page.clone() else { break };
            let (mut changes, next, skipped) = match self.images {
                Images::Current => self.touched(core, page).await?,
                Images::OfTheChange => self.changes(core, page).await?,
            };
            self.skipped += skipped;
            let done = self.done;
            for it in &mut changes {
                if it.row.kind() == wire::SharedKind::Created && it.before.is_none() {
                    self.made.entry(it.record_id().to_vec()).or_default();
                }
                it.went = self.made.get(it.record_id()).cloned();
                // Whoever took it before this process may have brought it over.
                if let (true, Some(went)) = (it.number <= done && it.is_upsert(), &it.went) {
                    went.store(true, Ordering::Relaxed);
                }
            }
            self.next_page = (!next.is_empty()).then_some(next);
            self.read.extend(changes.into_iter().filter(|it| it.number > done));
        }
        Ok(self.read.front().map(|it| it.number))
    }

    pub(super) fn images(&self) -> Images {
        self.images
    }

    fn take(&mut self) -> Option<Change> {
        let change = self.read.pop_front()?;
        self.taken = self.taken.saturating_add(1);
        Some(change)
    }

    /// A page, where the next one is, and what the list leaves out.
    async fn touched(
        &self,
        core: &Core,
        page_token: String,
    ) -> Result<(Vec<Change>, String, i64), Status> {
        let request = wire::ListTouchedRowsRequest {
            map: self.map.name.clone(),
            after_position: self.after.clone(),
            until_position: self.until.clone(),
            page_size: PAGE_SIZE,
            page_token,
            ..Default::default()
        };
        let answer = core.sides.of(self.source).sharing().list_touched_rows(asked(request)).await?;
        let answer = answer.into_inner();
        let change = |it: wire::TouchedRow| Change {
            map: Arc::clone(&self.map),
            compiled: Arc::clone(&self.compiled),
            row: it.row.unwrap_or_default(),
            before: None,
            number: it.first_change,
            time: it.first_change_time,
            user: String::new(),
            images: Images::Current,
            went: None,
            behind: Arc::clone(&self.behind),
        };
        let rows = answer.rows.into_iter().map(change).collect();
        Ok((rows, answer.next_page_token, answer.skipped_count))
    }

    /// As [`Self::touched`].
    async fn changes(
        &self,
        core: &Core,
        page_token: String,
    ) -> Result<(Vec<Change>, String, i64), Status> {
        let request = wire::ListRowChangesRequest {
            map: self.map.name.clone(),
            after_position: self.after.clone(),
            until_position: self.until.clone(),
            page_size: PAGE_SIZE,
            page_token,
            key: None,
        };
        let answer = core.sides.of(self.source).sharing().list_row_changes(asked(request)).await?;
        let answer = answer.into_inner();
        let change = |it: wire::RowChangeImage| Change {
            map: Arc::clone(&self.map),
            compiled: Arc::clone(&self.compiled),
            row: it.row.unwrap_or_default(),
            before: it.before,
            number: it.change,
            time: it.change_time,
            user: it.user,
            images: Images::OfTheChange,
            went: None,
            behind: Arc::clone(&self.behind),
        };
        let changes = answer.changes.into_iter().map(change).collect();
        Ok((changes, answer.next_page_token, answer.skipped_count))
    }
}
