//! Whole queries, through the translation: platform's words in, provider's words out.

mod world;

use proto::query::v1 as pb;

use self::world::{World, expand, filter, query, rows};
use crate::query::Dialect;

#[test]
fn qe_01_values_are_read_by_their_columns() {
    let world = World::new();
    let check = |condition: &str, expected: &str| {
        assert_eq!(world.filter("mserp_order", condition), expected, "{condition}");
    };
    let eq = |name: &str, value: &str| {
        format!("<condition attribute='{name}' operator='eq' value='{value}'/>")
    };
    check(&eq("mserp_number", "007"), "Number = '007'");
    check(&eq("mserp_total", "12345678901234567890.123"), "Total = 12345678901234567890.123");
    check(&eq("mserp_lines", "5"), "Lines = 5");
    check(&eq("mserp_open", "1"), "Open = true");
    check(&eq("mserp_due", "2024-02-29"), "Due = 2024-02-29");
    check(&eq("mserp_status", "2"), "Status = 'Done'");
    check(&eq("mserp_status", "still OPEN"), "Status = 'Open'");
    check(&eq("mserp_status", "99"), "Status In");
    // Shown in the user's time zone, and read in it; the other column is never shifted.
    check(&eq("mserp_placed", "2024-06-01T10:00:00"), "Placed = 2024-06-01T08:00:00Z");
    check(&eq("mserp_placed", "2024-06-01T10:00:00Z"), "Placed = 2024-06-01T10:00:00Z");
    check(&eq("mserp_shipped", "2024-06-01T10:00:00"), "Shipped = 2024-06-01T10:00:00Z");
    let ge = "<condition attribute='mserp_status' operator='ge' value='2'/>";
    check(ge, "Status In 'Done','Gone'");
    let between = "<condition attribute='mserp_lines' operator='between'><value>1</value>\
                   <value>3</value></condition>";
    check(between, "Lines >= 1 and Lines <= 3");
    for (name, value) in
        [("mserp_lines", "x"), ("mserp_due", "2024-02-30"), ("mserp_status", "Never")]
    {
        let refused = world.filter("mserp_order", &eq(name, value));
        assert!(refused.starts_with("refused: The value"), "{refused}");
    }
}

#[test]
fn ve_053_companies_are_compared_by_code() {
    let world = World::new();
    let condition = |operator: &str, id: u128| {
        let id = uuid::Uuid::from_u128(id);
        let text = format!(
            "<condition attribute='mserp_dataareaid_id' operator='{operator}' value='{id}'/>"
        );
        world.filter("mserp_customer", &text)
    };
    assert_eq!(condition("eq", world::USMF), "Company = 'USMF'");
    assert_eq!(condition("ne", world::USMF), "Company <> 'USMF'");
    assert_eq!(condition("eq", 0xFF), "Company In");
}

#[test]
fn fx_03_relative_dates_become_ranges() {
    let world = World::new();
    let check = |condition: &str, expected: &str| {
        let found = world.filter("mserp_order", condition);
        assert!(found.contains(expected), "{condition}: {found}");
    };
    // Where the user is, it is past midnight already.
    check(
        "<condition attribute='mserp_placed' operator='today'/>",
        "Placed >= 2024-06-12T22:00:00Z and Placed < 2024-06-13T22:00:00Z",
    );
    check(
        "<condition attribute='mserp_due' operator='today'/>",
        "Due >= 2024-06-13 and Due < 2024-06-14",
    );
    check(
        "<condition attribute='mserp_placed' operator='on' value='2024-06-01'/>",
        "Placed >= 2024-05-31T22:00:00Z and Placed < 2024-06-01T22:00:00Z",
    );
    check(
        "<condition attribute='mserp_due' operator='in-fiscal-period' value='2'/>",
        "FiscalPeriod in  of Due = 2",
    );
    check(
        "<condition attribute='mserp_number' operator='today'/>",
        "refused: The operator Today cannot be used with the column 'mserp_number'",
    );
    check(
        "<condition attribute='mserp_due' operator='last-x-hours' value='3'/>",
        "refused: Column 'mserp_due'",
    );
}

#[test]
fn fx_03_operators_that_a_column_does_not_take_are_refused() {
    let world = World::new();
    for condition in [
        "<condition attribute='mserp_status' operator='contain-values'><value>1</value></condition>",
        "<condition attribute='mserp_lines' operator='like' value='1%'/>",
    ] {
        let refused = world.filter("mserp_order", condition);
        assert!(refused.starts_with("refused:"), "{refused}");
    }
}

#[test]
fn fx_02_lookups_join_by_the_columns_behind_them() {
    let world = World::new();
    let document = "<fetch><entity name='mserp_order'><attribute name='mserp_number'/>\
        <link-entity name='mserp_customer' from='mserp_customerid' to='mserp_fk_customer_id' \
        alias='c' link-type='outer'><attribute name='mserp_name'/><filter>\
        <condition attribute='mserp_account' operator='null'/></filter></link-entity>\
        <filter><condition entityname='c' attribute='mserp_name' operator='eq' value='A'/></filter>\
        </entity></fetch>";
    assert_eq!(
        world.text(fetchxml::parse(document).unwrap()),
        "Order [@odata.etag=$version, mserp_number=Number, c.mserp_name=c.Name, mserp_orderid=$id] \
         LeftOuter Customer as 'c' on Company==Company and Account==CustomerAccount \
         if Account Null where c.Name = 'A'"
    );
}

#[test]
fn fx_07_lookups_sort_by_name_and_choices_by_label() {
    let mut world = World::new();
    let document = |raw: &str| {
        format!(
            "<fetch {raw}><entity name='mserp_order'><attribute name='mserp_number'/>\
             <order attribute='mserp_fk_customer_id' descending='true'/>\
             <order attribute='mserp_status'/></entity></fetch>"
        )
    };
    let orders = |world: &World, text: &str| {
        let text = world.text(fetchxml::parse(text).unwrap());
        text.split_once(" order ").unwrap().1.to_owned()
    };
    assert_eq!(orders(&world, &document("")), "lookup 1.Name desc order Status by label");
    let raw = document("useraworderby='1'");
    assert_eq!(orders(&world, &raw), "lookup 1.Name desc order Status");
    world.dialect = Dialect::OData;
    assert_eq!(orders(&world, &document("")), "lookup 1.Name desc order Status");
}

#[test]
fn ve_056_a_link_across_the_line_is_rows_by_value() {
    let world = World::new();
    let document = "<fetch><entity name='mserp_order'><attribute name='mserp_number'/>\
        <link-entity name='mserp_customer' from='mserp_customerid' to='mserp_fk_customer_id' \
        alias='c'><link-entity name='account' from='accountnumber' to='mserp_account' alias='a'>\
        <attribute name='name'/><filter><condition attribute='name' operator='like' value='A%'/>\
        </filter></link-entity></link-entity>\
        <order entityname='a' attribute='name'/></entity></fetch>";
    let lowered = world.lower(fetchxml::parse(document).unwrap(), Vec::new()).unwrap();
    assert_eq!(
        query(&lowered.query),
        "Order [@odata.etag=$version, mserp_number=Number, a.name=a.c1, mserp_orderid=$id] \
         Inner Customer as 'c' on Company==Company and Account==CustomerAccount \
         (Inner rows as 'a' on c0=Account) order a.c1"
    );
    let far = &lowered.fars[0];
    assert_eq!(
        query(&far.query.query),
        "account [c0=Number, c1=Name] where Name Like 'A%'",
        "the far side filters for itself"
    );
}

#[test]
fn ve_056_all_across_the_line_is_two_questions() {
    let world = World::new();
    let document = "<fetch><entity name='mserp_customer'><attribute name='mserp_name'/><filter>\
        <link-entity name='account' from='accountnumber' to='mserp_account' link-type='all'>\
        <filter><condition attribute='name' operator='eq' value='A'/></filter></link-entity>\
        </filter></entity></fetch>";
    let lowered = world.lower(fetchxml::parse(document).unwrap(), Vec::new()).unwrap();
    let criteria = filter(lowered.query.criteria.as_ref().unwrap());
    let joins = ["<Any rows", "<NotAny rows"];
    assert!(joins.iter().all(|it| criteria.contains(it)), "{criteria}");
    let mut texts: Vec<_> = lowered.fars.iter().map(|it| query(&it.query.query)).collect();
    texts.sort();
    assert_eq!(texts, ["account [c0=Number]", "account [c0=Number] where Name = 'A'"]);
}

#[test]
fn ve_056_of_all_far_columns_those_that_may_not_be_read_are_null() {
    let world = World::new();
    let document = "<fetch><entity name='mserp_customer'><attribute name='mserp_name'/>\
        <link-entity name='account' from='accountnumber' to='mserp_account' alias='a' \
        link-type='outer'><all-attributes/></link-entity></entity></fetch>";
    let lowered = world.lower(fetchxml::parse(document).unwrap(), Vec::new()).unwrap();
    let far = &lowered.fars[0].query.query;
    assert_eq!(query(far), "account [c0=Number, c1=$id, c2=Name, c3=->Parent]");
    let if_permitted: Vec<bool> = far.columns.iter().map(|it| it.if_permitted).collect();
    assert_eq!(if_permitted, [false, false, true, true], "by the first, rows are joined");
}

#[test]
fn ve_056_declared_lookups_are_found_where_their_rows_are() {
    let mut world = World::new();
    let named = rows("mserp_customer", &["mserp_nativeaccount"]);
    let lowered = world.lower(named, Vec::new()).unwrap();
    assert_eq!(
        query(&lowered.query),
        "Customer [@odata.etag=$version, _mserp_nativeaccount_value=lookup 1.c1, \
         mserp_customerid=$id] LeftOuter rows as 'lookup 1' on c0=Account"
    );
    assert_eq!(query(&lowered.fars[0].query.query), "account [c0=Number, c1=$id]");
    let condition = "<condition attribute='mserp_nativeaccount' operator='ne' \
                     value='00000000-0000-0000-0000-0000000000aa'/>";
    let text = world.filter("mserp_customer", condition);
    assert!(text.starts_with("<NotAny rows as"), "{text}");
    // Not among all columns: a page of a virtual table stays one question.
    world.dialect = Dialect::OData;
    let all = pb::QueryExpression { all_columns: true, ..rows("mserp_customer", &[]) };
    let lowered = world.lower(all, Vec::new()).unwrap();
    assert!(lowered.fars.is_empty());
}

#[test]
fn api_14_expands_to_one_row_are_part_of_the_statement() {
    let mut world = World::new();
    world.dialect = Dialect::OData;
    let one = expand("mserp_fk_customer_id", "mserp_customer", &["mserp_name"]);
    let lowered = world.lower(rows("mserp_order", &["mserp_number"]), vec![one]).unwrap();
    assert_eq!(
        query(&lowered.query),
        "Order [@odata.etag=$version, mserp_number=Number, mserp_orderid=$id, \
         mserp_fk_customer_id=expand 1.$id {@odata.etag=expand 1.$version, \
         mserp_name=expand 1.Name, mserp_customerid=expand 1.$id}] \
         LeftOuter Customer as 'expand 1' on Company==Company and Account==CustomerAccount"
    );
    assert!(lowered.children.is_empty() && lowered.keys.is_empty());
}

#[test]
fn api_14_an_expand_within_an_expand_is_joined_to_the_row_it_belongs_to() {
    let mut world = World::new();
    world.dialect = Dialect::OData;
    let mut parent = expand("parentaccountid", "account", &["name"]);
    parent.expands.push(expand("parentaccountid", "account", &["name"]));
    let lowered = world.lower(rows("account", &["name"]), vec![parent]).unwrap();
    let [outer] = lowered.query.links.as_slice() else { panic!("{:?}", lowered.query.links) };
    let [inner] = outer.links.as_slice() else { panic!("{:?}", outer.links) };
    assert_eq!((outer.alias.as_str(), inner.alias.as_str()), ("expand 1", "expand 2"));
}

#[test]
fn api_14_other_expands_are_one_statement_a_level() {
    let mut world = World::new();
    world.dialect = Dialect::OData;
    let account = expand("mserp_NativeAccount", "account", &["name"]);
    let mut many = expand("mserp_FK_Order_Customer", "mserp_order", &["mserp_number"]);
    many.tree.top_count = 3;
    let parents = rows("mserp_customer", &["mserp_name"]);
    let lowered = world.lower(parents, vec![many, account]).unwrap();
    let [orders, account] = lowered.children.as_slice() else { panic!("two statements") };
    assert_eq!((orders.is_collection, orders.limit), (true, 3));
    assert_eq!((account.is_collection, account.limit), (false, 1));
    let found = query(&account.query.query);
    assert_eq!(found, "account [@odata.etag=$version, name=Name, accountid=$id]");
    assert_eq!(lowered.keys.len(), 3, "company, account and the row's own id, once each");
}

#[test]
fn api_18_lookups_are_annotated_with_the_names_of_their_rows() {
    let mut world = World::new();
    world.annotations = "*";
    let text = world.text(rows("mserp_order", &["mserp_fk_customer_id", "mserp_status"]));
    assert!(
        text.contains(
            "_mserp_fk_customer_id_value=->Customer, \
             _mserp_fk_customer_id_value@OData.Community.Display.V1.FormattedValue=lookup 1.Name, \
             mserp_status=Status labelled"
        ),
        "{text}"
    );
    world.hidden = "mserp_customer";
    let text = world.text(rows("mserp_order", &["mserp_fk_customer_id"]));
    assert!(!text.contains("lookup 1"), "nobody is refused for a name that was not asked: {text}");
    world.hidden = "";
    world.dialect = Dialect::OData;
    let one = expand("mserp_fk_customer_id", "mserp_customer", &["mserp_name"]);
    let mut order = rows("mserp_order", &["mserp_fk_customer_id"]);
    order.top_count = 1;
    let lowered = world.lower(order, vec![one]).unwrap();
    let aliases: Vec<_> = lowered.query.links.iter().map(|it| it.alias.as_str()).collect();
    assert_eq!(aliases, ["lookup 1", "expand 1"], "each link once");
}

#[test]
fn fx_10_conditions_and_links_are_bounded() {
    let world = World::new();
    let conditions = |count: usize| {
        let one = "<condition attribute='mserp_lines' operator='eq' value='1'/>";
        let mut tree = rows("mserp_order", &["mserp_number"]);
        let document =
            format!("<fetch><entity name='mserp_order'><filter>{one}</filter></entity></fetch>");
        let mut criteria = fetchxml::parse(&document).unwrap().criteria.unwrap();
        let condition = criteria.conditions.pop().unwrap();
        criteria.conditions = vec![condition; count];
        tree.criteria = Some(criteria);
        world.text(tree)
    };
    assert!(conditions(500).starts_with("Order"));
    assert_eq!(conditions(501), "refused: Number of conditions in query exceeded maximum limit.");
    let links = |count: usize| {
        let link =
            pb::LinkEntity { navigation: "mserp_fk_customer_id".to_owned(), ..Default::default() };
        let links = vec![link; count];
        world.text(pb::QueryExpression { links, ..rows("mserp_order", &["mserp_number"]) })
    };
    assert!(links(15).starts_with("Order"));
    assert_eq!(links(16), "refused: Number of link entities in query exceeded maximum limit.");
}

#[test]
fn names_that_are_not_there_are_said() {
    let world = World::new();
    let check = |tree: pb::QueryExpression, expected: &str| {
        let text = world.text(tree);
        assert!(text.starts_with("refused: ") && text.contains(expected), "{text}");
    };
    check(rows("nothing", &[]), "'nothing'");
    check(rows("mserp_order", &["nothing"]), "'nothing'");
    let link = pb::LinkEntity { navigation: "nothing".to_owned(), ..Default::default() };
    check(pb::QueryExpression { links: vec![link], ..rows("mserp_order", &[]) }, "'nothing'");
}

#[test]
fn across_the_line_a_filter_cannot_look_back() {
    let world = World::new();
    let document = "<fetch><entity name='mserp_customer'><attribute name='mserp_name'/><filter>\
        <link-entity name='account' from='accountnumber' to='mserp_account' link-type='any'>\
        <filter><condition attribute='name' operator='eq' value='A'/></filter></link-entity>\
        </filter></entity></fetch>";
    let mut tree = fetchxml::parse(document).unwrap();
    let link = &mut tree.criteria.as_mut().unwrap().links[0];
    let condition = &mut link.criteria.as_mut().unwrap().conditions[0];
    condition.values.clear();
    condition.compare_column = Some(super::links::field("mserp_name", "$it"));
    assert!(world.text(tree).contains("not offered"), "rather than a wrong answer");
}
