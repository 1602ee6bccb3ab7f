use std::collections::{BTreeSet, HashMap};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proto::dual_write::v1 as pb;
use proto::query::v1 as query;
use proto::query::v1::{ApplyValue, AttributeType, Reference, apply_value};

use crate::map::file::content_hash;
use crate::map::fixture::{PLATFORM, schemas};
use crate::map::solution::{MAX_SIZE, Solution, SolutionError};
use crate::map::template::{PUBLISHER, Template, shipped};
use crate::map::validate::{is_valid, validate};
use crate::map::{CompiledMap, Schemas, depend, text, value};

/// Lookups that shipped maps use, and of companies and owners.
const LOOKUPS: &[(&str, &str)] = &[
    ("msdyn_company", "cdm_company"),
    ("owningteam", "team"),
    ("msdyn_paymenttermid", "msdyn_paymentterm"),
    ("msdyn_paymentterm", "msdyn_paymentterm"),
    ("msdyn_customergroupid", "msdyn_customergroup"),
    ("msdyn_vendorgroupid", "msdyn_vendorgroup"),
    ("msdyn_currencycode", "transactioncurrency"),
    ("msdyn_currencyid", "transactioncurrency"),
    ("transactioncurrencyid", "transactioncurrency"),
    ("msdyn_billingaccount", "account"),
    ("msdyn_globalproductid", "msdyn_globalproduct"),
    ("msdyn_salesunitid", "uom"),
    ("msdyn_purchaseunitid", "uom"),
    ("uomid", "uom"),
    ("customerid", "account"),
    ("salesorderid", "salesorder"),
    ("msdyn_productdetailsid", "msdyn_sharedproductdetails"),
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn entities(model: &str) -> Vec<proto::catalog::v1::DataEntity> {
    let model = model::load(&repository().join("models").join(model)).unwrap();
    let entity = |it| provider::data_entity(&model, it, 0, |_, _| 0);
    model.entities.iter().map(entity).collect()
}

fn platform() -> query::WatchTablesResponse {
    let folder = repository().join("services/organization/model");
    let files: Vec<(String, String)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|it| it.unwrap().path())
        .filter(|it| it.file_name().is_some_and(|it| it != "model.toml"))
        .map(|it| {
            let name = it.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(it).unwrap())
        })
        .collect();
    let settings =
        std::fs::read_to_string(repository().join("services/organization/model/model.toml"))
            .unwrap();
    let files: Vec<(&str, &str)> = files.iter().map(|it| (it.0.as_str(), it.1.as_str())).collect();
    let model = model::parse_entities("organization", &settings, &files).unwrap();
    let number = |_: &model::Enum, it: &model::Member| match it.stored {
        model::Stored::Int(it) => i32::try_from(it).unwrap(),
        model::Stored::Text(_) | model::Stored::Bool(_) => 0,
    };
    let sets = model
        .enums
        .iter()
        .map(|it| query::OptionSet { name: it.name.clone(), ..tables::option_set(it, number) });
    let table = |entity: &model::Entity| {
        let mut table = tables::native_table(entity, "name");
        for column in &mut table.columns {
            let target = LOOKUPS.iter().find(|it| it.0 == column.logical_name);
            if let Some((_, target)) =
                target.filter(|_| column.r#type() == AttributeType::Uniqueidentifier)
                && column.logical_name != table.primary_id_column
            {
                column.set_type(AttributeType::Lookup);
                column.target = (*target).to_owned();
            }
        }
        table
    };
    query::WatchTablesResponse {
        tables: model.entities.iter().map(table).collect(),
        option_sets: sets.collect(),
        ..query::WatchTablesResponse::default()
    }
}

fn known(model: &str) -> Schemas {
    Schemas::read(&entities(model), &platform())
}

fn of_model(template: &Template) -> &'static str {
    if template.map.finance_and_operations_entity == "PartyParty" { "tryton" } else { "demo" }
}

#[test]
fn every_shipped_map_fits_its_tables() {
    let schemas: HashMap<&str, Schemas> =
        ["demo", "tryton"].into_iter().map(|it| (it, known(it))).collect();
    let mut wrong = Vec::new();
    for template in shipped().unwrap() {
        let (map, schemas) = (&template.map, &schemas[of_model(&template)]);
        let (entity, table) = (&map.finance_and_operations_entity, &map.platform_table);
        let found = validate(&template.version, entity, table, map.company_specific, schemas);
        if !is_valid(&found) {
            wrong.push(format!("{}: {found:#?}", map.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_shipped_map_comes_behind_those_it_needs() {
    let templates = shipped().unwrap();
    let schemas = known("demo");
    let demo = templates.iter().filter(|it| of_model(it) == "demo");
    let compiled: Vec<CompiledMap> =
        demo.map(|it| CompiledMap::compile(&it.map, &it.version, &schemas).unwrap()).collect();
    let mut before = BTreeSet::new();
    for template in &templates {
        let declared = template.version.required_maps.iter().map(String::as_str);
        assert!(declared.clone().all(|it| before.contains(it)), "{}", template.map.name);
        if of_model(template) == "demo" {
            let declared: BTreeSet<&str> = declared.collect();
            let direct = compiled.iter().find(|it| it.name == template.map.name).unwrap();
            for table in direct.looked_up_tables().filter(|it| *it != direct.platform.table.name) {
                let mut feeding = compiled.iter().filter(|it| it.platform.table.name == table);
                let is_declared = feeding.all(|it| {
                    declared.contains(it.name.as_str())
                        || depend::required_maps(declared.iter().next().unwrap_or(&""), &compiled)
                            .contains(&it.name.as_str())
                });
                assert!(is_declared, "{} looks up {table}", template.map.name);
            }
        }
        before.insert(template.map.name.as_str());
    }
    let order = depend::in_order(&compiled);
    assert_eq!(order.len(), compiled.len());
}

#[test]
fn the_worked_template_is_the_originals() {
    let templates = shipped().unwrap();
    let customers =
        templates.iter().find(|it| it.map.name == "maps/customers-v3-accounts").unwrap();
    assert_eq!(customers.version.name, "maps/customers-v3-accounts/versions/1.0.0.0-tombolo");
    assert_eq!(customers.version.publisher, PUBLISHER);
    assert_eq!(customers.version.source_filter, r#"((PartyType == "Organization"))"#);
    assert_eq!(customers.version.reversed_source_filter, "customertypecode eq 3");
    assert!(templates.len() > 10);
    let hashes: BTreeSet<_> = templates.iter().map(|it| it.version.content_hash.as_str()).collect();
    assert_eq!(hashes.len(), templates.len());
}

fn solution() -> Solution {
    let maps = shipped().unwrap().into_iter().map(|it| {
        let map = pb::TableMap { active_version: String::new(), ..it.map };
        (map, it.version)
    });
    Solution {
        name: "Contoso <maps> & more".to_owned(),
        version: "1.0.0.3".to_owned(),
        publisher: PUBLISHER.to_owned(),
        managed: true,
        requires: vec![pb::SolutionRequirement {
            solution_name: "Dynamics365Company".to_owned(),
            version: "1.0.0.0".to_owned(),
        }],
        maps: maps.collect(),
    }
}

#[test]
fn a_solution_reads_as_it_was_written() {
    let solution = solution();
    let mut again = Solution::read(&solution.write().unwrap()).unwrap();
    let order = |it: &(pb::TableMap, pb::MapVersion)| it.0.name.clone();
    again.maps.sort_by_key(order);
    let mut expected = solution;
    expected.maps.sort_by_key(order);
    assert_eq!(again, expected);
    assert!(again.maps.iter().all(|it| content_hash(&it.1) == it.1.content_hash));
}

#[test]
fn a_solution_is_of_one_publisher_and_not_empty() {
    let mut several = solution();
    several.maps[0].1.publisher = "Fabrikam".to_owned();
    assert!(matches!(several.write(), Err(SolutionError::Publishers)));
    let none = Solution { maps: Vec::new(), ..solution() };
    assert!(matches!(none.write(), Err(SolutionError::Empty)));
}

fn zipped(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (name, content) in parts {
        zip.start_file(*name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

const MANIFEST: &[u8] = b"<ImportExportXml><SolutionManifest><UniqueName>A</UniqueName><Version>1.0.0.0</Version>\
    <Managed>0</Managed><Publisher><UniqueName>P</UniqueName></Publisher></SolutionManifest></ImportExportXml>";

#[test]
fn what_is_no_solution_is_refused() {
    let large = vec![0; MAX_SIZE + 1];
    assert!(matches!(Solution::read(&large), Err(SolutionError::TooLarge)));
    let bomb = vec![b' '; 40 << 20];
    let bomb = zipped(&[("solution.xml", MANIFEST), ("dualwriteentitymaps/a/1.0.0.0.json", &bomb)]);
    assert!(bomb.len() < MAX_SIZE);
    assert!(matches!(Solution::read(&bomb), Err(SolutionError::TooMuch)));
    let cases: [&[(&str, &[u8])]; 4] = [
        &[("dualwriteentitymaps/a/1.0.0.0.json", b"{}")],
        &[("solution.xml", b"<a><b></a>")],
        &[("solution.xml", b"<a/>")],
        &[("solution.xml", b"\xff\xfe")],
    ];
    for parts in cases {
        assert!(
            matches!(Solution::read(&zipped(parts)), Err(SolutionError::Malformed(_))),
            "{parts:?}"
        );
    }
    assert!(matches!(
        Solution::read(&zipped(&[("solution.xml", MANIFEST)])),
        Err(SolutionError::Empty)
    ));
    for name in ["../a/1.0.0.0", "A/1.0.0.0", "a/1.0", "a"] {
        let name = format!("dualwriteentitymaps/{name}.json");
        let zip = zipped(&[("solution.xml", MANIFEST), (&name, b"{}")]);
        assert!(matches!(Solution::read(&zip), Err(SolutionError::Map { .. })), "{name}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = Solution::read(&bytes);
    }

    #[test]
    fn no_damage_panics(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = zipped(&[("solution.xml", MANIFEST), ("dualwriteentitymaps/a/1.0.0.0.json", b"{}")]);
        let at = at.index(bytes.len());
        bytes[at] = to;
        let _ = Solution::read(&bytes);
    }

    #[test]
    fn no_part_panics(manifest in ".{0,200}", map in ".{0,200}") {
        let zip = zipped(&[
            ("solution.xml", manifest.as_bytes()),
            ("dualwriteentitymaps/a/1.0.0.0.json", map.as_bytes()),
        ]);
        let _ = Solution::read(&zip);
    }
}

#[test]
fn errors_are_worded_as_the_originals() {
    assert_eq!(
        text::version_mismatch("Accounts", "Core", "1.0.0.0", "1.0.0.1"),
        "Accounts : Dual write failure - Dynamics 365 for Sales solution 'Core' has version mismatch. \
         Version: '1.0.0.0' Required version: '1.0.0.1'"
    );
    let counts = text::LegCounts { exported: 3, errors: 1, inserted: 2, updated: 0 };
    assert_eq!(
        text::initial_sync_completed("Error", &[("AX Customers", "CRM accounts", counts)], "one"),
        "Dual write Initial Sync completed with status: Error. Following are the details: Executed leg: From \
         AX Customers to CRM accounts with exported records count: 3, ImportRecordsErrorCount: 1, \
         ImportRecordsInsertedCount: 2 and ImportRecordsUpdatedCount: 0 ErrorsDetails: one"
    );
}

#[test]
fn a_lookup_miss_comes_with_a_query() {
    let given = |column: &str, it: &str| ApplyValue {
        column: column.to_owned(),
        content: Some(apply_value::Content::Value(value::text(it))),
        changed: false,
        filled: false,
    };
    let company = Reference {
        entity_name: "cdm_company".to_owned(),
        key: vec![given("cdm_companycode", "USMF")],
        optional: false,
    };
    let company = ApplyValue {
        column: "msdyn_company".to_owned(),
        content: Some(apply_value::Content::Reference(company)),
        changed: false,
        filled: false,
    };
    let reference = Reference {
        entity_name: "group".to_owned(),
        key: vec![company, given("code", "O'N & co")],
        optional: false,
    };
    let group = schemas().get(PLATFORM, "group").unwrap().clone();
    let url = text::probe_path(&group, &reference);
    let expected = "/api/data/v9.2/groups?$filter=msdyn_company/cdm_companycode%20eq%20'USMF'%20and%20code%20eq%20\
                    'O''N%20%26%20co'";
    assert_eq!(url, expected);
    let told = text::lookup_miss("group", "10", &url);
    assert!(told.starts_with("Couldn't resolve the guid for the field: group. The lookup was not found: 10. Try this URL(s)"));
}
