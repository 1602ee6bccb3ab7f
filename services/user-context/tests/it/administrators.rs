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

const TENANT: [&str; 5] = [
    role::POWER_PLATFORM_ADMINISTRATOR,
    role::DYNAMICS_365_ADMINISTRATOR,
    role::GLOBAL_ADMINISTRATOR,
    role::ENVIRONMENT_MANAGER,
    role::PROJECT_OWNER,
];

#[tokio::test]
async fn a_security_administrator_touches_no_role_of_the_tenant() {
    let environment = environment().await;
    let mut directory = environment.directory();
    for tenant in TENANT {
        let held = tenant.to_uppercase();
        check("give", put(&environment, SECURITY, user("usmf-clerk", &[&held]), &["roles"]).await);
        check("make", put(&environment, SECURITY, user("new", &["Reader", &held]), &[]).await);
        let own = user(SECURITY, &[role::SECURITY_ADMINISTRATOR, "Own", &held]);
        check("give itself", put(&environment, SECURITY, own, &["roles"]).await);
        put(&environment, "admin", user("holder", &[tenant]), &[]).await.unwrap();
        check("take", put(&environment, SECURITY, user("holder", &[]), &["roles"]).await);
        let object_id = uuid::Uuid::from_u128(5).to_string();
        let taken = pb::User { object_id, ..user("holder", &[]) };
        check("take over", put(&environment, SECURITY, taken, &["object_id"]).await);
        let disabled = pb::User { disabled: true, ..user("holder", &[]) };
        check("disable", put(&environment, SECURITY, disabled, &["disabled"]).await);
        let delete = pb::DeleteUserRequest { name: "users/holder".into(), allow_missing: false };
        check("delete", directory.delete_user(environment.by(SECURITY, delete).await).await);

        let import = |users| pb::ImportDirectoryRequest {
            source: "erp".into(),
            users,
            ..pb::ImportDirectoryRequest::default()
        };
        let given = environment.by(SECURITY, import(vec![user("erps", &[&held])])).await;
        check("import", directory.import_directory(given).await);
        let given = environment.by("admin", import(vec![user("erps", &[tenant])])).await;
        directory.import_directory(given).await.unwrap();
        for without in [vec![], vec![user("erps", &[])]] {
            let given = environment.by(SECURITY, import(without)).await;
            check("import away", directory.import_directory(given).await);
        }
        let roles = &environment.context.directory().user("erps").unwrap().roles.clone();
        assert_eq!(roles, &[tenant]);

        for actor in [SECURITY, "admin"] {
            let role = pb::Role {
                name: format!("roles/{held}"),
                privileges: vec!["Own".into()],
                ..pb::Role::default()
            };
            let update = pb::UpdateRoleRequest { role: Some(role.clone()), allow_missing: true };
            let update = environment.by(actor, update).await;
            assert!(directory.update_role(update).await.is_err(), "{actor} {tenant}");
            let delete = pb::DeleteRoleRequest { name: role.name.clone(), allow_missing: false };
            let delete = environment.by(actor, delete).await;
            assert!(directory.delete_role(delete).await.is_err(), "{actor} {tenant}");
            let roles = pb::ImportDirectoryRequest { roles: vec![role], ..import(vec![]) };
            let roles = environment.by(actor, roles).await;
            assert!(directory.import_directory(roles).await.is_err(), "{actor} {tenant}");
        }
    }
}

#[tokio::test]
async fn a_tenant_administrator_gives_and_takes_roles_of_the_tenant_and_nothing_else() {
    let environment = environment().await;
    put(&environment, "admin", user("anna", &[]), &[]).await.unwrap();
    let mut directory = environment.directory();
    for (nth, held) in role::TENANT_ADMINISTRATORS.into_iter().enumerate() {
        let tenant = format!("tenant{nth}");
        put(&environment, "admin", user(&tenant, &[held]), &[]).await.unwrap();
        for roles in [&[role::PROJECT_OWNER, role::GLOBAL_ADMINISTRATOR][..], &[]] {
            put(&environment, &tenant, user("anna", roles), &["roles"]).await.unwrap();
        }
        let list = environment.by(&tenant, pb::ListUsersRequest::default()).await;
        directory.list_users(list).await.unwrap();
        for (what, name, roles) in [
            ("raise", "anna", &[role::SYSTEM_ADMINISTRATOR][..]),
            ("raise itself", &tenant, &[held, role::SYSTEM_ADMINISTRATOR]),
            ("raise itself a little", &tenant, &[held, role::SECURITY_ADMINISTRATOR]),
            ("give an ordinary role", "anna", &["Reader"]),
            ("touch a System administrator", "boss", &[role::SYSTEM_ADMINISTRATOR, held]),
            ("make", "new", &[role::PROJECT_OWNER]),
        ] {
            check(what, put(&environment, &tenant, user(name, roles), &["roles"]).await);
        }
        let disabled = pb::User { disabled: true, ..user("anna", &[]) };
        check("disable", put(&environment, &tenant, disabled, &["disabled"]).await);
        let delete =
            pb::DeletePrivilegeRequest { name: "privileges/Own".into(), allow_missing: false };
        let delete = environment.by(&tenant, delete).await;
        check("delete a privilege", directory.delete_privilege(delete).await);
    }
    // Who is both manages holders too, and neither itself nor System administrators.
    let both = user("both", &[role::SECURITY_ADMINISTRATOR, role::DYNAMICS_365_ADMINISTRATOR]);
    put(&environment, "admin", both, &[]).await.unwrap();
    put(&environment, "both", user("new", &["Reader", role::PROJECT_OWNER]), &[]).await.unwrap();
    let delete = pb::DeleteUserRequest { name: "users/new".into(), allow_missing: false };
    directory.delete_user(environment.by("both", delete).await).await.unwrap();
    let own = pb::User { acts_on_behalf: true, ..user("both", &[]) };
    check("itself", put(&environment, "both", own, &["acts_on_behalf"]).await);
    check("boss", put(&environment, "both", user("boss", &[]), &["roles"]).await);
}
