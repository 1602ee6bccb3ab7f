//! Keeps an [`AssertionVerifier`] supplied with the keys that user-context signs with, which change
//! whenever user-context restarts.

use std::sync::Arc;
use std::time::Duration;

use proto::user_context::v1::GetAssertionKeysRequest;
use proto::user_context::v1::user_context_service_client::UserContextServiceClient;
use tokio::task::JoinHandle;
use tonic::{Request, Status};

use crate::caller::AssertionVerifier;
use crate::channel::Channel;

const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);
/// Between two fetches, so that forged assertions cannot make user-context busy. Shorter than a
/// call waits for newer keys.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
/// Between two fetches when nobody asks: bounds how long a withdrawn key is believed.
const REFRESH: Duration = Duration::from_secs(300);

/// Keys are fetched until this is dropped.
#[derive(Debug)]
#[must_use = "keys are fetched until this is dropped"]
pub struct KeyKeeper {
    verifier: Arc<AssertionVerifier>,
    task: JoinHandle<()>,
}

/// Fetches the assertion keys from the user-context service behind `channel`: now, with back-off
/// until it answers; again when an assertion comes with an unknown key; and every few minutes.
pub fn keep_keys(verifier: Arc<AssertionVerifier>, channel: Channel) -> KeyKeeper {
    verifier.set_kept(true);
    let task = tokio::spawn(keep(Arc::clone(&verifier), UserContextServiceClient::new(channel)));
    KeyKeeper { verifier, task }
}

impl Drop for KeyKeeper {
    fn drop(&mut self) {
        self.task.abort();
        self.verifier.set_kept(false);
    }
}

async fn keep(verifier: Arc<AssertionVerifier>, mut client: UserContextServiceClient<Channel>) {
    let mut retry = FIRST_RETRY;
    loop {
        match fetch(&verifier, &mut client).await {
            Ok(()) => {
                retry = FIRST_RETRY;
                tokio::time::sleep(LEAST_PAUSE).await;
                // Whether it was asked for or its time has come, the next fetch is the same.
                let _ = tokio::time::timeout(REFRESH, verifier.wanted()).await;
            }
            Err(status) => {
                let (code, message) = (status.code(), status.message());
                tracing::warn!(?code, message, "could not fetch the assertion keys; trying again");
                tokio::time::sleep(retry).await;
                retry = (retry * 2).min(LAST_RETRY);
            }
        }
    }
}

async fn fetch(
    verifier: &AssertionVerifier,
    client: &mut UserContextServiceClient<Channel>,
) -> Result<(), Status> {
    let mut request = Request::new(GetAssertionKeysRequest {});
    request.set_timeout(FETCH_TIMEOUT);
    // The channel may be one within this process, which does not look at the request's timeout.
    let response =
        tokio::time::timeout(FETCH_TIMEOUT, client.get_assertion_keys(request))
            .await
            .map_err(|_| Status::deadline_exceeded("user-context did not answer in time"))??;
    verifier
        .set_keys(&response.into_inner().jwks)
        .map_err(|error| Status::internal(format!("user-context sent unusable keys: {error}")))
}
