//! Which requests are the same one, asked again.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::change_set::Once;
use super::plan::Asked;
use crate::http::Ask;

/// By the client's id of its request, and all that it asks: a client that uses an id for several requests
/// has each of them done. Absent where it gives none. `ask` and `asked` are those of the request, or of
/// each of the requests of a change set.
pub(crate) fn once<'a>(
    client_request_id: Option<&str>,
    requests: impl IntoIterator<Item = (&'a Ask, Asked<'a>)>,
) -> Option<Once> {
    let client_request_id = client_request_id?;
    let mut digest = Sha256::new();
    let mut user = String::new();
    // Each part with its length, so that no two requests read the same.
    let mut add = |part: &[u8]| {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    };
    add(client_request_id.as_bytes());
    for (ask, asked) in requests {
        user.clone_from(&ask.session.system_user_id);
        // What one was answered is not for another, who may see less.
        ask.session.who().iter().for_each(|it| add(it.as_bytes()));
        add(asked.method.as_str().as_bytes());
        add(asked.path.as_bytes());
        add(asked.query.as_bytes());
        add(ask.if_match.as_deref().unwrap_or_default().as_bytes());
        add(ask.if_none_match.as_deref().unwrap_or_default().as_bytes());
        add(asked.body);
    }
    let digest: [u8; 32] = digest.finalize().into();
    let mut key = format!("http:{user}:");
    for byte in digest {
        // Writing to a string does not fail.
        let _ = write!(key, "{byte:02x}");
    }
    Some(Once { key, digest })
}
