//! Two who want what there is only one of: one gets it, the other is told why.

use anyhow::{Context as _, Result, ensure};
use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::{FailureKind, OperationState};
use rpc::ErrorReason;
use tests::tenant::{Setup, assert_refused, erp_name};
use tonic::{Code, Status};

use super::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    one_of_two_setups_gets_the_link,
    one_of_two_erps_gets_the_platform_environment,
    one_of_two_setups_gets_the_last_gigabyte,
    one_of_two_environments_gets_the_name,
    one_of_two_environments_gets_the_host,
];

/// Each race is run so often, because most are decided by luck.
const ROUNDS: usize = 3;

/// Who got it, and what the other was told.
fn one_of_two<T: std::fmt::Debug>(
    answers: [Result<T, Status>; 2],
) -> Result<(T, Result<T, Status>)> {
    match answers {
        [Ok(won), Err(told)] | [Err(told), Ok(won)] => Ok((won, Err(told))),
        both => anyhow::bail!("not exactly one: {both:?}"),
    }
}

async fn one_of_two_setups_gets_the_link(world: &World) -> Result<()> {
    for _ in 0..ROUNDS {
        let erp = world.deploy("race").await?;
        let setup = Setup::of(&erp);
        let (first, second) =
            futures::join!(world.admin.start(&setup), world.manager.start(&setup));
        let (won, told) = one_of_two([first, second])?;
        let other = won.name.clone();
        let told = assert_refused(told, Code::FailedPrecondition, ErrorReason::InvalidState, "")?;
        ensure!(told.message().contains(&other), "{:?} does not name {other}", told.message());
        world.admin.succeeded(&won.name).await?;
        // From now on it is another reason.
        let late = world.admin.start(&setup).await;
        assert_refused(
            late,
            Code::AlreadyExists,
            ErrorReason::AlreadyLinked,
            "a link is for good",
        )?;
    }
    Ok(())
}

async fn one_of_two_erps_gets_the_platform_environment(world: &World) -> Result<()> {
    let platform = world.admin.platform_created(&world.fresh("wanted"), true).await?;
    let (first, second) = futures::join!(world.deploy("suitor"), world.deploy("suitor"));
    let setups = [first?, second?].map(|it| Setup::of(&it).with(&platform));
    let (first, second) =
        futures::join!(world.admin.start(&setups[0]), world.admin.start(&setups[1]));
    let (won, told) = one_of_two([first, second])?;
    assert_refused(told, Code::FailedPrecondition, ErrorReason::InvalidState, &won.name)?;
    world.admin.succeeded(&won.name).await?;
    let link = world.admin.link(&platform).await?;
    ensure!(won.targets.contains(&link.finance_and_operations_environment), "{link:?}");
    Ok(())
}

async fn one_of_two_setups_gets_the_last_gigabyte(world: &World) -> Result<()> {
    let (first, second) = futures::join!(world.deploy("last"), world.deploy("last"));
    let erps = [first?, second?];
    world.leave_free(1).await?;
    let done = last_gigabyte(world, &erps).await;
    world.leave_enough().await?;
    let loser = done?;
    // There is room again.
    world.admin.resume(&loser).await?;
    world.admin.succeeded(&loser).await?;
    for erp in &erps {
        world.admin.link(&erp_name(erp)).await?;
    }
    Ok(())
}

/// Returns the operation that came too late.
async fn last_gigabyte(world: &World, erps: &[String; 2]) -> Result<String> {
    let setups = erps.each_ref().map(|it| Setup::of(it));
    let (first, second) =
        futures::join!(world.admin.start(&setups[0]), world.manager.start(&setups[1]));
    let (first, second) = (first?.name, second?.name);
    let (first, second) = futures::join!(world.admin.ended(&first), world.admin.ended(&second));
    let (won, told): (Vec<_>, Vec<_>) =
        [first?, second?].into_iter().partition(|it| it.state() == OperationState::Succeeded);
    ensure!(won.len() == 1 && told.len() == 1, "not exactly one: {won:#?} {told:#?}");
    let failure = told[0].failure.as_ref().context("no failure")?;
    ensure!(
        failure.kind() == FailureKind::Capacity && failure.reason == "CAPACITY_INSUFFICIENT",
        "{failure:?}"
    );
    let text = "This environment can't be created because your org (tenant) needs at least 1 GB of database \
                capacity.";
    ensure!(failure.message == text && told[0].resumable, "{failure:?}");
    Ok(told[0].name.clone())
}

async fn one_of_two_environments_gets_the_name(world: &World) -> Result<()> {
    for _ in 0..ROUNDS {
        let id = world.fresh("name");
        let (first, second) =
            futures::join!(world.admin.deploy(&id, ""), world.outsider.deploy(&id, ""));
        let (won, told) = one_of_two([first, second])?;
        assert_refused(told, Code::AlreadyExists, ErrorReason::ResourceExists, &id)?;
        world.admin.succeeded(&won.name).await?;
        let late = world.admin.deploy(&id, "").await;
        assert_refused(late, Code::AlreadyExists, ErrorReason::ResourceExists, &id)?;
    }
    // Nothing of those who lost is left.
    let request =
        pb::ListFinanceAndOperationsEnvironmentsRequest { page_size: 1_000, ..Default::default() };
    let list = world.admin.erps().list_finance_and_operations_environments(request).await?;
    let mut names: Vec<_> = list
        .into_inner()
        .finance_and_operations_environments
        .into_iter()
        .map(|it| it.name)
        .collect();
    let count = names.len();
    names.dedup();
    ensure!(names.len() == count, "{names:?}");
    Ok(())
}

async fn one_of_two_environments_gets_the_host(world: &World) -> Result<()> {
    let host = world.fresh("host");
    let database = || Some(pb::PlatformDatabase { host_name: host.clone(), ..Default::default() });
    let (first, second) = futures::join!(
        world.admin.create_platform("One", database()),
        world.outsider.create_platform("Other", database()),
    );
    let (won, told) = one_of_two([first, second])?;
    assert_refused(told, Code::AlreadyExists, ErrorReason::ResourceExists, &host)?;
    world.admin.succeeded(&won.name).await?;
    Ok(())
}
