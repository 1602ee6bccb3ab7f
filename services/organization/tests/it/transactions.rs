//! Several operations as one, and as one half of a transaction over two stores.

use commit::TransactionId;
use proto::query::v1 as pb;
use proto::query::v1::operation::Operation as Kind;
use proto::query::v1::operation_result::Result as Done;
use proto::query::v1::transact_request::Step;
use proto::query::v1::transact_response::Answer;
use proto::query::v1::transaction_service_client::TransactionServiceClient;
use rpc::{Channel, ErrorReason};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::World;
use crate::transact::{Transact, create, text};

impl World {
    async fn transact(&self) -> Transact {
        Transact::begun(&self.channel, &self.assertion).await
    }

    fn transactions(&self) -> TransactionServiceClient<Channel> {
        TransactionServiceClient::new(self.channel.clone())
    }

    async fn settle(&self, id: &str, decision: pb::Decision) -> Result<(), Status> {
        let transaction_id = id.to_owned();
        let request = pb::SettleTransactionRequest { transaction_id, decision: decision.into() };
        self.transactions().settle_transaction(request).await.map(drop)
    }

    async fn list(
        &self,
        page_size: i32,
        page_token: &str,
    ) -> Result<pb::ListPreparedTransactionsResponse, Status> {
        let page_token = page_token.to_owned();
        let request = pb::ListPreparedTransactionsRequest { page_size, page_token };
        Ok(self.transactions().list_prepared_transactions(request).await?.into_inner())
    }

    /// A prepared transaction that creates an account.
    async fn prepared(&self, name: &str) -> String {
        let id = TransactionId::new().to_string();
        let mut transact = self.transact().await;
        transact.run(vec![create(name)]).await.unwrap();
        let answer = transact.prepare(id.clone()).await.unwrap();
        assert_eq!(answer, Answer::Prepared(pb::Prepared {}));
        id
    }

    async fn accounts(&self) -> Vec<String> {
        self.column("account", "name").await
    }
}

fn check<T: std::fmt::Debug>(result: Result<T, Status>, code: Code, reason: ErrorReason) -> Status {
    let refused = result.unwrap_err();
    assert_eq!((refused.code(), rpc::reason(&refused)), (code, Some(reason)), "{refused:?}");
    refused
}

#[tokio::test]
async fn operations_of_several_messages_are_seen_by_others_at_the_commit_only() {
    let world = World::new().await;
    let mut transact = world.transact().await;
    let created = transact.run(vec![create("A"), create("B")]).await.unwrap();
    let Some(Done::Create(first)) = &created[0].result else { panic!("{created:?}") };
    let update = pb::UpdateRequest {
        entity_name: "account".to_owned(),
        key: Some(pb::RecordKey {
            key: Some(pb::record_key::Key::RecordId(first.record_id.clone())),
        }),
        values: vec![text("name", "A2")],
        ..pb::UpdateRequest::default()
    };
    transact.run(vec![Kind::Update(update)]).await.unwrap();
    assert!(world.accounts().await.is_empty());
    let answer = transact.commit(String::new()).await.unwrap();
    assert_eq!(answer, Answer::Committed(pb::Committed {}));
    assert!(transact.ended().await);
    assert_eq!(world.accounts().await, ["A2", "B"]);
}

#[tokio::test]
async fn one_failure_undoes_everything_and_says_which_operation_it_was() {
    let world = World::new().await;
    let mut transact = world.transact().await;
    transact.run(vec![create("A")]).await.unwrap();
    let unknown = pb::CreateRequest {
        entity_name: "account".to_owned(),
        values: vec![text("name", "B"), text("nosuch", "x")],
        ..pb::CreateRequest::default()
    };
    let failed = transact.run(vec![create("B"), Kind::Create(unknown)]).await;
    let refused = check(failed, Code::InvalidArgument, ErrorReason::ColumnNotFound);
    let info = refused.get_details_error_info().unwrap();
    assert_eq!(info.metadata["operation"], "1");
    assert!(world.accounts().await.is_empty());
}

#[tokio::test]
async fn steps_out_of_order_are_refused() {
    let world = World::new().await;
    let begin = || Some(Step::Begin(pb::Begin::default()));
    let commit = || Some(Step::Commit(pb::Commit::default()));
    for (steps, refused) in
        [(vec![], commit()), (vec![], None), (vec![begin()], begin()), (vec![begin()], None)]
    {
        let mut transact = Transact::open(&world.channel, &world.assertion).await;
        for step in steps {
            transact.ask(step).await.unwrap();
        }
        let answer = transact.ask(refused).await;
        check(answer, Code::FailedPrecondition, ErrorReason::InvalidState);
    }
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing_and_holds_nothing() {
    let world = World::new().await;
    let mut transact = world.transact().await;
    let mut numbered = crate::transact::account("A");
    numbered.values.push(text("accountnumber", "1"));
    transact.run(vec![Kind::Create(numbered.clone())]).await.unwrap();
    drop(transact);
    // Would wait for the first one's unique key, and then fail, were that still there.
    let mut transact = world.transact().await;
    transact.run(vec![Kind::Create(numbered)]).await.unwrap();
    transact.commit(String::new()).await.unwrap();
    assert_eq!(world.accounts().await, ["A"]);
}

#[tokio::test]
async fn a_transaction_that_is_left_open_is_given_up() {
    let world = World::new().await;
    let mut transact = world.transact().await;
    transact.run(vec![create("A")]).await.unwrap();
    // From here on, whenever everybody waits, the clock jumps to the next thing to happen.
    tokio::time::pause();
    let given_up = transact.answer().await;
    tokio::time::resume();
    check(given_up, Code::DeadlineExceeded, ErrorReason::DeadlineExceeded);
    assert!(world.accounts().await.is_empty());
}

#[tokio::test]
async fn what_is_prepared_is_settled_once_and_either_way() {
    let world = World::new().await;
    let (kept, dropped) = (world.prepared("kept").await, world.prepared("dropped").await);
    assert!(world.accounts().await.is_empty());
    for _ in 0..2 {
        world.settle(&kept, pb::Decision::Commit).await.unwrap();
        world.settle(&dropped, pb::Decision::Abort).await.unwrap();
    }
    assert_eq!(world.accounts().await, ["kept"]);
    let invalid = (Code::FailedPrecondition, ErrorReason::InvalidState);
    check(world.settle(&kept, pb::Decision::Abort).await, invalid.0, invalid.1);
    check(world.settle(&dropped, pb::Decision::Commit).await, invalid.0, invalid.1);
    let never = TransactionId::new().to_string();
    let never = world.settle(&never, pb::Decision::Commit).await;
    check(never, Code::NotFound, ErrorReason::ResourceNotFound);
    for (id, decision) in [("x", pb::Decision::Abort), (kept.as_str(), pb::Decision::Unspecified)] {
        let malformed = world.settle(id, decision).await;
        check(malformed, Code::InvalidArgument, ErrorReason::InvalidValue);
    }
}

#[tokio::test]
async fn a_transaction_that_was_given_up_cannot_be_prepared() {
    let world = World::new().await;
    let id = TransactionId::new().to_string();
    let mut transact = world.transact().await;
    transact.run(vec![create("late")]).await.unwrap();
    world.settle(&id, pb::Decision::Abort).await.unwrap();
    let late = transact.prepare(id).await;
    check(late, Code::Aborted, ErrorReason::TransactionAborted);
    assert!(world.list(0, "").await.unwrap().transactions.is_empty());
    assert!(world.accounts().await.is_empty());
}

#[tokio::test]
async fn prepared_transactions_survive_a_restart_and_are_listed_oldest_first() {
    let world = World::new().await;
    let ids = [world.prepared("A").await, world.prepared("B").await, world.prepared("C").await];
    let world = world.restarted().await;
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let page = world.list(2, &token).await.unwrap();
        found.extend(page.transactions.into_iter().map(|it| {
            assert!(it.prepare_time.is_some());
            it.transaction_id
        }));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(found, ids);
    for (size, token) in [(0, "junk"), (-1, "")] {
        let malformed = world.list(size, token).await;
        check(malformed, Code::InvalidArgument, ErrorReason::InvalidValue);
    }
}

#[tokio::test]
async fn the_platform_decides_nothing() {
    let world = World::new().await;
    let id = TransactionId::new().to_string();
    let request = pb::ResolveDecisionRequest { transaction_id: id.clone() };
    let resolved = world.transactions().resolve_decision(request).await;
    check(resolved, Code::Unimplemented, ErrorReason::NotSupported);
    let mut transact = world.transact().await;
    transact.run(vec![create("A")]).await.unwrap();
    check(transact.commit(id).await, Code::Unimplemented, ErrorReason::NotSupported);
    assert!(world.accounts().await.is_empty());
}

#[tokio::test]
async fn a_repeated_transaction_has_its_first_results() {
    let world = World::new().await;
    let begin = |digest: &'static [u8]| {
        let request_digest = digest.to_vec().into();
        Some(Step::Begin(pb::Begin { idempotency_key: "k".to_owned(), request_digest }))
    };
    let mut transact = Transact::open(&world.channel, &world.assertion).await;
    assert_eq!(transact.ask(begin(b"1")).await.unwrap(), Answer::Begun(pb::Begun::default()));
    let mut results = transact.run(vec![create("A")]).await.unwrap();
    results.extend(transact.run(vec![create("B")]).await.unwrap());
    transact.commit(String::new()).await.unwrap();

    let mut again = Transact::open(&world.channel, &world.assertion).await;
    let recorded = Some(pb::OperationResults { results });
    assert_eq!(again.ask(begin(b"1")).await.unwrap(), Answer::Begun(pb::Begun { recorded }));
    let more = again.run(vec![create("C")]).await;
    check(more, Code::FailedPrecondition, ErrorReason::InvalidState);

    let mut other = Transact::open(&world.channel, &world.assertion).await;
    let reused = other.ask(begin(b"2")).await;
    check(reused, Code::FailedPrecondition, ErrorReason::IdempotencyKeyReused);
    assert_eq!(world.accounts().await, ["A", "B"]);
}

#[tokio::test]
async fn a_transaction_has_so_many_operations_and_no_more() {
    let world = World::new().await;
    let mut transact = world.transact().await;
    let many = transact.run((0..5_001).map(|_| create("A")).collect()).await;
    let refused = check(many, Code::FailedPrecondition, ErrorReason::LimitExceeded);
    assert_eq!(refused.get_details_error_info().unwrap().metadata["allowed"], "5000");
    assert!(world.accounts().await.is_empty());
}
