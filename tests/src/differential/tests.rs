use super::filter::{Filter, Join, On, Op, Path, Quantifier, Semi};
use super::rules::Rules;
use super::schema::{Column, ForeignKey, Kind, PREFIX, Schema, Table};
use super::write::{fetch_filter, odata_filter};
use crate::tables::Cell;

const RULES: Rules = Rules { year: 2026, exact: false };

/// Two owners, the first with the pets `1` and none, the second with no pets; a stray pet `1`.
fn schema() -> Schema {
    let column =
        |name: &str, kind| Column { name: name.to_owned(), prefix: PREFIX, kind, nullable: true };
    let table = |name, rows: Vec<Vec<Cell>>, links, foreign_keys| Table {
        name,
        prefix: PREFIX,
        columns: vec![column("id", Kind::Int), column("tag", Kind::Int), column("c0", Kind::Int)],
        key: 1,
        foreign_keys,
        rows,
        links,
    };
    let row = |id: i64, value: Cell| vec![Cell::Int(id), Cell::Int(id), value];
    let owner = ForeignKey::new("birch", "owner0".to_owned(), 0);
    let owners = vec![row(0, Cell::Int(1)), row(1, Cell::Null)];
    let pets = vec![row(0, Cell::Int(1)), row(1, Cell::Null), row(2, Cell::Int(1))];
    let leads = vec![vec![Some(0)], vec![Some(0)], vec![None]];
    Schema {
        tables: vec![
            table("alder", owners, vec![Vec::new(); 2], Vec::new()),
            table("birch", pets, leads, vec![owner]),
        ],
        rules: RULES,
        ids: Vec::new(),
    }
}

fn one(base: usize, through: Vec<usize>) -> Filter {
    Filter::Compare(Path { base, through, column: 2 }, Op::Eq, vec![Cell::Int(1)])
}

fn matching(table: usize, filter: &Filter) -> Vec<usize> {
    let schema = schema();
    let rows = 0..schema.tables[table].rows.len();
    rows.filter(|it| filter.decide(&schema, &vec![(table, Some(*it))], false)).collect()
}

#[test]
fn paths_of_rows_that_lead_nowhere_are_null() {
    let equal = one(0, vec![0]);
    assert_eq!(matching(1, &equal), [0, 1]);
    assert_eq!(matching(1, &Filter::Not(Box::new(equal))), [2]);
    let null = Filter::Row { base: 0, through: vec![0], op: Op::Null, row: 0 };
    assert_eq!(matching(1, &null), [2]);
}

#[test]
fn any_and_all_look_at_the_related_rows() {
    let related = |quantifier, filter: Option<Filter>| Filter::Related {
        base: 0,
        table: 1,
        foreign_key: 0,
        quantifier,
        filter: filter.map(Box::new),
    };
    let some = |quantifier| related(quantifier, Some(one(1, Vec::new())));
    assert_eq!(matching(0, &related(Quantifier::Any, None)), [0]);
    assert_eq!(matching(0, &some(Quantifier::Any)), [0]);
    // One pet has no value, which is not 1; where there are no pets, none is not 1.
    assert_eq!(matching(0, &some(Quantifier::All)), [1]);
    assert_eq!(
        odata_filter(&schema(), &[0], &some(Quantifier::Any)),
        "mserp_FK_Birch_Owner0/any(o1:o1/mserp_c0 eq 1)"
    );
}

#[test]
fn all_of_fetchxml_is_not_the_everyday_word() {
    let join = Join { table: 1, on: On::Lookup(0) };
    let semi = |kind, filter: Option<Filter>| Filter::Semi(kind, join, filter.map(Box::new));
    let zero = || {
        let path = Path { base: 0, through: Vec::new(), column: 2 };
        Some(Filter::Compare(path, Op::Eq, vec![Cell::Int(0)]))
    };
    let some = || Some(one(0, Vec::new()));
    assert_eq!(matching(0, &semi(Semi::Any, some())), [0]);
    assert_eq!(matching(0, &semi(Semi::NotAny, some())), [1]);
    assert_eq!(matching(0, &semi(Semi::NotAll, some())), [0]);
    assert_eq!(matching(0, &semi(Semi::All, some())), [0; 0]);
    assert_eq!(matching(0, &semi(Semi::All, zero())), [0]);
    assert_eq!(
        fetch_filter(&schema(), &[0], 0, &semi(Semi::All, None)),
        "<link-entity name=\"mserp_birch\" from=\"mserp_fk_owner0_id\" to=\"mserp_alderid\" \
         link-type=\"all\"></link-entity>"
    );
}

#[test]
fn negative_operators_match_null() {
    for (op, cells) in [(Op::Ne, 1), (Op::NotIn, 1), (Op::NotBetween, 2), (Op::NotLike, 1)] {
        assert!(op.holds(&Cell::Null, &vec![Cell::Int(1); cells], RULES), "{op:?}");
    }
    for op in [Op::Eq, Op::Lt, Op::Ge, Op::In, Op::Between, Op::Like] {
        assert!(!op.holds(&Cell::Null, &[Cell::Int(1), Cell::Int(2)], RULES), "{op:?}");
    }
    let time = Cell::Time("2026-02-03T00:00:00.000000".to_owned());
    assert!(Op::ThisYear.holds(&time, &[], RULES) && !Op::LastYear.holds(&time, &[], RULES));
    assert!(Op::On.holds(&time, &[Cell::Time("2026-02-03".to_owned())], RULES));
}

#[test]
fn letter_case_counts_where_the_erp_compares_exactly() {
    let exact = Rules { exact: true, ..RULES };
    let text = |it: &str| Cell::Text(it.to_owned());
    for (op, value) in [(Op::Eq, "A"), (Op::Like, "A%"), (Op::Begins, "A"), (Op::In, "A")] {
        assert!(op.holds(&text("a"), &[text(value)], RULES), "{op:?}");
        assert!(!op.holds(&text("a"), &[text(value)], exact), "{op:?}");
    }
    assert!(
        exact.order(&text("Z"), &text("a")).is_lt() && RULES.order(&text("Z"), &text("a")).is_gt()
    );
}
