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
