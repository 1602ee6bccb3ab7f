//! Two small sides for tests.

use std::sync::Arc;

use proto::dual_write::v1 as pb;
use proto::dual_write::v1::{MapType, Side};
use proto::query::v1::value::Kind as Content;
use proto::query::v1::{Image, SharedKind, SharedRow, Value};

use super::compile::CompiledMap;
use super::schema::{ColumnSchema, Kind, Member, Schemas, TableSchema};
use super::value;

pub(crate) const ERP: Side = Side::FinanceAndOperations;
pub(crate) const PLATFORM: Side = Side::Platform;

pub(crate) fn column(name: &str, kind: Kind) -> ColumnSchema {
    ColumnSchema {
        name: name.to_owned(),
        kind,
        required: false,
        nullable: true,
        creatable: true,
        editable: true,
        max_length: kind.is_text().then_some(20),
        scale: (kind == Kind::Decimal).then_some(6),
        lookup_target: None,
        members: Arc::default(),
    }
}

fn lookup(name: &str, target: &str) -> ColumnSchema {
    ColumnSchema { lookup_target: Some(target.to_owned()), ..column(name, Kind::Lookup) }
}

fn choice(name: &str, members: &[(&str, i32)]) -> ColumnSchema {
    let member = |(symbol, value): &(&str, i32)| Member {
        symbol: (*symbol).to_owned(),
        label: (*symbol).to_owned(),
        value: *value,
    };
    ColumnSchema { members: members.iter().map(member).collect(), ..column(name, Kind::Enum) }
}

fn table(side: Side, name: &str, keys: &[&[&str]], columns: Vec<ColumnSchema>) -> TableSchema {
    let key = |it: &&[&str]| (it.join("_"), it.iter().map(|it| (*it).to_owned()).collect());
    let company = columns.iter().find(|it| it.name == "dataAreaId" || it.name == "msdyn_company");
    TableSchema {
        side,
        name: name.to_owned(),
        display_name: name.to_owned(),
        set_name: format!("{name}s"),
        company: company.map(|it| it.name.clone()),
        columns,
        keys: keys.iter().map(key).collect(),
        has_version: true,
    }
}

pub(crate) fn tables() -> Vec<TableSchema> {
    let fixed = |it: ColumnSchema| ColumnSchema { editable: false, ..it };
    let required = |it: ColumnSchema| ColumnSchema { required: true, ..it };
    let full = |it: ColumnSchema| ColumnSchema { nullable: false, ..it };
    let read_only = |it| ColumnSchema { creatable: false, ..fixed(it) };
    let party = [("Organization", 0), ("Person", 1)];
    vec![
        table(
            ERP,
            "Customer",
            &[&["Account"]],
            vec![
                fixed(column("dataAreaId", Kind::Text)),
                fixed(column("Account", Kind::Text)),
                required(full(column("Name", Kind::Text))),
                full(column("Group", Kind::Text)),
                column("Invoice", Kind::Text),
                full(column("Limit", Kind::Decimal)),
                full(choice("Hold", &[("No", 1), ("All", 2)])),
                full(choice("OneTime", &[("No", 1), ("Yes", 2)])),
                fixed(choice("Party", &party)),
                column("Since", Kind::Date),
                column("Language", Kind::Text),
                read_only(column("Total", Kind::Decimal)),
            ],
        ),
        table(
            ERP,
            "Line",
            &[&["Order", "Number"]],
            vec![
                fixed(column("dataAreaId", Kind::Text)),
                fixed(column("Order", Kind::Text)),
                fixed(column("Number", Kind::Integer)),
            ],
        ),
        table(ERP, "Unit", &[&["Symbol"]], vec![column("Symbol", Kind::Text)]),
        table(
            PLATFORM,
            "account",
            &[&["accountnumber"]],
            vec![
                lookup("msdyn_company", "cdm_company"),
                column("accountnumber", Kind::Text),
                required(ColumnSchema { max_length: Some(10), ..column("name", Kind::Text) }),
                lookup("group", "group"),
                lookup("billing", "account"),
                column("limit", Kind::Decimal),
                ColumnSchema { scale: Some(4), ..column("money", Kind::Decimal) },
                choice("hold", &[("Free", 192), ("Blocked", 193)]),
                column("onetime", Kind::Boolean),
                choice("type", &[("Customer", 3), ("Vendor", 11)]),
                column("since", Kind::Date),
                column("language", Kind::Text),
                column("total", Kind::Decimal),
                lookup("owningteam", "team"),
            ],
        ),
        table(
            PLATFORM,
            "group",
            &[&["code"]],
            vec![lookup("msdyn_company", "cdm_company"), column("code", Kind::Text)],
        ),
        table(
            PLATFORM,
            "line",
            &[&["order", "number"]],
            vec![
                lookup("msdyn_company", "cdm_company"),
                lookup("order", "order"),
                column("number", Kind::Integer),
            ],
        ),
        table(
            PLATFORM,
            "order",
            &[&["ordernumber"]],
            vec![lookup("msdyn_company", "cdm_company"), column("ordernumber", Kind::Text)],
        ),
        table(PLATFORM, "unit", &[&["symbol"]], vec![column("symbol", Kind::Text)]),
        table(PLATFORM, "keyless", &[], vec![column("symbol", Kind::Text)]),
        table(PLATFORM, "team", &[&["name"]], vec![column("name", Kind::Text)]),
        table(
            PLATFORM,
            "cdm_company",
            &[&["cdm_companycode"]],
            vec![column("cdm_companycode", Kind::Text)],
        ),
    ]
}

pub(crate) fn schemas() -> Schemas {
    Schemas::new(tables())
}

pub(crate) fn row(erp: &str, map_type: MapType, platform: &str) -> pb::FieldMap {
    pb::FieldMap {
        finance_and_operations_field: erp.to_owned(),
        platform_column: platform.to_owned(),
        map_type: map_type.into(),
        transforms: Vec::new(),
    }
}

pub(crate) fn with(mut row: pb::FieldMap, kinds: &[pb::transform::Kind]) -> pb::FieldMap {
    let transform = |it: &pb::transform::Kind| pb::Transform { kind: Some(it.clone()) };
    row.transforms = kinds.iter().map(transform).collect();
    row
}

pub(crate) fn default(value: Value) -> pb::transform::Kind {
    pb::transform::Kind::DefaultValue(pb::DefaultTransform { value: Some(value) })
}

pub(crate) fn pairs(pairs: &[(Value, Value)]) -> pb::transform::Kind {
    let pair = |(erp, platform): &(Value, Value)| pb::ValuePair {
        finance_and_operations_value: Some(erp.clone()),
        platform_value: Some(platform.clone()),
    };
    let pairs = pairs.iter().map(pair).collect();
    pb::transform::Kind::ValueMap(pb::ValueMapTransform { pairs })
}

pub(crate) fn truncate(max_length: i32) -> pb::transform::Kind {
    pb::transform::Kind::Truncate(pb::TruncateTransform { max_length })
}

pub(crate) fn int(it: i64) -> Value {
    value::of(Content::Int64Value(it))
}

pub(crate) fn decimal(it: &str) -> Value {
    value::of(Content::DecimalValue(it.to_owned()))
}

pub(crate) fn flag(it: bool) -> Value {
    value::of(Content::BoolValue(it))
}

pub(crate) fn date(it: &str) -> Value {
    value::of(Content::DateValue(it.to_owned()))
}

/// Customers and accounts, as the worked template has them.
pub(crate) fn version() -> pb::MapVersion {
    let hold = [(value::text("No"), int(192)), (value::text("All"), value::text("Blocked"))];
    pb::MapVersion {
        version: "1.0.0.0".to_owned(),
        publisher: "Contoso".to_owned(),
        source_filter: r#"((Party == "Organization"))"#.to_owned(),
        reversed_source_filter: "type eq 3".to_owned(),
        integration_key: vec!["accountnumber".to_owned()],
        field_maps: vec![
            row("ACCOUNT", MapType::Equal, "accountnumber"),
            with(row("Name", MapType::TransformBoth, "name"), &[truncate(0)]),
            row("Group", MapType::Equal, "group.code"),
            row("Invoice", MapType::Equal, "billing.accountnumber"),
            row("Limit", MapType::Equal, "limit"),
            with(row("Hold", MapType::TransformBoth, "hold"), &[pairs(&hold)]),
            row("OneTime", MapType::Equal, "onetime"),
            row("Since", MapType::Equal, "since"),
            with(
                row("Language", MapType::TransformBoth, "language"),
                &[default(value::text("en-us"))],
            ),
            row("Total", MapType::ToPlatform, "total"),
            with(row("", MapType::TransformToPlatform, "type"), &[default(int(3))]),
            with(
                row("Party", MapType::TransformToFinanceAndOperations, ""),
                &[default(value::text("Organization"))],
            ),
        ],
        ..pb::MapVersion::default()
    }
}

pub(crate) fn table_map(entity: &str, table: &str, company_specific: bool) -> pb::TableMap {
    pb::TableMap {
        name: "maps/customers".to_owned(),
        finance_and_operations_entity: entity.to_owned(),
        platform_table: table.to_owned(),
        company_specific,
        ..pb::TableMap::default()
    }
}

pub(crate) fn compiled() -> CompiledMap {
    let map = table_map("Customer", "account", true);
    CompiledMap::compile(&map, &version(), &schemas()).unwrap()
}

/// By column, as the side of the map has them; others are null.
pub(crate) fn image(map: &CompiledMap, side: Side, given: &[(&str, Value)]) -> Image {
    let half = map.half(side);
    for (name, _) in given {
        assert!(half.columns.iter().any(|it| it == name), "{name}");
    }
    let value = |name: &String| {
        let found = given.iter().find(|it| it.0 == name);
        found.map_or_else(value::null, |it| it.1.clone())
    };
    Image {
        company: "USMF".to_owned(),
        values: half.columns.iter().map(value).collect(),
        ..Image::default()
    }
}

/// A row of which these columns were changed.
pub(crate) fn shared(
    map: &CompiledMap,
    side: Side,
    kind: SharedKind,
    image: Image,
    changed: &[&str],
) -> SharedRow {
    let position = |name: &&str| {
        let found = map.half(side).columns.iter().position(|it| it == name);
        i32::try_from(found.unwrap()).unwrap()
    };
    SharedRow {
        map: map.name.clone(),
        kind: kind.into(),
        image: Some(image),
        changed_columns: changed.iter().map(position).collect(),
        ..SharedRow::default()
    }
}
