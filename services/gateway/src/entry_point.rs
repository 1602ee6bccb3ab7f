//! Every way into the gateway, by name: what rights must hold on all of.
//!
//! Each request is made a route, and each route says which of these it is, before it is served; so a way
//! in that is not named here does not exist. Over gRPC a method that is not named here is not offered.

/// Declares the entry points once: the list cannot lack one. What methods are for, their protocol says.
macro_rules! entry_points {
    ($($(#[$doc:meta])* $name:ident $(= $path:literal)?,)+) => {
        /// A way into the gateway.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EntryPoint {
            $($(#[doc = $path])? $(#[$doc])* $name,)+
        }

        impl EntryPoint {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// As traces call it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// `/service/method` of those that are gRPC's.
            #[must_use]
            pub fn grpc_path(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => entry_points!(@path $($path)?),)+
                }
            }
        }
    };
    (@path) => { None };
    (@path $path:literal) => { Some($path) };
}

entry_points! {
    /// `GET /`.
    ServiceDocument,
    /// `GET $metadata`.
    Metadata,
    /// `GET EntityDefinitions` and the other sets of definitions.
    Definitions,
    /// `GET /api/discovery/v2.0/…`.
    Discovery,
    /// `GET set`, `GET set(key)/many`, with or without query options.
    Rows,
    /// `GET set?fetchXml=…`.
    FetchXml,
    /// `GET set?savedQuery=…` and `?userQuery=…`.
    StoredQuery,
    /// `GET set/$count`.
    Count,
    /// `GET set/$ref`, `GET set(key)/many/$ref`.
    References,
    /// `GET set(key)`, `GET set(key)/one`.
    Record,
    /// `GET set(key)/$ref`, `GET set(key)/one/$ref`.
    Reference,
    /// `GET set(key)/property`.
    Property,
    /// `GET set` with `Prefer: odata.track-changes`, or `?$deltatoken=…`.
    Changes,
    /// `GET set/$count?$deltatoken=…`.
    ChangesCount,
    /// `GET` with `Prefer: tombolo.explain`.
    Explain,
    /// `POST set`, with rows within it or without.
    Create,
    /// `POST set(key)/many`.
    CreateRelated,
    /// `PATCH set(key)`, `PUT set(key)`: an update, or an upsert.
    Change,
    /// `DELETE set(key)`.
    Delete,
    /// `PUT set(key)/property`.
    SetProperty,
    /// `DELETE set(key)/property`.
    ClearProperty,
    /// `POST set(key)/many/$ref`, `PUT set(key)/one/$ref`.
    Associate,
    /// `DELETE set(key)/many(key)/$ref`, `DELETE set(key)/one/$ref`.
    Disassociate,
    /// `POST set/…CreateMultiple`.
    CreateMultiple,
    /// `POST set/…UpdateMultiple`.
    UpdateMultiple,
    /// `POST set/…UpsertMultiple`.
    UpsertMultiple,
    /// `POST set/…DeleteMultiple`.
    DeleteMultiple,
    /// `POST set(key)/…Action`.
    RecordAction,
    /// `POST set/…Action`.
    TableAction,
    /// `POST Action`.
    UnboundAction,
    /// A request of a `$batch`.
    BatchRequest,
    /// A change set of a `$batch`.
    BatchChangeSet,
    /// A request with `Prefer: respond-async`.
    RespondAsync,
    /// `GET /api/backgroundoperation/id`.
    BackgroundOperation,
    /// `DELETE /api/backgroundoperation/id`.
    CancelBackgroundOperation,
    /// `WhoAmI()`.
    WhoAmI,
    /// `RetrieveVersion()`.
    RetrieveVersion,
    /// `RetrieveCurrentOrganization(…)`.
    RetrieveCurrentOrganization,
    /// `RetrieveFinanceAndOperationsIntegrationDetails()`.
    RetrieveFinanceAndOperationsIntegrationDetails,
    /// `RetrieveTotalRecordCount(…)`.
    RetrieveTotalRecordCount,
    /// `RetrieveMetadataChanges(…)`.
    RetrieveMetadataChanges,
    /// `FetchXmlToQueryExpression(…)`.
    FetchXmlToQueryExpression,
    /// `POST QueryExpressionToFetchXml`.
    QueryExpressionToFetchXml,
    /// `POST BulkDelete`.
    BulkDelete,
    /// `GET tombolo_DualWrite…(…)`.
    DualWriteFunction,
    /// `POST tombolo_DualWrite…`.
    DualWriteAction,
    GrpcRetrieve = "/tombolo.gateway.v1.GatewayService/Retrieve",
    GrpcRetrieveMultiple = "/tombolo.gateway.v1.GatewayService/RetrieveMultiple",
    GrpcExplain = "/tombolo.gateway.v1.GatewayService/Explain",
    GrpcFetchXmlToQueryExpression = "/tombolo.gateway.v1.GatewayService/FetchXmlToQueryExpression",
    GrpcQueryExpressionToFetchXml = "/tombolo.gateway.v1.GatewayService/QueryExpressionToFetchXml",
    GrpcCreate = "/tombolo.gateway.v1.GatewayService/Create",
    GrpcUpdate = "/tombolo.gateway.v1.GatewayService/Update",
    GrpcUpsert = "/tombolo.gateway.v1.GatewayService/Upsert",
    GrpcDelete = "/tombolo.gateway.v1.GatewayService/Delete",
    GrpcPerformAction = "/tombolo.gateway.v1.GatewayService/PerformAction",
    GrpcExecuteTransaction = "/tombolo.gateway.v1.GatewayService/ExecuteTransaction",
    GrpcWhoAmI = "/tombolo.gateway.v1.GatewayService/WhoAmI",
    GrpcListDataEntities = "/tombolo.catalog.v1.CatalogService/ListDataEntities",
    GrpcGetDataEntity = "/tombolo.catalog.v1.CatalogService/GetDataEntity",
    GrpcUpdateDataEntity = "/tombolo.catalog.v1.CatalogService/UpdateDataEntity",
    GrpcRefreshDataEntity = "/tombolo.catalog.v1.CatalogService/RefreshDataEntity",
    GrpcRefreshModel = "/tombolo.catalog.v1.CatalogService/RefreshModel",
    /// For services only.
    GrpcWatchDataEntities = "/tombolo.catalog.v1.CatalogService/WatchDataEntities",
    GrpcListRelationships = "/tombolo.catalog.v1.RelationshipService/ListRelationships",
    GrpcGetRelationship = "/tombolo.catalog.v1.RelationshipService/GetRelationship",
    GrpcCreateRelationship = "/tombolo.catalog.v1.RelationshipService/CreateRelationship",
    GrpcDeleteRelationship = "/tombolo.catalog.v1.RelationshipService/DeleteRelationship",
    /// For services only.
    GrpcResolveCaller = "/tombolo.user_context.v1.UserContextService/ResolveCaller",
    /// For services only.
    GrpcWatchTrust = "/tombolo.user_context.v1.UserContextService/WatchTrust",
    GrpcGetCaller = "/tombolo.user_context.v1.UserContextService/GetCaller",
    /// For services only.
    GrpcCheckPortalUser = "/tombolo.user_context.v1.UserContextService/CheckPortalUser",
    /// For services only.
    GrpcLookupUser = "/tombolo.user_context.v1.UserContextService/LookupUser",
    GrpcListUsers = "/tombolo.user_context.v1.DirectoryService/ListUsers",
    GrpcGetUser = "/tombolo.user_context.v1.DirectoryService/GetUser",
    GrpcUpdateUser = "/tombolo.user_context.v1.DirectoryService/UpdateUser",
    GrpcDeleteUser = "/tombolo.user_context.v1.DirectoryService/DeleteUser",
    GrpcListRoles = "/tombolo.user_context.v1.DirectoryService/ListRoles",
    GrpcUpdateRole = "/tombolo.user_context.v1.DirectoryService/UpdateRole",
    GrpcDeleteRole = "/tombolo.user_context.v1.DirectoryService/DeleteRole",
    GrpcListDuties = "/tombolo.user_context.v1.DirectoryService/ListDuties",
    GrpcUpdateDuty = "/tombolo.user_context.v1.DirectoryService/UpdateDuty",
    GrpcDeleteDuty = "/tombolo.user_context.v1.DirectoryService/DeleteDuty",
    GrpcListPrivileges = "/tombolo.user_context.v1.DirectoryService/ListPrivileges",
    GrpcUpdatePrivilege = "/tombolo.user_context.v1.DirectoryService/UpdatePrivilege",
    GrpcDeletePrivilege = "/tombolo.user_context.v1.DirectoryService/DeletePrivilege",
    GrpcImportDirectory = "/tombolo.user_context.v1.DirectoryService/ImportDirectory",
    GrpcListOperations = "/tombolo.lifecycle.v1.OperationService/ListOperations",
    GrpcGetOperation = "/tombolo.lifecycle.v1.OperationService/GetOperation",
    GrpcWatchOperation = "/tombolo.lifecycle.v1.OperationService/WatchOperation",
    GrpcResumeOperation = "/tombolo.lifecycle.v1.OperationService/ResumeOperation",
    GrpcCancelOperation = "/tombolo.lifecycle.v1.OperationService/CancelOperation",
    GrpcListTemplates = "/tombolo.lifecycle.v1.SetupService/ListTemplates",
    GrpcGetTemplate = "/tombolo.lifecycle.v1.SetupService/GetTemplate",
    GrpcCheckPrerequisites = "/tombolo.lifecycle.v1.SetupService/CheckPrerequisites",
    GrpcStartSetup = "/tombolo.lifecycle.v1.SetupService/StartSetup",
    GrpcConfigureDualWrite = "/tombolo.lifecycle.v1.SetupService/ConfigureDualWrite",
    GrpcListLinks = "/tombolo.lifecycle.v1.SetupService/ListLinks",
    GrpcGetLink = "/tombolo.lifecycle.v1.SetupService/GetLink",
    GrpcRetrieveFinanceAndOperationsIntegrationDetails = "/tombolo.lifecycle.v1.SetupService/RetrieveFinanceAndOperationsIntegrationDetails",
    GrpcGetTenantSettings = "/tombolo.lifecycle.v1.SetupService/GetTenantSettings",
    GrpcUpdateTenantSettings = "/tombolo.lifecycle.v1.SetupService/UpdateTenantSettings",
    GrpcListPlatformEnvironments = "/tombolo.lifecycle.v1.PlatformEnvironmentService/ListPlatformEnvironments",
    GrpcGetPlatformEnvironment = "/tombolo.lifecycle.v1.PlatformEnvironmentService/GetPlatformEnvironment",
    GrpcCreatePlatformEnvironment = "/tombolo.lifecycle.v1.PlatformEnvironmentService/CreatePlatformEnvironment",
    GrpcUpdatePlatformEnvironment = "/tombolo.lifecycle.v1.PlatformEnvironmentService/UpdatePlatformEnvironment",
    GrpcDeletePlatformEnvironment = "/tombolo.lifecycle.v1.PlatformEnvironmentService/DeletePlatformEnvironment",
    GrpcRecoverPlatformEnvironment = "/tombolo.lifecycle.v1.PlatformEnvironmentService/RecoverPlatformEnvironment",
    GrpcAddDatabase = "/tombolo.lifecycle.v1.PlatformEnvironmentService/AddDatabase",
    GrpcResetPlatformEnvironment = "/tombolo.lifecycle.v1.PlatformEnvironmentService/ResetPlatformEnvironment",
    GrpcCopyPlatformEnvironment = "/tombolo.lifecycle.v1.PlatformEnvironmentService/CopyPlatformEnvironment",
    GrpcListBackups = "/tombolo.lifecycle.v1.PlatformEnvironmentService/ListBackups",
    GrpcCreateBackup = "/tombolo.lifecycle.v1.PlatformEnvironmentService/CreateBackup",
    GrpcRestorePlatformEnvironment = "/tombolo.lifecycle.v1.PlatformEnvironmentService/RestorePlatformEnvironment",
    GrpcConvertPlatformEnvironment = "/tombolo.lifecycle.v1.PlatformEnvironmentService/ConvertPlatformEnvironment",
    GrpcInstallFinanceAndOperations = "/tombolo.lifecycle.v1.PlatformEnvironmentService/InstallFinanceAndOperations",
    GrpcListLocations = "/tombolo.lifecycle.v1.PlatformEnvironmentService/ListLocations",
    GrpcListFinanceAndOperationsEnvironments = "/tombolo.lifecycle.v1.FinanceAndOperationsEnvironmentService/ListFinanceAndOperationsEnvironments",
    GrpcGetFinanceAndOperationsEnvironment = "/tombolo.lifecycle.v1.FinanceAndOperationsEnvironmentService/GetFinanceAndOperationsEnvironment",
    GrpcCreateFinanceAndOperationsEnvironment = "/tombolo.lifecycle.v1.FinanceAndOperationsEnvironmentService/CreateFinanceAndOperationsEnvironment",
    GrpcUpdateFinanceAndOperationsEnvironment = "/tombolo.lifecycle.v1.FinanceAndOperationsEnvironmentService/UpdateFinanceAndOperationsEnvironment",
    GrpcDeleteFinanceAndOperationsEnvironment = "/tombolo.lifecycle.v1.FinanceAndOperationsEnvironmentService/DeleteFinanceAndOperationsEnvironment",
    GrpcRefreshDatabase = "/tombolo.lifecycle.v1.FinanceAndOperationsEnvironmentService/RefreshDatabase",
    GrpcExportDatabase = "/tombolo.lifecycle.v1.FinanceAndOperationsEnvironmentService/ExportDatabase",
    GrpcRestoreDatabase = "/tombolo.lifecycle.v1.FinanceAndOperationsEnvironmentService/RestoreDatabase",
    GrpcListAddIns = "/tombolo.lifecycle.v1.AddInService/ListAddIns",
    GrpcGetAddIn = "/tombolo.lifecycle.v1.AddInService/GetAddIn",
    GrpcListAddInInstallations = "/tombolo.lifecycle.v1.AddInService/ListAddInInstallations",
    GrpcGetAddInInstallation = "/tombolo.lifecycle.v1.AddInService/GetAddInInstallation",
    GrpcInstallAddIn = "/tombolo.lifecycle.v1.AddInService/InstallAddIn",
    GrpcCancelAddInInstallation = "/tombolo.lifecycle.v1.AddInService/CancelAddInInstallation",
    GrpcConfigureAddIn = "/tombolo.lifecycle.v1.AddInService/ConfigureAddIn",
    GrpcUninstallAddIn = "/tombolo.lifecycle.v1.AddInService/UninstallAddIn",
    GrpcGetCapacity = "/tombolo.capacity.v1.CapacityService/GetCapacity",
    GrpcListEntitlements = "/tombolo.capacity.v1.CapacityService/ListEntitlements",
    GrpcListEnvironmentUsages = "/tombolo.capacity.v1.CapacityService/ListEnvironmentUsages",
    GrpcListTableUsages = "/tombolo.capacity.v1.CapacityService/ListTableUsages",
    GrpcListUsageSamples = "/tombolo.capacity.v1.CapacityService/ListUsageSamples",
    GrpcMeasureUsage = "/tombolo.capacity.v1.CapacityService/MeasureUsage",
    GrpcCheckOperation = "/tombolo.capacity.v1.CapacityService/CheckOperation",
    GrpcForecastCapacity = "/tombolo.capacity.v1.CapacityService/ForecastCapacity",
    GrpcListNotices = "/tombolo.capacity.v1.CapacityService/ListNotices",
    GrpcListLicences = "/tombolo.capacity.v1.LicenceService/ListLicences",
    GrpcGetLicence = "/tombolo.capacity.v1.LicenceService/GetLicence",
    GrpcCreateLicence = "/tombolo.capacity.v1.LicenceService/CreateLicence",
    GrpcUpdateLicence = "/tombolo.capacity.v1.LicenceService/UpdateLicence",
    GrpcDeleteLicence = "/tombolo.capacity.v1.LicenceService/DeleteLicence",
    GrpcListLicenceAssignments = "/tombolo.capacity.v1.LicenceService/ListLicenceAssignments",
    GrpcCreateLicenceAssignment = "/tombolo.capacity.v1.LicenceService/CreateLicenceAssignment",
    GrpcDeleteLicenceAssignment = "/tombolo.capacity.v1.LicenceService/DeleteLicenceAssignment",
    GrpcListAccruals = "/tombolo.capacity.v1.LicenceService/ListAccruals",
    GrpcGetAccrual = "/tombolo.capacity.v1.LicenceService/GetAccrual",
    GrpcUpdateAccrual = "/tombolo.capacity.v1.LicenceService/UpdateAccrual",
    GrpcListMaps = "/tombolo.dual_write.v1.MapService/ListMaps",
    GrpcGetMap = "/tombolo.dual_write.v1.MapService/GetMap",
    GrpcCreateMap = "/tombolo.dual_write.v1.MapService/CreateMap",
    GrpcUpdateMap = "/tombolo.dual_write.v1.MapService/UpdateMap",
    GrpcDeleteMap = "/tombolo.dual_write.v1.MapService/DeleteMap",
    GrpcListMapVersions = "/tombolo.dual_write.v1.MapService/ListMapVersions",
    GrpcGetMapVersion = "/tombolo.dual_write.v1.MapService/GetMapVersion",
    GrpcCreateMapVersion = "/tombolo.dual_write.v1.MapService/CreateMapVersion",
    GrpcActivateMapVersion = "/tombolo.dual_write.v1.MapService/ActivateMapVersion",
    GrpcValidateMapVersion = "/tombolo.dual_write.v1.MapService/ValidateMapVersion",
    GrpcTestFilters = "/tombolo.dual_write.v1.MapService/TestFilters",
    GrpcRefreshMapTables = "/tombolo.dual_write.v1.MapService/RefreshMapTables",
    GrpcListRelatedMaps = "/tombolo.dual_write.v1.MapService/ListRelatedMaps",
    GrpcStartMaps = "/tombolo.dual_write.v1.MapService/StartMaps",
    GrpcPauseMaps = "/tombolo.dual_write.v1.MapService/PauseMaps",
    GrpcResumeMaps = "/tombolo.dual_write.v1.MapService/ResumeMaps",
    GrpcStopMaps = "/tombolo.dual_write.v1.MapService/StopMaps",
    GrpcExportMaps = "/tombolo.dual_write.v1.MapService/ExportMaps",
    GrpcImportMaps = "/tombolo.dual_write.v1.MapService/ImportMaps",
    GrpcApplySolutions = "/tombolo.dual_write.v1.MapService/ApplySolutions",
    GrpcDualWriteGetLink = "/tombolo.dual_write.v1.LinkService/GetLink",
    GrpcCreateLink = "/tombolo.dual_write.v1.LinkService/CreateLink",
    GrpcUpdateLink = "/tombolo.dual_write.v1.LinkService/UpdateLink",
    GrpcResetLink = "/tombolo.dual_write.v1.LinkService/ResetLink",
    GrpcRunHealthChecks = "/tombolo.dual_write.v1.LinkService/RunHealthChecks",
    GrpcListInitialSyncs = "/tombolo.dual_write.v1.InitialSyncService/ListInitialSyncs",
    GrpcGetInitialSync = "/tombolo.dual_write.v1.InitialSyncService/GetInitialSync",
    GrpcWatchInitialSync = "/tombolo.dual_write.v1.InitialSyncService/WatchInitialSync",
    GrpcCreateInitialSync = "/tombolo.dual_write.v1.InitialSyncService/CreateInitialSync",
    GrpcResumeInitialSync = "/tombolo.dual_write.v1.InitialSyncService/ResumeInitialSync",
    GrpcCancelInitialSync = "/tombolo.dual_write.v1.InitialSyncService/CancelInitialSync",
    GrpcAcceptInitialSync = "/tombolo.dual_write.v1.InitialSyncService/AcceptInitialSync",
    GrpcListInitialSyncErrors = "/tombolo.dual_write.v1.InitialSyncService/ListInitialSyncErrors",
    GrpcRetryInitialSyncErrors = "/tombolo.dual_write.v1.InitialSyncService/RetryInitialSyncErrors",
    GrpcListQueuedRecords = "/tombolo.dual_write.v1.SyncErrorService/ListQueuedRecords",
    GrpcListSyncErrors = "/tombolo.dual_write.v1.SyncErrorService/ListSyncErrors",
    GrpcGetSyncError = "/tombolo.dual_write.v1.SyncErrorService/GetSyncError",
    GrpcRetrySyncErrors = "/tombolo.dual_write.v1.SyncErrorService/RetrySyncErrors",
    GrpcDismissSyncErrors = "/tombolo.dual_write.v1.SyncErrorService/DismissSyncErrors",
    GrpcExplainRecord = "/tombolo.dual_write.v1.SyncErrorService/ExplainRecord",
    GrpcListActivities = "/tombolo.dual_write.v1.SyncErrorService/ListActivities",
    GrpcListAlertRules = "/tombolo.dual_write.v1.AlertService/ListAlertRules",
    GrpcGetAlertRule = "/tombolo.dual_write.v1.AlertService/GetAlertRule",
    GrpcCreateAlertRule = "/tombolo.dual_write.v1.AlertService/CreateAlertRule",
    GrpcUpdateAlertRule = "/tombolo.dual_write.v1.AlertService/UpdateAlertRule",
    GrpcDeleteAlertRule = "/tombolo.dual_write.v1.AlertService/DeleteAlertRule",
    GrpcListAlerts = "/tombolo.dual_write.v1.AlertService/ListAlerts",
    GrpcListReconciliations = "/tombolo.dual_write.v1.ReconciliationService/ListReconciliations",
    GrpcGetReconciliation = "/tombolo.dual_write.v1.ReconciliationService/GetReconciliation",
    GrpcCreateReconciliation = "/tombolo.dual_write.v1.ReconciliationService/CreateReconciliation",
    GrpcCancelReconciliation = "/tombolo.dual_write.v1.ReconciliationService/CancelReconciliation",
    GrpcListDifferences = "/tombolo.dual_write.v1.ReconciliationService/ListDifferences",
    GrpcRepairDifferences = "/tombolo.dual_write.v1.ReconciliationService/RepairDifferences",
}

impl EntryPoint {
    /// The one of a gRPC method's path.
    #[must_use]
    pub fn of_grpc(path: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.grpc_path() == Some(path))
    }

    /// Tells the request's trace.
    pub(crate) fn enter(self) {
        tracing::Span::current().record("entry_point", self.name());
    }
}
