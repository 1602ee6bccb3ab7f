//! What a save costs more because its row is on both sides: the same save in a system whose map is live and
//! in one whose map is stopped, and the two local commits that live sync cannot do without, in turns.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tests::Web;

use super::world::{Live, MAP, World, durability};

const WARM_UP: usize = 100;
/// Rows that are saved in turns.
const ROWS: i64 = 500;
const CUSTOMER_SET: &str = "mserp_custcustomerv3entities";
const COMPANY: &str = "USMF";

/// The local commit of the ERP.
pub const ERP_SQL: &str = "UPDATE erp.custtable SET memo = $1 WHERE recid = $2";
/// The local commit of the platform.
pub const PLATFORM_SQL: &str =
    "UPDATE organization.account SET description = $1 WHERE accountid = $2";

/// On which side somebody saves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// An account, of the platform.
    Account,
    /// A customer, of the ERP, as a virtual row.
    Customer,
}

/// The same row in one system.
#[derive(Clone, Debug)]
pub struct Row {
    number: String,
    account: uuid::Uuid,
    customer: i64,
}

/// How long each took, turn by turn.
#[derive(Debug, Default)]
pub struct Times {
    /// The save, both sides in it.
    pub live: Vec<Duration>,
    /// The save where the map is stopped.
    pub unmapped: Vec<Duration>,
    /// Both local commits, one after the other.
    pub local: Vec<Duration>,
}

/// Two systems over like data, with the map live in one and stopped in the other.
#[derive(Debug)]
pub struct Pair {
    live: (World, Live),
    stopped: (World, Live),
    rows: Vec<[Row; 2]>,
    /// Of the system whose map is stopped: nobody follows what is written past it.
    databases: [PgConnection; 2],
    durability: String,
}

impl Way {
    /// All.
    pub const ALL: [Self; 2] = [Self::Account, Self::Customer];

    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Account => "account (platform, then ERP)",
            Self::Customer => "customer (ERP, then platform)",
        }
    }

    /// The request that saves this text.
    pub(super) fn request(self, row: &Row, text: &str) -> (String, Value) {
        match self {
            Self::Account => (format!("accounts({})", row.account), json!({ "description": text })),
            Self::Customer => {
                let number = &row.number;
                let key = format!("mserp_dataareaid='{COMPANY}',mserp_customeraccount='{number}'");
                (format!("{CUSTOMER_SET}({key})"), json!({ "mserp_notes": text }))
            }
        }
    }
}

impl Pair {
    /// Two ERPs with so many customers; both are copied, then one system's maps are stopped.
    pub async fn start(customers: u64) -> Result<Self> {
        let (live, stopped) = (whole(customers).await?, whole(customers).await?);
        stopped.1.stop_maps().await?;
        let mut databases = [stopped.0.erp.connect().await?, stopped.0.platform.connect().await?];
        let mut settings = [durability(&mut databases[0]).await?, String::new()];
        settings[1] = durability(&mut databases[1]).await?;
        durability(&mut live.0.erp.connect().await?).await?;
        durability(&mut live.0.platform.connect().await?).await?;
        let durability = format!("ERP: {}; platform: {}", settings[0], settings[1]);
        let both = [rows(&live.0).await?, rows(&stopped.0).await?];
        let [ones, others] = both;
        let pairs = ones.into_iter().zip(others).map(|(one, other)| [one, other]);
        let rows: Vec<_> = pairs.collect();
        ensure!(rows.iter().all(|[one, other]| one.number == other.number), "not the same rows");
        Ok(Self { live, stopped, rows, databases, durability })
    }

    /// How the databases commit.
    #[must_use]
    pub fn durability(&self) -> &str {
        &self.durability
    }

    /// Saves one way for some time.
    pub async fn measure(&mut self, way: Way, duration: Duration) -> Result<Times> {
        let mut times = Times::default();
        let mut end = None;
        for turn in 0_usize.. {
            let row = turn % self.rows.len();
            let text = format!("{way:?} {turn}");
            let mut took = [Duration::ZERO; 3];
            // Who goes first changes.
            for place in 0..took.len() {
                let which = (turn + place) % took.len();
                took[which] = match which {
                    0 => save(&self.live.1.web, way, &self.rows[row][0], &text).await?,
                    1 => save(&self.stopped.1.web, way, &self.rows[row][1], &text).await?,
                    _ => self.commit(row, &text).await?,
                };
            }
            if turn < WARM_UP {
                continue;
            }
            times.live.push(took[0]);
            times.unmapped.push(took[1]);
            times.local.push(took[2]);
            if Instant::now() >= *end.get_or_insert_with(|| Instant::now() + duration) {
                break;
            }
        }
        self.check(way).await?;
        Ok(times)
    }

    async fn commit(&mut self, row: usize, text: &str) -> Result<Duration> {
        let [_, Row { account, customer, .. }] = &self.rows[row];
        let [erp, platform] = &mut self.databases;
        let started = Instant::now();
        let mut transaction = erp.begin().await?;
        let done =
            sqlx::query(ERP_SQL).bind(text).bind(customer).execute(&mut *transaction).await?;
        transaction.commit().await?;
        let mut transaction = platform.begin().await?;
        let update = sqlx::query(PLATFORM_SQL).bind(text).bind(account);
        let also = update.execute(&mut *transaction).await?;
        transaction.commit().await?;
        let took = started.elapsed();
        ensure!(done.rows_affected() == 1 && also.rows_affected() == 1, "not one row each");
        Ok(took)
    }

    /// The live saves are on both sides. Nothing else would be worth measuring.
    async fn check(&self, way: Way) -> Result<()> {
        let (world, live) = &self.live;
        let row = &self.rows[0][0];
        let text = format!("{way:?} at the end");
        save(&live.web, way, row, &text).await?;
        let sql = "SELECT memo FROM erp.custtable WHERE recid = $1";
        let mut erp = world.erp.connect().await?;
        let in_erp: String = sqlx::query_scalar(sql).bind(row.customer).fetch_one(&mut erp).await?;
        let sql = "SELECT description FROM organization.account WHERE accountid = $1";
        let mut platform = world.platform.connect().await?;
        let on_platform: String =
            sqlx::query_scalar(sql).bind(row.account).fetch_one(&mut platform).await?;
        ensure!(in_erp == text && on_platform == text, "ERP {in_erp}, platform {on_platform}");
        Ok(())
    }

    /// The end of both.
    pub async fn stop(self) -> Result<()> {
        drop(self.databases);
        for (world, live) in [self.live, self.stopped] {
            live.system.stop().await?;
            world.stop().await?;
        }
        Ok(())
    }
}

async fn whole(customers: u64) -> Result<(World, Live)> {
    begin(World::new(customers, |_, _, _| ()).await?).await
}

/// A system of its own whose map is live and whose traces go there.
pub async fn traced(customers: u64, endpoint: &str) -> Result<(World, Live)> {
    begin(World::new(customers, |_, _, _| ()).await?.traced(endpoint)).await
}

async fn begin(world: World) -> Result<(World, Live)> {
    let live = world.run().await?;
    live.maps.start(MAP, false).await.with_context(|| live.system.log())?;
    Ok((world, live))
}

/// Rows to save, by number.
pub async fn rows(world: &World) -> Result<Vec<Row>> {
    let sql = "SELECT c.accountnum, c.recid FROM erp.custtable c
        WHERE c.dataareaid = $1 ORDER BY c.accountnum LIMIT $2";
    let mut erp = world.erp.connect().await?;
    let customers: Vec<(String, i64)> =
        sqlx::query_as(sql).bind(COMPANY).bind(ROWS).fetch_all(&mut erp).await?;
    let sql = "SELECT a.accountid FROM organization.account a
        JOIN organization.cdm_company c ON c.cdm_companyid = a.msdyn_company
        WHERE a.accountnumber = $1 AND c.cdm_companycode = $2";
    let mut platform = world.platform.connect().await?;
    let mut rows = Vec::with_capacity(customers.len());
    for (number, customer) in customers {
        let found = sqlx::query_scalar(sql).bind(&number).bind(COMPANY);
        let account = found.fetch_optional(&mut platform).await?;
        let account = account.with_context(|| format!("no account {number}"))?;
        rows.push(Row { number, account, customer });
    }
    ensure!(!rows.is_empty(), "no customers");
    Ok(rows)
}

pub(super) async fn save(web: &Web, way: Way, row: &Row, text: &str) -> Result<Duration> {
    let (path, body) = way.request(row, text);
    let started = Instant::now();
    let answer = web.patch(&path, &[("If-Match", "*")], body).await?;
    let took = started.elapsed();
    answer.expect(204)?;
    Ok(took)
}

impl Times {
    /// What live sync adds at this quantile, over both local commits there.
    #[must_use]
    pub fn ratio(&self, of: f64) -> f64 {
        (micros(&self.live, of) - micros(&self.unmapped, of)) / micros(&self.local, of)
    }
}

/// A quantile in microseconds.
#[must_use]
pub fn micros(times: &[Duration], of: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().saturating_sub(1);
    let place = (last as f64 * of).round() as usize;
    sorted.get(place).map_or(f64::NAN, |it| it.as_secs_f64() * 1e6)
}
