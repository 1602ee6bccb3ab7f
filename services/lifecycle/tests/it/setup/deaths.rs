//! Processes that die, and second thoughts at any moment: whoever comes next ends it, once.

use super::peers::Moment;
use super::*;

const MOMENTS: [Moment; 2] = [Moment::Before, Moment::After];

#[tokio::test]
async fn another_process_goes_on_wherever_the_first_died() {
    for moment in MOMENTS {
        let world = World::new().await;
        let mut process = world.start().await;
        // One after the other: each process dies at the next effect.
        world.peers.stop_at(EFFECTS[0].0, moment);
        let begun = world.begin(&process, new_setup()).await.unwrap();
        for next in EFFECTS.iter().map(|it| Some(it.0)).skip(1).chain([None]) {
            world.peers.stopped().await;
            if let Some(next) = next {
                world.peers.stop_at(next, moment);
            }
            drop(process);
            process = world.start().await;
        }
        linked_once(&world, &world.ended(&process, &begun).await).await;
    }
}

#[tokio::test]
async fn two_processes_never_run_one_operation_at_once() {
    let world = World::new().await;
    let (one, other) = (world.start().await, world.start().await);
    let begun = world.begin(&one, new_setup()).await.unwrap();
    linked_once(&world, &world.ended(&other, &begun).await).await;
    let kept = world.peers.kept();
    let count = |name: &str| kept.effects.iter().filter(|it| *it == name).count();
    for (effect, _) in EFFECTS.iter().filter(|it| it.0 != "reserve") {
        assert_eq!(count(effect), 1, "{effect}: {:?}", kept.effects);
    }
}

#[tokio::test]
async fn the_other_process_takes_over_when_the_first_loses_its_session() {
    let world = World::new().await;
    let one = world.start().await;
    world.peers.stop_at("install/MsDynCE_CRMHub/organization", Moment::Before);
    let begun = world.begin(&one, new_setup()).await.unwrap();
    world.peers.stopped().await;
    let other = world.start().await;
    // What a network that is cut looks like from the database: the run's session is over.
    world
        .run(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'
                  AND database = (SELECT oid FROM pg_database WHERE datname = 'tenant')",
        )
        .await;
    linked_once(&world, &world.ended(&other, &begun).await).await;
    drop(one);
}

#[tokio::test]
async fn who_gives_it_up_while_it_runs_finds_nothing_left() {
    for moment in MOMENTS {
        let world = World::new().await;
        let process = world.start().await;
        for (effect, _) in EFFECTS.into_iter().filter(|it| it.0 != "commit") {
            world.peers.stop_at(effect, moment);
            let begun = world.begin(&process, new_setup()).await.unwrap();
            world.peers.stopped().await;
            let given_up = world.cancel(&process, &begun).await.unwrap();
            assert_eq!(given_up.state(), State::Cancelling);
            nothing_left(&world, &world.ended(&process, &given_up).await).await;
            world.peers.kept().organizations.remove(DATABASE);
        }
    }
}

#[tokio::test]
async fn a_process_that_dies_while_it_undoes_leaves_nothing_either() {
    for moment in MOMENTS {
        let world = World::new().await;
        let mut process = world.start().await;
        world.peers.fail_at("register/organization", Code::Unavailable, 4);
        let begun = world.begin(&process, new_setup()).await.unwrap();
        let failed = world.ended(&process, &begun).await;
        world.peers.stop_at("release", moment);
        world.cancel(&process, &failed).await.unwrap();
        world.peers.stopped().await;
        drop(process);
        process = world.start().await;
        nothing_left(&world, &world.ended(&process, &failed).await).await;
    }
}

#[tokio::test]
async fn a_link_that_is_made_is_not_given_up() {
    let world = World::new().await;
    let process = world.start().await;
    world.peers.stop_at("commit", Moment::Before);
    let begun = world.begin(&process, new_setup()).await.unwrap();
    world.peers.stopped().await;
    let now = world.get(&process, &begun).await;
    assert!(!now.cancellable);
    let late = world.cancel(&process, &begun).await;
    refused(late, Code::FailedPrecondition, ErrorReason::InvalidState);
    drop(process);
    let process = world.start().await;
    linked_once(&world, &world.ended(&process, &begun).await).await;
}

#[tokio::test]
async fn processes_may_die_at_any_news_of_progress() {
    let world = World::new().await;
    let mut process = world.start().await;
    let begun = world.begin(&process, new_setup()).await.unwrap();
    // Each lives for a little more than the one before, so that one of them comes to the end.
    for news in 1.. {
        let told = world.told(&process, &begun, news).await;
        drop(process);
        process = world.start().await;
        if told.last().is_some_and(|it| it.state() == State::Succeeded) {
            break;
        }
    }
    linked_once(&world, &world.ended(&process, &begun).await).await;
}
