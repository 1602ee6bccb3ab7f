//! What a setup asks of the services that keep an environment's rows.

use std::time::Duration;

use proto::lifecycle::v1::provisioning_service_client::ProvisioningServiceClient;
use proto::lifecycle::v1::{
    Application, EnvironmentDatabase, InstallPackageRequest, RegisterApplicationsRequest,
};

use crate::Deps;
use crate::clients::timed;
use crate::engine::StageError;
use crate::store::platform::Dataverse;

/// A package's tables and rows, on a machine that is busy.
const DEADLINE: Duration = Duration::from_secs(60);

/// Client id, display name, and the ERP's user that it calls as (spec lifecycle-and-web-api §1.3).
type Known = (&'static str, &'static str, &'static str);

const POWER_PLATFORM: [Known; 2] = [
    ("61a0518c-121a-421a-9ad6-f0955a88be43", "PowerPlatformApplication", "PowerPlatformApp"),
    ("f1752846-f0df-4766-96f5-c109adf67d7f", "PowerPlatRuntimeApp", "PowerPlatformApp"),
];
const DUAL_WRITE: [Known; 2] = [
    ("6f7d0213-62b1-43a8-b7f4-ff2bb8b7b452", "DualWriteApplication", "DualWriteIntegration"),
    ("2e49aa60-1bd3-43b6-8ab6-03ada3d9f08b", "DualWriteRuntimeApp", "DualWriteIntegration"),
];

/// Where the rows of an environment are.
pub(super) fn place(dataverse: &Dataverse) -> EnvironmentDatabase {
    EnvironmentDatabase { database: dataverse.database.clone(), role: dataverse.role.clone() }
}

/// Installs a package.
pub(super) async fn install(
    deps: &Deps,
    database: &EnvironmentDatabase,
    package: &str,
) -> Result<(), StageError> {
    let mut client = ProvisioningServiceClient::new(deps.clients.organization.clone());
    let (database, package) = (Some(database.clone()), package.to_owned());
    client.install_package(timed(InstallPackageRequest { database, package }, DEADLINE)).await?;
    Ok(())
}

/// Makes the applications known that the two halves call each other as (spec PPI-17).
pub(super) async fn register(
    deps: &Deps,
    database: &EnvironmentDatabase,
) -> Result<(), StageError> {
    let clients = &deps.clients;
    for channel in [&clients.organization, &clients.user_context, &clients.catalog] {
        let request = RegisterApplicationsRequest {
            database: Some(database.clone()),
            applications: applications(),
        };
        let mut client = ProvisioningServiceClient::new(channel.clone());
        client.register_applications(timed(request, DEADLINE)).await?;
    }
    Ok(())
}

fn applications() -> Vec<Application> {
    let application = |(client_id, display_name, erp_user): Known| Application {
        client_id: client_id.to_owned(),
        display_name: display_name.to_owned(),
        erp_user: erp_user.to_owned(),
    };
    POWER_PLATFORM.into_iter().chain(DUAL_WRITE).map(application).collect()
}
