//! The tenant of the local system, prepared as its administrator would: a licence, both halves of the
//! environment, and their link. All of it once: what is there stays as it is.

use std::time::Duration;

use anyhow::{Context as _, Result};
use gateway::Clients;
use lifecycle::{Adopted, Adoption, FinanceAndOperationsHalf, Lifecycle, PlatformHalf};
use proto::capacity::v1 as licences;
use proto::capacity::v1::licence_service_client::LicenceServiceClient;
use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::operation_service_client::OperationServiceClient;
use proto::lifecycle::v1::setup_service_client::SetupServiceClient;
use proto::organization::v1::GetOrganizationRequest;
use proto::organization::v1::organization_service_client::OrganizationServiceClient;
use proto::user_context::v1::GetCallerRequest;
use proto::user_context::v1::user_context_service_client::UserContextServiceClient;
use rpc::ErrorReason;
use tonic::{Request, Status};

use super::administrator::Administrator;
use super::companies::Companies;
use super::databases::PLATFORM;
use super::dual_write::DualWriteLink;
use super::progress::Progress;
use super::system::Over;
use crate::home::Home;

/// Where a finance-and-operations environment says it is.
pub(super) const ERP_URL: &str = "http://{name}.operations.localhost";
/// The finance-and-operations environment over the ERP that was given.
const ENVIRONMENT: &str = "dev";
const DISPLAY_NAME: &str = "Tombolo dev";
const LOCATION: &str = "europe";
const REGION: &str = "westeurope";
const LANGUAGE: &str = "en-us";
const CURRENCY: &str = "USD";
/// Held by the administrator, and what a setup asks for.
const LICENCE: &str = "finance";
/// What the tenant has bought: name, product, number. The second kind lets it have more ERPs than the first
/// gives (spec lifecycle-and-web-api §1.7).
const LICENCES: [(&str, &str, i64); 2] =
    [(LICENCE, "accruals/finance", 25), ("sandboxes", "accruals/operations-sandbox", 10)];
/// A setup that takes longer goes on behind everybody's back.
const SETUP_WITHIN: Duration = Duration::from_secs(90);

/// Who prepares it, and how.
#[derive(Debug)]
pub(super) struct Tenant {
    administrator: Administrator,
    clients: Clients,
    dual_write: Option<DualWriteLink>,
    erp_database: String,
    web_api_url: String,
}

/// How the two halves stand to each other.
#[derive(Debug)]
pub(super) enum Link {
    Linked {
        platform_environment: String,
    },
    /// As was asked for.
    Unlinked,
    /// The operation stands still, and why.
    Stopped {
        operation: String,
        why: String,
    },
    /// It is still at work.
    UnderWay {
        operation: String,
    },
    /// Nobody could even begin.
    Failed(anyhow::Error),
}

impl Tenant {
    pub(super) fn new(
        home: &Home,
        clients: &Clients,
        companies: Option<Companies>,
        over: Over<'_>,
    ) -> Result<Self> {
        let administrator = Administrator::new(home, clients.user_context.clone());
        let dual_write = clients.dual_write.clone().map(|dual_write| DualWriteLink {
            administrator: administrator.clone(),
            dual_write,
            companies,
        });
        Ok(Self {
            administrator,
            dual_write,
            clients: clients.clone(),
            erp_database: over.databases.erp_database()?,
            web_api_url: over.url.to_owned(),
        })
    }

    /// Prepares everything. What fails keeps nothing else from working.
    pub(super) async fn prepare(&self, lifecycle: &Lifecycle, link: bool) -> Link {
        let link = self.link(lifecycle, link).await.unwrap_or_else(Link::Failed);
        if let (Link::Linked { platform_environment }, Some(dual_write)) = (&link, &self.dual_write)
            && let Err(error) = dual_write.make(&erp_environment(), platform_environment).await
        {
            tracing::error!(error = format!("{error:#}"), "dual-write is not linked");
        }
        link
    }

    async fn link(&self, lifecycle: &Lifecycle, link: bool) -> Result<Link> {
        let adopted = self.adopt(lifecycle).await.context("adopt the environment")?;
        let platform_environment = adopted.platform_environment;
        if adopted.link.is_some() {
            return Ok(Link::Linked { platform_environment });
        }
        // Until then only: what an administrator takes away afterwards stays away.
        self.buy_licences().await.context("buy licences")?;
        if !link {
            return Ok(Link::Unlinked);
        }
        let operation = match self.last_setup().await? {
            Some(it) if is_open(&it) => it,
            Some(it) if it.resumable => self.resume(it.name).await?,
            _ => self.start(&platform_environment).await?,
        };
        let name = operation.name.clone();
        let Ok(ended) = tokio::time::timeout(SETUP_WITHIN, self.watch(operation)).await else {
            return Ok(Link::UnderWay { operation: name });
        };
        let ended = ended?;
        Ok(match ended.state() {
            pb::OperationState::Succeeded => Link::Linked { platform_environment },
            _ => Link::Stopped { operation: name, why: why(&ended) },
        })
    }

    /// Makes both halves known to lifecycle.
    async fn adopt(&self, lifecycle: &Lifecycle) -> Result<Adopted> {
        let mut client = OrganizationServiceClient::new(self.clients.organization.clone());
        let request = self.to("organization", GetOrganizationRequest {}).await?;
        let organization = client.get_organization(request).await?.into_inner();
        let finance_and_operations = FinanceAndOperationsHalf {
            id: ENVIRONMENT.to_owned(),
            display_name: DISPLAY_NAME.to_owned(),
            kind: pb::FinanceAndOperationsEnvironmentType::Sandbox,
            region: REGION.to_owned(),
            url: ERP_URL.replace("{name}", ENVIRONMENT),
            database: self.erp_database.clone(),
            administrator: administrator(),
        };
        let platform = PlatformHalf {
            organization_id: organization.organization_id.parse()?,
            display_name: DISPLAY_NAME.to_owned(),
            kind: pb::PlatformEnvironmentType::Sandbox,
            host_name: ENVIRONMENT.to_owned(),
            url: self.web_api_url.clone(),
            location: LOCATION.to_owned(),
            region: REGION.to_owned(),
            database: PLATFORM.to_owned(),
            language: LANGUAGE.to_owned(),
            currency_code: CURRENCY.to_owned(),
        };
        Ok(lifecycle.adopt(&Adoption { finance_and_operations, platform }).await?)
    }

    async fn buy_licences(&self) -> Result<()> {
        let mut client = LicenceServiceClient::new(self.clients.capacity.clone());
        for (licence_id, accrual, quantity) in LICENCES {
            let accrual = accrual.to_owned();
            let licence = licences::Licence { accrual, quantity, ..Default::default() };
            let request = licences::CreateLicenceRequest {
                licence_id: licence_id.to_owned(),
                licence: Some(licence),
                ..Default::default()
            };
            unless_there(client.create_licence(self.to("capacity", request).await?).await)?;
        }
        let assignment =
            licences::LicenceAssignment { user: administrator(), ..Default::default() };
        let request = licences::CreateLicenceAssignmentRequest {
            parent: format!("licences/{LICENCE}"),
            licence_assignment: Some(assignment),
            ..Default::default()
        };
        unless_there(client.create_licence_assignment(self.to("capacity", request).await?).await)
    }

    async fn last_setup(&self) -> Result<Option<pb::Operation>> {
        let request = pb::ListOperationsRequest { target: erp_environment(), ..Default::default() };
        let request = self.to("lifecycle", request).await?;
        let found = self.operations().list_operations(request).await?.into_inner().operations;
        Ok(found.into_iter().find(|it| it.kind() == pb::OperationKind::Setup))
    }

    async fn start(&self, platform_environment: &str) -> Result<pb::Operation> {
        let mut users = UserContextServiceClient::new(self.clients.user_context.clone());
        let caller = users.get_caller(self.to("user-context", GetCallerRequest {}).await?).await?;
        let caller = caller.into_inner().user.context("there is no administrator")?;
        let request = pb::StartSetupRequest {
            finance_and_operations_environment: erp_environment(),
            platform_environment: platform_environment.to_owned(),
            agreed: true,
            confirmed_user_name: caller.display_name,
            ..Default::default()
        };
        let started = self.setups().start_setup(self.to("lifecycle", request).await?).await?;
        started.into_inner().operation.context("no operation was begun")
    }

    async fn resume(&self, name: String) -> Result<pb::Operation> {
        let request = pb::ResumeOperationRequest { name, ..Default::default() };
        let request = self.to("lifecycle", request).await?;
        let resumed = self.operations().resume_operation(request).await?;
        resumed.into_inner().operation.context("no operation was resumed")
    }

    /// Until it waits for somebody, or has ended.
    async fn watch(&self, mut operation: pb::Operation) -> Result<pb::Operation> {
        let mut progress = Progress::new("Linking the environment");
        while is_open(&operation) {
            let request = pb::WatchOperationRequest { name: operation.name.clone() };
            let request = self.to("lifecycle", request).await?;
            let mut changes = self.operations().watch_operation(request).await?.into_inner();
            while let Some(change) = changes.message().await? {
                operation = change.operation.context("nothing changed")?;
                let percent = u64::try_from(operation.progress_percent).unwrap_or_default();
                progress.show(&stage(&operation), percent, 100);
            }
        }
        progress.finish();
        Ok(operation)
    }

    fn setups(&self) -> SetupServiceClient<rpc::Channel> {
        SetupServiceClient::new(self.clients.lifecycle.clone())
    }

    fn operations(&self) -> OperationServiceClient<rpc::Channel> {
        OperationServiceClient::new(self.clients.lifecycle.clone())
    }

    async fn to<T>(&self, service: &str, message: T) -> Result<Request<T>> {
        self.administrator.request(service, message).await
    }
}

impl Link {
    /// For people; `server` is what the commands have to be told besides.
    pub(super) fn told(&self, server: &str) -> String {
        let state = match self {
            Self::Linked { platform_environment } => {
                format!("{ENVIRONMENT} <-> {platform_environment}")
            }
            Self::Unlinked => format!("no; tombolo env setup {ENVIRONMENT}{server} links it"),
            Self::Stopped { operation, why } => format!(
                "no: {why}\n           tombolo env resume {}{server} goes on when that is done",
                id(operation)
            ),
            Self::UnderWay { operation } => {
                format!("not yet; tombolo env watch {}{server} shows how far it is", id(operation))
            }
            Self::Failed(error) => format!("no: {error:#}"),
        };
        format!("  Linked   {state}")
    }
}

fn administrator() -> String {
    format!("users/{}", user_context::ADMIN)
}

fn erp_environment() -> String {
    format!("financeAndOperationsEnvironments/{ENVIRONMENT}")
}

/// As the command line takes it.
fn id(operation: &str) -> &str {
    operation.strip_prefix("operations/").unwrap_or(operation)
}

fn is_open(operation: &pb::Operation) -> bool {
    use pb::OperationState::{Cancelling, Pending, Running};
    matches!(operation.state(), Pending | Running | Cancelling)
}

/// What it is doing.
fn stage(operation: &pb::Operation) -> String {
    let at_work = |it: &&pb::StageProgress| it.state() == pb::OperationState::Running;
    let stage = operation.stages.iter().find(at_work).map(|it| it.status_text.clone());
    stage.filter(|it| !it.is_empty()).unwrap_or_else(|| operation.status_text.clone())
}

fn why(operation: &pb::Operation) -> String {
    match &operation.failure {
        Some(failure) => format!("{} {}", failure.message, failure.help),
        None => operation.status_text.clone(),
    }
}

fn unless_there<T>(made: Result<T, Status>) -> Result<()> {
    match made {
        Err(status) if rpc::reason(&status) == Some(ErrorReason::ResourceExists) => Ok(()),
        made => Ok(made.map(drop)?),
    }
}
