//! Who is listed, to whom.

use std::time::Duration;

use proto::user_context::v1::{ListUsersRequest, ListUsersResponse};
use rpc::ErrorReason::{InvalidValue, NoCaller, PrivilegeDenied};
use tonic::Code::{InvalidArgument, PermissionDenied, Unauthenticated};
use tonic::Status;
use user_context::dev_issuer::{DEFAULT_LIFETIME, mint};

use crate::support::{Environment, reason};

async fn list(
    environment: &Environment,
    user: &str,
    page_size: i32,
    page_token: &str,
) -> Result<ListUsersResponse, Status> {
    let token = mint(environment.dir.path(), user, DEFAULT_LIFETIME).unwrap();
    let assertion = environment.resolve(&token).await.unwrap().assertion;
    let message = ListUsersRequest { page_size, page_token: page_token.into() };
    let request = rpc::request(message, &assertion, Duration::from_secs(10))?;
    environment.client.clone().list_users(request).await.map(tonic::Response::into_inner)
}

fn names(page: &ListUsersResponse) -> Vec<&str> {
    page.users.iter().map(|it| it.name.as_str()).collect()
}

#[tokio::test]
async fn an_administrator_reads_all_users_page_by_page() {
    let environment = Environment::start(vec![], 5);
    let first = list(&environment, "admin", 1, "").await.unwrap();
    assert_eq!(names(&first), ["users/admin"]);
    assert_eq!(first.users[0].companies, ["*"]);
    let second = list(&environment, "admin", 1, &first.next_page_token).await.unwrap();
    assert_eq!(names(&second), ["users/usmf-clerk"]);
    assert_eq!(second.next_page_token, "");
    let all = list(&environment, "admin", 5000, "").await.unwrap();
    assert_eq!(names(&all), ["users/admin", "users/usmf-clerk"]);
}

#[tokio::test]
async fn others_and_nonsense_are_refused() {
    let environment = Environment::start(vec![], 5);
    let status = list(&environment, "usmf-clerk", 0, "").await.expect_err("not his to see");
    assert_eq!(reason(&status), (PermissionDenied, Some(PrivilegeDenied)));
    for (size, token) in [(-1, ""), (1, "x"), (1, "dXNtZi1jbGVyaw")] {
        let status = list(&environment, "admin", size, token).await.expect_err("nonsense");
        assert_eq!(reason(&status), (InvalidArgument, Some(InvalidValue)), "{size} {token}");
    }
    let anonymous = environment.client.clone().list_users(ListUsersRequest::default()).await;
    let status = anonymous.expect_err("nobody");
    assert_eq!(reason(&status), (Unauthenticated, Some(NoCaller)));
}

#[tokio::test]
async fn a_reload_takes_the_new_file_or_keeps_the_old() {
    let environment = Environment::start(vec![], 5);
    let file = environment.dir.path().join("users.toml");
    std::fs::write(&file, "[[users]]\nname = \"new\"\n").unwrap();
    environment.context.reload().unwrap();
    let page = list(&environment, "admin", 0, "").await.unwrap();
    assert_eq!(names(&page), ["users/admin", "users/new"]);
    assert!(mint(environment.dir.path(), "usmf-clerk", DEFAULT_LIFETIME).is_err());
    mint(environment.dir.path(), "new", DEFAULT_LIFETIME).unwrap();

    std::fs::write(&file, "[[users]]\nnames = \"new\"\n").unwrap();
    let error = environment.context.reload().unwrap_err().to_string();
    assert!(error.contains("users.toml:2"), "{error}");
    assert!(environment.context.users().by_name("new").is_some());
}
