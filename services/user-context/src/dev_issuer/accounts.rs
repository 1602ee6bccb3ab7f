//! Who may get tokens: users, and the clients through which they ask.

use std::path::Path;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::oauth_error::OAuthError;
use super::{Account, DevIssuer, StoreError, store};

/// Clients without a secret that everybody has: the Azure developer sign-on, which is the default of
/// azure-identity, and the sample client of Dataverse's tools.
const PUBLIC_CLIENTS: [&str; 2] =
    ["04b07795-8ddb-461a-bbee-02f9e1bf7b46", "51f81489-12ee-4a9e-aaae-a2591f45987d"];

/// The password of every user, and the secret of each application.
pub(super) struct Secrets {
    password: String,
    application_key: hmac::Key,
}

/// A client that is known here, and has proved to be it if it gave a secret.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: String,
    /// Whether it gave its secret.
    pub(super) with_secret: bool,
}

// === impl Secrets ===

impl Secrets {
    pub(super) fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let key = store::open_client_secret_key(data_dir)?;
        Ok(Self {
            password: store::open_password(data_dir)?,
            application_key: hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()),
        })
    }

    /// The secret of an application: always the same, and no clue to any other's.
    pub(super) fn of(&self, application_id: &str) -> String {
        let id = application_id.to_ascii_lowercase();
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.application_key, id.as_bytes()))
    }

    pub(super) fn is_password(&self, guess: &str) -> bool {
        same(guess, &self.password)
    }
}

/// Takes as long for a near miss as for any other, and tells no length.
fn same(left: &str, right: &str) -> bool {
    let [left, right] = [left, right].map(|it| digest::digest(&digest::SHA256, it.as_bytes()));
    verify_slices_are_equal(left.as_ref(), right.as_ref()).is_ok()
}

// === impl DevIssuer ===

impl DevIssuer {
    /// The users who sign in themselves.
    pub(super) fn people(&self) -> Vec<Account> {
        let accounts = self.0.accounts.load();
        accounts.iter().filter(|it| it.application_id.is_none()).cloned().collect()
    }

    pub(super) fn person_named(&self, name: &str) -> Option<Account> {
        self.people().into_iter().find(|it| it.name.to_lowercase() == name.to_lowercase())
    }

    pub(super) fn person(&self, object_id: Uuid) -> Option<Account> {
        self.people().into_iter().find(|it| it.object_id == object_id)
    }

    pub(super) fn application(&self, client_id: &str) -> Option<Account> {
        let accounts = self.0.accounts.load();
        let is = |it: &&Account| {
            it.application_id.as_deref().is_some_and(|it| it.eq_ignore_ascii_case(client_id))
        };
        accounts.iter().find(is).cloned()
    }

    /// The client of this id. A secret that is given must be right, even where none is needed; and
    /// none is where a person signs in, even to an application that has one.
    pub(super) fn client(&self, id: &str, secret: Option<&str>) -> Result<Client, OAuthError> {
        let is_public = PUBLIC_CLIENTS.iter().any(|it| it.eq_ignore_ascii_case(id));
        if !is_public && self.application(id).is_none() {
            return Err(OAuthError::UnknownClient);
        }
        let right = secret.map(|it| !is_public && same(it, &self.0.secrets.of(id)));
        if right == Some(false) {
            return Err(OAuthError::BadSecret);
        }
        Ok(Client { id: id.to_ascii_lowercase(), with_secret: right.is_some() })
    }
}
