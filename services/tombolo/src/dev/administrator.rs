//! Calls as the administrator, who always exists.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use proto::user_context::v1::ResolveCallerRequest;
use proto::user_context::v1::user_context_service_client::UserContextServiceClient;
use tonic::Request;

use crate::home::Home;
use crate::token;

/// For one call.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The administrator of the local system.
#[derive(Clone, Debug)]
pub(super) struct Administrator {
    data_dir: PathBuf,
    user_context: rpc::Channel,
}

impl Administrator {
    pub(super) fn new(home: &Home, user_context: rpc::Channel) -> Self {
        Self { data_dir: home.dir().to_owned(), user_context }
    }

    /// A call of the service of this name, with an assertion got the way everybody gets one.
    pub(super) async fn request<T>(&self, service: &str, message: T) -> Result<Request<T>> {
        let bearer_token = token::mint(&self.data_dir, user_context::ADMIN)?;
        let audiences = vec![service.to_owned()];
        let request = ResolveCallerRequest { bearer_token, audiences, ..Default::default() };
        let mut client = UserContextServiceClient::new(self.user_context.clone());
        let mut answer = client.resolve_caller(request).await?.into_inner();
        let assertion = answer.assertions.remove(service).context("there is no assertion")?;
        Ok(rpc::request(message, &assertion, TIMEOUT)?)
    }
}
