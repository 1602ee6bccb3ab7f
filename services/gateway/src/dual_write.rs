//! What dual-write shares live, and what it is asked about it. Start with [`DualWrite`].
//!
//! The gateway knows from a stream which tables are shared; until the first answer a starting gateway waits
//! a moment, and then goes on as if nothing were: what it does not share, dual-write takes from the stores'
//! logs. One that loses the stream keeps what it knew.

mod captures;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use futures::stream;
use proto::dual_write::v1 as pb;
use proto::dual_write::v1::live_sync_service_client::LiveSyncServiceClient;
use proto::query::v1::{ApplyRow, SharedRow};
use rpc::Channel;
use tokio::sync::watch;
use tonic::{Request, Status, Streaming};

pub(crate) use self::captures::{Captures, LONGEST_WAIT, side};
use crate::providers::{Store, within};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// After its start a gateway waits this long to hear what is shared.
const FIRST_ANSWER: Duration = Duration::from_secs(2);

/// The way to dual-write, where there is one.
#[derive(Debug)]
pub(crate) struct DualWrite {
    client: Option<LiveSyncServiceClient<Channel>>,
    current: ArcSwap<Captures>,
    heard: watch::Sender<bool>,
    started: Instant,
    /// Maps of whose rows a side has made more than it was told, since the maps were heard of last.
    made_more: Mutex<HashSet<String>>,
}

impl DualWrite {
    pub(crate) fn new(channel: Option<Channel>) -> Self {
        let client = |it| {
            LiveSyncServiceClient::new(it).max_decoding_message_size(rpc::LARGEST_MESSAGE_BYTES)
        };
        Self {
            heard: watch::Sender::new(channel.is_none()),
            client: channel.map(client),
            current: ArcSwap::default(),
            started: Instant::now(),
            made_more: Mutex::default(),
        }
    }

    /// What is shared, as far as it is known.
    pub(crate) async fn captures(&self, deadline: Instant) -> Arc<Captures> {
        if !*self.heard.borrow() {
            let until = deadline.min(self.started + FIRST_ANSWER);
            let mut heard = self.heard.subscribe();
            let _ = tokio::time::timeout_at(until.into(), heard.wait_for(|it| *it)).await;
        }
        self.current.load_full()
    }

    /// What the other side has to write.
    pub(crate) async fn translate(
        &self,
        source: Store,
        rows: Vec<SharedRow>,
        deadline: Instant,
    ) -> Result<Vec<ApplyRow>, Status> {
        let source = side(source).into();
        let requests = rpc::parts(rows);
        let requests = requests.map(move |rows| pb::TranslateChangesRequest { source, rows });
        let mut client = self.client()?;
        let answers = client.translate_changes(until(stream::iter(requests), deadline));
        let translated = async {
            let (mut answers, mut rows) = (answers.await?.into_inner(), Vec::new());
            while let Some(answer) = answers.message().await? {
                rows.extend(answer.rows);
            }
            Ok(rows)
        };
        within(deadline, translated).await
    }

    /// Whether the whole is to be run again.
    pub(crate) async fn report(
        &self,
        failure: pb::ReportFailureRequest,
        deadline: Instant,
    ) -> Result<bool, Status> {
        let mut client = self.client()?;
        let answer = client.report_failure(until(failure, deadline));
        Ok(within(deadline, answer).await?.into_inner().queued)
    }

    /// A side has made more of what these maps shared than it was told.
    pub(crate) fn made_more<'a>(&self, maps: impl Iterator<Item = &'a String>) {
        self.of_which_more_was_made().extend(maps.cloned());
    }

    /// It may be expected to do so again.
    pub(crate) fn makes_more<'a>(&self, mut maps: impl Iterator<Item = &'a String>) -> bool {
        let known = self.of_which_more_was_made();
        maps.any(|it| known.contains(it))
    }

    fn of_which_more_was_made(&self) -> MutexGuard<'_, HashSet<String>> {
        self.made_more.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears what is shared, until the task is aborted.
    pub(crate) async fn follow(self: Arc<Self>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.subscribe().await {
                Ok(stream) => self.drain(stream, &mut pause).await,
                Err(status) => status,
            };
            tracing::warn!(error = %error, "lost what dual-write shares; connecting again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    pub(crate) fn is_there(&self) -> bool {
        self.client.is_some()
    }

    async fn subscribe(&self) -> Result<Streaming<pb::WatchCapturesResponse>, Status> {
        let answer = self.client()?.watch_captures(pb::WatchCapturesRequest {}).await?;
        Ok(answer.into_inner())
    }

    /// Returns why it ended.
    async fn drain(
        &self,
        mut stream: Streaming<pb::WatchCapturesResponse>,
        pause: &mut Duration,
    ) -> Status {
        loop {
            match stream.message().await {
                Ok(Some(captures)) => {
                    *pause = FIRST_PAUSE;
                    self.current.store(Arc::new(Captures::new(captures)));
                    self.of_which_more_was_made().clear();
                    self.heard.send_replace(true);
                }
                Ok(None) => return Status::unavailable("the stream ended"),
                Err(status) => return status,
            }
        }
    }

    fn client(&self) -> Result<LiveSyncServiceClient<Channel>, Status> {
        self.client.clone().ok_or_else(|| Status::unavailable("there is no dual-write"))
    }
}

/// Of no user: that it is the gateway's is what dual-write wants to know.
fn until<T>(message: T, deadline: Instant) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline.saturating_duration_since(Instant::now()));
    request
}
