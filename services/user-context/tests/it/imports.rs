//! What sources say: the users file, the model, and an import through the API.

use proto::user_context::v1 as pb;
use rpc::ErrorReason::InvalidValue;
use tonic::Code::InvalidArgument;
use user_context::dev_issuer::{DEFAULT_LIFETIME, mint};
use user_context::{Config, Source};

use crate::directory::{put, user};
use crate::support::{Environment, reason};

async fn import(
    environment: &Environment,
    import: pb::ImportDirectoryRequest,
) -> Result<(i64, i64, i64), tonic::Status> {
    let request = environment.by("admin", import).await;
    let answer = environment.directory().import_directory(request).await?.into_inner();
    Ok((answer.created_count, answer.updated_count, answer.deleted_count))
}

fn role(name: &str) -> pb::Role {
    pb::Role { name: format!("roles/{name}"), ..pb::Role::default() }
}

fn erp(users: Vec<pb::User>, roles: Vec<pb::Role>) -> pb::ImportDirectoryRequest {
    pb::ImportDirectoryRequest {
        source: "erp".into(),
        users,
        roles,
        ..pb::ImportDirectoryRequest::default()
    }
}

#[tokio::test]
async fn an_import_replaces_what_its_source_said_and_nothing_else() {
    let environment = Environment::start(vec![], 5).await;
    put(&environment, "admin", user("ours", &[]), &[]).await.unwrap();
    let first = erp(vec![user("a", &["Clerk"]), user("b", &[])], vec![role("Clerk")]);
    assert_eq!(import(&environment, first.clone()).await.unwrap(), (3, 0, 0));
    assert_eq!(import(&environment, first).await.unwrap(), (0, 0, 0));
    let second = erp(vec![user("a", &[])], vec![]);
    assert_eq!(import(&environment, second).await.unwrap(), (0, 1, 2));
    let directory = environment.context.directory();
    let names: Vec<_> = directory.users().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["a", "admin", "ours", "usmf-clerk"]);
    assert_eq!(directory.user("a").unwrap().source, Source::Erp);
}

#[tokio::test]
async fn whom_an_administrator_disabled_no_import_enables() {
    let environment = Environment::start(vec![], 5).await;
    let disabled = |disabled| pb::User { disabled, ..user("a", &[]) };
    let said = |it: bool| erp(vec![disabled(it), user("b", &[])], vec![]);
    let is_disabled = || environment.context.directory().user("a").unwrap().disabled;
    // What the source said itself, it takes back.
    for says in [true, false] {
        import(&environment, said(says)).await.unwrap();
        assert_eq!(is_disabled(), says);
    }
    for mask in [&["disabled"][..], &[]] {
        put(&environment, "admin", disabled(true), mask).await.unwrap();
        let changed = erp(vec![pb::User { display_name: "A".into(), ..disabled(false) }], vec![]);
        import(&environment, changed).await.unwrap();
        assert!(is_disabled());
        import(&environment, said(false)).await.unwrap();
        assert!(is_disabled());
        put(&environment, "admin", disabled(false), &["disabled"]).await.unwrap();
        import(&environment, said(false)).await.unwrap();
        assert!(!is_disabled());
    }
}

#[tokio::test]
async fn an_import_with_a_mistake_or_a_conflict_changes_nothing() {
    let environment = Environment::start(vec![], 5).await;
    let cases = [
        erp(vec![user("good", &[]), user("usmf-clerk", &[])], vec![]),
        erp(vec![user("good", &[]), user("admin", &[])], vec![]),
        erp(vec![user("good", &["nobody's"])], vec![]),
        erp(vec![user("good", &[])], vec![role("System administrator")]),
        erp(vec![user("good", &[]), user("Good", &[])], vec![]),
        pb::ImportDirectoryRequest { source: String::new(), ..erp(vec![], vec![]) },
        pb::ImportDirectoryRequest { source: "x".into(), ..erp(vec![], vec![]) },
    ];
    for wrong in cases {
        let status = import(&environment, wrong.clone()).await.expect_err("wrong");
        assert_eq!(reason(&status), (InvalidArgument, Some(InvalidValue)), "{wrong:?}");
        assert!(environment.context.directory().user("good").is_none());
    }
}

#[tokio::test]
async fn a_reload_takes_the_new_file_or_keeps_the_old() {
    let environment = Environment::start(vec![], 5).await;
    let file = environment.dir.path().join("users.toml");
    std::fs::write(&file, "[[users]]\nname = \"new\"\nroles = [\"Auditor\"]\n").unwrap();
    environment.context.reload().await.unwrap();
    let directory = environment.context.directory();
    assert!(directory.user("usmf-clerk").is_none());
    assert_eq!(directory.user("new").unwrap().roles, ["Auditor"]);
    assert!(mint(environment.dir.path(), "usmf-clerk", DEFAULT_LIFETIME).is_err());
    mint(environment.dir.path(), "new", DEFAULT_LIFETIME).unwrap();

    std::fs::write(&file, "[[users]]\nnames = \"new\"\n").unwrap();
    let error = environment.context.reload().await.unwrap_err().to_string();
    assert!(error.contains("users.toml:2"), "{error}");
    assert!(environment.context.directory().user("new").is_some());
}

#[tokio::test]
async fn a_restart_with_the_same_files_keeps_what_was_changed_since() {
    let environment = Environment::start(vec![], 5).await;
    let display_name = "Somebody".to_owned();
    let changed = pb::User { disabled: true, display_name, ..user("usmf-clerk", &[]) };
    put(&environment, "admin", changed, &["disabled", "display_name"]).await.unwrap();
    let restarted = environment.again(|it: Config| it).await;
    let directory = restarted.directory();
    let clerk = directory.user("usmf-clerk").unwrap();
    assert!(clerk.disabled && clerk.display_name == "Somebody");
    assert_eq!(
        clerk.system_user_id,
        environment.context.directory().user("usmf-clerk").unwrap().system_user_id
    );
    // Told to, it says again what the file says, and enables nobody whom an administrator disabled.
    restarted.reload().await.unwrap();
    let directory = restarted.directory();
    let clerk = directory.user("usmf-clerk").unwrap();
    assert!(clerk.disabled && clerk.display_name != "Somebody");
    // And a file that says something new is read at the start.
    let file = environment.dir.path().join("users.toml");
    std::fs::write(&file, "[[users]]\nname = \"new\"\n").unwrap();
    let restarted = environment.again(|it: Config| it).await;
    assert!(restarted.directory().user("new").is_some());
    assert!(restarted.directory().user("usmf-clerk").is_none());
}

#[tokio::test]
async fn the_roles_of_the_demo_model_grant_what_it_says() {
    let model = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/demo"));
    let environment = Environment::start_with(|it| Config {
        users_file: Some(model.join("users.toml")),
        model_dir: Some(model.to_owned()),
        ..it
    })
    .await;
    let request = pb::ListRolesRequest { page_size: 1000, ..pb::ListRolesRequest::default() };
    let request = environment.by("admin", request).await;
    let roles = environment.directory().list_roles(request).await.unwrap().into_inner().roles;
    let clerk = roles.iter().find(|it| it.name == "roles/Accounts receivable clerk").unwrap();
    assert_eq!(clerk.source, "model");
    assert!(!clerk.duties.is_empty());

    let clerk =
        pb::User { companies: vec!["USMF".into()], ..user("new", &["Accounts receivable clerk"]) };
    put(&environment, "admin", clerk, &[]).await.unwrap();
    let answer = environment.resolve(&environment.mint("new")).await.unwrap();
    let verifier = environment.context.verifier();
    let caller = verifier.verify(&answer.assertions["user-context"], "gateway").unwrap();
    let privileges = caller.rights.entity("CustCustomerV3Entity").privileges;
    assert!(privileges.contains(rpc::Privileges::READ.union(rpc::Privileges::UPDATE)));
    assert!(caller.rights.entity("VendVendorV2Entity").privileges.is_empty());
}
