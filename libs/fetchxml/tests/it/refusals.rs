//! What is refused, where, and in which words.

use fetchxml::parse;

fn check(text: &str, expected: &str) {
    let error = parse(text).map(|_| ()).map_err(|it| it.to_string());
    assert_eq!(error, Err(expected.to_owned()), "{text}");
}

/// A refusal at the start of what stands within an entity: line 1, position 32.
fn check_in_entity(inner: &str, expected: &str) {
    let text = format!("<fetch><entity name='account' >\n{inner}</entity></fetch>");
    check(&text, &format!("Invalid FetchXML at line 2, position 1: {expected}"));
}

#[test]
fn fx_01_what_is_no_xml_is_refused_with_its_place() {
    check("", "Invalid XML at line 1, position 1: the root element is missing");
    check("<fetch>", "Invalid XML at line 1, position 8: the document ends within an element");
    check(
        "<fetch/>x",
        "Invalid XML at line 1, position 9: there is text outside of the root element",
    );
    check(
        "<fetch/><fetch/>",
        "Invalid XML at line 1, position 9: there is more than one root element",
    );
    check(
        "<fetch>&nbsp;</fetch>",
        "Invalid XML at line 1, position 8: the entity 'nbsp' is not defined",
    );
    check(
        "<fetch>&#0;</fetch>",
        "Invalid XML at line 1, position 8: the entity '#0' is not defined",
    );
    let error = parse("<fetch>\n  <entity name='a'>\n</fetch>").unwrap_err().to_string();
    assert!(error.starts_with("Invalid XML at line 3, position"), "{error}");
    for text in
        ["<fetch top=1/>", "<fetch a='1' a='2'/>", "<fetch a='&b;'/>", "<a><b></a></b>", "x"]
    {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.starts_with("Invalid XML at line 1, position"), "{text}: {error}");
    }
}

#[test]
fn fx_01_elements_and_attributes_have_their_places() {
    check(
        "<query/>",
        "Invalid FetchXML at line 1, position 1: The 'query' element is not declared.",
    );
    check(
        "<fetch/>",
        "Invalid FetchXML at line 1, position 1: The element 'fetch' has incomplete content. List of \
         possible elements expected: 'entity'.",
    );
    check(
        "<fetch distnict='1'><entity name='a'/></fetch>",
        "Invalid FetchXML at line 1, position 1: The 'distnict' attribute is not declared for the \
         element 'fetch'.",
    );
    check_in_entity(
        "<atribute name='x'/>",
        "The element 'entity' has invalid child element 'atribute'. List of possible elements \
         expected: 'all-attributes, attribute, order, filter, link-entity'.",
    );
    check_in_entity(
        "<attribute/>",
        "The required attribute 'name' is missing on the element 'attribute'.",
    );
    check_in_entity(
        "<attribute name='x' alias='a.b'/>",
        "Invalid alias 'a.b': only letters, digits and '_' are allowed, and a letter or '_' as the \
         first.",
    );
    for text in [
        "<fetch><entity/></fetch>",
        "<fetch><entity name=''/></fetch>",
        "<fetch><entity name='a'/><entity name='b'/></fetch>",
        "<fetch><entity name='a'>text</entity></fetch>",
        "<fetch><entity name='a'><attribute name='x'><value/></attribute></entity></fetch>",
        "<fetch><entity name='a'><link-entity name='b' from='x'/></entity></fetch>",
        "<fetch><entity name='a'><link-entity name='b' from='x' to='y' link-type='left'/></entity></fetch>",
        "<fetch><entity name='a'><order/></entity></fetch>",
        "<fetch><entity name='a'><order alias='x'/></entity></fetch>",
        "<fetch><entity name='a'><filter type='xor'/></entity></fetch>",
        "<fetch><entity name='a'><filter hint='union'/></entity></fetch>",
        "<fetch><entity name='a'><filter type='or' hint='union'/><filter type='or' hint='union'/></entity></fetch>",
        "<FETCH><entity name='a'/></FETCH>",
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.starts_with("Invalid FetchXML at line 1, position "), "{text}: {error}");
    }
}

#[test]
fn fx_01_values_of_fetch_are_checked() {
    for attribute in [
        "top='0'",
        "top='5001'",
        "top='x'",
        "count='-1'",
        "page='0'",
        "distinct='yes'",
        "no-lock='x'",
        "options='Faster'",
        "mapping='physical'",
        "datasource='x'",
        "aggregatelimit='0'",
        "datasource='retained'",
        "latematerialize='maybe'",
    ] {
        let text = format!("<fetch {attribute}><entity name='a'/></fetch>");
        assert!(parse(&text).is_err(), "{text}");
    }
    for paging in ["page='1'", "count='1'", "returntotalrecordcount='true'", "paging-cookie='x'"] {
        check(
            &format!("<fetch top='1' {paging}><entity name='a'/></fetch>"),
            "Invalid FetchXML at line 1, position 1: The 'top' attribute can't be specified with \
             paging attributes 'page', 'count', 'paging-cookie' or 'returntotalrecordcount'.",
        );
    }
}

#[test]
fn fx_03_conditions_take_what_their_operator_takes() {
    let check = |condition: &str, expected: &str| {
        let text = format!(
            "<fetch><entity name='account' ><filter>\n{condition}</filter></entity></fetch>"
        );
        check(&text, &format!("Invalid FetchXML at line 2, position 1: {expected}"));
    };
    check(
        "<condition attribute='x' operator='equals' value='1'/>",
        "The 'operator' attribute of the element 'condition' is invalid - The value 'equals' is invalid \
         according to its datatype.",
    );
    check(
        "<condition attribute='x' operator='eq'/>",
        "The operator 'eq' takes one value, and not 0.",
    );
    check(
        "<condition attribute='x' operator='null' value='1'/>",
        "The operator 'null' takes no value, and not 1.",
    );
    check(
        "<condition attribute='x' operator='between' value='1'/>",
        "The operator 'between' takes two values, and not 1.",
    );
    check(
        "<condition attribute='x' operator='in'/>",
        "The operator 'in' takes one or more values, and not 0.",
    );
    check(
        "<condition attribute='x' operator='eq' value='1'><value>1</value></condition>",
        "a condition has its values in one place",
    );
    check(
        "<condition attribute='x' operator='like' valueof='y'/>",
        "The operator 'like' does not compare columns.",
    );
    check(
        "<condition attribute='x' operator='eq' value='1' valueof='y'/>",
        "a condition has either a value or 'valueof'",
    );
    check(
        "<condition entityname='zz' attribute='x' operator='null'/>",
        "Link entity with name or alias 'zz' is not found.",
    );
    check(
        "<condition attribute='x' operator='eq' valueof='zz.y'/>",
        "Link entity with name or alias 'zz' is not found.",
    );
}

#[test]
fn fx_05_names_must_be_clear() {
    let twice = "<link-entity name='b' from='f' to='t'/><link-entity name='b' from='f' to='t'/>";
    let text = |filter: &str, links: &str| {
        format!("<fetch><entity name='a'><filter>{filter}</filter>{links}</entity></fetch>")
    };
    let by_table = "<condition entityname='b' attribute='x' operator='null'/>";
    let error = parse(&text(by_table, twice)).unwrap_err().to_string();
    assert!(error.contains("The name 'b' is not unique in the query"), "{error}");
    let same = "<link-entity name='b' from='f' to='t' alias='l'/><link-entity name='c' from='f' to='t' alias='l'/>";
    let error = parse(&text("", same)).unwrap_err().to_string();
    assert!(error.contains("The alias 'l' is not unique."), "{error}");
    // What is only looked for cannot be named from outside, nor returned.
    let any = "<link-entity name='b' from='f' to='t' link-type='any' alias='s'/>";
    let outside = "<condition entityname='s' attribute='x' operator='null'/>";
    assert!(parse(&text(&format!("{any}{outside}"), "")).is_err());
    let returned = "<link-entity name='b' from='f' to='t' link-type='exists'><attribute name='x'/></link-entity>";
    let error = parse(&text("", returned)).unwrap_err().to_string();
    assert!(error.contains("the rows of this link-entity are not returned"), "{error}");
}

#[test]
fn fx_06_aggregates_are_checked() {
    let text = |aggregate: bool, inner: &str| {
        format!("<fetch aggregate='{aggregate}'><entity name='a'>{inner}</entity></fetch>")
    };
    for (aggregate, inner) in [
        (true, ""),
        (true, "<all-attributes/>"),
        (true, "<attribute name='x'/>"),
        (true, "<attribute name='x' aggregate='sum'/>"),
        (true, "<attribute name='x' aggregate='median' alias='m'/>"),
        (true, "<attribute name='x' aggregate='sum' groupby='true' alias='m'/>"),
        (true, "<attribute name='x' aggregate='sum' distinct='true' alias='m'/>"),
        (true, "<attribute name='x' aggregate='sum' dategrouping='year' alias='m'/>"),
        (true, "<attribute name='x' groupby='true' dategrouping='decade' alias='m'/>"),
        (
            true,
            "<attribute name='x' groupby='true' alias='m'/><attribute name='y' groupby='true' alias='m'/>",
        ),
        (true, "<attribute name='x' groupby='true' alias='m'/><order attribute='x'/>"),
        (true, "<attribute name='x' groupby='true' alias='m'/><order alias='z'/>"),
        (false, "<attribute name='x' aggregate='sum' alias='m'/>"),
        (false, "<attribute name='x' groupby='true' alias='m'/>"),
        (false, "<attribute name='x' rowaggregate='CountChildren' alias='m'/>"),
    ] {
        assert!(parse(&text(aggregate, inner)).is_err(), "{aggregate} {inner}");
    }
}
