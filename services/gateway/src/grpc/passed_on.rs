//! The administrator's services of others, behind the same door: each call is passed on as the caller of
//! its bearer token. Which of their methods the outside may call is exactly what is listed here; each
//! service decides by itself who may.

use proto::capacity::v1 as capacity;
use proto::capacity::v1::capacity_service_client::CapacityServiceClient;
use proto::capacity::v1::capacity_service_server::CapacityService;
use proto::capacity::v1::licence_service_client::LicenceServiceClient;
use proto::capacity::v1::licence_service_server::LicenceService;
use proto::catalog::v1 as catalog;
use proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use proto::catalog::v1::catalog_service_server::CatalogService;
use proto::dual_write::v1 as dual_write;
use proto::dual_write::v1::alert_service_client::AlertServiceClient;
use proto::dual_write::v1::alert_service_server::AlertService;
use proto::dual_write::v1::initial_sync_service_client::InitialSyncServiceClient;
use proto::dual_write::v1::initial_sync_service_server::InitialSyncService;
use proto::dual_write::v1::link_service_client::LinkServiceClient;
use proto::dual_write::v1::link_service_server::LinkService;
use proto::dual_write::v1::map_service_client::MapServiceClient;
use proto::dual_write::v1::map_service_server::MapService;
use proto::dual_write::v1::reconciliation_service_client::ReconciliationServiceClient;
use proto::dual_write::v1::reconciliation_service_server::ReconciliationService;
use proto::dual_write::v1::sync_error_service_client::SyncErrorServiceClient;
use proto::dual_write::v1::sync_error_service_server::SyncErrorService;
use proto::lifecycle::v1 as lifecycle;
use proto::lifecycle::v1::add_in_service_client::AddInServiceClient;
use proto::lifecycle::v1::add_in_service_server::AddInService;
use proto::lifecycle::v1::finance_and_operations_environment_service_client::FinanceAndOperationsEnvironmentServiceClient;
use proto::lifecycle::v1::finance_and_operations_environment_service_server::FinanceAndOperationsEnvironmentService;
use proto::lifecycle::v1::operation_service_client::OperationServiceClient;
use proto::lifecycle::v1::operation_service_server::OperationService;
use proto::lifecycle::v1::platform_environment_service_client::PlatformEnvironmentServiceClient;
use proto::lifecycle::v1::platform_environment_service_server::PlatformEnvironmentService;
use proto::lifecycle::v1::setup_service_client::SetupServiceClient;
use proto::lifecycle::v1::setup_service_server::SetupService;
use proto::user_context::v1 as user_context;
use proto::user_context::v1::directory_service_client::DirectoryServiceClient;
use proto::user_context::v1::directory_service_server::DirectoryService;
use proto::user_context::v1::user_context_service_client::UserContextServiceClient;
use proto::user_context::v1::user_context_service_server::UserContextService;
use rpc::{Channel, ErrorReason, status};
use tonic::{Code, Request, Response, Status, Streaming};

use super::handlers::GrpcGateway;
use crate::callers::Service;

/// A service whose methods are those of the one behind `client`.
#[derive(Clone, Debug)]
pub(crate) struct PassedOn<C> {
    gateway: GrpcGateway,
    client: C,
}

impl<C> PassedOn<C> {
    pub(crate) fn new(gateway: &GrpcGateway, client: C) -> Self {
        Self { gateway: gateway.clone(), client }
    }
}

/// `calls` and `streams` are as the other service has them; `here` is about the environment that this
/// gateway serves.
macro_rules! passed_on {
    (
        $service:ident by $client:ident of $package:ident, to $callee:ident;
        calls { $($method:ident: $request:ident -> $response:ident,)* }
        $(streams { $($many:ident: $many_request:ident -> $stream:ident of $item:ident,)* })?
        $(here { $($own:ident: $own_request:ident -> $own_response:ident,)* })?
        $(services_only { $($no:ident: $no_request:ident -> $no_response:ident,)* })?
        $(services_only_streams {
            $($none:ident: $none_request:ident -> $none_stream:ident of $none_item:ident,)*
        })?
    ) => {
        #[tonic::async_trait]
        impl $service for PassedOn<$client<Channel>> {
            $(async fn $method(
                &self,
                request: Request<$package::$request>,
            ) -> Result<Response<$package::$response>, Status> {
                let request = self.gateway.on_behalf(Service::$callee, request)?;
                self.client.clone().$method(request).await
            })*

            $($(type $stream = Streaming<$package::$item>;

            async fn $many(
                &self,
                request: Request<$package::$many_request>,
            ) -> Result<Response<Self::$stream>, Status> {
                let request = self.gateway.on_behalf(Service::$callee, request)?;
                self.client.clone().$many(request).await
            })*)?

            $($(async fn $own(
                &self,
                request: Request<$package::$own_request>,
            ) -> Result<Response<$package::$own_response>, Status> {
                let request = self.gateway.about_here(Service::$callee, request).await?;
                self.client.clone().$own(request).await
            })*)?

            $($(async fn $no(
                &self,
                _request: Request<$package::$no_request>,
            ) -> Result<Response<$package::$no_response>, Status> {
                Err(services_only())
            })*)?

            $($(type $none_stream = Streaming<$package::$none_item>;

            async fn $none(
                &self,
                _request: Request<$package::$none_request>,
            ) -> Result<Response<Self::$none_stream>, Status> {
                Err(services_only())
            })*)?
        }
    };
}

fn services_only() -> Status {
    let message = "this method is for services of the environment";
    status(Code::Unauthenticated, "gateway", ErrorReason::NoServiceToken, message, [])
}

passed_on! {
    CatalogService by CatalogServiceClient of catalog, to Catalog;
    calls {
        list_data_entities: ListDataEntitiesRequest -> ListDataEntitiesResponse,
        get_data_entity: GetDataEntityRequest -> GetDataEntityResponse,
        update_data_entity: UpdateDataEntityRequest -> UpdateDataEntityResponse,
        refresh_data_entity: RefreshDataEntityRequest -> RefreshDataEntityResponse,
        refresh_model: RefreshModelRequest -> RefreshModelResponse,
    }
    services_only_streams {
        watch_data_entities: WatchDataEntitiesRequest
            -> WatchDataEntitiesStream of WatchDataEntitiesResponse,
    }
}

passed_on! {
    UserContextService by UserContextServiceClient of user_context, to UserContext;
    calls {
        get_caller: GetCallerRequest -> GetCallerResponse,
    }
    services_only {
        resolve_caller: ResolveCallerRequest -> ResolveCallerResponse,
        check_portal_user: CheckPortalUserRequest -> CheckPortalUserResponse,
        lookup_user: LookupUserRequest -> LookupUserResponse,
    }
    services_only_streams {
        watch_trust: WatchTrustRequest -> WatchTrustStream of WatchTrustResponse,
    }
}

passed_on! {
    DirectoryService by DirectoryServiceClient of user_context, to UserContext;
    calls {
        list_users: ListUsersRequest -> ListUsersResponse,
        get_user: GetUserRequest -> GetUserResponse,
        update_user: UpdateUserRequest -> UpdateUserResponse,
        delete_user: DeleteUserRequest -> DeleteUserResponse,
        list_roles: ListRolesRequest -> ListRolesResponse,
        update_role: UpdateRoleRequest -> UpdateRoleResponse,
        delete_role: DeleteRoleRequest -> DeleteRoleResponse,
        list_duties: ListDutiesRequest -> ListDutiesResponse,
        update_duty: UpdateDutyRequest -> UpdateDutyResponse,
        delete_duty: DeleteDutyRequest -> DeleteDutyResponse,
        list_privileges: ListPrivilegesRequest -> ListPrivilegesResponse,
        update_privilege: UpdatePrivilegeRequest -> UpdatePrivilegeResponse,
        delete_privilege: DeletePrivilegeRequest -> DeletePrivilegeResponse,
        import_directory: ImportDirectoryRequest -> ImportDirectoryResponse,
    }
}

passed_on! {
    OperationService by OperationServiceClient of lifecycle, to Lifecycle;
    calls {
        list_operations: ListOperationsRequest -> ListOperationsResponse,
        get_operation: GetOperationRequest -> GetOperationResponse,
        resume_operation: ResumeOperationRequest -> ResumeOperationResponse,
        cancel_operation: CancelOperationRequest -> CancelOperationResponse,
    }
    streams {
        watch_operation: WatchOperationRequest -> WatchOperationStream of WatchOperationResponse,
    }
}

passed_on! {
    SetupService by SetupServiceClient of lifecycle, to Lifecycle;
    calls {
        list_templates: ListTemplatesRequest -> ListTemplatesResponse,
        get_template: GetTemplateRequest -> GetTemplateResponse,
        check_prerequisites: CheckPrerequisitesRequest -> CheckPrerequisitesResponse,
        start_setup: StartSetupRequest -> StartSetupResponse,
        configure_dual_write: ConfigureDualWriteRequest -> ConfigureDualWriteResponse,
        list_links: ListLinksRequest -> ListLinksResponse,
        get_link: GetLinkRequest -> GetLinkResponse,
        get_tenant_settings: GetTenantSettingsRequest -> GetTenantSettingsResponse,
        update_tenant_settings: UpdateTenantSettingsRequest -> UpdateTenantSettingsResponse,
    }
    here {
        retrieve_finance_and_operations_integration_details:
            RetrieveFinanceAndOperationsIntegrationDetailsRequest
            -> RetrieveFinanceAndOperationsIntegrationDetailsResponse,
    }
}

passed_on! {
    PlatformEnvironmentService by PlatformEnvironmentServiceClient of lifecycle, to Lifecycle;
    calls {
        list_platform_environments: ListPlatformEnvironmentsRequest -> ListPlatformEnvironmentsResponse,
        get_platform_environment: GetPlatformEnvironmentRequest -> GetPlatformEnvironmentResponse,
        create_platform_environment: CreatePlatformEnvironmentRequest -> CreatePlatformEnvironmentResponse,
        update_platform_environment: UpdatePlatformEnvironmentRequest -> UpdatePlatformEnvironmentResponse,
        delete_platform_environment: DeletePlatformEnvironmentRequest -> DeletePlatformEnvironmentResponse,
        recover_platform_environment: RecoverPlatformEnvironmentRequest -> RecoverPlatformEnvironmentResponse,
        add_database: AddDatabaseRequest -> AddDatabaseResponse,
        reset_platform_environment: ResetPlatformEnvironmentRequest -> ResetPlatformEnvironmentResponse,
        copy_platform_environment: CopyPlatformEnvironmentRequest -> CopyPlatformEnvironmentResponse,
        list_backups: ListBackupsRequest -> ListBackupsResponse,
        create_backup: CreateBackupRequest -> CreateBackupResponse,
        restore_platform_environment: RestorePlatformEnvironmentRequest -> RestorePlatformEnvironmentResponse,
        convert_platform_environment: ConvertPlatformEnvironmentRequest -> ConvertPlatformEnvironmentResponse,
        install_finance_and_operations: InstallFinanceAndOperationsRequest -> InstallFinanceAndOperationsResponse,
        list_locations: ListLocationsRequest -> ListLocationsResponse,
    }
}

passed_on! {
    FinanceAndOperationsEnvironmentService by FinanceAndOperationsEnvironmentServiceClient of lifecycle, to Lifecycle;
    calls {
        list_finance_and_operations_environments: ListFinanceAndOperationsEnvironmentsRequest -> ListFinanceAndOperationsEnvironmentsResponse,
        get_finance_and_operations_environment: GetFinanceAndOperationsEnvironmentRequest -> GetFinanceAndOperationsEnvironmentResponse,
        create_finance_and_operations_environment: CreateFinanceAndOperationsEnvironmentRequest -> CreateFinanceAndOperationsEnvironmentResponse,
        update_finance_and_operations_environment: UpdateFinanceAndOperationsEnvironmentRequest -> UpdateFinanceAndOperationsEnvironmentResponse,
        delete_finance_and_operations_environment: DeleteFinanceAndOperationsEnvironmentRequest -> DeleteFinanceAndOperationsEnvironmentResponse,
        refresh_database: RefreshDatabaseRequest -> RefreshDatabaseResponse,
        export_database: ExportDatabaseRequest -> ExportDatabaseResponse,
        restore_database: RestoreDatabaseRequest -> RestoreDatabaseResponse,
    }
}

passed_on! {
    AddInService by AddInServiceClient of lifecycle, to Lifecycle;
    calls {
        list_add_ins: ListAddInsRequest -> ListAddInsResponse,
        get_add_in: GetAddInRequest -> GetAddInResponse,
        list_add_in_installations: ListAddInInstallationsRequest -> ListAddInInstallationsResponse,
        get_add_in_installation: GetAddInInstallationRequest -> GetAddInInstallationResponse,
        install_add_in: InstallAddInRequest -> InstallAddInResponse,
        cancel_add_in_installation: CancelAddInInstallationRequest -> CancelAddInInstallationResponse,
        configure_add_in: ConfigureAddInRequest -> ConfigureAddInResponse,
        uninstall_add_in: UninstallAddInRequest -> UninstallAddInResponse,
    }
}

passed_on! {
    CapacityService by CapacityServiceClient of capacity, to Capacity;
    calls {
        get_capacity: GetCapacityRequest -> GetCapacityResponse,
        list_entitlements: ListEntitlementsRequest -> ListEntitlementsResponse,
        list_environment_usages: ListEnvironmentUsagesRequest -> ListEnvironmentUsagesResponse,
        list_table_usages: ListTableUsagesRequest -> ListTableUsagesResponse,
        list_usage_samples: ListUsageSamplesRequest -> ListUsageSamplesResponse,
        measure_usage: MeasureUsageRequest -> MeasureUsageResponse,
        check_operation: CheckOperationRequest -> CheckOperationResponse,
        forecast_capacity: ForecastCapacityRequest -> ForecastCapacityResponse,
        list_notices: ListNoticesRequest -> ListNoticesResponse,
    }
}

passed_on! {
    LicenceService by LicenceServiceClient of capacity, to Capacity;
    calls {
        list_licences: ListLicencesRequest -> ListLicencesResponse,
        get_licence: GetLicenceRequest -> GetLicenceResponse,
        create_licence: CreateLicenceRequest -> CreateLicenceResponse,
        update_licence: UpdateLicenceRequest -> UpdateLicenceResponse,
        delete_licence: DeleteLicenceRequest -> DeleteLicenceResponse,
        list_licence_assignments: ListLicenceAssignmentsRequest -> ListLicenceAssignmentsResponse,
        create_licence_assignment: CreateLicenceAssignmentRequest -> CreateLicenceAssignmentResponse,
        delete_licence_assignment: DeleteLicenceAssignmentRequest -> DeleteLicenceAssignmentResponse,
        list_accruals: ListAccrualsRequest -> ListAccrualsResponse,
        get_accrual: GetAccrualRequest -> GetAccrualResponse,
        update_accrual: UpdateAccrualRequest -> UpdateAccrualResponse,
    }
}

passed_on! {
    MapService by MapServiceClient of dual_write, to DualWrite;
    calls {
        list_maps: ListMapsRequest -> ListMapsResponse,
        get_map: GetMapRequest -> GetMapResponse,
        create_map: CreateMapRequest -> CreateMapResponse,
        update_map: UpdateMapRequest -> UpdateMapResponse,
        delete_map: DeleteMapRequest -> DeleteMapResponse,
        list_map_versions: ListMapVersionsRequest -> ListMapVersionsResponse,
        get_map_version: GetMapVersionRequest -> GetMapVersionResponse,
        create_map_version: CreateMapVersionRequest -> CreateMapVersionResponse,
        activate_map_version: ActivateMapVersionRequest -> ActivateMapVersionResponse,
        validate_map_version: ValidateMapVersionRequest -> ValidateMapVersionResponse,
        test_filters: TestFiltersRequest -> TestFiltersResponse,
        refresh_map_tables: RefreshMapTablesRequest -> RefreshMapTablesResponse,
        list_related_maps: ListRelatedMapsRequest -> ListRelatedMapsResponse,
        start_maps: StartMapsRequest -> StartMapsResponse,
        pause_maps: PauseMapsRequest -> PauseMapsResponse,
        resume_maps: ResumeMapsRequest -> ResumeMapsResponse,
        stop_maps: StopMapsRequest -> StopMapsResponse,
        export_maps: ExportMapsRequest -> ExportMapsResponse,
        import_maps: ImportMapsRequest -> ImportMapsResponse,
        apply_solutions: ApplySolutionsRequest -> ApplySolutionsResponse,
    }
}

passed_on! {
    LinkService by LinkServiceClient of dual_write, to DualWrite;
    calls {
        get_link: GetLinkRequest -> GetLinkResponse,
        create_link: CreateLinkRequest -> CreateLinkResponse,
        update_link: UpdateLinkRequest -> UpdateLinkResponse,
        reset_link: ResetLinkRequest -> ResetLinkResponse,
        run_health_checks: RunHealthChecksRequest -> RunHealthChecksResponse,
    }
}

passed_on! {
    InitialSyncService by InitialSyncServiceClient of dual_write, to DualWrite;
    calls {
        list_initial_syncs: ListInitialSyncsRequest -> ListInitialSyncsResponse,
        get_initial_sync: GetInitialSyncRequest -> GetInitialSyncResponse,
        create_initial_sync: CreateInitialSyncRequest -> CreateInitialSyncResponse,
        resume_initial_sync: ResumeInitialSyncRequest -> ResumeInitialSyncResponse,
        cancel_initial_sync: CancelInitialSyncRequest -> CancelInitialSyncResponse,
        accept_initial_sync: AcceptInitialSyncRequest -> AcceptInitialSyncResponse,
        list_initial_sync_errors: ListInitialSyncErrorsRequest -> ListInitialSyncErrorsResponse,
        retry_initial_sync_errors: RetryInitialSyncErrorsRequest -> RetryInitialSyncErrorsResponse,
    }
    streams {
        watch_initial_sync: WatchInitialSyncRequest -> WatchInitialSyncStream of WatchInitialSyncResponse,
    }
}

passed_on! {
    SyncErrorService by SyncErrorServiceClient of dual_write, to DualWrite;
    calls {
        list_queued_records: ListQueuedRecordsRequest -> ListQueuedRecordsResponse,
        list_sync_errors: ListSyncErrorsRequest -> ListSyncErrorsResponse,
        get_sync_error: GetSyncErrorRequest -> GetSyncErrorResponse,
        retry_sync_errors: RetrySyncErrorsRequest -> RetrySyncErrorsResponse,
        dismiss_sync_errors: DismissSyncErrorsRequest -> DismissSyncErrorsResponse,
        explain_record: ExplainRecordRequest -> ExplainRecordResponse,
        list_activities: ListActivitiesRequest -> ListActivitiesResponse,
    }
}

passed_on! {
    AlertService by AlertServiceClient of dual_write, to DualWrite;
    calls {
        list_alert_rules: ListAlertRulesRequest -> ListAlertRulesResponse,
        get_alert_rule: GetAlertRuleRequest -> GetAlertRuleResponse,
        create_alert_rule: CreateAlertRuleRequest -> CreateAlertRuleResponse,
        update_alert_rule: UpdateAlertRuleRequest -> UpdateAlertRuleResponse,
        delete_alert_rule: DeleteAlertRuleRequest -> DeleteAlertRuleResponse,
        list_alerts: ListAlertsRequest -> ListAlertsResponse,
    }
}

passed_on! {
    ReconciliationService by ReconciliationServiceClient of dual_write, to DualWrite;
    calls {
        list_reconciliations: ListReconciliationsRequest -> ListReconciliationsResponse,
        get_reconciliation: GetReconciliationRequest -> GetReconciliationResponse,
        create_reconciliation: CreateReconciliationRequest -> CreateReconciliationResponse,
        cancel_reconciliation: CancelReconciliationRequest -> CancelReconciliationResponse,
        list_differences: ListDifferencesRequest -> ListDifferencesResponse,
        repair_differences: RepairDifferencesRequest -> RepairDifferencesResponse,
    }
}
