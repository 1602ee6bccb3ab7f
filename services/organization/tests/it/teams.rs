//! Roles of teams, and who may own rows of tables that dual-write has maps of.

use std::time::Duration;

use proto::query::v1 as pb;
use proto::query::v1::value::Kind;
use rpc::{ErrorReason, role};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::mapped::{accounts, configure};
use crate::sharing::{row, string};
use crate::transact::{account, text};
use crate::{World, company, principal};

/// Longer than news take to arrive.
const SOON: Duration = Duration::from_secs(30);
/// What each role that is needed is there to read, its privilege's id, and the table's code.
const NEEDED: [(&str, &str, &str, &str); 3] = [
    (
        "Dual-write runtime user",
        "msdyn_dualwriteruntimeconfig",
        "cda9c7c4-5a1c-5d81-9925-dddda4bbb327",
        "10163",
    ),
    ("Dual-write app user", "cdm_company", "d3b65551-6945-5932-bf8b-fb148a3589ef", "10065"),
    ("Finance and Operations Basic User", "account", "92de0726-7cf3-550b-a786-865d68265666", "1"),
];

/// A platform with two companies, as they come, whose accounts and countries are mapped.
async fn mapped() -> World {
    let world = World::new().await;
    for package in ["MicrosoftOperationsVEAnchor", "DualWriteCoreAnchor"] {
        world.install("platform", package).await.unwrap();
    }
    let companies = vec![company("USMF", "Contoso"), company("DEMF", "Contoso D")];
    let request = proto::organization::v1::ImportCompaniesRequest { companies };
    world.directory().import_companies(request).await.unwrap();
    configure(&world, accounts()).await;
    let countries = pb::MapSide {
        map: "maps/countries".into(),
        entity_name: "msdyn_countryregion".into(),
        columns: vec!["msdyn_countryregioncode".into(), "msdyn_name".into()],
        company_column: String::new(),
        companies: Vec::new(),
        ..accounts()
    };
    configure(&world, countries).await;
    world
}

async fn team(world: &World, name: &str) -> String {
    let sql = format!("SELECT teamid::text FROM organization.team WHERE name = '{name}'");
    world.texts("platform", &sql).await.remove(0)
}

async fn take(world: &World, team: &str, role: &str) {
    let sql = format!(
        "DELETE FROM organization.tombolo_teamrole
         WHERE tombolo_name = '{role}' AND tombolo_teamid = '{team}'"
    );
    world.run("platform", &sql).await;
}

async fn give(world: &World, team: &str, role: &str) {
    let sql = format!(
        "INSERT INTO organization.tombolo_teamrole (tombolo_teamid, tombolo_name)
         VALUES ('{team}', '{role}')"
    );
    world.run("platform", &sql).await;
}

/// A country, which has no company.
fn country(code: &str) -> pb::ApplyRow {
    pb::ApplyRow {
        map: "maps/countries".into(),
        entity_name: "msdyn_countryregion".into(),
        key: vec![string("msdyn_countryregioncode", code)],
        kind: pb::ApplyKind::Upsert.into(),
        ..Default::default()
    }
}

#[track_caller]
fn refusal<T: std::fmt::Debug>(outcome: Result<T, Status>) -> String {
    let refused = outcome.unwrap_err();
    assert_eq!(rpc::reason(&refused), Some(ErrorReason::BusinessRule), "{refused:?}");
    refused.message().to_owned()
}

#[tokio::test]
async fn teams_own_rows_of_mapped_tables_as_they_come() {
    let mut world = mapped().await;
    world.apply((0..40).map(|it| row(&format!("C{it}"), "of a company")).collect()).await.unwrap();
    world.apply(vec![country("AT")]).await.unwrap();
    let runtime = [role::BASIC_USER, role::DUAL_WRITE_RUNTIME_USER];
    world.assertion = world.assertion_of(&principal(8, &runtime));
    world.create(account("of all")).await.unwrap();
    let owners = "SELECT DISTINCT team.name FROM organization.account
        JOIN organization.team ON teamid = owningteam
        UNION ALL SELECT team.name FROM organization.msdyn_countryregion
        JOIN organization.team ON teamid = owningteam ORDER BY 1";
    assert_eq!(world.texts("platform", owners).await, ["Tombolo", "Tombolo", "USMF Dual Write"]);
    // The teams of business units are given nothing, and dual-write makes them own nothing.
    assert_eq!(world.column("tombolo_teamgap", "tombolo_name").await, ["DEMF", "USMF"]);
}

#[tokio::test]
async fn a_team_that_lacks_a_role_is_made_no_owner() {
    let world = mapped().await;
    let usmf = team(&world, "USMF Dual Write").await;
    for (role, table, privilege, code) in NEEDED {
        take(&world, &usmf, role).await;
        let message = refusal(world.apply(vec![row("C1", "New"), row("C2", "New")]).await);
        let known = format!(
            "Unable to write data to table account. Principal team (Id={usmf}, type=9, roleCount=2), \
             is missing prvRead{table} privilege (Id={privilege}) on OTC={code}. "
        );
        assert!(message.starts_with(&known), "{message}");
        let help = match table {
            "account" => "Give the team a role that reads account.".to_owned(),
            _ => format!("Give the team the role {role}."),
        };
        assert!(message.ends_with(&help), "{message}");
        assert!(world.column("account", "name").await.is_empty());
        give(&world, &usmf, role).await;
    }
    world.apply(vec![row("C1", "New")]).await.unwrap();

    // Who administers everything needs nothing else.
    for (role, ..) in NEEDED {
        take(&world, &usmf, role).await;
    }
    refusal(world.apply(vec![row("C2", "New")]).await);
    give(&world, &usmf, "SYSTEM ADMINISTRATOR").await;
    world.apply(vec![row("C2", "New")]).await.unwrap();
}

#[tokio::test]
async fn the_team_of_rows_without_company_has_roles_as_well() {
    let world = mapped().await;
    let root = team(&world, "Tombolo").await;
    take(&world, &root, "Finance and Operations Basic User").await;
    let message = refusal(world.apply(vec![country("AT")]).await);
    assert!(message.contains(&root) && message.contains("prvReadmsdyn_countryregion"), "{message}");
    // Those of a company are not its own, and other tables ask for nothing.
    world.apply(vec![row("C1", "New")]).await.unwrap();
    world.run("platform", "INSERT INTO organization.contact (lastname) VALUES ('A')").await;
    assert_eq!(world.column("contact", "lastname").await, ["A"]);
}

#[tokio::test]
async fn who_is_named_owner_is_looked_at_like_any_other() {
    let world = mapped().await;
    world.apply(vec![row("C1", "New")]).await.unwrap();
    let unit = team(&world, "DEMF").await;
    let mut store = world.connect("platform").await;
    let named = format!("UPDATE organization.account SET owningteam = '{unit}'");
    let mut update = async || {
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(named.clone())).execute(&mut store).await;
        done.map(drop).map_err(|it| it.as_database_error().unwrap().message().to_owned())
    };
    let message = update().await.unwrap_err();
    assert!(message.contains(&unit) && message.contains("roleCount=0"), "{message}");
    // Once no map runs, anybody owns anything.
    world.run("platform", "DELETE FROM tombolo.dual_write_map").await;
    update().await.unwrap();
    // Rows that a team has stay its own, and change.
    configure(&world, accounts()).await;
    world.run("platform", "UPDATE organization.account SET name = 'Newer'").await;
    assert_eq!(world.column("account", "name").await, ["Newer"]);
}

#[tokio::test]
async fn a_role_that_reads_the_table_will_do() {
    let world = mapped().await;
    let usmf = team(&world, "USMF Dual Write").await;
    take(&world, &usmf, "Finance and Operations Basic User").await;
    give(&world, &usmf, "Keeps Accounts").await;
    refusal(world.apply(vec![row("C1", "New")]).await);
    let made = std::cell::Cell::new(0);
    let may = async || {
        let number = made.replace(made.get() + 1);
        world.apply(vec![row(&format!("C{number}"), "New")]).await.is_ok()
    };
    let until = async |wanted: bool| {
        let look = async {
            while may().await != wanted {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, look).await.expect("news arrive");
    };
    world.users.define("keeps accounts", &["contact", "account"]);
    until(true).await;
    world.users.define("keeps accounts", &["contact"]);
    until(false).await;
    world.users.define("Keeps Accounts", &["*"]);
    until(true).await;
}

#[tokio::test]
async fn administrators_give_roles_to_teams() {
    let mut world = mapped().await;
    let unit: Uuid = team(&world, "USMF").await.parse().unwrap();
    let give = |name: &str| {
        let id = Kind::GuidValue(unit.as_bytes().to_vec().into());
        let value = Some(pb::Value { kind: Some(id) });
        pb::CreateRequest {
            entity_name: "tombolo_teamrole".into(),
            values: vec![
                text("tombolo_name", name),
                pb::FieldValue { field: "tombolo_teamid".into(), value },
            ],
            ..Default::default()
        }
    };
    let denied = world.create(give(role::DUAL_WRITE_APP_USER)).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied, "{denied:?}");
    world.assertion = world.assertion_of(&principal(9, &[role::SYSTEM_ADMINISTRATOR]));
    world.create(give(role::DUAL_WRITE_APP_USER)).await.unwrap();
    let again = world.create(give("DUAL-WRITE APP USER")).await.unwrap_err();
    assert_eq!(rpc::reason(&again), Some(ErrorReason::RecordExists), "{again:?}");
    let blank = world.create(give(" ")).await.unwrap_err();
    assert_eq!(rpc::reason(&blank), Some(ErrorReason::InvalidValue), "{blank:?}");
    // A team takes its roles with it.
    let mine = format!(
        "SELECT tombolo_name FROM organization.tombolo_teamrole WHERE tombolo_teamid = '{unit}'"
    );
    assert_eq!(world.texts("platform", &mine).await, [role::DUAL_WRITE_APP_USER]);
    world.run("platform", "DELETE FROM organization.team WHERE name = 'USMF'").await;
    assert!(world.texts("platform", &mine).await.is_empty());
}

#[tokio::test]
async fn what_teams_lack_is_there_to_read() {
    let world = mapped().await;
    let (usmf, root) = (team(&world, "USMF Dual Write").await, team(&world, "Tombolo").await);
    take(&world, &usmf, "Dual-write app user").await;
    take(&world, &root, "Finance and Operations Basic User").await;
    let columns =
        ["tombolo_name", "tombolo_missingroles", "tombolo_unreadtables", "tombolo_ownsglobalrows"];
    let map_side = pb::MapSide {
        entity_name: "tombolo_teamgap".into(),
        columns: columns.map(str::to_owned).to_vec(),
        key_columns: vec![0],
        ..Default::default()
    };
    let selection = pb::ImageSelection { map_side: Some(map_side), ..Default::default() };
    let request = pb::ReadImagesRequest { selection: Some(selection), ..Default::default() };
    let shown = |it: &pb::Value| match &it.kind {
        Some(Kind::StringValue(it)) => it.clone(),
        Some(Kind::BoolValue(it)) => it.to_string(),
        _ => "-".to_owned(),
    };
    let images = world.images(request).await;
    let rows = images.iter().map(|it| it.values.iter().map(shown).collect::<Vec<_>>().join("|"));
    let both = "Dual-write runtime user, Dual-write app user";
    let all = "account, contact, msdyn_countryregion, msdyn_customergroup, msdyn_globalproduct, \
        msdyn_paymentterm, msdyn_salespriceagreement, msdyn_sharedproductdetails, msdyn_vendor, \
        msdyn_vendorgroup, salesorder, salesorderdetail";
    let expected = [
        format!("DEMF|{both}|{all}|false"),
        format!("Tombolo|-|{all}|true"),
        format!("USMF|{both}|{all}|false"),
        "USMF Dual Write|Dual-write app user|-|false".to_owned(),
    ];
    assert_eq!(rows.collect::<Vec<_>>(), expected);
}

/// Of every table whose rows teams own: which of the triggers it has.
#[tokio::test]
async fn every_table_that_teams_own_looks_at_owners() {
    let world = World::new().await;
    let looked_at = "SELECT c.relname || ' ' || concat_ws(' ',
            (SELECT string_agg(tgname, ' ' ORDER BY tgname) FROM pg_trigger
             WHERE tgrelid = c.oid AND tgname LIKE 'check%'))
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'organization'::regnamespace AND c.relkind = 'r' AND attname = 'owningteam'";
    let tables = world.texts("platform", looked_at).await;
    assert_eq!(tables.len(), 12, "{tables:?}");
    for table in tables {
        assert!(table.ends_with(" check_new_owner check_owners_of_new"), "{table}");
    }
}
