//! Purchases, who holds them, and what they are worth.

use proto::capacity::v1 as pb;
use proto::capacity::v1::Pool;
use rpc::ErrorReason;
use tonic::{Code, Status};

use crate::world::{GB, MB, Running, World, amount, refused, told};

async fn assign(world: &World, running: &Running, user: &str) -> Result<(), Status> {
    let assignment = pb::LicenceAssignment { user: format!("users/{user}"), ..Default::default() };
    let message = pb::CreateLicenceAssignmentRequest {
        parent: "licences/finance".into(),
        licence_assignment: Some(assignment),
        ..Default::default()
    };
    running.licences().create_licence_assignment(world.admin(message)).await.map(drop)
}

async fn holders(world: &World, running: &Running) -> Vec<String> {
    let message = pb::ListLicenceAssignmentsRequest {
        parent: "licences/finance".into(),
        ..Default::default()
    };
    let answer = running.licences().list_licence_assignments(world.admin(message)).await.unwrap();
    answer.into_inner().licence_assignments.into_iter().map(|it| it.user).collect()
}

async fn update(
    world: &World,
    running: &Running,
    licence: pb::Licence,
    paths: &[&str],
) -> Result<pb::Licence, Status> {
    let paths = paths.iter().map(|it| (*it).to_owned()).collect();
    let message = pb::UpdateLicenceRequest {
        licence: Some(licence),
        update_mask: Some(prost_types::FieldMask { paths }),
        ..Default::default()
    };
    let answer = running.licences().update_licence(world.admin(message)).await?;
    Ok(answer.into_inner().licence.unwrap())
}

#[tokio::test]
async fn a_purchase_is_recorded_changed_and_deleted() {
    let world = World::new().await;
    let running = world.start().await;
    let bought = world.buy(&running, "finance", 2).await;
    assert_eq!((bought.name.as_str(), bought.quantity), ("licences/finance", 2));
    assert!(bought.start_time.is_some() && bought.end_time.is_none());

    let more = pb::Licence { quantity: 3, ..bought.clone() };
    let updated = update(&world, &running, more.clone(), &["quantity"]).await.unwrap();
    assert_eq!(updated.quantity, 3);
    assert_ne!(updated.etag, bought.etag);
    let stale = update(&world, &running, more, &["quantity"]).await;
    refused(stale, Code::Aborted, ErrorReason::VersionMismatch);
    let other = update(&world, &running, updated.clone(), &["accrual"]).await;
    refused(other, Code::InvalidArgument, ErrorReason::InvalidValue);
    let none = pb::Licence { quantity: 0, ..updated.clone() };
    let none = update(&world, &running, none, &["quantity"]).await;
    refused(none, Code::InvalidArgument, ErrorReason::InvalidValue);

    // A term that is over counts no longer.
    let end_time = bought.start_time.map(|it| prost_types::Timestamp { nanos: 0, ..it });
    let start_time = end_time.map(|it| prost_types::Timestamp { seconds: it.seconds - 9, ..it });
    let over = pb::Licence { start_time, end_time, ..updated };
    update(&world, &running, over, &["start_time", "end_time"]).await.unwrap();
    assert_eq!(world.pool(&running, Pool::Database).await.entitled_bytes, 0);

    let delete = async |etag: &str| {
        let message = pb::DeleteLicenceRequest {
            name: "licences/finance".into(),
            etag: etag.into(),
            ..Default::default()
        };
        running.licences().delete_licence(world.admin(message)).await
    };
    refused(delete("1").await, Code::Aborted, ErrorReason::VersionMismatch);
    delete("").await.unwrap();
    refused(delete("").await, Code::NotFound, ErrorReason::ResourceNotFound);
}

#[tokio::test]
async fn purchases_that_cannot_be() {
    let world = World::new().await;
    let running = world.start().await;
    world.buy(&running, "finance", 1).await;
    let create = async |id: &str, licence: pb::Licence| {
        let message = pb::CreateLicenceRequest {
            licence_id: id.into(),
            licence: Some(licence),
            ..Default::default()
        };
        running.licences().create_licence(world.admin(message)).await
    };
    let good =
        pb::Licence { accrual: "accruals/finance".into(), quantity: 1, ..Default::default() };
    let exists = create("finance", good.clone()).await;
    refused(exists, Code::AlreadyExists, ErrorReason::ResourceExists);
    let invalid = async |id: &str, licence: pb::Licence| {
        refused(create(id, licence).await, Code::InvalidArgument, ErrorReason::InvalidValue);
    };
    for id in ["", "-", "A", "a/b", "a\0", &"a".repeat(64)] {
        invalid(id, good.clone()).await;
    }
    for accrual in ["", "finance", "accruals/nothing", "accruals/\0"] {
        invalid("a", pb::Licence { accrual: accrual.into(), ..good.clone() }).await;
    }
    for quantity in [0, -1, i64::MIN, i64::MAX] {
        invalid("a", pb::Licence { quantity, ..good.clone() }).await;
    }
    let end_time = Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
    invalid("a", pb::Licence { end_time, ..good.clone() }).await;
    let start_time = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 });
    invalid("a", pb::Licence { start_time, ..good }).await;
}

#[tokio::test]
async fn licences_are_held_by_users() {
    let world = World::new().await;
    let running = world.start().await;
    let bought = world.buy(&running, "finance", 2).await;
    assign(&world, &running, "clerk").await.unwrap();
    let again = assign(&world, &running, "CLERK").await;
    refused(again, Code::AlreadyExists, ErrorReason::ResourceExists);
    assign(&world, &running, "chief@contoso.example").await.unwrap();
    let third = assign(&world, &running, "third").await;
    let status = refused(third, Code::ResourceExhausted, ErrorReason::LimitExceeded);
    assert_eq!(
        (told(&status, "limit").as_str(), told(&status, "allowed").as_str()),
        ("licences/finance", "2")
    );
    assert_eq!(holders(&world, &running).await, ["users/chief@contoso.example", "users/clerk"]);
    let nobody = assign(&world, &running, "").await;
    refused(nobody, Code::InvalidArgument, ErrorReason::InvalidValue);

    let fewer = pb::Licence { quantity: 1, etag: String::new(), ..bought };
    let fewer = update(&world, &running, fewer, &["quantity"]).await;
    refused(fewer, Code::FailedPrecondition, ErrorReason::InUse);
    let name = || "licences/finance".to_owned();
    let message = pb::DeleteLicenceRequest { name: name(), ..Default::default() };
    let deleted = running.licences().delete_licence(world.admin(message)).await;
    refused(deleted, Code::FailedPrecondition, ErrorReason::InUse);
    let get = world.admin(pb::GetLicenceRequest { name: name() });
    let got = running.licences().get_licence(get).await.unwrap().into_inner();
    assert_eq!(got.licence.unwrap().assigned_quantity, 2);

    let list = async |parent: &str, user: &str| {
        let message = pb::ListLicenceAssignmentsRequest {
            parent: parent.into(),
            user: user.into(),
            ..Default::default()
        };
        let answer = running.licences().list_licence_assignments(world.admin(message)).await?;
        let all = answer.into_inner().licence_assignments;
        Ok::<_, Status>(all.into_iter().map(|it| it.user).collect::<Vec<_>>())
    };
    let both = ["users/chief@contoso.example", "users/clerk"];
    assert_eq!(list("licences/-", "").await.unwrap(), both);
    assert_eq!(list("licences/finance", "users/Clerk").await.unwrap(), ["users/clerk"]);
    refused(list("licences/none", "").await, Code::NotFound, ErrorReason::ResourceNotFound);

    let delete = async || {
        let name = "licences/finance/assignments/clerk".to_owned();
        let message = pb::DeleteLicenceAssignmentRequest { name, ..Default::default() };
        running.licences().delete_licence_assignment(world.admin(message)).await
    };
    delete().await.unwrap();
    refused(delete().await, Code::NotFound, ErrorReason::ResourceNotFound);
    assign(&world, &running, "third").await.unwrap();
}

#[tokio::test]
async fn other_services_ask_which_licences_a_user_holds() {
    let world = World::new().await;
    let running = world.start().await;
    world.buy(&running, "finance", 2).await;
    world.buy(&running, "sales-enterprise", 1).await;
    assign(&world, &running, "clerk").await.unwrap();
    let held = async |user: &str| {
        let message = pb::ListUserLicencesRequest { user: user.into(), ..Default::default() };
        let answer = running.user_licences().list_user_licences(message).await.unwrap();
        let accruals = answer.into_inner().accruals;
        accruals.into_iter().map(|it| (it.name, it.permits_setup)).collect::<Vec<_>>()
    };
    let finance = ("accruals/finance".to_owned(), true);
    assert_eq!(held("users/clerk").await, std::slice::from_ref(&finance));
    assert_eq!(held("users/Clerk").await, std::slice::from_ref(&finance));
    assert!(held("users/nobody").await.is_empty() && held("nonsense\0").await.is_empty());
    assert_eq!(held("").await, [finance, ("accruals/sales-enterprise".to_owned(), false)]);

    world.run("UPDATE licence SET start_time = now() - interval '2 days', end_time = now()").await;
    assert!(held("users/clerk").await.is_empty() && held("").await.is_empty());
}

#[tokio::test]
async fn licences_are_for_users_that_there_are() {
    let world = World::new().await;
    let running = world.start().await;
    world.buy(&running, "finance", 5).await;
    let status = refused(
        assign(&world, &running, "clrek").await,
        Code::NotFound,
        ErrorReason::ResourceNotFound,
    );
    assert_eq!(status.message(), "there is no user `users/clrek`");
    assert_eq!(told(&status, "resource"), "users/clrek");
    assign(&world, &running, "CLERK").await.unwrap();
    assert_eq!(holders(&world, &running).await, ["users/clerk"], "as the directory writes it");

    let keyed = async || {
        let assignment = pb::LicenceAssignment { user: "users/third".into(), ..Default::default() };
        let message = pb::CreateLicenceAssignmentRequest {
            parent: "licences/finance".into(),
            licence_assignment: Some(assignment),
            idempotency_key: "k".into(),
        };
        running.licences().create_licence_assignment(world.admin(message)).await
    };
    let made = keyed().await.unwrap().into_inner();
    world.users.forget("third");
    assert_eq!(keyed().await.unwrap().into_inner(), made, "a repetition has the same answer");

    world.users.leave();
    let away = assign(&world, &running, "chief@contoso.example").await;
    refused(away, Code::Unavailable, ErrorReason::PeerUnavailable);
    assert_eq!(holders(&world, &running).await, ["users/clerk", "users/third"]);
}

#[tokio::test]
async fn the_accrual_table_is_data() {
    let world = World::new().await;
    let running = world.start().await;
    world.buy(&running, "team-members", 10).await;
    let put = async |accrual: pb::Accrual, paths: &[&str], allow_missing| {
        let paths = paths.iter().map(|it| (*it).to_owned()).collect();
        let message = pb::UpdateAccrualRequest {
            accrual: Some(accrual),
            update_mask: Some(prost_types::FieldMask { paths }),
            allow_missing,
            ..Default::default()
        };
        running.licences().update_accrual(world.admin(message)).await.map(|it| it.into_inner())
    };
    let changed = pb::Accrual {
        name: "accruals/team-members".into(),
        unit_amounts: vec![amount(Pool::Database, 100 * MB)],
        source: "our contract".into(),
        ..Default::default()
    };
    let done = put(changed.clone(), &["unit_amounts", "source"], false).await.unwrap();
    let done = done.accrual.unwrap();
    assert_eq!(
        (done.display_name.as_str(), done.source.as_str()),
        ("Dynamics 365 Team Members", "our contract")
    );
    assert_eq!(world.pool(&running, Pool::Database).await.entitled_bytes, 1000 * MB);

    // A restart does not take it back.
    let again = world.start().await;
    assert_eq!(world.pool(&again, Pool::Database).await.entitled_bytes, 1000 * MB);
    let get = pb::GetAccrualRequest { name: changed.name.clone() };
    let got = again.licences().get_accrual(world.admin(get)).await.unwrap().into_inner();
    assert_eq!(got.accrual.unwrap(), done);

    let stale = pb::Accrual { etag: "1".into(), ..changed.clone() };
    refused(put(stale, &["source"], false).await, Code::Aborted, ErrorReason::VersionMismatch);
    for (wrong, path) in [
        (pb::Accrual { source: " ".into(), ..changed.clone() }, "source"),
        (
            pb::Accrual { unit_amounts: vec![amount(Pool::Database, -1)], ..changed.clone() },
            "unit_amounts",
        ),
        (changed.clone(), "etag"),
    ] {
        let answer = put(wrong, &[path], false).await;
        refused(answer, Code::InvalidArgument, ErrorReason::InvalidValue);
    }
    let new = pb::Accrual {
        name: "accruals/new-product".into(),
        display_name: "New".into(),
        kind: pb::ProductKind::PlatformUser.into(),
        ..changed
    };
    let missing = put(new.clone(), &[], false).await;
    refused(missing, Code::NotFound, ErrorReason::ResourceNotFound);
    put(new, &[], true).await.unwrap();
    world.buy(&running, "new-product", 1).await;
    assert_eq!(world.pool(&running, Pool::Database).await.entitled_bytes, 1100 * MB);
    let list = pb::ListAccrualsRequest { page_size: 1000, ..Default::default() };
    let all = running.licences().list_accruals(world.admin(list)).await.unwrap().into_inner();
    assert_eq!(all.accruals.len(), 22);
    assert!(all.accruals.iter().all(|it| !it.source.is_empty()));
}

#[tokio::test]
async fn a_repeated_write_has_one_effect_and_the_same_answer() {
    let world = World::new().await;
    let running = world.start().await;
    let message = |quantity, key: &str| pb::CreateLicenceRequest {
        licence_id: "a".into(),
        licence: Some(pb::Licence {
            accrual: "accruals/database-capacity".into(),
            quantity,
            ..Default::default()
        }),
        idempotency_key: key.into(),
    };
    let create = async |message| {
        let answer = running.licences().create_licence(world.admin(message)).await;
        answer.map(|it| it.into_inner().licence.unwrap())
    };
    let first = create(message(1, "k")).await.unwrap();
    assert_eq!(create(message(1, "k")).await.unwrap(), first);
    let reused = create(message(2, "k")).await;
    refused(reused, Code::InvalidArgument, ErrorReason::IdempotencyKeyReused);
    // Somebody else's key is another key.
    let other = world.request(message(1, "k"), rpc::role::GLOBAL_ADMINISTRATOR);
    let answer = running.licences().create_licence(other).await;
    refused(answer, Code::AlreadyExists, ErrorReason::ResourceExists);
    // A refusal takes no key.
    let refusal =
        create(pb::CreateLicenceRequest { licence_id: "b".into(), ..message(0, "l") }).await;
    refused(refusal, Code::InvalidArgument, ErrorReason::InvalidValue);
    create(pb::CreateLicenceRequest { licence_id: "b".into(), ..message(1, "l") }).await.unwrap();
    let long = create(message(1, &"x".repeat(129))).await;
    refused(long, Code::InvalidArgument, ErrorReason::InvalidValue);
    // After a day it is forgotten.
    world.run("UPDATE idempotency SET create_time = now() - interval '25 hours'").await;
    refused(create(message(1, "k")).await, Code::AlreadyExists, ErrorReason::ResourceExists);
    assert_eq!(world.pool(&running, Pool::Database).await.entitled_bytes, 2 * GB);
}
