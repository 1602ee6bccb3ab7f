//! A real ERP's database and the model that was imported from it: every table is served.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::dual_write::maps::Maps;
use tests::runner::{Case, Runner};
use tests::{Erp, Start, System, run_tombolo, workspace};
use tokio::process::Command;
use tokio::time::timeout;

type TrytonCase = Case<World>;

const CASES: &[TrytonCase] = tests::cases![World:
    every_table_is_listed_with_the_count_of_sql,
    rows_of_every_table_are_found_again_by_their_guid,
    every_foreign_key_is_a_join_in_odata_and_in_fetchxml,
    importing_again_gives_a_model_that_serves,
    users_may_do_what_their_groups_in_tryton_may,
    parties_and_accounts_are_kept_the_same,
];

const CREATED_WITHIN: Duration = Duration::from_secs(160);
const REVOKED_WITHIN: Duration = Duration::from_secs(2);
/// What Tryton writes is on the platform by then, on a machine that does other things too.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(20);
/// Tryton reads its modules first.
const PARTY_WITHIN: Duration = Duration::from_secs(60);
/// What `@odata.count` stops at.
const COUNT_LIMIT: i64 = 5_000;

struct World {
    erp: Erp,
    system: System,
    data: tempfile::TempDir,
}

pub(crate) async fn run(runner: &mut Runner) {
    if !runner.wants_any(CASES) {
        return;
    }
    let Some(world) = runner.world("tryton::start", Box::pin(World::start())).await else { return };
    runner.run_all(&world, CASES).await;
    let stop = async {
        world.system.stop().await?;
        world.erp.stop().await
    };
    runner.run("tryton::stops_cleanly", stop).await;
}

impl World {
    async fn start() -> Result<Self> {
        let model = workspace().join("models/tryton");
        let erp = Erp::empty("tryton").await?;
        let mut create = Command::new("bash");
        create.arg(model.join("create-database.sh")).arg(erp.url().await?).kill_on_drop(true);
        create.current_dir(workspace()).stdin(Stdio::null());
        let created =
            timeout(CREATED_WITHIN, create.output()).await.context("it does not end")??;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        ensure!(created.status.success(), "{}\n{}", text(&created.stdout), text(&created.stderr));
        let data = tests::temporary_directory()?;
        let system =
            System::start(&Start::dev(data.path()).over(&erp.url().await?, &model)).await?;
        Ok(Self { erp, system, data })
    }

    /// Has Tryton's own code write or read a party. Returns its name.
    async fn party(&self, arguments: &[&str]) -> Result<Value> {
        let cache = std::env::var_os("TOMBOLO_CACHE").map(PathBuf::from);
        let python = cache.unwrap_or_else(|| workspace().join(".cache")).join("tryton/bin/python");
        let mut command = Command::new(python);
        command.arg(workspace().join("tests/clients/tryton_party.py")).arg("tryton");
        // Tryton knows no `postgres://`.
        let url = self.erp.url().await?.replacen("postgres://", "postgresql://", 1);
        command.args(arguments).env("TRYTOND_DATABASE__URI", url);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = timeout(PARTY_WITHIN, command.output()).await.context("it does not end")??;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        ensure!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
        let last = text(&output.stdout);
        let last = last.lines().last().context("it says nothing")?;
        Ok(serde_json::from_str(last)?)
    }

    /// Entity sets by physical name, as the command line lists them; all are made visible.
    async fn sets(&self) -> Result<BTreeMap<String, String>> {
        let data = self.data.path().display().to_string();
        let list =
            run_tombolo(&["catalog", "list", "--server", &self.system.grpc, "--data", &data])
                .await?;
        ensure!(list.status.success(), "{list:?}");
        let lines = list.stdout.lines().skip(1).map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            let [visible, name, set] = words.as_slice() else { anyhow::bail!("{line}") };
            ensure!(*visible == "yes", "{name} is not visible");
            Ok(((*name).to_owned(), (*set).to_owned()))
        });
        lines.collect()
    }
}

/// The root table of each entity, read from the model without the product's code.
fn tables() -> Result<BTreeMap<String, String>> {
    let mut tables = BTreeMap::new();
    for file in std::fs::read_dir(workspace().join("models/tryton/entities"))? {
        let text = std::fs::read_to_string(file?.path())?;
        let entity: toml::Table = text.parse()?;
        let text = |it: &toml::Value| it.as_str().map(str::to_owned);
        let name = entity.get("name").and_then(text).context("no name")?;
        let table = entity.get("sources").and_then(|it| it.get(0)?.get("table")).and_then(text);
        tables.insert(name, table.context("no table")?);
    }
    Ok(tables)
}

async fn every_table_is_listed_with_the_count_of_sql(world: &World) -> Result<()> {
    let (sets, tables) = (world.sets().await?, tables()?);
    ensure!(
        sets.len() == tables.len() && sets.len() > 200,
        "{} sets, {} tables",
        sets.len(),
        tables.len()
    );
    let web = world.system.web("admin").await?;
    let mut wrong = Vec::new();
    let mut served = BTreeSet::new();
    for (entity, table) in &tables {
        let set = sets.get(entity).with_context(|| format!("no set of {entity}"))?;
        let expected = world.erp.count(&format!("SELECT count(*) FROM {table}")).await?;
        let answer = web.get(&format!("{set}?$top=3&$count=true")).await?;
        let right = answer.status == 200 && {
            let list = answer.parse()?;
            let rows = list["value"].as_array().map_or(0, Vec::len) as i64;
            list["@odata.count"] == expected.min(COUNT_LIMIT) && rows == expected.min(3)
        };
        if !right {
            wrong.push(format!("{table} has {expected}: {} {:.300}", answer.status, answer.body));
        }
        served.insert(table.rsplit('.').next().unwrap_or_default().trim_matches('"').to_owned());
    }
    ensure!(wrong.is_empty(), "{} tables of {}: {wrong:#?}", wrong.len(), tables.len());
    let all = world.erp.count("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").await?;
    // Every table of this schema has a key, so none is left out.
    ensure!(served.len() as i64 >= all, "{} of {all} tables are served", served.len());
    Ok(())
}

async fn rows_of_every_table_are_found_again_by_their_guid(world: &World) -> Result<()> {
    let web = world.system.web("admin").await?;
    let mut read = 0;
    for (entity, set) in world.sets().await? {
        let list = web.json(&format!("{set}?$top=1")).await?;
        let Some(row) = list["value"].get(0) else { continue };
        let id = row[format!("mserp_{}id", entity.to_lowercase())].as_str();
        let id = id.with_context(|| format!("no id in {row}"))?;
        let found = web.json(&format!("{set}({id})")).await?;
        for (name, value) in row.as_object().context("no row")? {
            ensure!(found[name] == *value, "{set}({id}) {name}: {} and {value}", found[name]);
        }
        read += 1;
    }
    ensure!(read > 40, "only {read} tables have rows");
    Ok(())
}

/// What both dialects find along a foreign key is the same, and so is what they count.
async fn every_foreign_key_is_a_join_in_odata_and_in_fetchxml(world: &World) -> Result<()> {
    let web = world.system.web("admin").await?;
    let tables = web
        .json(
            "EntityDefinitions?$select=LogicalName,EntitySetName,PrimaryIdAttribute\
             &$expand=ManyToOneRelationships",
        )
        .await?;
    let tables = tables["value"].as_array().context("no tables")?;
    let text = |it: &serde_json::Value, name: &str| {
        it[name].as_str().map(str::to_owned).with_context(|| format!("no {name} in {it}"))
    };
    let ids =
        tables.iter().map(|it| Ok((text(it, "LogicalName")?, text(it, "PrimaryIdAttribute")?)));
    let ids = ids.collect::<Result<BTreeMap<_, _>>>()?;
    let (mut joins, mut with_rows) = (0, 0);
    for table in tables {
        let (name, set) = (text(table, "LogicalName")?, text(table, "EntitySetName")?);
        let id = text(table, "PrimaryIdAttribute")?;
        let relationships =
            table["ManyToOneRelationships"].as_array().context("no relationships")?;
        for it in relationships {
            let navigation = text(it, "ReferencingEntityNavigationPropertyName")?;
            let (lookup, target) =
                (text(it, "ReferencingAttribute")?, text(it, "ReferencedEntity")?);
            let Some(target_id) = ids.get(&target).filter(|_| name.starts_with("mserp_")) else {
                continue;
            };
            let expanded =
                format!("{set}?$top=5&$select={id}&$expand={navigation}($select={target_id})");
            let rows = web.json(&expanded).await.with_context(|| expanded.clone())?;
            let link =
                format!("<link-entity name='{target}' from='{target_id}' to='{lookup}' alias='t'");
            let joined = format!(
                "<fetch top='5'><entity name='{name}'><attribute name='{id}'/>{link} link-type='outer'>\
                 <attribute name='{target_id}'/></link-entity></entity></fetch>"
            );
            let fetched = web.json(&format!("{set}?fetchXml={}", tests::encode(&joined))).await?;
            let found =
                |rows: &serde_json::Value,
                 related: &dyn Fn(&serde_json::Value) -> serde_json::Value| {
                    let rows = rows["value"].as_array().cloned().unwrap_or_default();
                    rows.iter().map(|it| (it[&id].clone(), related(it))).collect::<Vec<_>>()
                };
            let by_odata = found(&rows, &|it| it[&navigation][target_id].clone());
            let by_fetch = found(&fetched, &|it| it[format!("t.{target_id}")].clone());
            ensure!(by_odata == by_fetch, "{expanded}: {by_odata:?}, but FetchXML {by_fetch:?}");
            let counted = format!(
                "<fetch aggregate='true'><entity name='{name}'>\
                 <attribute name='{id}' aggregate='count' alias='n'/>{link}/></entity></fetch>"
            );
            let counted = web.json(&format!("{set}?fetchXml={}", tests::encode(&counted))).await?;
            let filter = tests::encode(&format!("{navigation}/{target_id} ne null"));
            let filtered = web.get(&format!("{set}/$count?$filter={filter}")).await?;
            ensure!(filtered.status == 200, "{filtered:?}");
            let number: i64 = filtered.body.trim().parse()?;
            ensure!(counted["value"][0]["n"] == number, "{name} {navigation}: {number}, {counted}");
            joins += 1;
            with_rows += i64::from(number > 0);
        }
    }
    ensure!(joins > 400 && with_rows > 20, "only {joins} joins, {with_rows} of them with rows");
    Ok(())
}

/// The shipped model is what the importer writes, and that serves with no editing.
async fn importing_again_gives_a_model_that_serves(world: &World) -> Result<()> {
    let folder = tests::temporary_directory()?;
    let out = folder.path().join("model");
    let (url, out_text) = (world.erp.url().await?, out.display().to_string());
    let import =
        ["model", "import", "--database-url", &url, "--schema", "public", "--out", &out_text];
    let imported = run_tombolo(&import).await?;
    ensure!(imported.status.success(), "{imported:?}");
    let check = run_tombolo(&["model", "check", &out_text]).await?;
    ensure!(check.status.success(), "{check:?}");
    let count = std::fs::read_dir(out.join("entities"))?.count();
    ensure!(count >= tables()?.len(), "{count} entities");
    let again = run_tombolo(&import).await?;
    ensure!(!again.status.success(), "an existing model was replaced without --force");
    Ok(())
}

/// The ERP's own tables say who may do what, at start and whenever they are asked again.
async fn users_may_do_what_their_groups_in_tryton_may(world: &World) -> Result<()> {
    world
        .erp
        .execute(
            r#"INSERT INTO currency_currency (name, code, rounding, digits, active)
                   VALUES ('Euro', 'EUR', 0.01, 2, true);
               INSERT INTO party_party (name, code, active) VALUES ('One', 'C1', true), ('Two', 'C2', true);
               INSERT INTO company_company (party, currency)
                   SELECT party_party.id, currency_currency.id FROM party_party, currency_currency
                   WHERE party_party.code IN ('C1', 'C2');
               INSERT INTO sale_sale (company, currency, party, invoice_method, invoice_state,
                                      shipment_method, shipment_state, state)
                   SELECT id, currency, party, 'order', 'none', 'order', 'none', 'draft' FROM company_company;
               INSERT INTO res_user (login, name, active)
                   VALUES ('sally', 'Sally', true), ('pat', 'Pat', true), ('gone', 'Gone', false);
               INSERT INTO "res_user-company_company" ("user", company)
                   SELECT res_user.id, min(company_company.id) FROM res_user, company_company
                   WHERE login = 'sally' GROUP BY 1;
               INSERT INTO "res_user-res_group" ("user", "group")
                   SELECT res_user.id, res_group.id FROM res_user, res_group
                   WHERE (login, res_group.name) IN
                       (('sally', 'Sales Administrator'), ('pat', 'Party Administration'));"#,
        )
        .await?;
    let (data, url) = (world.data.path().display().to_string(), world.erp.url().await?);
    let model = workspace().join("models/tryton").display().to_string();
    let import = async || {
        let import = ["user", "import", "--model", &model, "--erp-url", &url];
        let server = ["--server", &world.system.grpc, "--data", &data];
        let imported = run_tombolo(&[&import[..], &server[..]].concat()).await?;
        ensure!(imported.status.success(), "{imported:?}");
        Ok(())
    };
    import().await?;
    let check = async |user: &str, path: &str, expected: u16, part: &str| {
        let answer = world.system.web(user).await?.get(path).await?;
        let fits = answer.status == expected && answer.body.contains(part);
        ensure!(fits, "{user} {path}: {} {:.300}", answer.status, answer.body);
        anyhow::Ok(())
    };
    // A group, by its parent; and the company rule of Tryton.
    check("sally", "mserp_salesales/$count", 200, "1").await?;
    check("tryton-admin", "mserp_salesales/$count", 200, "2").await?;
    check("pat", "mserp_salesales/$count", 403, "mserp_salesale").await?;
    check("pat", "mserp_salelines/$count", 403, "mserp_saleline").await?;
    // What is said without a group, and what is said of nobody.
    check("pat", "mserp_resgroups/$count", 200, "").await?;
    check("pat", "mserp_partyparties?$select=mserp_name&$top=1", 200, "mserp_name").await?;
    check("pat", "mserp_resusers?$select=mserp_passwordhash", 403, "mserp_passwordhash").await?;
    check("gone", "mserp_resgroups/$count", 403, "").await?;

    world
        .erp
        .execute(
            r#"DELETE FROM "res_user-res_group"
               WHERE "user" = (SELECT id FROM res_user WHERE login = 'sally')"#,
        )
        .await?;
    import().await?;
    let web = world.system.web("sally").await?;
    let gone = web.eventually("mserp_salesales/$count", REVOKED_WITHIN, |it| it.status == 403);
    gone.await.map(drop)
}

/// What Tryton's own code writes is an account, and what is written on the platform is what Tryton reads.
async fn parties_and_accounts_are_kept_the_same(world: &World) -> Result<()> {
    let (web, maps) = (world.system.web("admin").await?, Maps::of(&world.system).await?);
    let before = world.party(&["write", "DW-BEFORE", "There before"]).await?;
    ensure!(before == "There before", "{before}");
    maps.start("maps/parties-accounts", false).await.with_context(|| world.system.log())?;
    let account =
        |code: &str| format!("accounts?$select=name,accountid&$filter=accountnumber eq '{code}'");
    let is_named = async |code: &str, name: &str| {
        let found = |it: &tests::Answer| {
            it.parse().is_ok_and(|it| it["value"][0]["name"].as_str() == Some(name))
        };
        web.eventually(&account(code), FOLLOWED_WITHIN, found).await.map(drop)
    };
    is_named("DW-BEFORE", "There before").await?;
    for name in ["Made by Tryton", "Renamed by Tryton"] {
        let written = world.party(&["write", "DW-TRYTON", name]).await?;
        ensure!(written == name, "{written}");
        is_named("DW-TRYTON", name).await?;
    }
    let found = web.json(&account("DW-TRYTON")).await?;
    let id = found["value"][0]["accountid"].as_str().context("no account")?;
    let body = json!({ "name": "Renamed on the platform" });
    web.patch(&format!("accounts({id})"), &[("If-Match", "*")], body).await?.expect(204)?;
    let read = world.party(&["read", "DW-TRYTON"]).await?;
    ensure!(read == "Renamed on the platform", "{read}");

    let body =
        json!({ "name": "Made there", "accountnumber": "DW-PLATFORM", "customertypecode": 3 });
    web.create("accounts", body).await?;
    let read = world.party(&["read", "DW-PLATFORM"]).await?;
    ensure!(read == "Made there", "{read}");
    Ok(())
}
