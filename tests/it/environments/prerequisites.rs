//! What a setup needs: P1, P2, P3 and P9 fail it, to be mended and resumed; P4 to P8 refuse it at once.

use anyhow::{Context as _, Result, ensure};
use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::{FailureKind, OperationStage, OperationState, Prerequisite};
use rpc::ErrorReason;
use tests::tenant::{Setup, Tenant, assert_refused, erp_name};
use tonic::Code;

use super::world::{Case, MANAGER, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    who_does_not_agree_or_confirm_begins_nothing,
    each_that_fails_alone_is_told_mended_and_resumed,
    of_two_that_fail_both_are_told_and_the_first_decides,
    each_of_an_existing_environment_refuses_at_once,
];

/// Those that fail an operation.
const MENDABLE: [Prerequisite; 4] = [
    Prerequisite::DatabaseCapacity,
    Prerequisite::Governance,
    Prerequisite::Licence,
    Prerequisite::Deployed,
];

const CAPACITY: &str = "This environment can't be created because your org (tenant) needs at least 1 GB of \
                        database capacity.";

fn kind(prerequisite: Prerequisite) -> FailureKind {
    match prerequisite {
        Prerequisite::DatabaseCapacity => FailureKind::Capacity,
        Prerequisite::Governance => FailureKind::Governance,
        Prerequisite::Licence => FailureKind::Licence,
        _ => FailureKind::State,
    }
}

fn reason(prerequisite: Prerequisite) -> &'static str {
    match prerequisite {
        Prerequisite::DatabaseCapacity => "CAPACITY_INSUFFICIENT",
        Prerequisite::Governance => "GOVERNANCE_DENIED",
        Prerequisite::Licence => "LICENCE_MISSING",
        _ => "INVALID_STATE",
    }
}

fn message(prerequisite: Prerequisite, erp: &str) -> String {
    match prerequisite {
        Prerequisite::DatabaseCapacity => CAPACITY.to_owned(),
        Prerequisite::Governance => format!(
            "Only specific admins may create environments in this tenant, and `{MANAGER}` is none of them."
        ),
        Prerequisite::Licence => format!(
            "`{MANAGER}` holds none of the licences that permit a setup: Dynamics 365 Unified Operations \
             Plan, AX Enterprise, or an app licence (Finance, Supply Chain Management, Commerce, Project \
             Operations, Human Resources)."
        ),
        _ => format!("`{erp}` is not deployed: it is failed."),
    }
}

/// Makes one of them fail, or hold again.
async fn turn(world: &World, erp: &str, prerequisite: Prerequisite, fails: bool) -> Result<()> {
    let state = if fails { "failed" } else { "deployed" };
    match prerequisite {
        Prerequisite::DatabaseCapacity if fails => world.leave_free(0).await,
        Prerequisite::DatabaseCapacity => world.leave_enough().await,
        Prerequisite::Governance => world.admin.restrict_creation(fails).await,
        Prerequisite::Licence if fails => world.admin.unassign("finance", MANAGER).await,
        Prerequisite::Licence => world.admin.assign("finance", MANAGER).await,
        _ => {
            let sql = format!(
                "UPDATE lifecycle.finance_and_operations_environment SET state = '{state}'
                 WHERE id = '{erp}'"
            );
            world.control_plane(&sql).await
        }
    }
}

/// It stands where it was told to go on from, and says all that fails.
fn assert_failed(operation: &pb::Operation, erp: &str, failing: &[Prerequisite]) -> Result<()> {
    let first = failing[0];
    ensure!(operation.state() == OperationState::Failed, "{operation:#?}");
    ensure!(operation.resumable && operation.cancellable, "{operation:#?}");
    let failure = operation.failure.as_ref().context("no failure")?;
    ensure!(failure.kind() == kind(first), "{failure:?}");
    ensure!(failure.reason == reason(first), "{failure:?}");
    ensure!(failure.stage() == OperationStage::Validating, "{failure:?}");
    ensure!(failure.message == message(first, erp), "{failure:?}");
    let told: Vec<_> = failure.prerequisites.iter().map(|it| it.prerequisite()).collect();
    ensure!(told == failing, "{told:?}, expected {failing:?}");
    for check in &failure.prerequisites {
        ensure!(check.failure_kind() == kind(check.prerequisite()), "{check:?}");
        ensure!(check.message == message(check.prerequisite(), erp), "{check:?}");
        ensure!(!check.help.is_empty() && failure.help.contains(&check.help), "{failure:?}");
    }
    let failed: Vec<_> =
        operation.stages.iter().filter(|it| it.state() == OperationState::Failed).collect();
    ensure!(failed.len() == 1 && failed[0].stage() == OperationStage::Validating, "{failed:?}");
    Ok(())
}

/// Everything may be set up again, whatever a case left behind.
async fn mend_all(world: &World, erp: &str) -> Result<()> {
    for prerequisite in MENDABLE {
        turn(world, erp, prerequisite, false).await?;
    }
    Ok(())
}

async fn who_does_not_agree_or_confirm_begins_nothing(world: &World) -> Result<()> {
    let erp = world.deploy("unconfirmed").await?;
    let name = world.manager.display_name.clone();
    for (agreed, typed) in [(false, name.as_str()), (true, "Somebody Else"), (true, "")] {
        let request = pb::StartSetupRequest {
            finance_and_operations_environment: erp_name(&erp),
            template: "templates/standard".to_owned(),
            agreed,
            confirmed_user_name: typed.to_owned(),
            ..Default::default()
        };
        let answer = world.manager.setups().start_setup(request).await;
        assert_refused(answer, Code::FailedPrecondition, ErrorReason::ConfirmationRequired, "")?;
    }
    let newest = world.admin.newest_operation(&erp_name(&erp)).await?;
    ensure!(newest.kind() != pb::OperationKind::Setup, "{newest:?}");
    Ok(())
}

async fn each_that_fails_alone_is_told_mended_and_resumed(world: &World) -> Result<()> {
    for prerequisite in MENDABLE {
        let erp = world.deploy("alone").await?;
        let done = alone(world, &erp, prerequisite).await;
        mend_all(world, &erp).await?;
        done.with_context(|| format!("{prerequisite:?}"))?;
    }
    Ok(())
}

async fn alone(world: &World, erp: &str, prerequisite: Prerequisite) -> Result<()> {
    turn(world, erp, prerequisite, true).await?;
    // Asked beforehand, it is an answer.
    let request = pb::CheckPrerequisitesRequest {
        finance_and_operations_environment: erp_name(erp),
        ..Default::default()
    };
    let answer = world.manager.setups().check_prerequisites(request).await?.into_inner();
    let failing: Vec<_> = answer
        .checks
        .iter()
        .filter(|it| !it.passed && !it.skipped)
        .map(|it| it.prerequisite())
        .collect();
    ensure!(answer.checks.len() == 9 && failing == [prerequisite], "{answer:?}");
    let told = world.tombolo(&["env", "check", erp, "--user", MANAGER]).await?;
    ensure!(told.status.code() == Some(4), "{told:?}");
    let operation = world.manager.start(&Setup::of(erp)).await?.name;
    assert_failed(&world.manager.ended(&operation).await?, erp, &[prerequisite])?;
    // Too early.
    world.manager.resume(&operation).await?;
    assert_failed(&world.manager.ended(&operation).await?, erp, &[prerequisite])
        .context("resumed too early")?;
    turn(world, erp, prerequisite, false).await?;
    world.manager.resume(&operation).await?;
    let ended = world.manager.succeeded(&operation).await?;
    ensure!(ended.failure.is_none() && ended.progress_percent == 100, "{ended:?}");
    world.admin.link(&erp_name(erp)).await?;
    Ok(())
}

async fn of_two_that_fail_both_are_told_and_the_first_decides(world: &World) -> Result<()> {
    let erp = world.deploy("two").await?;
    for (i, first) in MENDABLE.into_iter().enumerate() {
        for second in MENDABLE.into_iter().skip(i + 1) {
            let done = two(world, &erp, first, second).await;
            mend_all(world, &erp).await?;
            done.with_context(|| format!("{first:?} and {second:?}"))?;
        }
    }
    let operation = world.manager.start(&Setup::of(&erp)).await?;
    world.manager.succeeded(&operation.name).await?;
    Ok(())
}

async fn two(world: &World, erp: &str, first: Prerequisite, second: Prerequisite) -> Result<()> {
    turn(world, erp, first, true).await?;
    turn(world, erp, second, true).await?;
    let operation = world.manager.start(&Setup::of(erp)).await?.name;
    assert_failed(&world.manager.ended(&operation).await?, erp, &[first, second])?;
    turn(world, erp, first, false).await?;
    world.manager.resume(&operation).await?;
    assert_failed(&world.manager.ended(&operation).await?, erp, &[second])?;
    world.manager.cancel(&operation).await?;
    let ended = world.manager.ended(&operation).await?;
    ensure!(ended.state() == OperationState::Cancelled, "{ended:?}");
    Ok(())
}

/// Who asks, for which environment, and what is wrong with it.
struct Refusal<'a> {
    who: &'a Tenant,
    platform: &'a str,
    reason: ErrorReason,
    message: String,
}

async fn each_of_an_existing_environment_refuses_at_once(world: &World) -> Result<()> {
    let erp = world.deploy("existing").await?;
    let made = async |apps: bool, location: &str| -> Result<(String, String)> {
        let host = world.fresh("there");
        let name = world.outsider.platform_created_in(&host, apps, location).await?;
        Ok((name, host))
    };
    // The project's manager administers none of them; the tenant's administrator made them all.
    let (good, good_name) = made(true, "europe").await?;
    let (bare, bare_name) = made(false, "europe").await?;
    let (far, far_name) = made(true, "unitedstates").await?;
    let of_another_tenant = async |yes: bool| {
        let tenant = world.admin.erp(&erp).await?.tenant_id;
        let tenant = if yes { uuid::Uuid::new_v4().to_string() } else { tenant };
        let id = good.trim_start_matches("platformEnvironments/");
        let sql = format!(
            "UPDATE lifecycle.platform_environment SET tenant_id = '{tenant}' WHERE id = '{id}'"
        );
        world.control_plane(&sql).await
    };
    let outsider = &world.outsider;
    let unmet = ErrorReason::RequirementUnmet;
    let refuse = async |refusal: Refusal<'_>| -> Result<()> {
        let Refusal { who, platform, reason, message } = refusal;
        let answer = who.start(&Setup::of(&erp).with(platform)).await;
        assert_refused(answer, Code::FailedPrecondition, reason, &message)?;
        let newest = world.admin.newest_operation(&erp_name(&erp)).await?;
        ensure!(newest.kind() != pb::OperationKind::Setup, "something was begun: {newest:?}");
        Ok(())
    };
    let project = || {
        format!(
            "To link an existing environment, `{}` needs the role Environment Manager or Project Owner.",
            outsider.user
        )
    };
    refuse(Refusal { who: outsider, platform: &good, reason: unmet, message: project() })
        .await
        .context("P4")?;
    of_another_tenant(true).await?;
    let message = format!("`{MANAGER}`, `{erp}` and `{good_name}` are not of one tenant.");
    let refused =
        refuse(Refusal { who: &world.manager, platform: &good, reason: unmet, message }).await;
    of_another_tenant(false).await?;
    refused.context("P5")?;
    let message = format!("`{MANAGER}` is no System administrator of `{good_name}`.");
    refuse(Refusal { who: &world.manager, platform: &good, reason: unmet, message })
        .await
        .context("P6")?;
    // As one who may in all other respects.
    let whole = tests::tenant::Person {
        name: super::world::OUTSIDER,
        roles: &["Global Administrator", "System administrator", "Project Owner"],
    };
    world.admin.make(whole).await?;
    let message = format!(
        "`{bare_name}` was created without \"Enable D365 apps\", which is fixed at creation."
    );
    refuse(Refusal { who: outsider, platform: &bare, reason: unmet, message })
        .await
        .context("P7")?;
    let message = format!("`{far_name}` in United States: both have to be in one geography.");
    let region = ErrorReason::RegionUnsuitable;
    refuse(Refusal { who: outsider, platform: &far, reason: region, message })
        .await
        .context("P8")?;
    // And the one that fits is linked; its initial environment is nobody's any more.
    let initial = world.admin.erp(&erp).await?.initial_platform_environment;
    let operation = outsider.start(&Setup::of(&erp).with(&good)).await?;
    outsider.succeeded(&operation.name).await?;
    ensure!(world.admin.link(&good).await?.platform_environment == good);
    let initial = world.admin.platform(&initial).await?;
    ensure!(
        initial.initial_of.is_empty() && initial.finance_and_operations_url.is_empty(),
        "{initial:?}"
    );
    Ok(())
}
