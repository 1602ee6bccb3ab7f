//! Two replicas over one directory: what one changes, the other's verifiers know.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proto::user_context::v1 as pb;
use rpc::{AssertionVerifier, InvalidAssertion, SigningKey};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tonic::Streaming;
use user_context::{Config, Directory, UserContext};

use crate::directory::{put, user};
use crate::support::{Client, Environment, channel, resolve, soon};

/// Stated: a change is known this soon where Redis tells of it, and where nobody can.
const TOLD: Duration = Duration::from_secs(1);
const ASKED: Duration = Duration::from_secs(6);

/// A Redis of the test's own, behind a socket in a directory of its own.
struct Redis {
    dir: TempDir,
    server: Child,
}

impl Redis {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Self::run(&dir).await;
        Self { dir, server }
    }

    async fn run(dir: &TempDir) -> Child {
        let mut command = Command::new("redis-server");
        command.current_dir(dir.path()).kill_on_drop(true).stdout(Stdio::piped());
        command.args(["--port", "0", "--unixsocket", "redis.sock", "--save", ""]);
        let mut server = command.spawn().expect("redis-server; scripts/redis.sh installs it");
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        soon(async {
            loop {
                let line = lines.next_line().await.unwrap().expect("ready before its end");
                if line.contains("Ready to accept connections") || line.contains("ready to accept")
                {
                    break;
                }
            }
        })
        .await;
        // Nobody reads the rest; it must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        server
    }

    fn url(&self) -> String {
        format!("redis+unix://{}", self.dir.path().join("redis.sock").display())
    }

    async fn stop(&mut self) {
        self.server.kill().await.unwrap();
    }

    /// Returns when both replicas listen again.
    async fn restart(&mut self) {
        self.server = Self::run(&self.dir).await;
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let listening = async {
            loop {
                let count: (String, i64) = redis::cmd("PUBSUB")
                    .arg("NUMSUB")
                    .arg("tombolo:default:user-context:revision")
                    .query_async(&mut connection)
                    .await
                    .unwrap();
                if count.1 == 2 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        soon(listening).await;
    }
}

/// A service that trusts what the other replica says.
struct Watcher {
    news: Streaming<pb::WatchTrustResponse>,
    verifier: AssertionVerifier,
}

impl Watcher {
    async fn of(context: &UserContext) -> Self {
        let mut client = Client::new(channel(context));
        let news = client.watch_trust(pb::WatchTrustRequest {}).await.unwrap().into_inner();
        let mut watcher = Self { news, verifier: AssertionVerifier::new("query") };
        watcher.hear().await;
        watcher
    }

    async fn hear(&mut self) {
        let news = soon(self.news.message()).await.unwrap().unwrap();
        self.verifier.apply(&news).unwrap();
    }

    /// How long after a change by `environment` an assertion made by `other` is refused.
    async fn time_to_revoke(&mut self, environment: &Environment, other: &UserContext) -> Duration {
        let enabled = pb::User { disabled: false, ..user("usmf-clerk", &[]) };
        put(environment, "admin", enabled, &["disabled"]).await.unwrap();
        let token = environment.mint("usmf-clerk");
        // It has to be told of the user's being back first.
        let mut directories = other.changes();
        let is_back = |it: &Arc<Directory>| it.user("usmf-clerk").is_some_and(|it| !it.disabled);
        soon(directories.wait_for(is_back)).await.unwrap();
        let answer = resolve(other, &token, None).await.unwrap();
        let assertion = answer.assertions["query"].clone();
        while self.verifier.verify(&assertion, "gateway").is_err() {
            self.hear().await;
        }
        let disabled = pb::User { disabled: true, ..user("usmf-clerk", &[]) };
        put(environment, "admin", disabled, &["disabled"]).await.unwrap();
        let acknowledged = Instant::now();
        while self.verifier.verify(&assertion, "gateway").is_ok() {
            self.hear().await;
        }
        let refused = self.verifier.verify(&assertion, "gateway");
        assert_eq!(refused, Err(InvalidAssertion::Revoked));
        assert!(resolve(other, &token, None).await.is_err());
        acknowledged.elapsed()
    }
}

/// Two replicas that share a key, as they must.
async fn replicas(redis: Option<&Redis>) -> (Environment, UserContext) {
    let url = redis.map(Redis::url);
    let keys = tempfile::tempdir().unwrap();
    let path = keys.path().join("assertion.key");
    std::fs::write(&path, SigningKey::generate().unwrap().1).unwrap();
    let settings =
        |it| Config { redis_url: url.clone(), assertion_key_file: Some(path.clone()), ..it };
    let one = Environment::start_with(settings).await;
    let other = one.again(settings).await;
    (one, other)
}

#[tokio::test]
async fn a_revocation_is_known_on_every_replica_within_a_second() {
    let redis = Redis::start().await;
    let (one, other) = replicas(Some(&redis)).await;
    let mut watcher = Watcher::of(&other).await;
    for _ in 0..3 {
        let taken = watcher.time_to_revoke(&one, &other).await;
        assert!(taken < TOLD, "{taken:?}");
    }
}

#[tokio::test]
async fn without_redis_it_is_known_within_the_stated_bound() {
    let (one, other) = replicas(None).await;
    let mut watcher = Watcher::of(&other).await;
    let taken = watcher.time_to_revoke(&one, &other).await;
    assert!(taken < ASKED, "{taken:?}");
}

#[tokio::test]
async fn a_redis_that_is_lost_is_found_again() {
    let mut redis = Redis::start().await;
    let (one, other) = replicas(Some(&redis)).await;
    let mut watcher = Watcher::of(&other).await;
    redis.stop().await;
    let taken = watcher.time_to_revoke(&one, &other).await;
    assert!(taken < ASKED, "{taken:?}");
    redis.restart().await;
    let taken = watcher.time_to_revoke(&one, &other).await;
    assert!(taken < TOLD, "{taken:?}");
}
