//! Documents and what they mean.

use fetchxml::parse;
use proto::query::v1 as pb;
use proto::query::v1::{Aggregate, ConditionOperator as Op, DateGrouping, JoinOperator as Join};

use crate::trees::{and, column, condition, link, order, output};

fn check(text: &str, expected: pb::QueryExpression) {
    assert_eq!(parse(text).as_ref(), Ok(&expected), "{text}");
}

fn query(table: &str) -> pb::QueryExpression {
    pb::QueryExpression { entity_name: table.to_owned(), ..Default::default() }
}

#[test]
fn fx_01_every_attribute_of_fetch_is_understood() {
    check(
        "<?xml version='1.0'?><!-- all of them -->
         <fetch version='1.0' mapping='logical' output-format='xml-platform' utc-offset='60'
            min-active-row-version='false' count='10' page='3' paging-cookie='&lt;cookie page=&quot;2&quot;/&gt;'
            returntotalrecordcount='true' distinct='1' useraworderby='True' aggregatelimit='70000'>
           <entity name='account'><attribute name='name'/></entity>
         </fetch>",
        pb::QueryExpression {
            columns: vec![output("name", "", "")],
            page: Some(pb::Page {
                size: 10,
                number: 3,
                cookie: "<cookie page=\"2\"/>".to_owned(),
                ..Default::default()
            }),
            total_count: pb::TotalCount::Limited.into(),
            distinct: true,
            raw_order_by: true,
            aggregate_limit: 50_000,
            ..query("account")
        },
    );
    let top = pb::QueryExpression { top_count: 5, all_columns: true, ..query("account") };
    check("<fetch top='5'><entity name='account'/></fetch>", top);
}

#[test]
fn fx_10_a_page_is_capped_at_5000_rows() {
    let page = Some(pb::Page { size: 5_000, ..Default::default() });
    let expected = pb::QueryExpression { page, all_columns: true, ..query("account") };
    check("<fetch count='20000'><entity name='account'/></fetch>", expected);
}

#[test]
fn fx_11_hints_change_nothing() {
    let plain = parse(
        "<fetch><entity name='a'><filter type='or'><condition attribute='x' operator='null'/></filter></entity></fetch>",
    );
    let hinted = parse(
        "<fetch no-lock='true' latematerialize='true' options='ForceOrder, LoopJoin'>
           <entity name='a'><filter type='or' hint='union' isquickfindfields='1'>
             <condition attribute='x' operator='null' value='' uiname='u' uitype='t'/>
           </filter></entity></fetch>",
    );
    assert!(plain.is_ok());
    assert_eq!(plain, hinted);
}

#[test]
fn fx_01_columns_and_orders_of_links_carry_aliases() {
    check(
        "<fetch><entity name='account'>
           <attribute name='name'/><attribute name='name'/><attribute name='name' alias='n'/>
           <link-entity name='contact' from='contactid' to='primarycontactid' alias='c'>
             <order attribute='fullname' descending='true'/>
             <attribute name='fullname'/>
             <all-attributes/>
             <link-entity name='systemuser' from='systemuserid' to='ownerid' link-type='outer' intersect='true'>
               <attribute name='fullname' alias='who'/>
             </link-entity>
           </link-entity>
           <order attribute='name'/>
           <order attribute='lastname' entityname='c'/>
         </entity></fetch>",
        pb::QueryExpression {
            columns: vec![
                output("name", "", ""),
                output("name", "", "n"),
                output("fullname", "c", ""),
                output("fullname", "systemuser2", "who"),
            ],
            orders: vec![
                order("name", "", false),
                order("lastname", "c", false),
                order("fullname", "c", true),
            ],
            links: vec![pb::LinkEntity {
                all_columns: true,
                links: vec![pb::LinkEntity {
                    intersect: true,
                    ..link(("systemuser", "systemuser2"), ("systemuserid", "ownerid"), Join::LeftOuter)
                }],
                ..link(("contact", "c"), ("contactid", "primarycontactid"), Join::Inner)
            }],
            ..query("account")
        },
    );
}

#[test]
fn fx_01_a_default_alias_avoids_the_given_ones() {
    let text = "<fetch><entity name='a'><attribute name='x'/>
        <link-entity name='b' from='f' to='t'/>
        <link-entity name='z' from='f' to='t' alias='b1'/></entity></fetch>";
    let aliases = parse(text).map(|it| it.links.into_iter().map(|it| it.alias).collect::<Vec<_>>());
    assert_eq!(aliases, Ok(vec!["b2".to_owned(), "b1".to_owned()]));
}

#[test]
fn fx_02_every_link_type_has_its_place() {
    let text = |in_filter: &str, beside: &str| {
        format!(
            "<fetch><entity name='a'><attribute name='x'/><filter type='or'>{in_filter}</filter>{beside}</entity></fetch>"
        )
    };
    let element = |kind: &str| {
        format!("<link-entity name='b' from='f' to='t' link-type='{kind}' alias='l'/>")
    };
    for (kind, join) in [
        ("any", Join::Any),
        ("not any", Join::NotAny),
        ("all", Join::All),
        ("not all", Join::NotAll),
    ] {
        let criteria = pb::FilterExpression {
            operator: pb::FilterOperator::Or.into(),
            links: vec![link(("b", "l"), ("f", "t"), join)],
            ..Default::default()
        };
        let columns = vec![output("x", "", "")];
        check(
            &text(&element(kind), ""),
            pb::QueryExpression { columns, criteria: Some(criteria), ..query("a") },
        );
        assert!(parse(&text("", &element(kind))).is_err(), "{kind} beside a filter");
    }
    for (kind, join) in [("exists", Join::Exists), ("in", Join::In)] {
        let links = vec![link(("b", "l"), ("f", "t"), join)];
        let criteria = Some(pb::FilterExpression { links, ..and(Vec::new()) });
        let columns = vec![output("x", "", "")];
        check(&text("", &element(kind)), pb::QueryExpression { columns, criteria, ..query("a") });
        assert!(parse(&text(&element(kind), "")).is_err(), "{kind} within a filter");
    }
    for (kind, join) in [
        ("inner", Join::Inner),
        ("outer", Join::LeftOuter),
        ("natural", Join::Inner),
        ("matchfirstrowusingcrossapply", Join::MatchFirstRow),
    ] {
        let links = vec![link(("b", "l"), ("f", "t"), join)];
        let columns = vec![output("x", "", "")];
        check(&text("", &element(kind)), pb::QueryExpression { columns, links, ..query("a") });
        assert!(parse(&text(&element(kind), "")).is_err(), "{kind} within a filter");
    }
}

#[test]
fn fx_03_values_stand_in_an_attribute_or_in_elements() {
    check(
        "<fetch><entity name='a'><attribute name='x'/><filter>
           <condition attribute='x' operator='eq' value=' &amp;&#10;é '/>
           <condition attribute='x' operator='neq'><value>1</value></condition>
           <condition attribute='x' operator='in'><value uiname='One' uitype='t'>1</value><value/><value><![CDATA[<]]>&gt;</value></condition>
           <condition attribute='x' operator='between'><value>1</value><value>2</value></condition>
           <condition attribute='x' operator='last-x-days' value='7'/>
           <condition attribute='x' operator='in-fiscal-period-and-year'><value>1</value><value>2026</value></condition>
           <condition attribute='x' operator='eq-userid'/>
         </filter><filter><filter/></filter></entity></fetch>",
        pb::QueryExpression {
            columns: vec![output("x", "", "")],
            criteria: Some(and(vec![
                condition(("x", ""), Op::Equal, &[" &\né "]),
                condition(("x", ""), Op::NotEqual, &["1"]),
                condition(("x", ""), Op::In, &["1", "", "<>"]),
                condition(("x", ""), Op::Between, &["1", "2"]),
                condition(("x", ""), Op::LastXDays, &["7"]),
                condition(("x", ""), Op::InFiscalPeriodAndYear, &["1", "2026"]),
                condition(("x", ""), Op::EqualUserId, &[]),
            ])),
            ..query("a")
        },
    );
}

#[test]
fn fx_04_columns_compare_within_a_row_and_across_links() {
    let compared = |field: &str, of: &str, other: &str, link: &str| pb::ConditionExpression {
        compare_column: Some(column(other, link)),
        ..condition((field, of), Op::GreaterThan, &[])
    };
    let inner = vec![compared("z", "", "x", "$it"), compared("z", "", "w", "")];
    check(
        "<fetch><entity name='a'><attribute name='x'/>
           <link-entity name='b' from='f' to='t' alias='l'><filter>
             <condition attribute='z' operator='gt' valueof='a.x'/>
             <condition attribute='z' operator='gt' valueof='l.w'/>
           </filter></link-entity>
           <filter>
             <condition attribute='x' operator='gt' valueof='y'/>
             <condition attribute='x' operator='gt' valueof='l.z'/>
             <condition entityname='l' attribute='z' operator='gt' valueof='a.x'/>
             <condition entityname='l' attribute='z' operator='gt' valueof='w'/>
           </filter></entity></fetch>",
        pb::QueryExpression {
            columns: vec![output("x", "", "")],
            criteria: Some(and(vec![
                compared("x", "", "y", ""),
                compared("x", "", "z", "l"),
                compared("z", "l", "x", ""),
                compared("z", "l", "w", "l"),
            ])),
            links: vec![pb::LinkEntity {
                criteria: Some(and(inner)),
                ..link(("b", "l"), ("f", "t"), Join::Inner)
            }],
            ..query("a")
        },
    );
}

#[test]
fn fx_05_a_condition_by_entityname_acts_after_the_join() {
    let null = |link: &str| condition(("z", link), Op::Null, &[]);
    check(
        "<fetch><entity name='a'><attribute name='x'/>
           <filter>
             <condition entityname='l' attribute='z' operator='null'/>
             <condition entityname='c' attribute='z' operator='null'/>
             <condition entityname='a' attribute='z' operator='null'/>
           </filter>
           <link-entity name='b' from='f' to='t' alias='l' link-type='outer'>
             <filter><condition attribute='z' operator='null'/></filter>
           </link-entity>
           <link-entity name='c' from='f' to='t' link-type='outer'/>
         </entity></fetch>",
        pb::QueryExpression {
            columns: vec![output("x", "", "")],
            criteria: Some(and(vec![null("l"), null("c2"), null("")])),
            links: vec![
                pb::LinkEntity {
                    criteria: Some(and(vec![null("")])),
                    ..link(("b", "l"), ("f", "t"), Join::LeftOuter)
                },
                link(("c", "c2"), ("f", "t"), Join::LeftOuter),
            ],
            ..query("a")
        },
    );
}

#[test]
fn fx_06_aggregates_and_groups_have_aliases() {
    let aggregate = |field: &str, key: &str, aggregate: Aggregate| pb::OutputColumn {
        aggregate: aggregate.into(),
        ..output(field, "", key)
    };
    let group = |key: &str, part: DateGrouping, zone: &str| pb::OutputColumn {
        group_by: true,
        date_grouping: part.into(),
        time_zone: zone.to_owned(),
        ..output("d", "l", key)
    };
    check(
        "<fetch aggregate='true' aggregatelimit='10'><entity name='a'>
           <attribute name='x' alias='n' aggregate='count'/>
           <attribute name='x' alias='cc' aggregate='countcolumn'/>
           <attribute name='x' alias='cd' aggregate='countcolumn' distinct='true'/>
           <attribute name='x' alias='s' aggregate='sum'/>
           <attribute name='x' alias='av' aggregate='avg'/>
           <attribute name='x' alias='mi' aggregate='min'/>
           <attribute name='x' alias='ma' aggregate='max'/>
           <order alias='y' descending='1'/>
           <link-entity name='b' from='f' to='t' alias='l'>
             <attribute name='d' alias='p' groupby='true'/>
             <attribute name='d' alias='y' groupby='true' dategrouping='year'/>
             <attribute name='d' alias='q' groupby='true' dategrouping='fiscal-period' usertimezone='false'/>
           </link-entity>
         </entity></fetch>",
        pb::QueryExpression {
            columns: vec![
                aggregate("x", "n", Aggregate::Count),
                aggregate("x", "cc", Aggregate::CountColumn),
                aggregate("x", "cd", Aggregate::CountDistinct),
                aggregate("x", "s", Aggregate::Sum),
                aggregate("x", "av", Aggregate::Average),
                aggregate("x", "mi", Aggregate::Min),
                aggregate("x", "ma", Aggregate::Max),
                group("p", DateGrouping::Unspecified, ""),
                group("y", DateGrouping::Year, ""),
                group("q", DateGrouping::FiscalPeriod, "UTC"),
            ],
            orders: vec![pb::OrderExpression {
                output: "y".to_owned(),
                descending: true,
                ..Default::default()
            }],
            links: vec![link(("b", "l"), ("f", "t"), Join::Inner)],
            aggregate_limit: 10,
            ..query("a")
        },
    );
}
