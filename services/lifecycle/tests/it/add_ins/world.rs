//! A tenant with one linked environment, and the lifecycle service over it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use cluster::Scratch;
use lifecycle::{Clients, Config, Lifecycle};
use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::add_in_service_client::AddInServiceClient;
use proto::lifecycle::v1::finance_and_operations_environment_service_client::FinanceAndOperationsEnvironmentServiceClient;
use proto::lifecycle::v1::operation_service_client::OperationServiceClient;
use proto::lifecycle::v1::platform_environment_service_client::PlatformEnvironmentServiceClient;
use proto::user_context::v1::WatchTrustResponse;
use rpc::{
    AssertionIssuer, AssertionVerifier, Channel, Companies, Environment, Identity, Principal,
    Route, SigningKey, role,
};
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;
use tonic::{Request, Status};

use super::SOON;
use super::peers::Peers;

pub(crate) const ENVIRONMENT: &str = "platformEnvironments/00000000-0000-0000-0000-0000000000e1";
pub(crate) const USER: &str = "users/manager";

/// `own`, which needs nothing; `choosy`, with every requirement; `second`, which needs `own`.
const FILES: [(&str, &str); 3] = [
    ("own", ""),
    (
        "choosy",
        "minimum_version = \"10.0.40\"\nregions = [\"northeurope\"]\nrequires_dual_write = true\n\
         required_add_ins = [\"own\"]\n",
    ),
    ("second", "required_add_ins = [\"own\"]\n"),
];

const SEED: &str = "
    INSERT INTO lifecycle.finance_and_operations_environment
        (environment_id, id, display_name, type, state, url, tenant_id, region, administrator, version,
         database, adopted)
    VALUES ('00000000-0000-0000-0000-0000000000f1', 'one', 'One ERP', 'sandbox', 'deployed',
        'https://one.operations.dynamics.com', gen_random_uuid(), 'westeurope', 'users/erp', '10.0.39',
        'erp', true);
    INSERT INTO lifecycle.platform_environment
        (id, display_name, type, state, location, region, tenant_id, host_name, url, organization_id, language,
         currency_code, database, database_role)
    VALUES ('00000000-0000-0000-0000-0000000000e1', 'One', 'sandbox', 'ready', 'europe', 'westeurope',
        gen_random_uuid(), 'one', 'https://one.crm.dynamics.com', gen_random_uuid(), 'en-us', 'USD', 'env_one',
        'env_one');
    INSERT INTO lifecycle.link
        (id, finance_and_operations_environment, platform_environment, template, dual_write_status)
    VALUES ('one', '00000000-0000-0000-0000-0000000000f1', '00000000-0000-0000-0000-0000000000e1',
        'standard', 'not_configured');";

pub(crate) struct World {
    pub(crate) peers: Peers,
    lifecycle: Option<Lifecycle>,
    channel: Channel,
    services: Environment,
    issuer: AssertionIssuer,
    scratch: Scratch,
    add_ins: TempDir,
    runtimes: Vec<&'static str>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_runtimes(&["own", "choosy", "second"]).await
    }

    pub(crate) async fn with_runtimes(runtimes: &[&'static str]) -> Self {
        let issuer = AssertionIssuer::new(SigningKey::generate().unwrap().0, SOON * 10);
        let (services, peers) = (Environment::generate(), Peers::default());
        let add_ins = add_ins();
        let mut world = Self {
            channel: peers.channel(&services, "capacity"),
            lifecycle: None,
            scratch: Scratch::start().await.unwrap(),
            runtimes: runtimes.to_vec(),
            peers,
            services,
            issuer,
            add_ins,
        };
        world.start().await;
        world.run(SEED).await;
        world
    }

    /// Another process, after the first one died.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.start().await;
    }

    /// Nobody carries operations on; requests are answered still.
    pub(crate) fn kill(&mut self) {
        self.lifecycle = None;
    }

    async fn start(&mut self) {
        let config: Config = serde_json::from_value(serde_json::json!({
            "database_url": self.scratch.database("tenant").await.unwrap(),
            "platform_server_url": self.scratch.database("platform").await.unwrap(),
            "erp_server_url": self.scratch.database("erp").await.unwrap(),
            "backup_dir": self.add_ins.path().join("backups"),
            "add_in_dir": self.add_ins.path(),
            "tenant_id": uuid::Uuid::nil(),
            "retries": 8,
            "retry_delay_milliseconds": 10,
        }))
        .unwrap();
        let channel = |callee| self.peers.channel(&self.services, callee);
        let runtime = |it: &&str| ((*it).to_owned(), channel("data-export"));
        let clients = Clients {
            capacity: channel("capacity"),
            organization: channel("organization"),
            catalog: channel("organization"),
            user_context: channel("user-context"),
            add_ins: self.runtimes.iter().map(runtime).collect::<BTreeMap<_, _>>(),
        };
        let lifecycle = Lifecycle::start(config, clients).await.unwrap();
        let verifier = AssertionVerifier::new("lifecycle");
        let jwks = self.issuer.jwks().unwrap();
        verifier.apply(&WatchTrustResponse { jwks, ..Default::default() }).unwrap();
        let server = lifecycle.register(self.services.server("lifecycle", Arc::new(verifier)));
        let (routes, _) = server.build().unwrap();
        self.channel = self.services.channel(routes, "gateway", "lifecycle").unwrap();
        self.lifecycle = Some(lifecycle);
    }

    pub(crate) async fn connect(&self) -> PgConnection {
        let options = self.scratch.cluster().connect_options("tenant");
        PgConnection::connect_with(&options).await.unwrap()
    }

    /// Changes the store behind the service's back.
    pub(crate) async fn run(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&mut self.connect().await).await.unwrap();
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&mut self.connect().await).await.unwrap()
    }

    pub(crate) fn add_ins(&self) -> AddInServiceClient<Channel> {
        AddInServiceClient::new(self.channel.clone())
    }

    pub(crate) fn platforms(&self) -> PlatformEnvironmentServiceClient<Channel> {
        PlatformEnvironmentServiceClient::new(self.channel.clone())
    }

    pub(crate) fn operations(&self) -> OperationServiceClient<Channel> {
        OperationServiceClient::new(self.channel.clone())
    }

    /// Of somebody who may.
    pub(crate) fn ask<T>(&self, message: T) -> Request<T> {
        self.ask_as("manager", role::ENVIRONMENT_MANAGER, message)
    }

    pub(crate) fn ask_as<T>(&self, name: &str, role: &str, message: T) -> Request<T> {
        let identity = Identity::of(Principal {
            system_user_id: rpc::system_user_id(name),
            name: name.into(),
            erp_user: name.into(),
            roles: vec![role.into()],
            companies: Companies::All,
            contact: None,
        });
        let route = Route { audience: "lifecycle", presenter: "gateway" };
        let limit = SystemTime::now() + SOON;
        let (assertion, _) = self.issuer.issue(identity, route, 0, limit).unwrap();
        rpc::request(message, &assertion, SOON).unwrap()
    }

    pub(crate) async fn install(&self, add_in: &str) -> Result<pb::Operation, Status> {
        self.install_with(add_in, "{\"colour\": \"red\"}").await
    }

    pub(crate) async fn install_with(
        &self,
        add_in: &str,
        parameters: &str,
    ) -> Result<pb::Operation, Status> {
        let request = self.ask(install_request(add_in, parameters));
        let answer = self.add_ins().install_add_in(request).await?.into_inner();
        Ok(answer.operation.unwrap())
    }

    pub(crate) async fn configure(
        &self,
        add_in: &str,
        parameters: &str,
    ) -> Result<pb::Operation, Status> {
        let request = self.ask(pb::ConfigureAddInRequest {
            name: installation_name(add_in),
            parameters_json: parameters.to_owned(),
            ..Default::default()
        });
        let answer = self.add_ins().configure_add_in(request).await?.into_inner();
        Ok(answer.operation.unwrap())
    }

    pub(crate) async fn uninstall(
        &self,
        add_in: &str,
        delete_data: bool,
    ) -> Result<pb::Operation, Status> {
        let name = installation_name(add_in);
        let request =
            self.ask(pb::UninstallAddInRequest { name, delete_data, ..Default::default() });
        let answer = self.add_ins().uninstall_add_in(request).await?.into_inner();
        Ok(answer.operation.unwrap())
    }

    pub(crate) async fn cancel(&self, add_in: &str) -> Result<pb::Operation, Status> {
        let name = installation_name(add_in);
        let request = self.ask(pb::CancelAddInInstallationRequest { name, ..Default::default() });
        let answer = self.add_ins().cancel_add_in_installation(request).await?.into_inner();
        Ok(answer.operation.unwrap())
    }

    pub(crate) async fn resume(&self, operation: &pb::Operation) -> pb::Operation {
        let name = operation.name.clone();
        let request = self.ask(pb::ResumeOperationRequest { name, ..Default::default() });
        let answer = self.operations().resume_operation(request).await.unwrap().into_inner();
        self.ended(&answer.operation.unwrap()).await
    }

    pub(crate) async fn installation(&self, add_in: &str) -> Result<pb::AddInInstallation, Status> {
        let name = installation_name(add_in);
        let request = self.ask(pb::GetAddInInstallationRequest { name });
        let answer = self.add_ins().get_add_in_installation(request).await?.into_inner();
        Ok(answer.add_in_installation.unwrap())
    }

    /// Deletes the ERP's half, and the link with it.
    pub(crate) async fn delete_erp(&self) -> pb::Operation {
        let request = pb::DeleteFinanceAndOperationsEnvironmentRequest {
            name: "financeAndOperationsEnvironments/one".to_owned(),
            confirmation: "One ERP".to_owned(),
            ..Default::default()
        };
        let request = self.ask_as("root", role::SYSTEM_ADMINISTRATOR, request);
        let mut erps = FinanceAndOperationsEnvironmentServiceClient::new(self.channel.clone());
        let answer = erps.delete_finance_and_operations_environment(request).await.unwrap();
        answer.into_inner().operation.unwrap()
    }

    /// What keeps an add-in from being installed.
    pub(crate) async fn unmet(&self, add_in: &str) -> Vec<String> {
        let request = self.ask(pb::GetAddInRequest {
            name: format!("addIns/{add_in}"),
            platform_environment: ENVIRONMENT.to_owned(),
        });
        let answer = self.add_ins().get_add_in(request).await.unwrap().into_inner();
        answer.add_in.unwrap().unmet_requirements
    }

    /// The operation, once it has ended or waits for somebody.
    pub(crate) async fn ended(&self, operation: &pb::Operation) -> pb::Operation {
        let name = operation.name.clone();
        let request = self.ask(pb::WatchOperationRequest { name });
        let mut watch = self.operations().watch_operation(request).await.unwrap().into_inner();
        let last = async {
            let mut last = None;
            while let Some(message) = watch.message().await.unwrap() {
                last = message.operation;
            }
            last
        };
        tokio::time::timeout(SOON, last).await.expect("the operation ends").unwrap()
    }
}

pub(crate) fn install_request(add_in: &str, parameters: &str) -> pb::InstallAddInRequest {
    pb::InstallAddInRequest {
        parent: ENVIRONMENT.to_owned(),
        add_in: format!("addIns/{add_in}"),
        parameters_json: parameters.to_owned(),
        agreed: true,
        idempotency_key: String::new(),
    }
}

pub(crate) fn installation_name(add_in: &str) -> String {
    format!("{ENVIRONMENT}/addIns/{add_in}")
}

/// An operator's directory.
fn add_ins() -> TempDir {
    let directory = TempDir::new().unwrap();
    for (name, more) in FILES {
        let text = format!(
            "name = \"{name}\"\ndisplay_name = \"The {name}\"\ndescription = \"Does.\"\n\
             publisher = \"We\"\nversion = \"1.2.0\"\nterms_url = \"https://example.com/terms\"\n{more}\
             parameter_schema = '''{{\"type\": \"object\", \"additionalProperties\": false,\
             \"properties\": {{\"colour\": {{\"enum\": [\"red\", \"green\"]}},\
             \"secret\": {{\"type\": \"string\", \"format\": \"secret-ref\"}}}}}}'''\n"
        );
        std::fs::write(directory.path().join(format!("{name}.toml")), text).unwrap();
    }
    directory
}
