//! Many queries, several in flight; the first that is answered wrongly is made small and told.

use std::time::Instant;

use anyhow::{Result, bail, ensure};
use futures::StreamExt as _;

use super::World;
use super::make::Dialect;
use super::{fetch, odata};
use crate::random::Random;

const IN_FLIGHT: usize = 4;
/// Smaller versions of a failing query that are tried.
const ATTEMPTS: usize = 300;

/// How much, and from which seed.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Queries in all.
    pub queries: usize,
    /// Queries of each schema.
    pub per_schema: usize,
    /// Of the first schema; the following count up.
    pub seed: u64,
    /// Only queries in this dialect.
    pub only: Option<Dialect>,
    /// Wrong answers after which to stop.
    pub failures: usize,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Queries that were answered as expected.
    pub queries: usize,
    /// Those of them that found rows.
    pub with_rows: usize,
    /// Schemas that they were of.
    pub schemas: usize,
}

/// A query in either dialect.
#[derive(Clone, Debug)]
enum Query {
    OData(odata::Query),
    Fetch(fetch::Query),
}

impl Query {
    /// The same for the same seed and schema.
    fn random(seed: u64, number: usize, only: Option<Dialect>, world: &World) -> Self {
        let mut random = Random::new(seed ^ (number as u64).wrapping_mul(0xA076_1D64_78BD_642F));
        let alternately = if number.is_multiple_of(2) { Dialect::OData } else { Dialect::Fetch };
        match only.unwrap_or(alternately) {
            Dialect::OData => Self::OData(odata::Query::random(&mut random, &world.schema)),
            Dialect::Fetch => Self::Fetch(fetch::Query::random(&mut random, &world.schema)),
        }
    }

    async fn check(&self, world: &World) -> Result<usize> {
        match self {
            Self::OData(it) => it.check(world).await,
            Self::Fetch(it) => it.check(world).await,
        }
    }

    fn smaller(&self) -> Vec<Self> {
        match self {
            Self::OData(it) => it.smaller().into_iter().map(Self::OData).collect(),
            Self::Fetch(it) => it.smaller().into_iter().map(Self::Fetch).collect(),
        }
    }

    fn text(&self, world: &World) -> String {
        match self {
            Self::OData(it) => {
                let path = it.path(&world.sets, &world.schema);
                let decoded = percent_encoding::percent_decode_str(&path).decode_utf8_lossy();
                decoded.into_owned()
            }
            Self::Fetch(it) => it.xml(&world.schema, None),
        }
    }
}

/// Asks all queries. Fails with the first wrong answer.
pub async fn run(settings: Settings) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let started = Instant::now();
    while outcome.queries < settings.queries {
        let seed = settings.seed.wrapping_add(outcome.schemas as u64);
        let count = settings.per_schema.min(settings.queries - outcome.queries);
        let world = World::start(&mut Random::new(seed)).await?;
        let asked = ask(&world, seed, count, settings, |done| {
            let all = outcome.queries + done;
            let seconds = started.elapsed().as_secs().max(1);
            println!(
                "        {all} of {} queries, schema {seed}, {} a second",
                settings.queries,
                all as u64 / seconds
            );
        });
        let result = asked.await;
        let log = world.log();
        world.stop().await?;
        if log.contains("panicked") {
            bail!("the system panicked (seed {seed}):\n{log}");
        }
        outcome.with_rows += result?;
        outcome.queries += count;
        outcome.schemas += 1;
    }
    Ok(outcome)
}

/// Returns how many found rows.
async fn ask(
    world: &World,
    seed: u64,
    count: usize,
    settings: Settings,
    progress: impl Fn(usize),
) -> Result<usize> {
    let checks = futures::stream::iter(0..count).map(|number| async move {
        let query = Query::random(seed, number, settings.only, world);
        let result = query.check(world).await;
        (number, query, result)
    });
    let mut checks = Box::pin(checks.buffer_unordered(IN_FLIGHT));
    let (mut done, mut with_rows, mut failures) = (0, 0, Vec::new());
    while let Some((number, query, result)) = checks.next().await {
        match result {
            Ok(rows) => with_rows += usize::from(rows > 0),
            Err(error) => {
                let error = told(world, seed, number, query, error).await;
                failures.push(format!("{error:#}"));
                if failures.len() >= settings.failures {
                    break;
                }
            }
        }
        done += 1;
        if done % 1_000 == 0 {
            progress(done);
        }
    }
    drop(checks);
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    Ok(with_rows)
}

/// The failure of the smallest query that still fails.
async fn told(
    world: &World,
    seed: u64,
    number: usize,
    query: Query,
    error: anyhow::Error,
) -> anyhow::Error {
    let first = query.text(world);
    let (mut query, mut error) = (query, error);
    let mut attempts = 0;
    'smaller: loop {
        for candidate in query.smaller() {
            attempts += 1;
            if attempts > ATTEMPTS {
                break 'smaller;
            }
            if let Err(fails) = candidate.check(world).await {
                (query, error) = (candidate, fails);
                continue 'smaller;
            }
        }
        break;
    }
    let small = query.text(world);
    error.context(format!(
        "TOMBOLO_TEST_SEED={seed}, query {number}:\n  {first}\nsmallest that fails:\n  {small}\n"
    ))
}
