//! One life after the other.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use proto::dual_write::v1::{MapState, ResumeMode};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::timeout;

use super::Variant;
use super::entry::{Client, ENTRIES, Entry, Names, SHARED, number};
use super::fault::{Fault, STEPS};
use super::ledger::Ledger;
use super::maps::Maps;
use super::world::{MAP, World};
use crate::random::Random;
use crate::{System, Web};

/// A life that is to end by itself ends in this time.
const LIFE: Duration = Duration::from_secs(30);
/// Clients that were told to stop have an answer by then.
const STOPPED_WITHIN: Duration = Duration::from_secs(60);
const MOST_FAULTS: usize = 4;
/// Between two faults.
const LONGEST_PAUSE_MILLISECONDS: usize = 300;
/// Lines for those who see no bar.
const LINES: usize = 10;

/// How much, and from which seed.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Faults in all.
    pub faults: usize,
    /// Of all choices.
    pub seed: u64,
    /// Of what.
    pub variant: Variant,
}

/// What was done.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Faults of all kinds.
    pub faults: usize,
    /// Of them, processes that were killed.
    pub kills: usize,
    /// Writes that were acknowledged.
    pub acknowledged: usize,
    /// Writes that were refused.
    pub refused: usize,
    /// Writes of which nobody said what became of them.
    pub unknown: usize,
    /// Rows that were compared in the end.
    pub rows: usize,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { faults, kills, acknowledged, refused, unknown, rows } = self;
        write!(
            f,
            "{faults} faults, {kills} of them kills; {acknowledged} writes acknowledged, {refused} \
             refused, {unknown} without an answer; {rows} rows are the same on both sides"
        )
    }
}

struct Run {
    world: World,
    random: Random,
    ledger: Arc<Mutex<Ledger>>,
    accounts: Arc<Vec<String>>,
    names: Arc<Names>,
    outcome: Outcome,
    seed: u64,
}

/// Breaks, mends, compares. Fails with the first difference.
pub async fn run(settings: Settings) -> Result<Outcome> {
    let world = World::new(settings.variant).await?;
    let (accounts, names) = prepare(&world).await.context("prepare")?;
    let mut run = Run {
        world,
        random: Random::new(settings.seed),
        ledger: Arc::default(),
        accounts: Arc::new(accounts),
        names: Arc::new(names),
        outcome: Outcome::default(),
        seed: settings.seed,
    };
    let bar = ProgressBar::new(settings.faults as u64).with_style(ProgressStyle::with_template(
        "{bar:40} {pos}/{len} faults, {per_sec}, {eta} left",
    )?);
    let mut line = 0;
    while run.outcome.faults < settings.faults {
        let told = format!("after {} faults (seed {})", run.outcome.faults, run.seed);
        run.life().await.context(told)?;
        bar.set_position(run.outcome.faults as u64);
        let lines = run.outcome.faults * LINES / settings.faults.max(1);
        if bar.is_hidden() && std::mem::replace(&mut line, lines) != lines {
            println!("        {}", run.outcome);
        }
    }
    bar.finish_and_clear();
    let system = run.world.start(None).await?;
    let maps = Maps::of(&system).await?;
    run.compare(&maps).await.with_context(|| system.log())?;
    system.stop().await?;
    run.world.stop().await?;
    Ok(run.outcome)
}

/// Rows that everybody writes, and a map that runs. Returns the accounts' GUIDs.
async fn prepare(world: &World) -> Result<(Vec<String>, Names)> {
    let system = world.start(None).await?;
    let web = system.web("admin").await?;
    for row in 0..SHARED {
        let body = json!({ "mserp_dataareaid": "USMF", "mserp_customeraccount": number(row),
            "mserp_organizationname": "Checker 0", "mserp_customergroupid": "10" });
        web.create("mserp_custcustomerv3entities", body).await?;
    }
    let maps = Maps::of(&system).await?;
    maps.start(MAP, false).await.with_context(|| system.log())?;
    let mut accounts = Vec::with_capacity(SHARED);
    for row in 0..SHARED {
        let path = format!("accounts?$select=accountid&$filter=accountnumber eq '{}'", number(row));
        let found = web.json(&path).await?;
        let id = found["value"][0]["accountid"].as_str();
        accounts.push(
            id.with_context(|| format!("{} was not copied: {found}", number(row)))?.to_owned(),
        );
    }
    world.equal(&maps).await.context("after the initial sync")?;
    let names = names(&web).await.context("names")?;
    system.stop().await?;
    Ok((accounts, names))
}

async fn names(web: &Web) -> Result<Names> {
    let company = "cdm_companies?$select=cdm_companyid&$filter=cdm_companycode eq 'USMF'";
    let group = "msdyn_customergroups?$select=msdyn_customergroupid\
        &$filter=msdyn_groupid eq '10' and msdyn_company/cdm_companycode eq 'USMF'";
    let id = async |path: &str, column: &str| -> Result<String> {
        let found = web.json(path).await?;
        let id = found["value"][0][column].as_str();
        Ok(id.with_context(|| format!("{path}: {found}"))?.to_owned())
    };
    let metadata = web.get("$metadata").await?.expect(200)?.body;
    let action = |ends: &str| {
        let names = metadata.split('"').filter(|it| it.ends_with(ends));
        let name = names.map(|it| it.rsplit('.').next().unwrap_or(it).to_owned()).next();
        name.with_context(|| format!("no action {ends}"))
    };
    Ok(Names {
        company: id(company, "cdm_companyid").await?,
        group: id(group, "msdyn_customergroupid").await?,
        hold: action("_HoldCustomer")?,
        release: action("_ReleaseCustomer")?,
    })
}

impl Run {
    /// From a start, over a comparison and some faults, to an end.
    async fn life(&mut self) -> Result<()> {
        let step = self.random.one_in(2).then(|| *self.random.pick(&STEPS));
        let mut system = self.world.start(step).await?;
        let maps = Maps::of(&system).await?;
        let web = system.web("admin").await?;
        // Where a step is to kill, the writes that catch up could.
        if step.is_none() {
            self.compare(&maps).await.with_context(|| system.log())?;
        }
        let may_pause = self.random.one_in(2);
        let stop = watch::Sender::new(false);
        let clients =
            ENTRIES.iter().filter(|it| **it != Entry::Refused || !may_pause).map(|entry| {
                let client = Client {
                    web: web.clone(),
                    erp: &self.world.erp,
                    ledger: Arc::clone(&self.ledger),
                    random: Random::new(self.random.bits()),
                    accounts: Arc::clone(&self.accounts),
                    names: Arc::clone(&self.names),
                    screen: None,
                };
                client.run(*entry, stop.subscribe())
            });
        let clients: Vec<_> = clients.collect();
        let seed = self.random.bits();
        let (world, outcome) = (&self.world, &mut self.outcome);
        let breaking = async {
            let mut random = Random::new(seed);
            let broken = match step {
                Some(step) => killed(&mut system, step).await,
                None => broken(world, &maps, &mut random, may_pause, outcome).await,
            };
            if step.is_some() {
                outcome.faults += 1;
                outcome.kills += 1;
            }
            let _ = stop.send(true);
            broken
        };
        let writing = futures::future::try_join_all(clients);
        let (written, broken) = futures::join!(timeout(LIFE + STOPPED_WITHIN, writing), breaking);
        let log = system.log();
        broken.with_context(|| log.clone())?;
        written.context("clients do not stop")?.with_context(|| log.clone())?;
        ensure!(!log.contains("panicked"), "{log}");
        if step.is_none() {
            if self.random.one_in(2) {
                self.outcome.faults += 1;
                self.outcome.kills += 1;
                system.kill().await?;
            } else {
                self.compare(&maps).await.with_context(|| system.log())?;
                system.stop().await?;
            }
        }
        Ok(())
    }

    /// When everybody is silent: both sides are the same, and what they were told to be.
    async fn compare(&mut self, maps: &Maps) -> Result<()> {
        match maps.get(MAP).await?.state() {
            MapState::Paused => maps.resume(MAP, ResumeMode::CatchUp).await?,
            MapState::Running | MapState::Resuming => {}
            other => anyhow::bail!("the map is {other:?}"),
        }
        maps.reaches(MAP, MapState::Running, LIFE).await?;
        let rows = self.world.equal(maps).await?;
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.settle(&rows)?;
        self.outcome.rows = rows.len();
        self.outcome.acknowledged = ledger.acknowledged;
        self.outcome.refused = ledger.refused;
        self.outcome.unknown = ledger.unknown;
        Ok(())
    }
}

/// Some faults, one after the other.
async fn broken(
    world: &World,
    maps: &Maps,
    random: &mut Random,
    may_pause: bool,
    outcome: &mut Outcome,
) -> Result<()> {
    for _ in 0..=random.below(MOST_FAULTS) {
        // Any moment will do: nothing is waited for.
        tokio::time::sleep(Duration::from_millis(random.below(LONGEST_PAUSE_MILLISECONDS) as u64))
            .await;
        let fault = Fault::any(random, may_pause);
        fault.happen(world, maps, random).await.with_context(|| format!("{fault:?}"))?;
        outcome.faults += 1;
    }
    Ok(())
}

async fn killed(system: &mut System, step: &str) -> Result<()> {
    let ended = timeout(LIFE, system.ended()).await;
    ended.with_context(|| format!("{step} is never reached"))?.map(drop)
}
