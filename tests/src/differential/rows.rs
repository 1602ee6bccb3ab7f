//! Made-up values, and rows of them.

use uuid::Uuid;

use super::schema::{Column, FIRST_OPTION, Kind, MOODS, Table};
use crate::random::Random;
use crate::tables::Cell;

/// Texts that letter case, accents, patterns, quotes and markup could trip over.
const WORDS: [&str; 27] = [
    "alpha",
    "Alpha",
    "ALPHA",
    "beta",
    "Beta Max",
    "gamma ray",
    "100%",
    "a_b",
    "[x]",
    "É",
    "é",
    "Müller",
    "MÜLLER",
    "日本",
    "🦓 stripe",
    "O'Brien",
    "\"quoted\"",
    "<b>&amp;",
    "",
    "tab\there",
    "back\\slash",
    "a;b,c",
    "Ωmega",
    "Contoso Retail",
    "contoso wholesale",
    "Seattle",
    "zz",
];

impl Kind {
    /// A value that occurs in rows.
    pub fn value(self, random: &mut Random) -> Cell {
        let year = 2015 + random.below(14);
        let (month, day) = (1 + random.below(12), 1 + random.below(28));
        match self {
            Self::Text | Self::Memo => {
                let word = *random.pick(&WORDS);
                match random.below(3) {
                    0 => Cell::Text(format!("{word} {}", random.pick(&WORDS)).trim().to_owned()),
                    _ => Cell::Text(word.to_owned()),
                }
            }
            Self::Int => Cell::Int(random.below(30) as i64 - 8),
            Self::Long => {
                let small = random.below(9) as i128;
                let large = if random.one_in(2) { 4_503_599_627_370_000 } else { 0 };
                Cell::Decimal((small + large) * 1_000_000_000_000)
            }
            Self::Decimal => {
                let units = random.below(400_000) as i128 - 100_000;
                Cell::Decimal(
                    units * if random.one_in(3) { 1_000_000_000_000 } else { 100_000_000 },
                )
            }
            Self::Bool => Cell::Int(FIRST_OPTION + random.below(2) as i64),
            Self::Choice => Cell::Int(FIRST_OPTION + random.below(MOODS.len()) as i64),
            Self::Date => Cell::Time(format!("{year}-{month:02}-{day:02}")),
            Self::Moment => {
                let (hour, minute) = (random.below(24), random.below(60));
                let fraction = *random.pick(&["000000", "500000", "123456"]);
                Cell::Time(format!(
                    "{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:07.{fraction}"
                ))
            }
            Self::Guid => Cell::Guid(Uuid::from_u64_pair(random.bits(), random.bits())),
        }
    }
}

pub(super) fn fill(tables: &mut [Table], at: usize, random: &mut Random) {
    // Later tables learn their keys when it is their turn: keys are functions of the number.
    let count = |at: usize| 18 + at * 5;
    let mut rows = Vec::new();
    let mut links = Vec::new();
    for number in 0..count(at) {
        let table = &tables[at];
        let mut row: Vec<Cell> = Vec::new();
        for (position, column) in table.columns.iter().enumerate() {
            row.push(match position {
                _ if position < table.key => key_cell(column, number),
                _ if position == table.key => Cell::Int(number as i64),
                _ if column.nullable && random.one_in(4) => Cell::Null,
                _ => column.kind.value(random),
            });
        }
        let mut leads = Vec::new();
        for foreign_key in &table.foreign_keys {
            let nullable = table.columns[foreign_key.columns[0]].nullable;
            let target = match nullable && random.one_in(4) {
                true => None,
                // Some have many that lead to them, others none.
                false => Some(random.below(count(foreign_key.target)).min(random.below(40))),
            };
            for (own, key) in foreign_key.columns.iter().zip(&tables[foreign_key.target].columns) {
                row[*own] = target.map_or(Cell::Null, |it| key_cell(key, it));
            }
            leads.push(target);
        }
        rows.push(row);
        links.push(leads);
    }
    tables[at].rows = rows;
    tables[at].links = links;
}

pub(crate) fn key_cell(column: &Column, number: usize) -> Cell {
    match column.kind {
        Kind::Guid => Cell::Guid(Uuid::from_u64_pair(
            (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15),
            number as u64,
        )),
        Kind::Text => Cell::Text(format!("{}-{number}", ["Aa", "b", "É"][number % 3])),
        _ if column.name == "part" => Cell::Int(number as i64 % 3),
        _ => Cell::Int(number as i64 * 7 + 1),
    }
}

pub(crate) fn literal(cell: &Cell, column: &Column) -> String {
    match (cell, column.kind) {
        (Cell::Null, _) => "NULL".to_owned(),
        (Cell::Text(text), _) => format!("'{}'", text.replace('\'', "''")),
        (Cell::Int(option), Kind::Bool) => (*option > FIRST_OPTION).to_string(),
        (Cell::Int(option), Kind::Choice) => {
            format!("'{}'", MOODS[(*option - FIRST_OPTION) as usize])
        }
        (Cell::Int(number), _) => number.to_string(),
        (Cell::Decimal(units), _) => crate::oracle::digits(*units),
        (Cell::Time(text), _) => format!("'{text}'"),
        (Cell::Guid(id), _) => format!("'{id}'"),
    }
}
