//! The platform's rows of users (`systemuser`) follow the directory.

use std::sync::Arc;
use std::time::Duration;

use proto::organization::v1::organization_service_client::OrganizationServiceClient;
use proto::organization::v1::{ImportUsersRequest, SystemUser};
use rpc::Channel;
use tokio::sync::watch;
use tonic::{Request, Status};
use uuid::Uuid;

use crate::content::User;
use crate::directory::Directory;

const FIRST_RETRY: Duration = Duration::from_millis(200);
const LAST_RETRY: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(30);

/// Writes every directory there is from now on, and again until it is written.
pub(crate) async fn follow(
    mut directories: watch::Receiver<Arc<Directory>>,
    organization: Channel,
) {
    let mut retry = FIRST_RETRY;
    loop {
        let newest = Arc::clone(&directories.borrow_and_update());
        match write(&newest, organization.clone()).await {
            Ok(()) => {
                retry = FIRST_RETRY;
                if directories.changed().await.is_err() {
                    return;
                }
            }
            Err(status) => {
                let (code, message) = (status.code(), status.message());
                tracing::warn!(
                    ?code,
                    message,
                    "could not write the platform's users; trying again"
                );
                tokio::time::sleep(retry).await;
                retry = (retry * 2).min(LAST_RETRY);
            }
        }
    }
}

/// Issuers other than Entra may know an application by a name that is no GUID; the platform has no column
/// for that.
fn client_id(user: &User) -> String {
    let id = user.application_id.as_deref().and_then(|it| Uuid::parse_str(it).ok());
    id.map_or_else(String::new, |it| it.to_string())
}

/// Writes the users of a directory. Those who are gone keep their rows, which others refer to.
pub(crate) async fn write(directory: &Directory, organization: Channel) -> Result<(), Status> {
    let users = directory.users().map(|it| SystemUser {
        system_user_id: it.system_user_id.to_string(),
        object_id: it.object_id.to_string(),
        domain_name: it.name.clone(),
        full_name: it.display_name.clone(),
        application_id: client_id(it),
    });
    let mut request = Request::new(ImportUsersRequest { users: users.collect() });
    request.set_timeout(TIMEOUT);
    let mut client = OrganizationServiceClient::new(organization);
    tokio::time::timeout(TIMEOUT, client.import_users(request))
        .await
        .map_err(|_| Status::deadline_exceeded("the organization did not answer in time"))?
        .map(drop)
}
