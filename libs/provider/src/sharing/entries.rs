//! Entries of the log as rows of an entity: which rows they touch, which of their columns, and how the rows
//! were before.

use std::collections::HashSet;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use super::map::Map;
use crate::binding::Binding;
use crate::changes::{NoColumn, Types, Visibility, record_id, relations, touched_by};
use crate::error::Error;
use crate::names::Ident;
use crate::plan::{Argument, Arguments, Past};

/// In the log, as its actor: what this side's rules made of an applied change.
pub(crate) const CORRECTION: &str = "tombolo:correction";

/// Entries of the log: a condition on `tombolo.change_log`, whose values come first in every statement.
#[derive(Clone, Debug)]
pub(crate) struct Entries {
    pub(crate) condition: String,
    pub(crate) arguments: Arguments,
}

/// A row of an entity, and what entries say of it.
#[derive(Clone, Debug)]
pub(crate) struct Touched {
    pub(crate) id: Uuid,
    /// Numbers of its first and last entries.
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// In how many transactions it was changed.
    pub(crate) transactions: i64,
    pub(crate) at: DateTime<Utc>,
    /// There is nothing but what rules made of an applied change.
    pub(crate) is_correction: bool,
    /// It was made. One that was there before was deleted and made again.
    pub(crate) is_made: bool,
    /// That was the first that happened to it.
    pub(crate) is_new: bool,
    /// Columns that hold something else than before, by their tables.
    pub(crate) columns: HashSet<(String, String)>,
    pub(crate) actor: Option<String>,
}

/// Which of the touched rows, in the order of their first entries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pages<'i> {
    /// Only these; empty: all.
    pub(crate) among: &'i [Uuid],
    pub(crate) after: (i64, Uuid),
    pub(crate) limit: i64,
}

/// Before what entries did, or after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Before,
    After,
}

/// The columns of an entity's tables.
#[derive(Debug)]
pub(crate) struct Columns(Vec<Vec<TableColumn>>);

#[derive(Debug)]
struct TableColumn {
    name: String,
    r#type: String,
    /// A domain's own, so that images need not meet it.
    base: String,
}

const BYTES: &str = "bytea";
const COLUMNS: &str = "
    SELECT wanted.index - 1, attname::text, format_type(atttypid, -1),
        format_type(coalesce(nullif(typbasetype, 0), pg_type.oid), -1)
    FROM unnest($1::text[]) WITH ORDINALITY AS wanted(relation, index)
    JOIN pg_attribute ON attrelid = to_regclass(wanted.relation)
    JOIN pg_type ON pg_type.oid = atttypid
    WHERE attnum > 0 AND NOT attisdropped
    ORDER BY 1, attnum";

// === impl Columns ===

impl Columns {
    pub(crate) async fn of(connection: &mut PgConnection, map: &Map) -> Result<Self, Error> {
        let binding = &map.binding;
        let query = sqlx::query_as(COLUMNS).bind(relations(binding));
        let rows: Result<Vec<(i64, String, String, String)>, _> = query.fetch_all(connection).await;
        let rows = rows.map_err(|error| Error::of(binding.name(), error))?;
        let mut columns: Vec<Vec<TableColumn>> = Vec::new();
        columns.resize_with(binding.sources.len(), Vec::new);
        for (index, name, r#type, base) in rows {
            let index = usize::try_from(index).unwrap_or_default();
            if let Some(columns) = columns.get_mut(index) {
                columns.push(TableColumn { name, r#type, base });
            }
        }
        Ok(Self(columns))
    }

    fn types(&self) -> Types {
        let tables = self.0.iter().enumerate().map(|(index, columns)| {
            let columns = columns.iter().filter(|it| it.base != BYTES);
            (index, columns.map(|it| (it.name.clone(), it.r#type.clone())).collect())
        });
        tables.collect()
    }
}

// === impl Entries ===

impl Entries {
    fn sql(&self) -> String {
        format!(
            "SELECT relation, old, new, seq, 0::bigint AS transaction, xid, at, actor
             FROM tombolo.change_log WHERE {}",
            self.condition
        )
    }

    /// The rows that they touch.
    pub(crate) async fn touched(
        &self,
        connection: &mut PgConnection,
        map: &Map,
        columns: &Columns,
        pages: Option<Pages<'_>>,
    ) -> Result<Vec<Touched>, Error> {
        let binding = &map.binding;
        let of = |error| Error::of(binding.name(), error);
        let touched =
            touched_by(binding, &columns.types(), &Visibility::unrestricted(), &self.sql());
        let touched = touched.map_err(|NoColumn(name)| Error::SchemaMismatch {
            entity: binding.name().to_owned(),
            source: sqlx::Error::ColumnNotFound(name),
        })?;
        let mut arguments = self.arguments.clone();
        // Where the table is another part of the entity as well, its new rows need not be new ones of the entity.
        let root = binding.sources.first().map(|it| it.table.clone()).unwrap_or_default();
        let is_once = binding.sources.iter().filter(|it| it.table == root).count() == 1;
        let root = arguments.push(Argument::Text(if is_once { root } else { String::new() }));
        let mut sql = format!("{touched}{}", rows_of(&root));
        if let Some(Pages { among, after: (first, id), limit }) = pages {
            let first = arguments.int(first);
            let id = arguments.push(Argument::Text(text_id(binding, id)));
            let _ = write!(sql, " HAVING (min(seq), id) > ({first}::bigint, {id}::text)");
            if !among.is_empty() {
                let among = among.iter().map(|it| text_id(binding, *it)).collect();
                let among = arguments.push(Argument::Texts(among));
                let _ = write!(sql, " AND id = ANY({among}::text[])");
            }
            let _ = write!(sql, " ORDER BY min(seq), id LIMIT {limit}");
        } else {
            sql.push_str(" ORDER BY min(seq), id");
        }
        let query = sqlx::query_with(AssertSqlSafe(sql), arguments.encode().map_err(of)?);
        let rows = query.fetch_all(connection).await.map_err(of)?;
        rows.iter().map(|row| read(binding, row).map_err(Error::Row)).collect()
    }

    /// The rows as they were at a moment, for a statement that reads images.
    pub(crate) fn past(&self, map: &Map, columns: &Columns, moment: Moment) -> Past {
        let (image, other, order) = match moment {
            Moment::Before => ("old", "new", "<"),
            Moment::After => ("new", "old", ">"),
        };
        let mut with = format!("WITH \"the entries\" AS MATERIALIZED ({})", self.sql());
        let mut names = Vec::new();
        for (index, source) in map.binding.sources.iter().enumerate() {
            let own = columns.0.get(index).map(Vec::as_slice).unwrap_or_default();
            let (list, record) = (list(own), record(own));
            let relation = source.table.replace('\'', "''");
            // Of several images of a row, the one that no other entry made, or undid.
            let _ = write!(
                with,
                ", \"the past {index}\" AS (SELECT {list}, e.seq AS \"the seq\" \
                 FROM \"the entries\" AS e CROSS JOIN LATERAL jsonb_to_record(e.{image}) AS r({record}) \
                 WHERE e.relation = '{relation}' AND e.{image} IS NOT NULL AND NOT EXISTS \
                 (SELECT FROM \"the entries\" AS w WHERE w.relation = e.relation \
                 AND w.{other} = e.{image} AND w.seq {order} e.seq)), \
                 \"the touched {index}\" AS (SELECT {list} \
                 FROM \"the entries\" AS e CROSS JOIN LATERAL jsonb_to_record(e.old) AS r({record}) \
                 WHERE e.relation = '{relation}' AND e.old IS NOT NULL UNION ALL SELECT {list} \
                 FROM \"the entries\" AS e CROSS JOIN LATERAL jsonb_to_record(e.new) AS r({record}) \
                 WHERE e.relation = '{relation}' AND e.new IS NOT NULL)"
            );
            names.push(own.iter().map(|it| Ident(&it.name).to_string()).collect());
        }
        with.push(' ');
        Past { with, arguments: self.arguments.clone(), columns: names, among: "false".to_owned() }
    }
}

/// Behind `touched_by`: one row for each row of the entity, which a row of `root` makes. Nobody wrote the empty columns
/// of a row that is made.
fn rows_of(root: &str) -> String {
    format!(
        ", \"the own\" AS (
            SELECT touched.id, entry.*
            FROM (SELECT DISTINCT id, seq FROM \"the touched\" WHERE id IS NOT NULL) AS touched
            JOIN \"the entries\" AS entry USING (seq)
        ), \"the fields\" AS (
            SELECT id, relation, field.key,
                (array_agg(field.old ORDER BY seq))[1] AS first,
                (array_agg(field.new ORDER BY seq DESC))[1] AS last
            FROM \"the own\" CROSS JOIN LATERAL (
                SELECT coalesce(a.key, b.key) AS key, nullif(a.value, 'null') AS old,
                    nullif(b.value, 'null') AS new
                FROM jsonb_each(coalesce(\"the own\".old, '{{}}')) AS a
                FULL JOIN jsonb_each(coalesce(\"the own\".new, '{{}}')) AS b ON a.key = b.key
                WHERE nullif(a.value, 'null') IS DISTINCT FROM nullif(b.value, 'null')
            ) AS field
            GROUP BY id, relation, field.key
        ), \"the columns\" AS (
            SELECT id, array_agg(relation || chr(31) || key) AS columns
            FROM \"the fields\" WHERE first IS DISTINCT FROM last GROUP BY id
        )
        SELECT id, min(seq), max(seq), count(DISTINCT xid), min(at),
            bool_and(coalesce(actor, '') = '{CORRECTION}'),
            coalesce(columns, '{{}}'), (array_agg(actor ORDER BY seq))[1],
            bool_or(old IS NULL AND relation = {root}::text),
            (array_agg(old IS NULL AND relation = {root}::text ORDER BY seq))[1]
        FROM \"the own\" LEFT JOIN \"the columns\" USING (id)
        GROUP BY id, columns"
    )
}

fn read(binding: &Binding, row: &PgRow) -> Result<Touched, sqlx::Error> {
    let id: String = row.try_get(0)?;
    let none = || sqlx::Error::Decode("a record id that is none".into());
    let columns: Vec<String> = row.try_get(6)?;
    let columns = columns.iter().filter_map(|it| it.split_once('\u{1f}'));
    let actor: Option<String> = row.try_get(7)?;
    Ok(Touched {
        id: record_id(binding, &id).ok_or_else(none)?,
        first: row.try_get(1)?,
        last: row.try_get(2)?,
        transactions: row.try_get(3)?,
        at: row.try_get(4)?,
        is_correction: row.try_get(5)?,
        columns: columns.map(|(table, name)| (table.to_owned(), name.to_owned())).collect(),
        actor: actor.filter(|it| it != CORRECTION),
        is_made: row.try_get(8)?,
        is_new: row.try_get(9)?,
    })
}

/// An id as statements about the log write it.
fn text_id(binding: &Binding, id: Uuid) -> String {
    use crate::binding::Identity;
    use crate::ids::{decode_hashed_guid, decode_record_guid};
    let text = match &binding.identity {
        Identity::Integer { .. } => {
            decode_record_guid(binding.entity_id, id).map(|it| it.to_string())
        }
        Identity::Uuid { .. } => Some(id.to_string()),
        Identity::Hash { .. } => decode_hashed_guid(binding.entity_id, id),
    };
    text.unwrap_or_default()
}

fn list(columns: &[TableColumn]) -> String {
    let column = |it: &TableColumn| match it.base.as_str() {
        BYTES => format!("NULL::bytea AS {}", Ident(&it.name)),
        _ => format!("r.{}", Ident(&it.name)),
    };
    columns.iter().map(column).collect::<Vec<_>>().join(", ")
}

fn record(columns: &[TableColumn]) -> String {
    let kept = columns.iter().filter(|it| it.base != BYTES);
    kept.map(|it| format!("{} {}", Ident(&it.name), it.base)).collect::<Vec<_>>().join(", ")
}
