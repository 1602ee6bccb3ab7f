//! Keeps an [`AssertionVerifier`] supplied with what user-context says of assertions: its keys, what roles
//! grant, and whose assertions are revoked.

use std::sync::Arc;
use std::time::Duration;

use proto::user_context::v1::WatchTrustRequest;
use proto::user_context::v1::user_context_service_client::UserContextServiceClient;
use tokio::task::JoinHandle;
use tonic::Status;

use crate::assertion::AssertionVerifier;
use crate::channel::Channel;

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(2);
/// The grants of a large ERP's roles are some megabytes.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Trust is kept until this is dropped.
#[derive(Debug)]
#[must_use = "trust is kept until this is dropped"]
pub struct TrustKeeper {
    verifier: Arc<AssertionVerifier>,
    task: JoinHandle<()>,
}

/// Follows what the user-context service behind `channel` says, with back-off while it does not answer.
pub fn keep_trust(verifier: Arc<AssertionVerifier>, channel: Channel) -> TrustKeeper {
    verifier.set_kept(true);
    let client = UserContextServiceClient::new(channel).max_decoding_message_size(MAX_BYTES);
    let task = tokio::spawn(keep(Arc::clone(&verifier), client));
    TrustKeeper { verifier, task }
}

impl Drop for TrustKeeper {
    fn drop(&mut self) {
        self.task.abort();
        self.verifier.set_kept(false);
    }
}

async fn keep(verifier: Arc<AssertionVerifier>, mut client: UserContextServiceClient<Channel>) {
    let mut retry = FIRST_RETRY;
    loop {
        match follow(&verifier, &mut client, &mut retry).await {
            Ok(()) => {}
            Err(status) => {
                let (code, message) = (status.code(), status.message());
                tracing::warn!(?code, message, "user-context does not answer; trying again");
            }
        }
        tokio::time::sleep(retry).await;
        retry = (retry * 2).min(LAST_RETRY);
    }
}

async fn follow(
    verifier: &AssertionVerifier,
    client: &mut UserContextServiceClient<Channel>,
    retry: &mut Duration,
) -> Result<(), Status> {
    let mut news = client.watch_trust(WatchTrustRequest {}).await?.into_inner();
    while let Some(news) = news.message().await? {
        verifier.apply(&news).map_err(|error| {
            Status::internal(format!("user-context sent unusable keys: {error}"))
        })?;
        *retry = FIRST_RETRY;
    }
    Ok(())
}
