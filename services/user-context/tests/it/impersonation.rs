//! Acting as another user (spec API-32): who may, and with which rights.

use proto::user_context::v1::ResolveCallerRequest;
use proto::user_context::v1::resolve_caller_request::ImpersonatedUser;
use rpc::{Access, Caller, Companies, ErrorReason};
use tonic::Code;
use user_context::dev_issuer::{DEFAULT_LIFETIME, mint};

use crate::support::{CLERK_OBJECT_ID, Environment, reason};

async fn resolve(
    environment: &Environment,
    sender: &str,
    other: ImpersonatedUser,
) -> Result<Caller, tonic::Status> {
    let bearer_token = mint(environment.dir.path(), sender, DEFAULT_LIFETIME).unwrap();
    let request = ResolveCallerRequest { bearer_token, impersonated_user: Some(other) };
    let answer = environment.client.clone().resolve_caller(request).await?.into_inner();
    let caller = environment.context.verifier().verify(&answer.assertion).unwrap();
    assert_eq!(answer.user.unwrap().system_user_id, caller.system_user_id.to_string());
    Ok((*caller).clone())
}

#[tokio::test]
async fn api_32_an_administrator_acts_as_another_with_that_users_rights() {
    let environment = Environment::start(vec![], 5);
    let clerk = environment.context.users().by_name("usmf-clerk").unwrap().clone();
    let by_row = ImpersonatedUser::ImpersonatedSystemUserId(clerk.system_user_id.to_string());
    let by_object = ImpersonatedUser::ImpersonatedObjectId(CLERK_OBJECT_ID.to_uppercase());
    for other in [by_row, by_object] {
        let caller = resolve(&environment, "admin", other).await.unwrap();
        assert_eq!((caller.name.as_str(), caller.erp_user.as_str()), ("usmf-clerk", "clerk"));
        assert!(!caller.rights.administrator);
        assert_eq!(caller.rights.companies, Companies::Only(vec!["USMF".into()]));
        assert_eq!(caller.rights.access("CustCustomerV3Entity"), Some(Access::Read));
        assert_eq!(caller.rights.access("VendVendorV2Entity"), None);
    }
}

#[tokio::test]
async fn api_32_whoever_lacks_the_privilege_acts_as_nobody() {
    let environment = Environment::start(vec![], 5);
    let admin = environment.context.users().by_name("admin").unwrap().clone();
    for id in [admin.system_user_id.to_string(), uuid::Uuid::from_u128(7).to_string()] {
        let other = ImpersonatedUser::ImpersonatedSystemUserId(id);
        let refused = resolve(&environment, "usmf-clerk", other).await.unwrap_err();
        let expected = (Code::PermissionDenied, Some(ErrorReason::PrivilegeDenied));
        assert_eq!(reason(&refused), expected);
    }
}

#[tokio::test]
async fn api_32_users_that_do_not_exist_are_told_so() {
    let environment = Environment::start(vec![], 5);
    let nobody = uuid::Uuid::from_u128(7).to_string();
    let cases = [
        (nobody.as_str(), Code::NotFound, ErrorReason::RecordNotFound),
        ("clerk", Code::InvalidArgument, ErrorReason::InvalidValue),
        ("", Code::InvalidArgument, ErrorReason::InvalidValue),
    ];
    for (id, code, expected) in cases {
        for other in [
            ImpersonatedUser::ImpersonatedSystemUserId(id.into()),
            ImpersonatedUser::ImpersonatedObjectId(id.into()),
        ] {
            let refused = resolve(&environment, "admin", other).await.unwrap_err();
            assert_eq!(reason(&refused), (code, Some(expected)), "{id}");
        }
    }
}
