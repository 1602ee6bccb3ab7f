//! Users, roles, duties and privileges through the API.

use proto::user_context::v1 as pb;
use rpc::ErrorReason::{self, InUse, InvalidValue, NoCaller, PrivilegeDenied, RecordNotFound};
use rpc::{Privileges, role};
use tonic::Code::{self, FailedPrecondition, InvalidArgument, NotFound, PermissionDenied};
use tonic::Status;
use tonic_types::StatusExt as _;

use crate::support::{Environment, reason, resolve};

pub(crate) fn user(name: &str, roles: &[&str]) -> pb::User {
    pb::User {
        name: format!("users/{name}"),
        roles: roles.iter().map(|it| (*it).to_owned()).collect(),
        companies: vec!["USMF".into()],
        ..pb::User::default()
    }
}

/// A privilege and a role of the same name that may read an entity.
pub(crate) async fn make_reader(environment: &Environment, name: &str, entity: &str) {
    let grant = pb::EntityGrant {
        entities: vec![entity.into()],
        operations: vec![pb::Operation::Read.into()],
        ..pb::EntityGrant::default()
    };
    let privilege = pb::Privilege {
        name: format!("privileges/{name}"),
        grants: vec![grant],
        ..pb::Privilege::default()
    };
    let request = pb::UpdatePrivilegeRequest { privilege: Some(privilege), allow_missing: true };
    let request = environment.by("admin", request).await;
    environment.directory().update_privilege(request).await.unwrap();
    let role = pb::Role {
        name: format!("roles/{name}"),
        privileges: vec![name.into()],
        ..pb::Role::default()
    };
    let request = pb::UpdateRoleRequest { role: Some(role), allow_missing: true };
    let request = environment.by("admin", request).await;
    environment.directory().update_role(request).await.unwrap();
}

pub(crate) async fn put(
    environment: &Environment,
    actor: &str,
    user: pb::User,
    mask: &[&str],
) -> Result<pb::User, Status> {
    let paths = mask.iter().map(|it| (*it).to_owned()).collect();
    let request = pb::UpdateUserRequest {
        user: Some(user),
        update_mask: Some(prost_types::FieldMask { paths }),
        allow_missing: true,
    };
    let request = environment.by(actor, request).await;
    let answer = environment.directory().update_user(request).await?;
    Ok(answer.into_inner().user.unwrap())
}

async fn list(
    environment: &Environment,
    actor: &str,
    page_size: i32,
    page_token: &str,
) -> Result<pb::ListUsersResponse, Status> {
    let request = pb::ListUsersRequest { page_size, page_token: page_token.into() };
    let request = environment.by(actor, request).await;
    environment.directory().list_users(request).await.map(tonic::Response::into_inner)
}

fn names(page: &pb::ListUsersResponse) -> Vec<&str> {
    page.users.iter().map(|it| it.name.as_str()).collect()
}

fn refused<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, Option<ErrorReason>) {
    reason(&answer.expect_err("refused"))
}

#[tokio::test]
async fn an_administrator_reads_all_users_page_by_page() {
    let environment = Environment::start(vec![], 5).await;
    let first = list(&environment, "admin", 1, "").await.unwrap();
    assert_eq!(names(&first), ["users/admin"]);
    assert_eq!(first.users[0].companies, ["*"]);
    let second = list(&environment, "admin", 1, &first.next_page_token).await.unwrap();
    assert_eq!(names(&second), ["users/usmf-clerk"]);
    assert_eq!(second.next_page_token, "");
    assert_eq!(second.users[0].source, "model");
    let all = list(&environment, "admin", 5000, "").await.unwrap();
    assert_eq!(names(&all), ["users/admin", "users/usmf-clerk"]);
}

#[tokio::test]
async fn others_and_nonsense_are_refused() {
    let environment = Environment::start(vec![], 5).await;
    let mut directory = environment.directory();
    let denied = (PermissionDenied, Some(PrivilegeDenied));
    assert_eq!(refused(list(&environment, "usmf-clerk", 0, "").await), denied);
    let own = pb::GetUserRequest { name: "users/usmf-clerk".into() };
    let own = environment.by("usmf-clerk", own).await;
    assert_eq!(refused(directory.get_user(own).await), denied);
    assert_eq!(refused(put(&environment, "usmf-clerk", user("x", &[]), &[]).await), denied);
    let delete = pb::DeleteUserRequest { name: "users/usmf-clerk".into(), allow_missing: false };
    let delete = environment.by("usmf-clerk", delete).await;
    assert_eq!(refused(directory.delete_user(delete).await), denied);
    let import = pb::ImportDirectoryRequest { source: "erp".into(), ..Default::default() };
    // Nothing is changed, and still it is not theirs to try.
    let import = environment.by("usmf-clerk", import).await;
    assert_eq!(refused(directory.import_directory(import).await), denied);
    for (size, token) in [(-1, ""), (1, "x"), (1, "dXNtZi1jbGVyaw")] {
        let answer = list(&environment, "admin", size, token).await;
        assert_eq!(refused(answer), (InvalidArgument, Some(InvalidValue)), "{size} {token}");
    }
    let anonymous = directory.list_users(pb::ListUsersRequest::default()).await;
    assert_eq!(refused(anonymous), (Code::Unauthenticated, Some(NoCaller)));
}

#[tokio::test]
async fn a_user_lives_from_its_making_to_its_end() {
    let environment = Environment::start(vec![], 5).await;
    let mut directory = environment.directory();
    make_reader(&environment, "Reader", "CustCustomerV3Entity").await;

    let made = put(&environment, "admin", user("Anna", &["reader"]), &[]).await.unwrap();
    assert_eq!((made.name.as_str(), made.erp_user.as_str()), ("users/Anna", "Anna"));
    assert_eq!(made.roles, ["Reader"]);
    assert_eq!((made.time_zone.as_str(), made.language), ("UTC", 1033));
    let answer = environment.resolve(&environment.mint("anna")).await.unwrap();
    let verifier = environment.context.verifier();
    let caller = verifier.verify(&answer.assertions["user-context"], "gateway").unwrap();
    assert!(caller.user.holds(role::BASIC_USER));
    assert_eq!(caller.rights.entity("CustCustomerV3Entity").privileges, Privileges::READ);

    // Only the fields of the mask, and found whatever the case of the name.
    let change = pb::User { display_name: "Anna A.".into(), ..user("ANNA", &[]) };
    let changed = put(&environment, "admin", change, &["display_name"]).await.unwrap();
    let expected = pb::User { display_name: "Anna A.".into(), ..made.clone() };
    assert_eq!(changed, expected);
    // A new display name is nobody's right.
    assert!(verifier.verify(&answer.assertions["user-context"], "gateway").is_ok());

    let change = pb::User { disabled: true, ..user("anna", &[]) };
    put(&environment, "admin", change, &["disabled"]).await.unwrap();
    let refused_token = environment.resolve(&environment.mint("anna")).await;
    let expected = (PermissionDenied, Some(ErrorReason::NoErpUser));
    assert_eq!(refused(refused_token), expected);
    let revoked = verifier.verify(&answer.assertions["user-context"], "gateway");
    assert_eq!(revoked, Err(rpc::InvalidAssertion::Revoked));

    let get = pb::GetUserRequest { name: "users/anna".into() };
    let got = directory.get_user(environment.by("admin", get.clone()).await).await.unwrap();
    assert!(got.into_inner().user.unwrap().disabled);
    let delete = pb::DeleteUserRequest { name: "users/anna".into(), allow_missing: false };
    directory.delete_user(environment.by("admin", delete.clone()).await).await.unwrap();
    let not_found = (NotFound, Some(RecordNotFound));
    let again = directory.delete_user(environment.by("admin", delete.clone()).await).await;
    assert_eq!(refused(again), not_found);
    let repeated = pb::DeleteUserRequest { allow_missing: true, ..delete };
    directory.delete_user(environment.by("admin", repeated).await).await.unwrap();
    assert_eq!(refused(directory.get_user(environment.by("admin", get).await).await), not_found);
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_every_violation() {
    let environment = Environment::start(vec![], 5).await;
    let missing = pb::UpdateUserRequest { user: Some(user("x", &[])), ..Default::default() };
    let missing = environment.by("admin", missing).await;
    let missing = environment.directory().update_user(missing).await;
    assert_eq!(refused(missing), (NotFound, Some(RecordNotFound)));
    let wrong = pb::User {
        time_zone: "Mars".into(),
        serves_portal: true,
        object_id: crate::support::CLERK_OBJECT_ID.into(),
        ..user("x", &["nobody's"])
    };
    let status = put(&environment, "admin", wrong, &[]).await.expect_err("wrong");
    assert_eq!(reason(&status), (InvalidArgument, Some(InvalidValue)));
    let found = status.get_details_bad_request().unwrap().field_violations;
    let found: Vec<_> = found.iter().map(|it| it.field.as_str()).collect();
    for field in ["roles", "time_zone", "serves_portal", "object_id"] {
        assert!(found.contains(&format!("users/x.{field}").as_str()), "{field} in {found:?}");
    }
    for (name, mask) in [("users/", ""), ("anna", ""), ("users/a b", ""), ("users/a", "source")] {
        let given = pb::User { name: name.into(), ..user("x", &[]) };
        // Masks are for users that exist.
        let given =
            if mask.is_empty() { given } else { pb::User { name: "users/admin".into(), ..given } };
        let mask: &[&str] = if mask.is_empty() { &[] } else { &[mask] };
        let answer = put(&environment, "admin", given, mask).await;
        assert_eq!(refused(answer), (InvalidArgument, Some(InvalidValue)), "{name} {mask:?}");
    }
}

#[tokio::test]
async fn what_always_exists_stays() {
    let environment = Environment::start(vec![], 5).await;
    let mut directory = environment.directory();
    let in_use = (FailedPrecondition, Some(InUse));
    let delete = pb::DeleteUserRequest { name: "users/Admin".into(), allow_missing: false };
    let delete = environment.by("admin", delete).await;
    assert_eq!(refused(directory.delete_user(delete).await), in_use);
    let disabled = pb::User { disabled: true, ..user("admin", &[]) };
    assert_eq!(refused(put(&environment, "admin", disabled, &["disabled"]).await), in_use);
    let stripped = put(&environment, "admin", user("admin", &[]), &["roles"]).await;
    assert_eq!(refused(stripped), in_use);
    for name in role::BUILT_IN {
        let name = format!("roles/{name}");
        let delete = pb::DeleteRoleRequest { name: name.clone(), allow_missing: false };
        let delete = environment.by("admin", delete).await;
        assert_eq!(refused(directory.delete_role(delete).await), in_use);
        let role = Some(pb::Role { name, ..pb::Role::default() });
        let update = pb::UpdateRoleRequest { role, allow_missing: true };
        let update = environment.by("admin", update).await;
        let expected = (InvalidArgument, Some(InvalidValue));
        assert_eq!(refused(directory.update_role(update).await), expected);
    }
    // It may be given an object id of its own, and more roles.
    make_reader(&environment, "Reader", "A").await;
    let more = user("admin", &["Reader", role::SYSTEM_ADMINISTRATOR]);
    put(&environment, "admin", more, &["roles"]).await.unwrap();
}

#[tokio::test]
async fn what_a_role_grants_changes_for_its_holders_at_once() {
    let environment = Environment::start(vec![], 5).await;
    let mut directory = environment.directory();
    make_reader(&environment, "Reader", "A").await;
    let duty = pb::Duty {
        name: "duties/Read".into(),
        privileges: vec!["READER".into()],
        ..pb::Duty::default()
    };
    let duty = pb::UpdateDutyRequest { duty: Some(duty), allow_missing: true };
    let duty = directory.update_duty(environment.by("admin", duty).await).await.unwrap();
    assert_eq!(duty.into_inner().duty.unwrap().privileges, ["Reader"]);
    let role = pb::Role {
        name: "roles/Sales / By duty".into(),
        duties: vec!["read".into()],
        ..pb::Role::default()
    };
    let role = pb::UpdateRoleRequest { role: Some(role), allow_missing: true };
    directory.update_role(environment.by("admin", role).await).await.unwrap();
    put(&environment, "admin", user("anna", &["Sales / By duty"]), &[]).await.unwrap();

    let answer = resolve(&environment.context, &environment.mint("anna"), None).await.unwrap();
    let may_read = |entity: &str| {
        let verifier = environment.context.verifier();
        let caller = verifier.verify(&answer.assertions["user-context"], "gateway").unwrap();
        caller.rights.entity(entity).privileges == Privileges::READ
    };
    assert!(may_read("A") && !may_read("B"));
    make_reader(&environment, "Reader", "B").await;
    assert!(!may_read("A") && may_read("B"));

    let delete = pb::DeleteDutyRequest { name: "duties/READ".into(), allow_missing: false };
    directory.delete_duty(environment.by("admin", delete).await).await.unwrap();
    assert!(!may_read("B"));
    let roles = environment.by("admin", pb::ListRolesRequest::default()).await;
    let roles = directory.list_roles(roles).await.unwrap().into_inner().roles;
    let by_duty = roles.iter().find(|it| it.name == "roles/Sales / By duty").unwrap();
    assert!(by_duty.duties.is_empty() && !by_duty.built_in);
    assert_eq!(roles.iter().filter(|it| it.built_in).count(), role::BUILT_IN.len());

    let delete =
        pb::DeleteRoleRequest { name: "roles/sales / by duty".into(), allow_missing: false };
    directory.delete_role(environment.by("admin", delete).await).await.unwrap();
    let revoked = environment.context.verifier();
    let revoked = revoked.verify(&answer.assertions["user-context"], "gateway");
    assert_eq!(revoked, Err(rpc::InvalidAssertion::Revoked));
    let privileges = environment.by("admin", pb::ListPrivilegesRequest::default()).await;
    let privileges = directory.list_privileges(privileges).await.unwrap().into_inner().privileges;
    let names: Vec<_> = privileges.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["privileges/Reader", "privileges/user:usmf-clerk"]);
}
