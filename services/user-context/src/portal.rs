//! Portal visitors: which ERP user stands behind a contact, and whether that user may.
//!
//! The organization pushes its mappings. When it has not been heard of for [`LONGEST_SILENCE`], nobody
//! knows whether a mapping still stands, and contacts are refused until it is back.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use proto::organization::v1 as pb;
use proto::organization::v1::portal_service_client::PortalServiceClient;
use rpc::Channel;
use tonic::Status;
use uuid::Uuid;

use crate::changes::Changes;
use crate::content::{Content, User};
use crate::error::Error;
use crate::limits::holds_portal_role;

const LONGEST_SILENCE: Duration = Duration::from_secs(30);
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);
/// A portal's contacts may be many.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Why an ERP user may not stand behind a portal's visitor (spec VE-093).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    NoMapping,
    UnknownUser,
    Disabled,
    RoleMissing,
    Administrator,
}

/// Which ERP user stands behind which contact, as the organization said last.
#[derive(Debug, Default)]
pub(crate) struct Mappings {
    known: ArcSwap<Known>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    /// By contact; `None` until the organization has spoken.
    erp_users: Option<Arc<HashMap<Uuid, String>>>,
    silent_since: Option<Instant>,
}

// === impl Rule ===

impl Rule {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NoMapping => "no_mapping",
            Self::UnknownUser => "unknown_user",
            Self::Disabled => "disabled",
            Self::RoleMissing => "role_missing",
            Self::Administrator => "administrator",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoMapping => "no ERP user is mapped to it",
            Self::UnknownUser => "its ERP user is not that of one user of this environment",
            Self::Disabled => "its user is disabled",
            Self::RoleMissing => "its user lacks the role CDSVirtualEntityAuthorizedPortalUser",
            Self::Administrator => "its user is a System, Security or tenant administrator",
        })
    }
}

// === impl Mappings ===

impl Mappings {
    /// The ERP user of a contact.
    pub(crate) fn erp_user(&self, contact: Uuid) -> Result<String, Error> {
        let known = self.known.load();
        let heard = known.silent_since.is_none_or(|it| it.elapsed() <= LONGEST_SILENCE);
        let erp_users = known.erp_users.as_ref().filter(|_| heard);
        let erp_user = erp_users.ok_or(Error::PortalUnavailable)?.get(&contact);
        erp_user.cloned().ok_or(Error::PortalVisitor(Rule::NoMapping))
    }

    /// ERP users that stand behind a contact no longer.
    fn replace(&self, message: pb::WatchPortalUserMappingsResponse) -> BTreeSet<String> {
        let erp_users: HashMap<Uuid, String> = message
            .mappings
            .into_iter()
            .filter_map(|it| Some((it.contact_id.parse().ok()?, it.erp_user)))
            .collect();
        let known = self.known.load_full();
        let old = known.erp_users.iter().flat_map(|it| it.iter());
        let gone = old.filter(|(contact, erp_user)| erp_users.get(contact) != Some(erp_user));
        let gone = gone.map(|(_, erp_user)| erp_user.clone()).collect();
        let erp_users = Some(Arc::new(erp_users));
        self.known.store(Arc::new(Known { erp_users, silent_since: None }));
        gone
    }

    fn lost(&self) {
        let known = Known::clone(&self.known.load());
        let silent_since = known.silent_since.or_else(|| Some(Instant::now()));
        self.known.store(Arc::new(Known { silent_since, ..known }));
    }
}

/// The user whose ERP user may stand behind a contact. Where several users share the ERP user, none.
pub(crate) fn user_behind_contact<'c>(
    content: &'c Content,
    erp_user: &str,
) -> Result<&'c Arc<User>, Rule> {
    let user = user_behind_visitor(content, erp_user)?;
    if holds_portal_role(user) { Ok(user) } else { Err(Rule::RoleMissing) }
}

/// The user that is designated for visitors who did not sign in: its roles alone govern (spec
/// VE-094), as long as it is no administrator.
pub(crate) fn user_behind_visitor<'c>(
    content: &'c Content,
    erp_user: &str,
) -> Result<&'c Arc<User>, Rule> {
    let users: Vec<_> = content.of_erp_user(erp_user).collect();
    let is_above = |it: &&Arc<User>| {
        it.is_administrator() || it.is_security_administrator() || it.is_tenant_administrator()
    };
    if users.iter().any(is_above) {
        return Err(Rule::Administrator);
    }
    match users.as_slice() {
        [user] if user.disabled => Err(Rule::Disabled),
        [user] => Ok(user),
        _ => Err(Rule::UnknownUser),
    }
}

/// Follows what the organization says, for ever.
pub(crate) async fn follow(mappings: Arc<Mappings>, changes: Arc<Changes>, organization: Channel) {
    let client = PortalServiceClient::new(organization).max_decoding_message_size(MAX_BYTES);
    let mut retry = FIRST_RETRY;
    loop {
        let ended = watch(&mappings, &changes, client.clone(), &mut retry).await;
        mappings.lost();
        if let Err(status) = ended {
            let (code, message) = (status.code(), status.message());
            tracing::warn!(?code, message, "cannot follow the portal's mappings; trying again");
        }
        tokio::time::sleep(retry).await;
        retry = (retry * 2).min(LAST_RETRY);
    }
}

async fn watch(
    mappings: &Mappings,
    changes: &Changes,
    mut client: PortalServiceClient<Channel>,
    retry: &mut Duration,
) -> Result<(), Status> {
    let request = pb::WatchPortalUserMappingsRequest {};
    let mut messages = client.watch_portal_user_mappings(request).await?.into_inner();
    while let Some(message) = messages.message().await? {
        *retry = FIRST_RETRY;
        let gone = mappings.replace(message);
        if !gone.is_empty() {
            revoke(changes, &gone).await;
        }
    }
    Ok(())
}

/// Until it is done: what the contacts of these ERP users were given must not be believed any more.
async fn revoke(changes: &Changes, erp_users: &BTreeSet<String>) {
    let mut retry = FIRST_RETRY;
    loop {
        let directory = changes.directory();
        let users = erp_users.iter().flat_map(|it| directory.content.of_erp_user(it));
        let users: Vec<_> = users.map(|it| it.system_user_id).collect();
        if users.is_empty() {
            return;
        }
        match changes.revoke(&users).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, "cannot revoke a portal mapping yet"),
        }
        tokio::time::sleep(retry).await;
        retry = (retry * 2).min(LAST_RETRY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc::role;

    fn content(users: &[(&str, &[&str], bool)]) -> Content {
        let mut content = Content::default();
        content.found();
        for (name, roles, disabled) in users {
            let roles = roles.iter().map(|it| (*it).to_owned()).collect();
            let erp_user = "visitor".into();
            content.put(User { roles, disabled: *disabled, erp_user, ..User::named(name) });
        }
        content
    }

    #[test]
    fn ve_093_every_combination_of_role_administration_and_state() {
        for portal in [None, Some(role::PORTAL_USER), Some(role::PORTAL_USER_ALIAS)] {
            for above in [
                None,
                Some(role::SYSTEM_ADMINISTRATOR),
                Some(role::SECURITY_ADMINISTRATOR),
                Some(role::GLOBAL_ADMINISTRATOR),
            ] {
                for disabled in [false, true] {
                    let roles: Vec<_> = portal.into_iter().chain(above).collect();
                    let content = content(&[("u", &roles, disabled)]);
                    let expected = match (above, disabled, portal) {
                        (Some(_), _, _) => Err(Rule::Administrator),
                        (None, true, _) => Err(Rule::Disabled),
                        (None, false, None) => Err(Rule::RoleMissing),
                        (None, false, Some(_)) => Ok("u"),
                    };
                    let found = user_behind_contact(&content, "visitor");
                    assert_eq!(found.map(|it| it.name.as_str()), expected, "{roles:?} {disabled}");
                    let anonymous = user_behind_visitor(&content, "visitor");
                    let expected = match expected {
                        Err(Rule::RoleMissing) => Ok("u"),
                        other => other,
                    };
                    assert_eq!(anonymous.map(|it| it.name.as_str()), expected);
                }
            }
        }
    }

    #[test]
    fn an_erp_user_of_nobody_or_of_several_serves_no_portal() {
        let portal: &[&str] = &[role::PORTAL_USER];
        let two = content(&[("a", portal, false), ("b", portal, false)]);
        assert_eq!(user_behind_contact(&two, "visitor"), Err(Rule::UnknownUser));
        assert_eq!(user_behind_contact(&content(&[]), "visitor"), Err(Rule::UnknownUser));
        let above = content(&[("a", portal, false), ("b", &["system ADMINISTRATOR"], false)]);
        assert_eq!(user_behind_contact(&above, "visitor"), Err(Rule::Administrator));
    }

    #[test]
    fn contacts_are_refused_while_nobody_knows_their_mappings() {
        let mappings = Mappings::default();
        let contact = Uuid::from_u128(1);
        assert!(matches!(mappings.erp_user(contact), Err(Error::PortalUnavailable)));
        let mapping =
            pb::PortalUserMapping { contact_id: contact.to_string(), erp_user: "a".into() };
        let message = pb::WatchPortalUserMappingsResponse { mappings: vec![mapping] };
        assert!(mappings.replace(message).is_empty());
        assert_eq!(mappings.erp_user(contact).unwrap(), "a");
        mappings.lost();
        assert_eq!(mappings.erp_user(contact).unwrap(), "a");
        let long_ago = Instant::now().checked_sub(LONGEST_SILENCE + Duration::from_secs(1));
        let known = Known { silent_since: long_ago, ..Known::clone(&mappings.known.load()) };
        assert!(known.silent_since.is_some());
        mappings.known.store(Arc::new(known));
        assert!(matches!(mappings.erp_user(contact), Err(Error::PortalUnavailable)));
        let gone = mappings.replace(pb::WatchPortalUserMappingsResponse::default());
        assert_eq!(gone, BTreeSet::from(["a".to_owned()]));
        let refused = mappings.erp_user(contact);
        assert!(matches!(refused, Err(Error::PortalVisitor(Rule::NoMapping))));
    }
}
