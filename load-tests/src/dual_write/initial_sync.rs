//! The copy of all rows before a map goes live: how fast, in how much memory, and whether it goes on by
//! itself where it was when its process is killed.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use proto::dual_write::v1 as pb;
use sqlx::PgConnection;
use tests::dual_write::maps::timed;

use super::world::{Live, MAP, World};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// Without any progress, it is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(300);
const RELATED_WITHIN: Duration = Duration::from_secs(300);

/// What was seen at one look.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Since the process was ready.
    pub at: Duration,
    /// Rows read in all legs, by all processes so far.
    pub rows: i64,
    /// Resident memory of the process, in bytes.
    pub memory: u64,
}

/// From the start of a process to its death, or to the end of the copy.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// In order.
    pub samples: Vec<Sample>,
    /// Whether it was killed.
    pub killed: bool,
    /// How long it took from its start until it was ready.
    pub ready_after: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// One more than there were kills.
    pub lives: Vec<Life>,
    /// From the request to start until the map runs, deaths and all.
    pub took: Duration,
    /// As the run counts.
    pub run: pb::InitialSync,
}

/// Rows of one company, and a number that their contents make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Company {
    /// Its code.
    pub company: String,
    /// How many rows.
    pub rows: i64,
    /// Equal where the rows are.
    pub contents: String,
}

/// Copies all customers, and kills the system so many times on the way. Tells rows done and all rows.
pub async fn run(
    world: &World,
    kills: usize,
    mut progress: impl FnMut(i64, i64),
) -> Result<(Live, Outcome)> {
    let mut live = world.run().await?;
    start_related(&live).await?;
    let started = Instant::now();
    let request = pb::StartMapsRequest { starts: vec![start(MAP)], ..Default::default() };
    live.maps.service().start_maps(timed(request)).await?;
    let mut lives = Vec::new();
    for kill in 1..=kills {
        // At equal distances.
        let until = kill as f64 / (kills + 1) as f64;
        let mut life = watch(world, &live, Some(until), &mut progress).await?;
        live.system.kill().await?;
        life.killed = true;
        lives.push(life);
        live = world.run().await?;
    }
    lives.push(watch(world, &live, None, &mut progress).await?);
    let took = started.elapsed();
    let run = find(&live).await?.context("no run")?;
    Ok((live, Outcome { lives, took, run }))
}

/// What each side holds, by company.
pub async fn contents(world: &World) -> Result<[Vec<Company>; 2]> {
    let erp = "SELECT c.dataareaid AS company, count(*) AS rows, sum(hashtextextended(concat_ws('|',
            c.accountnum, p.name, c.custgroup, c.memo, c.creditmax::numeric(23, 4)), 0))::text AS contents
        FROM erp.custtable c JOIN erp.dirpartytable p ON p.recid = c.party GROUP BY 1 ORDER BY 1";
    let platform = "SELECT c.cdm_companycode AS company, count(*) AS rows, sum(hashtextextended(concat_ws('|',
            a.accountnumber, a.name, g.msdyn_groupid, coalesce(a.description, ''),
            coalesce(a.creditlimit, 0)::numeric(23, 4)), 0))::text AS contents
        FROM organization.account a
        JOIN organization.cdm_company c ON c.cdm_companyid = a.msdyn_company
        LEFT JOIN organization.msdyn_customergroup g ON g.msdyn_customergroupid = a.msdyn_customergroupid
        GROUP BY 1 ORDER BY 1";
    let mut connections = [world.erp.connect().await?, world.platform.connect().await?];
    let [one, other] = &mut connections;
    Ok([companies(one, erp).await?, companies(other, platform).await?])
}

async fn companies(connection: &mut PgConnection, sql: &'static str) -> Result<Vec<Company>> {
    let rows: Vec<(String, i64, String)> = sqlx::query_as(sql).fetch_all(connection).await?;
    let company = |(company, rows, contents)| Company { company, rows, contents };
    Ok(rows.into_iter().map(company).collect())
}

async fn start_related(live: &Live) -> Result<()> {
    let request = pb::ListRelatedMapsRequest { parent: MAP.to_owned(), ..Default::default() };
    let related = live.maps.service().list_related_maps(timed(request)).await?.into_inner().maps;
    let starts = related.iter().map(|it| start(&it.name)).collect();
    let request = pb::StartMapsRequest { starts, ..Default::default() };
    live.maps.service().start_maps(timed(request)).await?;
    for map in related {
        live.maps.reaches(&map.name, pb::MapState::Running, RELATED_WITHIN).await?;
    }
    Ok(())
}

fn start(map: &str) -> pb::MapStart {
    pb::MapStart {
        name: map.to_owned(),
        initial_sync_master: pb::Side::FinanceAndOperations.into(),
        ..Default::default()
    }
}

/// Looks on until this part of the customers is read, or until the map runs.
async fn watch(
    world: &World,
    live: &Live,
    until: Option<f64>,
    progress: &mut impl FnMut(i64, i64),
) -> Result<Life> {
    let started = Instant::now();
    let mut life = Life { ready_after: live.system.ready_after, ..Life::default() };
    let mut moved = (Instant::now(), 0);
    let mut look = tokio::time::interval(LOOK);
    loop {
        look.tick().await;
        let Some(run) = find(live).await? else { continue };
        let rows = run.counts.map_or(0, |it| it.exported_count);
        let (copied, all) = copied(&run);
        // Once there and once back.
        progress(rows, 2 * all);
        life.samples.push(Sample { at: started.elapsed(), rows, memory: world.memory()? });
        let part = copied as f64 / all.max(1) as f64;
        match until {
            Some(until) if part >= until => return Ok(life),
            None if live.maps.get(MAP).await?.state() == pb::MapState::Running => return Ok(life),
            _ => {}
        }
        use pb::InitialSyncState as S;
        let over = matches!(run.state(), S::CompletedWithErrors | S::Failed | S::Cancelled);
        if over || (until.is_some() && run.state() == S::Completed) {
            bail!("{:?} too early: {run:?}", run.state());
        }
        if rows != moved.1 {
            moved = (Instant::now(), rows);
        }
        ensure!(moved.0.elapsed() < STUCK_AFTER, "no progress in {STUCK_AFTER:?}: {run:?}");
    }
}

/// Customers read so far, and all of them. What the legs back will read is not counted before it is there.
fn copied(run: &pb::InitialSync) -> (i64, i64) {
    let there = run.legs.iter().filter(|it| it.source() == pb::Side::FinanceAndOperations);
    let counts = there.filter_map(|it| it.counts.as_ref());
    counts.fold((0, 0), |(done, all), it| (done + it.exported_count, all + it.total_count))
}

async fn find(live: &Live) -> Result<Option<pb::InitialSync>> {
    let request =
        pb::ListInitialSyncsRequest { parent: MAP.to_owned(), page_size: 1, ..Default::default() };
    let found = live.maps.initial_syncs().list_initial_syncs(timed(request)).await?;
    Ok(found.into_inner().initial_syncs.into_iter().next())
}

impl Life {
    /// How long it was looked at, and the rows that were read meanwhile.
    #[must_use]
    pub fn seconds_and_rows(&self) -> (f64, i64) {
        let (Some(first), Some(last)) = (self.samples.first(), self.samples.last()) else {
            return (0.0, 0);
        };
        ((last.at - first.at).as_secs_f64(), last.rows - first.rows)
    }

    /// The most resident memory, in MiB.
    #[must_use]
    pub fn most_memory(&self) -> f64 {
        self.samples.iter().map(|it| it.memory).max().unwrap_or_default() as f64 / MIB
    }

    /// Mean resident memory in the middle third of its looks, and in the last, in MiB: the same where memory
    /// does not grow with the rows.
    #[must_use]
    pub fn memory_of_thirds(&self) -> [f64; 2] {
        let third = self.samples.len() / 3;
        let mean = |samples: &[Sample]| {
            samples.iter().map(|it| it.memory as f64).sum::<f64>() / samples.len() as f64 / MIB
        };
        let (_, later) = self.samples.split_at(third);
        let (middle, last) = later.split_at(later.len() / 2);
        [mean(middle), mean(last)]
    }

    /// By how many MiB memory grows with 100,000 rows, once a third of its looks is past: least squares.
    #[must_use]
    pub fn growth(&self) -> f64 {
        let (_, warm) = self.samples.split_at(self.samples.len() / 3);
        let point = |it: &Sample| (it.rows as f64 / 100_000.0, it.memory as f64 / MIB);
        let points: Vec<(f64, f64)> = warm.iter().map(point).collect();
        let mean =
            |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / points.len() as f64;
        let (x, y) = (mean(|it| it.0), mean(|it| it.1));
        let covariance: f64 = points.iter().map(|it| (it.0 - x) * (it.1 - y)).sum();
        let variance: f64 = points.iter().map(|it| (it.0 - x).powi(2)).sum();
        covariance / variance
    }
}

const MIB: f64 = 1_048_576.0;
