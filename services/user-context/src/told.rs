//! Who is told of every directory at once, within this process.

use std::sync::Arc;

use rpc::AssertionVerifier;

use crate::content::User;
use crate::dev_issuer::{Account, DevIssuer};
use crate::directory::Directory;

/// Those who are told.
#[derive(Debug)]
pub(crate) struct Told {
    /// Believes what this service signs for itself.
    pub(crate) verifier: Arc<AssertionVerifier>,
    /// Gives tokens to the directory's users.
    pub(crate) dev_issuer: Option<DevIssuer>,
}

impl Told {
    pub(crate) fn tell(&self, directory: &Directory) {
        if let Err(error) = self.verifier.apply(directory.trust()) {
            tracing::error!(%error, "this service's own keys cannot be used");
        }
        let Some(issuer) = &self.dev_issuer else { return };
        let accounts: Vec<_> = directory.users().map(account).collect();
        if let Err(error) = issuer.describe(&accounts) {
            tracing::error!(%error, "the development issuer still knows the users of before");
        }
    }
}

fn account(user: &Arc<User>) -> Account {
    Account {
        name: user.name.clone(),
        display_name: user.display_name.clone(),
        object_id: user.object_id,
        application_id: user.application_id.clone(),
    }
}
