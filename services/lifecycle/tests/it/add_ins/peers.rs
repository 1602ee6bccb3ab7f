//! The services that an add-in's operation calls, and a runtime, in one: they note every effect, and stop where a
//! test wants the process to die.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures::Stream;
use proto::add_in::v1 as runtime;
use proto::add_in::v1::add_in_runtime_service_server::{
    AddInRuntimeService, AddInRuntimeServiceServer,
};
use proto::capacity::v1 as capacity;
use proto::capacity::v1::reservation_service_server::{
    ReservationService, ReservationServiceServer,
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
use tokio::sync::Notify;
use tonic::{Code, Request, Response, Status};

/// All of them.
#[derive(Clone, Default)]
pub(crate) struct Peers(Arc<Inner>);

#[derive(Default)]
struct Inner {
    world: Mutex<World>,
    stopped: Notify,
}

/// What they did, and how they are to answer.
#[derive(Default)]
pub(crate) struct World {
    /// In their order, with repetitions.
    pub(crate) effects: Vec<String>,
    /// Hangs once at this effect, after it was made or before.
    stop: Option<(String, Moment)>,
    /// By holder.
    pub(crate) reservations: BTreeMap<String, &'static str>,
    pub(crate) no_capacity: bool,
    /// By add-in: the state shown, and the parameters.
    pub(crate) rows: BTreeMap<String, (String, String)>,
    /// By environment: the parameters.
    pub(crate) installed: BTreeMap<String, String>,
    pub(crate) runtime_refuses: Option<Status>,
    /// Who may not install solutions.
    pub(crate) unprivileged: BTreeSet<String>,
    pub(crate) status_text: String,
}

/// When the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Before,
    After,
}

impl Peers {
    pub(crate) fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.0.world.lock().unwrap()
    }

    /// The next effect of this name never answers.
    pub(crate) fn stop_at(&self, effect: &str, moment: Moment) {
        self.world().stop = Some((effect.to_owned(), moment));
    }

    /// Until something hangs.
    pub(crate) async fn stopped(&self) {
        let wait = self.0.stopped.notified();
        tokio::time::timeout(super::SOON, wait).await.expect("the effect is reached");
    }

    async fn effect<T>(
        &self,
        name: &str,
        make: impl FnOnce(&mut World) -> Result<T, Status>,
    ) -> Result<Response<T>, Status> {
        self.hang_if(name, Moment::Before).await;
        let made = {
            let world = &mut *self.world();
            world.effects.push(name.to_owned());
            make(world)
        };
        self.hang_if(name, Moment::After).await;
        made.map(Response::new)
    }

    async fn hang_if(&self, name: &str, moment: Moment) {
        let hang = self.world().stop.take_if(|it| it.0 == name && it.1 == moment).is_some();
        if hang {
            self.0.stopped.notify_one();
            std::future::pending().await
        }
    }

    /// A way to the one of this name.
    pub(crate) fn channel(&self, services: &Environment, callee: &'static str) -> Channel {
        let server = services.server(callee, Arc::new(AssertionVerifier::new(callee)));
        let server = match callee {
            "capacity" => server.with(ReservationServiceServer::new(self.clone())),
            "organization" => server.with(ProvisioningServiceServer::new(self.clone())),
            "user-context" => server.with(UserContextServiceServer::new(self.clone())),
            _ => server.with(AddInRuntimeServiceServer::new(self.clone())),
        };
        let (routes, _) = server.build().unwrap();
        services.channel(routes, "lifecycle", callee).unwrap()
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
        let short = self.world().no_capacity;
        let message = if short { "there is no gigabyte left" } else { "" };
        Ok(Response::new(capacity::CheckReservationResponse {
            allowed: !short,
            message: message.to_owned(),
            ..Default::default()
        }))
    }

    async fn create_reservation(
        &self,
        request: Request<capacity::CreateReservationRequest>,
    ) -> Result<Response<capacity::CreateReservationResponse>, Status> {
        let reservation = request.into_inner().reservation.unwrap();
        assert_eq!(reservation.operation(), capacity::CapacityOperation::InstallAddIn);
        self.effect("reserve", |world| {
            let holder = reservation.holder.clone();
            let has = world.reservations.get(&holder).is_some_and(|it| *it != "released");
            if !has && world.no_capacity {
                return Err(insufficient());
            }
            if !has {
                world.reservations.insert(holder.clone(), "held");
            }
            let name = format!("reservations/{holder}");
            let reservation = Some(capacity::Reservation { name, ..reservation });
            Ok(capacity::CreateReservationResponse { reservation })
        })
        .await
    }

    async fn commit_reservation(
        &self,
        request: Request<capacity::CommitReservationRequest>,
    ) -> Result<Response<capacity::CommitReservationResponse>, Status> {
        let name = request.into_inner().name;
        self.effect("commit", |world| {
            settle(world, &name, "committed")?;
            Ok(capacity::CommitReservationResponse::default())
        })
        .await
    }

    async fn release_reservation(
        &self,
        request: Request<capacity::ReleaseReservationRequest>,
    ) -> Result<Response<capacity::ReleaseReservationResponse>, Status> {
        let name = request.into_inner().name;
        self.effect("release", |world| {
            settle(world, &name, "released")?;
            Ok(capacity::ReleaseReservationResponse::default())
        })
        .await
    }

    async fn list_reservations(
        &self,
        _: Request<capacity::ListReservationsRequest>,
    ) -> Result<Response<capacity::ListReservationsResponse>, Status> {
        unexpected()
    }

    async fn get_reservation(
        &self,
        _: Request<capacity::GetReservationRequest>,
    ) -> Result<Response<capacity::GetReservationResponse>, Status> {
        unexpected()
    }

    async fn extend_reservation(
        &self,
        _: Request<capacity::ExtendReservationRequest>,
    ) -> Result<Response<capacity::ExtendReservationResponse>, Status> {
        unexpected()
    }
}

/// Idempotent, and a reservation that ended one way does not end the other.
fn settle(world: &mut World, name: &str, state: &'static str) -> Result<(), Status> {
    let holder = name.strip_prefix("reservations/").unwrap();
    let now = world.reservations.get_mut(holder).unwrap();
    if *now != "held" && *now != state {
        let reason = ErrorReason::InvalidState;
        return Err(status(Code::FailedPrecondition, "capacity", reason, *now, []));
    }
    *now = state;
    Ok(())
}

#[tonic::async_trait]
impl ProvisioningService for Peers {
    async fn write_add_in(
        &self,
        request: Request<pb::WriteAddInRequest>,
    ) -> Result<Response<pb::WriteAddInResponse>, Status> {
        let row = request.into_inner();
        let database = row.database.unwrap();
        assert_eq!((database.database.as_str(), database.role.as_str()), ("env_one", "env_one"));
        let name = match row.removed {
            true => "row removed".to_owned(),
            false => format!("row {}", row.state),
        };
        self.effect(&name, |world| {
            match row.removed {
                true => world.rows.remove(&row.add_in),
                false => world.rows.insert(row.add_in, (row.state, row.parameters_json)),
            };
            Ok(pb::WriteAddInResponse::default())
        })
        .await
    }

    async fn provision_database(
        &self,
        _: Request<pb::ProvisionDatabaseRequest>,
    ) -> Result<Response<pb::ProvisionDatabaseResponse>, Status> {
        unexpected()
    }

    async fn install_package(
        &self,
        _: Request<pb::InstallPackageRequest>,
    ) -> Result<Response<pb::InstallPackageResponse>, Status> {
        unexpected()
    }

    async fn configure_virtual_entities(
        &self,
        _: Request<pb::ConfigureVirtualEntitiesRequest>,
    ) -> Result<Response<pb::ConfigureVirtualEntitiesResponse>, Status> {
        unexpected()
    }

    async fn register_applications(
        &self,
        _: Request<pb::RegisterApplicationsRequest>,
    ) -> Result<Response<pb::RegisterApplicationsResponse>, Status> {
        unexpected()
    }
}

#[tonic::async_trait]
impl AddInRuntimeService for Peers {
    async fn install_add_in(
        &self,
        request: Request<runtime::InstallAddInRequest>,
    ) -> Result<Response<runtime::InstallAddInResponse>, Status> {
        let request = request.into_inner();
        assert_eq!(request.web_api_url, "https://one.crm.dynamics.com");
        self.effect("runtime install", |world| {
            refuse(world)?;
            world.installed.insert(request.environment, request.parameters_json);
            Ok(runtime::InstallAddInResponse { status_text: "Connected".to_owned() })
        })
        .await
    }

    async fn configure_add_in(
        &self,
        request: Request<runtime::ConfigureAddInRequest>,
    ) -> Result<Response<runtime::ConfigureAddInResponse>, Status> {
        let request = request.into_inner();
        self.effect("runtime configure", |world| {
            refuse(world)?;
            let installed = world.installed.get_mut(&request.environment);
            *installed.ok_or_else(not_installed)? = request.parameters_json;
            Ok(runtime::ConfigureAddInResponse { status_text: "Reconnected".to_owned() })
        })
        .await
    }

    async fn uninstall_add_in(
        &self,
        request: Request<runtime::UninstallAddInRequest>,
    ) -> Result<Response<runtime::UninstallAddInResponse>, Status> {
        let request = request.into_inner();
        let name = if request.delete_data { "runtime delete" } else { "runtime uninstall" };
        self.effect(name, |world| {
            world.installed.remove(&request.environment);
            Ok(runtime::UninstallAddInResponse::default())
        })
        .await
    }

    async fn get_add_in_status(
        &self,
        _: Request<runtime::GetAddInStatusRequest>,
    ) -> Result<Response<runtime::GetAddInStatusResponse>, Status> {
        let world = self.world();
        refuse(&world)?;
        let status_text = world.status_text.clone();
        Ok(Response::new(runtime::GetAddInStatusResponse { status_text, last_run_time: None }))
    }
}

fn refuse(world: &World) -> Result<(), Status> {
    world.runtime_refuses.clone().map_or(Ok(()), Err)
}

fn not_installed() -> Status {
    status(Code::NotFound, "runtime", ErrorReason::ResourceNotFound, "it is not installed", [])
}

#[tonic::async_trait]
impl UserContextService for Peers {
    type WatchTrustStream =
        Pin<Box<dyn Stream<Item = Result<users::WatchTrustResponse, Status>> + Send>>;

    async fn lookup_user(
        &self,
        request: Request<users::LookupUserRequest>,
    ) -> Result<Response<users::LookupUserResponse>, Status> {
        let request = request.into_inner();
        assert_eq!(
            (request.database.as_str(), request.database_role.as_str()),
            ("env_one", "env_one")
        );
        let may = !self.world().unprivileged.contains(&request.user);
        let role = if may { role::SYSTEM_ADMINISTRATOR } else { role::BASIC_USER };
        let (name, roles) = (request.user, vec![role.to_owned()]);
        Ok(Response::new(users::LookupUserResponse { name, roles, ..Default::default() }))
    }

    async fn resolve_caller(
        &self,
        _: Request<users::ResolveCallerRequest>,
    ) -> Result<Response<users::ResolveCallerResponse>, Status> {
        unexpected()
    }

    async fn watch_trust(
        &self,
        _: Request<users::WatchTrustRequest>,
    ) -> Result<Response<Self::WatchTrustStream>, Status> {
        unexpected()
    }

    async fn get_caller(
        &self,
        _: Request<users::GetCallerRequest>,
    ) -> Result<Response<users::GetCallerResponse>, Status> {
        unexpected()
    }

    async fn check_portal_user(
        &self,
        _: Request<users::CheckPortalUserRequest>,
    ) -> Result<Response<users::CheckPortalUserResponse>, Status> {
        unexpected()
    }
}

fn unexpected<T>() -> Result<Response<T>, Status> {
    panic!("nobody is to call this")
}
