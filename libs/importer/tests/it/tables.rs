//! Which tables become entities, what they are called, and what identifies their rows.

use model::{Entity, RecordIdKind};

use crate::World;

fn identity(entity: &Entity) -> (RecordIdKind, Vec<&str>, Vec<&str>) {
    let columns = entity.record_id.columns.iter().map(String::as_str).collect();
    (entity.record_id.kind, columns, entity.key.iter().map(String::as_str).collect())
}

#[tokio::test]
async fn tables_with_a_key_become_entities() {
    let world = World::new().await;
    assert_eq!(
        world.names(),
        [
            "ByIndex",
            "ByText",
            "ByTwo",
            "ByUuid",
            "Child",
            "CustomerGroup",
            "EveryType",
            "Included",
            "Numbered",
            "OddSchemaOrder",
            "OddTableGrU00F6U00DFe",
            "Order",
            "Order2",
            "Partitioned",
            "RefersToPartitioned",
            "SalesOrder",
            "ShopOrder",
            "U540DU524D",
        ]
    );
    assert!(world.model().entities.iter().all(|it| it.visible && it.public));
    let public = world.model().entities.iter().filter(|it| it.root().table.schema == "public");
    let public: Vec<_> =
        public.map(|it| (it.name.as_str(), it.root().table.name.as_str())).collect();
    assert_eq!(public, [("Order", "Order"), ("Order2", "order")]);
}

#[tokio::test]
async fn tables_without_a_key_are_left_out_and_say_what_to_do() {
    let world = World::new().await;
    let check = |table: &str, start: &str| {
        let reason = world.skipped(table).unwrap_or_else(|| panic!("{table} is not left out"));
        assert!(reason.starts_with(start), "{table}: {reason}");
        assert!(reason.contains("write its entity by hand"), "{reason}");
    };
    check("shop.a_view", "a view has no key");
    check("shop.a_matview", "a view has no key");
    check("shop.by_partial_index", "has neither a primary key nor a unique index");
    check("shop.by_deferred", "has neither a primary key nor a unique index");
    check("shop.no_columns", "has neither a primary key nor a unique index");
    check("shop.parent", "other tables inherit from it");
    assert_eq!(world.skipped("shop.only_bytes"), Some("none of its columns can be offered"));
    assert_eq!(world.skipped("shop.partitioned_low"), None, "its rows are in the whole table");
    let tables: Vec<_> = world.import.skipped.iter().map(|it| it.what.as_str()).collect();
    let tables: Vec<_> = tables.into_iter().filter(|it| it.matches('.').count() == 1).collect();
    assert_eq!(tables.len(), 7, "{tables:?}");
}

#[tokio::test]
async fn record_ids_and_keys() {
    use RecordIdKind::{Hash, Integer, Uuid};
    let world = World::new().await;
    let check = |entity: &str, kind, columns: &[&str], key: &[&str]| {
        assert_eq!(identity(world.entity(entity)), (kind, columns.to_vec(), key.to_vec()));
    };
    check("EveryType", Integer, &["id"], &["Id"]);
    check("ByUuid", Uuid, &["id"], &["Id"]);
    check("ByTwo", Hash, &["b", "a"], &["B", "A"]);
    check("ByText", Hash, &["code"], &["Code"]);
    check("ByIndex", Integer, &["number"], &["Label"]);
    check("Included", Integer, &["id"], &["Id"]);
    check("SalesOrder", Integer, &["id"], &["OrderNo"]);
    // The domain says that it is never null, but only of what is stored.
    check("CustomerGroup", Integer, &["id"], &["Id"]);
    check("OddTableGrU00F6U00DFe", Integer, &["ID"], &["Id"]);
}

#[tokio::test]
async fn foreign_keys_become_relations() {
    let world = World::new().await;
    let relations = |entity: &str| -> Vec<_> {
        let text = |it: &model::Relation| {
            let pairs: Vec<_> =
                it.fields.iter().map(|it| format!("{}={}", it.field, it.related)).collect();
            format!("{} -> {} {}", it.name, it.entity, pairs.join(" "))
        };
        world.entity(entity).relations.iter().map(text).collect()
    };
    assert_eq!(
        relations("SalesOrder"),
        [
            "CustomerGroup -> CustomerGroup CustomerGroup=Id",
            "Group -> CustomerGroup GroupId=Id",
            "Pair -> ByTwo TwoB=B TwoA=A",
            "Parent -> SalesOrder ParentId=Id",
        ]
    );
    assert_eq!(relations("RefersToPartitioned"), ["P -> Partitioned P=Id"]);
    assert_eq!(relations("EveryType"), Vec::<String>::new());
}

#[tokio::test]
async fn odd_names_become_names_and_keep_their_columns() {
    let world = World::new().await;
    let entity = world.entity("OddTableGrU00F6U00DFe");
    assert_eq!(entity.root().table.name, "Odd \"table\", größe");
    assert_eq!(entity.root().alias, "odd__table___gr__e");
    assert_eq!(entity.label, "Odd \"table\", größe");
    let fields: Vec<_> =
        entity.fields.iter().map(|it| (it.name.as_str(), it.label.as_str())).collect();
    assert_eq!(
        fields,
        [
            ("Id", "Id"),
            ("Select", "Select"),
            ("WithSpace", "With space"),
            ("WithSpace2", "WITH SPACE"),
            ("WithDot", "With.dot"),
            ("GrU00F6U00DFe", "Größe"),
            ("U540DU524D", "名前"),
            ("_2nd", "2nd"),
            ("ItS", "It's"),
            ("U0025_", "%"),
            (
                "AColumnNameOfSixtyThreeBytesWhichIsAsLongAsTheyGet",
                "A column name of sixty three bytes which is as long as they get",
            ),
        ]
    );
    // Nothing is taken for the company's field.
    let order = world.entity("SalesOrder");
    assert_eq!(order.company, None);
    let codes = order.fields.iter().filter(|it| it.name.starts_with("Data"));
    let codes: Vec<_> = codes.map(|it| it.name.as_str()).collect();
    assert_eq!(codes, ["DataareaidCode", "DataAreaIdCode2"]);
}

#[tokio::test]
async fn comments_are_labels_and_descriptions() {
    let world = World::new().await;
    assert_eq!(world.entity("EveryType").label, "One of each");
    assert_eq!(world.entity("SalesOrder").label, "Sales order");
    let small = world.field("EveryType", "Small");
    assert_eq!(
        (small.label.as_str(), small.description.as_str()),
        ("Small", "A small number.\nIt has two lines.")
    );
    assert_eq!(world.field("EveryType", "Whole").label, "Whole \"number\" \\ of it");
}

#[tokio::test]
async fn texts_compare_as_the_platform_compares_them_until_somebody_says_otherwise() {
    let world = World::new().await;
    assert!(!world.model().compares_exactly);
}
