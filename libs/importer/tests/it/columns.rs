//! What columns become.

use model::{Casing, DataType, Stored};

use crate::World;

const STRING: fn(u32) -> DataType = |max_length| DataType::String { max_length };
const DECIMAL: fn(u8) -> DataType = |scale| DataType::Decimal { scale };

#[tokio::test]
async fn types() {
    let world = World::new().await;
    let check = |field: &str, data_type: DataType, storage: Option<&str>| {
        let it = world.field("EveryType", field);
        assert_eq!((&it.data_type, it.storage.as_deref()), (&data_type, storage), "{field}");
    };
    let named = |it: &str| DataType::Enum(it.to_owned());
    check("Id", DataType::Long, None);
    check("Small", DataType::Integer, None);
    check("Whole", DataType::Integer, None);
    check("Big", DataType::Long, None);
    check("Exact", DECIMAL(3), None);
    check("ExactWithoutEnd", DECIMAL(10), None);
    check("ExactRounded", DECIMAL(0), None);
    check("Single", DECIMAL(10), Some("float4"));
    check("Twice", DECIMAL(10), Some("float8"));
    check("Cash", DECIMAL(2), Some("money"));
    check("Line", STRING(40), None);
    check("EndlessLine", STRING(4000), None);
    check("LongLine", DataType::Memo, None);
    check("Padded", STRING(5), Some("bpchar"));
    check("Page", DataType::Memo, None);
    check("OwnName", STRING(63), Some("name"));
    check("Yes", named("NoYes"), None);
    check("Day", DataType::Date, None);
    check("Moment", DataType::DateTime, None);
    check("MomentZoned", DataType::DateTime, Some("timestamptz"));
    check("Guid", DataType::Guid, None);
    check("AtTime", STRING(100), Some("time"));
    check("Span", STRING(100), Some("interval"));
    check("Doc", DataType::Memo, Some("json"));
    check("Docb", DataType::Memo, Some("jsonb"));
    check("Paper", DataType::Memo, Some("xml"));
    check("Host", STRING(100), Some("inet"));
    check("Net", STRING(100), Some("cidr"));
    check("Card", STRING(100), Some("macaddr"));
    check("Feeling", named("Mood"), Some("shop.mood"));
    check("OddFeeling", named("OddMood"), Some("\"Odd Schema\".\"Odd mood\""));
    check("DomainFeeling", named("Mood"), Some("shop.mood"));
    check("State", named("EveryTypeState"), None);
    check("Level", named("EveryTypeLevel"), None);
    check("Flag", named("EveryTypeFlag"), Some("bpchar"));
    check("Loud", STRING(9), None);
    check("Quiet", DataType::Memo, None);
    check("Code", STRING(10), None);
    check("LongCode", STRING(10), None);
}

#[tokio::test]
async fn text_that_rows_are_found_by_has_a_length() {
    let world = World::new().await;
    assert_eq!(world.field("ByText", "Code").data_type, STRING(4000));
    assert_eq!(world.field("ByTwo", "B").data_type, STRING(4000));
    assert_eq!(world.field("SalesOrder", "TwoB").data_type, STRING(4000));
    assert_eq!(world.field("ByUuid", "Note").data_type, DataType::Memo);
}

#[tokio::test]
async fn what_the_platform_has_no_type_for_is_left_out() {
    let world = World::new().await;
    let check = |column: &str, r#type: &str| {
        let reason = world.skipped(&format!("shop.every_type.{column}"));
        let expected = format!("the platform has no type for {}", r#type);
        assert_eq!(reason, Some(expected.as_str()), "{column}");
    };
    check("raw", "bytea");
    check("list", "integer[]");
    check("composite", "shop.pair");
    check("ranged", "int4range");
    check("place", "point");
    check("words", "tsvector");
    check("bits", "bit");
    check("list_domain", "oidvector");
    let reason = world.skipped("shop.every_type.no_value");
    assert_eq!(reason, Some("the enum shop.no_values has no values"));
    let all = world.import.skipped.iter().filter(|it| it.what.starts_with("shop.every_type."));
    assert_eq!(all.count(), 9);
}

#[tokio::test]
async fn what_may_be_given_and_what_must() {
    let world = World::new().await;
    let check = |entity: &str, field: &str, nullable, mandatory, create, edit| {
        let it = world.field(entity, field);
        let flags = (it.nullable, it.mandatory, it.allow_edit_on_create, it.allow_edit);
        assert_eq!(flags, (nullable, mandatory, create, edit), "{entity}.{field}");
    };
    check("EveryType", "Id", false, false, false, false);
    check("EveryType", "Small", false, true, true, true);
    check("EveryType", "Whole", false, false, true, true);
    check("EveryType", "Big", true, false, true, true);
    check("EveryType", "TwiceWhole", true, false, false, false);
    check("EveryType", "Doc", true, false, false, false);
    check("EveryType", "Code", false, true, true, true);
    check("EveryType", "LongCode", false, false, true, true);
    // What the database counts is its own to give out.
    check("Numbered", "Id", false, false, false, false);
    check("Numbered", "Place", false, false, false, true);
    check("Numbered", "Key", false, false, true, true);
    check("Numbered", "Name", false, true, true, true);
    // What identifies the row stays.
    check("ByTwo", "B", false, true, true, false);
    check("ByTwo", "C", true, false, true, true);
    check("ByUuid", "Id", false, false, true, false);
}

#[tokio::test]
async fn enums_and_letter_case_come_from_types_and_checks() {
    let world = World::new().await;
    let members = |name: &str| -> Vec<_> {
        let found = world.model().find_enum(name).unwrap();
        let text = |it: &model::Member| match &it.stored {
            Stored::Int(stored) => format!("{}:{}:{stored}", it.symbol, it.label),
            Stored::Text(stored) => format!("{}:{}:{stored:?}", it.symbol, it.label),
            Stored::Bool(stored) => format!("{}:{}:{stored}", it.symbol, it.label),
        };
        found.members.iter().map(text).collect()
    };
    assert_eq!(members("NoYes"), ["No:No:false", "Yes:Yes:true"]);
    assert_eq!(
        members("Mood"),
        [
            "Sad:Sad:\"sad\"",
            "VeryHappy:Very happy:\"very happy\"",
            "VeryHappy2:VERY HAPPY:\"VERY HAPPY\"",
        ]
    );
    assert_eq!(
        members("EveryTypeState"),
        [
            "Draft:Draft:\"draft\"",
            "InProgress:In progress:\"in progress\"",
            "ItSDone:It's done:\"it's done\"",
            "Empty:(empty):\"\"",
        ]
    );
    assert_eq!(members("EveryTypeLevel"), ["Value1:1:1", "Value2:2:2", "Minus3:-3:-3"]);
    assert_eq!(members("EveryTypeFlag"), ["Y:Y:\"Y\"", "N:N:\"N\""]);
    assert_eq!(world.model().enums.len(), 6);
    assert_eq!(world.field("SalesOrder", "Late").data_type, DataType::Memo, "not valid");

    let casing = |entity: &str, field: &str| world.field(entity, field).casing;
    assert_eq!(casing("EveryType", "Loud"), Some(Casing::Upper));
    assert_eq!(casing("EveryType", "Quiet"), Some(Casing::Lower));
    assert_eq!(casing("EveryType", "LongCode"), Some(Casing::Upper));
    assert_eq!(casing("CustomerGroup", "Code"), Some(Casing::Upper));
    assert_eq!(casing("EveryType", "Line"), None);
}
