//! What a request says about who is calling.

use ::http::HeaderMap;
use proto::user_context::v1 as pb;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::error::GatewayError;
use crate::http;

/// Headers that say as whom the sender acts, in lower case. At most one of them may be given.
pub(crate) const ACTS_AS: [&str; 3] = ["callerobjectid", "mscrmcallerid", "callercontactid"];
/// A portal's visitor who did not sign in.
const ANONYMOUS: &str = "anonymous";

pub(super) type Digest = [u8; 32];

/// A token, and as whom its user acts.
#[derive(Clone)]
pub(super) struct Credentials {
    token: String,
    acts_as: Option<ActsAs>,
}

/// A user as whom the sender wants to act (spec API-32), or a portal's visitor (spec VE-092).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ActsAs {
    ObjectId(Uuid),
    SystemUserId(Uuid),
    Contact(Uuid),
    Anonymous,
}

impl Credentials {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, GatewayError> {
        let token = http::token(headers)?.to_owned();
        let mut all = ACTS_AS.iter().flat_map(|name| {
            headers.get_all(*name).iter().map(move |value| (*name, value.to_str().ok()))
        });
        let acts_as = all.next().map(|(name, value)| ActsAs::parse(name, value)).transpose()?;
        // Of two neither is believed.
        if all.next().is_some() {
            let message = "Only one of 'CallerObjectId', 'MSCRMCallerID' and 'CallerContactId' can \
                           be given, and once.";
            return Err(GatewayError::InvalidValue(message.to_owned()));
        }
        Ok(Self { token, acts_as })
    }

    /// No token holds a NUL, so no token looks like another's credentials.
    pub(super) fn digest(&self) -> Digest {
        let mut digest = Sha256::new_with_prefix(self.token.as_bytes());
        let mut more = |kind: &[u8], id: Option<Uuid>| {
            digest.update(kind);
            digest.update(id.unwrap_or_default().as_bytes());
        };
        match self.acts_as {
            None => {}
            Some(ActsAs::ObjectId(id)) => more(b"\0o", Some(id)),
            Some(ActsAs::SystemUserId(id)) => more(b"\0s", Some(id)),
            Some(ActsAs::Contact(id)) => more(b"\0c", Some(id)),
            Some(ActsAs::Anonymous) => more(b"\0a", None),
        }
        digest.finalize().into()
    }

    pub(super) fn to_message(&self, audiences: &[&str]) -> pb::ResolveCallerRequest {
        use pb::resolve_caller_request::ActsAs as Named;
        let acts_as = self.acts_as.map(|it| match it {
            ActsAs::ObjectId(id) => Named::ImpersonatedObjectId(id.to_string()),
            ActsAs::SystemUserId(id) => Named::ImpersonatedSystemUserId(id.to_string()),
            ActsAs::Contact(id) => Named::PortalContactId(id.to_string()),
            ActsAs::Anonymous => Named::AnonymousPortalUser(true),
        });
        pb::ResolveCallerRequest {
            bearer_token: self.token.clone(),
            acts_as,
            audiences: audiences.iter().map(|it| (*it).to_owned()).collect(),
        }
    }

    /// What a record that was not found means: it is that of whom the sender wanted to act as.
    pub(super) fn no_such_user(&self) -> GatewayError {
        let (table, id) = match self.acts_as {
            Some(ActsAs::ObjectId(id) | ActsAs::SystemUserId(id)) => ("systemuser", id),
            Some(ActsAs::Contact(id)) => ("contact", id),
            Some(ActsAs::Anonymous) | None => return GatewayError::UnknownUser,
        };
        GatewayError::RecordNotFound { table: table.to_owned(), id }
    }

    /// What is asked for, for the audit: nothing of the token.
    pub(super) fn operation(&self) -> &'static str {
        match self.acts_as {
            None => "authenticate",
            Some(ActsAs::ObjectId(_) | ActsAs::SystemUserId(_)) => "impersonate",
            Some(ActsAs::Contact(_) | ActsAs::Anonymous) => "act as portal contact",
        }
    }

    /// Id of whom the sender acts as; empty where it is itself, or nobody who has one.
    pub(super) fn subject(&self) -> String {
        match self.acts_as {
            Some(ActsAs::ObjectId(id) | ActsAs::SystemUserId(id) | ActsAs::Contact(id)) => {
                id.to_string()
            }
            Some(ActsAs::Anonymous) | None => String::new(),
        }
    }

    pub(super) fn acts_as_another(&self) -> bool {
        self.acts_as.is_some()
    }
}

impl ActsAs {
    fn parse(name: &str, value: Option<&str>) -> Result<Self, GatewayError> {
        let value = value.unwrap_or_default().trim();
        let is_contact = name == "callercontactid";
        if is_contact && value.eq_ignore_ascii_case(ANONYMOUS) {
            return Ok(Self::Anonymous);
        }
        let id = value.parse::<Uuid>().ok().filter(|it| !it.is_nil());
        let id = id.ok_or_else(|| {
            GatewayError::InvalidValue(match name {
                "callercontactid" => {
                    "The header 'CallerContactId' takes the GUID of a contact, or 'anonymous'."
                        .to_owned()
                }
                "mscrmcallerid" => {
                    "The header 'MSCRMCallerID' takes the GUID of a user.".to_owned()
                }
                _ => "The header 'CallerObjectId' takes the GUID of a user.".to_owned(),
            })
        })?;
        Ok(match name {
            "callercontactid" => Self::Contact(id),
            "mscrmcallerid" => Self::SystemUserId(id),
            _ => Self::ObjectId(id),
        })
    }
}

/// The token stays out of logs.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("acts_as", &self.acts_as).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(&str, &str)]) -> Result<Credentials, GatewayError> {
        let mut map = HeaderMap::new();
        map.insert("authorization", "Bearer t".parse().unwrap());
        for (name, value) in headers {
            let name = ::http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, value.parse().unwrap());
        }
        Credentials::of(&map)
    }

    #[test]
    fn whoever_acts_as_another_is_another() {
        let id = "00000000-0000-0000-0000-000000000001";
        let all = [
            of(&[]),
            of(&[("CallerObjectId", id)]),
            of(&[("MSCRMCallerID", id)]),
            of(&[("CallerContactId", id)]),
            of(&[("CallerContactId", "Anonymous")]),
        ];
        let digests: std::collections::BTreeSet<_> =
            all.iter().map(|it| it.as_ref().unwrap().digest()).collect();
        assert_eq!(digests.len(), all.len());
    }

    #[test]
    fn what_is_ambiguous_or_unreadable_is_refused() {
        let id = "00000000-0000-0000-0000-000000000001";
        let nil = "00000000-0000-0000-0000-000000000000";
        let names = ["CallerObjectId", "MSCRMCallerID", "CallerContactId"];
        for one in names {
            for other in names {
                assert!(of(&[(one, id), (other, id)]).is_err(), "{one} {other}");
            }
            for bad in ["", "x", nil] {
                assert!(of(&[(one, bad)]).is_err(), "{one}: {bad}");
            }
        }
        assert!(of(&[("CallerObjectId", "anonymous")]).is_err());
    }
}
