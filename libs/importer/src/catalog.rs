//! What PostgreSQL says is there. One query for each kind of thing, whatever the number of tables,
//! all in one snapshot.

use std::collections::HashMap;

use sqlx::{Connection as _, PgConnection};

use crate::Error;

/// An object's number in PostgreSQL's catalog.
pub(crate) type Oid = i64;

#[derive(Debug, Default)]
pub(crate) struct Catalog {
    /// By schema, then by name.
    pub(crate) tables: Vec<Table>,
    pub(crate) types: HashMap<Oid, Type>,
    pub(crate) foreign_keys: Vec<ForeignKey>,
    /// CHECK expressions of domains.
    pub(crate) domain_checks: HashMap<Oid, Vec<String>>,
}

/// A table, a view, or whatever else has columns.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) oid: Oid,
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) kind: TableKind,
    pub(crate) comment: Option<String>,
    /// Other tables inherit from it, so that its rows are not its own only.
    pub(crate) has_heirs: bool,
    /// The extension it belongs to.
    pub(crate) extension: Option<String>,
    pub(crate) columns: Vec<Column>,
    /// Unique indexes over plain columns, the primary key first, then by name.
    pub(crate) keys: Vec<Key>,
    pub(crate) checks: Vec<Check>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableKind {
    /// Partitioned ones too.
    Table,
    View,
    Foreign,
}

#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) number: i16,
    pub(crate) name: String,
    pub(crate) type_oid: Oid,
    /// What the type says in brackets; -1 for nothing.
    pub(crate) type_modifier: i32,
    pub(crate) not_null: bool,
    pub(crate) has_default: bool,
    /// Generated, identity always, or of a view that cannot be written: PostgreSQL takes no value.
    pub(crate) is_generated: bool,
    /// An identity, or numbered by a sequence: the database gives the values out.
    pub(crate) is_numbered: bool,
    pub(crate) comment: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) columns: Vec<i16>,
    pub(crate) is_primary: bool,
}

/// A CHECK over one column.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) column: i16,
    pub(crate) expression: String,
}

#[derive(Debug)]
pub(crate) struct ForeignKey {
    pub(crate) name: String,
    pub(crate) table: Oid,
    pub(crate) columns: Vec<i16>,
    pub(crate) target: Oid,
    pub(crate) target_columns: Vec<i16>,
}

#[derive(Debug)]
pub(crate) struct Type {
    pub(crate) schema: String,
    pub(crate) name: String,
    /// For people: `integer[]`.
    pub(crate) display: String,
    pub(crate) kind: TypeKind,
}

#[derive(Debug)]
pub(crate) enum TypeKind {
    Base,
    Domain {
        base: Oid,
        modifier: i32,
        not_null: bool,
        has_default: bool,
    },
    Enum {
        labels: Vec<String>,
    },
    /// Arrays, ranges, composites and the like.
    Other,
}

impl Table {
    pub(crate) fn column(&self, number: i16) -> Option<&Column> {
        self.columns.iter().find(|it| it.number == number)
    }
}

/// Reads the tables of `schemas`, or of all schemas.
pub(crate) async fn read(
    connection: &mut PgConnection,
    schemas: &[String],
) -> Result<Catalog, Error> {
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    let mut snapshot = connection.begin_with(begin).await?;
    let schemas = chosen_schemas(&mut snapshot, schemas).await?;
    let mut tables = read_tables(&mut snapshot, &schemas).await?;
    let oids: Vec<_> = tables.iter().map(|it| it.oid).collect();
    let mut columns = by_owner(read_columns(&mut snapshot, &oids).await?);
    let mut keys = by_owner(read_keys(&mut snapshot, &oids).await?);
    let mut checks = by_owner(read_checks(&mut snapshot, &oids).await?);
    for table in &mut tables {
        table.columns = columns.remove(&table.oid).unwrap_or_default();
        table.keys = keys.remove(&table.oid).unwrap_or_default();
        table.checks = checks.remove(&table.oid).unwrap_or_default();
    }
    let foreign_keys = read_foreign_keys(&mut snapshot, &oids).await?;
    let types = read_types(&mut snapshot).await?;
    let domain_checks = by_owner(read_domain_checks(&mut snapshot).await?);
    snapshot.rollback().await?;
    Ok(Catalog { tables, types, foreign_keys, domain_checks })
}

/// What belongs together, in the order it came in.
fn by_owner<T>(rows: Vec<(Oid, T)>) -> HashMap<Oid, Vec<T>> {
    let mut owners: HashMap<_, Vec<_>> = HashMap::new();
    for (owner, row) in rows {
        owners.entry(owner).or_default().push(row);
    }
    owners
}

async fn chosen_schemas(
    connection: &mut PgConnection,
    wanted: &[String],
) -> Result<Vec<String>, Error> {
    // A name that begins with pg_ is PostgreSQL's own: nobody else may create one. What Tombolo keeps
    // beside the ERP's rows is no part of the ERP: changes and answers of everybody, whatever they may see.
    let sql = "SELECT nspname::text FROM pg_catalog.pg_namespace \
               WHERE nspname NOT IN ('information_schema', 'tombolo') AND left(nspname, 3) <> 'pg_'";
    let all: Vec<String> = sqlx::query_scalar(sql).fetch_all(connection).await?;
    match wanted.iter().find(|it| !all.contains(it)) {
        Some(unknown) => Err(Error::UnknownSchema(unknown.clone())),
        None if wanted.is_empty() => Ok(all),
        None => Ok(wanted.to_vec()),
    }
}

async fn read_tables(
    connection: &mut PgConnection,
    schemas: &[String],
) -> Result<Vec<Table>, sqlx::Error> {
    // Partitions are left out: their rows are the partitioned table's.
    let sql = "SELECT c.oid::int8, n.nspname::text, c.relname::text, c.relkind::text, \
                      pg_catalog.obj_description(c.oid, 'pg_class'), \
                      c.relkind = 'r' AND EXISTS ( \
                        SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid), \
                      (SELECT x.extname::text FROM pg_catalog.pg_depend d \
                       JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid \
                       WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid \
                         AND d.refclassid = 'pg_catalog.pg_extension'::regclass \
                         AND d.deptype = 'e') \
               FROM pg_catalog.pg_class c \
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition \
                 AND n.nspname = ANY($1) \
               ORDER BY n.nspname::text COLLATE \"C\", c.relname::text COLLATE \"C\"";
    type Row = (Oid, String, String, String, Option<String>, bool, Option<String>);
    let rows: Vec<Row> = sqlx::query_as(sql).bind(schemas).fetch_all(connection).await?;
    let table = |(oid, schema, name, kind, comment, has_heirs, extension): Row| Table {
        oid,
        schema,
        name,
        kind: match kind.as_str() {
            "r" | "p" => TableKind::Table,
            "f" => TableKind::Foreign,
            _ => TableKind::View,
        },
        comment,
        has_heirs,
        extension,
        columns: Vec::new(),
        keys: Vec::new(),
        checks: Vec::new(),
    };
    Ok(rows.into_iter().map(table).collect())
}

async fn read_columns(
    connection: &mut PgConnection,
    tables: &[Oid],
) -> Result<Vec<(Oid, Column)>, sqlx::Error> {
    let sql = "SELECT a.attrelid::int8, a.attnum, a.attname::text, a.atttypid::int8, a.atttypmod, \
                      a.attnotnull, a.atthasdef OR a.attidentity <> '', \
                      a.attgenerated <> '' OR a.attidentity = 'a' \
                        OR NOT pg_catalog.pg_column_is_updatable(a.attrelid, a.attnum, true), \
                      a.attidentity <> '' OR EXISTS ( \
                        SELECT FROM pg_catalog.pg_attrdef d \
                        WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum \
                          AND pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%'), \
                      pg_catalog.col_description(a.attrelid, a.attnum) \
               FROM pg_catalog.pg_attribute a \
               WHERE a.attrelid = ANY($1::int8[]::oid[]) AND a.attnum > 0 AND NOT a.attisdropped \
               ORDER BY a.attrelid, a.attnum";
    type Row = (Oid, i16, String, Oid, i32, bool, bool, bool, bool, Option<String>);
    let rows: Vec<Row> = sqlx::query_as(sql).bind(tables).fetch_all(connection).await?;
    let column = |row: Row| {
        let (table, number, name, type_oid, type_modifier, not_null, ..) = row;
        let (.., has_default, is_generated, is_numbered, comment) = row;
        (
            table,
            Column {
                number,
                name,
                type_oid,
                type_modifier,
                not_null,
                has_default,
                is_generated,
                is_numbered,
                comment,
            },
        )
    };
    Ok(rows.into_iter().map(column).collect())
}

/// Only what can identify a row for ever: whole tables, plain columns, checked at once.
async fn read_keys(
    connection: &mut PgConnection,
    tables: &[Oid],
) -> Result<Vec<(Oid, Key)>, sqlx::Error> {
    let sql = "SELECT i.indrelid::int8, i.indisprimary, \
                      ARRAY(SELECT k.number FROM unnest(i.indkey::int2[]) \
                            WITH ORDINALITY AS k(number, place) \
                            WHERE k.place <= i.indnkeyatts ORDER BY k.place) \
               FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
               WHERE i.indrelid = ANY($1::int8[]::oid[]) AND i.indisunique AND i.indisvalid \
                 AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL \
               ORDER BY i.indrelid, i.indisprimary DESC, c.relname::text COLLATE \"C\"";
    let rows: Vec<(Oid, bool, Vec<i16>)> =
        sqlx::query_as(sql).bind(tables).fetch_all(connection).await?;
    let key = |(table, is_primary, columns)| (table, Key { columns, is_primary });
    Ok(rows.into_iter().map(key).collect())
}

async fn read_checks(
    connection: &mut PgConnection,
    tables: &[Oid],
) -> Result<Vec<(Oid, Check)>, sqlx::Error> {
    // One that is not valid says nothing of the rows that are there.
    let sql = "SELECT c.conrelid::int8, c.conkey[1], pg_catalog.pg_get_expr(c.conbin, c.conrelid) \
               FROM pg_catalog.pg_constraint c \
               WHERE c.conrelid = ANY($1::int8[]::oid[]) AND c.contype = 'c' AND c.convalidated \
                 AND cardinality(c.conkey) = 1 \
               ORDER BY c.conrelid, c.conname::text COLLATE \"C\"";
    let rows: Vec<(Oid, i16, String)> =
        sqlx::query_as(sql).bind(tables).fetch_all(connection).await?;
    let check = |(table, column, expression)| (table, Check { column, expression });
    Ok(rows.into_iter().map(check).collect())
}

async fn read_foreign_keys(
    connection: &mut PgConnection,
    tables: &[Oid],
) -> Result<Vec<ForeignKey>, sqlx::Error> {
    // One with a parent is a partition's copy.
    let sql = "SELECT c.conname::text, c.conrelid::int8, c.conkey, c.confrelid::int8, c.confkey \
               FROM pg_catalog.pg_constraint c \
               WHERE c.conrelid = ANY($1::int8[]::oid[]) AND c.contype = 'f' \
                 AND c.conparentid = 0 \
               ORDER BY c.conrelid, c.conkey, c.conname::text COLLATE \"C\"";
    type Row = (String, Oid, Vec<i16>, Oid, Vec<i16>);
    let rows: Vec<Row> = sqlx::query_as(sql).bind(tables).fetch_all(connection).await?;
    let foreign_key = |(name, table, columns, target, target_columns): Row| ForeignKey {
        name,
        table,
        columns,
        target,
        target_columns,
    };
    Ok(rows.into_iter().map(foreign_key).collect())
}

async fn read_types(connection: &mut PgConnection) -> Result<HashMap<Oid, Type>, sqlx::Error> {
    let sql = "SELECT t.oid::int8, n.nspname::text, t.typname::text, \
                      pg_catalog.format_type(t.oid, NULL), \
                      CASE WHEN t.typcategory = 'A' THEN 'array' ELSE t.typtype::text END, \
                      t.typbasetype::int8, t.typtypmod, t.typnotnull, \
                      t.typdefault IS NOT NULL, \
                      ARRAY(SELECT e.enumlabel::text FROM pg_catalog.pg_enum e \
                            WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder) \
               FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace";
    type Row = (Oid, String, String, String, String, Oid, i32, bool, bool, Vec<String>);
    let rows: Vec<Row> = sqlx::query_as(sql).fetch_all(connection).await?;
    let r#type = |row: Row| {
        let (oid, schema, name, display, kind, base, modifier, not_null, has_default, labels) = row;
        let kind = match kind.as_str() {
            "b" => TypeKind::Base,
            "d" => TypeKind::Domain { base, modifier, not_null, has_default },
            "e" => TypeKind::Enum { labels },
            _ => TypeKind::Other,
        };
        (oid, Type { schema, name, display, kind })
    };
    Ok(rows.into_iter().map(r#type).collect())
}

async fn read_domain_checks(
    connection: &mut PgConnection,
) -> Result<Vec<(Oid, String)>, sqlx::Error> {
    let sql = "SELECT c.contypid::int8, pg_catalog.pg_get_expr(c.conbin, 0) \
               FROM pg_catalog.pg_constraint c \
               WHERE c.contypid <> 0 AND c.contype = 'c' AND c.convalidated \
               ORDER BY c.contypid, c.conname::text COLLATE \"C\"";
    sqlx::query_as(sql).fetch_all(connection).await
}
