//! Installing, configuring, uninstalling, and what is refused.

use std::fs;
use std::time::{Duration, Instant};

use rpc::ErrorReason;
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::fake::Misfortune;
use crate::world::{ENVIRONMENT, World, parameters, until};

const SET: &str = "accounts";

async fn world() -> World {
    let world = World::new().await;
    world.fake.add(SET, true);
    world
}

fn expect<T: std::fmt::Debug>(
    answer: Result<T, Status>,
    code: Code,
    reason: ErrorReason,
    text: &str,
) {
    let refused = answer.unwrap_err();
    assert_eq!((refused.code(), rpc::reason(&refused)), (code, Some(reason)), "{refused:?}");
    assert!(refused.message().contains(text), "{refused:?}");
}

#[tokio::test]
async fn what_cannot_be_exported_is_refused_by_name() {
    let world = world().await;
    world.fake.add("orders", true);
    world.fake.change("orders", |it| it.denied = true);
    let invalid = (Code::InvalidArgument, ErrorReason::ValidationFailed);
    let denied = (Code::PermissionDenied, ErrorReason::PrivilegeDenied);
    let check = async |change: &dyn Fn(&mut Value), (code, reason), text: &str| {
        let mut parameters = parameters(&[SET]);
        change(&mut parameters);
        expect(world.install(&parameters).await, code, reason, text);
    };
    check(&|it| it["tables"] = json!([SET, "nothings"]), invalid, "`nothings`").await;
    check(&|it| it["tables"] = json!(["orders"]), denied, "orders: refused with").await;
    check(&|it| it["folder"] = json!("../elsewhere"), invalid, "folder").await;
    check(&|it| it["client_secret"] = json!("missing"), invalid, "`missing`").await;
    check(&|it| it["client_id"] = json!("x"), denied, "The client's secret is wrong.").await;
    check(&|it| it["token_url"] = json!("https://evil.test/token"), invalid, "evil.test").await;
    check(&|it| it["schedule"] = json!("often"), invalid, "schedule").await;
    let elsewhere = |url: &str| {
        let (url, parameters) = (url.to_owned(), parameters(&[SET]));
        let add_in = &world.add_in;
        async move { add_in.install(ENVIRONMENT, &url, &parameters).await }
    };
    expect(elsewhere("http://org.test").await, invalid.0, invalid.1, "http://org.test");
    let unavailable = (Code::Unavailable, ErrorReason::PeerUnavailable);
    expect(elsewhere("http://127.0.0.1:1").await, unavailable.0, unavailable.1, "no connection");
    let nameless = world.add_in.install("contoso", &world.fake.url, &parameters(&[SET])).await;
    expect(nameless, invalid.0, invalid.1, "environment");
    let none = (Code::NotFound, ErrorReason::ResourceNotFound);
    expect(world.add_in.status(ENVIRONMENT).await, none.0, none.1, ENVIRONMENT);
    expect(world.add_in.configure(&parameters(&[SET])).await, none.0, none.1, ENVIRONMENT);
    assert!(!world.folder().exists());
}

#[tokio::test]
async fn a_token_url_is_used_where_one_is_given() {
    let world = world().await;
    let mut given = parameters(&[SET]);
    given["token_url"] = json!(format!("{}/tenant/oauth2/v2.0/token", world.fake.url));
    world.install(&given).await.unwrap();
    world.caught_up(SET).await;
}

#[tokio::test]
async fn a_folder_is_of_one_environment() {
    let world = world().await;
    world.install(&parameters(&[SET])).await.unwrap();
    for folder in ["contoso", "contoso/more", "Contoso"] {
        let mut other = parameters(&[SET]);
        other["folder"] = json!(folder);
        let answer =
            world.add_in.install("platformEnvironments/other", &world.fake.url, &other).await;
        expect(answer, Code::InvalidArgument, ErrorReason::ValidationFailed, folder);
    }
    let mut other = parameters(&[SET]);
    other["folder"] = json!("fabrikam");
    let answer = world.add_in.install("platformEnvironments/other", &world.fake.url, &other).await;
    answer.unwrap();
}

#[tokio::test]
async fn installing_again_changes_nothing_and_configuring_does() {
    let world = world().await;
    world.fake.add("orders", true);
    world.install(&parameters(&[SET])).await.unwrap();
    world.says("Last run").await;
    let again = world.install(&parameters(&[SET])).await.unwrap();
    assert!(again.starts_with("Last run"), "{again}");
    world.add_in.configure(&parameters(&[SET, "orders"])).await.unwrap();
    world.caught_up("orders").await;
    assert_eq!(world.reader(SET).generation(), 1);
    let mut moved = parameters(&[SET]);
    moved["folder"] = json!("moved");
    world.add_in.configure(&moved).await.unwrap();
    let elsewhere = world.dir.path().join("output/moved");
    until("the new folder", async || {
        elsewhere.join(SET).join("_manifest.json").exists().then_some(())
    })
    .await;
    // Both folders are what it stored.
    world.add_in.uninstall(true).await.unwrap();
    assert!(!world.folder().exists() && !elsewhere.exists());
}

#[tokio::test]
async fn uninstalling_stops_within_a_second_and_forgets() {
    let mut world = world().await;
    world.install(&parameters(&[SET])).await.unwrap();
    world.caught_up(SET).await;
    world.fake.content().misfortunes.push_back(Misfortune::Silence);
    until("a request without an answer", async || {
        world.fake.content().misfortunes.is_empty().then_some(())
    })
    .await;
    let begun = Instant::now();
    world.add_in.uninstall(false).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1));
    world.add_in.uninstall(false).await.unwrap();
    assert_eq!(world.reader(SET).versions(), world.fake.versions(SET));
    world.restart().await;
    assert_eq!(world.add_in.status(ENVIRONMENT).await.unwrap_err().code(), Code::NotFound);
    // What it left is its own, and it goes on with it.
    world.fake.put(SET, 3, "\"name\":\"x\"");
    world.install(&parameters(&[SET])).await.unwrap();
    world.caught_up(SET).await;
    assert_eq!(world.reader(SET).generation(), 1);
    world.add_in.uninstall(true).await.unwrap();
    assert!(!world.folder().exists());
    assert_eq!(fs::read_dir(world.dir.path().join("data/installations")).unwrap().count(), 0);
}
