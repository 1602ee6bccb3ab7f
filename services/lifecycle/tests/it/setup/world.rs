//! A tenant with environments that are not linked, and processes of the lifecycle service over it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use cluster::Scratch;
use lifecycle::{Clients, Config, Lifecycle};
use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::operation_service_client::OperationServiceClient;
use proto::lifecycle::v1::setup_service_client::SetupServiceClient;
use proto::user_context::v1::WatchTrustResponse;
use rpc::{
    AssertionIssuer, AssertionVerifier, Channel, Companies, Environment, Identity, Principal,
    Route, SigningKey, role,
};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;
use tonic::{Request, Status};

use super::SOON;
use super::peers::Peers;

pub(crate) const ERP: &str = "financeAndOperationsEnvironments/contoso";
pub(crate) const INITIAL: &str = "platformEnvironments/00000000-0000-0000-0000-0000000000a1";
pub(crate) const EXISTING: &str = "platformEnvironments/00000000-0000-0000-0000-0000000000a2";
pub(crate) const USER: &str = "users/manager";
/// Of the initial environment.
pub(crate) const DATABASE: &str = "env_000000000000000000000000000000a1";

const SEED: &str = "
    INSERT INTO lifecycle.finance_and_operations_environment
        (environment_id, id, display_name, type, state, url, tenant_id, region, administrator, version,
         database, adopted)
    SELECT ('00000000-0000-0000-0000-0000000000' || n)::uuid, id, id, type, 'deployed',
        'https://' || id || '.operations.dynamics.com', '00000000-0000-0000-0000-00000000000f',
        'westeurope', 'users/owner', '10.0.40', 'erp', true
    FROM (VALUES ('f1', 'contoso', 'sandbox'), ('f2', 'fabrikam', 'sandbox'), ('f3', 'devbox', 'cloud_hosted'))
        AS t (n, id, type);
    INSERT INTO lifecycle.platform_environment
        (id, display_name, type, state, location, region, tenant_id, initial_of, initial)
    SELECT ('00000000-0000-0000-0000-0000000000' || n)::uuid, name, 'sandbox', 'ready', 'europe', 'westeurope',
        '00000000-0000-0000-0000-00000000000f', ('00000000-0000-0000-0000-0000000000' || erp)::uuid, true
    FROM (VALUES ('a1', 'contoso', 'f1'), ('a3', 'fabrikam', 'f2')) AS t (n, name, erp);
    INSERT INTO lifecycle.platform_environment
        (id, display_name, type, state, location, region, tenant_id, host_name, url, organization_id, language,
         currency_code, d365_apps_enabled, database, database_role)
    VALUES ('00000000-0000-0000-0000-0000000000a2', 'Existing', 'sandbox', 'ready', 'europe', 'northeurope',
        '00000000-0000-0000-0000-00000000000f', 'existing', 'https://existing.crm4.dynamics.com',
        '00000000-0000-0000-0000-0000000000b2', 'en-us', 'USD', true, 'existing', '');";

pub(crate) struct World {
    pub(crate) peers: Peers,
    services: Environment,
    issuer: AssertionIssuer,
    scratch: Scratch,
    files: TempDir,
}

/// A process of the service.
pub(crate) struct Process {
    pub(crate) lifecycle: Lifecycle,
    pub(crate) channel: Channel,
    /// As the capacity service calls.
    pub(crate) meter: Channel,
}

impl World {
    pub(crate) async fn new() -> Self {
        let scratch = Scratch::start().await.unwrap();
        for database in ["tenant", "platform", "erp", "existing", "blank"] {
            scratch.database(database).await.unwrap();
        }
        let options = scratch.cluster().connect_options("platform");
        let peers = Peers::new(PgPoolOptions::new().max_connections(1).connect_lazy_with(options));
        {
            let kept = &mut *peers.kept();
            let roles = vec![role::ENVIRONMENT_MANAGER.to_owned()];
            kept.users.insert(USER.into(), ("Mana Ger".into(), roles));
            kept.licensed.insert(USER.into());
            let administrators = [USER.to_owned()].into();
            let organization = super::peers::Organization { administrators, ..Default::default() };
            kept.organizations.insert("existing".into(), organization);
        }
        let world = Self {
            peers,
            services: Environment::generate(),
            issuer: AssertionIssuer::new(SigningKey::generate().unwrap().0, SOON * 10),
            scratch,
            files: TempDir::new().unwrap(),
        };
        drop(world.start().await);
        world.run(SEED).await;
        world
    }

    /// Another process on the same databases.
    pub(crate) async fn start(&self) -> Process {
        let config: Config = serde_json::from_value(serde_json::json!({
            "database_url": self.scratch.cluster().url("tenant"),
            "platform_server_url": self.scratch.cluster().url("platform"),
            "erp_server_url": self.scratch.cluster().url("erp"),
            "backup_dir": self.files.path(),
            "tenant_id": "00000000-0000-0000-0000-00000000000f",
            "erp_template": "blank",
            "retries": 3,
            "retry_delay_milliseconds": 10,
        }))
        .unwrap();
        let channel = |callee| self.peers.channel(&self.services, callee);
        let clients = Clients {
            capacity: channel("capacity"),
            organization: channel("organization"),
            catalog: channel("catalog"),
            user_context: channel("user-context"),
            add_ins: BTreeMap::new(),
        };
        let lifecycle = Lifecycle::start(config, clients).await.unwrap();
        let verifier = AssertionVerifier::new("lifecycle");
        let jwks = self.issuer.jwks().unwrap();
        verifier.apply(&WatchTrustResponse { jwks, ..Default::default() }).unwrap();
        let server = lifecycle.register(self.services.server("lifecycle", Arc::new(verifier)));
        let (routes, _) = server.build().unwrap();
        let meter = self.services.channel(routes.clone(), "capacity", "lifecycle").unwrap();
        let channel = self.services.channel(routes, "gateway", "lifecycle").unwrap();
        Process { lifecycle, channel, meter }
    }

    pub(crate) async fn connect(&self) -> PgConnection {
        let options = self.scratch.cluster().connect_options("tenant");
        PgConnection::connect_with(&options).await.unwrap()
    }

    /// Another database of the server.
    pub(crate) async fn connect_to(&self, database: &str) -> PgConnection {
        let options = self.scratch.cluster().connect_options(database);
        PgConnection::connect_with(&options).await.unwrap()
    }

    /// The tenant's database, for a task of its own.
    pub(crate) fn connect_owned(&self) -> impl Future<Output = PgConnection> + Send + use<> {
        let options = self.scratch.cluster().connect_options("tenant");
        async move { PgConnection::connect_with(&options).await.unwrap() }
    }

    /// Changes the store behind the service's back.
    pub(crate) async fn run(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&mut self.connect().await).await.unwrap();
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&mut self.connect().await).await.unwrap()
    }

    /// Databases and roles that were made for environments.
    pub(crate) async fn made(&self) -> (i64, i64) {
        let databases = "SELECT count(*) FROM pg_database WHERE datname LIKE 'env\\_%'";
        let roles = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'env\\_%'";
        (self.count(databases).await, self.count(roles).await)
    }

    /// As somebody with these roles.
    pub(crate) fn ask_as<T>(&self, name: &str, roles: &[&str], message: T) -> Request<T> {
        let identity = Identity::of(Principal {
            system_user_id: uuid::Uuid::from_u128(name.bytes().map(u128::from).sum()),
            name: name.into(),
            erp_user: name.into(),
            roles: roles.iter().map(|it| (*it).to_owned()).collect(),
            companies: Companies::All,
            contact: None,
        });
        let route = Route { audience: "lifecycle", presenter: "gateway" };
        let limit = SystemTime::now() + SOON;
        let (assertion, _) = self.issuer.issue(identity, route, 0, limit).unwrap();
        rpc::request(message, &assertion, SOON).unwrap()
    }

    /// As somebody who may.
    pub(crate) fn ask<T>(&self, message: T) -> Request<T> {
        self.ask_as("manager", &[role::ENVIRONMENT_MANAGER], message)
    }

    pub(crate) async fn begin(
        &self,
        process: &Process,
        request: pb::StartSetupRequest,
    ) -> Result<pb::Operation, Status> {
        let answer = process.setup().start_setup(self.ask(request)).await?.into_inner();
        Ok(answer.operation.unwrap())
    }

    /// The operation, once it has ended or waits for somebody.
    pub(crate) async fn ended(
        &self,
        process: &Process,
        operation: &pb::Operation,
    ) -> pb::Operation {
        self.watched(process, operation).await.pop().unwrap()
    }

    /// All that a watcher is told.
    pub(crate) async fn watched(
        &self,
        process: &Process,
        operation: &pb::Operation,
    ) -> Vec<pb::Operation> {
        self.told(process, operation, usize::MAX).await
    }

    /// What a watcher is told first.
    pub(crate) async fn told(
        &self,
        process: &Process,
        operation: &pb::Operation,
        news: usize,
    ) -> Vec<pb::Operation> {
        let request = self.ask(pb::WatchOperationRequest { name: operation.name.clone() });
        let mut watch = process.operations().watch_operation(request).await.unwrap().into_inner();
        let all = async {
            let mut all = Vec::new();
            while all.len() < news
                && let Some(message) = watch.message().await.unwrap()
            {
                all.push(message.operation.unwrap());
            }
            all
        };
        tokio::time::timeout(SOON, all).await.expect("the operation ends")
    }

    pub(crate) async fn get(&self, process: &Process, operation: &pb::Operation) -> pb::Operation {
        let request = self.ask(pb::GetOperationRequest { name: operation.name.clone() });
        process.operations().get_operation(request).await.unwrap().into_inner().operation.unwrap()
    }

    pub(crate) async fn resume(
        &self,
        process: &Process,
        operation: &pb::Operation,
    ) -> Result<pb::Operation, Status> {
        let name = operation.name.clone();
        let request = self.ask(pb::ResumeOperationRequest { name, ..Default::default() });
        let answer = process.operations().resume_operation(request).await?.into_inner();
        Ok(answer.operation.unwrap())
    }

    pub(crate) async fn cancel(
        &self,
        process: &Process,
        operation: &pb::Operation,
    ) -> Result<pb::Operation, Status> {
        let name = operation.name.clone();
        let request = self.ask(pb::CancelOperationRequest { name, ..Default::default() });
        let answer = process.operations().cancel_operation(request).await?.into_inner();
        Ok(answer.operation.unwrap())
    }
}

impl Process {
    pub(crate) fn setup(&self) -> SetupServiceClient<Channel> {
        SetupServiceClient::new(self.channel.clone())
    }

    pub(crate) fn operations(&self) -> OperationServiceClient<Channel> {
        OperationServiceClient::new(self.channel.clone())
    }
}

/// A setup of a new database.
pub(crate) fn new_setup() -> pb::StartSetupRequest {
    pb::StartSetupRequest {
        finance_and_operations_environment: ERP.into(),
        platform_environment: String::new(),
        template: "templates/standard".into(),
        agreed: true,
        confirmed_user_name: "mana ger ".into(),
        idempotency_key: String::new(),
    }
}

/// A setup with the environment that exists.
pub(crate) fn existing_setup() -> pb::StartSetupRequest {
    pb::StartSetupRequest {
        platform_environment: EXISTING.into(),
        template: String::new(),
        ..new_setup()
    }
}
