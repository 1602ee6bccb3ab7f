//! One environment: deployed, set up, killed on the way, and looked at.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::{FailureKind, OperationStage, OperationState};
use sqlx::{Connection as _, Executor as _};

use super::leftovers::{self, Known};
use super::outcome::Outcome;
use super::plan::{Kill, Kind, Plan};
use super::steps;
use super::world::{USER, World, killed};
use crate::System;
use crate::tenant::{Setup, Tenant, erp_name};

/// One round, over its kills, to a look at everything.
pub(super) async fn run(
    world: &World,
    number: usize,
    plan: &Plan,
    known: &mut Known,
    outcome: &mut Outcome,
) -> Result<()> {
    let erp = format!("faults-{number}");
    let database = format!("erp_{number}");
    world.make_erp_database(&database).await?;
    let mut kills = plan.kills.iter().copied();
    // Whoever waits for somebody is killed meanwhile: that is a round's first kill where nothing else is.
    let first = if plan.kind == Kind::Mended { None } else { kills.next() };
    let mut system = world.start(step_of(first)).await?;
    let tenant = world.tenant(&system).await?;
    tenant.deployed(&erp, &database).await?;
    let begun = Begun::begin(world, &tenant, plan.kind, &erp).await?;
    match first {
        Some(kill) => {
            if plan.kind == Kind::Contended {
                give_up(&tenant, &begun.operation).await;
            }
            life_ends(system, kill, outcome).await?;
        }
        None => {
            system.kill().await?;
            outcome.killed_at(None, "waiting");
        }
    }
    if plan.kind == Kind::Mended {
        system = world.start(kills.clone().next().and_then(|it| step_of(Some(it)))).await?;
        mend(&world.tenant(&system).await?, &begun.operation).await?;
        match kills.next() {
            Some(kill) => life_ends(system, kill, outcome).await?,
            None => system.kill().await?,
        }
    }
    for kill in kills {
        let mut process = world.begin(step_of(Some(kill)))?;
        match kill {
            Kill::Step(step) => {
                killed(&mut process, step).await?;
                outcome.killed_at(Some(step), steps::stage(step));
            }
            Kill::Moment(moment) => {
                // Any moment will do: nothing is waited for.
                tokio::time::sleep(Duration::from_millis(moment as u64)).await;
                process.kill().await?;
                outcome.killed_at(None, "at a moment");
            }
        }
    }
    let started = SystemTime::now();
    let system = world.start(None).await?;
    let ended = look(world, &system, plan.kind, &begun, known).await;
    let ended = ended.with_context(|| system.log())?;
    ensure!(!system.log().contains("panicked"), "{}", system.log());
    match ended.state() {
        OperationState::Cancelled => outcome.cancelled += 1,
        _ => outcome.succeeded += 1,
    }
    let end = ended.end_time.and_then(|it| SystemTime::try_from(it).ok());
    outcome.recoveries.extend(end.and_then(|it| it.duration_since(started).ok()));
    system.stop().await
}

/// A setup that has begun.
struct Begun {
    erp: String,
    platform: String,
    operation: String,
}

impl Begun {
    async fn begin(world: &World, tenant: &Tenant, kind: Kind, erp: &str) -> Result<Self> {
        let mut setup = Setup::of(erp);
        let mut platform = tenant.erp(erp).await?.initial_platform_environment;
        match kind {
            Kind::New | Kind::Contended => {}
            Kind::Existing => {
                platform = tenant.platform_created(&format!("{erp}-there"), true).await?;
                setup = setup.with(&platform);
            }
            Kind::Mended => tenant.unassign("finance", USER).await?,
            Kind::Cancelled => {
                let operation = cancelled_while_linking(world, tenant, &setup).await?;
                return Ok(Self { erp: erp.to_owned(), platform, operation });
            }
        }
        let operation = tenant.start(&setup).await?.name;
        if kind == Kind::Mended {
            let failed = tenant.ended(&operation).await?;
            let failure = failed.failure.context("it did not fail")?;
            ensure!(failure.kind() == FailureKind::Licence, "{failure:?}");
        }
        Ok(Self { erp: erp.to_owned(), platform, operation })
    }
}

/// Keeps the last stage from its work until the operation was given up.
async fn cancelled_while_linking(world: &World, tenant: &Tenant, setup: &Setup) -> Result<String> {
    let mut connection = world.control_plane().await?;
    let mut transaction = connection.begin().await?;
    let lock = "LOCK TABLE lifecycle.finance_and_operations_environment IN SHARE MODE";
    transaction.execute(lock).await?;
    let operation = tenant.start(setup).await?.name;
    let links = |it: &pb::StageProgress| {
        it.stage() == OperationStage::LinkingRuntime && it.state() == OperationState::Running
    };
    tenant.watch(&operation, |it| it.stages.iter().any(links)).await?;
    tenant.cancel(&operation).await?;
    // A system that has killed itself by now took its database with it, and the lock.
    let _ = transaction.rollback().await;
    Ok(operation)
}

/// Whoever comes too late is told so.
async fn give_up(tenant: &Tenant, operation: &str) {
    let _ = tenant.cancel(operation).await;
}

async fn mend(tenant: &Tenant, operation: &str) -> Result<()> {
    let failed = tenant.operation(operation).await?;
    ensure!(failed.state() == OperationState::Failed && failed.resumable, "{failed:?}");
    tenant.assign("finance", USER).await?;
    tenant.resume(operation).await?;
    Ok(())
}

fn step_of(kill: Option<Kill>) -> Option<&'static str> {
    match kill {
        Some(Kill::Step(step)) => Some(step),
        Some(Kill::Moment(_)) | None => None,
    }
}

/// The end of a life whose operation has begun.
async fn life_ends(mut system: System, kill: Kill, outcome: &mut Outcome) -> Result<()> {
    match kill {
        Kill::Step(step) => {
            killed(system.process(), step).await?;
            outcome.killed_at(Some(step), steps::stage(step));
        }
        Kill::Moment(moment) => {
            // A setup is shorter than a start.
            tokio::time::sleep(Duration::from_millis(moment as u64 / 4)).await;
            system.kill().await?;
            outcome.killed_at(None, "at a moment");
        }
    }
    Ok(())
}

/// Waits for the operation's end, and looks at everything.
async fn look(
    world: &World,
    system: &System,
    kind: Kind,
    begun: &Begun,
    known: &mut Known,
) -> Result<pb::Operation> {
    let tenant = world.tenant(system).await?;
    if kind == Kind::Contended {
        give_up(&tenant, &begun.operation).await;
    }
    let ended = tenant.ended(&begun.operation).await?;
    let linked = match (ended.state(), kind) {
        (OperationState::Succeeded, Kind::Cancelled) => false,
        (OperationState::Succeeded, _) => true,
        (OperationState::Cancelled, Kind::Cancelled | Kind::Contended) => false,
        _ => anyhow::bail!("{kind:?} ended so: {ended:#?}"),
    };
    ensure!(linked || ended.state() == OperationState::Cancelled, "given up: {ended:#?}");
    let pairs = if linked { &mut known.linked } else { &mut known.unlinked };
    pairs.insert(begun.erp.clone(), begun.platform.clone());
    leftovers::pair(&tenant, &begun.erp, &begun.platform, linked).await?;
    leftovers::check(world, &tenant, known).await?;
    let newest = tenant.newest_operation(&erp_name(&begun.erp)).await?;
    ensure!(newest.name == begun.operation, "another operation: {newest:?}");
    Ok(ended)
}
