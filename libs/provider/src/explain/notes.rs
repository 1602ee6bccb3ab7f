//! What a plan says about indexes that are missing.

use serde_json::Value;

use super::text::{equalities, sort_key};
use crate::indexes::{Indexes, Key, definition};

/// Tables, and inputs of a sort, with fewer rows need no index.
const MANY_ROWS: f64 = 1_000.0;
/// Scans that PostgreSQL expects to cost less are served well enough.
const HIGH_COST: f64 = 100.0;

/// Nodes that make one row of several.
const GROUPING: [&str; 3] = ["Aggregate", "Group", "Unique"];
/// Longer conditions are cut.
const CONDITION_LENGTH: usize = 200;

/// A table that a plan reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scan<'p> {
    schema: &'p str,
    table: &'p str,
    alias: &'p str,
}

/// Schemas and names of the tables that a plan reads.
pub(super) fn tables(plan: &Value) -> Vec<(String, String)> {
    let mut tables = Vec::new();
    for node in nodes(plan) {
        if let Some(scan) = Scan::of(node) {
            let table = (scan.schema.to_owned(), scan.table.to_owned());
            if !tables.contains(&table) {
                tables.push(table);
            }
        }
    }
    tables
}

/// One sentence for each condition and each order that no index serves.
pub(super) fn notes(plan: &Value, indexes: &Indexes) -> Vec<String> {
    let mut notes = Vec::new();
    let mut add = |note: Option<String>| {
        if let Some(note) = note.filter(|it| !notes.contains(it)) {
            notes.push(note);
        }
    };
    for node in nodes(plan) {
        add(scanned(node, indexes));
        // Sorts below these serve the grouping or the join, not the order of rows.
        let kind = text(node, "Node Type");
        if !GROUPING.contains(&kind) && kind != "Merge Join" {
            for child in children(node) {
                add(sorted(child, indexes));
            }
        }
    }
    notes
}

fn scanned(node: &Value, indexes: &Indexes) -> Option<String> {
    let scan = Scan::of(node)?;
    let filter = node.get("Filter")?.as_str()?;
    let known = indexes.of(scan.schema, scan.table)?;
    if known.rows < MANY_ROWS || number(node, "Total Cost") < HIGH_COST {
        return None;
    }
    let filtered = equalities(filter, scan.alias);
    let (name, rows, condition) = (scan.name(), known.rows, shortened(filter));
    if filtered.is_empty() {
        let reads_all = text(node, "Node Type") == "Seq Scan";
        return reads_all.then(|| {
            format!(
                "No index can serve the condition {condition}: all of the about {rows:.0} rows of \
                 {name} are read."
            )
        });
    }
    let mut wanted = equalities(text(node, "Index Cond"), scan.alias);
    wanted.extend(equalities(text(node, "Recheck Cond"), scan.alias));
    wanted.extend(filtered);
    if known.finds(&wanted) {
        return None;
    }
    let keys: Vec<String> = wanted.iter().map(|it| definition(it)).collect();
    Some(format!(
        "No index of {name} (about {rows:.0} rows) serves the condition {condition}. This one \
         would: CREATE INDEX ON {name} ({})",
        keys.join(", ")
    ))
}

fn sorted(node: &Value, indexes: &Indexes) -> Option<String> {
    if text(node, "Node Type") != "Sort" {
        return None;
    }
    let rows = children(node).map(|it| number(it, "Plan Rows")).fold(0.0, f64::max);
    // What is computed of groups is in no table.
    let of_groups = nodes(node).into_iter().any(|it| GROUPING.contains(&text(it, "Node Type")));
    if rows < MANY_ROWS || of_groups {
        return None;
    }
    let order: Vec<&str> =
        node.get("Sort Key")?.as_array()?.iter().filter_map(Value::as_str).collect();
    let of = |scan: &Scan<'_>| -> Option<Vec<Key>> {
        order.iter().map(|it| sort_key(it, scan.alias)).collect()
    };
    let scans = nodes(node).into_iter().filter_map(Scan::of);
    let found = scans.into_iter().find_map(|scan| Some((scan, of(&scan)?)));
    let order = order.join(", ");
    let Some((scan, keys)) = found else {
        return Some(format!(
            "No index can serve the order {order}, which is of no single table: about {rows:.0} \
             rows are sorted."
        ));
    };
    if indexes.of(scan.schema, scan.table).is_some_and(|it| it.sorts(&keys)) {
        return None;
    }
    let name = scan.name();
    let keys: Vec<String> = keys.iter().map(Key::definition).collect();
    Some(format!(
        "No index of {name} serves the order {order}: about {rows:.0} rows are sorted. This one \
         would: CREATE INDEX ON {name} ({})",
        keys.join(", ")
    ))
}

impl<'p> Scan<'p> {
    fn of(node: &'p Value) -> Option<Self> {
        Some(Self {
            schema: node.get("Schema")?.as_str()?,
            table: node.get("Relation Name")?.as_str()?,
            alias: node.get("Alias")?.as_str()?,
        })
    }

    fn name(&self) -> String {
        format!("{}.{}", crate::names::Ident(self.schema), crate::names::Ident(self.table))
    }
}

/// A node and all below it.
fn nodes(plan: &Value) -> Vec<&Value> {
    let mut found = vec![plan];
    let mut next = 0;
    while let Some(&node) = found.get(next) {
        found.extend(children(node));
        next += 1;
    }
    found
}

fn children(node: &Value) -> impl Iterator<Item = &Value> {
    node.get("Plans").and_then(Value::as_array).into_iter().flatten()
}

fn shortened(condition: &str) -> String {
    match condition.char_indices().nth(CONDITION_LENGTH) {
        Some((end, _)) => format!("{}…", &condition[..end]),
        None => condition.to_owned(),
    }
}

fn text<'v>(node: &'v Value, member: &str) -> &'v str {
    node.get(member).and_then(Value::as_str).unwrap_or_default()
}

fn number(node: &Value, member: &str) -> f64 {
    node.get(member).and_then(Value::as_f64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn indexes(keys: &[&str]) -> Indexes {
        let keys: Vec<Value> =
            keys.iter().map(|it| json!({"expression": it, "option": 0})).collect();
        let table = |name: &str, rows: i32, indexes: Value| json!({"schema": "erp", "table": name, "rows": rows, "indexes": indexes});
        let pk = json!([{"expression": "id", "option": 0}]);
        let tables = json!([table("cust", 50_000, json!([pk, keys])), table("few", 10, json!([]))]);
        Indexes::parse(&tables.to_string()).unwrap()
    }

    fn scan(kind: &str, table: &str, filter: &str) -> Value {
        json!({"Node Type": kind, "Schema": "erp", "Relation Name": table, "Alias": "c",
            "Filter": filter, "Total Cost": 900.0, "Plan Rows": 20_000})
    }

    fn over(kind: &str, input: &Value) -> Value {
        json!({"Node Type": kind, "Plans": [input]})
    }

    fn sort(keys: &[&str], input: &Value) -> Value {
        json!({"Node Type": "Sort", "Sort Key": keys, "Plans": [input]})
    }

    #[test]
    fn a_condition_without_an_index_is_noted_once() {
        let condition = "((c.area = 'A1'::text) AND (lower(c.account) = 'x'::text))";
        let scan = scan("Seq Scan", "cust", condition);
        let plan = json!({"Node Type": "Append", "Plans": [scan.clone(), scan]});
        let expected = format!(
            "No index of \"erp\".\"cust\" (about 50000 rows) serves the condition {condition}. This \
             one would: CREATE INDEX ON \"erp\".\"cust\" (area, (lower(account)))"
        );
        assert_eq!(notes(&plan, &indexes(&["area"])), [expected]);
        assert_eq!(notes(&plan, &indexes(&["lower(account)", "area"])), [""; 0]);
        assert_eq!(tables(&plan), [("erp".to_owned(), "cust".to_owned())]);
    }

    #[test]
    fn what_an_index_finds_already_counts() {
        let mut scan = scan("Bitmap Heap Scan", "cust", "(lower(c.account) = 'x'::text)");
        scan["Recheck Cond"] = json!("(c.area = 'A1'::text)");
        let [note] = &notes(&scan, &indexes(&["area"]))[..] else { panic!() };
        assert!(note.ends_with("(area, (lower(account)))"), "{note}");
    }

    #[test]
    fn small_tables_and_cheap_scans_need_nothing() {
        let condition = "(c.area = 'A1'::text)";
        assert_eq!(notes(&scan("Seq Scan", "few", condition), &indexes(&[])), [""; 0]);
        assert_eq!(notes(&scan("Seq Scan", "unknown", condition), &indexes(&[])), [""; 0]);
        let mut cheap = scan("Index Scan", "cust", condition);
        cheap["Total Cost"] = json!(8.5);
        assert_eq!(notes(&cheap, &indexes(&[])), [""; 0]);
    }

    #[test]
    fn an_order_of_several_tables_has_no_index() {
        let scan = scan("Seq Scan", "cust", "(c.area IS NULL)");
        let plan = sort(&["c.area", "g.title"], &over("Hash Join", &scan));
        let mut plan = over("Limit", &plan);
        plan["Plans"][0]["Plans"][0]["Plan Rows"] = json!(20_000);
        let found = notes(&plan, &indexes(&[]));
        let expected = "No index can serve the order c.area, g.title, which is of no single table: \
                        about 20000 rows are sorted.";
        assert!(found.iter().any(|it| it == expected), "{found:?}");
    }

    #[test]
    fn sorts_for_groups_and_joins_are_no_order_of_rows() {
        let scan = scan("Index Scan", "cust", "(c.area IS NULL)");
        for kind in ["Aggregate", "Unique", "Merge Join"] {
            let plan = over(kind, &sort(&["c.area"], &scan));
            assert_eq!(notes(&plan, &indexes(&[])), [""; 0], "{kind}");
        }
        let mut groups = over("Aggregate", &scan);
        groups["Plan Rows"] = json!(20_000);
        let plan = over("Limit", &sort(&["(count(*))"], &groups));
        assert_eq!(notes(&plan, &indexes(&[])), [""; 0]);
        let plan = over("Limit", &sort(&["c.area DESC", "c.id DESC"], &scan));
        let [note] = &notes(&plan, &indexes(&[]))[..] else { panic!() };
        assert!(note.ends_with("CREATE INDEX ON \"erp\".\"cust\" (area DESC, id DESC)"), "{note}");
        assert_eq!(notes(&plan, &indexes(&["area", "id"])), [""; 0]);
    }

    #[test]
    fn long_conditions_are_cut_between_characters() {
        let list = "ä".repeat(5_000);
        let note = notes(&scan("Seq Scan", "cust", &format!("(c.area = '{list}')")), &indexes(&[]));
        assert!(note[0].len() < 700 && note[0].contains('…'), "{note:?}");
    }
}
