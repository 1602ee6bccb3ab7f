//! The registry of ways in, against the contracts.

use std::collections::BTreeSet;

use gateway::EntryPoint;
use prost::Message as _;
use prost_types::FileDescriptorSet;

const SERVICES: [&str; 18] = [
    "tombolo.gateway.v1.GatewayService",
    "tombolo.catalog.v1.CatalogService",
    "tombolo.catalog.v1.RelationshipService",
    "tombolo.user_context.v1.UserContextService",
    "tombolo.user_context.v1.DirectoryService",
    "tombolo.lifecycle.v1.OperationService",
    "tombolo.lifecycle.v1.SetupService",
    "tombolo.lifecycle.v1.PlatformEnvironmentService",
    "tombolo.lifecycle.v1.FinanceAndOperationsEnvironmentService",
    "tombolo.lifecycle.v1.AddInService",
    "tombolo.capacity.v1.CapacityService",
    "tombolo.capacity.v1.LicenceService",
    "tombolo.dual_write.v1.MapService",
    "tombolo.dual_write.v1.LinkService",
    "tombolo.dual_write.v1.InitialSyncService",
    "tombolo.dual_write.v1.SyncErrorService",
    "tombolo.dual_write.v1.AlertService",
    "tombolo.dual_write.v1.ReconciliationService",
];

#[test]
fn every_method_of_the_contracts_is_named() {
    let files = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap().file;
    let mut methods = BTreeSet::new();
    for file in &files {
        for service in &file.service {
            let name = format!("{}.{}", file.package(), service.name());
            if SERVICES.contains(&name.as_str()) {
                methods.extend(service.method.iter().map(|it| format!("/{name}/{}", it.name())));
            }
        }
    }
    let named = EntryPoint::ALL.iter().filter_map(|it| it.grpc_path()).map(str::to_owned);
    assert_eq!(named.collect::<BTreeSet<_>>(), methods);
}
