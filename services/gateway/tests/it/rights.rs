//! What a caller may do, as it changes, and as whom it acts.

use std::time::Duration;

use proto::query::v1 as query;
use proto::user_context::v1::Operation;
use proto::user_context::v1::resolve_caller_request::ActsAs;
use rpc::{ErrorReason, role};
use tonic::Code;
use uuid::Uuid;

use crate::fakes::{Answer, Provider, World, refusal};
use crate::fixture::{CUSTOMERS, ORDERS};
use crate::users::{principal, role_of};

const CONTACT: &str = "00000000-0000-0000-0000-000000000001";

async fn get(world: &World, token: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let token = format!("Bearer {token}");
    let mut request = axum::http::Request::builder()
        .uri(format!("/api/data/v9.2/{path}"))
        .header("host", "org.test")
        .header("authorization", token);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.raw(request.body(axum::body::Body::empty()).unwrap()).await
}

/// Repeats a request until it is answered so, for a second.
async fn soon(world: &World, token: &str, path: &str, is_so: impl Fn(&Answer) -> bool) {
    let waiting = async {
        while !is_so(&get(world, token, path, &[]).await) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(1), waiting).await.unwrap();
}

#[tokio::test]
async fn a_revoked_user_is_out_within_a_second() {
    let world = World::new(Provider::empty()).await;
    world.users.add("anna", principal(0x88, &[role::BASIC_USER]));
    assert_eq!(get(&world, "anna", CUSTOMERS, &[]).await.status, 200);
    assert_eq!(get(&world, "good", CUSTOMERS, &[]).await.status, 200);
    let asked = world.users.resolved();
    world.users.revoke("anna");
    soon(&world, "anna", CUSTOMERS, |it| it.status == 401).await;
    // Nobody else was asked about again.
    assert_eq!(get(&world, "good", CUSTOMERS, &[]).await.status, 200);
    assert_eq!(world.users.resolved(), asked + 1);
}

#[tokio::test]
async fn what_a_role_means_now_is_what_counts() {
    let world = World::new(Provider::empty()).await;
    world.users.add("clara", principal(0x99, &["Clerk"]));
    // The name of the customer that an order is of is asked for where the caller may read it.
    let names = |world: &World| world.query.last_query().links.len();
    let annotated = [("prefer", "odata.include-annotations=\"*\"")];
    let _ = get(&world, "clara", ORDERS, &annotated).await;
    assert_eq!(names(&world), 0);
    let asked = world.users.resolved();
    let entity = |name, hidden: &[&str]| role_of("Clerk", name, &[Operation::Read], hidden);
    let reads =
        |fields: &[&str]| vec![entity("CustCustomerV3Entity", fields), entity("Order", &[])];
    world.users.define(reads(&[]));
    let until = async |expected: usize| {
        let waiting = async {
            loop {
                let _ = get(&world, "clara", ORDERS, &annotated).await;
                if names(&world) == expected {
                    break;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(1), waiting).await.unwrap();
    };
    until(1).await;
    // What leads there is hidden: that the client may not name it is no reason to refuse the rest.
    world.users.define(reads(&["Account"]));
    until(0).await;
    assert_eq!(world.users.resolved(), asked, "the user is the same one");
}

#[tokio::test]
async fn only_what_nobody_named_may_be_null_instead() {
    let world = World::new(Provider::empty()).await;
    let column = |name: &str| {
        let asked = world.query.last_query();
        let is_it = |it: &query::OutputColumn| it.key == name;
        asked.columns.into_iter().find(is_it).map(|it| it.if_permitted)
    };
    world.get(CUSTOMERS).await;
    assert_eq!(column("mserp_alias"), Some(true));
    assert_eq!(column("mserp_custcustomerv3entityid"), Some(false));
    world.get(&format!("{CUSTOMERS}?$select=mserp_alias")).await;
    assert_eq!(column("mserp_alias"), Some(false));
    let fetch = |inner: &str| {
        let inner = inner.replace('<', "%3C").replace('>', "%3E").replace(' ', "%20");
        let inner = inner.replace('\'', "%27");
        format!(
            "{CUSTOMERS}?fetchXml=%3Cfetch%3E%3Centity%20name=%27mserp_custcustomerv3entity%27%3E\
             {inner}%3C/entity%3E%3C/fetch%3E"
        )
    };
    world.get(&fetch("<all-attributes/>")).await;
    assert_eq!(column("mserp_alias"), Some(true));
    world.get(&fetch("<attribute name='mserp_alias'/>")).await;
    assert_eq!(column("mserp_alias"), Some(false));
}

#[tokio::test]
async fn a_portal_sends_the_contact_whom_it_serves() {
    let world = World::new(Provider::empty()).await;
    let answer = get(&world, "good", "WhoAmI()", &[("CallerContactId", CONTACT)]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["UserId"], Uuid::from_u128(2).to_string());
    let acts_as = || world.users.asked.lock().unwrap().last().unwrap().acts_as.clone();
    assert_eq!(acts_as(), Some(ActsAs::PortalContactId(CONTACT.to_owned())));
    for (contact, named) in [
        ("anonymous", ActsAs::AnonymousPortalUser(true)),
        (
            "00000000-0000-0000-0000-000000000002",
            ActsAs::PortalContactId("00000000-0000-0000-0000-000000000002".to_owned()),
        ),
    ] {
        let answer = get(&world, "good", CUSTOMERS, &[("CallerContactId", contact)]).await;
        assert_eq!((answer.status, answer.error().1.as_str()), (403, "0x80040220"));
        assert_eq!(acts_as(), Some(named));
    }
    for other in ["CallerObjectId", "MSCRMCallerID", "CallerContactId"] {
        let both = [("CallerContactId", CONTACT), (other, CONTACT)];
        let answer = get(&world, "good", CUSTOMERS, &both).await;
        assert_eq!((answer.status, answer.error().1.as_str()), (400, "0x80040203"), "{other}");
    }
}

#[tokio::test]
async fn what_is_not_allowed_is_403_in_the_platforms_words() {
    for (reason, message) in [
        (
            ErrorReason::ColumnDenied,
            "Principal user is missing read permission for column 'mserp_gone' of entity \
             'mserp_custcustomerv3entity'.",
        ),
        (ErrorReason::ServiceDenied, "a reason for people"),
    ] {
        let failing = Provider::failing(refusal(Code::PermissionDenied, reason));
        let world = World::new(failing).await;
        let answer = world.get(CUSTOMERS).await;
        assert_eq!(answer.error(), (403, "0x80040220".to_owned(), message.to_owned()));
    }
}
