//! Rows as they were: images of the change log in place of tables.
//!
//! Each source of the entity has two tables of images: `"the past N"`, as its rows were at the moment that is
//! meant, with a number that says which came first, and `"the touched N"`, every image of rows that were
//! changed around it. A row that no image tells of is as it is now.

use std::fmt::Write as _;

use super::scope::ROOT;
use super::{Arguments, Planner};
use crate::binding::{Binding, Identity};

/// The moment.
#[derive(Debug)]
pub(crate) struct Past {
    /// What the statement begins with: the tables of images.
    pub(crate) with: String,
    /// Its values.
    pub(crate) arguments: Arguments,
    /// The columns of each source, quoted, as the images have them too.
    pub(crate) columns: Vec<Vec<String>>,
    /// Which of the root's rows are meant.
    pub(crate) among: String,
}

impl Planner<'_> {
    /// The FROM clause of the root's own tables, as they were.
    pub(super) fn past_tables(&self, past: &Past) -> String {
        let Some(binding) = self.binding(ROOT) else { return String::new() };
        let mut sql = String::new();
        for (index, source) in binding.sources.iter().enumerate() {
            let (table, alias) = (&source.table, &source.alias);
            let own = past.columns.get(index).map(Vec::as_slice).unwrap_or_default();
            let own: Vec<String> = own.iter().map(|it| format!("{alias}.{it}")).collect();
            let own = own.join(", ");
            let _ = match &source.join {
                None => {
                    let (id, among) = (identity(&binding), &past.among);
                    write!(
                        sql,
                        "((SELECT DISTINCT ON ({id}) {own} FROM \"the past {index}\" AS {alias} \
                         WHERE {among} ORDER BY {id}, {alias}.\"the seq\") UNION ALL \
                         SELECT {own} FROM {table} AS {alias} WHERE {among} AND NOT \
                         coalesce({id} = ANY(ARRAY(SELECT {id} FROM \"the touched {index}\" \
                         AS {alias})), false)) AS {alias}"
                    )
                }
                Some(join) => {
                    let (kind, on) =
                        (if join.optional { "LEFT JOIN" } else { "JOIN" }, &join.condition);
                    write!(
                        sql,
                        " {kind} LATERAL ((SELECT {own} FROM \"the past {index}\" AS {alias} \
                         WHERE {on} ORDER BY {alias}.\"the seq\" LIMIT 1) UNION ALL \
                         SELECT {own} FROM {table} AS {alias} WHERE {on} AND NOT EXISTS \
                         (SELECT FROM \"the touched {index}\" AS {alias} WHERE {on})) AS {alias} ON true"
                    )
                }
            };
        }
        sql
    }
}

fn identity(binding: &Binding) -> &str {
    match &binding.identity {
        Identity::Integer { column } | Identity::Uuid { column } => column,
        Identity::Hash { expression, .. } => expression,
    }
}
