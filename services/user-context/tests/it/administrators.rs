//! What a Security administrator may do: everything but make itself, or anybody, more than it is.

use proto::user_context::v1 as pb;
use proto::user_context::v1::resolve_caller_request::ActsAs;
use rpc::ErrorReason::PrivilegeDenied;
use rpc::role;
use tonic::Code::PermissionDenied;
use tonic::Status;

use crate::directory::{make_reader, put, user};
use crate::support::{Environment, reason, request, resolve};

const SECURITY: &str = "sophie";

async fn environment() -> Environment {
    let environment = Environment::start(vec![], 5).await;
    make_reader(&environment, "Reader", "A").await;
    make_reader(&environment, "Own", "A").await;
    let sophie = user(SECURITY, &[role::SECURITY_ADMINISTRATOR, "Own"]);
    put(&environment, "admin", sophie, &[]).await.unwrap();
    let boss = user("boss", &[role::SYSTEM_ADMINISTRATOR]);
    put(&environment, "admin", boss, &[]).await.unwrap();
    environment
}

fn check<T: std::fmt::Debug>(what: &str, answer: Result<T, Status>) {
    let status = answer.expect_err(what);
    assert_eq!(reason(&status), (PermissionDenied, Some(PrivilegeDenied)), "{what}: {status}");
}

#[tokio::test]
async fn a_security_administrator_manages_ordinary_users_and_roles() {
    let environment = environment().await;
    put(&environment, SECURITY, user("anna", &["Reader"]), &[]).await.unwrap();
    put(&environment, SECURITY, user("anna", &["Own"]), &["roles"]).await.unwrap();
    let mut directory = environment.directory();
    let list = environment.by(SECURITY, pb::ListUsersRequest::default()).await;
    assert!(directory.list_users(list).await.is_ok());
    let role = pb::Role { name: "roles/Reader".into(), ..pb::Role::default() };
    let update = pb::UpdateRoleRequest { role: Some(role), allow_missing: false };
    directory.update_role(environment.by(SECURITY, update).await).await.unwrap();
    let delete = pb::DeleteUserRequest { name: "users/anna".into(), allow_missing: false };
    directory.delete_user(environment.by(SECURITY, delete).await).await.unwrap();
}

#[tokio::test]
async fn a_security_administrator_touches_no_system_administrator() {
    let environment = environment().await;
    let mut directory = environment.directory();
    let raised = user("usmf-clerk", &["system ADMINISTRATOR"]);
    check("raise", put(&environment, SECURITY, raised, &["roles"]).await);
    let made = user("new", &[role::SYSTEM_ADMINISTRATOR]);
    check("make", put(&environment, SECURITY, made, &[]).await);
    check("lower", put(&environment, SECURITY, user("boss", &[]), &["roles"]).await);
    let taken = pb::User { object_id: uuid::Uuid::from_u128(5).to_string(), ..user("boss", &[]) };
    check("take over", put(&environment, SECURITY, taken, &["object_id"]).await);
    let posing = |name: &str| pb::User { erp_user: "Boss".into(), ..user(name, &[]) };
    check("pose", put(&environment, SECURITY, posing("new"), &[]).await);
    check("pose later", put(&environment, SECURITY, posing("usmf-clerk"), &["erp_user"]).await);
    let delete = pb::DeleteUserRequest { name: "users/boss".into(), allow_missing: false };
    check("delete", directory.delete_user(environment.by(SECURITY, delete).await).await);
    let imported = pb::ImportDirectoryRequest {
        source: "erp".into(),
        users: vec![user("new", &[role::SYSTEM_ADMINISTRATOR])],
        ..pb::ImportDirectoryRequest::default()
    };
    let imported = environment.by(SECURITY, imported).await;
    check("import", directory.import_directory(imported).await);
}

#[tokio::test]
async fn a_security_administrator_does_not_change_its_own_rights() {
    let environment = environment().await;
    let mut directory = environment.directory();
    for (field, given) in [
        ("roles", user(SECURITY, &[role::SECURITY_ADMINISTRATOR, "Reader"])),
        ("roles", user(SECURITY, &[role::SYSTEM_ADMINISTRATOR])),
        ("companies", pb::User { companies: vec!["*".into()], ..user(SECURITY, &[]) }),
        ("acts_on_behalf", pb::User { acts_on_behalf: true, ..user(SECURITY, &[]) }),
        ("erp_user", pb::User { erp_user: "boss".into(), ..user(SECURITY, &[]) }),
    ] {
        check(field, put(&environment, SECURITY, given, &[field]).await);
    }
    let grant = pb::EntityGrant {
        entities: vec!["*".into()],
        operations: vec![pb::Operation::Read.into()],
        ..pb::EntityGrant::default()
    };
    let privilege = pb::Privilege {
        name: "privileges/Own".into(),
        grants: vec![grant],
        ..pb::Privilege::default()
    };
    let update = pb::UpdatePrivilegeRequest { privilege: Some(privilege), allow_missing: false };
    let update = environment.by(SECURITY, update).await;
    check("own privilege", directory.update_privilege(update).await);
    let role = pb::Role {
        name: "roles/own".into(),
        privileges: vec!["Own".into(), "user:usmf-clerk".into()],
        ..pb::Role::default()
    };
    let update = pb::UpdateRoleRequest { role: Some(role), allow_missing: false };
    check("own role", directory.update_role(environment.by(SECURITY, update).await).await);
}

#[tokio::test]
async fn who_acts_as_an_administrator_is_none() {
    let environment = environment().await;
    let clerk = pb::User { acts_on_behalf: true, ..user("usmf-clerk", &[]) };
    put(&environment, "admin", clerk, &["acts_on_behalf"]).await.unwrap();
    let admin = environment.context.directory().user("admin").unwrap().system_user_id;
    let acts_as = ActsAs::ImpersonatedSystemUserId(admin.to_string());
    let token = environment.mint("usmf-clerk");
    let answer = resolve(&environment.context, &token, Some(acts_as)).await.unwrap();
    let assertion = &answer.assertions["user-context"];
    let mut directory = environment.directory();
    let list = request(pb::ListUsersRequest::default(), assertion);
    check("list", directory.list_users(list).await);
    let update = pb::UpdateUserRequest {
        user: Some(user("usmf-clerk", &[role::SYSTEM_ADMINISTRATOR])),
        ..pb::UpdateUserRequest::default()
    };
    check("raise itself", directory.update_user(request(update, assertion)).await);
}
