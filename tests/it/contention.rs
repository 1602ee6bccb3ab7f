//! Many clients on few rows: nothing is lost, nothing comes twice, and what is captured is all of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::Web;
use tests::load::{Load, Target, run};
use tests::random::Random;

use crate::write_world::{CUSTOMER_SET, Case, World, customer, row};

pub(crate) const CASES: &[Case] = tests::cases![World:
    sixty_four_clients_on_a_hundred_rows_lose_nothing,
    the_changes_of_virtual_rows_replay_to_the_table,
    the_changes_of_native_rows_replay_to_the_table,
];

const ROWS: usize = 100;
const LOAD: Load = Load { clients: 64, writes: 15, seed: 0 };

async fn targets(web: &Web, name: &str) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for number in 0..ROWS / 2 {
        let body = customer(&format!("L-{name}-{number}"), &format!("Load {name}"));
        let path = row(CUSTOMER_SET, &web.create(CUSTOMER_SET, body).await?);
        targets.push(Target { path, column: "mserp_notes" });
        let body = json!({ "name": format!("Load {name}") });
        let path = row("accounts", &web.create("accounts", body).await?);
        targets.push(Target { path, column: "description" });
    }
    Ok(targets)
}

async fn sixty_four_clients_on_a_hundred_rows_lose_nothing(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let targets = targets(&admin, "A").await?;
    let seed = Random::for_case("contention").bits();
    let started = std::time::Instant::now();
    let history = run(&admin, &targets, Load { seed, ..LOAD }).await?;
    let (writes, seconds) = (LOAD.clients * LOAD.writes, started.elapsed().as_secs_f64());
    let (refused, busy) = (history.refused, history.busy);
    println!("        {writes} writes, {refused} refused, {busy} busy, in {seconds:.1} s");
    history.check(&admin, &targets).await
}

/// A copy of a table, kept by following its delta links.
struct Copy {
    rows: BTreeMap<String, Value>,
    id: &'static str,
    link: String,
}

impl Copy {
    async fn begin(web: &Web, path: &str, id: &'static str) -> Result<Self> {
        let mut copy = Self { rows: BTreeMap::new(), id, link: String::new() };
        let prefer = "odata.track-changes,odata.maxpagesize=50";
        let first = web.get_prefer(path, prefer).await?;
        ensure!(first.header("preference-applied").contains("track-changes"), "{first:?}");
        copy.follow(web, first.ok()?, Some(prefer)).await?;
        Ok(copy)
    }

    /// Takes a page and those after it.
    async fn follow(&mut self, web: &Web, page: Value, prefer: Option<&str>) -> Result<usize> {
        let (mut page, mut changes) = (page, 0);
        loop {
            for entry in page["value"].as_array().context("no value")? {
                changes += 1;
                if entry["reason"] == "deleted" {
                    let id = entry["id"].as_str().context("no id")?;
                    let context = entry["@odata.context"].as_str().unwrap_or_default();
                    ensure!(context.ends_with("/$deletedEntity"), "{entry}");
                    self.rows.remove(id);
                    continue;
                }
                let id = entry[self.id].as_str().context("no id")?.to_owned();
                let mut row = entry.clone();
                if let Some(members) = row.as_object_mut() {
                    members.retain(|name, _| !name.starts_with('@'));
                }
                self.rows.insert(id, row);
            }
            if let Some(next) = page["@odata.nextLink"].as_str() {
                ensure!(page.get("@odata.deltaLink").is_none(), "both links: {page}");
                page = match prefer {
                    Some(prefer) => web.get_prefer(next, prefer).await?.ok()?,
                    None => web.json(next).await?,
                };
                continue;
            }
            let link = page["@odata.deltaLink"].as_str().context("no delta link")?;
            link.clone_into(&mut self.link);
            return Ok(changes);
        }
    }

    /// Takes all changes since the last time; none when the system is too busy to tell them.
    async fn catch_up(&mut self, web: &Web) -> Result<usize> {
        let answer = web.get(&self.link).await?;
        if answer.status == 503 {
            return Ok(0);
        }
        let page = answer.ok()?;
        let context = page["@odata.context"].as_str().unwrap_or_default();
        ensure!(context.ends_with("/$delta"), "{context}");
        self.follow(web, page, None).await
    }

    async fn check(&self, web: &Web, path: &str) -> Result<()> {
        let (rows, _) = web.pages(path, 5_000).await?;
        let mut table = BTreeMap::new();
        for mut row in rows {
            let id = row[self.id].as_str().context("no id")?.to_owned();
            if let Some(members) = row.as_object_mut() {
                members.retain(|name, _| !name.starts_with('@'));
            }
            table.insert(id, row);
        }
        let differing = table.keys().chain(self.rows.keys());
        let differing: Vec<_> =
            differing.filter(|it| table.get(*it) != self.rows.get(*it)).collect();
        let example = differing.first().map(|it| (table.get(*it), self.rows.get(*it)));
        ensure!(
            differing.is_empty(),
            "{} rows differ, as (table, copy) {example:?}",
            differing.len()
        );
        Ok(())
    }
}

async fn the_changes_of_virtual_rows_replay_to_the_table(world: &World) -> Result<()> {
    let path =
        format!("{CUSTOMER_SET}?$select=mserp_customeraccount,mserp_organizationname,mserp_notes");
    replay(world, "B", &path, "mserp_custcustomerv3entityid", true).await
}

async fn the_changes_of_native_rows_replay_to_the_table(world: &World) -> Result<()> {
    replay(world, "C", "accounts?$select=name,description,telephone1", "accountid", false).await
}

async fn replay(world: &World, name: &str, path: &str, id: &'static str, erp: bool) -> Result<()> {
    let admin = world.admin().await?;
    let targets = targets(&admin, name).await?;
    let mut random = Random::for_case("replay");
    let (load_seed, writer_seed) = (random.bits(), random.bits());
    let mut copy = Copy::begin(&admin, path, id).await?;
    let over = AtomicBool::new(false);
    let load = async {
        let outcome = run(&admin, &targets, Load { writes: 8, seed: load_seed, ..LOAD }).await;
        over.store(true, Ordering::Release);
        outcome
    };
    let follower = async {
        let (mut changes, mut looks) = (0, 0);
        while !over.load(Ordering::Acquire) {
            changes += copy.catch_up(&admin).await?;
            looks += 1;
        }
        anyhow::Ok((changes, looks))
    };
    let writer = past_tombolo(world, name, erp, &over, writer_seed);
    let (history, (changes, looks), past) = futures::try_join!(load, follower, writer)?;
    println!("        {changes} changes in {looks} looks, {past} transactions past the system");
    history.check(&admin, &targets).await?;
    admin.warm_up(&copy.link).await?;
    copy.catch_up(&admin).await?;
    copy.check(&admin, path).await?;
    ensure!(copy.catch_up(&admin).await? == 0, "the end of the changes changes");
    Ok(())
}

/// Transactions by plain SQL: short ones, long ones that others overtake, and some that are given up.
async fn past_tombolo(
    world: &World,
    name: &str,
    erp: bool,
    over: &AtomicBool,
    seed: u64,
) -> Result<usize> {
    let mut random = Random::new(seed);
    let mut connections = Vec::new();
    for _ in 0..3 {
        connections.push(if erp {
            world.erp.connect().await?
        } else {
            world.platform.connect().await?
        });
    }
    let mut open = vec![false; connections.len()];
    let mut transactions = 0;
    while !over.load(Ordering::Acquire) {
        let number = random.below(connections.len());
        let connection = &mut connections[number];
        if !open[number] {
            sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
            open[number] = true;
        }
        // Rows of its own for each, so that they never wait for one another.
        let key = format!("P-{name}-{number}-{}", random.below(5));
        let sql = statement(erp, &key, random.below(4), random.below(1_000_000));
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *connection).await?;
        if random.one_in(3) {
            let end = if random.one_in(4) { "ROLLBACK" } else { "COMMIT" };
            sqlx::raw_sql(end).execute(&mut *connection).await?;
            open[number] = false;
            transactions += 1;
        }
        tokio::task::yield_now().await;
    }
    for (mut connection, open) in connections.into_iter().zip(open) {
        if open {
            sqlx::raw_sql("COMMIT").execute(&mut connection).await?;
        }
    }
    Ok(transactions)
}

fn statement(erp: bool, key: &str, what: usize, value: usize) -> String {
    match (erp, what) {
        (true, 0) => format!(
            "WITH party AS (INSERT INTO erp.dirpartytable (name) SELECT 'Past {value}'
                WHERE NOT EXISTS (SELECT FROM erp.custtable WHERE accountnum = '{key}') RETURNING recid)
             INSERT INTO erp.custtable (dataareaid, accountnum, party, custgroup)
             SELECT 'USMF', '{key}', recid, '10' FROM party"
        ),
        (true, 1) => format!("UPDATE erp.custtable SET memo = '{value}' WHERE accountnum = '{key}'"),
        // A table that the entity only joins.
        (true, 2) => format!(
            "UPDATE erp.dirpartytable SET name = 'Past {value}' WHERE recid =
                (SELECT party FROM erp.custtable WHERE accountnum = '{key}')"
        ),
        (true, _) => format!("DELETE FROM erp.custtable WHERE accountnum = '{key}'"),
        (false, 0) => format!(
            "INSERT INTO organization.account (name, accountnumber) VALUES ('Past {value}', '{key}')
             ON CONFLICT DO NOTHING"
        ),
        (false, 1 | 2) => format!(
            "UPDATE organization.account SET telephone1 = '{value}' WHERE accountnumber = '{key}'"
        ),
        (false, _) => format!("DELETE FROM organization.account WHERE accountnumber = '{key}'"),
    }
}
