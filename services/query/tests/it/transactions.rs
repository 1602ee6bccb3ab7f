//! Transactions of the ERP, and its decisions about those over two stores.

use commit::TransactionId;
use proto::query::v1 as pb;
use proto::query::v1::transact_request::Step;
use proto::query::v1::transact_response::Answer;
use proto::query::v1::transaction_service_client::TransactionServiceClient;
use rpc::{Channel, ErrorReason};
use tonic::{Code, Status};

use crate::transact::Transact;
use crate::world::{READER, WRITER, World};

impl World {
    async fn transact(&self) -> Transact {
        Transact::begin(&self.channel, &self.assertion(WRITER)).await.unwrap()
    }

    fn transactions(&self) -> TransactionServiceClient<Channel> {
        TransactionServiceClient::new(self.channel.clone())
    }

    async fn resolve(&self, id: &str) -> Result<pb::Decision, Status> {
        let request = pb::ResolveDecisionRequest { transaction_id: id.to_owned() };
        Ok(self.transactions().resolve_decision(request).await?.into_inner().decision())
    }
}

fn check<T: std::fmt::Debug>(result: Result<T, Status>, code: Code, reason: ErrorReason) {
    let refused = result.unwrap_err();
    assert_eq!((refused.code(), rpc::reason(&refused)), (code, Some(reason)), "{refused:?}");
}

#[tokio::test]
async fn the_commit_carries_the_decision() {
    let mut world = World::new().await;
    let id = TransactionId::new().to_string();
    let mut transact = world.transact().await;
    transact.create("C1", "USMF").await.unwrap();
    let answer = transact.commit(id.clone()).await.unwrap();
    assert_eq!(answer, Answer::Committed(pb::Committed {}));
    for _ in 0..2 {
        assert_eq!(world.resolve(&id).await.unwrap(), pb::Decision::Commit);
    }
    assert_eq!(world.customers().await, ["C1"]);
}

#[tokio::test]
async fn a_commit_after_recovery_gave_up_is_refused() {
    let mut world = World::new().await;
    let id = TransactionId::new().to_string();
    let mut transact = world.transact().await;
    transact.create("C1", "USMF").await.unwrap();
    assert_eq!(world.resolve(&id).await.unwrap(), pb::Decision::Abort);
    let late = transact.commit(id.clone()).await;
    check(late, Code::Aborted, ErrorReason::TransactionAborted);
    assert_eq!(world.resolve(&id).await.unwrap(), pb::Decision::Abort);
    assert!(world.customers().await.is_empty());
}

#[tokio::test]
async fn the_erp_needs_no_prepared_transactions() {
    let mut world = World::new().await;
    let id = TransactionId::new().to_string();
    let mut transact = world.transact().await;
    transact.create("C1", "USMF").await.unwrap();
    let prepare = Step::Prepare(pb::Prepare { transaction_id: id.clone(), ..Default::default() });
    let (code, reason) = (Code::Unimplemented, ErrorReason::NotSupported);
    check(transact.ask(prepare).await, code, reason);
    let mut settle = pb::SettleTransactionRequest { transaction_id: id, ..Default::default() };
    settle.set_decision(pb::Decision::Abort);
    check(world.transactions().settle_transaction(settle).await, code, reason);
    assert!(world.customers().await.is_empty());
}

#[tokio::test]
async fn malformed_ids_are_refused() {
    let mut world = World::new().await;
    let (code, reason) = (Code::InvalidArgument, ErrorReason::InvalidValue);
    for id in ["x", "7f2c6a68-2f0b-4f9d-9c43-0a8d6b5f1f10"] {
        check(world.resolve(id).await, code, reason);
        let mut transact = world.transact().await;
        transact.create("C1", "USMF").await.unwrap();
        check(transact.commit(id.to_owned()).await, code, reason);
    }
    assert!(world.customers().await.is_empty());
}

#[tokio::test]
async fn nothing_is_written_without_leave() {
    let mut world = World::new().await;
    let mut reader = Transact::begin(&world.channel, &world.assertion(READER)).await.unwrap();
    let denied = reader.create("C1", "USMF").await;
    check(denied, Code::PermissionDenied, ErrorReason::PrivilegeDenied);
    // Of another company than the user's.
    let mut writer = world.transact().await;
    assert_eq!(writer.create("C1", "DEMF").await.unwrap_err().code(), Code::PermissionDenied);
    assert!(world.customers().await.is_empty());
}

#[tokio::test]
async fn before_the_definitions_have_come_calls_are_to_come_again() {
    let world = World::without_definitions().await;
    let begun = Transact::begin(&world.channel, &world.assertion(WRITER)).await;
    check(begun.map(drop), Code::Unavailable, ErrorReason::NotReady);
    world.publish.send_replace(true);
    world.query.ready().await;
    world.transact().await;
}
