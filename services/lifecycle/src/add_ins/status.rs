//! What an add-in says of itself, asked when somebody reads it.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use proto::add_in::v1::GetAddInStatusRequest;
use proto::add_in::v1::add_in_runtime_service_client::AddInRuntimeServiceClient;
use proto::lifecycle::v1::AddInInstallationState as State;

use crate::Deps;
use crate::clients::timed;
use crate::resource::{self, PLATFORM};
use crate::store::add_in::{self as store, Installation};

/// Somebody is waiting for the page.
const DEADLINE: Duration = Duration::from_secs(1);
const AT_ONCE: usize = 8;

/// The same installations with what their runtimes say now; with what they said last, where they do not answer.
pub(crate) async fn refresh(deps: &Deps, installations: Vec<Installation>) -> Vec<Installation> {
    let fresh = installations.into_iter().map(|mut installation| async move {
        if let Some(text) = ask(deps, &installation).await {
            let key = (installation.platform_environment, installation.add_in.as_str());
            if let Err(error) = store::set_status_text(deps.store.pool(), key, &text).await {
                tracing::warn!(%error, "the status of an add-in could not be kept");
            }
            installation.status_text = text;
        }
        installation
    });
    stream::iter(fresh).buffered(AT_ONCE).collect().await
}

async fn ask(deps: &Deps, installation: &Installation) -> Option<String> {
    if installation.state != State::Installed {
        return None;
    }
    let runtime = deps.clients.add_ins.get(&installation.add_in)?.clone();
    let environment = resource::name(PLATFORM, installation.platform_environment);
    let request = timed(GetAddInStatusRequest { environment }, DEADLINE);
    let mut runtime = AddInRuntimeServiceClient::new(runtime);
    match runtime.get_add_in_status(request).await {
        Ok(answer) => Some(answer.into_inner().status_text),
        Err(status) => {
            tracing::debug!(code = ?status.code(), add_in = installation.add_in, "no status");
            None
        }
    }
}
