//! From a bearer token to assertions: who sent it, as whom, and what other services are told.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use rpc::audit::Decision;
use rpc::{AssertionIssuer, Identity, Principal, Route, role};
use uuid::Uuid;

use crate::audit;
use crate::changes::Changes;
use crate::content::User;
use crate::directory::{Directory, OtherUser};
use crate::error::Error;
use crate::portal::{self, Mappings, Rule};
use crate::tasks::Tasks;
use crate::token::{Subject, TokenVerifier};

/// More services than there are.
const MOST_AUDIENCES: usize = 16;
const LONGEST_AUDIENCE: usize = 64;

/// As whom the token's user wants to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ActsAs {
    User(OtherUser),
    /// A portal contact.
    Contact(Uuid),
    /// A portal's visitor who did not sign in.
    Anonymous,
}

/// What is asked about a token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) token: &'a str,
    pub(crate) acts_as: Option<ActsAs>,
    /// Who will send the assertions.
    pub(crate) presenter: &'a str,
    /// To whom.
    pub(crate) audiences: &'a [String],
}

/// What stands behind a bearer token.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// By audience.
    pub(crate) assertions: HashMap<String, String>,
    pub(crate) expires: SystemTime,
    pub(crate) user: Arc<User>,
}

/// Answers [`Question`]s.
#[derive(Debug)]
pub(crate) struct Resolver {
    pub(crate) tokens: TokenVerifier,
    pub(crate) assertions: AssertionIssuer,
    pub(crate) changes: Arc<Changes>,
    pub(crate) mappings: Arc<Mappings>,
    /// The ERP user of visitors who did not sign in.
    pub(crate) anonymous: Option<String>,
    /// What keeps all this up to date, and ends with it.
    pub(crate) tasks: Tasks,
}

impl ActsAs {
    /// Its id, for the audit; empty of nobody who has one.
    fn record(self) -> String {
        match self {
            Self::User(OtherUser::ObjectId(id) | OtherUser::SystemUserId(id))
            | Self::Contact(id) => id.to_string(),
            Self::Anonymous => String::new(),
        }
    }
}

impl Resolver {
    pub(crate) async fn resolve(&self, question: Question<'_>) -> Result<Resolved, Error> {
        check_audiences(question.audiences)?;
        let verified = match self.tokens.verify(question.token).await {
            Ok(verified) => verified,
            Err(error) => return Err(refused(None, "", error)),
        };
        let record = question.acts_as.map(ActsAs::record).unwrap_or_default();
        // Before the mappings are looked at: an assertion must not be of a revision that a mapping
        // was revoked at, and of that mapping.
        let directory = self.changes.directory();
        let sender = match sender(&directory, &verified.subject) {
            Ok(sender) => sender,
            Err(error) => return Err(refused(None, &record, error)),
        };
        if sender.disabled {
            return Err(refused(Some(identity_of(sender)), &record, Error::Disabled));
        }
        let (user, identity) = match self.act(&directory, sender, question.acts_as) {
            Ok(acting) => acting,
            Err(error) => return Err(refused(Some(identity_of(sender)), &record, error)),
        };
        let resolved =
            self.issue(&identity, &directory, verified.expires, question, Arc::clone(user))?;
        if question.acts_as.is_some() {
            let sender = Some(principal(sender));
            let who = Some(Identity { sender, ..identity });
            audit::resolved(who, &record, Decision::Allowed, "");
        }
        Ok(resolved)
    }

    /// As whom the sender acts, and what others are told of it.
    fn act<'d>(
        &self,
        directory: &'d Directory,
        sender: &'d Arc<User>,
        acts_as: Option<ActsAs>,
    ) -> Result<(&'d Arc<User>, Identity), Error> {
        match acts_as {
            None => Ok((sender, identity_of(sender))),
            Some(ActsAs::User(other)) => {
                if !sender.acts_on_behalf {
                    return Err(Error::MayNotImpersonate);
                }
                let user = directory.find(other).ok_or(Error::NoSuchUser(other))?;
                if user.disabled {
                    return Err(Error::Disabled);
                }
                let sender = Some(principal(sender));
                Ok((user, Identity { sender, ..identity_of(user) }))
            }
            Some(ActsAs::Contact(contact)) => {
                check_portal(sender)?;
                let erp_user = self.mappings.erp_user(contact)?;
                let user = portal::user_behind_contact(&directory.content, &erp_user);
                let user = user.map_err(Error::PortalVisitor)?;
                Ok((user, identity_of_visitor(user, contact)))
            }
            Some(ActsAs::Anonymous) => {
                check_portal(sender)?;
                let designated = self.anonymous.as_ref();
                let erp_user = designated.ok_or(Error::PortalVisitor(Rule::NoMapping))?;
                let user = portal::user_behind_visitor(&directory.content, erp_user);
                let user = user.map_err(Error::PortalVisitor)?;
                Ok((user, identity_of_visitor(user, Uuid::nil())))
            }
        }
    }

    fn issue(
        &self,
        identity: &Identity,
        directory: &Directory,
        limit: SystemTime,
        question: Question<'_>,
        user: Arc<User>,
    ) -> Result<Resolved, Error> {
        let mut assertions = HashMap::new();
        let mut expires = limit;
        for audience in question.audiences {
            let route = Route { audience, presenter: question.presenter };
            let revision = directory.version.revision;
            let issued = self.assertions.issue(identity.clone(), route, revision, limit)?;
            assertions.insert(audience.clone(), issued.0);
            expires = expires.min(issued.1);
        }
        Ok(Resolved { assertions, expires, user })
    }
}

/// The user whose token it is. A person's token never stands for an application, nor the other way
/// round.
fn sender<'d>(directory: &'d Directory, subject: &Subject) -> Result<&'d Arc<User>, Error> {
    let user = match subject {
        Subject::Person { object_id, names } => {
            let by_id = object_id.and_then(|it| directory.person(it));
            by_id.or_else(|| names.iter().find_map(|it| directory.person_named(it)))
        }
        Subject::Application { application_id, .. } => directory.application(application_id),
    };
    user.ok_or(Error::UnknownUser)
}

fn check_portal(sender: &User) -> Result<(), Error> {
    let serves = sender.serves_portal && sender.application_id.is_some();
    if serves { Ok(()) } else { Err(Error::MayNotServePortal) }
}

fn check_audiences(audiences: &[String]) -> Result<(), Error> {
    let named = |it: &str| {
        let letters = it.bytes().all(|it| it.is_ascii_lowercase() || it == b'-');
        letters && !it.is_empty() && it.len() <= LONGEST_AUDIENCE
    };
    match audiences.iter().find(|it| !named(it)).or_else(|| audiences.get(MOST_AUDIENCES)) {
        None => Ok(()),
        Some(wrong) => Err(Error::Audience(wrong.chars().take(LONGEST_AUDIENCE).collect())),
    }
}

fn identity_of(user: &User) -> Identity {
    let (time_zone, language) = (user.time_zone.clone(), user.language);
    Identity { user: principal(user), sender: None, time_zone, language }
}

/// Every person is a Basic User; an application holds the roles that it was given.
pub(crate) fn roles_of(user: &User) -> Vec<String> {
    let mut roles = user.roles.clone();
    if user.application_id.is_none() && !user.holds(role::BASIC_USER) {
        roles.push(role::BASIC_USER.to_owned());
    }
    roles
}

fn principal(user: &User) -> Principal {
    let roles = roles_of(user);
    Principal {
        system_user_id: user.system_user_id,
        name: user.name.clone(),
        erp_user: user.erp_user.clone(),
        roles,
        companies: user.companies.clone(),
        contact: None,
    }
}

/// A portal's visitor is as the user that stands behind it, without what that one may do with the
/// platform's own tables for being a person. Who did not sign in stands for the contact of zeros, which is
/// nobody.
fn identity_of_visitor(user: &User, contact: Uuid) -> Identity {
    let mut identity = identity_of(user);
    identity.user.roles.retain(|it| !it.eq_ignore_ascii_case(role::BASIC_USER));
    identity.user.contact = Some(contact);
    identity
}

/// Says so in the audit.
fn refused(sender: Option<Identity>, record: &str, error: Error) -> Error {
    audit::resolved(sender, record, error.decision(), error.reason());
    error
}
