//! Every way into the system, as every kind of user: what is allowed is worked out here from the user's
//! roles alone. [`EntryPoint`] is the list of the ways in; one that is not performed in [`http`] or
//! [`grpc`], or has no [`need`], does not compile.

mod grpc;
mod http;
mod need;
mod tenant;
mod who;
mod world;

use anyhow::{Result, ensure};
use gateway::EntryPoint;
use tests::runner::Runner;

pub(crate) use self::who::{Actor, Who};
pub(crate) use self::world::World;

pub(crate) const CASES: &[Case] = tests::cases![World:
    every_entry_point_decides_by_the_users_roles,
    what_was_denied_changed_nothing,
];

pub(crate) type Case = tests::runner::Case<World>;

/// What a way in said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// It was done.
    Allowed,
    /// The user may not, or is not known.
    Denied,
    /// Something else, which no row of the table expects.
    Other(String),
}

pub(crate) async fn run(runner: &mut Runner) {
    if !runner.wants_any(CASES) {
        return;
    }
    let Some(world) = runner.world("matrix::start", Box::pin(World::start())).await else { return };
    runner.run_all(&world, CASES).await;
    runner.run("matrix::stops_cleanly", world.stop()).await;
}

async fn every_entry_point_decides_by_the_users_roles(world: &World) -> Result<()> {
    let mut table = heading();
    let mut wrong = Vec::new();
    for point in EntryPoint::ALL.iter().copied() {
        let mut cells = String::new();
        for actor in &world.actors {
            let said = perform(world, actor, point).await?;
            let expected =
                if need::allows(point, actor.who) { Said::Allowed } else { Said::Denied };
            let letter = match &said {
                Said::Allowed => "yes",
                Said::Denied => "-",
                Said::Other(_) => "?",
            };
            let mark = if said == expected { "" } else { "!" };
            cells.push_str(&format!("{:>7}", format!("{letter}{mark}")));
            if said != expected {
                wrong.push(format!(
                    "{} as {:?}: {said:?}, not {expected:?}",
                    point.name(),
                    actor.who
                ));
            }
        }
        table.push_str(&format!("{:<32}{cells}\n", point.name()));
    }
    ensure!(wrong.is_empty(), "{} cells are wrong:\n{table}\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

fn heading() -> String {
    let names = Who::ALL.map(|it| format!("{:>7}", it.abbreviation()));
    format!("\n{:<32}{}\n", "", names.concat())
}

async fn perform(world: &World, actor: &Actor, point: EntryPoint) -> Result<Said> {
    match point.grpc_path() {
        Some(_) => grpc::perform(world, actor, point).await,
        None => http::perform(world, actor, point).await,
    }
}

/// Who may do nothing with rows, and who may only read them, try all that they may not, and both
/// databases stay as they are.
async fn what_was_denied_changed_nothing(world: &World) -> Result<()> {
    for who in [Who::Nobody, Who::Reader] {
        let actor = world.actor(who)?;
        for point in EntryPoint::ALL.iter().copied().filter(|it| !need::allows(*it, who)) {
            // What it is tried on is made before, by an administrator.
            let prepared = world.prepare(actor, point).await?;
            let before = world.dump().await?;
            let said = match point.grpc_path() {
                Some(_) => grpc::try_on(world, actor, point, &prepared).await?,
                None => http::try_on(world, actor, point, &prepared).await?,
            };
            ensure!(said != Said::Allowed, "{} as {who:?}", point.name());
            let after = world.dump().await?;
            // That an operation was asked for is kept, whatever becomes of it; and the platform's list
            // of users follows what was made to be deleted.
            let path = point.grpc_path().unwrap_or_default();
            let follows = point == EntryPoint::RespondAsync || path.contains("DirectoryService");
            let stores = if follows { 1 } else { before.len() };
            let pairs = before.iter().zip(&after).take(stores);
            let differing: Vec<_> = pairs.flat_map(|(old, new)| old.differences(new)).collect();
            ensure!(differing.is_empty(), "{} as {who:?}: {differing:#?}", point.name());
        }
    }
    Ok(())
}
