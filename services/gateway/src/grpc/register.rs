//! Which services there are for the outside.

use std::sync::Arc;

use proto::capacity::v1::capacity_service_client::CapacityServiceClient;
use proto::capacity::v1::capacity_service_server::CapacityServiceServer;
use proto::capacity::v1::licence_service_client::LicenceServiceClient;
use proto::capacity::v1::licence_service_server::LicenceServiceServer;
use proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use proto::catalog::v1::catalog_service_server::CatalogServiceServer;
use proto::catalog::v1::relationship_service_server::RelationshipServiceServer;
use proto::dual_write::v1::alert_service_client::AlertServiceClient;
use proto::dual_write::v1::alert_service_server::AlertServiceServer;
use proto::dual_write::v1::initial_sync_service_client::InitialSyncServiceClient;
use proto::dual_write::v1::initial_sync_service_server::InitialSyncServiceServer;
use proto::dual_write::v1::link_service_client::LinkServiceClient;
use proto::dual_write::v1::link_service_server::LinkServiceServer;
use proto::dual_write::v1::map_service_client::MapServiceClient;
use proto::dual_write::v1::map_service_server::MapServiceServer;
use proto::dual_write::v1::reconciliation_service_client::ReconciliationServiceClient;
use proto::dual_write::v1::reconciliation_service_server::ReconciliationServiceServer;
use proto::dual_write::v1::sync_error_service_client::SyncErrorServiceClient;
use proto::dual_write::v1::sync_error_service_server::SyncErrorServiceServer;
use proto::gateway::v1::gateway_service_server::GatewayServiceServer;
use proto::lifecycle::v1::add_in_service_client::AddInServiceClient;
use proto::lifecycle::v1::add_in_service_server::AddInServiceServer;
use proto::lifecycle::v1::finance_and_operations_environment_service_client::FinanceAndOperationsEnvironmentServiceClient;
use proto::lifecycle::v1::finance_and_operations_environment_service_server::FinanceAndOperationsEnvironmentServiceServer;
use proto::lifecycle::v1::operation_service_client::OperationServiceClient;
use proto::lifecycle::v1::operation_service_server::OperationServiceServer;
use proto::lifecycle::v1::platform_environment_service_client::PlatformEnvironmentServiceClient;
use proto::lifecycle::v1::platform_environment_service_server::PlatformEnvironmentServiceServer;
use proto::lifecycle::v1::setup_service_client::SetupServiceClient;
use proto::lifecycle::v1::setup_service_server::SetupServiceServer;
use proto::user_context::v1::directory_service_client::DirectoryServiceClient;
use proto::user_context::v1::directory_service_server::DirectoryServiceServer;
use proto::user_context::v1::user_context_service_client::UserContextServiceClient;
use proto::user_context::v1::user_context_service_server::UserContextServiceServer;

use super::admission::Admitted;
use super::handlers::GrpcGateway;
use super::passed_on::PassedOn;
use super::relationships::Relationships;
use crate::{Clients, Core};

/// An import may be of a whole ERP's roles.
const MAX_DIRECTORY_BYTES: usize = 64 << 20;

/// A solution file may be of every map.
const MAX_SOLUTION_BYTES: usize = 64 << 20;

/// Adds all of them to a server.
pub(crate) fn register(core: &Arc<Core>, clients: &Clients, server: rpc::Server) -> rpc::Server {
    let gateway = &GrpcGateway::new(Arc::clone(core));
    let Clients { catalog, user_context, lifecycle, capacity, dual_write, .. } = clients.clone();
    let relationships = Relationships::new(Arc::clone(core), catalog.clone());
    let directory = DirectoryServiceClient::new(user_context.clone())
        .max_decoding_message_size(MAX_DIRECTORY_BYTES);
    let server = server
        .with(Admitted::new(core, GatewayServiceServer::new(gateway.clone())))
        .with(Admitted::new(core, RelationshipServiceServer::new(relationships)));
    /// `Server` of what is passed on to `client`.
    macro_rules! passed_on {
        ($server:expr, $($service:ident of $client:expr,)+) => {
            $server$(.with(Admitted::new(core, $service::new(PassedOn::new(gateway, $client)))))+
        };
    }
    let server = passed_on! {
        server,
        CatalogServiceServer of CatalogServiceClient::new(catalog),
        UserContextServiceServer of UserContextServiceClient::new(user_context),
        DirectoryServiceServer of directory,
        OperationServiceServer of OperationServiceClient::new(lifecycle.clone()),
        SetupServiceServer of SetupServiceClient::new(lifecycle.clone()),
        PlatformEnvironmentServiceServer of
            PlatformEnvironmentServiceClient::new(lifecycle.clone()),
        FinanceAndOperationsEnvironmentServiceServer of
            FinanceAndOperationsEnvironmentServiceClient::new(lifecycle.clone()),
        AddInServiceServer of AddInServiceClient::new(lifecycle),
        CapacityServiceServer of CapacityServiceClient::new(capacity.clone()),
        LicenceServiceServer of LicenceServiceClient::new(capacity),
    };
    let Some(dual_write) = dual_write else { return server };
    let maps =
        MapServiceClient::new(dual_write.clone()).max_decoding_message_size(MAX_SOLUTION_BYTES);
    passed_on! {
        server,
        MapServiceServer of maps,
        LinkServiceServer of LinkServiceClient::new(dual_write.clone()),
        InitialSyncServiceServer of InitialSyncServiceClient::new(dual_write.clone()),
        SyncErrorServiceServer of SyncErrorServiceClient::new(dual_write.clone()),
        AlertServiceServer of AlertServiceClient::new(dual_write.clone()),
        ReconciliationServiceServer of ReconciliationServiceClient::new(dual_write),
    }
}
