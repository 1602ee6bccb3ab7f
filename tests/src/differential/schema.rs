//! Made-up schemas and rows: every column type, several kinds of identity, foreign keys of one and
//! two columns, to other tables and to the table itself.

use std::fmt::Write as _;

use super::rows::{fill, literal};
use super::rules::Rules;
use crate::random::Random;
use crate::tables::Cell;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `varchar`.
    Text,
    /// `text`.
    Memo,
    /// `integer`.
    Int,
    /// `bigint`, a decimal to the platform.
    Long,
    /// `numeric(18,4)`.
    Decimal,
    /// `boolean`, an option to the platform.
    Bool,
    /// An enum type of three members.
    Choice,
    /// `date`.
    Date,
    /// `timestamp`.
    Moment,
    /// `uuid`.
    Guid,
}

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    /// In SQL.
    pub name: String,
    /// What goes before it on the platform.
    pub prefix: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may hold nothing.
    pub nullable: bool,
}

/// A reference to another table's key.
#[derive(Clone, Debug)]
pub struct ForeignKey {
    /// Of the relation: `owner1`.
    pub name: String,
    /// Logical name of the lookup column.
    pub lookup: String,
    /// The single-valued navigation property.
    pub navigation: String,
    /// The target's collection of the rows of this table.
    pub collection: String,
    /// Positions of this table's columns.
    pub columns: Vec<usize>,
    /// Position of the other table.
    pub target: usize,
}

/// A table with its rows.
#[derive(Clone, Debug)]
pub struct Table {
    /// In SQL.
    pub name: &'static str,
    /// What goes before it on the platform; nothing for a native table.
    pub prefix: &'static str,
    /// The first ones are the key, then comes `tag`, which is unique too.
    pub columns: Vec<Column>,
    /// How many columns the key has.
    pub key: usize,
    /// References to others.
    pub foreign_keys: Vec<ForeignKey>,
    /// Values in the order of the columns.
    pub rows: Vec<Vec<Cell>>,
    /// For each row, the row that each foreign key leads to.
    pub links: Vec<Vec<Option<usize>>>,
}

/// Tables that refer to each other.
#[derive(Clone, Debug)]
pub struct Schema {
    /// At least two.
    pub tables: Vec<Table>,
    /// How they compare.
    pub rules: Rules,
    /// The GUIDs of their rows, once a system has told them.
    pub ids: Vec<Vec<String>>,
}

/// Before the names of virtual tables and their columns.
pub(super) const PREFIX: &str = "mserp_";
const NAMES: [&str; 5] = ["alder", "birch", "cedar", "fir", "hazel"];
const KINDS: [Kind; 10] = [
    Kind::Text,
    Kind::Memo,
    Kind::Int,
    Kind::Long,
    Kind::Decimal,
    Kind::Bool,
    Kind::Choice,
    Kind::Date,
    Kind::Moment,
    Kind::Guid,
];
/// Members of the enum type; none is another in another letter case.
pub const MOODS: [&str; 3] = ["Low", "middle", "HIGH"];
pub(super) const FIRST_OPTION: i64 = 200_000_000;

impl Schema {
    /// A new one.
    pub fn random(random: &mut Random) -> Self {
        let count = 4 + random.below(2);
        let mut tables: Vec<Table> =
            NAMES.iter().take(count).enumerate().map(|it| Table::random(random, it)).collect();
        for at in 0..count {
            for number in 0..1 + random.below(3) {
                let target = random.below(count);
                let name = format!("owner{number}");
                let foreign_key = ForeignKey::new(tables[at].name, name, target);
                refer(&mut tables, at, foreign_key, random);
            }
        }
        for at in 0..count {
            fill(&mut tables, at, random);
        }
        let rules = Rules { exact: random.one_in(4), ..Rules::default() };
        Self { tables, rules, ids: Vec::new() }
    }

    /// Statements that make it.
    #[must_use]
    pub fn sql(&self) -> String {
        let moods = MOODS.map(|it| format!("'{it}'")).join(", ");
        let mut sql = format!("CREATE TYPE mood AS ENUM ({moods});\n");
        for table in &self.tables {
            table.create(&mut sql);
        }
        for table in &self.tables {
            for foreign_key in &table.foreign_keys {
                let columns = table.column_list(&foreign_key.columns);
                let target = &self.tables[foreign_key.target];
                let key = target.column_list(&(0..target.key).collect::<Vec<_>>());
                let (name, constraint) = (table.name, &foreign_key.name);
                let _ = writeln!(
                    sql,
                    "ALTER TABLE {name} ADD CONSTRAINT {name}_{constraint}_fkey \
                     FOREIGN KEY ({columns}) REFERENCES {} ({key});",
                    target.name
                );
            }
        }
        sql
    }
}

impl Table {
    fn random(random: &mut Random, (at, name): (usize, &&'static str)) -> Self {
        let column = |name: &str, kind| Column {
            name: name.to_owned(),
            prefix: PREFIX,
            kind,
            nullable: false,
        };
        let mut columns = match (at + random.below(2)) % 4 {
            0 => vec![column("id", Kind::Int)],
            1 => vec![column("code", Kind::Text)],
            2 => vec![column("id", Kind::Guid)],
            _ => vec![column("part", Kind::Int), column("code", Kind::Text)],
        };
        let key = columns.len();
        columns.push(column("tag", Kind::Int));
        for (number, kind) in KINDS.iter().enumerate() {
            columns.push(Column {
                prefix: PREFIX,
                name: format!("c{number}"),
                kind: *kind,
                nullable: !random.one_in(4),
            });
        }
        // A second one of some types, so that columns can be compared with each other.
        for number in KINDS.len()..KINDS.len() + 3 {
            let kind = *random.pick(&KINDS);
            columns.push(Column {
                name: format!("c{number}"),
                prefix: PREFIX,
                kind,
                nullable: true,
            });
        }
        let (foreign_keys, rows, links) = (Vec::new(), Vec::new(), Vec::new());
        Self { name, prefix: PREFIX, columns, key, foreign_keys, rows, links }
    }

    /// Position of the column that tells rows apart.
    #[must_use]
    pub fn tag(&self) -> usize {
        self.key
    }

    /// On the platform.
    #[must_use]
    pub fn logical(&self) -> String {
        format!("{}{}", self.prefix, self.name)
    }

    /// The column of the row's GUID.
    #[must_use]
    pub fn primary_id(&self) -> String {
        format!("{}{}id", self.prefix, self.name)
    }

    /// Of the model: capitalised.
    #[must_use]
    pub fn entity(&self) -> String {
        capitalised(self.name)
    }

    fn column_list(&self, columns: &[usize]) -> String {
        columns.iter().map(|it| self.columns[*it].name.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn create(&self, sql: &mut String) {
        let columns = self.columns.iter().map(|it| {
            let null = if it.nullable { "" } else { " NOT NULL" };
            format!("{} {}{null}", it.name, it.kind.sql())
        });
        let columns = columns.collect::<Vec<_>>().join(", ");
        let key = self.column_list(&(0..self.key).collect::<Vec<_>>());
        let name = self.name;
        let _ = writeln!(sql, "CREATE TABLE {name} ({columns}, PRIMARY KEY ({key}));");
        for row in &self.rows {
            let cells = row.iter().zip(&self.columns).map(|(cell, column)| literal(cell, column));
            let cells = cells.collect::<Vec<_>>().join(", ");
            let _ = writeln!(sql, "INSERT INTO {name} VALUES ({cells});");
        }
    }
}

impl ForeignKey {
    /// Of a table of this name; its columns come later.
    pub(super) fn new(table: &str, name: String, target: usize) -> Self {
        let (entity, relation) = (capitalised(table), capitalised(&name));
        Self {
            lookup: format!("{PREFIX}fk_{name}_id"),
            navigation: format!("{PREFIX}FK_{relation}_id"),
            collection: format!("{PREFIX}FK_{entity}_{relation}"),
            name,
            columns: Vec::new(),
            target,
        }
    }
}

impl Column {
    /// On the platform.
    #[must_use]
    pub fn logical(&self) -> String {
        format!("{}{}", self.prefix, self.name)
    }
}

impl Kind {
    fn sql(self) -> &'static str {
        match self {
            Self::Text => "varchar(60)",
            Self::Memo => "text",
            Self::Int => "integer",
            Self::Long => "bigint",
            Self::Decimal => "numeric(18,4)",
            Self::Bool => "boolean",
            Self::Choice => "mood",
            Self::Date => "date",
            Self::Moment => "timestamp",
            Self::Guid => "uuid",
        }
    }

    /// Whether it is text.
    #[must_use]
    pub fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Memo)
    }

    /// Whether the platform adds it up.
    #[must_use]
    pub fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Long | Self::Decimal)
    }

    /// Whether it is an option.
    #[must_use]
    pub fn is_option(self) -> bool {
        matches!(self, Self::Bool | Self::Choice)
    }

    /// Whether it is a date or a moment.
    #[must_use]
    pub fn is_time(self) -> bool {
        matches!(self, Self::Date | Self::Moment)
    }
}

fn refer(tables: &mut [Table], at: usize, mut foreign_key: ForeignKey, random: &mut Random) {
    let key: Vec<Column> =
        tables[foreign_key.target].columns[..tables[foreign_key.target].key].to_vec();
    let nullable = !random.one_in(4);
    for column in &key {
        let name = match key.len() {
            1 => foreign_key.name.clone(),
            _ => format!("{}{}", foreign_key.name, column.name),
        };
        foreign_key.columns.push(tables[at].columns.len());
        let kind = column.kind;
        tables[at].columns.push(Column { name, prefix: PREFIX, kind, nullable });
    }
    tables[at].foreign_keys.push(foreign_key);
}

fn capitalised(name: &str) -> String {
    let mut characters = name.chars();
    characters.next().map_or_else(String::new, |it| it.to_ascii_uppercase().to_string())
        + characters.as_str()
}
