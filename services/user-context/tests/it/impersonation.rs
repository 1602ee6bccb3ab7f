//! Acting as another user (spec API-32): who may, and with which rights.

use proto::user_context::v1::resolve_caller_request::ActsAs;
use rpc::{Caller, Companies, ErrorReason, Privileges, role};
use tonic::Code;

use crate::support::{CLERK_OBJECT_ID, Environment, reason};

async fn resolve(
    environment: &Environment,
    sender: &str,
    other: ActsAs,
) -> Result<Caller, tonic::Status> {
    let token = environment.mint(sender);
    let answer = crate::support::resolve(&environment.context, &token, Some(other)).await?;
    let verifier = environment.context.verifier();
    let caller = verifier.verify(&answer.assertions["user-context"], "gateway").unwrap();
    assert_eq!(answer.user.unwrap().system_user_id, caller.user.system_user_id.to_string());
    Ok((*caller).clone())
}

#[tokio::test]
async fn api_32_an_administrator_acts_as_another_with_that_users_rights() {
    let environment = Environment::start(vec![], 5).await;
    let clerk = environment.context.directory().user("usmf-clerk").unwrap().clone();
    let by_row = ActsAs::ImpersonatedSystemUserId(clerk.system_user_id.to_string());
    let by_object = ActsAs::ImpersonatedObjectId(CLERK_OBJECT_ID.to_uppercase());
    for other in [by_row, by_object] {
        let caller = resolve(&environment, "admin", other).await.unwrap();
        let user = &caller.user;
        assert_eq!((user.name.as_str(), user.erp_user.as_str()), ("usmf-clerk", "clerk"));
        assert_eq!(caller.sender.as_ref().unwrap().name, "admin");
        assert!(user.holds(role::BASIC_USER));
        assert!(!caller.rights.administrator);
        assert_eq!(caller.rights.companies, Companies::Only(vec!["USMF".into()]));
        let privileges = |name| caller.rights.entity(name).privileges;
        assert_eq!(privileges("CustCustomerV3Entity"), Privileges::READ);
        assert_eq!(privileges("VendVendorV2Entity"), Privileges::NONE);
    }
}

#[tokio::test]
async fn api_32_whoever_lacks_the_privilege_acts_as_nobody() {
    let environment = Environment::start(vec![], 5).await;
    let admin = environment.context.directory().user("admin").unwrap().clone();
    for id in [admin.system_user_id.to_string(), uuid::Uuid::from_u128(7).to_string()] {
        let other = ActsAs::ImpersonatedSystemUserId(id);
        let refused = resolve(&environment, "usmf-clerk", other).await.unwrap_err();
        let expected = (Code::PermissionDenied, Some(ErrorReason::PrivilegeDenied));
        assert_eq!(reason(&refused), expected);
    }
}

#[tokio::test]
async fn api_32_users_that_do_not_exist_are_told_so() {
    let environment = Environment::start(vec![], 5).await;
    let nobody = uuid::Uuid::from_u128(7).to_string();
    let cases = [
        (nobody.as_str(), Code::NotFound, ErrorReason::RecordNotFound),
        ("clerk", Code::InvalidArgument, ErrorReason::InvalidValue),
        ("", Code::InvalidArgument, ErrorReason::InvalidValue),
    ];
    for (id, code, expected) in cases {
        for other in
            [ActsAs::ImpersonatedSystemUserId(id.into()), ActsAs::ImpersonatedObjectId(id.into())]
        {
            let refused = resolve(&environment, "admin", other).await.unwrap_err();
            assert_eq!(reason(&refused), (code, Some(expected)), "{id}");
        }
    }
}
