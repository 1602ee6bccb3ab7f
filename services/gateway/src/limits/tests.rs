use std::process::Stdio;
use std::time::Duration;

use proptest::prelude::*;
use tokio::process::{Child, Command};
use uuid::Uuid;

use super::memory::Memory;
use super::redis::Redis;
use super::usage::{Exceeded, Limit};
use super::{Limiter, Limits, RedisUrl};
use crate::Config;
use crate::callers::Session;

const USER: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);
const LEASE: Duration = Duration::from_secs(90);
/// Any moment.
const START: u64 = 1_700_000_000_000;

fn limits(requests: u32, execution_seconds: u32, concurrent: u32) -> Limits {
    Limits { requests, execution_seconds, concurrent, window_seconds: 300 }
}

/// A Redis of its own, for as long as it is held.
struct Server {
    process: Child,
    folder: tempfile::TempDir,
}

impl Server {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = Self::run(&folder);
        let server = Self { process, folder };
        server.answers().await;
        server
    }

    fn run(folder: &tempfile::TempDir) -> Child {
        Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket", "socket"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("redis-server is installed")
    }

    async fn answers(&self) {
        let client = ::redis::Client::open(self.url()).unwrap();
        let connected = async {
            while client.get_multiplexed_async_connection().await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), connected).await.unwrap();
    }

    fn url(&self) -> String {
        format!("redis+unix://{}/socket", self.folder.path().display())
    }

    async fn limiter(&self) -> Redis {
        let redis = Redis::new(&self.url(), "test", LEASE).unwrap();
        // It connects with the first question, which may well be too late.
        let connected = async {
            let mut now = START;
            while redis.begin(Uuid::nil(), Uuid::new_v4(), &limits(9, 9, 9), now).await.is_none() {
                now += 10_000;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), connected).await.unwrap();
        redis
    }
}

/// Who admits requests, and what its turns are called.
enum Counter {
    Memory(Memory),
    /// One for each gateway, taking turns.
    Redis(Vec<Redis>, usize),
}

impl Counter {
    async fn begin(&mut self, limits: &Limits, now: u64) -> Result<(usize, Uuid), Exceeded> {
        let lease = Uuid::new_v4();
        match self {
            Self::Memory(memory) => memory.begin(USER, limits, now).admitted.map(|_| (0, lease)),
            Self::Redis(all, next) => {
                *next = (*next + 1) % all.len();
                let judged = all[*next].begin(USER, lease, limits, now).await;
                judged.expect("Redis answers").admitted.map(|_| (*next, lease))
            }
        }
    }

    async fn end(&self, (at, lease): (usize, Uuid), limits: &Limits, took: u64, now: u64) {
        match self {
            Self::Memory(memory) => {
                memory.leave(USER);
                memory.spend(USER, limits, took, now);
            }
            Self::Redis(all, _) => all[at].end(USER, lease, limits, took, now).await,
        }
    }
}

/// What is true wherever it is counted.
async fn counts(mut counter: Counter) {
    let few = limits(3, 10, 2);
    let first = counter.begin(&few, START).await.unwrap();
    let second = counter.begin(&few, START).await.unwrap();
    let refused = counter.begin(&few, START).await.unwrap_err();
    assert_eq!((refused.limit, refused.retry_after.as_secs()), (Limit::Concurrent, 1));
    let again = counter.begin(&few, START).await.unwrap_err();
    assert_eq!(again.retry_after.as_secs(), 2, "grows while nobody waits");
    counter.end(first, &few, 1_000, START).await;
    counter.end(second, &few, 1_000, START).await;
    let third = counter.begin(&few, START + 100_000).await.unwrap();
    counter.end(third, &few, 1_000, START + 100_000).await;
    let refused = counter.begin(&few, START + 200_000).await.unwrap_err();
    assert_eq!(refused.limit, Limit::Requests);
    assert_eq!(refused.retry_after.as_secs().div_ceil(10), 11, "{:?}", refused.retry_after);
    // What was first has left the window; what came later has not.
    let later = START + 306_000;
    for _ in 0..2 {
        let turn = counter.begin(&few, later).await.unwrap();
        counter.end(turn, &few, 5_000, later).await;
    }
    let refused = counter.begin(&limits(9, 10, 2), later).await.unwrap_err();
    assert_eq!(refused.limit, Limit::ExecutionTime);
    let much_later = later + 700_000;
    assert!(counter.begin(&few, much_later).await.is_ok());
}

#[tokio::test]
async fn memory_counts_what_slides_out_of_the_window() {
    counts(Counter::Memory(Memory::new(limits(3, 10, 2)))).await;
}

#[tokio::test]
async fn gateways_that_share_a_redis_count_together() {
    let server = Server::start().await;
    let both = vec![server.limiter().await, server.limiter().await];
    counts(Counter::Redis(both, 0)).await;
}

#[tokio::test]
async fn places_of_a_gateway_that_was_killed_come_free() {
    let server = Server::start().await;
    let one = limits(9, 9, 1);
    let killed = server.limiter().await;
    killed.begin(USER, Uuid::new_v4(), &one, START).await.unwrap().admitted.unwrap();
    drop(killed);
    let other = server.limiter().await;
    let refused = other.begin(USER, Uuid::new_v4(), &one, START + 80_000).await.unwrap();
    assert_eq!(refused.admitted.unwrap_err().limit, Limit::Concurrent);
    assert!(other.begin(OTHER, Uuid::new_v4(), &one, START).await.unwrap().admitted.is_ok());
    let freed = other.begin(USER, Uuid::new_v4(), &one, START + 91_000).await.unwrap();
    assert!(freed.admitted.is_ok());
}

#[tokio::test]
async fn a_redis_that_is_away_or_hangs_costs_next_to_nothing() {
    let mut server = Server::start().await;
    let redis = server.limiter().await;
    let some = limits(9, 9, 9);
    let asked = async |now: u64| {
        let begun = std::time::Instant::now();
        let judged = redis.begin(USER, Uuid::new_v4(), &some, now).await;
        (judged.is_some(), begun.elapsed())
    };
    let signal = async |name: &str| {
        let id = server.process.id().unwrap().to_string();
        assert!(Command::new("kill").args([name, &id]).status().await.unwrap().success());
    };
    signal("-STOP").await;
    let (answered, took) = asked(START).await;
    assert!(!answered && took < Duration::from_secs(1), "{took:?}");
    // It is left alone for a moment.
    assert!(!asked(START + 999).await.0);
    signal("-CONT").await;
    server.process.kill().await.unwrap();
    assert!(!asked(START + 5_000).await.0);
    server.process = Server::run(&server.folder);
    server.answers().await;
    let back = async {
        let mut now = START + 10_000;
        while !asked(now).await.0 {
            now += 10_000;
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), back).await.unwrap();
}

#[test]
fn what_cannot_be_a_redis_is_no_setting() {
    for bad in ["", "redis", "http://:s3cret@x", "localhost:6379"] {
        let error = RedisUrl::try_from(bad.to_owned()).unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    for good in ["redis://:s3cret@localhost:6379/1", "rediss://x:6380", "redis+unix:///x"] {
        let url = RedisUrl::try_from(good.to_owned()).unwrap();
        assert_eq!(format!("{url:?}"), "RedisUrl(..)");
    }
}

#[tokio::test]
async fn work_behind_a_request_takes_no_place() {
    let mut config = Config::new(String::new(), String::new(), Vec::new());
    config.limits = Some(limits(9, 9, 1));
    let limiter = Limiter::new(&config);
    let session = Session::of_nobody();
    let aside = limiter.aside(&session);
    let turn = limiter.begin(&session).await.unwrap();
    drop(aside);
    assert!(limiter.begin(&session).await.is_err(), "the turn goes on");
    drop(turn);
    assert!(limiter.begin(&session).await.is_ok());
}

proptest! {
    /// However requests come, no window has more of them than is allowed, nor more at once.
    #[test]
    fn no_window_has_too_many(
        pauses in prop::collection::vec((0_u64..20_000, any::<bool>()), 1..200),
        most in 1_u32..20,
    ) {
        let limits = limits(most, 1_000, 5);
        let memory = Memory::new(limits);
        let (mut now, mut running) = (START, 0_u32);
        let mut admitted: Vec<u64> = Vec::new();
        for (pause, ends) in pauses {
            now += pause;
            if ends && running > 0 {
                memory.leave(USER);
                memory.spend(USER, &limits, pause, now);
                running -= 1;
                continue;
            }
            let recent = admitted.iter().filter(|it| now - **it < 300_000).count();
            match memory.begin(USER, &limits, now).admitted {
                Ok(remaining) => {
                    admitted.push(now);
                    running += 1;
                    prop_assert!(recent < most as usize && running <= 5);
                    prop_assert!(remaining.requests < u64::from(most));
                }
                Err(it) => {
                    prop_assert!((1..=300).contains(&it.retry_after.as_secs()));
                    prop_assert!(it.limit != Limit::Concurrent || running == 5);
                }
            }
        }
    }
}
