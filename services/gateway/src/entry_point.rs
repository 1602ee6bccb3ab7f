//! Every way into the gateway, by name: what rights must hold on all of.
//!
//! Each request is made a route, and each route says which of these it is, before it is served; so a way
//! in that is not named here does not exist. Over gRPC a method that is not named here is not offered.

/// Declares the entry points once: the list cannot lack one.
macro_rules! entry_points {
    ($($(#[$doc:meta])* $name:ident $(= $path:literal)?,)+) => {
        /// A way into the gateway.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EntryPoint {
            $($(#[$doc])* $name,)+
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
    /// A row by its key.
    GrpcRetrieve = "/tombolo.gateway.v1.GatewayService/Retrieve",
    /// The rows of a query.
    GrpcRetrieveMultiple = "/tombolo.gateway.v1.GatewayService/RetrieveMultiple",
    /// The statements of a query.
    GrpcExplain = "/tombolo.gateway.v1.GatewayService/Explain",
    /// A FetchXML document as a query.
    GrpcFetchXmlToQueryExpression = "/tombolo.gateway.v1.GatewayService/FetchXmlToQueryExpression",
    /// And the way back.
    GrpcQueryExpressionToFetchXml = "/tombolo.gateway.v1.GatewayService/QueryExpressionToFetchXml",
    /// A new row.
    GrpcCreate = "/tombolo.gateway.v1.GatewayService/Create",
    /// Values of a row.
    GrpcUpdate = "/tombolo.gateway.v1.GatewayService/Update",
    /// Values of a row that may be new.
    GrpcUpsert = "/tombolo.gateway.v1.GatewayService/Upsert",
    /// No row any more.
    GrpcDelete = "/tombolo.gateway.v1.GatewayService/Delete",
    /// An entity's action.
    GrpcPerformAction = "/tombolo.gateway.v1.GatewayService/PerformAction",
    /// Several of them, all or none.
    GrpcExecuteTransaction = "/tombolo.gateway.v1.GatewayService/ExecuteTransaction",
    /// Who is calling.
    GrpcWhoAmI = "/tombolo.gateway.v1.GatewayService/WhoAmI",
    /// The catalog's entities.
    GrpcListDataEntities = "/tombolo.catalog.v1.CatalogService/ListDataEntities",
    /// One of them.
    GrpcGetDataEntity = "/tombolo.catalog.v1.CatalogService/GetDataEntity",
    /// Makes one visible.
    GrpcUpdateDataEntity = "/tombolo.catalog.v1.CatalogService/UpdateDataEntity",
    /// Reads one from the model again.
    GrpcRefreshDataEntity = "/tombolo.catalog.v1.CatalogService/RefreshDataEntity",
    /// Reads the model again.
    GrpcRefreshModel = "/tombolo.catalog.v1.CatalogService/RefreshModel",
    /// For services only.
    GrpcWatchDataEntities = "/tombolo.catalog.v1.CatalogService/WatchDataEntities",
    /// Declared relationships.
    GrpcListRelationships = "/tombolo.catalog.v1.RelationshipService/ListRelationships",
    /// One of them.
    GrpcGetRelationship = "/tombolo.catalog.v1.RelationshipService/GetRelationship",
    /// Declares one.
    GrpcCreateRelationship = "/tombolo.catalog.v1.RelationshipService/CreateRelationship",
    /// Takes one back.
    GrpcDeleteRelationship = "/tombolo.catalog.v1.RelationshipService/DeleteRelationship",
    /// For services only.
    GrpcResolveCaller = "/tombolo.user_context.v1.UserContextService/ResolveCaller",
    /// For services only.
    GrpcWatchTrust = "/tombolo.user_context.v1.UserContextService/WatchTrust",
    /// The calling user.
    GrpcGetCaller = "/tombolo.user_context.v1.UserContextService/GetCaller",
    /// For services only.
    GrpcCheckPortalUser = "/tombolo.user_context.v1.UserContextService/CheckPortalUser",
    /// For services only.
    GrpcLookupUser = "/tombolo.user_context.v1.UserContextService/LookupUser",
    /// Users of the environment.
    GrpcListUsers = "/tombolo.user_context.v1.DirectoryService/ListUsers",
    /// One of them.
    GrpcGetUser = "/tombolo.user_context.v1.DirectoryService/GetUser",
    /// Makes or changes one.
    GrpcUpdateUser = "/tombolo.user_context.v1.DirectoryService/UpdateUser",
    /// Forgets one.
    GrpcDeleteUser = "/tombolo.user_context.v1.DirectoryService/DeleteUser",
    /// Roles.
    GrpcListRoles = "/tombolo.user_context.v1.DirectoryService/ListRoles",
    /// Makes or changes one.
    GrpcUpdateRole = "/tombolo.user_context.v1.DirectoryService/UpdateRole",
    /// Forgets one.
    GrpcDeleteRole = "/tombolo.user_context.v1.DirectoryService/DeleteRole",
    /// Duties.
    GrpcListDuties = "/tombolo.user_context.v1.DirectoryService/ListDuties",
    /// Makes or changes one.
    GrpcUpdateDuty = "/tombolo.user_context.v1.DirectoryService/UpdateDuty",
    /// Forgets one.
    GrpcDeleteDuty = "/tombolo.user_context.v1.DirectoryService/DeleteDuty",
    /// Privileges.
    GrpcListPrivileges = "/tombolo.user_context.v1.DirectoryService/ListPrivileges",
    /// Makes or changes one.
    GrpcUpdatePrivilege = "/tombolo.user_context.v1.DirectoryService/UpdatePrivilege",
    /// Forgets one.
    GrpcDeletePrivilege = "/tombolo.user_context.v1.DirectoryService/DeletePrivilege",
    /// What a source says of all of them.
    GrpcImportDirectory = "/tombolo.user_context.v1.DirectoryService/ImportDirectory",
    /// Lists operations, newest first.
    GrpcListOperations = "/tombolo.lifecycle.v1.OperationService/ListOperations",
    /// Returns one operation.
    GrpcGetOperation = "/tombolo.lifecycle.v1.OperationService/GetOperation",
    /// Streams an operation at once and after every change.
    GrpcWatchOperation = "/tombolo.lifecycle.v1.OperationService/WatchOperation",
    /// Goes on with a failed operation at the stage that failed.
    GrpcResumeOperation = "/tombolo.lifecycle.v1.OperationService/ResumeOperation",
    /// Gives an operation up and undoes its stages, the last first.
    GrpcCancelOperation = "/tombolo.lifecycle.v1.OperationService/CancelOperation",
    /// Lists the templates that the tenant's licences allow.
    GrpcListTemplates = "/tombolo.lifecycle.v1.SetupService/ListTemplates",
    /// Returns one template.
    GrpcGetTemplate = "/tombolo.lifecycle.v1.SetupService/GetTemplate",
    /// Checks every prerequisite without beginning.
    GrpcCheckPrerequisites = "/tombolo.lifecycle.v1.SetupService/CheckPrerequisites",
    /// Begins the setup and returns its operation.
    GrpcStartSetup = "/tombolo.lifecycle.v1.SetupService/StartSetup",
    /// Continues with dual-write after a setup without it.
    GrpcConfigureDualWrite = "/tombolo.lifecycle.v1.SetupService/ConfigureDualWrite",
    /// Lists links by name.
    GrpcListLinks = "/tombolo.lifecycle.v1.SetupService/ListLinks",
    /// Returns the link of either half.
    GrpcGetLink = "/tombolo.lifecycle.v1.SetupService/GetLink",
    /// Returns what the Web API's `RetrieveFinanceAndOperationsIntegrationDetails` answers.
    GrpcRetrieveFinanceAndOperationsIntegrationDetails = "/tombolo.lifecycle.v1.SetupService/RetrieveFinanceAndOperationsIntegrationDetails",
    /// Returns the tenant's rules.
    GrpcGetTenantSettings = "/tombolo.lifecycle.v1.SetupService/GetTenantSettings",
    /// Changes the tenant's rules.
    GrpcUpdateTenantSettings = "/tombolo.lifecycle.v1.SetupService/UpdateTenantSettings",
    /// Lists environments by name.
    GrpcListPlatformEnvironments = "/tombolo.lifecycle.v1.PlatformEnvironmentService/ListPlatformEnvironments",
    /// Returns one environment.
    GrpcGetPlatformEnvironment = "/tombolo.lifecycle.v1.PlatformEnvironmentService/GetPlatformEnvironment",
    /// Creates an environment, with or without a database.
    GrpcCreatePlatformEnvironment = "/tombolo.lifecycle.v1.PlatformEnvironmentService/CreatePlatformEnvironment",
    /// Changes display name or host.
    GrpcUpdatePlatformEnvironment = "/tombolo.lifecycle.v1.PlatformEnvironmentService/UpdatePlatformEnvironment",
    /// Deletes an environment.
    GrpcDeletePlatformEnvironment = "/tombolo.lifecycle.v1.PlatformEnvironmentService/DeletePlatformEnvironment",
    /// Brings a deleted environment back.
    GrpcRecoverPlatformEnvironment = "/tombolo.lifecycle.v1.PlatformEnvironmentService/RecoverPlatformEnvironment",
    /// Adds a database to an environment that has none.
    GrpcAddDatabase = "/tombolo.lifecycle.v1.PlatformEnvironmentService/AddDatabase",
    /// Takes all data and customizations away.
    GrpcResetPlatformEnvironment = "/tombolo.lifecycle.v1.PlatformEnvironmentService/ResetPlatformEnvironment",
    /// Overwrites the target by the source.
    GrpcCopyPlatformEnvironment = "/tombolo.lifecycle.v1.PlatformEnvironmentService/CopyPlatformEnvironment",
    /// Lists backups, newest first.
    GrpcListBackups = "/tombolo.lifecycle.v1.PlatformEnvironmentService/ListBackups",
    /// Backs an environment up.
    GrpcCreateBackup = "/tombolo.lifecycle.v1.PlatformEnvironmentService/CreateBackup",
    /// Brings an environment back to a backup or a moment.
    GrpcRestorePlatformEnvironment = "/tombolo.lifecycle.v1.PlatformEnvironmentService/RestorePlatformEnvironment",
    /// Changes the type.
    GrpcConvertPlatformEnvironment = "/tombolo.lifecycle.v1.PlatformEnvironmentService/ConvertPlatformEnvironment",
    /// Installs finance and operations as an app.
    GrpcInstallFinanceAndOperations = "/tombolo.lifecycle.v1.PlatformEnvironmentService/InstallFinanceAndOperations",
    /// Lists geographies and their regions.
    GrpcListLocations = "/tombolo.lifecycle.v1.PlatformEnvironmentService/ListLocations",
    /// Lists environments by name.
    GrpcListFinanceAndOperationsEnvironments = "/tombolo.lifecycle.v1.FinanceAndOperationsEnvironmentService/ListFinanceAndOperationsEnvironments",
    /// Returns one environment.
    GrpcGetFinanceAndOperationsEnvironment = "/tombolo.lifecycle.v1.FinanceAndOperationsEnvironmentService/GetFinanceAndOperationsEnvironment",
    /// Deploys an environment.
    GrpcCreateFinanceAndOperationsEnvironment = "/tombolo.lifecycle.v1.FinanceAndOperationsEnvironmentService/CreateFinanceAndOperationsEnvironment",
    /// Changes the administrator.
    GrpcUpdateFinanceAndOperationsEnvironment = "/tombolo.lifecycle.v1.FinanceAndOperationsEnvironmentService/UpdateFinanceAndOperationsEnvironment",
    /// Deletes an environment.
    GrpcDeleteFinanceAndOperationsEnvironment = "/tombolo.lifecycle.v1.FinanceAndOperationsEnvironmentService/DeleteFinanceAndOperationsEnvironment",
    /// Replaces the target's data by the source's.
    GrpcRefreshDatabase = "/tombolo.lifecycle.v1.FinanceAndOperationsEnvironmentService/RefreshDatabase",
    /// Backs an environment up.
    GrpcExportDatabase = "/tombolo.lifecycle.v1.FinanceAndOperationsEnvironmentService/ExportDatabase",
    /// Brings an environment back to a moment.
    GrpcRestoreDatabase = "/tombolo.lifecycle.v1.FinanceAndOperationsEnvironmentService/RestoreDatabase",
    /// Lists add-ins by name, with what keeps each from being installed.
    GrpcListAddIns = "/tombolo.lifecycle.v1.AddInService/ListAddIns",
    /// Returns one add-in with the schema of its parameters.
    GrpcGetAddIn = "/tombolo.lifecycle.v1.AddInService/GetAddIn",
    /// Lists what is installed in an environment.
    GrpcListAddInInstallations = "/tombolo.lifecycle.v1.AddInService/ListAddInInstallations",
    /// Returns one installation.
    GrpcGetAddInInstallation = "/tombolo.lifecycle.v1.AddInService/GetAddInInstallation",
    /// Begins to install.
    GrpcInstallAddIn = "/tombolo.lifecycle.v1.AddInService/InstallAddIn",
    /// Cancels an installation that is under way and undoes what it did.
    GrpcCancelAddInInstallation = "/tombolo.lifecycle.v1.AddInService/CancelAddInInstallation",
    /// Replaces the parameters of an installation.
    GrpcConfigureAddIn = "/tombolo.lifecycle.v1.AddInService/ConfigureAddIn",
    /// Removes an add-in.
    GrpcUninstallAddIn = "/tombolo.lifecycle.v1.AddInService/UninstallAddIn",
    /// What the tenant may use and what it uses.
    GrpcGetCapacity = "/tombolo.capacity.v1.CapacityService/GetCapacity",
    /// Lists entitlements.
    GrpcListEntitlements = "/tombolo.capacity.v1.CapacityService/ListEntitlements",
    /// Lists what each environment uses, the largest first.
    GrpcListEnvironmentUsages = "/tombolo.capacity.v1.CapacityService/ListEnvironmentUsages",
    /// Lists what the tables of an environment use, the largest first.
    GrpcListTableUsages = "/tombolo.capacity.v1.CapacityService/ListTableUsages",
    /// Lists measurements over time, oldest first.
    GrpcListUsageSamples = "/tombolo.capacity.v1.CapacityService/ListUsageSamples",
    /// Measures now instead of at the next period.
    GrpcMeasureUsage = "/tombolo.capacity.v1.CapacityService/MeasureUsage",
    /// Says whether an operation would be allowed now, and why not.
    GrpcCheckOperation = "/tombolo.capacity.v1.CapacityService/CheckOperation",
    /// Says when each pool runs out if usage goes on as it did.
    GrpcForecastCapacity = "/tombolo.capacity.v1.CapacityService/ForecastCapacity",
    /// Lists notices, newest first.
    GrpcListNotices = "/tombolo.capacity.v1.CapacityService/ListNotices",
    /// Lists licences by name.
    GrpcListLicences = "/tombolo.capacity.v1.LicenceService/ListLicences",
    /// Returns one licence.
    GrpcGetLicence = "/tombolo.capacity.v1.LicenceService/GetLicence",
    /// Records a purchase.
    GrpcCreateLicence = "/tombolo.capacity.v1.LicenceService/CreateLicence",
    /// Changes the number bought or the term.
    GrpcUpdateLicence = "/tombolo.capacity.v1.LicenceService/UpdateLicence",
    /// Deletes a licence.
    GrpcDeleteLicence = "/tombolo.capacity.v1.LicenceService/DeleteLicence",
    /// Lists who holds a licence.
    GrpcListLicenceAssignments = "/tombolo.capacity.v1.LicenceService/ListLicenceAssignments",
    /// Gives a user one of the licences bought.
    GrpcCreateLicenceAssignment = "/tombolo.capacity.v1.LicenceService/CreateLicenceAssignment",
    /// Takes a licence away from a user.
    GrpcDeleteLicenceAssignment = "/tombolo.capacity.v1.LicenceService/DeleteLicenceAssignment",
    /// Lists what licences are worth, by product.
    GrpcListAccruals = "/tombolo.capacity.v1.LicenceService/ListAccruals",
    /// Returns one row of the table.
    GrpcGetAccrual = "/tombolo.capacity.v1.LicenceService/GetAccrual",
    /// Changes what a licence is worth, or creates the row.
    GrpcUpdateAccrual = "/tombolo.capacity.v1.LicenceService/UpdateAccrual",
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
