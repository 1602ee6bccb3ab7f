//! Initial syncs, and how far they are.

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::Result;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use proto::dual_write::v1 as pb;
use tonic::Code;

use super::{DualWrite, entries, map_name, parent, values};
use crate::cli::RunCommand;
use crate::client::{self, PAGE_SIZE, explain};
use crate::exit::{Exit, Failure};
use crate::print::{Table, note, plain, span, when, word};
use crate::system::told;

/// A watch that ended without the run's end is begun again after this.
const AGAIN: Duration = Duration::from_millis(500);
const BAR: &str = "{prefix:30} {bar:20} {percent:>3}%  {msg}";

impl DualWrite {
    pub(super) async fn run(&self, command: RunCommand) -> Result<()> {
        match command {
            RunCommand::List { map } => self.runs(map.as_deref()).await,
            RunCommand::Watch { run } => {
                let name = self.run_name(&run).await?;
                if self.write.no_wait {
                    let run = self.get_run(name).await?;
                    return self
                        .output
                        .list(std::slice::from_ref(&run), || table(std::slice::from_ref(&run)));
                }
                self.follow(vec![name]).await
            }
            RunCommand::Resume { run } => {
                let name = self.run_name(&run).await?;
                let idempotency_key = self.write.key();
                let request = pb::ResumeInitialSyncRequest { name: name.clone(), idempotency_key };
                self.system.initial_syncs().resume_initial_sync(request).await.map_err(explain)?;
                self.begun(name).await
            }
            RunCommand::Cancel { run } => {
                let (name, idempotency_key) = (self.run_name(&run).await?, self.write.key());
                let request = pb::CancelInitialSyncRequest { name, idempotency_key };
                let answer = self.system.initial_syncs().cancel_initial_sync(request).await;
                let run = told(answer.map_err(explain)?.into_inner().initial_sync)?;
                self.output.one(&run, || table(std::slice::from_ref(&run)).to_string())
            }
            RunCommand::Accept { run } => {
                let (name, idempotency_key) = (self.run_name(&run).await?, self.write.key());
                let request = pb::AcceptInitialSyncRequest { name, idempotency_key };
                let answer = self.system.initial_syncs().accept_initial_sync(request).await;
                let run = told(answer.map_err(explain)?.into_inner().initial_sync)?;
                self.output.one(&run, || table(std::slice::from_ref(&run)).to_string())
            }
            RunCommand::Errors { run } => self.run_errors(&run).await,
            RunCommand::Retry { run, errors } => self.retry_rows(&run, &errors).await,
        }
    }

    async fn runs(&self, map: Option<&str>) -> Result<()> {
        let runs = self.all_runs(parent(map)).await?;
        self.output.list(&runs, || table(&runs))
    }

    async fn all_runs(&self, parent: String) -> Result<Vec<pb::InitialSync>> {
        let mut client = self.system.initial_syncs();
        client::every(async |page_token| {
            let (parent, page_size) = (parent.clone(), PAGE_SIZE);
            let request = pb::ListInitialSyncsRequest { parent, page_size, page_token };
            let page = client.list_initial_syncs(request).await?.into_inner();
            Ok((page.initial_syncs, page.next_page_token))
        })
        .await
    }

    /// The run that is named, or the newest of the map.
    async fn run_name(&self, run: &str) -> Result<String> {
        let name = map_name(run);
        if name.contains("/initialSyncs/") {
            return Ok(name);
        }
        let newest = self.all_runs(name).await?.into_iter().next();
        let none = || Failure::of(Exit::NotFound, format!("{run} has no initial sync"));
        Ok(newest.ok_or_else(none)?.name)
    }

    async fn get_run(&self, name: String) -> Result<pb::InitialSync> {
        let request = pb::GetInitialSyncRequest { name };
        let answer = self.system.initial_syncs().get_initial_sync(request).await;
        told(answer.map_err(explain)?.into_inner().initial_sync)
    }

    async fn begun(&self, name: String) -> Result<()> {
        if self.write.no_wait {
            let run = self.get_run(name).await?;
            return self.output.one(&run, || table(std::slice::from_ref(&run)).to_string());
        }
        self.follow(vec![name]).await
    }

    async fn run_errors(&self, run: &str) -> Result<()> {
        let parent = self.run_name(run).await?;
        let mut client = self.system.initial_syncs();
        let errors = client::every(async |page_token| {
            let request = pb::ListInitialSyncErrorsRequest {
                parent: parent.clone(),
                page_size: PAGE_SIZE,
                page_token,
                ..Default::default()
            };
            let page = client.list_initial_sync_errors(request).await?.into_inner();
            Ok((page.errors, page.next_page_token))
        });
        let errors = errors.await?;
        self.output.list(&errors, || {
            Table::new(&["ERROR", "ROW", "RETRY", "WHY"]).rows(errors.iter().map(|it| {
                let retry = word::<pb::RetryState>(it.retry_state);
                let record = values::record(it.record.as_ref());
                vec![plain(&it.name).to_owned(), record, retry, values::error(it.error.as_ref())]
            }))
        })
    }

    async fn retry_rows(&self, run: &str, errors: &[String]) -> Result<()> {
        let parent = self.run_name(run).await?;
        let names = entries(&parent, "errors", errors);
        let idempotency_key = self.write.key();
        let request = pb::RetryInitialSyncErrorsRequest { parent, names, idempotency_key };
        let answer = self.system.initial_syncs().retry_initial_sync_errors(request).await;
        let queued = answer.map_err(explain)?.into_inner().queued_count;
        self.output.value(
            || serde_json::json!({ "queued_count": queued }),
            || format!("{queued} rows are tried again"),
        )
    }

    /// Shows how far runs are until all have ended; who stops following stops nothing.
    pub(super) async fn follow(&self, names: Vec<String>) -> Result<()> {
        let lines = MultiProgress::new();
        let mut watches = Vec::with_capacity(names.len());
        for name in names {
            watches.push(self.watch(name, &lines));
        }
        let followed = tokio::select! {
            it = futures::future::try_join_all(watches) => it?,
            _ = tokio::signal::ctrl_c() => {
                let message = "not followed any more; it goes on, see: tombolo dual-write run list";
                return Err(Failure::of(Exit::Failed, message));
            }
        };
        self.output.list(&followed, || table(&followed))?;
        ended(&followed)
    }

    async fn watch(&self, name: String, lines: &MultiProgress) -> Result<pb::InitialSync> {
        let mut display = Display::new(&name, lines);
        loop {
            let request = pb::WatchInitialSyncRequest { name: name.clone() };
            let mut stream = match self.system.initial_syncs().watch_initial_sync(request).await {
                Ok(it) => it.into_inner(),
                Err(it) if is_passing(it.code()) => {
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
                Err(it) => return Err(explain(it)),
            };
            while let Ok(Some(answer)) = stream.message().await {
                let run = told(answer.initial_sync)?;
                display.show(&run);
                if !is_going_on(&run) {
                    display.finish();
                    return Ok(run);
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

fn is_passing(code: Code) -> bool {
    matches!(code, Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown)
}

fn is_going_on(run: &pb::InitialSync) -> bool {
    use pb::InitialSyncState as It;
    matches!(run.state(), It::Unspecified | It::Pending | It::Running | It::PatchingLookups)
}

fn ended(runs: &[pb::InitialSync]) -> Result<()> {
    use pb::InitialSyncState as It;
    for run in runs {
        let name = plain_run(&run.name);
        match run.state() {
            It::Failed => {
                let why = values::error(run.failure.as_ref());
                let message = format!("{why}\nGo on with: tombolo dual-write run resume {name}");
                return Err(Failure::of(Exit::Resumable, message));
            }
            It::CompletedWithErrors => {
                let errors = run.counts.unwrap_or_default().error_count;
                let message = format!(
                    "{errors} rows failed, and the map waits: see tombolo dual-write run errors {name}, \
                     then retry them, or accept the run"
                );
                return Err(Failure::of(Exit::Resumable, message));
            }
            It::Cancelled => {
                return Err(Failure::of(Exit::Failed, format!("{name} was cancelled")));
            }
            _ => {}
        }
    }
    Ok(())
}

/// `customers-v3-accounts/initialSyncs/1`.
fn plain_run(name: &str) -> &str {
    name.strip_prefix("maps/").unwrap_or(name)
}

fn table(runs: &[pb::InitialSync]) -> Table {
    let head = ["RUN", "STATE", "ROWS", "INSERTED", "UPDATED", "EQUAL", "ERRORS", "BEGAN"];
    Table::new(&head).numbers(&[2, 3, 4, 5, 6]).rows(runs.iter().map(|it| {
        let counts = it.counts.unwrap_or_default();
        vec![
            plain_run(&it.name).to_owned(),
            word::<pb::InitialSyncState>(it.state),
            counts.exported_count.to_string(),
            counts.inserted_count.to_string(),
            counts.updated_count.to_string(),
            counts.unchanged_count.to_string(),
            counts.error_count.to_string(),
            when(it.start_time.as_ref()),
        ]
    }))
}

/// A bar for each run where somebody looks, else a line for each state.
struct Display {
    name: String,
    bar: Option<ProgressBar>,
    said: i32,
}

impl Display {
    fn new(name: &str, lines: &MultiProgress) -> Self {
        let name = name.split('/').nth(1).unwrap_or(name).to_owned();
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(BAR);
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            lines.add(ProgressBar::new(0).with_style(style).with_prefix(name.clone()))
        });
        Self { name, bar, said: 0 }
    }

    fn show(&mut self, run: &pb::InitialSync) {
        let counts = run.counts.unwrap_or_default();
        let state = word::<pb::InitialSyncState>(run.state);
        let Some(bar) = &self.bar else {
            if std::mem::replace(&mut self.said, run.state) != run.state {
                note(&format!("{}: {state}", self.name));
            }
            return;
        };
        bar.set_length(u64::try_from(counts.total_count).unwrap_or_default());
        bar.set_position(u64::try_from(counts.exported_count).unwrap_or_default());
        let left = run.remaining_duration.map(|it| format!(", {} left", span(it)));
        let rate = format!("{:.0} rows/s", run.rows_per_second);
        bar.set_message(format!("{state}, {rate}{}", left.unwrap_or_default()));
    }

    fn finish(self) {
        if let Some(bar) = self.bar {
            bar.abandon();
        }
    }
}
