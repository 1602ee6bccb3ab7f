//! Companies, business units and teams, and who owns rows.

use proto::query::v1 as pb;
use rpc::{ErrorReason, role};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::transact::text;
use crate::{World, company, principal, user};

const COMPANY: &str = "INSERT INTO organization.cdm_company (cdm_companycode, cdm_name) VALUES";
/// Of each company: its code, its team, that team's business unit, and the unit above.
const OWNERS: &str = "SELECT concat_ws('|', cdm_companycode, team.name, unit.name, parent.name)
    FROM organization.cdm_company
    LEFT JOIN organization.team ON teamid = cdm_defaultowningteam
    LEFT JOIN organization.businessunit AS unit USING (businessunitid)
    LEFT JOIN organization.businessunit AS parent ON parent.businessunitid = unit.parentbusinessunitid
    ORDER BY cdm_companycode";
/// Of each account: its name, the user and the team that own it.
const ACCOUNTS: &str =
    "SELECT concat_ws('|', account.name, coalesce(fullname, '-'), coalesce(team.name, '-'))
    FROM organization.account
    LEFT JOIN organization.systemuser ON systemuserid = ownerid
    LEFT JOIN organization.team ON teamid = owningteam ORDER BY account.name";

async fn run(store: &mut PgConnection, sql: &str) -> Result<(), String> {
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(store).await;
    done.map(drop).map_err(|error| error.as_database_error().unwrap().message().to_owned())
}

#[track_caller]
fn refused(outcome: Result<(), String>, why: &str) {
    let message = outcome.unwrap_err();
    assert!(message.contains(why), "{message}");
}

#[tokio::test]
async fn an_enabled_company_has_a_team_of_its_own_until_another_is_chosen() {
    let world = World::new().await;
    let mut store = world.connect("platform").await;
    run(&mut store, &format!("{COMPANY} ('USMF', 'Contoso')")).await.unwrap();
    assert_eq!(world.texts("platform", OWNERS).await, ["USMF|USMF Dual Write|USMF|Tombolo"]);
    let teams =
        "SELECT concat_ws('|', name, isdefault, teamtype) FROM organization.team ORDER BY name";
    let expected = ["Tombolo|t|0", "USMF|t|0", "USMF Dual Write|f|0"];
    assert_eq!(world.texts("platform", teams).await, expected);

    let set = |what: &str| format!("UPDATE organization.cdm_company SET {what}");
    let cleared = set("cdm_defaultowningteam = NULL");
    refused(run(&mut store, &cleared).await, "can be changed, but not cleared");
    let other = "(SELECT teamid FROM organization.team WHERE name = 'Tombolo')";
    run(&mut store, &set(&format!("cdm_defaultowningteam = {other}"))).await.unwrap();
    assert_eq!(world.texts("platform", OWNERS).await, ["USMF|Tombolo|Tombolo"]);

    let disabled = "cdm_isenabledfordualwrite = false, cdm_defaultowningteam = NULL";
    run(&mut store, &set(disabled)).await.unwrap();
    assert_eq!(world.texts("platform", OWNERS).await, ["USMF"]);
    run(&mut store, &set("cdm_isenabledfordualwrite = true")).await.unwrap();
    assert_eq!(world.texts("platform", OWNERS).await, ["USMF|USMF Dual Write|USMF|Tombolo"]);
    assert_eq!(world.texts("platform", teams).await, expected);

    let other = format!("{COMPANY} ('DEMF', 'x'); ROLLBACK");
    run(&mut store, &format!("BEGIN; {other}")).await.unwrap();
    assert_eq!(world.texts("platform", teams).await, expected);
}

#[tokio::test]
async fn codes_of_companies_are_told_apart_and_stay() {
    let world = World::new().await;
    let mut store = world.connect("platform").await;
    run(&mut store, &format!("{COMPANY} ('USMF', 'x')")).await.unwrap();
    refused(run(&mut store, &format!("{COMPANY} ('usmf', 'y')")).await, "duplicate key");
    refused(run(&mut store, &format!("{COMPANY} (' ', 'y')")).await, "cannot be blank");
    refused(run(&mut store, &format!("{COMPANY} ('ÄÖ', 'y')")).await, "ASCII characters only");
    let renamed = "UPDATE organization.cdm_company SET cdm_companycode = 'DEMF'";
    refused(run(&mut store, renamed).await, "cannot be changed");
    // An import may spell it otherwise; what belongs to the company stays what it is.
    let companies = vec![company("usmf", "New")];
    let request = proto::organization::v1::ImportCompaniesRequest { companies };
    world.directory().import_companies(request).await.unwrap();
    assert_eq!(world.texts("platform", OWNERS).await, ["usmf|USMF Dual Write|USMF|Tombolo"]);
}

#[tokio::test]
async fn the_database_gives_a_company_the_id_that_services_expect() {
    let world = World::new().await;
    let mut store = world.connect("platform").await;
    let codes = ["a", "USMF", "dat", "x-1 ~", "0123456789", &"long".repeat(20), &"L".repeat(200)];
    for code in codes {
        let id: Uuid = sqlx::query_scalar("SELECT organization.company_id($1)")
            .bind(code)
            .fetch_one(&mut store)
            .await
            .unwrap();
        assert_eq!(id, provider::company_id(code), "{code}");
    }
}

#[tokio::test]
async fn administrators_make_companies_and_others_do_not() {
    let mut world = World::new().await;
    let request = || pb::CreateRequest {
        entity_name: "cdm_company".into(),
        values: vec![text("cdm_companycode", "USMF"), text("cdm_name", "Contoso")],
        ..Default::default()
    };
    assert_eq!(world.create(request()).await.unwrap_err().code(), tonic::Code::PermissionDenied);
    let clerk = std::mem::take(&mut world.assertion);
    world.assertion = world.assertion_of(&principal(9, &[role::SYSTEM_ADMINISTRATOR]));
    let made = world.create(request()).await.unwrap();
    assert_eq!(made.record_id.to_vec(), provider::company_id("usmf").as_bytes());
    let again = world.create(request()).await.unwrap_err();
    assert_eq!(rpc::reason(&again), Some(ErrorReason::RecordExists), "{again:?}");
    let blank = pb::CreateRequest {
        values: vec![text("cdm_companycode", " "), text("cdm_name", "Contoso")],
        ..request()
    };
    let blank = world.create(blank).await.unwrap_err();
    assert_eq!(rpc::reason(&blank), Some(ErrorReason::BusinessRule), "{blank:?}");
    world.assertion = clerk;
    assert_eq!(world.column("team", "name").await, ["Tombolo", "USMF", "USMF Dual Write"]);
}

#[tokio::test]
async fn rows_are_owned_by_the_team_of_their_company_unless_somebody_is_named() {
    let world = World::new().await;
    let users = vec![user(1, "ann")];
    let request = proto::organization::v1::ImportUsersRequest { users };
    world.directory().import_users(request).await.unwrap();
    let mut store = world.connect("platform").await;
    let ann = Uuid::from_u128(1);
    let sql = format!(
        "{COMPANY} ('USMF', 'x'), ('DEMF', 'x');
         CREATE TEMP VIEW of AS SELECT cdm_companyid AS id, cdm_companycode AS code FROM organization.cdm_company;
         INSERT INTO organization.account (name) VALUES ('global by nobody');
         INSERT INTO organization.account (name, msdyn_company) SELECT 'of ' || code, id FROM of;
         INSERT INTO organization.account (name, msdyn_company, ownerid)
             SELECT 'named ' || code, id, '{ann}' FROM of WHERE code = 'USMF';
         SELECT set_config('tombolo.systemuser', '{ann}', false);
         INSERT INTO organization.account (name) VALUES ('global by ann');
         INSERT INTO organization.account (name, msdyn_company) SELECT 'of ' || code || ' by ann', id FROM of"
    );
    run(&mut store, &sql).await.unwrap();
    let expected = [
        "global by ann|ANN|-",
        "global by nobody|-|Tombolo",
        "named USMF|ANN|-",
        "of DEMF|-|DEMF Dual Write",
        "of DEMF by ann|-|DEMF Dual Write",
        "of USMF|-|USMF Dual Write",
        "of USMF by ann|-|USMF Dual Write",
    ];
    assert_eq!(world.texts("platform", ACCOUNTS).await, expected);

    // A new owner takes the place of the old one, whichever kind it is.
    let all_but = "DELETE FROM organization.account WHERE name <> 'of USMF'";
    run(&mut store, all_but).await.unwrap();
    let given = format!("UPDATE organization.account SET ownerid = '{ann}'");
    run(&mut store, &given).await.unwrap();
    assert_eq!(world.texts("platform", ACCOUNTS).await, ["of USMF|ANN|-"]);
    let team = "(SELECT teamid FROM organization.team WHERE name = 'DEMF')";
    let given = format!("UPDATE organization.account SET owningteam = {team}");
    run(&mut store, &given).await.unwrap();
    assert_eq!(world.texts("platform", ACCOUNTS).await, ["of USMF|-|DEMF"]);
    let both = format!(
        "INSERT INTO organization.account (name, ownerid, owningteam) VALUES ('x', '{ann}', {team})"
    );
    refused(run(&mut store, &both).await, "by a user or by a team");
}

#[tokio::test]
async fn the_company_of_a_row_is_set_once() {
    let world = World::new().await;
    let mut store = world.connect("platform").await;
    let stamp = |code: &str| {
        format!(
            "UPDATE organization.account SET msdyn_company =
                 (SELECT cdm_companyid FROM organization.cdm_company WHERE cdm_companycode = '{code}')"
        )
    };
    let made = "INSERT INTO organization.account (name) VALUES ('A')";
    run(&mut store, &format!("{COMPANY} ('USMF', 'x'), ('DEMF', 'x'); {made}")).await.unwrap();
    run(&mut store, &stamp("USMF")).await.unwrap();
    run(&mut store, &stamp("USMF")).await.unwrap();
    for code in ["DEMF", "none"] {
        refused(run(&mut store, &stamp(code)).await, "cannot be changed once it is set");
    }
}

#[tokio::test]
async fn companies_have_the_same_account_numbers() {
    let world = World::new().await;
    let mut store = world.connect("platform").await;
    let insert = "INSERT INTO organization.account (name, accountnumber, msdyn_company)";
    let in_all = format!("{insert} SELECT 'A', 'C-1', cdm_companyid FROM organization.cdm_company");
    let in_none = format!("{insert} VALUES ('B', 'c-1', NULL)");
    run(&mut store, &format!("{COMPANY} ('USMF', 'x'), ('DEMF', 'x'); {in_all}; {in_none}"))
        .await
        .unwrap();
    for sql in [in_all, in_none] {
        refused(run(&mut store, &sql).await, "duplicate key");
    }
    // Rows without a number are many.
    let nameless = format!("{insert} VALUES ('B', NULL, NULL), ('C', NULL, NULL)");
    run(&mut store, &nameless).await.unwrap();
}

/// Of every table with a company: which of the rules it has.
#[tokio::test]
async fn every_table_of_companies_has_their_rules_and_its_keys() {
    let world = World::new().await;
    let ruled = "SELECT c.relname || ' ' || concat_ws(' ',
            (SELECT string_agg(tgname, ' ' ORDER BY tgname) FROM pg_trigger
             WHERE tgrelid = c.oid AND tgname IN ('keep_company', 'keep_one_owner', 'own_row', 'stamp_row')),
            (SELECT count(*) FROM pg_index JOIN pg_class AS i ON i.oid = indexrelid
             WHERE indrelid = c.oid AND indisunique
               AND i.relname IN (c.relname || '_key', c.relname || '_company_key')))
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'organization'::regnamespace AND c.relkind = 'r' AND attname = 'msdyn_company'
        ORDER BY 1";
    let tables = world.texts("platform", ruled).await;
    assert_eq!(tables.len(), 10, "{tables:?}");
    for table in tables {
        assert!(table.ends_with(" keep_company keep_one_owner own_row stamp_row 2"), "{table}");
    }
}

#[tokio::test]
async fn every_lookup_is_a_reference_of_the_database() {
    let world = World::new().await;
    for package in ["MicrosoftOperationsVEAnchor", "DualWriteCoreAnchor"] {
        world.install("platform", package).await.unwrap();
    }
    let set = world.watch_tables().await.message().await.unwrap().unwrap();
    let references =
        "SELECT concat_ws(' ', c.relname, a.attname, f.relname) FROM pg_constraint AS k
        JOIN pg_class AS c ON c.oid = conrelid JOIN pg_class AS f ON f.oid = confrelid
        JOIN pg_attribute AS a ON a.attrelid = conrelid AND a.attnum = conkey[1]
        WHERE contype = 'f' AND c.relnamespace = 'organization'::regnamespace";
    let references = world.texts("platform", references).await;
    let mut count = 0;
    for table in &set.tables {
        for it in table.columns.iter().filter(|it| !it.target.is_empty()) {
            let reference = format!("{} {} {}", table.logical_name, it.logical_name, it.target);
            assert!(references.contains(&reference), "{reference}");
            count += 1;
        }
    }
    assert!(count > 50, "{count}");
}

#[tokio::test]
async fn business_units_are_a_tree_with_one_root() {
    let world = World::new().await;
    let mut store = world.connect("platform").await;
    run(&mut store, "INSERT INTO organization.businessunit (name) VALUES ('Sales')").await.unwrap();
    let units = "SELECT concat_ws('|', unit.name, parent.name, team.name)
        FROM organization.businessunit AS unit
        LEFT JOIN organization.businessunit AS parent ON parent.businessunitid = unit.parentbusinessunitid
        LEFT JOIN organization.team ON team.businessunitid = unit.businessunitid AND isdefault
        ORDER BY unit.name";
    assert_eq!(world.texts("platform", units).await, ["Sales|Tombolo|Sales", "Tombolo|Tombolo"]);
    let renamed = "UPDATE organization.businessunit SET name = 'East' WHERE name = 'Sales'";
    run(&mut store, renamed).await.unwrap();
    assert_eq!(world.texts("platform", units).await, ["East|Tombolo|East", "Tombolo|Tombolo"]);
    let uprooted = "UPDATE organization.businessunit SET parentbusinessunitid = NULL";
    refused(run(&mut store, uprooted).await, "businessunit_root");
    run(&mut store, "DELETE FROM organization.businessunit WHERE name = 'East'").await.unwrap();
    assert_eq!(world.column("team", "name").await, ["Tombolo"]);
}
