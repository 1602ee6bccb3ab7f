//! Background operations: who is told of them, and what is left of them when their gateway dies.

use std::time::Duration;

use proto::organization::v1 as pb;
use proto::organization::v1::BackgroundOperationState as State;
use proto::organization::v1::background_operation_service_client::BackgroundOperationServiceClient;
use rpc::{Channel, ErrorReason, Identity, Principal, Route, role};
use tonic::{Code, Request, Status};
use uuid::Uuid;

use crate::{World, principal};

const HOLDER: Uuid = Uuid::from_u128(70);

/// What the gateway with this id does.
struct Gateway<'w> {
    world: &'w World,
    holder: Uuid,
}

fn caller(user: u128, administrator: bool) -> Principal {
    let role = if administrator { role::SYSTEM_ADMINISTRATOR } else { role::BASIC_USER };
    principal(user, &[role])
}

fn succeeded() -> pb::BackgroundOperationOutcome {
    pb::BackgroundOperationOutcome {
        state: State::Succeeded.into(),
        outputs: b"{\"value\":1}".to_vec().into(),
        entity_url: "http://here".into(),
        ..Default::default()
    }
}

impl Gateway<'_> {
    fn client(&self) -> BackgroundOperationServiceClient<Channel> {
        BackgroundOperationServiceClient::new(self.world.channel.clone())
    }

    fn on_behalf<T>(&self, user: &Principal, message: T) -> Request<T> {
        let assertion = self.world.assertion_of(user);
        rpc::request(message, &assertion, Duration::from_secs(10)).unwrap()
    }

    async fn create(&self, id: Uuid, user: &Principal) {
        let message = pb::RecordBackgroundOperationRequest {
            operation_id: id.to_string(),
            holder_id: self.holder.to_string(),
            display_name: "POST /x\0".into(),
            client_request_id: "mine".into(),
        };
        let request = self.on_behalf(user, message);
        self.client().record_background_operation(request).await.unwrap();
    }

    async fn start(&self, id: Uuid) -> Result<(), Status> {
        let (operation_id, holder_id) = (id.to_string(), self.holder.to_string());
        let message = pb::StartBackgroundOperationRequest { operation_id, holder_id };
        self.client().start_background_operation(message).await.map(drop)
    }

    async fn renew(&self, id: Uuid) {
        let (operation_ids, holder_id) = (vec![id.to_string()], self.holder.to_string());
        let message = pb::RenewBackgroundOperationsRequest { operation_ids, holder_id };
        self.client().renew_background_operations(message).await.unwrap();
    }

    async fn finish(
        &self,
        id: Uuid,
        outcome: pb::BackgroundOperationOutcome,
    ) -> Result<(), Status> {
        let message = pb::FinishBackgroundOperationRequest {
            operation_id: id.to_string(),
            holder_id: self.holder.to_string(),
            outcome: Some(outcome),
        };
        self.client().finish_background_operation(message).await.map(drop)
    }

    async fn get(&self, id: Uuid, user: &Principal) -> Result<pb::BackgroundOperation, Status> {
        let message = pb::GetBackgroundOperationRequest { operation_id: id.to_string() };
        let answer = self.client().get_background_operation(self.on_behalf(user, message)).await?;
        Ok(answer.into_inner().operation.unwrap())
    }

    async fn cancel(&self, id: Uuid, user: &Principal) -> Result<State, Status> {
        let message = pb::CancelBackgroundOperationRequest { operation_id: id.to_string() };
        let request = self.on_behalf(user, message);
        let answer = self.client().cancel_background_operation(request).await?;
        Ok(answer.into_inner().operation.unwrap().state())
    }

    async fn state(&self, id: Uuid) -> State {
        self.get(id, &caller(1, false)).await.unwrap().state()
    }

    /// Its gateway has not been heard of for a while.
    async fn lapse(&self, id: Uuid) {
        self.change(id, "leaseuntil = now() - interval '1 second'").await;
    }

    async fn change(&self, id: Uuid, change: &str) {
        let sql = format!(
            "UPDATE organization.backgroundoperation SET {change} WHERE backgroundoperationid = '{id}'"
        );
        let mut store = self.world.connect("platform").await;
        let changed = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut store).await.unwrap();
        assert_eq!(changed.rows_affected(), 1);
    }
}

fn refused(answer: Result<impl std::fmt::Debug, Status>, reason: ErrorReason) {
    let status = answer.unwrap_err();
    assert_eq!(rpc::reason(&status), Some(reason), "{status:?}");
}

#[tokio::test]
async fn an_operation_goes_its_way_and_is_told_to_its_owner_and_administrators() {
    let world = World::new().await;
    let gateway = Gateway { world: &world, holder: HOLDER };
    let (owner, id) = (caller(1, false), Uuid::from_u128(100));
    gateway.create(id, &owner).await;
    gateway.create(id, &caller(2, false)).await;
    assert_eq!(gateway.state(id).await, State::Waiting);
    gateway.start(id).await.unwrap();
    gateway.start(id).await.unwrap();
    assert_eq!(gateway.state(id).await, State::Running);
    gateway.finish(id, succeeded()).await.unwrap();
    let failed = pb::BackgroundOperationOutcome { state: State::Failed.into(), ..succeeded() };
    gateway.finish(id, failed).await.unwrap();
    for user in [&owner, &caller(3, true)] {
        let told = gateway.get(id, user).await.unwrap();
        assert_eq!(told.state(), State::Succeeded);
        assert_eq!(told.outcome, Some(succeeded()));
        assert_eq!((told.client_request_id.as_str(), told.operation_id), ("mine", id.to_string()));
        assert!(told.create_time.is_some() && told.start_time.is_some() && told.end_time.is_some());
    }
    let stranger = caller(2, false);
    refused(gateway.get(id, &stranger).await, ErrorReason::ResourceNotFound);
    refused(gateway.cancel(id, &stranger).await, ErrorReason::ResourceNotFound);
    refused(gateway.get(Uuid::nil(), &owner).await, ErrorReason::ResourceNotFound);
    refused(gateway.cancel(id, &owner).await, ErrorReason::InvalidState);
    // Nor can anybody query them.
    let query = world.try_column("backgroundoperation", "displayname").await.unwrap_err();
    assert_eq!(rpc::reason(&query), Some(ErrorReason::EntityNotFound), "{query:?}");
}

#[tokio::test]
async fn who_stands_behind_the_same_user_is_not_the_same_owner() {
    let world = World::new().await;
    let gateway = Gateway { world: &world, holder: HOLDER };
    let visitor =
        |contact: u128| Principal { contact: Some(Uuid::from_u128(contact)), ..caller(1, false) };
    let all = [caller(1, false), visitor(8), visitor(9)];
    for (at, owner) in all.iter().enumerate() {
        let id = Uuid::from_u128(100 + at as u128);
        gateway.create(id, owner).await;
        for other in all.iter().filter(|it| it.contact != owner.contact) {
            refused(gateway.get(id, other).await, ErrorReason::ResourceNotFound);
            refused(gateway.cancel(id, other).await, ErrorReason::ResourceNotFound);
        }
        assert_eq!(gateway.cancel(id, owner).await.unwrap(), State::Cancelled);
    }
    // Nor is what somebody was answered as a user for others who act as the user, or for that user.
    let assertion_as_user = |sender: u128| {
        let identity =
            Identity { sender: Some(caller(sender, false)), ..Identity::of(caller(1, false)) };
        let route = Route { audience: "organization", presenter: "gateway" };
        let limit = std::time::SystemTime::now() + Duration::from_secs(600);
        world.issuer.issue(identity, route, 0, limit).unwrap().0
    };
    let id = Uuid::from_u128(110);
    let told = async |assertion: &str| {
        let message = pb::GetBackgroundOperationRequest { operation_id: id.to_string() };
        let request = rpc::request(message, assertion, Duration::from_secs(10)).unwrap();
        gateway.client().get_background_operation(request).await
    };
    let message = pb::RecordBackgroundOperationRequest {
        operation_id: id.to_string(),
        holder_id: HOLDER.to_string(),
        ..Default::default()
    };
    let request = rpc::request(message, &assertion_as_user(5), Duration::from_secs(10)).unwrap();
    gateway.client().record_background_operation(request).await.unwrap();
    told(&assertion_as_user(5)).await.unwrap();
    refused(told(&assertion_as_user(6)).await, ErrorReason::ResourceNotFound);
    refused(gateway.get(id, &caller(1, false)).await, ErrorReason::ResourceNotFound);
    gateway.get(id, &caller(7, true)).await.unwrap();
}

#[tokio::test]
async fn an_operation_is_held_by_one_gateway() {
    let world = World::new().await;
    let gateway = Gateway { world: &world, holder: HOLDER };
    let other = Gateway { world: &world, holder: Uuid::from_u128(71) };
    let (owner, id) = (caller(1, false), Uuid::from_u128(100));
    gateway.create(id, &owner).await;
    refused(other.start(id).await, ErrorReason::InvalidState);
    other.finish(id, succeeded()).await.unwrap();
    assert_eq!(gateway.state(id).await, State::Waiting);
    gateway.lapse(id).await;
    other.renew(id).await;
    assert_eq!(gateway.state(id).await, State::Abandoned);
}

#[tokio::test]
async fn what_a_dead_gateway_left_is_told_as_it_is() {
    let world = World::new().await;
    let gateway = Gateway { world: &world, holder: HOLDER };
    let owner = caller(1, false);
    let [waiting, running] = [100, 101].map(Uuid::from_u128);
    for id in [waiting, running] {
        gateway.create(id, &owner).await;
    }
    gateway.start(running).await.unwrap();
    for id in [waiting, running] {
        gateway.lapse(id).await;
    }
    let world = world.restarted().await;
    let gateway = Gateway { world: &world, holder: HOLDER };
    assert_eq!(gateway.state(waiting).await, State::Abandoned);
    assert_eq!(gateway.state(running).await, State::Interrupted);
    // It was only slow. What has not begun must not: its client may have repeated it by now.
    for id in [waiting, running] {
        gateway.renew(id).await;
    }
    assert_eq!(gateway.state(waiting).await, State::Abandoned);
    refused(gateway.start(waiting).await, ErrorReason::InvalidState);
    assert_eq!(gateway.state(running).await, State::Running);
    gateway.lapse(running).await;
    gateway.finish(running, succeeded()).await.unwrap();
    assert_eq!(gateway.state(running).await, State::Succeeded);
}

#[tokio::test]
async fn only_what_has_not_begun_is_cancelled() {
    let world = World::new().await;
    let gateway = Gateway { world: &world, holder: HOLDER };
    let owner = caller(1, false);
    let [waiting, running] = [100, 101].map(Uuid::from_u128);
    for id in [waiting, running] {
        gateway.create(id, &owner).await;
    }
    gateway.start(running).await.unwrap();
    refused(gateway.cancel(running, &owner).await, ErrorReason::InvalidState);
    assert_eq!(gateway.state(running).await, State::Running);
    for _ in 0..2 {
        assert_eq!(gateway.cancel(waiting, &caller(3, true)).await.unwrap(), State::Cancelled);
    }
    refused(gateway.start(waiting).await, ErrorReason::InvalidState);
    gateway.finish(waiting, succeeded()).await.unwrap();
    assert_eq!(gateway.state(waiting).await, State::Cancelled);
}

#[tokio::test]
async fn old_operations_are_forgotten_and_nonsense_is_refused() {
    let world = World::new().await;
    let gateway = Gateway { world: &world, holder: HOLDER };
    let owner = caller(1, false);
    let [old, new] = [100, 101].map(Uuid::from_u128);
    gateway.create(old, &owner).await;
    gateway.change(old, "createdon = now() - interval '8 days'").await;
    gateway.create(new, &owner).await;
    refused(gateway.get(old, &owner).await, ErrorReason::ResourceNotFound);
    assert_eq!(gateway.state(new).await, State::Waiting);
    let endless = pb::BackgroundOperationOutcome { state: State::Running.into(), ..succeeded() };
    assert_eq!(gateway.finish(new, endless).await.unwrap_err().code(), Code::InvalidArgument);
    let request = pb::GetBackgroundOperationRequest { operation_id: "x".into() };
    let nobody = gateway.client().get_background_operation(request.clone()).await.unwrap_err();
    assert_eq!(rpc::reason(&nobody), Some(ErrorReason::NoCaller));
    let request = gateway.on_behalf(&owner, request);
    let malformed = gateway.client().get_background_operation(request).await.unwrap_err();
    assert_eq!(malformed.code(), Code::InvalidArgument);
}
