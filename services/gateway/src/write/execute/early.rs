//! The other store's transaction, opened beside the user's own writes where these are of tables that are shared: most
//! of them have something to say to it.

use futures::future::BoxFuture;
use tonic::Status;

use super::stream::Transaction;
use super::{Context, reads_only};
use crate::providers::Store;

/// A transaction that may be needed.
pub(super) enum Early<'a> {
    Opening(BoxFuture<'a, Result<Box<Transaction>, Status>>),
    Open(Result<Box<Transaction>, Status>),
    None,
}

impl<'a> Early<'a> {
    /// Of the store that is not written to, where the steps write to one only. Not before it is polled.
    pub(super) fn of(context: Context<'a>) -> Self {
        let writes = || context.steps.iter().filter(|it| !reads_only(it));
        let stores = || writes().filter_map(|it| Store::of(it.table.source));
        let (Some(own), true) = (stores().next(), writes().any(|it| context.is_shared(it))) else {
            return Self::None;
        };
        match stores().all(|it| it == own) {
            true => Self::Opening(Box::pin(open(context, own.other()))),
            false => Self::None,
        }
    }

    /// Does the work, and opens the transaction meanwhile.
    pub(super) async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        if let Self::Opening(opening) = self {
            tokio::select! {
                biased;
                done = &mut work => return done,
                opened = opening => *self = Self::Open(opened),
            }
        }
        if let Self::Open(Ok(transaction)) = self {
            match transaction.meanwhile(work.as_mut()).await {
                Ok(done) => return done,
                Err(status) => *self = Self::Open(Err(status)),
            }
        }
        work.await
    }

    /// The transaction, if there is to be one.
    pub(super) async fn take(&mut self) -> Option<Result<Box<Transaction>, Status>> {
        match std::mem::replace(self, Self::None) {
            Self::Opening(opening) => Some(opening.await),
            Self::Open(opened) => Some(opened),
            Self::None => None,
        }
    }

    /// Nobody needs it.
    pub(super) fn leave(self) {
        if let Self::Open(Ok(transaction)) = self {
            transaction.leave();
        }
    }
}

async fn open(context: Context<'_>, store: Store) -> Result<Box<Transaction>, Status> {
    let Context { ways, call, captures, .. } = context;
    let names = context.steps.iter().map(|it| it.table.external_name.as_str()).collect();
    // Nobody waits for it longer than for the user's own writes, and then as long as the maps let it.
    let latest = call.deadline + captures.patience(captures.maps_of(store.other(), &names));
    let mut transaction = Transaction::begin(&ways.providers, (call, latest), store).await?;
    transaction.begun().await?;
    Ok(transaction)
}
