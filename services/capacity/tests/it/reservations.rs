//! Capacity held for operations.

use proto::capacity::v1 as pb;
use proto::capacity::v1::{CapacityOperation as O, MeterKind, Pool, ReservationState as S};
use rpc::ErrorReason;
use tonic::{Code, Status};

use crate::world::{GB, Running, World, amount, refused, told};

const A: &str = "platformEnvironments/a";

async fn commit(running: &Running, name: &str) -> Result<pb::Reservation, Status> {
    let message = pb::CommitReservationRequest { name: name.into(), ..Default::default() };
    let answer = running.reservations().commit_reservation(message).await?;
    Ok(answer.into_inner().reservation.unwrap())
}

async fn release(running: &Running, name: &str) -> Result<pb::Reservation, Status> {
    let message = pb::ReleaseReservationRequest { name: name.into(), ..Default::default() };
    let answer = running.reservations().release_reservation(message).await?;
    Ok(answer.into_inner().reservation.unwrap())
}

async fn extend(running: &Running, name: &str, seconds: i64) -> Result<pb::Reservation, Status> {
    let lifetime = Some(prost_types::Duration { seconds, nanos: 0 });
    let message =
        pb::ExtendReservationRequest { name: name.into(), lifetime, ..Default::default() };
    let answer = running.reservations().extend_reservation(message).await?;
    Ok(answer.into_inner().reservation.unwrap())
}

/// Used, reserved and free gigabytes of database.
async fn database(world: &World, running: &Running) -> (i64, i64, i64) {
    let pool = world.pool(running, Pool::Database).await;
    (pool.used_bytes / GB, pool.reserved_bytes / GB, pool.free_bytes / GB)
}

#[tokio::test]
async fn what_is_committed_counts_until_its_environment_was_measured() {
    let world = World::new().await;
    let running = world.joined(3600).await;
    world.buy(&running, "database-capacity", 5).await;
    world.measure(&running).await;
    let held = running.reserve("1", O::CreateEnvironment, A).await.unwrap();
    assert_eq!(
        (held.state(), held.amounts.as_slice()),
        (S::Held, &[amount(Pool::Database, GB)][..])
    );
    assert_eq!(database(&world, &running).await, (0, 1, 4));
    world.meter.set_away(true);
    let committed = commit(&running, &held.name).await.unwrap();
    assert_eq!(committed.state(), S::Committed);
    assert_eq!(commit(&running, &held.name).await.unwrap(), committed, "idempotent");
    assert_eq!(database(&world, &running).await, (1, 0, 4), "though nobody has listed it yet");
    // What a setup holds besides while it is at work, and then not.
    let setup = running.reserve("2", O::AddDatabase, A).await.unwrap();
    assert_eq!(database(&world, &running).await, (1, 1, 3));
    commit(&running, &setup.name).await.unwrap();
    assert_eq!(database(&world, &running).await, (1, 0, 4), "the same gigabyte");

    world.meter.broken(A);
    world.meter.set_away(false);
    let request = world.admin(pb::MeasureUsageRequest::default());
    let answer = running.capacity().measure_usage(request).await;
    refused(answer, Code::Unavailable, ErrorReason::PeerUnavailable);
    assert_eq!(database(&world, &running).await, (1, 0, 4), "the floor is not counted beside it");

    world.meter.database(A, MeterKind::Platform, 3 * GB, &[]);
    world.measure(&running).await;
    assert_eq!(database(&world, &running).await, (3, 0, 2));
    let released = release(&running, &held.name).await;
    let status = refused(released, Code::FailedPrecondition, ErrorReason::InvalidState);
    assert_eq!(told(&status, "state"), "committed");

    world.meter.remove(A);
    world.measure(&running).await;
    assert_eq!(database(&world, &running).await, (0, 0, 5), "what is gone counts no longer");
}

#[tokio::test]
async fn what_is_committed_for_an_environment_that_is_gone_ends_with_the_next_listing() {
    let world = World::new().await;
    world.meter.set_away(true);
    let running = world.joined(3600).await;
    world.buy(&running, "database-capacity", 5).await;
    let held = running.reserve("1", O::CreateEnvironment, A).await.unwrap();
    commit(&running, &held.name).await.unwrap();
    assert_eq!(database(&world, &running).await, (1, 0, 4));
    world.meter.set_away(false);
    world.measure(&running).await;
    assert_eq!(database(&world, &running).await, (0, 0, 5));
}

#[tokio::test]
async fn held_ones_add_up_whomever_they_are_for() {
    let world = World::new().await;
    world.meter.without_database(A, MeterKind::Platform);
    let running = world.joined(3600).await;
    world.buy(&running, "database-capacity", 4).await;
    world.measure(&running).await;
    assert_eq!(database(&world, &running).await, (1, 0, 3));
    running.reserve("1", O::AddDatabase, A).await.unwrap();
    let other = running.reserve("2", O::CreateEnvironment, "platformEnvironments/b").await.unwrap();
    assert_eq!(database(&world, &running).await, (1, 2, 1));
    world.meter.set_away(true);
    commit(&running, &other.name).await.unwrap();
    assert_eq!(database(&world, &running).await, (2, 1, 1), "and are committed one by one");
    running.reserve("3", O::AddDatabase, "platformEnvironments/b").await.unwrap();
    let none = running.reserve("4", O::CreateEnvironment, "platformEnvironments/c").await;
    refused(none, Code::ResourceExhausted, ErrorReason::CapacityInsufficient);
}

#[tokio::test]
async fn a_reservation_expires_by_itself() {
    let world = World::new().await;
    let running = world.start().await;
    world.buy(&running, "database-capacity", 1).await;
    let held = running.reserve("1", O::CreateEnvironment, A).await.unwrap();
    let (created, expires) = (held.create_time.unwrap(), held.expire_time.unwrap());
    assert_eq!(expires.seconds - created.seconds, 2 * 60 * 60);
    assert_eq!(running.reserve("1", O::CreateEnvironment, A).await.unwrap(), held, "it has one");
    let extended = extend(&running, &held.name, 24 * 60 * 60).await.unwrap();
    assert!(extended.expire_time.unwrap().seconds > expires.seconds);
    for seconds in [0, -1, 24 * 60 * 60 + 1] {
        let answer = extend(&running, &held.name, seconds).await;
        refused(answer, Code::InvalidArgument, ErrorReason::InvalidValue);
    }

    world.run("UPDATE reservation SET expire_time = now() - interval '1 second'").await;
    assert_eq!(database(&world, &running).await, (0, 0, 1));
    let get = pb::GetReservationRequest { name: held.name.clone() };
    let got = running.reservations().get_reservation(get).await.unwrap().into_inner();
    assert_eq!(got.reservation.unwrap().state(), S::Expired);
    for answer in [commit(&running, &held.name).await, extend(&running, &held.name, 9).await] {
        let status = refused(answer, Code::FailedPrecondition, ErrorReason::InvalidState);
        assert_eq!(told(&status, "state"), "expired");
    }
    let other = running.reserve("2", O::CreateEnvironment, A).await.unwrap();
    release(&running, &other.name).await.unwrap();
    let again = running.reserve("1", O::CreateEnvironment, A).await.unwrap();
    assert_ne!(again.name, held.name, "the void one is none");
    assert_eq!(release(&running, &held.name).await.unwrap().state(), S::Released);
    assert_eq!(database(&world, &running).await, (0, 1, 0), "the other is as it was");
}

#[tokio::test]
async fn what_is_released_is_free_again() {
    let world = World::new().await;
    let running = world.start().await;
    world.buy(&running, "database-capacity", 1).await;
    let held = running.reserve("1", O::Recover, A).await.unwrap();
    let short = running.reserve("2", O::Recover, A).await;
    refused(short, Code::ResourceExhausted, ErrorReason::CapacityInsufficient);
    let released = release(&running, &held.name).await.unwrap();
    assert_eq!(released.state(), S::Released);
    assert_eq!(release(&running, &held.name).await.unwrap(), released);
    let committed = commit(&running, &held.name).await;
    refused(committed, Code::FailedPrecondition, ErrorReason::InvalidState);
    running.reserve("2", O::Recover, A).await.unwrap();
    let gone = release(&running, "reservations/00000000-0000-0000-0000-000000000000").await;
    refused(gone, Code::NotFound, ErrorReason::ResourceNotFound);
    let junk = release(&running, "reservations/\0").await;
    refused(junk, Code::NotFound, ErrorReason::ResourceNotFound);
}

#[tokio::test]
async fn all_of_the_amounts_or_nothing() {
    let world = World::new().await;
    let running = world.start().await;
    world.buy(&running, "database-capacity", 3).await;
    world.buy(&running, "file-capacity", 1).await;
    let both = vec![amount(Pool::Database, GB), amount(Pool::File, 2 * GB)];
    let answer = running.reserve_more("1", O::Copy, A, both).await;
    let status = refused(answer, Code::ResourceExhausted, ErrorReason::CapacityInsufficient);
    assert_eq!(told(&status, "pool"), "FILE");
    assert_eq!(database(&world, &running).await, (0, 0, 3));
    let fit = vec![amount(Pool::Database, GB), amount(Pool::Database, GB), amount(Pool::File, GB)];
    let held = running.reserve_more("1", O::Copy, A, fit).await.unwrap();
    assert_eq!(held.amounts, [amount(Pool::Database, 2 * GB), amount(Pool::File, GB)]);
    let unified = running.reserve("2", O::InstallFinanceAndOperations, A).await;
    let status = refused(unified, Code::ResourceExhausted, ErrorReason::CapacityInsufficient);
    assert_eq!(told(&status, "pool"), "OPERATIONS_DATABASE");
    world.buy(&running, "operations-database-capacity", 1).await;
    running.reserve("2", O::InstallFinanceAndOperations, A).await.unwrap();
    assert_eq!(world.pool(&running, Pool::OperationsDatabase).await.reserved_bytes, GB);
}

#[tokio::test]
async fn overage_blocks_whatever_is_free() {
    let world = World::new().await;
    world.meter.database(A, MeterKind::Platform, 2 * GB, &[("annotationbase", GB)]);
    let running = world.joined(3600).await;
    world.buy(&running, "database-capacity", 9).await;
    world.measure(&running).await;
    for operation in [O::CreateEnvironment, O::Copy, O::InstallAddIn] {
        let answer = running.reserve("1", operation, A).await;
        let status = refused(answer, Code::FailedPrecondition, ErrorReason::CapacityOverage);
        assert_eq!(told(&status, "pools"), "FILE");
    }
    let message = pb::CheckReservationRequest { operation: O::Copy.into(), amounts: vec![] };
    let answer = running.reservations().check_reservation(message).await.unwrap().into_inner();
    let text =
        "This environment can't be copied because your org (tenant) is over its file capacity.";
    assert_eq!((answer.allowed, answer.in_overage, answer.message.as_str()), (false, true, text));
    world.buy(&running, "file-capacity", 1).await;
    running.reserve("1", O::CreateEnvironment, A).await.unwrap();
}

#[tokio::test]
async fn operations_pools_block_nothing() {
    let world = World::new().await;
    let erp = "financeAndOperationsEnvironments/e";
    world.meter.database(erp, MeterKind::FinanceAndOperations, 500 * GB, &[]);
    let running = world.joined(3600).await;
    world.buy(&running, "database-capacity", 1).await;
    world.measure(&running).await;
    let pool = world.pool(&running, Pool::OperationsDatabase).await;
    assert_eq!((pool.deficit_bytes, pool.free_bytes), (500 * GB, 0));
    let capacity = world.capacity(&running).await;
    assert!(!capacity.in_overage && capacity.blocked_operations.is_empty());
    let more = vec![amount(Pool::OperationsDatabase, 500 * GB)];
    running.reserve_more("1", O::Copy, A, more).await.unwrap();
    running.reserve("2", O::CreateEnvironment, A).await.unwrap();
}

#[tokio::test]
async fn reservations_that_cannot_be() {
    let world = World::new().await;
    let running = world.start().await;
    world.buy(&running, "database-capacity", 9).await;
    let good = pb::Reservation {
        operation: O::Recover.into(),
        holder: "operations/1".into(),
        environment: A.into(),
        ..Default::default()
    };
    let create = async |reservation: &pb::Reservation, seconds| {
        let message = pb::CreateReservationRequest {
            reservation: Some(reservation.clone()),
            lifetime: Some(prost_types::Duration { seconds, nanos: 0 }),
            ..Default::default()
        };
        running.reservations().create_reservation(message).await
    };
    for (wrong, seconds) in [
        (pb::Reservation { operation: 0, ..good.clone() }, 60),
        (pb::Reservation { operation: 99, ..good.clone() }, 60),
        (pb::Reservation { holder: String::new(), ..good.clone() }, 60),
        (pb::Reservation { holder: "operations/\0".into(), ..good.clone() }, 60),
        (pb::Reservation { environment: "others/1".into(), ..good.clone() }, 60),
        (pb::Reservation { amounts: vec![amount(Pool::Unspecified, 1)], ..good.clone() }, 60),
        (pb::Reservation { amounts: vec![amount(Pool::File, i64::MAX)], ..good.clone() }, 60),
        (good.clone(), 24 * 60 * 60 + 1),
        (good.clone(), 0),
    ] {
        let answer = create(&wrong, seconds).await;
        refused(answer, Code::InvalidArgument, ErrorReason::InvalidValue);
    }
    create(&good, 60).await.unwrap();
}

#[tokio::test]
async fn reservations_are_listed_newest_first() {
    let world = World::new().await;
    let running = world.start().await;
    world.buy(&running, "database-capacity", 9).await;
    for holder in ["1", "2", "3"] {
        running.reserve(holder, O::Recover, A).await.unwrap();
    }
    let list = async |state: S, page_token: String| {
        let message = pb::ListReservationsRequest { page_size: 2, page_token, state: state.into() };
        let answer = running.reservations().list_reservations(message).await.unwrap().into_inner();
        let holders: Vec<_> = answer.reservations.iter().map(|it| it.holder.clone()).collect();
        (holders, answer.next_page_token, answer.reservations)
    };
    let (first, token, found) = list(S::Unspecified, String::new()).await;
    assert_eq!(first, ["operations/3", "operations/2"]);
    assert_eq!(list(S::Unspecified, token).await.0, ["operations/1"]);
    release(&running, &found[0].name).await.unwrap();
    commit(&running, &found[1].name).await.unwrap();
    assert_eq!(list(S::Released, String::new()).await.0, ["operations/3"]);
    assert_eq!(list(S::Committed, String::new()).await.0, ["operations/2"]);
    assert_eq!(list(S::Held, String::new()).await.0, ["operations/1"]);
    world.run("UPDATE reservation SET expire_time = now() WHERE state = 'held'").await;
    assert_eq!(list(S::Expired, String::new()).await.0, ["operations/1"]);
    assert!(list(S::Held, String::new()).await.0.is_empty());
}
