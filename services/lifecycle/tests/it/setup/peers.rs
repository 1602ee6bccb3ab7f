//! The services that a setup calls, in one: they keep what they are told, stop where a test wants the process to
//! die, and fail where a test wants them to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use proto::capacity::v1 as capacity;
use proto::capacity::v1::reservation_service_server::{
    ReservationService, ReservationServiceServer,
};
use proto::capacity::v1::user_licence_service_server::{
    UserLicenceService, UserLicenceServiceServer,
};
use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::provisioning_service_server::{
    ProvisioningService, ProvisioningServiceServer,
};
use proto::user_context::v1 as users;
use proto::user_context::v1::user_context_service_server::{
    UserContextService, UserContextServiceServer,
};
use rpc::{AssertionVerifier, Channel, Environment, ErrorReason, role, status};
use sqlx::PgPool;
use tokio::sync::Notify;
use tonic::{Code, Request, Response, Status};

/// All of them.
#[derive(Clone)]
pub(crate) struct Peers {
    inner: Arc<Inner>,
    /// As which of them a call is answered.
    callee: &'static str,
}

struct Inner {
    kept: Mutex<Kept>,
    stopped: Notify,
    /// The platform's server.
    server: PgPool,
}

/// What they were told, and how they are to answer.
#[derive(Default)]
pub(crate) struct Kept {
    /// In their order, with repetitions.
    pub(crate) effects: Vec<String>,
    stop: Option<(String, Moment)>,
    /// By effect: how it fails, and how often.
    failures: BTreeMap<String, (Status, usize)>,
    /// Free gigabytes.
    pub(crate) free: usize,
    /// Holder and state, by the order in which they were made.
    pub(crate) reservations: Vec<(String, &'static str)>,
    /// Holder and bytes, each time that somebody asked for capacity.
    pub(crate) asked: Vec<(String, i64)>,
    /// How often somebody asked to go on holding it.
    pub(crate) extended: usize,
    /// Which user holds a licence that permits a setup.
    pub(crate) licensed: BTreeSet<String>,
    pub(crate) bought: Vec<String>,
    /// By user: display name and roles in the directory that runs here.
    pub(crate) users: BTreeMap<String, (String, Vec<String>)>,
    /// By database.
    pub(crate) organizations: BTreeMap<String, Organization>,
}

/// What is in an environment's database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Organization {
    pub(crate) provisioned: BTreeSet<&'static str>,
    pub(crate) administrators: BTreeSet<String>,
    pub(crate) language: String,
    pub(crate) currency: String,
    pub(crate) packages: Vec<String>,
    pub(crate) erp: String,
    pub(crate) applications: BTreeSet<String>,
}

/// When a process dies: before an effect is made, or before it hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Before,
    After,
}

impl Peers {
    pub(crate) fn new(server: PgPool) -> Self {
        let kept = Kept { free: 10, ..Kept::default() };
        let inner = Inner { kept: Mutex::new(kept), stopped: Notify::new(), server };
        Self { inner: Arc::new(inner), callee: "" }
    }

    pub(crate) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.inner.kept.lock().unwrap()
    }

    /// The next effect of this name never answers.
    pub(crate) fn stop_at(&self, effect: &str, moment: Moment) {
        self.kept().stop = Some((effect.to_owned(), moment));
    }

    /// Until something hangs.
    pub(crate) async fn stopped(&self) {
        let wait = self.inner.stopped.notified();
        tokio::time::timeout(super::SOON, wait).await.expect("the effect is reached");
    }

    /// The effect fails so many times.
    pub(crate) fn fail_at(&self, effect: &str, code: Code, times: usize) {
        let status = Status::new(code, format!("{effect} does not do it"));
        self.kept().failures.insert(effect.to_owned(), (status, times));
    }

    pub(crate) fn channel(&self, services: &Environment, callee: &'static str) -> Channel {
        let server = services.server(callee, Arc::new(AssertionVerifier::new(callee)));
        let peers = || Self { inner: Arc::clone(&self.inner), callee };
        let server = match callee {
            "capacity" => server
                .with(ReservationServiceServer::new(peers()))
                .with(UserLicenceServiceServer::new(peers())),
            "user-context" => server
                .with(UserContextServiceServer::new(peers()))
                .with(ProvisioningServiceServer::new(peers())),
            _ => server.with(ProvisioningServiceServer::new(peers())),
        };
        let (routes, _) = server.build().unwrap();
        services.channel(routes, "lifecycle", callee).unwrap()
    }

    async fn effect<T>(
        &self,
        name: &str,
        make: impl FnOnce(&mut Kept) -> Result<T, Status>,
    ) -> Result<Response<T>, Status> {
        self.hang_if(name, Moment::Before).await;
        let made = {
            let kept = &mut *self.kept();
            if let Some((status, times)) = kept.failures.get_mut(name)
                && *times > 0
            {
                *times -= 1;
                return Err(status.clone());
            }
            kept.effects.push(name.to_owned());
            make(kept)
        };
        self.hang_if(name, Moment::After).await;
        made.map(Response::new)
    }

    async fn hang_if(&self, name: &str, moment: Moment) {
        let hang = self.kept().stop.take_if(|it| it.0 == name && it.1 == moment).is_some();
        if hang {
            self.inner.stopped.notify_one();
            std::future::pending().await
        }
    }

    /// A change of a database that has to be there.
    async fn change<T: Default>(
        &self,
        name: &str,
        database: Option<pb::EnvironmentDatabase>,
        make: impl FnOnce(&mut Organization),
    ) -> Result<Response<T>, Status> {
        let database = database.unwrap().database;
        let sql = "SELECT count(*) FROM pg_database WHERE datname = $1";
        let there: i64 =
            sqlx::query_scalar(sql).bind(&database).fetch_one(&self.inner.server).await.unwrap();
        let effect = format!("{name}/{}", self.callee);
        self.effect(&effect, |kept| {
            if there == 0 {
                return Err(Status::not_found("no such database"));
            }
            make(kept.organizations.entry(database).or_default());
            Ok(T::default())
        })
        .await
    }
}

impl Kept {
    /// States of all reservations of a holder that still count.
    pub(crate) fn counting(&self, holder: &str) -> Vec<&'static str> {
        let of = self.reservations.iter().filter(|it| it.0 == holder && it.1 != "released");
        of.map(|it| it.1).collect()
    }
}

fn insufficient() -> Status {
    let reason = ErrorReason::CapacityInsufficient;
    status(Code::ResourceExhausted, "capacity", reason, "there is no gigabyte left", [])
}

#[tonic::async_trait]
impl ReservationService for Peers {
    async fn check_reservation(
        &self,
        _: Request<capacity::CheckReservationRequest>,
    ) -> Result<Response<capacity::CheckReservationResponse>, Status> {
        let allowed = self.kept().free > 0;
        let answer = capacity::CheckReservationResponse { allowed, ..Default::default() };
        Ok(Response::new(answer))
    }

    async fn create_reservation(
        &self,
        request: Request<capacity::CreateReservationRequest>,
    ) -> Result<Response<capacity::CreateReservationResponse>, Status> {
        let reservation = request.into_inner().reservation.unwrap();
        assert_ne!(reservation.operation(), capacity::CapacityOperation::Unspecified);
        self.effect("reserve", |kept| {
            let holder = reservation.holder.clone();
            let bytes = reservation.amounts.iter().map(|it| it.size_bytes).sum();
            kept.asked.push((holder.clone(), bytes));
            let own = kept.reservations.iter().position(|it| it.0 == holder && it.1 != "released");
            let number = match own {
                Some(number) => number,
                None if kept.free == 0 => return Err(insufficient()),
                None => {
                    kept.free -= 1;
                    kept.reservations.push((holder, "held"));
                    kept.reservations.len() - 1
                }
            };
            let name = format!("reservations/{number}");
            let reservation = Some(capacity::Reservation { name, ..reservation });
            Ok(capacity::CreateReservationResponse { reservation })
        })
        .await
    }

    async fn extend_reservation(
        &self,
        request: Request<capacity::ExtendReservationRequest>,
    ) -> Result<Response<capacity::ExtendReservationResponse>, Status> {
        let name = request.into_inner().name;
        self.kept().extended += 1;
        let state = self.kept().reservations[number(&name)].1;
        match state {
            "held" => Ok(Response::new(capacity::ExtendReservationResponse::default())),
            _ => Err(invalid_state()),
        }
    }

    async fn commit_reservation(
        &self,
        request: Request<capacity::CommitReservationRequest>,
    ) -> Result<Response<capacity::CommitReservationResponse>, Status> {
        let name = request.into_inner().name;
        self.effect("commit", |kept| {
            let state = &mut kept.reservations[number(&name)].1;
            if *state == "released" {
                return Err(invalid_state());
            }
            *state = "committed";
            Ok(capacity::CommitReservationResponse::default())
        })
        .await
    }

    async fn release_reservation(
        &self,
        request: Request<capacity::ReleaseReservationRequest>,
    ) -> Result<Response<capacity::ReleaseReservationResponse>, Status> {
        let name = request.into_inner().name;
        self.effect("release", |kept| {
            let state = &mut kept.reservations[number(&name)].1;
            match *state {
                "committed" => return Err(invalid_state()),
                "held" => kept.free += 1,
                _ => {}
            }
            *state = "released";
            Ok(capacity::ReleaseReservationResponse::default())
        })
        .await
    }

    async fn list_reservations(
        &self,
        _: Request<capacity::ListReservationsRequest>,
    ) -> Result<Response<capacity::ListReservationsResponse>, Status> {
        Err(Status::unimplemented("not asked in a setup"))
    }

    async fn get_reservation(
        &self,
        _: Request<capacity::GetReservationRequest>,
    ) -> Result<Response<capacity::GetReservationResponse>, Status> {
        Err(Status::unimplemented("not asked in a setup"))
    }
}

fn number(name: &str) -> usize {
    name.strip_prefix("reservations/").unwrap().parse().unwrap()
}

fn invalid_state() -> Status {
    status(Code::FailedPrecondition, "capacity", ErrorReason::InvalidState, "it has ended", [])
}

#[tonic::async_trait]
impl UserLicenceService for Peers {
    async fn list_user_licences(
        &self,
        request: Request<capacity::ListUserLicencesRequest>,
    ) -> Result<Response<capacity::ListUserLicencesResponse>, Status> {
        let user = request.into_inner().user;
        let kept = self.kept();
        let accrual = |name: &str, permits_setup| capacity::Accrual {
            name: name.to_owned(),
            permits_setup,
            kind: capacity::ProductKind::FinanceAndOperations.into(),
            ..Default::default()
        };
        let accruals = match user.as_str() {
            "" => kept.bought.iter().map(|it| accrual(it, true)).collect(),
            user if kept.licensed.contains(user) => vec![accrual("accruals/finance", true)],
            _ => vec![accrual("accruals/team-members", false)],
        };
        Ok(Response::new(capacity::ListUserLicencesResponse { accruals, ..Default::default() }))
    }
}

#[tonic::async_trait]
impl UserContextService for Peers {
    async fn lookup_user(
        &self,
        request: Request<users::LookupUserRequest>,
    ) -> Result<Response<users::LookupUserResponse>, Status> {
        let users::LookupUserRequest { user, database, .. } = request.into_inner();
        let kept = self.kept();
        let unknown = || Status::not_found("no such user");
        let (display_name, roles) = kept.users.get(&user).cloned().ok_or_else(unknown)?;
        let roles = match database.as_str() {
            "" => roles,
            _ => match kept.organizations.get(&database) {
                Some(it) if it.administrators.contains(&user) => {
                    vec![role::SYSTEM_ADMINISTRATOR.to_owned()]
                }
                _ => return Err(unknown()),
            },
        };
        let answer =
            users::LookupUserResponse { name: user, display_name, roles, ..Default::default() };
        Ok(Response::new(answer))
    }

    async fn resolve_caller(
        &self,
        _: Request<users::ResolveCallerRequest>,
    ) -> Result<Response<users::ResolveCallerResponse>, Status> {
        Err(Status::unimplemented("not asked in a setup"))
    }

    async fn get_caller(
        &self,
        _: Request<users::GetCallerRequest>,
    ) -> Result<Response<users::GetCallerResponse>, Status> {
        Err(Status::unimplemented("not asked in a setup"))
    }

    type WatchTrustStream =
        futures::stream::BoxStream<'static, Result<users::WatchTrustResponse, Status>>;

    async fn watch_trust(
        &self,
        _: Request<users::WatchTrustRequest>,
    ) -> Result<Response<Self::WatchTrustStream>, Status> {
        Err(Status::unimplemented("not asked in a setup"))
    }

    async fn check_portal_user(
        &self,
        _: Request<users::CheckPortalUserRequest>,
    ) -> Result<Response<users::CheckPortalUserResponse>, Status> {
        Err(Status::unimplemented("not asked in a setup"))
    }
}

#[tonic::async_trait]
impl ProvisioningService for Peers {
    async fn provision_database(
        &self,
        request: Request<pb::ProvisionDatabaseRequest>,
    ) -> Result<Response<pb::ProvisionDatabaseResponse>, Status> {
        let request = request.into_inner();
        let callee = self.callee;
        self.change("provision", request.database, |it| {
            it.provisioned.insert(callee);
            it.administrators.insert(request.administrator);
            (it.language, it.currency) = (request.language, request.currency_code);
        })
        .await
    }

    async fn install_package(
        &self,
        request: Request<pb::InstallPackageRequest>,
    ) -> Result<Response<pb::InstallPackageResponse>, Status> {
        let pb::InstallPackageRequest { database, package } = request.into_inner();
        let name = format!("install/{package}");
        self.change(&name, database, |it| {
            if !it.packages.contains(&package) {
                it.packages.push(package);
            }
        })
        .await
    }

    async fn configure_virtual_entities(
        &self,
        request: Request<pb::ConfigureVirtualEntitiesRequest>,
    ) -> Result<Response<pb::ConfigureVirtualEntitiesResponse>, Status> {
        let request = request.into_inner();
        let url = request.finance_and_operations_url;
        self.change("configure", request.database, |it| it.erp = url).await
    }

    async fn register_applications(
        &self,
        request: Request<pb::RegisterApplicationsRequest>,
    ) -> Result<Response<pb::RegisterApplicationsResponse>, Status> {
        let request = request.into_inner();
        let ids = request.applications.into_iter().map(|it| it.client_id);
        self.change("register", request.database, |it| it.applications.extend(ids)).await
    }

    async fn write_add_in(
        &self,
        request: Request<pb::WriteAddInRequest>,
    ) -> Result<Response<pb::WriteAddInResponse>, Status> {
        let request = request.into_inner();
        let what = if request.removed { "remove" } else { "write" };
        self.change(&format!("{what}/{}", request.add_in), request.database, |_| {}).await
    }
}
