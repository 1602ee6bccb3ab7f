//! Queries made at random: whatever is linked, compared and sorted by whatever, PostgreSQL takes the
//! statement, and pages together are the whole.

use proto::query::v1 as pb;
use proto::query::v1::{ConditionOperator as Op, JoinOperator as Join};

use crate::shop::{Shop, at, beside, link, on, order, output, query, text, when};

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        // A step of SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (it ^ (it >> 31)) % limit
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let index = self.below(from.len() as u64);
        &from[usize::try_from(index).unwrap()]
    }
}

const TABLES: [&str; 4] = ["areas", "groups", "customers", "orders"];
const JOINED: [Join; 3] = [Join::Inner, Join::LeftOuter, Join::MatchFirstRow];
const RELATED: [Join; 6] =
    [Join::In, Join::Exists, Join::Any, Join::NotAny, Join::All, Join::NotAll];

/// A text of each table, and what else may be compared with null or sorted by.
fn columns(table: &str) -> &'static [&'static str] {
    match table {
        "areas" => &["name", "$id", "$primary"],
        "groups" => &["title", "$id", "@Area", "code", "area"],
        "customers" => &["name", "$id", "@Group", "@Parent", "since", "mood", "balance"],
        _ => &["customer_code", "$id", "@Customer", "@Secret", "placed", "total", "guid"],
    }
}

/// Tables that one leads to, and how.
fn ways(table: &str) -> &'static [(&'static str, &'static [(&'static str, &'static str)])] {
    match table {
        "areas" => &[("groups", &[("@Area", "$id")]), ("groups", &[("area", "$id")])],
        "groups" => &[
            ("areas", &[("$id", "@Area")]),
            ("customers", &[("@Group", "$id")]),
            ("customers", &[("company", "company"), ("group_code", "code")]),
        ],
        "customers" => &[
            ("groups", &[("$id", "@Group")]),
            ("customers", &[("$id", "@Parent")]),
            ("customers", &[("parent", "id")]),
            ("orders", &[("company", "company"), ("customer_code", "code")]),
            ("orders", &[("@Customer", "$id")]),
        ],
        _ => &[("customers", &[("$id", "@Customer")]), ("customers", &[("$id", "guid")])],
    }
}

/// A query being made.
struct Maker {
    dice: Dice,
    root: &'static str,
    /// Links so far, and the joined ones among them with their tables.
    links: usize,
    joined: Vec<(String, &'static str)>,
}

impl Maker {
    fn condition(&mut self, table: &str) -> pb::ConditionExpression {
        let own = columns(table);
        match self.dice.below(6) {
            0 => when(own[0], Op::Contains, vec![text("r")]),
            1 => when(own[0], Op::NotEqual, vec![text("ÄRGER")]),
            2 => beside(own[0], Op::NotEqual, &format!("$it.{}", columns(self.root)[0])),
            3 => beside("$id", Op::NotEqual, "$it.$id"),
            _ => {
                let column = self.dice.pick(own);
                let op = *self.dice.pick(&[Op::Null, Op::NotNull]);
                let own = if *column == "$primary" { "name" } else { column };
                when(own, op, vec![])
            }
        }
    }

    fn filter(&mut self, table: &'static str, depth: u64) -> pb::FilterExpression {
        let operator = 1 + i32::try_from(self.dice.below(2)).unwrap();
        let mut filter = pb::FilterExpression { operator, ..Default::default() };
        for _ in 0..self.dice.below(3) {
            filter.conditions.push(self.condition(table));
        }
        if depth < 3 && self.links < 7 && self.dice.below(2) == 0 {
            filter.links.push(self.link(table, false, depth + 1));
        }
        if depth < 3 && self.dice.below(4) == 0 {
            filter.filters.push(self.filter(table, depth + 1));
        }
        filter
    }

    fn link(&mut self, from: &'static str, is_joined: bool, depth: u64) -> pb::LinkEntity {
        self.links += 1;
        let alias = format!("l{}", self.links);
        let (table, pairs) = *self.dice.pick(ways(from));
        let join = *self.dice.pick(if is_joined { &JOINED[..] } else { &RELATED[..] });
        let pairs = pairs.iter().map(|(column, parent)| on(column, parent)).collect();
        let mut made = link(&alias, table, join, pairs);
        if is_joined {
            self.joined.push((alias, table));
        }
        // Joined within a subquery: nobody outside can name it.
        let outside = self.joined.len();
        while depth < 3 && self.links < 7 && self.dice.below(3) == 0 {
            made.links.push(self.link(table, true, depth + 1));
        }
        made.criteria = Some(self.filter(table, depth + 1));
        if !is_joined {
            self.joined.truncate(outside);
        }
        made
    }

    fn make(&mut self) -> pb::QueryExpression {
        let mut made = query(self.root, &[]);
        while self.links < 3 && self.dice.below(3) > 0 {
            made.links.push(self.link(self.root, true, 0));
        }
        let known = self.joined.clone();
        made.criteria = Some(self.filter(self.root, 0));
        let mut paths: Vec<String> = columns(self.root).iter().map(|it| (*it).into()).collect();
        for (alias, table) in &known {
            paths.extend(columns(table).iter().map(|it| format!("{alias}.{it}")));
        }
        for index in 0..4 {
            made.columns.push(output(index, self.dice.pick(&paths[..]).as_str()));
        }
        let sorted: Vec<String> =
            made.columns.iter().map(|it| path(it.column.as_ref().unwrap())).collect();
        for _ in 0..self.dice.below(4) {
            let descending = self.dice.below(2) == 0;
            made.orders.push(order(self.dice.pick(&sorted[..]).as_str(), descending));
        }
        match self.dice.below(5) {
            0 => made.distinct = true,
            1 => {
                made.columns.iter_mut().for_each(|it| it.group_by = true);
                let aggregate = pb::Aggregate::Count.into();
                made.columns.push(pb::OutputColumn { aggregate, ..output(9, "$id") });
            }
            2 => {
                let by = vec![at(self.dice.pick(&paths[..]).as_str())];
                made.partition_limit = Some(pb::PartitionLimit { by, limit: 2 });
            }
            _ => {}
        }
        made
    }
}

/// What [`at`] read.
fn path(column: &pb::ColumnRef) -> String {
    use pb::column_ref::Column;
    let name = match column.column.as_ref().unwrap() {
        Column::Field(it) => it.clone(),
        Column::Relation(it) => format!("@{it}"),
        Column::System(it) if *it == pb::SystemColumn::RecordId as i32 => "$id".into(),
        Column::System(_) => "$primary".into(),
    };
    if column.link.is_empty() { name } else { format!("{}.{name}", column.link) }
}

#[tokio::test]
async fn fx_02_random_queries_run_and_page() {
    let shop = Shop::new().await;
    let mut several = 0;
    for seed in 0..100 {
        let mut dice = Dice(seed);
        let root = *dice.pick(&TABLES);
        let query = Maker { dice, root, links: 0, joined: Vec::new() }.make();
        let total_count = pb::TotalCount::Exact.into();
        let counted = pb::QueryExpression { total_count, ..query.clone() };
        let answer = shop.ask(&counted).await.unwrap_or_else(|error| {
            panic!("seed {seed}: {error}\n{query:#?}");
        });
        let whole = crate::shop::arrays(&answer);
        let total = usize::try_from(answer.total.unwrap()).unwrap();
        assert_eq!(total.min(1_000), whole.len(), "seed {seed}");
        if (2..1_000).contains(&whole.len()) {
            several += 1;
            let size = i32::try_from(whole.len() / 3 + 1).unwrap();
            assert_eq!(shop.walk(&query, size).await, whole, "seed {seed}");
        }
    }
    assert!(several > 25, "only {several} queries had several rows");
}
