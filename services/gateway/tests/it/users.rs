//! Who there is, faked: tokens are names, and what they may do can be changed while the gateway runs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures::stream::{BoxStream, StreamExt as _};
use proto::user_context::v1 as pb;
use proto::user_context::v1::resolve_caller_request::ActsAs;
use proto::user_context::v1::user_context_service_server::UserContextService;
use rpc::{
    AssertionIssuer, AssertionVerifier, Companies, ErrorReason, Identity, Principal, Route,
    SigningKey, role,
};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

use crate::fakes::{USER, refusal};

/// What a directory knows.
pub(crate) struct Directory {
    issuer: AssertionIssuer,
    /// Principals by their tokens.
    users: Mutex<HashMap<String, Principal>>,
    trust: watch::Sender<pb::WatchTrustResponse>,
    /// Those of the services, which know what is news before anybody else.
    verifiers: Mutex<Vec<Arc<AssertionVerifier>>>,
    resolved: AtomicUsize,
    pub(crate) asked: Mutex<Vec<pb::ResolveCallerRequest>>,
}

pub(crate) struct Users(pub(crate) Arc<Directory>);

pub(crate) fn principal(id: u128, roles: &[&str]) -> Principal {
    Principal {
        system_user_id: Uuid::from_u128(id),
        name: "user".into(),
        erp_user: "user".into(),
        roles: roles.iter().map(|it| (*it).to_owned()).collect(),
        companies: Companies::All,
        contact: None,
    }
}

/// A role that may do this with an entity, and not see these fields of it.
pub(crate) fn role_of(
    name: &str,
    entity: &str,
    operations: &[pb::Operation],
    hidden: &[&str],
) -> pb::RoleGrants {
    let grant = pb::EntityGrant {
        entities: vec![entity.to_owned()],
        operations: operations.iter().map(|it| (*it).into()).collect(),
        hidden_fields: hidden.iter().map(|it| (*it).to_owned()).collect(),
        ..Default::default()
    };
    pb::RoleGrants { role: name.to_owned(), grants: vec![grant] }
}

impl Directory {
    /// With an administrator called `good`, and a `clerk` who has nothing but the platform.
    pub(crate) fn new() -> Self {
        let key = SigningKey::generate().unwrap().0;
        let issuer = AssertionIssuer::new(key, Duration::from_secs(60));
        let jwks = issuer.jwks().unwrap();
        let trust = pb::WatchTrustResponse { revision: 1, jwks, ..Default::default() };
        let users = HashMap::from([
            ("good".to_owned(), principal(USER, &[role::SYSTEM_ADMINISTRATOR])),
            ("clerk".to_owned(), principal(USER, &[role::BASIC_USER])),
        ]);
        Self {
            issuer,
            users: Mutex::new(users),
            trust: watch::Sender::new(trust),
            verifiers: Mutex::default(),
            resolved: AtomicUsize::new(0),
            asked: Mutex::default(),
        }
    }

    /// One of a service.
    pub(crate) fn verifier(&self, audience: &'static str) -> Arc<AssertionVerifier> {
        let verifier = Arc::new(AssertionVerifier::new(audience));
        verifier.apply(&self.trust.borrow()).unwrap();
        self.verifiers.lock().unwrap().push(Arc::clone(&verifier));
        verifier
    }

    fn change(&self, change: impl FnOnce(&mut pb::WatchTrustResponse)) {
        let mut news = self.trust.borrow().clone();
        news.revision += 1;
        change(&mut news);
        for verifier in self.verifiers.lock().unwrap().iter() {
            verifier.apply(&news).unwrap();
        }
        self.trust.send_replace(news);
    }

    /// How often somebody was asked about.
    pub(crate) fn resolved(&self) -> usize {
        self.resolved.load(Ordering::SeqCst)
    }

    pub(crate) fn add(&self, token: &str, principal: Principal) {
        self.users.lock().unwrap().insert(token.to_owned(), principal);
    }

    /// Nobody knows the user any more, and everybody is told so.
    pub(crate) fn revoke(&self, token: &str) {
        let user = self.users.lock().unwrap().remove(token).unwrap();
        self.change(|it| {
            it.revocations.push(pb::Revocation {
                system_user_id: user.system_user_id.to_string(),
                revision: it.revision,
            });
        });
    }

    pub(crate) fn define(&self, roles: Vec<pb::RoleGrants>) {
        self.change(|it| it.roles = roles);
    }

    fn identity(&self, request: &pb::ResolveCallerRequest) -> Result<Identity, Status> {
        let denied = |reason| Err(refusal(Code::PermissionDenied, reason));
        let user = self.users.lock().unwrap().get(&request.bearer_token).cloned();
        let user = match (user, request.bearer_token.as_str()) {
            (Some(user), _) => user,
            (None, "unknown") => return denied(ErrorReason::NoErpUser),
            (None, _) => return Err(refusal(Code::Unauthenticated, ErrorReason::InvalidAssertion)),
        };
        Ok(match &request.acts_as {
            None => Identity::of(user),
            Some(ActsAs::PortalContactId(id)) if *id == Uuid::from_u128(1).to_string() => {
                let contact = Principal { contact: id.parse().ok(), ..principal(2, &[]) };
                Identity { sender: Some(user), ..Identity::of(contact) }
            }
            Some(ActsAs::PortalContactId(_) | ActsAs::AnonymousPortalUser(_)) => {
                return denied(ErrorReason::PortalUserRefused);
            }
            Some(_) => Identity { sender: Some(user), ..Identity::of(principal(3, &[])) },
        })
    }
}

#[tonic::async_trait]
impl UserContextService for Users {
    type WatchTrustStream = BoxStream<'static, Result<pb::WatchTrustResponse, Status>>;

    async fn resolve_caller(
        &self,
        request: Request<pb::ResolveCallerRequest>,
    ) -> Result<Response<pb::ResolveCallerResponse>, Status> {
        self.0.resolved.fetch_add(1, Ordering::SeqCst);
        let request = request.into_inner();
        self.0.asked.lock().unwrap().push(request.clone());
        let identity = self.0.identity(&request)?;
        let revision = self.0.trust.borrow().revision;
        let limit = SystemTime::now() + Duration::from_secs(60);
        let issue = |audience: &String| {
            let route = Route { audience, presenter: "gateway" };
            let issued = self.0.issuer.issue(identity.clone(), route, revision, limit);
            (audience.clone(), issued.unwrap().0)
        };
        let user = pb::User {
            system_user_id: identity.user.system_user_id.to_string(),
            ..Default::default()
        };
        Ok(Response::new(pb::ResolveCallerResponse {
            assertions: request.audiences.iter().map(issue).collect(),
            expire_time: Some(limit.into()),
            user: Some(user),
        }))
    }

    async fn watch_trust(
        &self,
        _: Request<pb::WatchTrustRequest>,
    ) -> Result<Response<Self::WatchTrustStream>, Status> {
        let news = WatchStream::new(self.0.trust.subscribe());
        Ok(Response::new(news.map(Ok).boxed()))
    }

    async fn get_caller(
        &self,
        request: Request<pb::GetCallerRequest>,
    ) -> Result<Response<pb::GetCallerResponse>, Status> {
        let caller = rpc::CallContext::of(&request)?.caller;
        let system_user_id = caller.user.system_user_id.to_string();
        let user = pb::User { system_user_id, ..Default::default() };
        Ok(Response::new(pb::GetCallerResponse { user: Some(user) }))
    }

    async fn check_portal_user(
        &self,
        _: Request<pb::CheckPortalUserRequest>,
    ) -> Result<Response<pb::CheckPortalUserResponse>, Status> {
        Err(Status::unimplemented("not faked"))
    }

    async fn lookup_user(
        &self,
        _: Request<pb::LookupUserRequest>,
    ) -> Result<Response<pb::LookupUserResponse>, Status> {
        Err(Status::unimplemented("not faked"))
    }
}
