//! One life after the other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use proto::dual_write::v1::{MapState, ResumeMode};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::timeout;

use super::Variant;
use super::deck::Deck;
use super::entry::{Client, ENTRIES, Entry, NOT_MENDING, Names, SHARED, number};
use super::fault::{FAULTS, Fault, STEPS};
use super::ledger::Ledger;
use super::maps::Maps;
use super::world::{MAP, World};
use crate::random::Random;
use crate::{System, Web};

/// A life that is to end by itself ends in this time.
const LIFE: Duration = Duration::from_secs(30);
/// After it, recovery needs the decision record. What is broken without is broken here.
const DECIDED: &str = "erp-committed";
/// Clients that were told to stop have an answer by then.
const STOPPED_WITHIN: Duration = Duration::from_secs(60);
/// What waited while a map was paused is replayed by then, one change after the other.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks at something that tells nobody.
const LOOK: Duration = Duration::from_millis(100);
/// In one life.
const MOST_FAULTS: usize = 5;
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
    settings: Settings,
    steps: Deck<&'static str>,
    faults: Deck<Fault>,
    /// The last life ended at a step.
    at_step: bool,
}

/// Breaks, mends, compares. Fails with the first difference.
pub async fn run(settings: Settings) -> Result<Outcome> {
    let world = World::new(settings.variant).await?;
    // Before the map runs, no write comes to the step.
    let first = (settings.variant == Variant::Broken).then_some(DECIDED);
    let (system, accounts, names) = prepare(&world, first).await.context("prepare")?;
    let mut run = Run {
        world,
        random: Random::new(settings.seed),
        ledger: Arc::default(),
        accounts: Arc::new(accounts),
        names: Arc::new(names),
        outcome: Outcome::default(),
        settings,
        steps: Deck::new(&STEPS),
        faults: Deck::new(&FAULTS),
        at_step: false,
    };
    let mut running = Some(system);
    let bar = ProgressBar::new(settings.faults as u64).with_style(ProgressStyle::with_template(
        "{bar:40} {pos}/{len} faults, {per_sec}, {eta} left",
    )?);
    let (mut line, mut is_compared) = (0, false);
    while run.outcome.faults < settings.faults {
        let told = format!("after {} faults (seed {})", run.outcome.faults, settings.seed);
        is_compared = run.life(running.take()).await.context(told)?;
        bar.set_position(run.outcome.faults as u64);
        let lines = run.outcome.faults * LINES / settings.faults.max(1);
        if bar.is_hidden() && std::mem::replace(&mut line, lines) != lines {
            println!("        {}", run.outcome);
        }
    }
    bar.finish_and_clear();
    if !is_compared {
        let system = run.world.start(None).await?;
        let maps = Maps::of(&system).await?;
        run.compare(&maps).await.with_context(|| system.log())?;
        system.stop().await?;
    }
    run.world.stop().await?;
    Ok(run.outcome)
}

/// A system with rows that everybody writes, and a map that runs. Returns the accounts' GUIDs, too.
async fn prepare(world: &World, step: Option<&str>) -> Result<(System, Vec<String>, Names)> {
    let system = world.start(step).await?;
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
    Ok((system, accounts, names))
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
    /// From a start, unless the system runs, over a comparison and some faults, to an end. Says whether the
    /// sides were compared after everything.
    async fn life(&mut self, running: Option<System>) -> Result<bool> {
        let step = self.step(running.is_some());
        let mut system = match running {
            Some(system) => system,
            None => self.world.start(step).await?,
        };
        let maps = Maps::of(&system).await?;
        let web = system.web("admin").await?;
        match step {
            None => self.compare(&maps).await.with_context(|| system.log())?,
            // It may come to the step by what has waited, and kill itself meanwhile.
            Some(_) => drop(runs(&maps).await),
        }
        let faults = if step.is_none() { self.some_faults() } else { Vec::new() };
        let entries: &[Entry] = match self.settings.variant {
            Variant::Whole => &ENTRIES,
            Variant::Broken => &NOT_MENDING,
        };
        let may_pause = faults.contains(&Fault::Paused);
        let stop = watch::Sender::new(false);
        let clients =
            entries.iter().filter(|it| **it != Entry::Refused || !may_pause).map(|entry| {
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
        let before = self.ledger().counts();
        let (world, outcome, ledger) = (&self.world, &mut self.outcome, &self.ledger);
        let breaking = async {
            let mut random = Random::new(seed);
            let broken = match step {
                Some(step) => killed(world, &mut system, &maps, step).await.with_context(|| {
                    let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
                    format!("answers before it and since: {before}; {}", ledger.counts())
                }),
                None => broken(world, &maps, &mut random, &faults, outcome).await,
            };
            if step.is_some() {
                outcome.faults += 1;
                outcome.kills += 1;
            }
            let _ = stop.send(true);
            broken
        };
        let writing = async {
            let writing = timeout(LIFE + STOPPED_WITHIN, futures::future::try_join_all(clients));
            writing.await.context("clients do not stop")?
        };
        // A client that fails ends the life: nothing would be reached without it.
        let ended = futures::try_join!(writing, breaking);
        let log = system.log();
        ended.with_context(|| log.clone())?;
        ensure!(!log.contains("panicked"), "{log}");
        self.at_step = step.is_some();
        if step.is_some() {
            return Ok(false);
        }
        if self.random.one_in(2) {
            self.outcome.faults += 1;
            self.outcome.kills += 1;
            system.kill().await?;
            return Ok(false);
        }
        self.compare(&maps).await.with_context(|| system.log())?;
        system.stop().await?;
        Ok(true)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn some_faults(&mut self) -> Vec<Fault> {
        let left = self.settings.faults.saturating_sub(self.outcome.faults).clamp(1, MOST_FAULTS);
        let many = 1 + self.random.below(left);
        (0..many).map(|_| self.faults.deal(&mut self.random)).collect()
    }

    /// Where the next life ends by itself.
    fn step(&mut self, is_running: bool) -> Option<&'static str> {
        match self.settings.variant {
            Variant::Broken => (!self.at_step).then_some(DECIDED),
            Variant::Whole if !is_running && self.random.one_in(2) => {
                Some(self.steps.deal(&mut self.random))
            }
            Variant::Whole => None,
        }
    }

    /// When everybody is silent: both sides are the same, and what they were told to be.
    async fn compare(&mut self, maps: &Maps) -> Result<()> {
        // Who lost every connection a moment ago may still say that it is away.
        let started = Instant::now();
        while let Err(error) = runs(maps).await {
            ensure!(started.elapsed() < LIFE, "{error:#}");
            tokio::time::sleep(LOOK).await;
        }
        let rows = self.world.equal(maps).await?;
        let settled = self.ledger().settle(&rows);
        if let Err(diverged) = settled {
            return Err(self.world.with_evidence(diverged, maps).await);
        }
        let ledger = self.ledger();
        let (acknowledged, refused, unknown) =
            (ledger.acknowledged, ledger.refused, ledger.unknown);
        drop(ledger);
        let Outcome { faults, kills, .. } = self.outcome;
        self.outcome = Outcome { faults, kills, acknowledged, refused, unknown, rows: rows.len() };
        Ok(())
    }
}

/// Resumes the map if it waits, and waits until it runs.
async fn runs(maps: &Maps) -> Result<()> {
    match maps.get(MAP).await?.state() {
        MapState::Paused => maps.resume(MAP, ResumeMode::CatchUp).await?,
        MapState::Running | MapState::Resuming => {}
        other => anyhow::bail!("the map is {other:?}"),
    }
    maps.reaches(MAP, MapState::Running, CAUGHT_UP_WITHIN).await
}

/// Some faults, one after the other.
async fn broken(
    world: &World,
    maps: &Maps,
    random: &mut Random,
    faults: &[Fault],
    outcome: &mut Outcome,
) -> Result<()> {
    for fault in faults {
        // Any moment will do: nothing is waited for.
        tokio::time::sleep(Duration::from_millis(random.below(LONGEST_PAUSE_MILLISECONDS) as u64))
            .await;
        fault.happen(world, maps, random).await.with_context(|| format!("{fault:?}"))?;
        outcome.faults += 1;
    }
    Ok(())
}

async fn killed(world: &World, system: &mut System, maps: &Maps, step: &str) -> Result<()> {
    if let Ok(ended) = timeout(LIFE, system.ended()).await {
        return ended.map(drop);
    }
    let (map, sessions) = (maps.get(MAP).await, world.sessions().await);
    anyhow::bail!("{step} is never reached, the map is {map:?}\n{sessions}")
}
