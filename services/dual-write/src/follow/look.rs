//! Looks at one side's log again and again, and brings over what is new.

mod caught_up;
mod report;
mod settle;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use proto::dual_write::v1::{MapState, Side};
use proto::query::v1 as wire;
use rpc::ErrorReason;
use tonic::Status;

use super::change::Images;
use super::deliver::{Stop, away};
use super::refusal::{self, Fault};
use super::window::{Merge, Window};
use super::{current, expired, replay};
use crate::alerts;
use crate::core::Core;
use crate::error::Error;
use crate::maps::ActiveMap;
use crate::peers::{asked, other};
use crate::store::{positions, reports, side_text};
pub(super) use caught_up::CaughtUp;

/// A side that is away is tried at least this often.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Positions behind which nothing was, and lags, are written down this often.
const NOTED: Duration = Duration::from_secs(5);

/// One side's follower.
pub(super) struct Follower<'a> {
    core: &'a Core,
    side: Side,
    caught_up: &'a CaughtUp,
    /// What is known of each map, as of its epoch.
    known: HashMap<String, Known>,
    /// All that was there at the last look, when nothing was left of it.
    finished: Option<Sight>,
    /// Maps of which something is waiting.
    waiting: Vec<String>,
    /// Maps whose log cannot be read, and when that was last told.
    complained: HashMap<String, Instant>,
}

#[derive(Clone, Debug)]
struct Known {
    epoch: i64,
    position: String,
    noted: Instant,
    since: Option<prost_types::Timestamp>,
    told: Option<Instant>,
    beat: Option<Instant>,
}

/// What decides whether a look finds anything: what the log holds, and the maps with their epochs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sight {
    state: String,
    maps: Vec<(String, i64)>,
}

/// Follows one side.
pub(super) async fn run(core: &Core, side: Side, caught_up: &CaughtUp) {
    let mut follower = Follower::new(core, side, caught_up);
    let poll = core.config.poll();
    let mut pause = poll;
    loop {
        pause = match follower.look(&followed(core)).await {
            Ok(()) => poll,
            // What it is now, the next look sees.
            Err(Stop::Changed) => {
                follower.finished = None;
                poll
            }
            Err(stop) => {
                follower.finished = None;
                follower.tell(stop).await;
                (pause * 2).min(LONGEST_PAUSE)
            }
        };
        tokio::time::sleep(pause).await;
    }
}

// === impl Follower ===

impl<'a> Follower<'a> {
    pub(super) fn new(core: &'a Core, side: Side, caught_up: &'a CaughtUp) -> Self {
        Self {
            core,
            side,
            caught_up,
            known: HashMap::new(),
            finished: None,
            waiting: Vec::new(),
            complained: HashMap::new(),
        }
    }

    /// Brings over what is new of these maps.
    pub(super) async fn look(&mut self, maps: &[Arc<ActiveMap>]) -> Result<(), Stop> {
        if maps.is_empty() {
            return Ok(());
        }
        let seen = Utc::now();
        let (until, sight) = self.sight(maps).await?;
        if self.finished.as_ref() == Some(&sight) {
            let maps = maps.iter().map(|it| it.name.clone()).collect();
            return Ok(self.beat(maps, seen).await?);
        }
        self.finished = None;
        let (current, history) = self.open(maps, &until).await?;
        let (mut current, mut history) = (Merge::new(current), Merge::new(history));
        current.front(self.core).await;
        history.front(self.core).await;
        self.tell_waiting(&current, &history).await?;
        let mut open = self.follow(&mut current).await?;
        open.extend(self.replay(&mut history).await?);
        open.extend(self.settle(&history, &open).await?);
        let opened = current.windows.len() + history.windows.len();
        let whole = opened == maps.len() && history.windows.iter().all(|it| it.until == until);
        let broken = current.broken.len() + history.broken.len();
        let taken = current.taken() + history.taken();
        for merge in [current, history] {
            self.close(merge, &mut open, &until).await?;
        }
        self.beat(self.through(maps, &until, &open), seen).await?;
        // What was taken is acknowledged by the next look, which is not to wait for a change. Nor is a map that resumes:
        // it goes live when both sides have been looked at.
        let runs = maps.iter().all(|it| it.state() == MapState::Running);
        if open.is_empty() && broken == 0 && taken == 0 && whole && runs {
            self.finished = Some(sight);
        }
        Ok(())
    }

    /// Where the log ends now: whatever has been committed is before it.
    async fn sight(&self, maps: &[Arc<ActiveMap>]) -> Result<(String, Sight), Stop> {
        let mut sharing = self.core.sides.of(self.side).sharing();
        let answer = sharing.get_log_position(asked(wire::GetLogPositionRequest {})).await;
        let answer = answer.map_err(|it| away(self.side, it))?.into_inner();
        // A side that does not say so may have changed.
        let state = Some(answer.state).filter(|it| !it.is_empty());
        let state = state.unwrap_or_else(|| answer.position.clone());
        let maps = maps.iter().map(|it| (it.name.clone(), it.epoch)).collect();
        Ok((answer.position, Sight { state, maps }))
    }

    /// Windows of maps whose rows go over as they are, and of those whose history counts.
    async fn open(
        &mut self,
        maps: &[Arc<ActiveMap>],
        until: &str,
    ) -> Result<(Vec<Window>, Vec<Window>), Stop> {
        let (mut current, mut history) = (Vec::new(), Vec::new());
        let mut connection = self.core.store.pool().acquire().await.map_err(Error::from)?;
        for map in maps {
            let Some(compiled) = &map.compiled else { continue };
            let known = self.known.get(&map.name).filter(|it| it.epoch == map.epoch);
            let after = match known {
                Some(known) => known.position.clone(),
                None => {
                    let stored = positions::load(&mut connection, &map.name).await?;
                    let stored = stored.into_iter().find(|it| it.side == self.side);
                    // The side has not been told of the map yet.
                    let Some(stored) = stored else { continue };
                    caught_up::begin(&mut connection, map).await?;
                    stored.position
                }
            };
            self.know(map, &after);
            let replayed = caught_up::has_history(&mut connection, map, self.side).await?;
            if replayed {
                let name = &map.name;
                let progress =
                    replay::begin(&mut connection, name, self.side, &after, until).await?;
                let stretch = (after, progress.until);
                let window = Window::new(map, compiled, self.side, stretch, Images::OfTheChange);
                history.push(window.behind(progress.done));
            } else {
                let stretch = (after, until.to_owned());
                current.push(Window::new(map, compiled, self.side, stretch, Images::Current));
            }
        }
        Ok((current, history))
    }

    fn know(&mut self, map: &ActiveMap, position: &str) {
        let known = self.known.get(&map.name).filter(|it| it.epoch == map.epoch);
        if known.is_none() {
            let known = Known {
                epoch: map.epoch,
                position: position.to_owned(),
                noted: Instant::now(),
                since: None,
                told: None,
                beat: None,
            };
            self.known.insert(map.name.clone(), known);
        }
    }

    /// Maps of which a row could not be brought over because somebody holds it.
    async fn follow(&self, merge: &mut Merge) -> Result<HashSet<String>, Stop> {
        let mut open = HashSet::new();
        loop {
            let mut segment = Vec::new();
            while segment.len() < current::SEGMENT && merge.front(self.core).await.is_some() {
                segment.extend(merge.take());
            }
            if segment.is_empty() {
                return Ok(open);
            }
            open.extend(current::bring(self.core, self.side, segment).await?);
        }
    }

    /// As [`Self::follow`]: nothing goes past a change that could not be replayed.
    async fn replay(&self, merge: &mut Merge) -> Result<HashSet<String>, Stop> {
        loop {
            let batch = replay::take(self.core, merge, self.side).await;
            if batch.is_empty() {
                return Ok(HashSet::new());
            }
            if !replay::replay(self.core, self.side, batch).await? {
                return Ok(merge.windows.iter().map(|it| it.map.name.clone()).collect());
            }
        }
    }

    /// Notes how far the log has been taken, but for the maps in `open`.
    async fn close(
        &mut self,
        merge: Merge,
        open: &mut HashSet<String>,
        until: &str,
    ) -> Result<(), Stop> {
        let Merge { windows, broken, .. } = merge;
        let mut away_status = None;
        for (at, status) in broken {
            let Some(window) = windows.get(at) else { continue };
            open.insert(window.map.name.clone());
            if rpc::reason(&status) == Some(ErrorReason::PositionExpired) {
                let Window { map, after, until, .. } = window;
                let stretch = (after.as_str(), until.as_str());
                expired::go_on(self.core, map, self.side, stretch, &status).await?;
                self.known.remove(&map.name);
            } else if refusal::fault(&status) == Fault::Away {
                away_status = Some(status);
            } else {
                self.complain(&window.map.name, &status);
            }
        }
        for window in windows.iter().filter(|it| !open.contains(&it.map.name)) {
            self.advance(window).await?;
            // A stretch that was begun earlier ends before the log does.
            if window.until == until {
                self.caught_up.saw(self.core, &window.map, self.side, window.taken).await?;
            }
        }
        away_status.map_or(Ok(()), |status| Err(away(self.side, status)))
    }

    /// Once in a while.
    fn complain(&mut self, map: &str, status: &Status) {
        if self.complained.get(map).is_none_or(|it| it.elapsed() >= LONGEST_PAUSE) {
            self.complained.insert(map.to_owned(), Instant::now());
            tracing::warn!(map, error = %status, "the log cannot be read");
        }
    }

    async fn advance(&mut self, window: &Window) -> Result<(), Stop> {
        let map = &window.map;
        let history = window.images() == Images::OfTheChange;
        let known = self.known.get_mut(&map.name).filter(|it| it.epoch == map.epoch);
        let Some(known) = known else { return Ok(()) };
        let due = known.noted.elapsed() >= NOTED && known.position != window.until;
        if window.taken > 0 || window.skipped > 0 || history || due {
            let mut transaction = self.core.store.begin().await?;
            let epoch: Option<i64> =
                sqlx::query_scalar("SELECT epoch FROM map WHERE name = $1 FOR SHARE")
                    .bind(&map.name)
                    .fetch_optional(&mut *transaction)
                    .await
                    .map_err(Error::from)?;
            if epoch != Some(map.epoch) {
                return Err(Stop::Changed);
            }
            positions::store(&mut transaction, &map.name, self.side, &window.until).await?;
            if history {
                replay::end(&mut transaction, &map.name, self.side).await?;
            }
            reports::skipped(&mut transaction, &map.name, window.skipped).await?;
            transaction.commit().await.map_err(Error::from)?;
            known.noted = Instant::now();
        }
        known.position.clone_from(&window.until);
        let left = known.since.take();
        if left.is_some() {
            self.note_waiting(&map.name, None).await?;
        }
        Ok(())
    }

    /// Tells of what keeps changes from going over.
    async fn tell(&self, stop: Stop) {
        match stop {
            Stop::Changed => {}
            Stop::Store(error) => tracing::warn!(%error, "following waits for the store"),
            Stop::Away { side, status } => {
                let (side_name, code) = (side_text(side), status.code());
                tracing::warn!(side = side_name, ?code, error = %status, "a side is away");
                if side == other(self.side) {
                    self.report_away(side, &status).await;
                }
            }
        }
    }

    async fn report_away(&self, side: Side, status: &Status) {
        let correlation = uuid::Uuid::new_v4().simple().to_string();
        let error = refusal::sync_error(status, side, "", &correlation);
        let failure = |map: &String| alerts::Failure {
            map: map.clone(),
            source: self.side,
            error: error.clone(),
            record: None,
        };
        let failures: Vec<_> = self.waiting.iter().map(failure).collect();
        if !failures.is_empty() {
            alerts::report(self.core, &failures).await;
        }
    }
}

/// Maps whose log is taken.
fn followed(core: &Core) -> Vec<Arc<ActiveMap>> {
    let mut maps = core.maps.all();
    maps.retain(|it| {
        matches!(it.state(), MapState::Running | MapState::Resuming) && it.compiled.is_some()
    });
    maps
}
