//! What other services keep in an environment's database.

use std::time::Duration;

use proto::lifecycle::v1::provisioning_service_client::ProvisioningServiceClient;
use proto::lifecycle::v1::{
    ConfigureVirtualEntitiesRequest, EnvironmentDatabase, FailureKind, ProvisionDatabaseRequest,
    WriteAddInRequest,
};
use rpc::{Channel, ErrorReason};
use tonic::{Code, Status};
use uuid::Uuid;

use super::stages::{fail, peer};
use crate::Deps;
use crate::add_ins::shown;
use crate::clients::timed;
use crate::engine::{StageContext, StageError};
use crate::store::add_in;
use crate::store::finance_and_operations::FinanceAndOperations;
use crate::store::platform::{Dataverse, Platform};

/// Migrations of a whole schema, on a machine that is busy.
const DEADLINE: Duration = Duration::from_secs(60);

/// The services that keep something there, by what people call them.
fn services(deps: &Deps) -> [(&'static str, Channel); 3] {
    let clients = &deps.clients;
    [
        ("the directory", clients.user_context.clone()),
        ("the organization service", clients.organization.clone()),
        ("the catalog", clients.catalog.clone()),
    ]
}

/// Brings every service's part of a database up to date, which need not have its final name yet.
pub(crate) async fn provision(
    deps: &Deps,
    context: &StageContext,
    environment: &Platform,
    dataverse: &Dataverse,
    database: &EnvironmentDatabase,
) -> Result<(), StageError> {
    for (whom, channel) in services(deps) {
        let request = ProvisionDatabaseRequest {
            database: Some(database.clone()),
            organization_id: dataverse.organization_id.to_string(),
            display_name: environment.display_name.clone(),
            language: dataverse.language.clone(),
            currency_code: dataverse.currency_code.clone(),
            administrator: context.user.clone(),
        };
        let mut client = ProvisioningServiceClient::new(channel);
        client
            .provision_database(timed(request, DEADLINE))
            .await
            .map_err(|it| refusal(whom, &it))?;
        context.step("service-provisioned").await?;
    }
    Ok(())
}

/// Leads virtual entities of a database to this ERP, in place of whatever it came with.
pub(crate) async fn configure(
    deps: &Deps,
    context: &StageContext,
    erp: &FinanceAndOperations,
    database: &EnvironmentDatabase,
) -> Result<(), StageError> {
    for (whom, channel) in services(deps) {
        let request = ConfigureVirtualEntitiesRequest {
            database: Some(database.clone()),
            finance_and_operations_url: erp.url.clone(),
            tenant_id: erp.tenant_id.to_string(),
            finance_and_operations_environment_id: erp.environment_id.to_string(),
        };
        let mut client = ProvisioningServiceClient::new(channel);
        client
            .configure_virtual_entities(timed(request, DEADLINE))
            .await
            .map_err(|it| refusal(whom, &it))?;
        context.step("service-configured").await?;
    }
    Ok(())
}

/// Makes a database that came from elsewhere show the add-ins that its environment has, and no others.
pub(super) async fn write_add_ins(
    deps: &Deps,
    context: &StageContext,
    environment: Uuid,
    database: &EnvironmentDatabase,
) -> Result<(), StageError> {
    let installed = add_in::all_of(deps.store.pool(), environment).await?;
    let mut client = ProvisioningServiceClient::new(deps.clients.organization.clone());
    for known in deps.add_ins.after("") {
        let own = installed.iter().find(|it| it.add_in == known.file.name);
        let request = WriteAddInRequest {
            database: Some(database.clone()),
            add_in: known.file.name.clone(),
            display_name: known.file.display_name.clone(),
            version: own.map(|it| it.version.clone()).unwrap_or_default(),
            state: own.map(|it| shown(it.state).to_owned()).unwrap_or_default(),
            parameters_json: own.map(|it| it.parameters.clone()).unwrap_or_default(),
            removed: own.is_none(),
        };
        match client.write_add_in(timed(request, DEADLINE)).await {
            // What came from elsewhere is older than add-ins.
            Err(status) if rpc::reason(&status) == Some(ErrorReason::RequirementUnmet) => {}
            Err(status) => return Err(refusal("the organization service", &status)),
            Ok(_) => context.step("add-in-written").await?,
        }
    }
    Ok(())
}

fn refusal(whom: &str, status: &Status) -> StageError {
    match status.code() {
        Code::InvalidArgument | Code::FailedPrecondition | Code::PermissionDenied => {
            let reason = rpc::reason(status).unwrap_or(ErrorReason::PeerRefused);
            let message = format!("{whom} refused its part: {}", status.message());
            let help = "Resume when its cause is gone, or cancel.";
            fail(FailureKind::Internal, reason, message, help)
        }
        _ => peer(whom, status),
    }
}
