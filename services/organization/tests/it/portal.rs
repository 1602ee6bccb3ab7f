//! Mappings of portal users: who may touch them, whom they may name, and who hears of them.

use std::time::Duration;

use proto::organization::v1::portal_service_client::PortalServiceClient;
use proto::organization::v1::{PortalUserMapping, WatchPortalUserMappingsRequest};
use proto::query::v1 as pb;
use proto::query::v1::data_provider_service_client::DataProviderServiceClient;
use proto::query::v1::operation::Operation as Kind;
use rpc::{ErrorReason, Principal, role};
use tonic::{Code, Status, Streaming};
use uuid::Uuid;

use crate::transact::{Transact, text};
use crate::user_context::PORTAL_USER;
use crate::{World, principal};

const TABLE: &str = "msdyn_externalportalusermapping";
const CONTACT: Uuid = Uuid::from_u128(31);

fn mapping(contact: Uuid, erp_user: &str) -> pb::CreateRequest {
    let contact = pb::value::Kind::GuidValue(contact.as_bytes().to_vec().into());
    let contact = pb::FieldValue {
        field: "msdyn_contactid".into(),
        value: Some(pb::Value { kind: Some(contact) }),
    };
    pb::CreateRequest {
        entity_name: TABLE.into(),
        values: vec![contact, text("msdyn_financeandoperationsuser", erp_user)],
        ..Default::default()
    }
}

fn key(id: &[u8]) -> Option<pb::RecordKey> {
    Some(pb::RecordKey { key: Some(pb::record_key::Key::RecordId(id.to_vec().into())) })
}

fn update(id: &[u8], erp_user: &str) -> pb::UpdateRequest {
    pb::UpdateRequest {
        entity_name: TABLE.into(),
        key: key(id),
        values: vec![text("msdyn_financeandoperationsuser", erp_user)],
        ..Default::default()
    }
}

fn refused<T: std::fmt::Debug>(result: Result<T, Status>) {
    let refused = result.unwrap_err();
    assert_eq!(rpc::reason(&refused), Some(ErrorReason::PortalUserRefused), "{refused:?}");
}

impl World {
    async fn with_contacts() -> Self {
        let world = Self::new().await;
        let contacts = "INSERT INTO organization.contact (contactid, lastname)
            SELECT ('00000000-0000-0000-0000-0000000000' || i)::uuid, 'C' || i
            FROM unnest(ARRAY['1f', '20', '21']) AS i";
        sqlx::raw_sql(contacts).execute(&mut world.connect("platform").await).await.unwrap();
        world
    }

    fn rows(&self) -> DataProviderServiceClient<rpc::Channel> {
        DataProviderServiceClient::new(self.channel.clone())
    }

    fn as_of<T>(&self, user: &Principal, message: T) -> tonic::Request<T> {
        rpc::request(message, &self.assertion_of(user), Duration::from_secs(10)).unwrap()
    }

    async fn map(&self, user: &Principal, request: pb::CreateRequest) -> Result<Vec<u8>, Status> {
        let answer = self.rows().create(self.as_of(user, request)).await?;
        Ok(answer.into_inner().record_id.to_vec())
    }
}

fn security_administrator() -> Principal {
    principal(5, &[role::SECURITY_ADMINISTRATOR])
}

#[tokio::test]
async fn mappings_are_for_administrators_of_the_system_and_of_security() {
    let world = World::with_contacts().await;
    let count = async |user: &Principal| {
        let query = pb::QueryExpression { entity_name: TABLE.into(), ..Default::default() };
        let request = pb::RetrieveMultipleRequest {
            query: Some(query),
            format: pb::RowFormat::Json.into(),
            ..Default::default()
        };
        let mut rows =
            world.rows().retrieve_multiple(world.as_of(user, request)).await?.into_inner();
        let mut count = 0;
        while let Some(batch) = rows.message().await? {
            count += batch.batch.unwrap().row_count;
        }
        Ok::<_, Status>(count)
    };
    let portal = Principal {
        contact: Some(CONTACT),
        ..principal(6, &[role::SECURITY_ADMINISTRATOR, role::BASIC_USER])
    };
    for other in [
        principal(1, &[role::BASIC_USER]),
        principal(2, &[role::VIRTUAL_ENTITY_APPLICATION]),
        principal(3, &[role::PORTAL_USER]),
        portal,
    ] {
        assert_eq!(count(&other).await.unwrap_err().code(), Code::PermissionDenied, "{other:?}");
        // Nobody learns by this which ERP users serve portals.
        let denied = world.map(&other, mapping(CONTACT, "nobody")).await.unwrap_err();
        assert_eq!(rpc::reason(&denied), Some(ErrorReason::PrivilegeDenied), "{denied:?}");
    }
    for (place, user) in
        [security_administrator(), principal(4, &[role::SYSTEM_ADMINISTRATOR])].iter().enumerate()
    {
        let contact = Uuid::from_u128(CONTACT.as_u128() + place as u128);
        world.map(user, mapping(contact, PORTAL_USER)).await.unwrap();
        assert_eq!(count(user).await.unwrap(), place as i64 + 1);
    }
    let taken = world.map(&security_administrator(), mapping(CONTACT, PORTAL_USER)).await;
    assert_eq!(rpc::reason(&taken.unwrap_err()), Some(ErrorReason::RecordExists));
}

#[tokio::test]
async fn who_may_not_serve_portals_is_not_mapped_on_any_path() {
    let world = World::with_contacts().await;
    let user = security_administrator();
    refused(world.map(&user, mapping(CONTACT, "boss")).await);
    let once = pb::CreateRequest { idempotency_key: "k".into(), ..mapping(CONTACT, "boss") };
    refused(world.map(&user, once).await);
    let upsert = |erp_user: &str| pb::UpsertRequest {
        entity_name: TABLE.into(),
        key: key(Uuid::from_u128(9).as_bytes()),
        values: mapping(CONTACT, erp_user).values,
        ..Default::default()
    };
    refused(world.rows().upsert(world.as_of(&user, upsert("boss"))).await);
    let mut transact = Transact::begun(&world.channel, &world.assertion_of(&user)).await;
    let sound = Kind::Create(mapping(CONTACT, PORTAL_USER));
    let wrong = Kind::Create(mapping(Uuid::from_u128(32), "boss"));
    refused(transact.run(vec![sound, wrong]).await);

    let id = world.map(&user, mapping(CONTACT, PORTAL_USER)).await.unwrap();
    refused(world.rows().update(world.as_of(&user, update(&id, "boss"))).await);
    refused(world.rows().upsert(world.as_of(&user, upsert("boss"))).await);
    let mut transact = Transact::begun(&world.channel, &world.assertion_of(&user)).await;
    refused(transact.run(vec![Kind::Update(update(&id, "boss"))]).await);
    let stored: Vec<String> = sqlx::query_scalar(
        "SELECT msdyn_financeandoperationsuser FROM organization.msdyn_externalportalusermapping",
    )
    .fetch_all(&mut world.connect("platform").await)
    .await
    .unwrap();
    assert_eq!(stored, [PORTAL_USER]);
}

#[tokio::test]
async fn watchers_hear_of_every_change_by_whatever_tool() {
    let world = World::with_contacts().await;
    let mut client = PortalServiceClient::new(world.channel_of("user-context"));
    let watch = client.watch_portal_user_mappings(WatchPortalUserMappingsRequest {}).await;
    let mut sets = watch.unwrap().into_inner();
    let next = async |sets: &mut Streaming<_>| -> Vec<PortalUserMapping> {
        let set: proto::organization::v1::WatchPortalUserMappingsResponse =
            tokio::time::timeout(Duration::from_secs(10), sets.message())
                .await
                .expect("no news")
                .unwrap()
                .unwrap();
        set.mappings
    };
    assert_eq!(next(&mut sets).await, []);

    let id = world.map(&security_administrator(), mapping(CONTACT, PORTAL_USER)).await.unwrap();
    let expected =
        PortalUserMapping { contact_id: CONTACT.to_string(), erp_user: PORTAL_USER.to_owned() };
    assert_eq!(next(&mut sets).await, [expected]);
    // Nothing but the change is told.
    let mut store = world.connect("platform").await;
    let by_hand = "UPDATE organization.msdyn_externalportalusermapping
        SET msdyn_financeandoperationsuser = 'other'";
    sqlx::raw_sql(by_hand).execute(&mut store).await.unwrap();
    assert_eq!(next(&mut sets).await[0].erp_user, "other");
    let gone = "DELETE FROM organization.contact";
    sqlx::raw_sql(gone).execute(&mut store).await.unwrap();
    assert_eq!(next(&mut sets).await, []);
    let request = world.as_of(&security_administrator(), update(&id, PORTAL_USER));
    let gone = world.rows().update(request).await.unwrap_err();
    assert_eq!(rpc::reason(&gone), Some(ErrorReason::RecordNotFound));
}

#[tokio::test]
async fn a_mapping_in_a_transaction_over_both_sides_can_be_prepared() {
    let world = World::with_contacts().await;
    let user = security_administrator();
    let mut transact = Transact::begun(&world.channel, &world.assertion_of(&user)).await;
    transact.run(vec![Kind::Create(mapping(CONTACT, PORTAL_USER))]).await.unwrap();
    let id = commit::TransactionId::new().to_string();
    transact.prepare(id).await.unwrap();
}
