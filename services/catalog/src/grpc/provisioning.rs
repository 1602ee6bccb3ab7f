//! The catalog's part of another environment's database, for the lifecycle of environments.

use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::provisioning_service_server::ProvisioningService;
use schema::Place;
use tonic::{Request, Response, Status};

use crate::error::Error;
use crate::store::Store;

/// Serves `ProvisioningService`. All that the catalog has in a database is its schema; what else is done
/// there does not concern it, and is answered without doing anything.
#[derive(Debug)]
pub(crate) struct Provisioning {
    url: String,
    /// The database that the running catalog keeps, and brought up to date when it started.
    own: String,
}

impl Provisioning {
    pub(crate) fn new(url: String) -> Result<Self, sqlx::Error> {
        Ok(Self { own: schema::database_of(&url)?, url })
    }

    async fn migrate(&self, database: pb::EnvironmentDatabase) -> Result<(), Error> {
        if database.database == self.own {
            return Ok(());
        }
        let place = Place::new(&database.database, &database.role)?;
        let store =
            Store::open_in(&self.url, &place).await.map_err(|error| match error.is_missing() {
                true => Error::NoDatabase(database.database),
                false => error.into_cause().into(),
            })?;
        store.close().await;
        Ok(())
    }
}

#[tonic::async_trait]
impl ProvisioningService for Provisioning {
    async fn provision_database(
        &self,
        request: Request<pb::ProvisionDatabaseRequest>,
    ) -> Result<Response<pb::ProvisionDatabaseResponse>, Status> {
        self.migrate(request.into_inner().database.unwrap_or_default()).await?;
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
        _request: Request<pb::RegisterApplicationsRequest>,
    ) -> Result<Response<pb::RegisterApplicationsResponse>, Status> {
        Ok(Response::new(pb::RegisterApplicationsResponse {}))
    }

    async fn write_add_in(
        &self,
        _request: Request<pb::WriteAddInRequest>,
    ) -> Result<Response<pb::WriteAddInResponse>, Status> {
        Ok(Response::new(pb::WriteAddInResponse {}))
    }
}
