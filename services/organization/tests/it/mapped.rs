//! Who makes rows of tables that dual-write has maps of.

use std::time::Duration;

use proto::query::v1 as pb;
use proto::query::v1::sharing_service_client::SharingServiceClient;
use rpc::{ErrorReason, role};
use tonic::{Code, Request};

use crate::World;
use crate::transact::account;

const MAP: &str = "maps/customers-v3-accounts";

/// As dual-write configures it where rows are shared.
pub(crate) async fn configure(world: &World, map_side: pb::MapSide) {
    let mut request = Request::new(pb::ConfigureMapRequest { map_side: Some(map_side) });
    request.set_timeout(Duration::from_secs(30));
    let mut client = SharingServiceClient::new(world.channel_of("dual-write"));
    client.configure_map(request).await.unwrap();
}

/// A map of the accounts of a company.
pub(crate) fn accounts() -> pb::MapSide {
    pb::MapSide {
        map: MAP.into(),
        epoch: 300,
        phase: pb::SharePhase::Queued.into(),
        entity_name: "account".into(),
        columns: vec!["accountnumber".into(), "name".into()],
        key_columns: vec![0],
        company_column: "msdyn_company.cdm_companycode".into(),
        companies: vec!["USMF".into(), "DEMF".into()],
        tracked_columns: vec![0, 1],
        link: "erp|platform".into(),
        description: Some(pb::MapDescription {
            external_entity_name: "CustCustomerV3Entity".into(),
            external_environment: "financeAndOperationsEnvironments/erp".into(),
            filter: "customertypecode eq 3".into(),
            debug: true,
        }),
        ..Default::default()
    }
}

#[tokio::test]
async fn rows_of_mapped_tables_are_made_by_users_of_dual_write_only() {
    let mut world = World::new().await;
    world.create(account("before")).await.unwrap();
    configure(&world, accounts()).await;
    // It looks when it starts.
    world = world.restarted().await;
    let refused = world.create(account("refused")).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused:?}");
    assert_eq!(rpc::reason(&refused), Some(ErrorReason::PrivilegeDenied), "{refused:?}");
    // Others than accounts are as before, and so is what is there.
    let contact = pb::CreateRequest {
        entity_name: "contact".into(),
        values: vec![crate::transact::text("lastname", "A")],
        ..Default::default()
    };
    world.create(contact).await.unwrap();
    let runtime = [role::BASIC_USER, role::DUAL_WRITE_RUNTIME_USER];
    let customizer = [role::BASIC_USER, role::SYSTEM_CUSTOMIZER];
    let app = [role::BASIC_USER, role::DUAL_WRITE_APP_USER];
    let administrator = [role::SYSTEM_ADMINISTRATOR];
    let users: [(&str, &[&str], bool); 4] = [
        ("runtime", &runtime, true),
        ("customizer", &customizer, true),
        ("app", &app, false),
        ("administrator", &administrator, true),
    ];
    for (name, roles, may) in users {
        world.assertion = world.assertion_of(&crate::principal(8, roles));
        assert_eq!(world.create(account(name)).await.is_ok(), may, "{name}");
    }
    let expected = ["administrator", "before", "customizer", "runtime"];
    assert_eq!(world.column("account", "name").await, expected);

    // Once the map is stopped everybody may again.
    world.run("platform", "DELETE FROM tombolo.dual_write_map").await;
    world = world.restarted().await;
    world.create(account("after")).await.unwrap();
}

#[tokio::test]
async fn the_runtime_configuration_is_what_is_configured_here() {
    let mut world = World::new().await;
    for package in ["MicrosoftOperationsVEAnchor", "DualWriteCoreAnchor"] {
        world.install("platform", package).await.unwrap();
    }
    world.assertion = world.assertion_of(&crate::principal(8, &[role::SYSTEM_ADMINISTRATOR]));
    let table = "msdyn_dualwriteruntimeconfig";
    assert!(world.column(table, "msdyn_name").await.is_empty());
    configure(&world, accounts()).await;
    for (column, value) in [
        ("msdyn_name", MAP),
        ("msdyn_projectname", MAP),
        ("msdyn_externalentityname", "CustCustomerV3Entity"),
        ("msdyn_internalentityname", "account"),
        ("msdyn_externalenvironmenturl", "financeAndOperationsEnvironments/erp"),
        ("msdyn_partitionmap", "USMF, DEMF"),
        ("msdyn_queryfilterexpression", "customertypecode eq 3"),
        ("msdyn_integrationkey", "accountnumber, msdyn_company.cdm_companycode"),
    ] {
        assert_eq!(world.column(table, column).await, [value], "{column}");
    }
    let numbers = "SELECT concat_ws(' ', msdyn_status, msdyn_enablebatchlookup, msdyn_isdebugmode,
            msdyn_recversion, msdyn_isdelete, msdyn_partition, msdyn_recid > 0)
        FROM organization.msdyn_dualwriteruntimeconfig";
    let mut store = world.connect("platform").await;
    let numbers: String = sqlx::query_scalar(numbers).fetch_one(&mut store).await.unwrap();
    assert_eq!(numbers, "2 1 1 300 t");
    let made = pb::CreateRequest {
        entity_name: table.into(),
        values: vec![crate::transact::text("msdyn_name", "x")],
        ..Default::default()
    };
    let refused = world.create(made).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented, "{refused:?}");
}
