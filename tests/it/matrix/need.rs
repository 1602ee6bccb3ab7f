//! What each way in takes.

use gateway::EntryPoint;

use super::who::{Operation, Who};

enum Need {
    /// To be somebody.
    Anybody,
    /// To be a person, or the application that reads the catalog.
    Catalog,
    /// Something with customers, and their groups where they are touched too.
    Customers(&'static [Operation]),
    /// The platform's own tables.
    Tables,
    /// The fields that some may not see.
    HiddenFields,
    /// A System administrator.
    SystemAdministrator,
    /// To ask about environments that one administers: who administers none is told of none, and finds none by
    /// an empty name.
    OwnEnvironments,
    /// To administer the tenant: its environments, licences and capacity.
    Tenant,
    /// To administer both sides of dual-write.
    DualWrite,
    /// A System or Security administrator.
    Directory,
    /// Another service.
    Service,
    /// It is not there yet, for nobody.
    Later,
}

/// Whether somebody may.
pub(crate) fn allows(point: EntryPoint, who: Who) -> bool {
    if who == Who::Disabled {
        return false;
    }
    match need(point) {
        Need::Anybody | Need::OwnEnvironments => true,
        Need::Catalog => who.works_with_tables() || who == Who::Application,
        Need::Customers(operations) => operations.iter().all(|it| who.operations().contains(it)),
        Need::Tables => who.works_with_tables(),
        Need::HiddenFields => {
            who.operations().contains(&Operation::Read) && !matches!(who, Who::Blind | Who::Portal)
        }
        Need::SystemAdministrator | Need::Tenant | Need::DualWrite => {
            who == Who::SystemAdministrator
        }
        Need::Directory => matches!(who, Who::SystemAdministrator | Who::SecurityAdministrator),
        Need::Service | Need::Later => false,
    }
}

/// No `_`: a new way in has a row here, or nothing compiles.
fn need(point: EntryPoint) -> Need {
    use EntryPoint as E;
    use Operation::{Create, Delete, Invoke, Read, Update};
    match point {
        E::ServiceDocument
        | E::Metadata
        | E::Definitions
        | E::Discovery
        | E::WhoAmI
        | E::RetrieveVersion
        | E::RetrieveCurrentOrganization
        | E::RetrieveFinanceAndOperationsIntegrationDetails
        | E::RetrieveMetadataChanges
        | E::FetchXmlToQueryExpression
        | E::QueryExpressionToFetchXml
        | E::GrpcFetchXmlToQueryExpression
        | E::GrpcQueryExpressionToFetchXml
        | E::GrpcWhoAmI
        | E::GrpcRetrieveFinanceAndOperationsIntegrationDetails
        | E::GrpcGetCaller => Need::Anybody,
        E::GrpcListDataEntities
        | E::GrpcGetDataEntity
        | E::GrpcListRelationships
        | E::GrpcGetRelationship => Need::Catalog,
        E::Rows
        | E::FetchXml
        | E::Count
        | E::References
        | E::Record
        | E::Reference
        | E::Changes
        | E::ChangesCount
        | E::BatchRequest
        | E::GrpcRetrieve
        | E::GrpcRetrieveMultiple => Need::Customers(&[Read]),
        E::Property => Need::HiddenFields,
        E::StoredQuery | E::RetrieveTotalRecordCount => Need::Tables,
        E::Create | E::CreateMultiple | E::GrpcCreate => Need::Customers(&[Create]),
        // Where it is to be put is a row that is found, and what it leads to.
        E::CreateRelated => Need::Customers(&[Create, Read]),
        E::Change
        | E::SetProperty
        | E::ClearProperty
        | E::UpdateMultiple
        | E::UpsertMultiple
        | E::BatchChangeSet
        | E::RespondAsync
        | E::GrpcUpdate
        | E::GrpcUpsert
        | E::GrpcExecuteTransaction => Need::Customers(&[Update]),
        E::Associate | E::Disassociate => Need::Customers(&[Update, Read]),
        E::Delete | E::GrpcDelete => Need::Customers(&[Delete]),
        E::BulkDelete => Need::Customers(&[Read, Delete]),
        E::RecordAction | E::TableAction | E::UnboundAction | E::GrpcPerformAction => {
            Need::Customers(&[Invoke])
        }
        // Those of others are nobody's but administrators'.
        E::Explain
        | E::GrpcExplain
        | E::BackgroundOperation
        | E::CancelBackgroundOperation
        | E::GrpcUpdateDataEntity
        | E::GrpcRefreshDataEntity
        | E::GrpcRefreshModel
        | E::GrpcCreateRelationship
        | E::GrpcDeleteRelationship => Need::SystemAdministrator,
        E::GrpcListUsers
        | E::GrpcGetUser
        | E::GrpcUpdateUser
        | E::GrpcDeleteUser
        | E::GrpcListRoles
        | E::GrpcUpdateRole
        | E::GrpcDeleteRole
        | E::GrpcListDuties
        | E::GrpcUpdateDuty
        | E::GrpcDeleteDuty
        | E::GrpcListPrivileges
        | E::GrpcUpdatePrivilege
        | E::GrpcDeletePrivilege
        | E::GrpcImportDirectory => Need::Directory,
        E::GrpcWatchDataEntities
        | E::GrpcResolveCaller
        | E::GrpcWatchTrust
        | E::GrpcCheckPortalUser
        | E::GrpcLookupUser => Need::Service,
        E::GrpcListOperations
        | E::GrpcGetOperation
        | E::GrpcWatchOperation
        | E::GrpcResumeOperation
        | E::GrpcCancelOperation
        | E::GrpcListTemplates
        | E::GrpcGetTemplate
        | E::GrpcListLinks
        | E::GrpcGetLink
        | E::GrpcListFinanceAndOperationsEnvironments
        | E::GrpcListAddInInstallations
        | E::GrpcGetAddInInstallation
        | E::GrpcInstallAddIn
        | E::GrpcCancelAddInInstallation
        | E::GrpcConfigureAddIn
        | E::GrpcUninstallAddIn => Need::OwnEnvironments,
        E::GrpcCheckPrerequisites
        | E::GrpcStartSetup
        | E::GrpcConfigureDualWrite
        | E::GrpcGetTenantSettings
        | E::GrpcUpdateTenantSettings
        | E::GrpcListPlatformEnvironments
        | E::GrpcGetPlatformEnvironment
        | E::GrpcCreatePlatformEnvironment
        | E::GrpcUpdatePlatformEnvironment
        | E::GrpcDeletePlatformEnvironment
        | E::GrpcRecoverPlatformEnvironment
        | E::GrpcAddDatabase
        | E::GrpcResetPlatformEnvironment
        | E::GrpcCopyPlatformEnvironment
        | E::GrpcListBackups
        | E::GrpcCreateBackup
        | E::GrpcRestorePlatformEnvironment
        | E::GrpcConvertPlatformEnvironment
        | E::GrpcInstallFinanceAndOperations
        | E::GrpcListLocations
        | E::GrpcGetFinanceAndOperationsEnvironment
        | E::GrpcCreateFinanceAndOperationsEnvironment
        | E::GrpcUpdateFinanceAndOperationsEnvironment
        | E::GrpcDeleteFinanceAndOperationsEnvironment
        | E::GrpcRefreshDatabase
        | E::GrpcExportDatabase
        | E::GrpcRestoreDatabase
        | E::GrpcListAddIns
        | E::GrpcGetAddIn
        | E::GrpcGetCapacity
        | E::GrpcListEntitlements
        | E::GrpcListEnvironmentUsages
        | E::GrpcListTableUsages
        | E::GrpcListUsageSamples
        | E::GrpcMeasureUsage
        | E::GrpcCheckOperation
        | E::GrpcForecastCapacity
        | E::GrpcListNotices
        | E::GrpcListLicences
        | E::GrpcGetLicence
        | E::GrpcCreateLicence
        | E::GrpcUpdateLicence
        | E::GrpcDeleteLicence
        | E::GrpcListLicenceAssignments
        | E::GrpcCreateLicenceAssignment
        | E::GrpcDeleteLicenceAssignment
        | E::GrpcListAccruals
        | E::GrpcGetAccrual
        | E::GrpcUpdateAccrual => Need::Tenant,
        E::DualWriteFunction
        | E::DualWriteAction
        | E::GrpcListMaps
        | E::GrpcGetMap
        | E::GrpcCreateMap
        | E::GrpcUpdateMap
        | E::GrpcDeleteMap
        | E::GrpcListMapVersions
        | E::GrpcGetMapVersion
        | E::GrpcCreateMapVersion
        | E::GrpcActivateMapVersion
        | E::GrpcValidateMapVersion
        | E::GrpcTestFilters
        | E::GrpcRefreshMapTables
        | E::GrpcListRelatedMaps
        | E::GrpcStartMaps
        | E::GrpcPauseMaps
        | E::GrpcResumeMaps
        | E::GrpcStopMaps
        | E::GrpcExportMaps
        | E::GrpcImportMaps
        | E::GrpcApplySolutions
        | E::GrpcDualWriteGetLink
        | E::GrpcCreateLink
        | E::GrpcUpdateLink
        | E::GrpcResetLink
        | E::GrpcRunHealthChecks
        | E::GrpcListInitialSyncs
        | E::GrpcGetInitialSync
        | E::GrpcWatchInitialSync
        | E::GrpcCreateInitialSync
        | E::GrpcResumeInitialSync
        | E::GrpcCancelInitialSync
        | E::GrpcAcceptInitialSync
        | E::GrpcListInitialSyncErrors
        | E::GrpcRetryInitialSyncErrors
        | E::GrpcListQueuedRecords
        | E::GrpcListSyncErrors
        | E::GrpcGetSyncError
        | E::GrpcRetrySyncErrors
        | E::GrpcDismissSyncErrors
        | E::GrpcExplainRecord
        | E::GrpcListActivities
        | E::GrpcListAlertRules
        | E::GrpcGetAlertRule
        | E::GrpcCreateAlertRule
        | E::GrpcUpdateAlertRule
        | E::GrpcDeleteAlertRule
        | E::GrpcListAlerts
        | E::GrpcListReconciliations
        | E::GrpcGetReconciliation
        | E::GrpcCreateReconciliation
        | E::GrpcCancelReconciliation
        | E::GrpcListDifferences
        | E::GrpcRepairDifferences => Need::DualWrite,
        E::DeleteMultiple => Need::Later,
    }
}
