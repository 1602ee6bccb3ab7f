//! Where the messages of a page go. A reader that is slow must not hold the connection they come
//! from: most pages fit into what may wait for it, and a longer one is cut when it waits for long.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt as _};
use proto::query::v1::RetrieveMultipleResponse;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Status;

/// Bytes of one page that may wait for its reader.
const ROOM: u32 = 8 << 20;
/// How long the reader may let a message wait that finds no room.
const PATIENCE: Duration = Duration::from_secs(5);

/// Messages of a page.
pub type Rows = BoxStream<'static, Result<RetrieveMultipleResponse, Status>>;

/// Kept, for a small page, or sent on.
pub(super) enum Sink {
    Kept(Vec<RetrieveMultipleResponse>),
    Sent(Outlet),
}

/// The near end of what a reader takes messages from.
#[derive(Clone)]
pub(super) struct Outlet {
    messages: UnboundedSender<Waiting>,
    room: Arc<Semaphore>,
}

/// A message and the room it takes until the reader has it.
struct Waiting {
    message: Result<RetrieveMultipleResponse, Status>,
    _room: Option<OwnedSemaphorePermit>,
}

/// The message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotSent {
    ReaderGone,
    SlowReader,
}

/// Both ends.
pub(super) fn outlet() -> (Outlet, Rows) {
    let (messages, waiting) = mpsc::unbounded_channel::<Waiting>();
    let room = Arc::new(Semaphore::new(ROOM as usize));
    let rows = UnboundedReceiverStream::new(waiting).map(|it| it.message).boxed();
    (Outlet { messages, room }, rows)
}

impl Sink {
    /// `bytes` is about how large the message is.
    pub(super) async fn push(
        &mut self,
        message: RetrieveMultipleResponse,
        bytes: usize,
    ) -> Result<(), NotSent> {
        match self {
            Self::Kept(messages) => {
                messages.push(message);
                Ok(())
            }
            Self::Sent(outlet) => outlet.send(message, bytes).await,
        }
    }
}

impl Outlet {
    async fn send(&self, message: RetrieveMultipleResponse, bytes: usize) -> Result<(), NotSent> {
        // One that is larger than all the room waits for all of it.
        let bytes = u32::try_from(bytes).unwrap_or(ROOM).min(ROOM);
        let room = Arc::clone(&self.room).acquire_many_owned(bytes);
        let room = tokio::time::timeout(PATIENCE, room).await;
        let room = room.map_err(|_| NotSent::SlowReader)?.map_err(|_| NotSent::ReaderGone)?;
        let waiting = Waiting { message: Ok(message), _room: Some(room) };
        self.messages.send(waiting).map_err(|_| NotSent::ReaderGone)
    }

    /// Ends the page. A reader that has gone away needs no error.
    pub(super) fn fail(&self, status: Status) {
        let _ = self.messages.send(Waiting { message: Err(status), _room: None });
    }
}
