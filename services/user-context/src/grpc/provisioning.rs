//! An environment's directory, for the lifecycle of environments.

use std::sync::Arc;

use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::provisioning_service_server::ProvisioningService;
use tonic::{Request, Response, Status};

use crate::environments::Environments;
use crate::error::Error;
use crate::provisioning::{Application, invalid, make_administrator, register};

/// Serves `ProvisioningService`. What does not concern the directory it answers without doing anything.
#[derive(Debug)]
pub(crate) struct Provisioning {
    environments: Arc<Environments>,
}

impl Provisioning {
    pub(crate) fn new(environments: Arc<Environments>) -> Self {
        Self { environments }
    }
}

#[tonic::async_trait]
impl ProvisioningService for Provisioning {
    async fn provision_database(
        &self,
        request: Request<pb::ProvisionDatabaseRequest>,
    ) -> Result<Response<pb::ProvisionDatabaseResponse>, Status> {
        let request = request.into_inner();
        let place = request.database.unwrap_or_default();
        // Who has its administrators already names nobody.
        let person = match request.administrator.as_str() {
            "" => None,
            named => Some(self.environments.user(named, "", "").await?),
        };
        let edit = |content: &mut _| match &person {
            Some(person) => make_administrator(content, person),
            None => Ok(()),
        };
        self.environments.change(&place.database, &place.role, edit).await?;
        Ok(Response::new(pb::ProvisionDatabaseResponse {}))
    }

    async fn install_package(
        &self,
        _request: Request<pb::InstallPackageRequest>,
    ) -> Result<Response<pb::InstallPackageResponse>, Status> {
        Ok(Response::new(pb::InstallPackageResponse::default()))
    }

    async fn configure_virtual_entities(
        &self,
        _request: Request<pb::ConfigureVirtualEntitiesRequest>,
    ) -> Result<Response<pb::ConfigureVirtualEntitiesResponse>, Status> {
        Ok(Response::new(pb::ConfigureVirtualEntitiesResponse {}))
    }

    async fn register_applications(
        &self,
        request: Request<pb::RegisterApplicationsRequest>,
    ) -> Result<Response<pb::RegisterApplicationsResponse>, Status> {
        let request = request.into_inner();
        let place = request.database.unwrap_or_default();
        let applications: Vec<_> =
            request.applications.into_iter().map(application).collect::<Result<_, _>>()?;
        let edit = |content: &mut _| applications.iter().try_for_each(|it| register(content, it));
        self.environments.change(&place.database, &place.role, edit).await?;
        Ok(Response::new(pb::RegisterApplicationsResponse {}))
    }

    async fn write_add_in(
        &self,
        _request: Request<pb::WriteAddInRequest>,
    ) -> Result<Response<pb::WriteAddInResponse>, Status> {
        Ok(Response::new(pb::WriteAddInResponse {}))
    }
}

fn application(given: pb::Application) -> Result<Application, Error> {
    let client_id = given.client_id.parse().map_err(|_| Error::NoGuid("client_id"))?;
    let display_name = given.display_name;
    if display_name.trim().is_empty() || display_name.contains('\0') {
        let reason = "is no name of an application".to_owned();
        return Err(invalid(&given.client_id, "display_name", reason));
    }
    if given.erp_user.contains('\0') {
        let reason = "holds a NUL character".to_owned();
        return Err(invalid(&given.client_id, "erp_user", reason));
    }
    Ok(Application { client_id, display_name, erp_user: given.erp_user })
}
