//! Portal visitors: contacts with a mapping, and those who did not sign in.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use proto::organization::v1 as organization;
use proto::organization::v1::portal_service_server::{PortalService, PortalServiceServer};
use proto::user_context::v1 as pb;
use proto::user_context::v1::resolve_caller_request::ActsAs;
use rpc::ErrorReason::{self, NoErpUser, NotReady, PortalUserRefused, PrivilegeDenied};
use rpc::{AssertionVerifier, Channel, InvalidAssertion, role};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tonic::Code::{self, FailedPrecondition, PermissionDenied, Unavailable};
use tonic::{Request, Response, Status};
use tonic_types::StatusExt as _;
use user_context::Config;
use uuid::Uuid;

use crate::directory::{make_reader, put, user};
use crate::support::{Client, Environment, SERVICES, reason, resolve, routes, soon};

const CONTACT: Uuid = Uuid::from_u128(0xC0);
const APPLICATION: &str = "5f0f0a44-4c14-4f3a-9c0a-6e8a33f6a1b0";
const USERS: &str = r#"
    [[users]]
    name = "portal"
    application_id = "5f0f0a44-4c14-4f3a-9c0a-6e8a33f6a1b0"
    serves_portal = true
    [[users]]
    name = "robot"
    application_id = "11111111-4c14-4f3a-9c0a-6e8a33f6a1b0"
    [[users]]
    name = "clerk"
"#;

type Mappings = watch::Sender<organization::WatchPortalUserMappingsResponse>;

/// The organization, as far as mappings go.
struct Organization(Mappings);

#[tonic::async_trait]
impl PortalService for Organization {
    type WatchPortalUserMappingsStream =
        BoxStream<'static, Result<organization::WatchPortalUserMappingsResponse, Status>>;

    async fn watch_portal_user_mappings(
        &self,
        _request: Request<organization::WatchPortalUserMappingsRequest>,
    ) -> Result<Response<Self::WatchPortalUserMappingsStream>, Status> {
        let messages = WatchStream::new(self.0.subscribe());
        Ok(Response::new(messages.map(Ok).boxed()))
    }
}

struct World {
    environment: Environment,
    mappings: Mappings,
}

impl World {
    /// A portal whose contact's ERP user is `visitor`.
    async fn new() -> Self {
        let environment = Environment::start_with(|it| {
            std::fs::write(it.users_file.as_ref().unwrap(), USERS).unwrap();
            Config { anonymous_portal_user: Some("stranger".into()), ..it }
        })
        .await;
        make_reader(&environment, "Own orders", "SalesOrderHeaderV2Entity").await;
        let (mappings, _) = watch::channel(mapped(&[(CONTACT, "visitor")]));
        let portal = PortalServiceServer::new(Organization(mappings.clone()));
        let verifier = AssertionVerifier::new("organization").into();
        let server = SERVICES.server("organization", verifier).with(portal);
        let routes = server.build().unwrap().0;
        let identity = SERVICES.identity("user-context").unwrap();
        let channel = Channel::local(routes, "organization", &identity);
        let world = Self { environment, mappings };
        // Nobody has said anything yet.
        let status = world.contact(CONTACT).await.expect_err("not known yet");
        assert_eq!(reason(&status), (Unavailable, Some(NotReady)));
        world.environment.context.join_organization(channel);
        soon(async {
            while matches!(world.contact(CONTACT).await, Err(it) if it.code() == Unavailable) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        world
    }

    async fn act(
        &self,
        sender: &str,
        acts_as: ActsAs,
    ) -> Result<pb::ResolveCallerResponse, Status> {
        let token = self.environment.mint(sender);
        resolve(&self.environment.context, &token, Some(acts_as)).await
    }

    async fn contact(&self, contact: Uuid) -> Result<pb::ResolveCallerResponse, Status> {
        self.act("portal", ActsAs::PortalContactId(contact.to_string())).await
    }

    async fn anonymous(&self) -> Result<pb::ResolveCallerResponse, Status> {
        self.act("portal", ActsAs::AnonymousPortalUser(true)).await
    }

    async fn put(&self, name: &str, roles: &[&str], disabled: bool) {
        let given = pb::User { disabled, ..user(name, roles) };
        put(&self.environment, "admin", given, &[]).await.unwrap();
    }
}

fn mapped(pairs: &[(Uuid, &str)]) -> organization::WatchPortalUserMappingsResponse {
    let mapping = |(contact, erp_user): &(Uuid, &str)| organization::PortalUserMapping {
        contact_id: contact.to_string(),
        erp_user: (*erp_user).to_owned(),
    };
    organization::WatchPortalUserMappingsResponse { mappings: pairs.iter().map(mapping).collect() }
}

fn rule<T: std::fmt::Debug>(code: Code, answer: Result<T, Status>) -> String {
    let status = answer.expect_err("refused");
    assert_eq!(reason(&status), (code, Some(PortalUserRefused)), "{status}");
    status.get_details_error_info().unwrap().metadata["rule"].clone()
}

#[tokio::test]
async fn ve_093_the_rule_holds_at_mapping_time_and_at_every_call() {
    let world = World::new().await;
    // Who keeps the mappings asks before it writes one.
    let organization = SERVICES.identity("organization").unwrap();
    let routes = routes(&world.environment.context);
    let mut client = Client::new(Channel::local(routes, "user-context", &organization));
    let unknown = rule(PermissionDenied, world.contact(CONTACT).await);
    assert_eq!(unknown, "unknown_user");
    assert_eq!(rule(PermissionDenied, world.contact(Uuid::nil()).await), "no_mapping");
    for (portal, above, disabled) in [None, Some(role::PORTAL_USER), Some(role::PORTAL_USER_ALIAS)]
        .into_iter()
        .flat_map(|portal| {
            [None, Some(role::SYSTEM_ADMINISTRATOR), Some(role::SECURITY_ADMINISTRATOR)]
                .map(|above| (portal, above))
        })
        .flat_map(|(portal, above)| [false, true].map(|disabled| (portal, above, disabled)))
    {
        let roles: Vec<_> = portal.into_iter().chain(above).collect();
        world.put("visitor", &roles, disabled).await;
        let expected = match (above, disabled, portal) {
            (Some(_), _, _) => Some("administrator"),
            (None, true, _) => Some("disabled"),
            (None, false, None) => Some("role_missing"),
            (None, false, Some(_)) => None,
        };
        let check = pb::CheckPortalUserRequest { erp_user: "visitor".into() };
        let check = client.check_portal_user(check).await;
        let call = world.contact(CONTACT).await;
        match expected {
            None => assert!(check.is_ok() && call.is_ok(), "{roles:?}"),
            Some(expected) => {
                assert_eq!(rule(FailedPrecondition, check), expected, "{roles:?} {disabled}");
                assert_eq!(rule(PermissionDenied, call), expected, "{roles:?} {disabled}");
            }
        }
    }
    let check = pb::CheckPortalUserRequest { erp_user: "nobody".into() };
    let unknown = rule(FailedPrecondition, client.check_portal_user(check).await);
    assert_eq!(unknown, "unknown_user");
}

#[tokio::test]
async fn ve_092_a_contact_is_its_mapped_user_and_no_more() {
    let world = World::new().await;
    world.put("visitor", &[role::PORTAL_USER, role::BASIC_USER, "Own orders"], false).await;
    let answer = world.contact(CONTACT).await.unwrap();
    let verifier = world.environment.context.verifier();
    let caller = verifier.verify(&answer.assertions["user-context"], "gateway").unwrap();
    assert_eq!((caller.user.erp_user.as_str(), caller.user.contact), ("visitor", Some(CONTACT)));
    assert!(caller.sender.is_none());
    assert!(!caller.user.holds(role::BASIC_USER));
    assert!(!caller.rights.entity("SalesOrderHeaderV2Entity").privileges.is_empty());
    assert!(caller.rights.table("account").privileges.is_empty());
}

#[tokio::test]
async fn ve_092_only_an_application_that_serves_a_portal_acts_as_contacts() {
    let world = World::new().await;
    world.put("visitor", &[role::PORTAL_USER], false).await;
    let denied = (PermissionDenied, Some(PrivilegeDenied));
    for sender in ["admin", "clerk", "robot"] {
        for acts_as in
            [ActsAs::PortalContactId(CONTACT.to_string()), ActsAs::AnonymousPortalUser(true)]
        {
            let status = world.act(sender, acts_as).await.expect_err(sender);
            assert_eq!(reason(&status), denied, "{sender}");
        }
    }
    let status = world.act("portal", ActsAs::PortalContactId("x".into())).await;
    assert_eq!(reason(&status.expect_err("no GUID")).1, Some(ErrorReason::InvalidValue));
    // An application is what it was made, and nothing for being somebody.
    let token = world.environment.mint("portal");
    let itself = resolve(&world.environment.context, &token, None).await.unwrap();
    assert_eq!(itself.user.unwrap().application_id, APPLICATION);
    let verifier = world.environment.context.verifier();
    let caller = verifier.verify(&itself.assertions["user-context"], "gateway").unwrap();
    assert!(caller.user.roles.is_empty());

    let disabled = pb::User { disabled: true, ..user("portal", &[]) };
    let before = world.contact(CONTACT).await.unwrap();
    put(&world.environment, "admin", disabled, &["disabled"]).await.unwrap();
    let status = world.contact(CONTACT).await.expect_err("disabled");
    assert_eq!(reason(&status), (PermissionDenied, Some(NoErpUser)));
    // Nor is what it was given before believed any more.
    let revoked = verifier.verify(&before.assertions["user-context"], "gateway");
    assert_eq!(revoked, Err(InvalidAssertion::Revoked));
}

#[tokio::test]
async fn ve_094_a_visitor_who_did_not_sign_in_is_the_designated_user() {
    let world = World::new().await;
    assert_eq!(rule(PermissionDenied, world.anonymous().await), "unknown_user");
    world.put("stranger", &["Own orders"], false).await;
    let answer = world.anonymous().await.unwrap();
    let verifier = world.environment.context.verifier();
    let caller = verifier.verify(&answer.assertions["user-context"], "gateway").unwrap();
    assert_eq!(
        (caller.user.erp_user.as_str(), caller.user.contact),
        ("stranger", Some(Uuid::nil()))
    );
    assert_eq!(caller.user.roles, ["Own orders"]);
    for above in [role::SYSTEM_ADMINISTRATOR, role::SECURITY_ADMINISTRATOR] {
        world.put("stranger", &[above], false).await;
        assert_eq!(rule(PermissionDenied, world.anonymous().await), "administrator");
    }
    world.put("stranger", &["Own orders"], false).await;
    let before = world.anonymous().await.unwrap();
    let disabled = pb::User { disabled: true, ..user("portal", &[]) };
    put(&world.environment, "admin", disabled, &["disabled"]).await.unwrap();
    let revoked = verifier.verify(&before.assertions["user-context"], "gateway");
    assert_eq!(revoked, Err(InvalidAssertion::Revoked));
    let enabled = pb::User { disabled: false, ..user("portal", &[]) };
    put(&world.environment, "admin", enabled, &["disabled"]).await.unwrap();

    // Off unless it is configured.
    let other = world.environment.again(|it: Config| it).await;
    let token = world.environment.mint("portal");
    let acts_as = Some(ActsAs::AnonymousPortalUser(true));
    assert_eq!(rule(PermissionDenied, resolve(&other, &token, acts_as).await), "no_mapping");
}

#[tokio::test]
async fn who_comes_to_share_a_visitors_erp_user_ends_its_visits() {
    let world = World::new().await;
    let verifier = world.environment.context.verifier();
    world.put("visitor", &[role::PORTAL_USER], false).await;
    world.put("stranger", &["Own orders"], false).await;
    world.put("other", &[], false).await;
    for shared in ["visitor", "stranger"] {
        for (name, roles) in [("new", &[][..]), ("other", &[role::SYSTEM_ADMINISTRATOR])] {
            let visit = async || match shared {
                "visitor" => world.contact(CONTACT).await,
                _ => world.anonymous().await,
            };
            let before = visit().await.unwrap();
            let assertion = &before.assertions["user-context"];
            assert!(verifier.verify(assertion, "gateway").is_ok());
            let sharing = pb::User { erp_user: shared.into(), ..user(name, roles) };
            put(&world.environment, "admin", sharing, &[]).await.unwrap();
            assert!(visit().await.is_err(), "{name}");
            let revoked = verifier.verify(assertion, "gateway");
            assert_eq!(revoked, Err(InvalidAssertion::Revoked), "{name}");
            put(&world.environment, "admin", user(name, &[]), &[]).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_mapping_that_goes_takes_its_assertions_with_it_within_a_second() {
    let world = World::new().await;
    world.put("visitor", &[role::PORTAL_USER], false).await;
    let verifier = world.environment.context.verifier();
    for gone in [mapped(&[(CONTACT, "another")]), mapped(&[])] {
        world.mappings.send_replace(mapped(&[(CONTACT, "visitor")]));
        let answer = soon(async {
            loop {
                match world.contact(CONTACT).await {
                    Ok(answer) => return answer,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        })
        .await;
        let assertion = &answer.assertions["user-context"];
        let mut directories = world.environment.context.changes();
        directories.borrow_and_update();
        assert!(verifier.verify(assertion, "gateway").is_ok());
        world.mappings.send_replace(gone);
        let told = tokio::time::timeout(Duration::from_secs(1), directories.changed()).await;
        told.expect("within a second").unwrap();
        let revoked = verifier.verify(assertion, "gateway");
        assert_eq!(revoked, Err(InvalidAssertion::Revoked));
        assert!(world.contact(CONTACT).await.is_err());
    }
}
