//! The directory of one moment, in memory: whom tokens name, and what to trust of assertions. It never
//! changes; a change makes another one.

use std::collections::HashMap;
use std::sync::Arc;

use proto::user_context::v1 as pb;
use uuid::Uuid;

use crate::content::{Content, User, is_built_in, key};
use crate::grpc::grant_message;
use crate::store::{State, Version};

/// Everything that is known of users and their rights.
#[derive(Debug)]
pub struct Directory {
    pub(crate) version: Version,
    pub(crate) content: Content,
    by_object_id: HashMap<Uuid, Arc<User>>,
    by_system_user_id: HashMap<Uuid, Arc<User>>,
    /// By client id in lower case.
    by_application_id: HashMap<String, Arc<User>>,
    trust: pb::WatchTrustResponse,
}

/// A user as whom somebody else acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OtherUser {
    ObjectId(Uuid),
    SystemUserId(Uuid),
}

impl Directory {
    pub(crate) fn new(state: State, jwks: &str) -> Self {
        let trust = trust(&state, jwks);
        let State { version, content, .. } = state;
        let users = || content.users.values().cloned();
        let applications = users().filter_map(|it| Some((key(it.application_id.as_ref()?), it)));
        Self {
            version,
            by_object_id: users().map(|it| (it.object_id, it)).collect(),
            by_system_user_id: users().map(|it| (it.system_user_id, it)).collect(),
            by_application_id: applications.collect(),
            trust,
            content,
        }
    }

    /// All users, by name.
    pub fn users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.content.users.values()
    }

    /// The user of this name, without regard to case.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<&Arc<User>> {
        self.content.get(name)
    }

    /// The user of this platform row id.
    #[must_use]
    pub fn by_system_user_id(&self, id: Uuid) -> Option<&Arc<User>> {
        self.by_system_user_id.get(&id)
    }

    /// The person of this directory object.
    pub(crate) fn person(&self, object_id: Uuid) -> Option<&Arc<User>> {
        self.by_object_id.get(&object_id).filter(|it| it.application_id.is_none())
    }

    /// The person of this name.
    pub(crate) fn person_named(&self, name: &str) -> Option<&Arc<User>> {
        self.user(name).filter(|it| it.application_id.is_none())
    }

    /// The user that the application of this client id calls as.
    pub(crate) fn application(&self, application_id: &str) -> Option<&Arc<User>> {
        self.by_application_id.get(&key(application_id))
    }

    pub(crate) fn find(&self, user: OtherUser) -> Option<&Arc<User>> {
        match user {
            OtherUser::ObjectId(id) => self.by_object_id.get(&id),
            OtherUser::SystemUserId(id) => self.by_system_user_id.get(&id),
        }
    }

    /// Users whose assertions of before are not believed.
    pub(crate) fn revoked(&self) -> impl Iterator<Item = Uuid> {
        self.trust.revocations.iter().filter_map(|it| it.system_user_id.parse().ok())
    }

    /// What assertions are verified and understood by.
    pub(crate) fn trust(&self) -> &pb::WatchTrustResponse {
        &self.trust
    }
}

fn trust(state: &State, jwks: &str) -> pb::WatchTrustResponse {
    let content = &state.content;
    // What the others grant is known to whoever reads assertions.
    let roles = content.roles.values().filter(|it| !is_built_in(&it.name));
    let roles = roles.map(|it| pb::RoleGrants {
        role: it.name.clone(),
        grants: content.grants_of(it).map(grant_message).collect(),
    });
    let revocations = state.revocations.iter().map(|(user, revision)| pb::Revocation {
        system_user_id: user.to_string(),
        revision: *revision,
    });
    pb::WatchTrustResponse {
        revision: state.version.revision,
        jwks: jwks.to_owned(),
        roles: roles.collect(),
        revocations: revocations.collect(),
    }
}
