//! What the tenant has, over the public gRPC, as one of its users.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use proto::capacity::v1 as capacity;
use proto::capacity::v1::capacity_service_client::CapacityServiceClient;
use proto::capacity::v1::licence_service_client::LicenceServiceClient;
use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::add_in_service_client::AddInServiceClient;
use proto::lifecycle::v1::finance_and_operations_environment_service_client::FinanceAndOperationsEnvironmentServiceClient;
use proto::lifecycle::v1::operation_service_client::OperationServiceClient;
use proto::lifecycle::v1::platform_environment_service_client::PlatformEnvironmentServiceClient;
use proto::lifecycle::v1::setup_service_client::SetupServiceClient;
use proto::user_context::v1 as users;
use proto::user_context::v1::directory_service_client::DirectoryServiceClient;
use rpc::ErrorReason;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::System;

/// 2^30 bytes.
pub const GB: i64 = 1 << 30;
/// Of any call but those that watch.
const DEADLINE: Duration = Duration::from_secs(60);
/// No operation takes longer unless it waits for somebody.
const ENDED_WITHIN: Duration = Duration::from_secs(90);
/// Of an environment that nobody wants elsewhere.
const REGION: &str = "westeurope";
const LOCATION: &str = "europe";

/// A connection that says who calls.
pub type Access = InterceptedService<Channel, Bearer>;

/// Puts the token into every call.
#[derive(Clone)]
pub struct Bearer(MetadataValue<Ascii>);

/// The tenant as a user has it.
#[derive(Clone)]
pub struct Tenant {
    /// Last part of `users/…`.
    pub user: String,
    /// As it is typed to confirm something.
    pub display_name: String,
    access: Access,
}

/// A user's roles and licence, to be made or changed.
#[derive(Clone, Copy, Debug)]
pub struct Person<'a> {
    /// Last part of `users/…`; its display name too.
    pub name: &'a str,
    /// All that it holds.
    pub roles: &'a [&'a str],
}

/// Which halves a setup links, and how it is confirmed.
#[derive(Clone, Debug)]
pub struct Setup {
    request: pb::StartSetupRequest,
}

// === impl Bearer ===

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bearer")
    }
}

impl std::fmt::Debug for Tenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tenant").field("user", &self.user).finish_non_exhaustive()
    }
}

// === impl Setup ===

impl Setup {
    /// Of an environment of the ERP with its initial platform environment, which gets a database.
    #[must_use]
    pub fn of(environment: &str) -> Self {
        let request = pb::StartSetupRequest {
            finance_and_operations_environment: erp_name(environment),
            template: "templates/standard".to_owned(),
            agreed: true,
            ..Default::default()
        };
        Self { request }
    }

    /// With a platform environment that exists instead, `platformEnvironments/…`.
    #[must_use]
    pub fn with(mut self, platform: &str) -> Self {
        platform.clone_into(&mut self.request.platform_environment);
        self.request.template.clear();
        self
    }
}

/// `financeAndOperationsEnvironments/…`.
#[must_use]
pub fn erp_name(id: &str) -> String {
    format!("financeAndOperationsEnvironments/{id}")
}

/// Whether it waits for somebody, or has ended.
#[must_use]
pub fn stands_still(operation: &pb::Operation) -> bool {
    use pb::OperationState::{Cancelled, Failed, Succeeded};
    matches!(operation.state(), Succeeded | Failed | Cancelled)
}

/// Refused with this code, reason and a message that contains this.
pub fn assert_refused<T: std::fmt::Debug>(
    answer: Result<T, Status>,
    code: Code,
    reason: ErrorReason,
    message: &str,
) -> Result<Status> {
    let status = match answer {
        Ok(answer) => bail!("not refused: {answer:?}"),
        Err(status) => status,
    };
    ensure!(
        status.code() == code
            && rpc::reason(&status) == Some(reason)
            && status.message().contains(message),
        "expected {code:?} {reason:?} {message:?}, got {:?} {:?} {:?}",
        status.code(),
        rpc::reason(&status),
        status.message()
    );
    Ok(status)
}

/// A connection to the public gRPC as this user.
pub async fn access(system: &System, user: &str) -> Result<Access> {
    connect(&system.grpc, &system.token(user).await?).await
}

async fn connect(grpc: &str, token: &str) -> Result<Access> {
    let channel = Endpoint::from_shared(grpc.to_owned())?.connect().await?;
    Ok(InterceptedService::new(channel, Bearer(format!("Bearer {token}").parse()?)))
}

// === impl Tenant ===

impl Tenant {
    /// As a user who is there.
    pub async fn of(system: &System, user: &str) -> Result<Self> {
        Self::connect(&system.grpc, user, &system.token(user).await?).await
    }

    /// The same where the token is known.
    pub async fn connect(grpc: &str, user: &str, token: &str) -> Result<Self> {
        let access = connect(grpc, token).await?;
        let mut tenant =
            Self { user: user.to_owned(), display_name: user.to_owned(), access: access.clone() };
        let mut callers =
            proto::user_context::v1::user_context_service_client::UserContextServiceClient::new(
                access,
            );
        if let Ok(caller) = callers.get_caller(users::GetCallerRequest {}).await
            && let Some(it) = caller.into_inner().user.filter(|it| !it.display_name.is_empty())
        {
            tenant.display_name = it.display_name;
        }
        Ok(tenant)
    }

    /// Setups, links and the tenant's settings.
    #[must_use]
    pub fn setups(&self) -> SetupServiceClient<Access> {
        SetupServiceClient::new(self.access.clone())
    }

    /// Operations.
    #[must_use]
    pub fn operations(&self) -> OperationServiceClient<Access> {
        OperationServiceClient::new(self.access.clone())
    }

    /// Environments of the ERP.
    #[must_use]
    pub fn erps(&self) -> FinanceAndOperationsEnvironmentServiceClient<Access> {
        FinanceAndOperationsEnvironmentServiceClient::new(self.access.clone())
    }

    /// Environments of the platform.
    #[must_use]
    pub fn platforms(&self) -> PlatformEnvironmentServiceClient<Access> {
        PlatformEnvironmentServiceClient::new(self.access.clone())
    }

    /// Add-ins.
    #[must_use]
    pub fn add_ins(&self) -> AddInServiceClient<Access> {
        AddInServiceClient::new(self.access.clone())
    }

    /// What is used.
    #[must_use]
    pub fn capacity(&self) -> CapacityServiceClient<Access> {
        CapacityServiceClient::new(self.access.clone())
    }

    /// What was bought.
    #[must_use]
    pub fn licences(&self) -> LicenceServiceClient<Access> {
        LicenceServiceClient::new(self.access.clone())
    }

    /// Users and roles.
    #[must_use]
    pub fn directory(&self) -> DirectoryServiceClient<Access> {
        DirectoryServiceClient::new(self.access.clone())
    }

    /// Buys, or buys more of, a product. The licence is called as the product.
    pub async fn buy(&self, product: &str, quantity: i64) -> Result<()> {
        let licence = capacity::Licence {
            name: format!("licences/{product}"),
            accrual: format!("accruals/{product}"),
            quantity,
            ..Default::default()
        };
        let create = capacity::CreateLicenceRequest {
            licence_id: product.to_owned(),
            licence: Some(licence.clone()),
            ..Default::default()
        };
        match self.licences().create_licence(timed(create)).await {
            Err(status) if status.code() == Code::AlreadyExists => {}
            made => return made.map(drop).context("buy"),
        }
        let paths = vec!["quantity".to_owned()];
        let update = capacity::UpdateLicenceRequest {
            licence: Some(licence),
            update_mask: Some(prost_types::FieldMask { paths }),
            ..Default::default()
        };
        self.licences().update_licence(timed(update)).await.context("buy more")?;
        Ok(())
    }

    /// Gives a user a licence.
    pub async fn assign(&self, licence: &str, user: &str) -> Result<()> {
        let user = format!("users/{user}");
        let assignment = capacity::LicenceAssignment { user, ..Default::default() };
        let request = capacity::CreateLicenceAssignmentRequest {
            parent: format!("licences/{licence}"),
            licence_assignment: Some(assignment),
            ..Default::default()
        };
        match self.licences().create_licence_assignment(timed(request)).await {
            Err(status) if status.code() == Code::AlreadyExists => Ok(()),
            made => made.map(drop).context("assign"),
        }
    }

    /// Takes a licence from a user.
    pub async fn unassign(&self, licence: &str, user: &str) -> Result<()> {
        let name = format!("licences/{licence}/assignments/{user}");
        let request = capacity::DeleteLicenceAssignmentRequest { name, ..Default::default() };
        self.licences().delete_licence_assignment(timed(request)).await.context("unassign")?;
        Ok(())
    }

    /// Makes a user, or changes its roles.
    pub async fn make(&self, person: Person<'_>) -> Result<()> {
        let Person { name, roles } = person;
        let user = users::User {
            name: format!("users/{name}"),
            roles: roles.iter().map(|it| (*it).to_owned()).collect(),
            ..Default::default()
        };
        let paths = vec!["roles".to_owned()];
        let request = users::UpdateUserRequest {
            user: Some(user),
            update_mask: Some(prost_types::FieldMask { paths }),
            allow_missing: true,
        };
        self.directory().update_user(timed(request)).await.context("make a user")?;
        Ok(())
    }

    /// Lets only administrators create environments, or everybody.
    pub async fn restrict_creation(&self, restricted: bool) -> Result<()> {
        let settings = pb::TenantSettings {
            disable_environment_creation_by_non_admin_users: restricted,
            ..Default::default()
        };
        let paths = vec!["disable_environment_creation_by_non_admin_users".to_owned()];
        let request = pb::UpdateTenantSettingsRequest {
            tenant_settings: Some(settings),
            update_mask: Some(prost_types::FieldMask { paths }),
            ..Default::default()
        };
        self.setups().update_tenant_settings(timed(request)).await.context("settings")?;
        Ok(())
    }

    /// Deploys a sandbox over a database that is there, or a copy of the template where that is empty.
    pub async fn deploy(&self, id: &str, database: &str) -> Result<pb::Operation, Status> {
        self.deploy_in(id, database, REGION).await
    }

    /// The same in another region.
    pub async fn deploy_in(
        &self,
        id: &str,
        database: &str,
        region: &str,
    ) -> Result<pb::Operation, Status> {
        let environment = pb::FinanceAndOperationsEnvironment {
            r#type: pb::FinanceAndOperationsEnvironmentType::Sandbox.into(),
            region: region.to_owned(),
            database: database.to_owned(),
            ..Default::default()
        };
        let request = pb::CreateFinanceAndOperationsEnvironmentRequest {
            finance_and_operations_environment_id: id.to_owned(),
            finance_and_operations_environment: Some(environment),
            ..Default::default()
        };
        let answer = self.erps().create_finance_and_operations_environment(timed(request)).await?;
        begun(answer.into_inner().operation)
    }

    /// [`Self::deploy`] to its end.
    pub async fn deployed(&self, id: &str, database: &str) -> Result<()> {
        let operation = self.deploy(id, database).await?;
        self.succeeded(&operation.name).await.map(drop)
    }

    /// Begins to create a platform environment; with a database, also for links.
    pub async fn create_platform(
        &self,
        name: &str,
        database: Option<pb::PlatformDatabase>,
    ) -> Result<pb::Operation, Status> {
        self.create_platform_in(name, database, LOCATION).await
    }

    /// The same in another geography.
    pub async fn create_platform_in(
        &self,
        name: &str,
        database: Option<pb::PlatformDatabase>,
        location: &str,
    ) -> Result<pb::Operation, Status> {
        let environment = pb::PlatformEnvironment {
            display_name: name.to_owned(),
            r#type: pb::PlatformEnvironmentType::Sandbox.into(),
            location: format!("locations/{location}"),
            database,
            ..Default::default()
        };
        let request = pb::CreatePlatformEnvironmentRequest {
            platform_environment: Some(environment),
            ..Default::default()
        };
        let answer = self.platforms().create_platform_environment(timed(request)).await?;
        begun(answer.into_inner().operation)
    }

    /// Creates one with a database of the host's name, to its end. Returns `platformEnvironments/…`.
    pub async fn platform_created(&self, host: &str, d365_apps: bool) -> Result<String> {
        self.platform_created_in(host, d365_apps, LOCATION).await
    }

    /// The same in another geography.
    pub async fn platform_created_in(
        &self,
        host: &str,
        d365_apps: bool,
        location: &str,
    ) -> Result<String> {
        let database = pb::PlatformDatabase {
            host_name: host.to_owned(),
            d365_apps_enabled: d365_apps,
            ..Default::default()
        };
        let operation = self.create_platform_in(host, Some(database), location).await?;
        let ended = self.succeeded(&operation.name).await?;
        let name = ended.targets.into_iter().find(|it| it.starts_with("platformEnvironments/"));
        name.context("no target is a platform environment")
    }

    /// One of the ERP.
    pub async fn erp(&self, id: &str) -> Result<pb::FinanceAndOperationsEnvironment> {
        let request = pb::GetFinanceAndOperationsEnvironmentRequest { name: erp_name(id) };
        let answer = self.erps().get_finance_and_operations_environment(timed(request)).await?;
        answer.into_inner().finance_and_operations_environment.context("nothing")
    }

    /// One of the platform, `platformEnvironments/…`.
    pub async fn platform(&self, name: &str) -> Result<pb::PlatformEnvironment> {
        let request = pb::GetPlatformEnvironmentRequest { name: name.to_owned() };
        let answer = self.platforms().get_platform_environment(timed(request)).await?;
        answer.into_inner().platform_environment.context("nothing")
    }

    /// Begins a setup, confirmed by this user.
    pub async fn start(&self, setup: &Setup) -> Result<pb::Operation, Status> {
        let mut request = setup.request.clone();
        request.confirmed_user_name.clone_from(&self.display_name);
        let answer = self.setups().start_setup(timed(request)).await?;
        begun(answer.into_inner().operation)
    }

    /// The link of either half.
    pub async fn link(&self, environment: &str) -> Result<pb::Link, Status> {
        let key = pb::get_link_request::Key::Environment(environment.to_owned());
        let request = pb::GetLinkRequest { key: Some(key) };
        let answer = self.setups().get_link(timed(request)).await?;
        answer.into_inner().link.ok_or_else(|| Status::internal("no link"))
    }

    /// An operation as it is now.
    pub async fn operation(&self, name: &str) -> Result<pb::Operation> {
        let request = pb::GetOperationRequest { name: name.to_owned() };
        let answer = self.operations().get_operation(timed(request)).await?;
        answer.into_inner().operation.context("no operation")
    }

    /// The newest operation that changes an environment.
    pub async fn newest_operation(&self, target: &str) -> Result<pb::Operation> {
        let request = pb::ListOperationsRequest { target: target.to_owned(), ..Default::default() };
        let answer = self.operations().list_operations(timed(request)).await?.into_inner();
        answer.operations.into_iter().next().context("no operation")
    }

    /// Watches an operation until it satisfies.
    pub async fn watch(
        &self,
        name: &str,
        mut satisfies: impl FnMut(&pb::Operation) -> bool,
    ) -> Result<pb::Operation> {
        let started = Instant::now();
        let mut last = None;
        while started.elapsed() < ENDED_WITHIN {
            let mut request = Request::new(pb::WatchOperationRequest { name: name.to_owned() });
            request.set_timeout(ENDED_WITHIN);
            let mut changes = self.operations().watch_operation(request).await?.into_inner();
            while let Some(change) = changes.message().await? {
                let operation = change.operation.context("nothing changed")?;
                if satisfies(&operation) {
                    return Ok(operation);
                }
                last = Some(operation);
            }
            if last.as_ref().is_some_and(stands_still) {
                break;
            }
        }
        bail!("not what was waited for: {last:#?}")
    }

    /// Until it waits for somebody, or has ended.
    pub async fn ended(&self, name: &str) -> Result<pb::Operation> {
        self.watch(name, stands_still).await
    }

    /// Until it has succeeded.
    pub async fn succeeded(&self, name: &str) -> Result<pb::Operation> {
        let ended = self.ended(name).await?;
        ensure!(ended.state() == pb::OperationState::Succeeded, "{ended:#?}");
        Ok(ended)
    }

    /// Goes on with it.
    pub async fn resume(&self, name: &str) -> Result<pb::Operation, Status> {
        let request = pb::ResumeOperationRequest { name: name.to_owned(), ..Default::default() };
        begun(self.operations().resume_operation(timed(request)).await?.into_inner().operation)
    }

    /// Gives it up.
    pub async fn cancel(&self, name: &str) -> Result<pb::Operation, Status> {
        let request = pb::CancelOperationRequest { name: name.to_owned(), ..Default::default() };
        begun(self.operations().cancel_operation(timed(request)).await?.into_inner().operation)
    }

    /// Measures everything, then says how all pools are.
    pub async fn measured(&self) -> Result<capacity::GetCapacityResponse> {
        let request = capacity::MeasureUsageRequest::default();
        self.capacity().measure_usage(timed(request)).await.context("measure")?;
        self.pools().await
    }

    /// How all pools are.
    pub async fn pools(&self) -> Result<capacity::GetCapacityResponse> {
        let answer = self.capacity().get_capacity(timed(capacity::GetCapacityRequest {})).await?;
        Ok(answer.into_inner())
    }

    /// What each environment uses.
    pub async fn usages(&self) -> Result<Vec<capacity::EnvironmentUsage>> {
        let request =
            capacity::ListEnvironmentUsagesRequest { page_size: 1_000, ..Default::default() };
        let answer = self.capacity().list_environment_usages(timed(request)).await?.into_inner();
        ensure!(answer.next_page_token.is_empty(), "more than a page");
        Ok(answer.environment_usages)
    }
}

/// A request with the usual deadline.
pub fn timed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(DEADLINE);
    request
}

fn begun(operation: Option<pb::Operation>) -> Result<pb::Operation, Status> {
    operation.ok_or_else(|| Status::internal("no operation was begun"))
}

/// Of one pool.
#[must_use]
pub fn pool(
    answer: &capacity::GetCapacityResponse,
    pool: capacity::Pool,
) -> capacity::PoolCapacity {
    answer.pools.iter().find(|it| it.pool() == pool).copied().unwrap_or_default()
}

/// So much of it.
#[must_use]
pub fn amount(amounts: &[capacity::PoolAmount], pool: capacity::Pool) -> i64 {
    amounts.iter().filter(|it| it.pool() == pool).map(|it| it.size_bytes).sum()
}
