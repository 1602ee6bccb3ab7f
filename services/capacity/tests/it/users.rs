//! A user-context service that knows some users.

use std::sync::{Arc, Mutex};

use proto::user_context::v1 as users;
use proto::user_context::v1::user_context_service_server::UserContextService;
use tonic::{Request, Response, Status};

/// The directory.
#[derive(Clone)]
pub(crate) struct Users {
    /// As the directory writes them; `None`: it does not answer.
    known: Arc<Mutex<Option<Vec<String>>>>,
}

impl Users {
    pub(crate) fn new(known: &[&str]) -> Self {
        let known = known.iter().map(|it| format!("users/{it}")).collect();
        Self { known: Arc::new(Mutex::new(Some(known))) }
    }

    pub(crate) fn forget(&self, user: &str) {
        let name = format!("users/{user}");
        self.known.lock().unwrap().as_mut().unwrap().retain(|it| *it != name);
    }

    pub(crate) fn leave(&self) {
        *self.known.lock().unwrap() = None;
    }
}

#[tonic::async_trait]
impl UserContextService for Users {
    async fn lookup_user(
        &self,
        request: Request<users::LookupUserRequest>,
    ) -> Result<Response<users::LookupUserResponse>, Status> {
        let users::LookupUserRequest { user, database, database_role } = request.into_inner();
        assert!(database.is_empty() && database_role.is_empty(), "the tenant's own directory");
        let known = self.known.lock().unwrap();
        let known = known.as_ref().ok_or_else(|| Status::unavailable("away"))?;
        let found = known.iter().find(|it| it.eq_ignore_ascii_case(&user));
        let name = found.ok_or_else(|| Status::not_found("no such user"))?.clone();
        Ok(Response::new(users::LookupUserResponse { name, ..Default::default() }))
    }

    async fn resolve_caller(
        &self,
        _: Request<users::ResolveCallerRequest>,
    ) -> Result<Response<users::ResolveCallerResponse>, Status> {
        Err(Status::unimplemented("not asked by capacity"))
    }

    async fn get_caller(
        &self,
        _: Request<users::GetCallerRequest>,
    ) -> Result<Response<users::GetCallerResponse>, Status> {
        Err(Status::unimplemented("not asked by capacity"))
    }

    type WatchTrustStream =
        futures::stream::BoxStream<'static, Result<users::WatchTrustResponse, Status>>;

    async fn watch_trust(
        &self,
        _: Request<users::WatchTrustRequest>,
    ) -> Result<Response<Self::WatchTrustStream>, Status> {
        Err(Status::unimplemented("not asked by capacity"))
    }

    async fn check_portal_user(
        &self,
        _: Request<users::CheckPortalUserRequest>,
    ) -> Result<Response<users::CheckPortalUserResponse>, Status> {
        Err(Status::unimplemented("not asked by capacity"))
    }
}
