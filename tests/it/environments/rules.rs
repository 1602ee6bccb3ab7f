//! What may be done with linked and initial environments, and what is said of what may not (spec
//! lifecycle-and-web-api §1.5).

use anyhow::{Context as _, Result, ensure};
use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::{OperationState, PlatformEnvironmentType as Type};
use rpc::ErrorReason;
use tests::tenant::{Setup, assert_refused, erp_name, timed};
use tonic::{Code, Status};

use super::world::{Case, Pair, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    a_linked_environment_is_neither_deleted_reset_nor_renamed,
    an_initial_environment_is_left_alone,
    data_goes_between_linked_environments_only,
    a_linked_environment_goes_back_to_its_backup,
    a_linked_environment_is_converted_with_a_warning,
    the_link_ends_with_the_erp_and_only_so,
    an_environment_that_nobody_linked_is_deleted_and_recovered,
];

const DELETE: &str = "Delete cannot be performed on Power Platform environments that are linked to Finance and \
                      Operations environments. Please use Lifecycle Services to perform this operation.";
const HOST: &str = "The finance and operations environment does not support domain name changes.";
const BOTH: &str = "Do the same to the other half of the link at the same time";

async fn delete(world: &World, name: &str) -> Result<pb::Operation, Status> {
    let platform =
        world.admin.platform(name).await.map_err(|it| Status::internal(it.to_string()))?;
    let request = pb::DeletePlatformEnvironmentRequest {
        name: name.to_owned(),
        confirmation: platform.display_name,
        ..Default::default()
    };
    let answer = world.admin.platforms().delete_platform_environment(timed(request)).await?;
    answer.into_inner().operation.ok_or_else(|| Status::internal("no operation"))
}

async fn reset(world: &World, name: &str) -> Result<pb::Operation, Status> {
    let platform =
        world.admin.platform(name).await.map_err(|it| Status::internal(it.to_string()))?;
    let request = pb::ResetPlatformEnvironmentRequest {
        name: name.to_owned(),
        confirmation: platform.display_name,
        ..Default::default()
    };
    let answer = world.admin.platforms().reset_platform_environment(timed(request)).await?;
    answer.into_inner().operation.ok_or_else(|| Status::internal("no operation"))
}

async fn copy(world: &World, source: &str, target: &str) -> Result<pb::Operation, Status> {
    let platform =
        world.admin.platform(target).await.map_err(|it| Status::internal(it.to_string()))?;
    let request = pb::CopyPlatformEnvironmentRequest {
        source: source.to_owned(),
        target: target.to_owned(),
        kind: pb::CopyKind::Full.into(),
        confirmation: platform.display_name,
        ..Default::default()
    };
    let answer = world.admin.platforms().copy_platform_environment(timed(request)).await?;
    answer.into_inner().operation.ok_or_else(|| Status::internal("no operation"))
}

async fn refresh(world: &World, source: &str, target: &str) -> Result<pb::Operation, Status> {
    let erp = world.admin.erp(target).await.map_err(|it| Status::internal(it.to_string()))?;
    let request = pb::RefreshDatabaseRequest {
        source: erp_name(source),
        target: erp_name(target),
        confirmation: erp.display_name,
        ..Default::default()
    };
    let answer = world.admin.erps().refresh_database(timed(request)).await?;
    answer.into_inner().operation.ok_or_else(|| Status::internal("no operation"))
}

/// As it was before, whatever was done to its halves.
async fn assert_linked(world: &World, pair: &Pair) -> Result<()> {
    for half in [erp_name(&pair.erp), pair.platform.clone()] {
        let link = world.admin.link(&half).await?;
        ensure!(
            link.platform_environment == pair.platform
                && link.finance_and_operations_environment == erp_name(&pair.erp),
            "{link:?}"
        );
    }
    Ok(())
}

/// An account in the environment of a pair, by its own Web API.
async fn accounts(world: &World, pair: &Pair) -> Result<Accounts> {
    let platform = world.admin.platform(&pair.platform).await?;
    let host = platform.database.context("no database")?.host_name;
    Ok(Accounts { web: world.system.web("admin").await?, host: format!("{host}.localhost") })
}

struct Accounts {
    web: tests::Web,
    host: String,
}

impl Accounts {
    async fn create(&self, name: &str) -> Result<()> {
        let headers = [("Host", self.host.as_str())];
        let body = Some(serde_json::json!({ "name": name }));
        let made = self.web.send(reqwest::Method::POST, "accounts", &headers, body).await?;
        made.expect(204).map(drop)
    }

    async fn names(&self) -> Result<Vec<String>> {
        let headers = [("Host", self.host.as_str())];
        let path = "accounts?$select=name&$orderby=name";
        let rows = self.web.send(reqwest::Method::GET, path, &headers, None).await?.ok()?;
        let rows = rows["value"].as_array().context("no rows")?;
        Ok(rows.iter().filter_map(|it| it["name"].as_str().map(str::to_owned)).collect())
    }
}

async fn a_linked_environment_is_neither_deleted_reset_nor_renamed(world: &World) -> Result<()> {
    let pair = &world.pairs().await?[0];
    let (failed, blocked) = (Code::FailedPrecondition, ErrorReason::OperationBlocked);
    let told = assert_refused(delete(world, &pair.platform).await, failed, blocked, DELETE)?;
    ensure!(told.message() == DELETE, "{:?}", told.message());
    let text = "Reset cannot be performed on environments that are linked to finance and operations environments.";
    assert_refused(reset(world, &pair.platform).await, failed, blocked, text)?;
    let mut environment = world.admin.platform(&pair.platform).await?;
    if let Some(database) = &mut environment.database {
        database.host_name = world.fresh("elsewhere");
    }
    let request = pb::UpdatePlatformEnvironmentRequest {
        platform_environment: Some(environment),
        update_mask: Some(prost_types::FieldMask { paths: vec!["database.host_name".to_owned()] }),
        ..Default::default()
    };
    let answer = world.admin.platforms().update_platform_environment(timed(request)).await;
    let told = assert_refused(answer, failed, blocked, HOST)?;
    ensure!(told.message() == HOST, "{:?}", told.message());
    // Everything else of it may be edited.
    let environment = pb::PlatformEnvironment {
        name: pair.platform.clone(),
        display_name: format!("Renamed {}", pair.erp),
        ..Default::default()
    };
    let request = pb::UpdatePlatformEnvironmentRequest {
        platform_environment: Some(environment),
        update_mask: Some(prost_types::FieldMask { paths: vec!["display_name".to_owned()] }),
        ..Default::default()
    };
    world.admin.platforms().update_platform_environment(timed(request)).await?;
    // The command line says the same, with the code of a refusal.
    let name = format!("Renamed {}", pair.erp);
    let told = world.tombolo(&["env", "delete", &pair.platform, "--confirm", &name]).await?;
    ensure!(told.status.code() == Some(4) && told.stderr.contains(DELETE), "{told:?}");
    assert_linked(world, pair).await
}

async fn an_initial_environment_is_left_alone(world: &World) -> Result<()> {
    let erp = world.deploy("initial").await?;
    let initial = world.admin.erp(&erp).await?.initial_platform_environment;
    let platform = world.admin.platform(&initial).await?;
    ensure!(platform.database.is_none() && platform.link.is_empty(), "{platform:?}");
    ensure!(platform.initial_of == erp_name(&erp), "{platform:?}");
    ensure!(!platform.finance_and_operations_url.is_empty(), "{platform:?}");
    let (failed, blocked) = (Code::FailedPrecondition, ErrorReason::OperationBlocked);
    assert_refused(delete(world, &initial).await, failed, blocked, "initial environment")?;
    assert_refused(reset(world, &initial).await, failed, blocked, "initial environment")?;
    let database = pb::PlatformDatabase { host_name: world.fresh("by-hand"), ..Default::default() };
    let request = pb::AddDatabaseRequest {
        name: initial.clone(),
        database: Some(database),
        ..Default::default()
    };
    let answer = world.admin.platforms().add_database(timed(request)).await;
    assert_refused(answer, failed, blocked, "setup of Power Platform integration only")?;
    Ok(())
}

async fn data_goes_between_linked_environments_only(world: &World) -> Result<()> {
    let [source, target] = world.pairs().await?;
    let alone = world.admin.platform_created(&world.fresh("alone"), true).await?;
    let (failed, unmet) = (Code::FailedPrecondition, ErrorReason::RequirementUnmet);
    let text = "data goes from a linked environment to a linked one";
    assert_refused(copy(world, &source.platform, &alone).await, failed, unmet, text)?;
    assert_refused(copy(world, &alone, &target.platform).await, failed, unmet, text)?;
    let unlinked = world.deploy("unlinked").await?;
    assert_refused(refresh(world, &source.erp, &unlinked).await, failed, unmet, text)?;

    let there = accounts(world, source).await?;
    there.create("Copied").await?;
    let copied = copy(world, &source.platform, &target.platform).await?;
    ensure!(copied.warnings.iter().any(|it| it.contains(BOTH)), "{:?}", copied.warnings);
    world.admin.succeeded(&copied.name).await?;
    let refreshed = refresh(world, &source.erp, &target.erp).await?;
    ensure!(refreshed.warnings.iter().any(|it| it.contains(BOTH)), "{:?}", refreshed.warnings);
    world.admin.succeeded(&refreshed.name).await?;
    for pair in [source, target] {
        assert_linked(world, pair).await?;
    }
    let names = accounts(world, target).await?.names().await?;
    ensure!(names.contains(&"Copied".to_owned()), "{names:?}");
    Ok(())
}

async fn a_linked_environment_goes_back_to_its_backup(world: &World) -> Result<()> {
    let pair = &world.pairs().await?[0];
    let rows = accounts(world, pair).await?;
    rows.create("Before the backup").await?;
    let request = pb::CreateBackupRequest {
        parent: pair.platform.clone(),
        backup: Some(pb::Backup { label: "Before".to_owned(), ..Default::default() }),
        ..Default::default()
    };
    let begun = world.admin.platforms().create_backup(timed(request)).await?.into_inner();
    let begun = begun.operation.context("no operation")?;
    ensure!(begun.warnings.iter().any(|it| it.contains(BOTH)), "{:?}", begun.warnings);
    world.admin.succeeded(&begun.name).await?;
    rows.create("After the backup").await?;
    let request = pb::ListBackupsRequest { parent: pair.platform.clone(), ..Default::default() };
    let backups = world.admin.platforms().list_backups(timed(request)).await?.into_inner().backups;
    let backup = backups.iter().find(|it| it.label == "Before").context("no backup")?;
    let request = pb::RestorePlatformEnvironmentRequest {
        target: pair.platform.clone(),
        point: Some(pb::restore_platform_environment_request::Point::Backup(backup.name.clone())),
        confirmation: world.admin.platform(&pair.platform).await?.display_name,
        ..Default::default()
    };
    let begun = world.admin.platforms().restore_platform_environment(timed(request)).await?;
    let begun = begun.into_inner().operation.context("no operation")?;
    ensure!(begun.warnings.iter().any(|it| it.contains("may need repair")), "{:?}", begun.warnings);
    world.admin.succeeded(&begun.name).await?;
    assert_linked(world, pair).await?;
    let names = rows.names().await?;
    let has = |name: &str| names.iter().any(|it| it == name);
    ensure!(has("Before the backup") && !has("After the backup"), "{names:?}");
    Ok(())
}

async fn a_linked_environment_is_converted_with_a_warning(world: &World) -> Result<()> {
    let pair = &world.pairs().await?[1];
    let convert = async |to: Type| {
        let request = pb::ConvertPlatformEnvironmentRequest {
            name: pair.platform.clone(),
            target_type: to.into(),
            ..Default::default()
        };
        world.admin.platforms().convert_platform_environment(timed(request)).await
    };
    let begun = convert(Type::Production).await?.into_inner().operation.context("no operation")?;
    ensure!(begun.warnings.iter().any(|it| it.contains("keeps its type")), "{:?}", begun.warnings);
    world.admin.succeeded(&begun.name).await?;
    ensure!(world.admin.platform(&pair.platform).await?.r#type() == Type::Production);
    let kind = world.admin.erp(&pair.erp).await?.r#type();
    ensure!(kind == pb::FinanceAndOperationsEnvironmentType::Sandbox, "{kind:?}");
    let back = convert(Type::Sandbox).await;
    assert_refused(back, Code::FailedPrecondition, ErrorReason::RequirementUnmet, "cannot become")?;
    assert_linked(world, pair).await
}

async fn the_link_ends_with_the_erp_and_only_so(world: &World) -> Result<()> {
    let pair = world.pair().await?;
    let request = pb::DeleteFinanceAndOperationsEnvironmentRequest {
        name: erp_name(&pair.erp),
        confirmation: world.admin.erp(&pair.erp).await?.display_name,
        ..Default::default()
    };
    let begun =
        world.admin.erps().delete_finance_and_operations_environment(timed(request)).await?;
    let begun = begun.into_inner().operation.context("no operation")?;
    world.admin.succeeded(&begun.name).await?;
    let answer = world.admin.link(&pair.platform).await;
    assert_refused(answer, Code::NotFound, ErrorReason::NotLinked, "")?;
    // The Dataverse stays with its data, and may go now.
    let platform = world.admin.platform(&pair.platform).await?;
    let database = platform.database.context("its database went too")?;
    ensure!(world.platform.connect_to(&database.database_name).await.is_ok());
    let deleted = delete(world, &pair.platform).await?;
    world.admin.succeeded(&deleted.name).await?;
    // A name stays taken for a while.
    let again = world.admin.deploy(&pair.erp, "").await;
    assert_refused(again, Code::AlreadyExists, ErrorReason::ResourceExists, &pair.erp)?;
    Ok(())
}

async fn an_environment_that_nobody_linked_is_deleted_and_recovered(world: &World) -> Result<()> {
    let name = world.admin.platform_created(&world.fresh("gone"), true).await?;
    let deleted = delete(world, &name).await?;
    world.admin.succeeded(&deleted.name).await?;
    ensure!(world.admin.platform(&name).await?.state() == pb::PlatformEnvironmentState::Deleted);
    // Whoever is deleted is not linked.
    let erp = world.deploy("late").await?;
    let answer = world.admin.start(&Setup::of(&erp).with(&name)).await;
    ensure!(answer.is_err(), "{answer:?}");
    let request =
        pb::RecoverPlatformEnvironmentRequest { name: name.clone(), ..Default::default() };
    let begun = world.admin.platforms().recover_platform_environment(timed(request)).await?;
    let begun = begun.into_inner().operation.context("no operation")?;
    let ended = world.admin.ended(&begun.name).await?;
    ensure!(ended.state() == OperationState::Succeeded, "{ended:?}");
    let operation = world.admin.start(&Setup::of(&erp).with(&name)).await?;
    world.admin.succeeded(&operation.name).await?;
    Ok(())
}
