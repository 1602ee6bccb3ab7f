//! Whether the pair can work (spec DW-48, A20): on demand, and every ten minutes by one process.
//!
//! `look` asks both sides, and [`check`] says what it means.

mod look;
mod owners;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proto::dual_write::v1::{HealthCheck, Link, Side, TableMap};
use tokio::time::MissedTickBehavior;

use crate::core::Core;
use crate::error::{Error, spoken_side};
use crate::maps::link_text;
use crate::store::activity::Activity;
use crate::store::{self, links::Teams};
use look::{Found, Seen};

const PERIOD: Duration = Duration::from_secs(600);
/// Codes that the original does not have.
const OWN: &str = "TMBL";
/// Tables of which changes are not captured.
const CAPTURE: &str = "TMBL2001";
/// Maps that stand still.
const HEARTBEAT: &str = "TMBL2002";
/// A side that is away is asked again more often than this.
const STILL: Duration = Duration::from_secs(60);
/// What a name gets that is one of many.
const MOST_SUBJECTS: usize = 50;

/// What the checks found, and what was learnt on the way.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) checks: Vec<HealthCheck>,
    /// Names of the companies' teams now.
    pub(crate) teams: Teams,
    /// Configuration of another pair: its link, where there is one.
    foreign: Option<String>,
}

/// Runs all checks for a pair. `teams` are the names as they were when it was linked, and `starting`
/// maps that are about to run.
pub(crate) async fn check(
    core: &Core,
    link: &Link,
    teams: &Teams,
    starting: &[TableMap],
) -> Health {
    let seen = Box::pin(look::look(core)).await;
    let mut checks = Vec::new();
    for side in [Side::FinanceAndOperations, Side::Platform] {
        checks.push(connection(side, &seen));
        checks.push(companies(side, link, &seen));
        checks.push(configuration(core, side, link, &seen));
        checks.push(capture(side, &seen));
        checks.push(heartbeat(side, core).await);
    }
    checks.push(team_names(link, teams, &seen));
    checks.push(owners::check(core, link, &seen, starting));
    let configured = seen.configured.iter().filter_map(|(_, it)| it.as_ref().ok());
    let mut foreign = configured.flat_map(|it| &it.maps);
    let ours = link_text(link);
    let foreign = foreign.find(|it| !it.link.is_empty() && it.link != ours);
    Health { checks, teams: seen.teams(), foreign: foreign.map(|it| it.link.clone()) }
}

/// The platform's own id.
pub(crate) async fn organization(core: &Core) -> Result<String, Error> {
    look::organization(core).await.map_err(|it| Error::of_side(Side::Platform, it))
}

/// Looks every ten minutes, and tells what is new.
pub(crate) async fn run(core: Arc<Core>) {
    loop {
        let mut leader = core.store.leader("health").await;
        tokio::select! {
            () = leader.lost() => {}
            () = rounds(&core) => {}
        }
    }
}

async fn rounds(core: &Core) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = round(core).await {
            tracing::warn!(%error, "the pair's health cannot be checked");
        }
    }
}

async fn round(core: &Core) -> Result<(), Error> {
    let mut connection = core.store.pool().acquire().await?;
    let Some(link) = store::links::find(&mut connection).await? else { return Ok(()) };
    let teams = store::links::teams(&mut connection).await?;
    drop(connection);
    let health = check(core, &link, &teams, &[]).await;
    let mut transaction = core.store.begin().await?;
    for check in &health.checks {
        let (code, side) = (&check.code, check.side());
        let before = store::health::put(&mut transaction, code, side, check).await?;
        // A first result is news only where something is wrong.
        if before.unwrap_or(true) == check.passed {
            continue;
        }
        let kind = if check.passed { "HealthRestored" } else { "HealthCheckFailed" };
        tracing::warn!(code, passed = check.passed, message = check.message, "health has changed");
        let detail = serde_json::json!({ "code": check.code, "subjects": check.subjects });
        let text = format!("[{code}] {}", check.message);
        Activity::new(kind, text).with(detail).record(&mut transaction, "", "").await?;
    }
    Ok(transaction.commit().await?)
}

// === impl Health ===

impl Health {
    /// Refuses where something is wrong that keeps the pair from working. Configuration that was left
    /// behind does not: it is taken away or replaced by what starts. Nor does what was found of maps that run.
    pub(crate) fn require(&self, link: &Link) -> Result<(), Error> {
        if let Some(foreign) = &self.foreign {
            let (expected, actual) = (link_text(link), foreign.clone());
            return Err(Error::Environment { expected, actual });
        }
        let blocks = |it: &&HealthCheck| {
            !it.passed && !it.code.ends_with("1004") && !it.code.starts_with(OWN)
        };
        let failed: Vec<_> = self.checks.iter().filter(blocks).collect();
        if let Some(away) = failed.iter().find(|it| it.code.ends_with("EV1001")) {
            let cause = tonic::Status::unavailable(away.message.clone());
            return Err(Error::of_side(away.side(), cause));
        }
        if failed.is_empty() {
            return Ok(());
        }
        let codes = failed.iter().map(|it| it.code.clone()).collect();
        let told: Vec<_> =
            failed.iter().map(|it| format!("[{}] {}", it.code, it.message)).collect();
        Err(Error::Health { codes, message: told.join(" ") })
    }

    /// The same for a pair that is linked anew: what another link left behind is replaced.
    pub(crate) fn require_new(&self, link: &Link) -> Result<(), Error> {
        let fresh = Self { checks: self.checks.clone(), teams: Teams::new(), foreign: None };
        fresh.require(link)
    }
}

fn code(side: Side, number: u32) -> String {
    let side = if side == Side::FinanceAndOperations { "FO" } else { "DV" };
    format!("DW{side}EV{number}")
}

fn result(
    side: Side,
    number: u32,
    message: impl Into<String>,
    help: &str,
    subjects: Vec<String>,
    passed: bool,
) -> HealthCheck {
    own_result(side, &code(side, number), message, help, subjects, passed)
}

fn own_result(
    side: Side,
    code: &str,
    message: impl Into<String>,
    help: &str,
    mut subjects: Vec<String>,
    passed: bool,
) -> HealthCheck {
    subjects.truncate(MOST_SUBJECTS);
    let help = if passed { String::new() } else { help.to_owned() };
    let (code, message) = (code.to_owned(), message.into());
    HealthCheck { code, side: side.into(), passed, message, help, subjects }
}

fn connection(side: Side, seen: &Seen) -> HealthCheck {
    let name = spoken_side(side);
    let help =
        "See that the side's services run and can be reached; a link that was lost is reset.";
    match seen.configured(side) {
        Ok(_) => result(side, 1001, format!("The {name} side answers."), help, Vec::new(), true),
        Err(error) => {
            let message = format!("The {name} side does not answer: {error}");
            result(side, 1001, message, help, Vec::new(), false)
        }
    }
}

fn companies(side: Side, link: &Link, seen: &Seen) -> HealthCheck {
    let name = spoken_side(side);
    let help = "Remove these companies from the link, or make them on this side.";
    match seen.companies(side) {
        Found::Unknown => {
            let message = format!("The {name} side has no list of companies to compare with.");
            result(side, 1003, message, help, Vec::new(), true)
        }
        Found::Failed(error) => {
            let message = format!("The companies of the {name} side cannot be read: {error}");
            result(side, 1003, message, help, Vec::new(), false)
        }
        Found::Some(known) => {
            let known: BTreeSet<_> = known.iter().map(|it| it.code.to_lowercase()).collect();
            let missing = link.companies.iter().filter(|it| !known.contains(&it.to_lowercase()));
            let missing: Vec<_> = missing.cloned().collect();
            if missing.is_empty() {
                let message = format!("All linked companies are on the {name} side.");
                return result(side, 1003, message, help, missing, true);
            }
            let list = missing.join(", ");
            let message = format!("Linked companies are not on the {name} side: {list}.");
            result(side, 1003, message, help, missing, false)
        }
    }
}

fn configuration(core: &Core, side: Side, link: &Link, seen: &Seen) -> HealthCheck {
    let name = spoken_side(side);
    let help = "Stop and start the map again, or delete the runtime configuration rows.";
    let ours = link_text(link);
    let Ok(configured) = seen.configured(side) else {
        let message = format!("The configuration of the {name} side cannot be read.");
        return result(side, 1004, message, help, Vec::new(), false);
    };
    let configured = &configured.maps;
    if let Some(foreign) = configured.iter().find(|it| !it.link.is_empty() && it.link != ours) {
        let message = Error::Environment { expected: ours, actual: foreign.link.clone() };
        return result(side, 1004, message.to_string(), help, vec![foreign.map.clone()], false);
    }
    let is_wanted = |map: &str| core.maps.get(map).is_some_and(|it| it.is_configured());
    let stale = configured.iter().filter(|it| !is_wanted(&it.map));
    let stale: Vec<_> = stale.map(|it| it.map.clone()).collect();
    if stale.is_empty() {
        let message = format!("The {name} side holds the configuration of running maps only.");
        return result(side, 1004, message, help, stale, true);
    }
    let list = stale.join(", ");
    let message = format!("The {name} side holds configuration of maps that do not run: {list}.");
    result(side, 1004, message, help, stale, false)
}

fn capture(side: Side, seen: &Seen) -> HealthCheck {
    let name = spoken_side(side);
    let help = "It is mended within a minute unless the database refuses that; if it is, run ALTER TABLE … ENABLE ALWAYS \
                TRIGGER …, or grant what is said. Then reconcile: what was written meanwhile is not in the log.";
    let gaps = match seen.configured(side) {
        Ok(it) => &it.gaps,
        Err(_) => {
            let message = format!("Whether the {name} side captures changes cannot be seen.");
            return own_result(side, CAPTURE, message, help, Vec::new(), false);
        }
    };
    if gaps.is_empty() {
        let message = format!("The {name} side captures every change of mapped tables.");
        return own_result(side, CAPTURE, message, help, Vec::new(), true);
    }
    let told: Vec<_> = gaps.iter().map(|it| format!("{} ({})", it.table, it.reason)).collect();
    let message =
        format!("Tables of the {name} side are written past the log: {}.", told.join("; "));
    let mut tables: Vec<_> = gaps.iter().map(|it| it.table.clone()).collect();
    tables.dedup();
    own_result(side, CAPTURE, message, help, tables, false)
}

/// Changes of the side get to the other one.
async fn heartbeat(side: Side, core: &Core) -> HealthCheck {
    let name = spoken_side(side);
    let help = "See that a process of dual-write runs and both sides answer. Many changes at once take their time, \
                which the map's lag tells.";
    let behind = async {
        let mut connection = core.store.pool().acquire().await?;
        store::reports::behind(&mut connection, side, STILL).await
    };
    let behind = match behind.await {
        Ok(behind) => behind,
        Err(error) => {
            tracing::warn!(%error, "heartbeats cannot be read");
            let message = format!("Whether changes of the {name} side are taken cannot be seen.");
            return own_result(side, HEARTBEAT, message, help, Vec::new(), false);
        }
    };
    if behind.is_empty() {
        let message = format!("Changes of the {name} side are taken within a minute.");
        return own_result(side, HEARTBEAT, message, help, Vec::new(), true);
    }
    let told = behind.iter().map(|(map, since)| {
        format!("{map} (since {})", since.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
    });
    let told: Vec<_> = told.collect();
    let message =
        format!("Not all changes of the {name} side have been taken: {}.", told.join(", "));
    let maps = behind.into_iter().map(|it| it.0).collect();
    own_result(side, HEARTBEAT, message, help, maps, false)
}

fn team_names(link: &Link, before: &Teams, seen: &Seen) -> HealthCheck {
    let side = Side::FinanceAndOperations;
    let now = seen.teams();
    let changed = link.companies.iter().filter(|company| {
        let (before, now) = (before.get(*company), now.get(*company));
        matches!((before, now), (Some(before), Some(now)) if before != now)
    });
    let changed: Vec<_> = changed.cloned().collect();
    let help = "Reset the link, or name the team as it was.";
    if changed.is_empty() {
        let message = "Default teams have the names that they were linked with.";
        return result(side, 1006, message, help, changed, true);
    }
    let list = changed.join(", ");
    let message = format!("Default teams are not named as when they were linked: {list}.");
    result(side, 1006, message, help, changed, false)
}
