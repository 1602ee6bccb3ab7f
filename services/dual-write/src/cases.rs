//! Tests that need a database each and share one PostgreSQL: its start takes longer than most of them.
//!
//! Cases run side by side, for what they do most is wait. `CASES=part_of_a_name` runs only some.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cluster::Scratch;
use futures::future::LocalBoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// No case takes longer unless something hangs.
const LIMIT: Duration = Duration::from_secs(120);
const AT_ONCE: usize = 2;
const TEMPLATE: &str = "template";

/// A PostgreSQL whose databases all begin alike.
pub(crate) struct Databases {
    scratch: Scratch,
    made: AtomicU32,
}

/// What is tested, and how.
pub(crate) type Case = (&'static str, for<'a> fn(&'a Databases) -> LocalBoxFuture<'a, ()>);

/// Makes one test of `async fn(&Databases)`s.
macro_rules! cases {
    ($prepare:expr => $($case:ident),+ $(,)?) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn cases() {
            let cases: &[$crate::cases::Case] =
                &[$((stringify!($case), |databases| Box::pin($case(databases)))),+];
            let databases = $crate::cases::Databases::start($prepare).await;
            Box::pin(databases.run(cases)).await;
        }
    };
}

pub(crate) use cases;

// === impl Databases ===

impl Databases {
    /// `prepare` makes what every database begins with, and leaves no connection behind.
    pub(crate) async fn start(prepare: impl AsyncFnOnce(String)) -> Self {
        let scratch = Scratch::start().await.unwrap();
        prepare(scratch.database(TEMPLATE).await.unwrap()).await;
        Self { scratch, made: AtomicU32::new(0) }
    }

    /// The URL of a new one.
    pub(crate) async fn database(&self) -> String {
        let name = format!("case_{}", self.made.fetch_add(1, Ordering::Relaxed));
        let cluster = self.scratch.cluster();
        let mut connection = PgConnection::connect(&cluster.url("postgres")).await.unwrap();
        let sql = format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        cluster.url(&name)
    }

    /// Runs all cases, and fails when one of them did.
    pub(crate) async fn run(&self, cases: &[Case]) {
        let wanted = std::env::var("CASES").unwrap_or_default();
        let wanted = cases.iter().filter(|(name, _)| name.contains(&wanted));
        let running = wanted.map(async |(name, case)| (*name, self.outcome(*case).await));
        let outcomes: Vec<_> =
            futures::stream::iter(running).buffer_unordered(AT_ONCE).collect().await;
        assert!(!outcomes.is_empty(), "no case has such a name");
        let failed: Vec<_> = outcomes
            .into_iter()
            .filter_map(|(name, outcome)| Some(format!("{name}: {}", outcome.err()?)))
            .collect();
        assert!(failed.is_empty(), "of {} cases these failed:\n{}", cases.len(), failed.join("\n"));
    }

    async fn outcome(
        &self,
        case: for<'a> fn(&'a Databases) -> LocalBoxFuture<'a, ()>,
    ) -> Result<(), String> {
        let body = AssertUnwindSafe(tokio::time::timeout(LIMIT, case(self))).catch_unwind();
        match body.await {
            Ok(done) => done.map_err(|_| format!("not done within {LIMIT:?}")),
            Err(panic) => Err(text(&*panic)),
        }
    }
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}
