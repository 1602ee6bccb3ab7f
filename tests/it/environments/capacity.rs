//! What is used is what PostgreSQL says, and who uses more than there is may no longer grow, but work.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use proto::capacity::v1 as capacity;
use proto::capacity::v1::{CapacityOperation, Pool};
use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::FailureKind;
use rpc::ErrorReason;
use serde_json::json;
use sqlx::PgConnection;
use tests::tenant::{GB, Setup, amount, assert_refused, pool, timed};
use tonic::Code;

use super::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    figures_are_those_of_postgresql,
    what_counts_is_at_least_a_gigabyte_each,
    overage_blocks_what_grows_and_no_row,
];

/// Each table with its indexes and long values, as PostgreSQL tells it.
const TABLES: &str = "SELECT n.nspname::text || '.' || c.relname, pg_total_relation_size(c.oid)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm') AND NOT c.relispartition AND n.nspname <> 'information_schema'
      AND n.nspname NOT LIKE 'pg\\_%'";

async fn tables_of(connection: &mut PgConnection) -> Result<BTreeMap<String, i64>> {
    let rows: Vec<(String, i64)> = sqlx::query_as(TABLES).fetch_all(connection).await?;
    Ok(rows.into_iter().collect())
}

async fn figures_are_those_of_postgresql(world: &World) -> Result<()> {
    // Nobody ever asked its Web API, so that nobody writes there.
    let pair = world.pair().await?;
    let platform = world.admin.platform(&pair.platform).await?;
    let database = platform.database.context("no database")?.database_name;
    let mut connection = world.platform.connect_to(&database).await?;
    let size = "SELECT pg_database_size(current_database())";
    let before: i64 = sqlx::query_scalar(size).fetch_one(&mut connection).await?;
    let request = capacity::MeasureUsageRequest { environment: pair.platform.clone() };
    let samples = world.admin.capacity().measure_usage(timed(request)).await?.into_inner();
    let after: i64 = sqlx::query_scalar(size).fetch_one(&mut connection).await?;
    let of = |it: &&capacity::UsageSample| it.environment == pair.platform;
    let sample = samples.usage_samples.iter().find(of).context("no sample")?;
    // All pools of the platform together are the database.
    let measured: i64 = sample.amounts.iter().map(|it| it.size_bytes).sum();
    ensure!((before..=after).contains(&measured), "{before} to {after}: {sample:?}");

    let request = capacity::ListTableUsagesRequest {
        parent: pair.platform.clone(),
        page_size: 1_000,
        ..Default::default()
    };
    let usages = world.admin.capacity().list_table_usages(timed(request)).await?.into_inner();
    let whole: i64 = usages.table_usages.iter().map(|it| it.size_bytes).sum();
    ensure!(whole == measured, "the rows are {whole} bytes together, the database {measured}");
    // What PostgreSQL itself keeps is one row.
    let (own, tables): (Vec<_>, Vec<_>) =
        usages.table_usages.iter().partition(|it| it.schema == "pg_catalog");
    ensure!(own.len() == 1, "{own:?}");
    let told: BTreeMap<_, _> =
        tables.iter().map(|it| (format!("{}.{}", it.schema, it.table), it.size_bytes)).collect();
    let there = tables_of(&mut connection).await?;
    ensure!(told.len() == tables.len() && !told.is_empty(), "{told:?}");
    ensure!(told.len() == there.len(), "{told:?}, {there:?}");
    for (table, size) in &there {
        ensure!(told.get(table) == Some(size), "{table}: {size}, told {:?}", told.get(table));
    }
    let sizes: Vec<_> = usages.table_usages.iter().map(|it| it.size_bytes).collect();
    ensure!(sizes.is_sorted_by(|one, other| one >= other), "the largest comes first: {sizes:?}");
    // An ERP counts in pools of its own.
    let usages = world.admin.usages().await?;
    let erp = tests::tenant::erp_name(&pair.erp);
    let erp = usages.iter().find(|it| it.environment == erp).context("the ERP does not count")?;
    ensure!(amount(&erp.counted, Pool::Database) == 0, "{erp:?}");
    Ok(())
}

async fn what_counts_is_at_least_a_gigabyte_each(world: &World) -> Result<()> {
    let answer = world.admin.measured().await?;
    let usages = world.admin.usages().await?;
    let counted: i64 = usages.iter().map(|it| amount(&it.counted, Pool::Database)).sum();
    ensure!(pool(&answer, Pool::Database).used_bytes == counted, "{counted}: {answer:?}");
    let platforms = usages.iter().filter(|it| it.environment.starts_with("platformEnvironments/"));
    for usage in platforms {
        ensure!(amount(&usage.counted, Pool::Database) >= GB, "{usage:?}");
    }
    let operations: i64 =
        usages.iter().map(|it| amount(&it.counted, Pool::OperationsDatabase)).sum();
    let told = pool(&answer, Pool::OperationsDatabase).used_bytes;
    ensure!(told == operations && told > 0, "{told}, {operations} are counted");
    // People see the same.
    let shown = world.done(&["capacity", "show", "--output", "json"]).await?;
    ensure!(serde_json::from_str::<serde_json::Value>(&shown).is_ok(), "{shown}");
    Ok(())
}

async fn overage_blocks_what_grows_and_no_row(world: &World) -> Result<()> {
    let erp = world.deploy("grows").await?;
    let linked = world.pair().await?;
    let trial = trial(world).await?;
    let unlinked = world.admin.platform_created(&world.fresh("kept"), true).await?;
    let backup = backup(world, &linked.platform).await?;
    into_overage(world).await?;
    let there =
        There { erp: &erp, linked: &linked.platform, trial: &trial, unlinked: &unlinked, backup };
    let done = blocked(world, &there).await;
    let rows = rows_go_on(world).await;
    world.leave_enough().await?;
    done?;
    rows.context("rows")?;
    let answer = world.admin.pools().await?;
    ensure!(!answer.in_overage && answer.blocked_operations.is_empty(), "{answer:?}");
    let operation = world.admin.newest_operation(&tests::tenant::erp_name(&erp)).await?;
    world.admin.resume(&operation.name).await?;
    world.admin.succeeded(&operation.name).await?;
    Ok(())
}

/// What is there before the overage.
struct There<'a> {
    /// Last part of an ERP's name, not set up.
    erp: &'a str,
    /// `platformEnvironments/…`.
    linked: &'a str,
    trial: &'a str,
    unlinked: &'a str,
    /// Of the linked one.
    backup: String,
}

async fn backup(world: &World, parent: &str) -> Result<String> {
    let request = pb::CreateBackupRequest { parent: parent.to_owned(), ..Default::default() };
    let begun = world.admin.platforms().create_backup(timed(request)).await?.into_inner();
    world.admin.succeeded(&begun.operation.context("no operation")?.name).await?;
    let request = pb::ListBackupsRequest { parent: parent.to_owned(), ..Default::default() };
    let backups = world.admin.platforms().list_backups(timed(request)).await?.into_inner();
    Ok(backups.backups.first().context("no backup")?.name.clone())
}

async fn trial(world: &World) -> Result<String> {
    let environment = pb::PlatformEnvironment {
        display_name: world.fresh("Trial"),
        r#type: pb::PlatformEnvironmentType::Trial.into(),
        location: "locations/europe".to_owned(),
        ..Default::default()
    };
    let request = pb::CreatePlatformEnvironmentRequest {
        platform_environment: Some(environment),
        ..Default::default()
    };
    let begun = world.admin.platforms().create_platform_environment(timed(request)).await?;
    let begun = begun.into_inner().operation.context("no operation")?;
    let ended = world.admin.succeeded(&begun.name).await?;
    ended.targets.into_iter().next().context("no target")
}

/// Storage that was bought is given back, until more is used than there is.
async fn into_overage(world: &World) -> Result<()> {
    world.leave_too_little().await?;
    let answer = world.admin.pools().await?;
    ensure!(answer.in_overage, "{answer:?}");
    ensure!(pool(&answer, Pool::Database).deficit_bytes > 0, "{answer:?}");
    for operation in [
        CapacityOperation::CreateEnvironment,
        CapacityOperation::Copy,
        CapacityOperation::Restore,
        CapacityOperation::ConvertTrial,
        CapacityOperation::Recover,
        CapacityOperation::AddDatabase,
    ] {
        let number = i32::from(operation);
        ensure!(answer.blocked_operations.contains(&number), "{operation:?}: {answer:?}");
    }
    Ok(())
}

async fn blocked(world: &World, there: &There<'_>) -> Result<()> {
    let (code, reason) = (Code::FailedPrecondition, ErrorReason::CapacityOverage);
    let answer = world.admin.create_platform(&world.fresh("More"), None).await;
    assert_refused(answer, code, reason, "").context("create")?;
    let answer = world.admin.deploy(&world.fresh("more"), "").await;
    assert_refused(answer, code, reason, "").context("deploy")?;
    let request = pb::ConvertPlatformEnvironmentRequest {
        name: there.trial.to_owned(),
        target_type: pb::PlatformEnvironmentType::Sandbox.into(),
        ..Default::default()
    };
    let answer = world.admin.platforms().convert_platform_environment(timed(request)).await;
    assert_refused(answer, code, reason, "").context("convert")?;
    let [source, _] = world.pairs().await?;
    let request = pb::CopyPlatformEnvironmentRequest {
        source: source.platform.clone(),
        target: there.linked.to_owned(),
        kind: pb::CopyKind::Full.into(),
        confirmation: world.admin.platform(there.linked).await?.display_name,
        ..Default::default()
    };
    let answer = world.admin.platforms().copy_platform_environment(timed(request)).await;
    assert_refused(answer, code, reason, "").context("copy")?;
    let request = pb::RestorePlatformEnvironmentRequest {
        target: there.linked.to_owned(),
        point: Some(pb::restore_platform_environment_request::Point::Backup(there.backup.clone())),
        confirmation: world.admin.platform(there.linked).await?.display_name,
        ..Default::default()
    };
    let answer = world.admin.platforms().restore_platform_environment(timed(request)).await;
    assert_refused(answer, code, reason, "").context("restore")?;
    let parameters = json!({ "tables": ["accounts"], "folder": "overage", "schedule": "0 0 * * *",
        "client_id": "nobody", "client_secret": "none" });
    let request = pb::InstallAddInRequest {
        parent: there.linked.to_owned(),
        add_in: "addIns/data-export".to_owned(),
        parameters_json: parameters.to_string(),
        agreed: true,
        ..Default::default()
    };
    let answer = world.admin.add_ins().install_add_in(timed(request)).await;
    assert_refused(answer, code, reason, "").context("install an add-in")?;
    recover_is_blocked(world, there.unlinked).await.context("recover")?;
    // A setup adds a database: its operation waits until there is room.
    let operation = world.admin.start(&Setup::of(there.erp)).await?.name;
    let failed = world.admin.ended(&operation).await?;
    let failure = failed.failure.context("the setup did not fail")?;
    ensure!(
        failure.kind() == FailureKind::Capacity && failure.reason == "CAPACITY_OVERAGE",
        "{failure:?}"
    );
    Ok(())
}

/// Deleting frees; bringing back needs a gigabyte.
async fn recover_is_blocked(world: &World, name: &str) -> Result<()> {
    let confirmation = world.admin.platform(name).await?.display_name;
    let request = pb::DeletePlatformEnvironmentRequest {
        name: name.to_owned(),
        confirmation,
        ..Default::default()
    };
    let begun = world.admin.platforms().delete_platform_environment(timed(request)).await?;
    let begun = begun.into_inner().operation.context("no operation")?;
    world.admin.succeeded(&begun.name).await?;
    let request =
        pb::RecoverPlatformEnvironmentRequest { name: name.to_owned(), ..Default::default() };
    let answer = world.admin.platforms().recover_platform_environment(timed(request)).await;
    let Err(status) = answer else { anyhow::bail!("recovered") };
    // What was freed may have ended the overage, and is too little.
    let reason = rpc::reason(&status);
    let refused = [ErrorReason::CapacityOverage, ErrorReason::CapacityInsufficient];
    ensure!(reason.is_some_and(|it| refused.contains(&it)), "{status:?}");
    into_overage(world).await
}

/// Reading and writing are never blocked.
async fn rows_go_on(world: &World) -> Result<()> {
    let web = world.system.web("admin").await?;
    let id = web.create("accounts", json!({ "name": "In overage" })).await?;
    let changed = web.patch(&format!("accounts({id})"), &[], json!({ "name": "Still" })).await?;
    changed.expect(204)?;
    let row = web.json(&format!("accounts({id})?$select=name")).await?;
    ensure!(row["name"] == "Still", "{row}");
    web.delete(&format!("accounts({id})")).await?.expect(204)?;
    let customers = web.json("mserp_custcustomerv3entities?$top=1").await?;
    ensure!(customers["value"].as_array().is_some_and(|it| it.len() == 1), "{customers}");
    Ok(())
}
