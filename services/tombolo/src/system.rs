//! The services of environments and capacity, as one caller reaches them.

use anyhow::{Context as _, Result};
use proto::capacity::v1::capacity_service_client::CapacityServiceClient;
use proto::capacity::v1::licence_service_client::LicenceServiceClient;
use proto::dual_write::v1::alert_service_client::AlertServiceClient;
use proto::dual_write::v1::initial_sync_service_client::InitialSyncServiceClient;
use proto::dual_write::v1::link_service_client::LinkServiceClient;
use proto::dual_write::v1::map_service_client::MapServiceClient;
use proto::dual_write::v1::reconciliation_service_client::ReconciliationServiceClient;
use proto::dual_write::v1::sync_error_service_client::SyncErrorServiceClient;
use proto::lifecycle::v1::add_in_service_client::AddInServiceClient;
use proto::lifecycle::v1::finance_and_operations_environment_service_client::FinanceAndOperationsEnvironmentServiceClient;
use proto::lifecycle::v1::operation_service_client::OperationServiceClient;
use proto::lifecycle::v1::platform_environment_service_client::PlatformEnvironmentServiceClient;
use proto::lifecycle::v1::setup_service_client::SetupServiceClient;

use crate::cli::ServerArgs;
use crate::client::{self, Access};

#[derive(Clone)]
pub(crate) struct System(Access);

impl System {
    pub(crate) async fn connect(args: &ServerArgs) -> Result<Self> {
        Ok(Self(client::connect(args).await?))
    }

    #[cfg(test)]
    pub(crate) fn new(access: Access) -> Self {
        Self(access)
    }

    pub(crate) fn access(&self) -> Access {
        self.0.clone()
    }

    pub(crate) fn erp(&self) -> FinanceAndOperationsEnvironmentServiceClient<Access> {
        FinanceAndOperationsEnvironmentServiceClient::new(self.0.clone())
    }

    pub(crate) fn platform(&self) -> PlatformEnvironmentServiceClient<Access> {
        PlatformEnvironmentServiceClient::new(self.0.clone())
    }

    pub(crate) fn setup(&self) -> SetupServiceClient<Access> {
        SetupServiceClient::new(self.0.clone())
    }

    pub(crate) fn operations(&self) -> OperationServiceClient<Access> {
        OperationServiceClient::new(self.0.clone())
    }

    pub(crate) fn add_ins(&self) -> AddInServiceClient<Access> {
        AddInServiceClient::new(self.0.clone())
    }

    pub(crate) fn capacity(&self) -> CapacityServiceClient<Access> {
        CapacityServiceClient::new(self.0.clone())
    }

    pub(crate) fn maps(&self) -> MapServiceClient<Access> {
        MapServiceClient::new(self.0.clone())
    }

    pub(crate) fn dual_write_link(&self) -> LinkServiceClient<Access> {
        LinkServiceClient::new(self.0.clone())
    }

    pub(crate) fn initial_syncs(&self) -> InitialSyncServiceClient<Access> {
        InitialSyncServiceClient::new(self.0.clone())
    }

    pub(crate) fn sync_errors(&self) -> SyncErrorServiceClient<Access> {
        SyncErrorServiceClient::new(self.0.clone())
    }

    pub(crate) fn alerts(&self) -> AlertServiceClient<Access> {
        AlertServiceClient::new(self.0.clone())
    }

    pub(crate) fn reconciliations(&self) -> ReconciliationServiceClient<Access> {
        ReconciliationServiceClient::new(self.0.clone())
    }

    pub(crate) fn licences(&self) -> LicenceServiceClient<Access> {
        LicenceServiceClient::new(self.0.clone())
    }
}

/// What an answer has to be about.
pub(crate) fn told<T>(part: Option<T>) -> Result<T> {
    part.context("the system's answer is empty")
}
