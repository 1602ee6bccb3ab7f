//! Who there is: the user-context service knows.

use std::time::Duration;

use proto::user_context::v1::LookupUserRequest;
use proto::user_context::v1::user_context_service_client::UserContextServiceClient;
use rpc::Channel;
use tonic::Code;

use crate::error::Error;
use crate::names::{USERS, user_in};
use crate::peer::within;

const TIMEOUT: Duration = Duration::from_secs(5);

/// The tenant's users.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    user_context: Channel,
}

// === impl Directory ===

impl Directory {
    pub(crate) fn new(user_context: Channel) -> Self {
        Self { user_context }
    }

    /// The user's name as the directory writes it: licences are looked for by that.
    pub(crate) async fn name_of(&self, user: &str) -> Result<String, Error> {
        let mut client = UserContextServiceClient::new(self.user_context.clone());
        let name = format!("{USERS}/{user}");
        let request = LookupUserRequest { user: name.clone(), ..Default::default() };
        match within(TIMEOUT, request, |it| client.lookup_user(it)).await {
            Ok(found) => Ok(user_in(&found.name).unwrap_or(user).to_owned()),
            Err(status) if status.code() == Code::NotFound => Err(Error::NoUser(name)),
            Err(status) => {
                tracing::warn!(%status, "a user could not be looked up");
                Err(Error::DirectoryUnavailable)
            }
        }
    }
}
