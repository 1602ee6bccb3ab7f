//! What roles let be read, kept beside the rows: the database decides whether a team may own one, whoever writes it
//! (spec dual-write-and-events A16).

use std::time::Duration;

use proto::user_context::v1::WatchTrustRequest;
use proto::user_context::v1::user_context_service_client::UserContextServiceClient;
use rpc::{Channel, RoleDefinitions};
use tonic::Status;

use crate::store::Store;

/// After something failed.
const RETRY: Duration = Duration::from_secs(1);
/// Another database may have taken the place of the one that was written to.
const AGAIN: Duration = Duration::from_secs(60);
/// The grants of a large ERP's roles are some megabytes.
const MAX_BYTES: usize = 64 << 20;

/// Writes what user-context says, for ever.
pub(crate) async fn follow(store: Store, user_context: Channel) {
    let client = UserContextServiceClient::new(user_context);
    let mut client = client.max_decoding_message_size(MAX_BYTES);
    loop {
        if let Err(status) = watch(&store, &mut client).await {
            let (code, message) = (status.code(), status.message());
            tracing::debug!(?code, message, "cannot ask what roles let be read");
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn watch(
    store: &Store,
    client: &mut UserContextServiceClient<Channel>,
) -> Result<(), Status> {
    let mut news = client.watch_trust(WatchTrustRequest {}).await?.into_inner();
    let Some(first) = news.message().await? else { return Ok(()) };
    let mut roles = RoleDefinitions::new(&first.roles);
    loop {
        let written = store.put_readers(&roles).await;
        if let Err(error) = &written {
            tracing::warn!(%error, "cannot write what roles let be read; trying again");
        }
        let patience = if written.is_ok() { AGAIN } else { RETRY };
        if let Ok(newest) = tokio::time::timeout(patience, news.message()).await {
            let Some(newest) = newest? else { return Ok(()) };
            roles = RoleDefinitions::new(&newest.roles);
        }
    }
}
