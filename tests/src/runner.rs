//! Runs named cases one after the other and says how each went.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use futures::FutureExt as _;

/// No case takes longer than this unless something hangs.
const LIMIT: Duration = Duration::from_secs(180);

/// What a case does.
pub type Body<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// A case over a world `W` that others share.
pub struct Case<W> {
    /// `it::module::function`.
    pub name: &'static str,
    /// The function.
    pub run: for<'a> fn(&'a W) -> Body<'a>,
}

impl<W> std::fmt::Debug for Case<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Cases from functions `async fn(&World) -> Result<()>`.
#[macro_export]
macro_rules! cases {
    ($world:ty: $($function:path),+ $(,)?) => {{
        let cases: &[$crate::runner::Case<$world>] = &[$($crate::runner::Case {
            name: concat!(module_path!(), "::", stringify!($function)),
            run: |world| Box::pin($function(world)),
        }),+];
        cases
    }};
}

/// What ran, and what of it failed.
#[derive(Debug)]
pub struct Runner {
    filter: Option<String>,
    started: Instant,
    passed: usize,
    failed: Vec<String>,
}

impl Runner {
    /// Takes the first argument that is no option as a filter on names. What cargo-nextest asks for
    /// with `--exact` is everything.
    #[must_use]
    pub fn from_arguments() -> Self {
        let everything = std::env::args().any(|it| it == "--exact");
        let filter = std::env::args().skip(1).find(|it| !it.starts_with('-') && !everything);
        Self { filter, started: Instant::now(), passed: 0, failed: Vec::new() }
    }

    /// Whether a case of this name is to run.
    #[must_use]
    pub fn wants(&self, name: &str) -> bool {
        self.filter.as_ref().is_none_or(|it| name.contains(it.as_str()))
    }

    /// Whether any of these is to run, so that their world must be made.
    #[must_use]
    pub fn wants_any<W>(&self, cases: &[Case<W>]) -> bool {
        cases.iter().any(|it| self.wants(it.name))
    }

    /// Runs those of the cases that are wanted.
    pub async fn run_all<W>(&mut self, world: &W, cases: &[Case<W>]) {
        for case in cases {
            if self.wants(case.name) {
                self.run(case.name, (case.run)(world)).await;
            }
        }
    }

    /// Runs one case. A panic is a failure like any other.
    pub async fn run(&mut self, name: &str, body: impl Future<Output = Result<()>>) {
        let name = name.strip_prefix("it::").unwrap_or(name);
        let started = Instant::now();
        let outcome = AssertUnwindSafe(tokio::time::timeout(LIMIT, body)).catch_unwind().await;
        let outcome = match outcome {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(anyhow!("not done within {LIMIT:?}")),
            Err(panic) => Err(anyhow!("panicked: {}", panic_text(panic.as_ref()))),
        };
        let took = started.elapsed().as_millis();
        match outcome {
            Ok(()) => {
                self.passed += 1;
                println!("ok      {name} ({took} ms)");
            }
            Err(error) => {
                println!("FAILED  {name} ({took} ms)\n        {error:#}");
                self.failed.push(name.to_owned());
            }
        }
    }

    /// Makes a world; that it cannot be made is a failure of its own.
    pub async fn world<W>(
        &mut self,
        name: &str,
        make: impl Future<Output = Result<W>>,
    ) -> Option<W> {
        let mut world = None;
        self.run(name, async {
            world = Some(make.await?);
            Ok(())
        })
        .await;
        world
    }

    /// Says what happened. Fails when a case did, and when nothing ran at all.
    #[must_use]
    pub fn finish(self) -> ExitCode {
        let Self { passed, failed, started, .. } = self;
        let seconds = started.elapsed().as_secs();
        println!("\n{passed} passed, {} failed in {seconds} s", failed.len());
        for name in &failed {
            println!("  failed: {name}");
        }
        if failed.is_empty() && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_else(|| "no message".to_owned())
}
