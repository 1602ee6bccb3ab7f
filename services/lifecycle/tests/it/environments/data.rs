//! Data that is copied, saved and brought back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::setup::peers::Moment;

const ORGANIZATION: &str = "
    CREATE SCHEMA organization;
    CREATE TABLE organization.organization (organizationid uuid PRIMARY KEY);
    INSERT INTO organization.organization VALUES (gen_random_uuid());
    CREATE TABLE organization.account (name text);";

async fn fill(world: &World, environment: &pb::PlatformEnvironment, name: &str) {
    let database = &environment.database.as_ref().unwrap().database_name;
    let mut connection = world.connect_to(database).await;
    connection.execute(sqlx::raw_sql(ORGANIZATION)).await.unwrap();
    sqlx::query("INSERT INTO organization.account VALUES ($1)")
        .bind(name)
        .execute(&mut connection)
        .await
        .unwrap();
}

/// What is in it, and which organization it is.
async fn content(world: &World, environment: &pb::PlatformEnvironment) -> (String, String) {
    let database = &environment.database.as_ref().unwrap().database_name;
    let read = "SELECT (SELECT string_agg(name, ' ') FROM organization.account),
                       (SELECT organizationid::text FROM organization.organization)";
    sqlx::query_as(read).fetch_one(&mut world.connect_to(database).await).await.unwrap()
}

fn copy(source: &str, target: &str, confirmation: &str) -> pb::CopyPlatformEnvironmentRequest {
    pb::CopyPlatformEnvironmentRequest {
        source: source.into(),
        target: target.into(),
        kind: pb::CopyKind::Full.into(),
        confirmation: confirmation.into(),
        ..Default::default()
    }
}

/// Waits until the operation says this one of the [`TEXTS`], or a later one: on a busy machine not each is seen.
/// Whether it is still at work.
async fn reached(world: &World, process: &Process, operation: &pb::Operation, text: usize) -> bool {
    let request = world.ask(pb::WatchOperationRequest { name: operation.name.clone() });
    let mut watch = process.operations().watch_operation(request).await.unwrap().into_inner();
    while let Some(message) = watch.message().await.unwrap() {
        let operation = message.operation.unwrap();
        if operation.stages.iter().any(|it| TEXTS[text..].contains(&it.status_text.as_str())) {
            return true;
        }
    }
    false
}

/// Looks all the time whether the database has its name, until it is told to stop.
fn watch_name(
    world: &World,
    database: &str,
    stop: &Arc<AtomicBool>,
) -> tokio::task::JoinHandle<u32> {
    let (stop, database) = (Arc::clone(stop), database.to_owned());
    let connecting = world.connect_owned();
    tokio::spawn(async move {
        let mut connection = connecting.await;
        let mut looks = 0;
        while !stop.load(Ordering::Relaxed) {
            let there = "SELECT count(*) FROM pg_database WHERE datname = $1";
            let there: i64 =
                sqlx::query_scalar(there).bind(&database).fetch_one(&mut connection).await.unwrap();
            assert_eq!(there, 1, "the name is missing");
            looks += 1;
        }
        looks
    })
}

const TEXTS: [&str; 5] = [
    "Backing the target up",
    "Reading the source",
    "Restoring beside the target",
    "Making the new database the target's",
    "Swapping",
];

#[tokio::test]
async fn a_copy_goes_on_wherever_a_process_dies_and_the_target_is_never_missing() {
    let world = World::new().await;
    let mut process = world.start().await;
    let source = created(&world, &process, "source").await;
    let target = created(&world, &process, "target").await;
    fill(&world, &source, "from-source").await;
    fill(&world, &target, "from-target").await;
    let before = world.made().await;
    let stop = Arc::new(AtomicBool::new(false));
    let looking = watch_name(&world, &target.database.as_ref().unwrap().database_name, &stop);
    let request = ask(&world, copy(&source.name, &target.name, "target"));
    let begun = platforms(&process).copy_platform_environment(request).await.unwrap().into_inner();
    let operation = begun.operation.unwrap();
    let mut deaths = 0;
    for text in 0..TEXTS.len() {
        if !reached(&world, &process, &operation, text).await {
            break;
        }
        drop(process);
        process = world.start().await;
        deaths += 1;
    }
    assert!(deaths > 0, "nobody died");
    succeeded(&world, &process, Some(operation.clone())).await;
    stop.store(true, Ordering::Relaxed);
    assert!(looking.await.unwrap() > 0);
    let (words, organization) = content(&world, &target).await;
    assert_eq!(words, "from-source");
    assert_eq!(
        organization,
        target.database.as_ref().unwrap().organization_id,
        "it is another organization"
    );
    assert_eq!(content(&world, &source).await.0, "from-source");
    assert_eq!(world.made().await, before);
    let left = "SELECT count(*) FROM pg_database WHERE datname ~ '^(new|old)_'";
    assert_eq!(world.count(left).await, 0);
    assert_eq!(world.peers.kept().counting(&operation.name), ["committed"]);
    {
        let kept = world.peers.kept();
        // What was asked for at the beginning is what is held, and committed, at the end.
        let asked: Vec<_> = kept.asked.iter().filter(|it| it.0 == operation.name).collect();
        assert!(asked.len() > 2 && asked.iter().all(|it| it.1 == asked[0].1), "{asked:?}");
        assert!(kept.extended >= 3, "{}", kept.extended);
    }

    // The system's backup brings it back.
    let request =
        ask(&world, pb::ListBackupsRequest { parent: target.name.clone(), ..Default::default() });
    let backups = platforms(&process).list_backups(request).await.unwrap().into_inner().backups;
    assert_eq!(backups.len(), 1);
    assert!(backups[0].system);
    let request = restore(
        &target,
        pb::restore_platform_environment_request::Point::Backup(backups[0].name.clone()),
    );
    let begun =
        platforms(&process).restore_platform_environment(ask(&world, request)).await.unwrap();
    succeeded(&world, &process, begun.into_inner().operation).await;
    assert_eq!(content(&world, &target).await.0, "from-target");
}

/// A copy that stands still while the new database is made the target's, and its database.
async fn stopped_copy(
    world: &World,
    process: &Process,
) -> (pb::PlatformEnvironment, pb::Operation, String) {
    let source = created(world, process, "source").await;
    let target = created(world, process, "target").await;
    fill(world, &source, "from-source").await;
    fill(world, &target, "from-target").await;
    world.peers.stop_at("provision/catalog", Moment::After);
    let request = ask(world, copy(&source.name, &target.name, "target"));
    let begun = platforms(process).copy_platform_environment(request).await.unwrap().into_inner();
    world.peers.stopped().await;
    let operation = begun.operation.unwrap();
    let id = operation.name.strip_prefix("operations/").unwrap().replace('-', "");
    (target, operation, id)
}

#[tokio::test]
async fn the_next_process_does_a_swap_that_one_only_began() {
    let world = World::new().await;
    let process = world.start().await;
    let (target, operation, id) = stopped_copy(&world, &process).await;
    drop(process);
    let database = &target.database.as_ref().unwrap().database_name;
    for closed in [database.clone(), format!("new_{id}")] {
        let close = format!("ALTER DATABASE \"{closed}\" WITH ALLOW_CONNECTIONS false");
        let close = sqlx::raw_sql(sqlx::AssertSqlSafe(close));
        world.connect().await.execute(close).await.unwrap();
    }
    let process = world.start().await;
    succeeded(&world, &process, Some(operation)).await;
    assert_eq!(content(&world, &target).await.0, "from-source");
}

#[tokio::test]
async fn a_copy_that_has_begun_to_end_the_old_database_only_goes_on() {
    let world = World::new().await;
    let process = world.start().await;
    let (target, operation, id) = stopped_copy(&world, &process).await;
    drop(process);
    // It has to stand still at the swap.
    let in_the_way = format!("CREATE DATABASE \"old_{id}\"");
    let in_the_way = sqlx::raw_sql(sqlx::AssertSqlSafe(in_the_way));
    world.connect().await.execute(in_the_way).await.unwrap();
    let process = world.start().await;
    let failed = world.ended(&process, &operation).await;
    assert_eq!(failed.state(), State::Failed, "{failed:#?}");
    assert!(failed.resumable && !failed.cancellable);
    // It is in use meanwhile.
    assert_eq!(content(&world, &target).await.0, "from-target");
    let request = pb::CancelOperationRequest { name: operation.name.clone(), ..Default::default() };
    let outcome = process.operations().cancel_operation(ask(&world, request)).await;
    refused(outcome, Code::FailedPrecondition, ErrorReason::InvalidState);

    let away = format!("DROP DATABASE \"old_{id}\"");
    world.connect().await.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(away))).await.unwrap();
    let resumed = world.resume(&process, &operation).await.unwrap();
    succeeded(&world, &process, Some(resumed)).await;
    assert_eq!(content(&world, &target).await.0, "from-source");
}

#[tokio::test]
async fn who_gives_a_copy_up_keeps_the_target_as_it_was() {
    let world = World::new().await;
    let process = world.start().await;
    let source = created(&world, &process, "source").await;
    let target = created(&world, &process, "target").await;
    fill(&world, &source, "from-source").await;
    fill(&world, &target, "from-target").await;
    let before = content(&world, &target).await;
    for text in 0..4 {
        // The last moment: soon after, there is no way back.
        world.peers.stop_at("provision/catalog", Moment::Before);
        let request = ask(&world, copy(&source.name, &target.name, "target"));
        let begun =
            platforms(&process).copy_platform_environment(request).await.unwrap().into_inner();
        let operation = begun.operation.unwrap();
        assert!(reached(&world, &process, &operation, text).await, "{text}");
        let ended = cancel(&world, &process, &operation).await;
        assert_eq!(ended.state(), State::Cancelled, "{text}: {ended:#?}");
        assert_eq!(content(&world, &target).await, before, "{text}");
        let left = "SELECT count(*) FROM pg_database WHERE datname ~ '^(new|old)_'";
        assert_eq!(world.count(left).await, 0, "{text}");
        assert!(world.peers.kept().counting(&operation.name).is_empty(), "{text}");
        assert_eq!(
            get(&world, &process, &target.name).await.state(),
            pb::PlatformEnvironmentState::Ready
        );
    }
}

fn restore(
    target: &pb::PlatformEnvironment,
    point: pb::restore_platform_environment_request::Point,
) -> pb::RestorePlatformEnvironmentRequest {
    pb::RestorePlatformEnvironmentRequest {
        target: target.name.clone(),
        point: Some(point),
        confirmation: target.display_name.clone(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_moment_is_its_newest_backup_and_an_old_one_is_not_kept() {
    use pb::restore_platform_environment_request::Point;
    let world = World::new().await;
    let process = world.start().await;
    let target = created(&world, &process, "target").await;
    fill(&world, &target, "one").await;
    let request = pb::CreateBackupRequest { parent: target.name.clone(), ..Default::default() };
    let begun = platforms(&process).create_backup(ask(&world, request)).await.unwrap().into_inner();
    succeeded(&world, &process, begun.operation).await;
    let database = &target.database.as_ref().unwrap().database_name;
    world
        .connect_to(database)
        .await
        .execute("UPDATE organization.account SET name = 'two'")
        .await
        .unwrap();
    let now = prost_types::Timestamp::from(std::time::SystemTime::now());
    let early = prost_types::Timestamp { seconds: now.seconds - 3_600, nanos: 0 };
    let outcome = platforms(&process)
        .restore_platform_environment(ask(&world, restore(&target, Point::RestoreTime(early))))
        .await;
    refused(outcome, Code::OutOfRange, ErrorReason::PositionExpired);
    let begun = platforms(&process)
        .restore_platform_environment(ask(&world, restore(&target, Point::RestoreTime(now))))
        .await
        .unwrap();
    let ended = succeeded(&world, &process, begun.into_inner().operation).await;
    assert!(ended.warnings[0].contains("its backup of"), "{:?}", ended.warnings);
    assert_eq!(content(&world, &target).await.0, "one");

    let request = pb::ResetPlatformEnvironmentRequest {
        name: target.name.clone(),
        confirmation: "target".into(),
        ..Default::default()
    };
    let begun = platforms(&process).reset_platform_environment(ask(&world, request)).await.unwrap();
    succeeded(&world, &process, begun.into_inner().operation).await;
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'organization'";
    let left: i64 =
        sqlx::query_scalar(tables).fetch_one(&mut world.connect_to(database).await).await.unwrap();
    assert_eq!(left, 0, "everything is taken away");
}

#[tokio::test]
async fn an_erp_is_refreshed_exported_and_restored_unless_its_database_is_somebody_elses() {
    let world = World::new().await;
    world.peers.kept().bought = vec![
        "accruals/finance".into(),
        "accruals/scm".into(),
        "accruals/hr".into(),
        "accruals/x".into(),
    ];
    let process = world.start().await;
    for id in ["source", "target"] {
        let begun = erps_create(&world, &process, new_erp(id, ErpType::Sandbox)).await.unwrap();
        succeeded(&world, &process, Some(begun)).await;
    }
    world
        .connect_to("fno_source")
        .await
        .execute("CREATE TABLE t AS SELECT 'source' AS word")
        .await
        .unwrap();
    world
        .connect_to("fno_target")
        .await
        .execute("CREATE TABLE t AS SELECT 'target' AS word")
        .await
        .unwrap();
    let word = async || -> String {
        let connection = &mut world.connect_to("fno_target").await;
        sqlx::query_scalar("SELECT word FROM t").fetch_one(connection).await.unwrap()
    };
    let name = |id: &str| format!("financeAndOperationsEnvironments/{id}");
    let export =
        ask(&world, pb::ExportDatabaseRequest { name: name("target"), ..Default::default() });
    let begun = erps(&process).export_database(export).await.unwrap().into_inner();
    succeeded(&world, &process, begun.operation).await;
    let exported = prost_types::Timestamp::from(std::time::SystemTime::now());
    let refresh = |target: &str| {
        ask(
            &world,
            pb::RefreshDatabaseRequest {
                source: name("source"),
                target: name(target),
                confirmation: target.into(),
                ..Default::default()
            },
        )
    };
    let outcome = erps(&process).refresh_database(refresh("fabrikam")).await;
    let status = refused(outcome, Code::FailedPrecondition, ErrorReason::RequirementUnmet);
    assert!(status.message().contains("belongs to another system"), "{}", status.message());
    let begun = erps(&process).refresh_database(refresh("target")).await.unwrap().into_inner();
    let ended = succeeded(&world, &process, begun.operation).await;
    assert!(ended.warnings[0].contains("code was not"), "{:?}", ended.warnings);
    assert_eq!(word().await, "source");
    let request = pb::RestoreDatabaseRequest {
        name: name("target"),
        restore_time: Some(exported),
        confirmation: "target".into(),
        ..Default::default()
    };
    let begun = erps(&process).restore_database(ask(&world, request)).await.unwrap().into_inner();
    succeeded(&world, &process, begun.operation).await;
    assert_eq!(word().await, "target");
}

#[tokio::test]
async fn a_copy_between_linked_environments_keeps_the_targets_link_and_configuration() {
    let world = World::new().await;
    let process = world.start().await;
    let source = created(&world, &process, "source").await;
    let target = created(&world, &process, "target").await;
    fill(&world, &source, "from-source").await;
    fill(&world, &target, "from-target").await;
    for (erp, environment) in [("contoso", &source), ("fabrikam", &target)] {
        let link = "
            INSERT INTO lifecycle.link (id, finance_and_operations_environment, platform_environment, template,
                dual_write_status)
            SELECT id, environment_id, $2::uuid, 'standard', 'not_configured'
            FROM lifecycle.finance_and_operations_environment WHERE id = $1";
        let id = environment.name.trim_start_matches("platformEnvironments/");
        sqlx::query(link).bind(erp).bind(id).execute(&mut world.connect().await).await.unwrap();
    }
    let request = ask(&world, copy(&source.name, &target.name, "target"));
    let begun = platforms(&process).copy_platform_environment(request).await.unwrap().into_inner();
    let ended = succeeded(&world, &process, begun.operation).await;
    assert!(ended.warnings.iter().any(|it| it.contains("other half")), "{:?}", ended.warnings);
    assert!(ended.warnings.iter().any(|it| it.contains("code")), "{:?}", ended.warnings);
    assert_eq!(content(&world, &target).await.0, "from-source");
    assert_eq!(get(&world, &process, &target.name).await.link, "links/fabrikam");
    assert_eq!(get(&world, &process, &source.name).await.link, "links/contoso");
    let beside = format!("new_{}", ended.name.trim_start_matches("operations/").replace('-', ""));
    let kept = world.peers.kept();
    assert_eq!(kept.organizations[&beside].erp, "https://fabrikam.operations.dynamics.com");
}
