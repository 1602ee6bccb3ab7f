//! The last of something: exactly one gets it, whichever replica is asked.

use futures::future::join_all;
use proto::capacity::v1 as pb;
use proto::capacity::v1::{CapacityOperation, Pool};
use rpc::ErrorReason;
use tonic::Code;

use crate::world::{GB, World, refused, soon, told};

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_want_the_last_gigabyte() {
    let world = World::new().await;
    let replicas = [world.start().await, world.start().await];
    world.buy(&replicas[0], "database-capacity", 1).await;
    let attempts = (0..16).map(|i| {
        let replica = &replicas[i % 2];
        async move {
            let environment = format!("platformEnvironments/{i}");
            replica
                .reserve(&i.to_string(), CapacityOperation::CreateEnvironment, &environment)
                .await
        }
    });
    let outcomes = soon(join_all(attempts)).await;
    let (winners, losers): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!(winners.len(), 1);
    for loser in losers {
        let status = refused(loser, Code::ResourceExhausted, ErrorReason::CapacityInsufficient);
        let text = "This environment can't be created because your org (tenant) needs at least 1 GB of \
                    database capacity.";
        assert_eq!(status.message(), text);
        let metadata = ["pool", "required_bytes", "available_bytes"].map(|key| told(&status, key));
        assert_eq!(metadata, ["DATABASE".to_owned(), GB.to_string(), "0".to_owned()]);
    }
    for replica in &replicas {
        let pool = world.pool(replica, Pool::Database).await;
        assert_eq!((pool.reserved_bytes, pool.free_bytes), (GB, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_holder_has_one_reservation_however_often_it_asks() {
    let world = World::new().await;
    let replicas = [world.start().await, world.start().await];
    world.buy(&replicas[0], "database-capacity", 5).await;
    let attempts = (0..8).map(|i| {
        let replica = &replicas[i % 2];
        replica.reserve("same", CapacityOperation::AddDatabase, "platformEnvironments/a")
    });
    let names: Vec<_> =
        soon(join_all(attempts)).await.into_iter().map(|it| it.unwrap().name).collect();
    assert!(names.iter().all(|it| *it == names[0]), "{names:?}");
    assert_eq!(world.pool(&replicas[0], Pool::Database).await.reserved_bytes, GB);
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_want_the_last_licence() {
    let world = World::new().await;
    let replicas = [world.start().await, world.start().await];
    world.buy(&replicas[0], "finance", 1).await;
    let attempts = (0..8).map(|i| {
        let (replica, user) = (&replicas[i % 2], format!("users/u{i}"));
        let message = pb::CreateLicenceAssignmentRequest {
            parent: "licences/finance".into(),
            licence_assignment: Some(pb::LicenceAssignment { user, ..Default::default() }),
            ..Default::default()
        };
        let request = world.admin(message);
        async move { replica.licences().create_licence_assignment(request).await }
    });
    let outcomes = soon(join_all(attempts)).await;
    let (winners, losers): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!(winners.len(), 1);
    for loser in losers {
        refused(loser, Code::ResourceExhausted, ErrorReason::LimitExceeded);
    }
}
