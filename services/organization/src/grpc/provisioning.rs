//! What an environment's organization is set up with, for the lifecycle of environments.

use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::provisioning_service_server::ProvisioningService;
use rpc::audit::{self, Decision, Entry};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::directory::{check_name, check_text};
use crate::environments::Environments;
use crate::error::Error;
use crate::installed::Installed;
use crate::language::lcid;
use crate::native::ADD_INS;
use crate::packages::Packages;
use crate::store::{AddIn, Application, Provision, Store, VirtualEntities};

/// As which the platform calls the ERP (spec virtual-entities §1.6).
const POWER_PLATFORM_APPLICATION: Uuid = Uuid::from_u128(0x61a0_518c_121a_421a_9ad6_f095_5a88_be43);
const ADD_IN_STATES: [&str; 5] =
    ["Installing", "Installed", "Configuring", "Uninstalling", "Failed"];

/// Serves `ProvisioningService`.
#[derive(Debug)]
pub(crate) struct Provisioning {
    environments: Environments,
    installed: Installed,
}

impl Provisioning {
    pub(crate) fn new(environments: Environments, installed: Installed) -> Self {
        Self { environments, installed }
    }

    fn packages(&self) -> &Packages {
        self.installed.packages()
    }

    /// Works in an organization, and says in the audit what became of it.
    async fn write<T>(
        &self,
        subject: Subject<'_>,
        database: Option<pb::EnvironmentDatabase>,
        work: impl AsyncFnOnce(&Store) -> Result<T, Error>,
    ) -> Result<Response<T>, Status> {
        let worked = match self.environments.open(database).await {
            Ok(opened) => {
                let worked = work(opened.store()).await;
                opened.close().await;
                worked
            }
            Err(error) => Err(error),
        };
        let worked = worked.map_err(Status::from);
        let reason = worked.as_ref().err().and_then(rpc::reason);
        audit::record(&Entry {
            caller: None,
            operation: subject.operation,
            entity: subject.table,
            record: subject.record,
            decision: if worked.is_ok() { Decision::Allowed } else { Decision::Failed },
            reason: reason.map_or("", |it| it.as_str_name().trim_start_matches("ERROR_REASON_")),
        });
        worked.map(Response::new)
    }
}

/// What a call is about.
#[derive(Clone, Copy)]
struct Subject<'a> {
    operation: &'static str,
    table: &'static str,
    record: &'a str,
}

#[tonic::async_trait]
impl ProvisioningService for Provisioning {
    async fn provision_database(
        &self,
        request: Request<pb::ProvisionDatabaseRequest>,
    ) -> Result<Response<pb::ProvisionDatabaseResponse>, Status> {
        let mut request = request.into_inner();
        let database = request.database.take();
        let provision = provision(&request)?;
        let record = &request.organization_id;
        let subject = Subject { operation: "ProvisionDatabase", table: "organization", record };
        self.write(subject, database, async |store| {
            store.provision(&provision).await?;
            Ok(pb::ProvisionDatabaseResponse {})
        })
        .await
    }

    async fn install_package(
        &self,
        request: Request<pb::InstallPackageRequest>,
    ) -> Result<Response<pb::InstallPackageResponse>, Status> {
        let pb::InstallPackageRequest { database, package } = request.into_inner();
        let package = self.packages().get(&package).ok_or(Error::InvalidValue {
            field: "package",
            reason: "is no package that can be installed",
        })?;
        let packages: Vec<_> =
            std::iter::once(package).chain(self.packages().included(package)).collect();
        let record = &package.unique_name;
        let subject = Subject { operation: "InstallPackage", table: "solution", record };
        let installed = self.write(subject, database, async |store| {
            store.install_packages(&packages).await?;
            Ok(pb::InstallPackageResponse { version: package.version.clone() })
        });
        let installed = installed.await?;
        // Shown before it is said to be there, if it is here.
        self.installed.catch_up().await.map_err(Error::from)?;
        Ok(installed)
    }

    async fn configure_virtual_entities(
        &self,
        request: Request<pb::ConfigureVirtualEntitiesRequest>,
    ) -> Result<Response<pb::ConfigureVirtualEntitiesResponse>, Status> {
        let request = request.into_inner();
        check_name("finance_and_operations_url", &request.finance_and_operations_url)?;
        let environment = request.finance_and_operations_environment_id;
        let configuration = VirtualEntities {
            target_url: request.finance_and_operations_url,
            tenant_id: guid("tenant_id", &request.tenant_id)?,
            environment_id: guid("finance_and_operations_environment_id", &environment)?,
            application_id: POWER_PLATFORM_APPLICATION,
        };
        let subject = Subject {
            operation: "ConfigureVirtualEntities",
            table: "msdyn_financeandoperationsvirtualentity",
            record: &environment,
        };
        self.write(subject, request.database, async |store| {
            store.configure_virtual_entities(&configuration).await?;
            Ok(pb::ConfigureVirtualEntitiesResponse {})
        })
        .await
    }

    async fn register_applications(
        &self,
        request: Request<pb::RegisterApplicationsRequest>,
    ) -> Result<Response<pb::RegisterApplicationsResponse>, Status> {
        let pb::RegisterApplicationsRequest { database, applications } = request.into_inner();
        let applications: Vec<_> =
            applications.into_iter().map(application).collect::<Result<_, Error>>()?;
        let record = &applications.iter().map(|it| it.client_id.to_string()).collect::<Vec<_>>();
        let record = &record.join(" ");
        let subject = Subject { operation: "RegisterApplications", table: "systemuser", record };
        self.write(subject, database, async |store| {
            store.register_applications(&applications).await?;
            Ok(pb::RegisterApplicationsResponse {})
        })
        .await
    }

    async fn write_add_in(
        &self,
        request: Request<pb::WriteAddInRequest>,
    ) -> Result<Response<pb::WriteAddInResponse>, Status> {
        let mut request = request.into_inner();
        let (database, removed) = (request.database.take(), request.removed);
        let add_in = add_in(request)?;
        let packages = self.packages().with_table(ADD_INS);
        let subject = Subject { operation: "WriteAddIn", table: ADD_INS, record: &add_in.name };
        self.write(subject, database, async |store| {
            if removed {
                store.remove_add_in(&add_in.name).await?;
            } else if !store.write_add_in(&add_in, &packages).await? {
                let what = format!("the add-in {}", add_in.name);
                let missing = packages.first().copied().unwrap_or_default().to_owned();
                return Err(Error::RequirementUnmet { what, missing });
            }
            Ok(pb::WriteAddInResponse {})
        })
        .await
    }
}

/// What is not said stays as it is.
fn provision(request: &pb::ProvisionDatabaseRequest) -> Result<Provision, Error> {
    let given = |it: &str| Some(it.to_owned()).filter(|it| !it.is_empty());
    check_text("display_name", &request.display_name)?;
    let organization_id =
        given(&request.organization_id).map(|it| guid("organization_id", &it)).transpose()?;
    let language = given(&request.language).map(|it| {
        lcid(&it).ok_or(Error::InvalidValue { field: "language", reason: "is no known language" })
    });
    let currency = given(&request.currency_code);
    let is_code = |it: &String| it.len() == 3 && it.bytes().all(|it| it.is_ascii_uppercase());
    if currency.as_ref().is_some_and(|it| !is_code(it)) {
        let reason = "is no code of a currency, such as USD";
        return Err(Error::InvalidValue { field: "currency_code", reason });
    }
    let name = given(&request.display_name);
    Ok(Provision { organization_id, name, language: language.transpose()?, currency })
}

fn application(given: pb::Application) -> Result<Application, Error> {
    check_name("display_name", &given.display_name)?;
    let client_id = guid("client_id", &given.client_id)?;
    Ok(Application { client_id, display_name: given.display_name })
}

fn add_in(given: pb::WriteAddInRequest) -> Result<AddIn, Error> {
    check_name("add_in", &given.add_in)?;
    for (field, text) in [
        ("display_name", &given.display_name),
        ("version", &given.version),
        ("parameters_json", &given.parameters_json),
    ] {
        check_text(field, text)?;
    }
    if !given.removed && !ADD_IN_STATES.contains(&given.state.as_str()) {
        return Err(Error::InvalidValue { field: "state", reason: "is no state of an add-in" });
    }
    let parameters = match given.parameters_json.as_str() {
        "" => "{}".to_owned(),
        _ => given.parameters_json,
    };
    Ok(AddIn {
        name: given.add_in,
        display_name: given.display_name,
        version: given.version,
        state: given.state,
        parameters,
    })
}

fn guid(field: &'static str, text: &str) -> Result<Uuid, Error> {
    Uuid::parse_str(text).map_err(|_| Error::InvalidValue { field, reason: "is no GUID" })
}
