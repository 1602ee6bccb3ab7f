//! Coordinator and recovery over two real databases.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use commit::participant::{self, Prepared};
use commit::{
    Decision, Outcome, Recovered, RecoveryOptions, Sides, TransactionId, last_resource, recover,
    recover_once,
};
use tokio::time::Instant;

use crate::world::World;

/// Both databases, one of which may be away.
struct Pair {
    world: World,
    erp_away: AtomicBool,
    platform_away: AtomicBool,
}

impl Pair {
    async fn new() -> Self {
        let world = World::new().await;
        Self { world, erp_away: AtomicBool::new(false), platform_away: AtomicBool::new(false) }
    }

    /// A transaction with a row on each side, committed by `commit`.
    async fn commit_with(
        &self,
        id: TransactionId,
        commit: impl Future<Output = Result<(), String>> + Send,
    ) -> Outcome<String> {
        let mut platform = self.world.working("platform").await;
        let prepare = async { participant::prepare(&mut platform, id, "").await.map_err(text) };
        commit::commit(self, id, prepare, commit, Instant::now()).await
    }

    async fn commit_erp(&self, id: TransactionId) -> Result<(), String> {
        let mut erp = self.world.working("erp").await;
        last_resource::commit(&mut erp, id, "").await.map_err(text)
    }

    async fn both(&self) -> (i64, i64) {
        (self.world.things("erp").await, self.world.things("platform").await)
    }

    async fn recover(&self) -> Recovered {
        recover_once(self, Duration::ZERO).await.unwrap()
    }
}

impl Sides for Pair {
    type Error = String;

    async fn settle(&self, id: TransactionId, decision: Decision) -> Result<(), String> {
        here(&self.platform_away)?;
        let mut platform = self.world.platform().await;
        participant::settle(&mut platform, id, decision).await.map_err(text)
    }

    async fn resolve(&self, id: TransactionId) -> Result<Decision, String> {
        here(&self.erp_away)?;
        let mut erp = self.world.erp().await;
        last_resource::resolve(&mut erp, id).await.map_err(text)
    }

    async fn list_prepared(&self) -> Result<Vec<Prepared>, String> {
        here(&self.platform_away)?;
        let mut platform = self.world.platform().await;
        participant::list(&mut platform, None, 100).await.map_err(text)
    }
}

fn here(away: &AtomicBool) -> Result<(), String> {
    if away.load(Ordering::Relaxed) { Err("away".into()) } else { Ok(()) }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[tokio::test]
async fn both_sides_commit() {
    let pair = Pair::new().await;
    let id = TransactionId::new();
    assert_eq!(pair.commit_with(id, pair.commit_erp(id)).await, Outcome::Committed);
    assert_eq!(pair.both().await, (1, 1));
    assert_eq!(pair.recover().await, Recovered::default());
}

#[tokio::test]
async fn a_refused_commit_leaves_nothing_on_either_side() {
    let pair = Pair::new().await;
    let id = TransactionId::new();
    let refused = async { Err("no".to_owned()) };
    assert_eq!(pair.commit_with(id, refused).await, Outcome::Aborted("no".into()));
    assert_eq!(pair.both().await, (0, 0));
    assert_eq!(pair.recover().await, Recovered::default());
    // Whoever comes late with the commit is refused.
    assert!(pair.commit_erp(id).await.is_err());
}

#[tokio::test]
async fn a_refused_prepare_leaves_nothing_on_either_side() {
    let pair = Pair::new().await;
    let id = TransactionId::new();
    pair.settle(id, Decision::Abort).await.unwrap();
    let outcome = pair.commit_with(id, pair.commit_erp(id)).await;
    assert!(matches!(outcome, Outcome::Aborted(_)), "{outcome:?}");
    assert_eq!(pair.both().await, (0, 0));
}

#[tokio::test]
async fn a_lost_answer_of_the_commit_is_looked_up() {
    let pair = Pair::new().await;
    let id = TransactionId::new();
    let lost = async {
        pair.commit_erp(id).await?;
        Err("lost".to_owned())
    };
    assert_eq!(pair.commit_with(id, lost).await, Outcome::Committed);
    assert_eq!(pair.both().await, (1, 1));
}

#[tokio::test]
async fn what_cannot_be_ended_now_is_pending_and_recovered_later() {
    let pair = Pair::new().await;
    let id = TransactionId::new();
    let then_away = async {
        pair.commit_erp(id).await?;
        pair.platform_away.store(true, Ordering::Relaxed);
        Ok(())
    };
    let outcome = pair.commit_with(id, then_away).await;
    assert_eq!(outcome, Outcome::Pending(Some("away".into())));
    assert_eq!(pair.both().await, (1, 0));
    pair.platform_away.store(false, Ordering::Relaxed);
    assert_eq!(pair.recover().await, Recovered { committed: 1, ..Recovered::default() });
    assert_eq!(pair.both().await, (1, 1));
}

#[tokio::test]
async fn an_unknown_outcome_is_pending_and_recovered_later() {
    let pair = Pair::new().await;
    let id = TransactionId::new();
    let away = async {
        pair.erp_away.store(true, Ordering::Relaxed);
        Err("away".to_owned())
    };
    assert_eq!(pair.commit_with(id, away).await, Outcome::Pending(Some("away".into())));
    assert_eq!(pair.recover().await, Recovered { failed: 1, ..Recovered::default() });
    pair.erp_away.store(false, Ordering::Relaxed);
    assert_eq!(pair.recover().await, Recovered { aborted: 1, ..Recovered::default() });
    assert_eq!(pair.both().await, (0, 0));
}

#[tokio::test]
async fn the_young_are_left_to_their_coordinators() {
    let pair = Pair::new().await;
    pair.world.prepared(TransactionId::new()).await;
    let recovered = recover_once(&pair, Duration::from_secs(3600)).await.unwrap();
    assert_eq!(recovered, Recovered { young: 1, ..Recovered::default() });
}

/// A platform without a database: tells when it was asked.
struct Asked {
    at: tokio::sync::mpsc::UnboundedSender<Instant>,
    works: AtomicBool,
}

impl Sides for Asked {
    type Error = String;

    async fn settle(&self, _: TransactionId, _: Decision) -> Result<(), String> {
        Ok(())
    }

    async fn resolve(&self, _: TransactionId) -> Result<Decision, String> {
        Ok(Decision::Abort)
    }

    async fn list_prepared(&self) -> Result<Vec<Prepared>, String> {
        self.at.send(Instant::now()).map_err(text)?;
        match self.works.swap(true, Ordering::Relaxed) {
            true => Ok(Vec::new()),
            false => Err("away".into()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn recovery_looks_at_once_and_backs_off_while_nothing_works() {
    let (at, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let options = RecoveryOptions { interval: Duration::from_secs(5), ..Default::default() };
    let started = Instant::now();
    let task = tokio::spawn(recover(Asked { at, works: AtomicBool::new(false) }, options));
    for seconds in [0, 10, 15] {
        let looked = asked.recv().await.unwrap() - started;
        assert_eq!(looked.as_secs(), seconds);
    }
    task.abort();
}
