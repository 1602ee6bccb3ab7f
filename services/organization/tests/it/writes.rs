//! Single writes of native rows.

use std::time::Duration;

use proto::query::v1 as pb;
use proto::query::v1::data_provider_service_client::DataProviderServiceClient;
use rpc::ErrorReason;
use tonic::{Code, Status};

use crate::World;
use crate::transact::{account, text};

impl World {
    pub(crate) async fn create(
        &self,
        request: pb::CreateRequest,
    ) -> Result<pb::CreateResponse, Status> {
        let request = rpc::request(request, &self.assertion, Duration::from_secs(10)).unwrap();
        let mut client = DataProviderServiceClient::new(self.channel.clone());
        Ok(client.create(request).await?.into_inner())
    }
}

#[tokio::test]
async fn a_repeated_create_makes_one_row() {
    let world = World::new().await;
    let once = |name: &str| pb::CreateRequest { idempotency_key: "k".into(), ..account(name) };
    let first = world.create(once("A")).await.unwrap();
    assert_eq!(world.create(once("A")).await.unwrap(), first);
    let reused = world.create(once("B")).await.unwrap_err();
    assert_eq!(rpc::reason(&reused), Some(ErrorReason::IdempotencyKeyReused), "{reused:?}");
    assert_eq!(world.column("account", "name").await, ["A"]);
    // Without a key each is another row.
    for _ in 0..2 {
        world.create(account("B")).await.unwrap();
    }
    assert_eq!(world.column("account", "name").await, ["A", "B", "B"]);
}

#[tokio::test]
async fn a_create_that_failed_was_not_made_and_may_be_repeated() {
    let world = World::new().await;
    let once = |number: &str| {
        let mut it = pb::CreateRequest { idempotency_key: number.into(), ..account("A") };
        it.values.push(text("accountnumber", number));
        it
    };
    world.create(pb::CreateRequest { idempotency_key: String::new(), ..once("1") }).await.unwrap();
    for _ in 0..2 {
        let taken = world.create(once("1")).await.unwrap_err();
        assert_eq!(rpc::reason(&taken), Some(ErrorReason::RecordExists), "{taken:?}");
    }
    let mut store = world.connect("platform").await;
    sqlx::raw_sql("DELETE FROM organization.account").execute(&mut store).await.unwrap();
    world.create(once("1")).await.unwrap();
    assert_eq!(world.column("account", "name").await, ["A"]);
}

#[tokio::test]
async fn keys_have_bounds() {
    let world = World::new().await;
    for key in ["k\0".to_owned(), "k".repeat(1025)] {
        let request = pb::CreateRequest { idempotency_key: key, ..account("A") };
        let refused = world.create(request).await.unwrap_err();
        assert_eq!(rpc::reason(&refused), Some(ErrorReason::InvalidValue), "{refused:?}");
    }
}

#[tokio::test]
async fn who_users_are_is_written_by_administrators_only() {
    let world = World::new().await;
    for table in ["organization", "businessunit", "systemuser", "cdm_company", "savedquery"] {
        let request = pb::CreateRequest { entity_name: table.into(), ..account("A") };
        let refused = world.create(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused:?}");
    }
    let request = pb::CreateRequest { entity_name: "lead".into(), ..account("A") };
    let unknown = world.create(request).await.unwrap_err();
    assert_eq!(rpc::reason(&unknown), Some(ErrorReason::EntityNotFound));
}

#[tokio::test]
async fn views_of_users_are_their_owners_only() {
    let world = World::new().await;
    let mut store = world.connect("platform").await;
    let users = "INSERT INTO organization.systemuser (systemuserid, domainname, fullname,
                     azureactivedirectoryobjectid, businessunitid)
                 SELECT id, name, name, id, (SELECT min(businessunitid::text)::uuid
                     FROM organization.businessunit)
                 FROM (VALUES ('00000000-0000-0000-0000-000000000000'::uuid, 'clerk'),
                     ('00000000-0000-0000-0000-000000000007', 'other')) AS made (id, name);
                 INSERT INTO organization.userquery (name, returnedtypecode, fetchxml, ownerid)
                 SELECT 'of ' || fullname, 'account', '<fetch/>', systemuserid
                 FROM organization.systemuser WHERE fullname IN ('clerk', 'other')";
    sqlx::raw_sql(users).execute(&mut store).await.unwrap();
    assert_eq!(world.column("userquery", "name").await, ["of clerk"]);

    let view = |owner: uuid::Uuid| {
        let owner = pb::value::Kind::GuidValue(owner.as_bytes().to_vec().into());
        let owner = pb::Value { kind: Some(owner) };
        let owner = pb::FieldValue { field: "ownerid".into(), value: Some(owner) };
        let mut values = vec![text("name", "new"), text("fetchxml", "<fetch/>"), owner];
        values.push(text("returnedtypecode", "account"));
        pb::CreateRequest { entity_name: "userquery".into(), values, ..Default::default() }
    };
    let foreign = world.create(view(uuid::Uuid::from_u128(7))).await.unwrap_err();
    assert_eq!(foreign.code(), Code::PermissionDenied, "{foreign:?}");
    world.create(view(uuid::Uuid::nil())).await.unwrap();
    assert_eq!(world.column("userquery", "name").await, ["new", "of clerk"]);

    let other = "SELECT userqueryid FROM organization.userquery WHERE name = 'of other'";
    let other: uuid::Uuid = sqlx::query_scalar(other).fetch_one(&mut store).await.unwrap();
    let id = pb::record_key::Key::RecordId(other.as_bytes().to_vec().into());
    let delete = pb::DeleteRequest {
        entity_name: "userquery".into(),
        key: Some(pb::RecordKey { key: Some(id) }),
        ..Default::default()
    };
    let request = rpc::request(delete, &world.assertion, Duration::from_secs(10)).unwrap();
    let mut client = DataProviderServiceClient::new(world.channel.clone());
    let refused = client.delete(request).await.unwrap_err();
    assert_eq!(rpc::reason(&refused), Some(ErrorReason::RecordNotFound), "{refused:?}");
}

#[tokio::test]
async fn who_lost_a_right_is_not_told_the_recorded_answer() {
    let mut world = World::new().await;
    let values = vec![
        text("name", "All"),
        text("fetchxml", "<fetch/>"),
        text("returnedtypecode", "account"),
    ];
    let request = pb::CreateRequest {
        entity_name: "savedquery".into(),
        idempotency_key: "k".into(),
        values,
        ..Default::default()
    };
    let administrator = crate::principal(0, &[rpc::role::SYSTEM_ADMINISTRATOR]);
    let assertion = world.assertion_of(&administrator);
    let revoked = std::mem::replace(&mut world.assertion, assertion);
    let first = world.create(request.clone()).await.unwrap();
    assert_eq!(world.create(request.clone()).await.unwrap(), first);
    world.assertion = revoked;
    let refused = world.create(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused:?}");
}
