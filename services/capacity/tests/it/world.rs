//! A tenant with its database, a fake lifecycle service, and clients.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use capacity::{Capacity, Config};
use cluster::Scratch;
use proto::capacity::v1 as pb;
use proto::capacity::v1::capacity_service_client::CapacityServiceClient;
use proto::capacity::v1::licence_service_client::LicenceServiceClient;
use proto::capacity::v1::meter_service_server::{MeterService, MeterServiceServer};
use proto::capacity::v1::reservation_service_client::ReservationServiceClient;
use proto::capacity::v1::user_licence_service_client::UserLicenceServiceClient;
use proto::user_context::v1::WatchTrustResponse;
use proto::user_context::v1::user_context_service_server::UserContextServiceServer;
use rpc::{
    AssertionIssuer, AssertionVerifier, Channel, Companies, Environment, Identity, Principal,
    Route, SigningKey, role,
};
use sqlx::{Connection as _, PgConnection};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::users::Users;

pub(crate) const GB: i64 = 1 << 30;
pub(crate) const MB: i64 = 1 << 20;
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// A tenant.
pub(crate) struct World {
    pub(crate) url: String,
    pub(crate) meter: Meter,
    pub(crate) users: Users,
    services: Environment,
    issuer: AssertionIssuer,
    _scratch: Scratch,
}

/// One replica of capacity.
pub(crate) struct Running {
    _capacity: Capacity,
    gateway: Channel,
    lifecycle: Channel,
}

/// What the fake lifecycle service answers.
#[derive(Clone)]
pub(crate) struct Meter {
    environments: Arc<Mutex<BTreeMap<String, Metered>>>,
    /// How often environments were listed.
    pub(crate) listings: watch::Sender<u64>,
    /// How often each was measured.
    pub(crate) measurements: watch::Sender<BTreeMap<String, u64>>,
    away: Arc<AtomicBool>,
}

#[derive(Clone)]
struct Metered {
    kind: pb::MeterKind,
    /// `None`: it has no database. An error: it cannot be measured.
    storage: Option<Result<pb::MeasureStorageResponse, ()>>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let scratch = Scratch::start().await.unwrap();
        let url = scratch.database("tenant").await.unwrap();
        let issuer = AssertionIssuer::new(SigningKey::generate().unwrap().0, TIMEOUT * 10);
        let users = [
            "clerk",
            "chief@contoso.example",
            "third",
            "u0",
            "u1",
            "u2",
            "u3",
            "u4",
            "u5",
            "u6",
            "u7",
        ];
        Self {
            url,
            meter: Meter::new(),
            users: Users::new(&users),
            services: Environment::generate(),
            issuer,
            _scratch: scratch,
        }
    }

    /// A replica that measures when it is told to.
    pub(crate) async fn start(&self) -> Running {
        self.start_with(
            Config { sampling_period_seconds: 3600, ..Config::new(self.url.clone()) },
            false,
        )
        .await
    }

    pub(crate) async fn start_with(&self, config: Config, joined: bool) -> Running {
        let capacity = Capacity::start(config, self.user_context()).await.unwrap();
        let verifier = AssertionVerifier::new("capacity");
        let jwks = self.issuer.jwks().unwrap();
        verifier.apply(&WatchTrustResponse { jwks, ..Default::default() }).unwrap();
        let server = capacity.register(self.services.server("capacity", Arc::new(verifier)));
        let (routes, _) = server.build().unwrap();
        let gateway = self.services.channel(routes.clone(), "gateway", "capacity").unwrap();
        let lifecycle = self.services.channel(routes, "lifecycle", "capacity").unwrap();
        if joined {
            capacity.measure(self.lifecycle());
        }
        Running { _capacity: capacity, gateway, lifecycle }
    }

    /// A replica that is joined to the fake lifecycle service; its first sample may be under way.
    pub(crate) async fn joined(&self, period: u64) -> Running {
        let config = Config { sampling_period_seconds: period, ..Config::new(self.url.clone()) };
        self.start_with(config, true).await
    }

    fn lifecycle(&self) -> Channel {
        let verifier = Arc::new(AssertionVerifier::new("lifecycle"));
        let server = self.services.server("lifecycle", verifier);
        let (routes, _) = server.with(MeterServiceServer::new(self.meter.clone())).build().unwrap();
        self.services.channel(routes, "capacity", "lifecycle").unwrap()
    }

    fn user_context(&self) -> Channel {
        let verifier = Arc::new(AssertionVerifier::new("user-context"));
        let server = self.services.server("user-context", verifier);
        let server = server.with(UserContextServiceServer::new(self.users.clone()));
        let (routes, _) = server.build().unwrap();
        self.services.channel(routes, "capacity", "user-context").unwrap()
    }

    /// A connection to the store, for what capacity itself would never do to it.
    pub(crate) async fn connect(&self) -> PgConnection {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        sqlx::raw_sql("SET search_path = capacity").execute(&mut connection).await.unwrap();
        connection
    }

    pub(crate) async fn run(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&mut self.connect().await).await.unwrap();
    }

    /// A request of somebody who administers the tenant.
    pub(crate) fn admin<T>(&self, message: T) -> Request<T> {
        self.request(message, role::POWER_PLATFORM_ADMINISTRATOR)
    }

    /// A request of somebody with this role.
    pub(crate) fn request<T>(&self, message: T, role: &str) -> Request<T> {
        let identity = Identity::of(Principal {
            system_user_id: uuid::Uuid::from_u128(role.len() as u128),
            name: "somebody".into(),
            erp_user: "somebody".into(),
            roles: vec![role.into()],
            companies: Companies::All,
            contact: None,
        });
        let route = Route { audience: "capacity", presenter: "gateway" };
        let limit = SystemTime::now() + TIMEOUT;
        let (assertion, _) = self.issuer.issue(identity, route, 0, limit).unwrap();
        rpc::request(message, &assertion, TIMEOUT).unwrap()
    }

    /// Buys so many of a product, under the product's own name.
    pub(crate) async fn buy(&self, running: &Running, accrual: &str, quantity: i64) -> pb::Licence {
        let licence =
            pb::Licence { accrual: format!("accruals/{accrual}"), quantity, ..Default::default() };
        let message = pb::CreateLicenceRequest {
            licence_id: accrual.into(),
            licence: Some(licence),
            ..Default::default()
        };
        let answer = running.licences().create_licence(self.admin(message)).await.unwrap();
        answer.into_inner().licence.unwrap()
    }

    pub(crate) async fn capacity(&self, running: &Running) -> pb::GetCapacityResponse {
        let request = self.admin(pb::GetCapacityRequest {});
        running.capacity().get_capacity(request).await.unwrap().into_inner()
    }

    pub(crate) async fn pool(&self, running: &Running, pool: pb::Pool) -> pb::PoolCapacity {
        let pools = self.capacity(running).await.pools;
        pools.into_iter().find(|it| it.pool() == pool).unwrap()
    }

    /// Measures now.
    pub(crate) async fn measure(&self, running: &Running) -> Vec<pb::UsageSample> {
        let request = self.admin(pb::MeasureUsageRequest::default());
        let answer = running.capacity().measure_usage(request).await;
        answer.unwrap().into_inner().usage_samples
    }
}

impl Running {
    pub(crate) fn capacity(&self) -> CapacityServiceClient<Channel> {
        CapacityServiceClient::new(self.gateway.clone())
    }

    pub(crate) fn licences(&self) -> LicenceServiceClient<Channel> {
        LicenceServiceClient::new(self.gateway.clone())
    }

    pub(crate) fn reservations(&self) -> ReservationServiceClient<Channel> {
        ReservationServiceClient::new(self.lifecycle.clone())
    }

    pub(crate) fn user_licences(&self) -> UserLicenceServiceClient<Channel> {
        UserLicenceServiceClient::new(self.lifecycle.clone())
    }

    /// Asks for what the operation needs by itself.
    pub(crate) async fn reserve(
        &self,
        holder: &str,
        operation: pb::CapacityOperation,
        environment: &str,
    ) -> Result<pb::Reservation, Status> {
        self.reserve_more(holder, operation, environment, Vec::new()).await
    }

    pub(crate) async fn reserve_more(
        &self,
        holder: &str,
        operation: pb::CapacityOperation,
        environment: &str,
        amounts: Vec<pb::PoolAmount>,
    ) -> Result<pb::Reservation, Status> {
        let reservation = pb::Reservation {
            operation: operation.into(),
            holder: format!("operations/{holder}"),
            environment: environment.into(),
            amounts,
            ..Default::default()
        };
        let message =
            pb::CreateReservationRequest { reservation: Some(reservation), ..Default::default() };
        let answer = self.reservations().create_reservation(message).await?;
        Ok(answer.into_inner().reservation.unwrap())
    }
}

impl Meter {
    fn new() -> Self {
        Self {
            environments: Arc::default(),
            listings: watch::Sender::new(0),
            measurements: watch::Sender::default(),
            away: Arc::default(),
        }
    }

    /// Whether it answers.
    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    pub(crate) fn without_database(&self, environment: &str, kind: pb::MeterKind) {
        self.put(environment, kind, None);
    }

    /// A database of this size with these tables.
    pub(crate) fn database(
        &self,
        environment: &str,
        kind: pb::MeterKind,
        database_size_bytes: i64,
        tables: &[(&str, i64)],
    ) {
        let table = |(table, size_bytes): &(&str, i64)| pb::TableUsage {
            schema: "organization".into(),
            table: (*table).into(),
            size_bytes: *size_bytes,
            row_count: 7,
            ..Default::default()
        };
        let tables = tables.iter().map(table).collect();
        let storage =
            pb::MeasureStorageResponse { database_size_bytes, tables, measure_time: None };
        self.put(environment, kind, Some(Ok(storage)));
    }

    pub(crate) fn broken(&self, environment: &str) {
        self.put(environment, pb::MeterKind::Platform, Some(Err(())));
    }

    pub(crate) fn remove(&self, environment: &str) {
        self.environments.lock().unwrap().remove(environment);
    }

    fn put(
        &self,
        environment: &str,
        kind: pb::MeterKind,
        storage: Option<Result<pb::MeasureStorageResponse, ()>>,
    ) {
        let metered = Metered { kind, storage };
        self.environments.lock().unwrap().insert(environment.into(), metered);
    }
}

#[tonic::async_trait]
impl MeterService for Meter {
    /// One environment a page, so that pages are followed.
    async fn list_metered_environments(
        &self,
        request: Request<pb::ListMeteredEnvironmentsRequest>,
    ) -> Result<Response<pb::ListMeteredEnvironmentsResponse>, Status> {
        let after = request.into_inner().page_token;
        if after.is_empty() {
            self.listings.send_modify(|it| *it += 1);
        }
        if self.away.load(Ordering::SeqCst) {
            return Err(Status::unavailable("away"));
        }
        let all = self.environments.lock().unwrap();
        let mut rest = all.iter().filter(|it| *it.0 > after);
        let first = rest.next().map(|(name, it)| pb::MeteredEnvironment {
            environment: name.clone(),
            display_name: name.clone(),
            kind: it.kind.into(),
            has_database: it.storage.is_some(),
        });
        let next_page_token = match (&first, rest.next()) {
            (Some(it), Some(_)) => it.environment.clone(),
            _ => String::new(),
        };
        let metered_environments = first.into_iter().collect();
        Ok(Response::new(pb::ListMeteredEnvironmentsResponse {
            metered_environments,
            next_page_token,
        }))
    }

    async fn measure_storage(
        &self,
        request: Request<pb::MeasureStorageRequest>,
    ) -> Result<Response<pb::MeasureStorageResponse>, Status> {
        let all = self.environments.lock().unwrap();
        let name = &request.get_ref().environment;
        self.measurements.send_modify(|it| *it.entry(name.clone()).or_default() += 1);
        let it = all.get(name).ok_or(Status::not_found("gone"))?;
        match &it.storage {
            Some(Ok(storage)) => Ok(Response::new(storage.clone())),
            Some(Err(())) => Err(Status::unavailable("the database is down")),
            None => Err(Status::failed_precondition("it has no database")),
        }
    }
}

pub(crate) fn amount(pool: pb::Pool, size_bytes: i64) -> pb::PoolAmount {
    pb::PoolAmount { pool: pool.into(), size_bytes }
}

#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(
    answer: Result<T, Status>,
    code: tonic::Code,
    reason: rpc::ErrorReason,
) -> Status {
    let status = answer.unwrap_err();
    assert_eq!((status.code(), rpc::reason(&status)), (code, Some(reason)), "{status:?}");
    status
}

/// Metadata of an error.
pub(crate) fn told(status: &Status, key: &str) -> String {
    use tonic_types::StatusExt as _;
    let info = status.get_details_error_info().unwrap();
    info.metadata.get(key).cloned().unwrap_or_default()
}

/// Bounds what is awaited, so that a test that would hang fails.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(TIMEOUT, what).await.expect("in time")
}
