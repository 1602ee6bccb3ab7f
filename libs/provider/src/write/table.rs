//! What the database itself knows of a table: its columns, keys, references and triggers.

use serde_json::Value as Json;

/// A table, as its database describes it.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) kind: TableKind,
    /// Something may change or drop a row before it is written.
    pub(crate) has_triggers: bool,
    pub(crate) columns: Vec<TableColumn>,
    /// Keys, and what else keeps rows apart.
    pub(crate) keys: Vec<Key>,
    pub(crate) checks: Vec<Check>,
    /// From this table to others.
    pub(crate) references: Vec<Reference>,
    /// From others to this one.
    pub(crate) referrers: Vec<Reference>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TableKind {
    #[default]
    Plain,
    /// The version of a row that is being written cannot be returned.
    Partitioned,
    View,
}

#[derive(Debug)]
pub(crate) struct TableColumn {
    pub(crate) name: String,
    /// What values are cast to: the type beneath any domain, without limits, so that what is too long
    /// is refused and not cut.
    pub(crate) base: String,
    /// Characters, of a text.
    pub(crate) length: Option<usize>,
    /// Digits in all and behind the point, of a numeric.
    pub(crate) precision: Option<(i64, i64)>,
    /// Name of the domain, where the type is one.
    pub(crate) domain: Option<String>,
    pub(crate) not_null: bool,
    /// The database gives a value where none is given.
    pub(crate) has_default: bool,
    /// Only the database gives values.
    pub(crate) is_generated: bool,
}

#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
    /// No two rows have the same values in these columns.
    pub(crate) is_unique: bool,
}

#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
}

/// A foreign key.
#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) name: String,
    /// Columns of the table at hand.
    pub(crate) columns: Vec<String>,
    /// The table at the other end, and its columns.
    pub(crate) schema: String,
    pub(crate) table: String,
    pub(crate) others: Vec<String>,
    /// Deleting the row that is referred to is not refused at once: it takes rows with it, empties
    /// their columns, or fails later.
    pub(crate) is_soft: bool,
}

/// Describes the tables of schemas `$1` with names `$2`.
pub(super) const READ: &str = "\
    SELECT coalesce(json_agg(json_build_object( \
        'schema', n.nspname, 'name', c.relname, 'kind', c.relkind, \
        'triggers', EXISTS (SELECT 1 FROM pg_catalog.pg_trigger g \
            WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgenabled <> 'D' \
              AND (g.tgtype & 66) <> 0) OR c.relrowsecurity \
            OR EXISTS (SELECT 1 FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid), \
        'columns', (SELECT json_agg(json_build_object( \
                'name', a.attname, 'base', pg_catalog.format_type(b.oid, -1), \
                'category', b.typname, 'modifier', b.modifier, \
                'domain', CASE WHEN t.typtype = 'd' THEN t.typname END, \
                'not_null', a.attnotnull OR t.typnotnull, \
                'default', a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL, \
                'generated', a.attgenerated <> '' OR a.attidentity = 'a')) \
            FROM pg_catalog.pg_attribute a \
            JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
            CROSS JOIN LATERAL ( \
                WITH RECURSIVE base(oid, typname, typtype, typbasetype, below, modifier) AS ( \
                    SELECT t.oid, t.typname, t.typtype, t.typbasetype, t.typtypmod, a.atttypmod \
                    UNION ALL \
                    SELECT u.oid, u.typname, u.typtype, u.typbasetype, u.typtypmod, base.below \
                    FROM base JOIN pg_catalog.pg_type u ON u.oid = base.typbasetype \
                    WHERE base.typtype = 'd') \
                SELECT oid, typname, modifier FROM base WHERE typtype <> 'd') AS b \
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), \
        'keys', (SELECT json_agg(json_build_object( \
                'name', x.relname, \
                'unique', i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL, \
                'columns', ARRAY(SELECT a.attname FROM pg_catalog.pg_attribute a \
                    WHERE a.attrelid = c.oid AND a.attnum > 0 AND (a.attnum = ANY(i.indkey) \
                       OR EXISTS (SELECT 1 FROM pg_catalog.pg_depend d \
                            WHERE d.classid = 'pg_catalog.pg_class'::regclass \
                              AND d.objid = i.indexrelid AND d.refobjid = c.oid \
                              AND d.refobjsubid = a.attnum)) ORDER BY a.attnum))) \
            FROM pg_catalog.pg_index i \
            JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid \
            WHERE i.indrelid = c.oid AND (i.indisunique OR i.indisexclusion)), \
        'checks', (SELECT json_agg(json_build_object('name', k.conname, \
                'columns', ARRAY(SELECT a.attname FROM pg_catalog.pg_attribute a \
                    WHERE a.attrelid = c.oid AND a.attnum = ANY(k.conkey) ORDER BY a.attnum))) \
            FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c'), \
        'references', (SELECT json_agg(json_build_object('name', k.conname, \
                'columns', ARRAY(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY AS o(n, at) \
                    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = o.n \
                    ORDER BY o.at), \
                'schema', fn.nspname, 'table', f.relname, \
                'others', ARRAY(SELECT a.attname FROM unnest(k.confkey) WITH ORDINALITY AS o(n, at) \
                    JOIN pg_catalog.pg_attribute a ON a.attrelid = f.oid AND a.attnum = o.n \
                    ORDER BY o.at), \
                'soft', k.condeferrable OR k.confdeltype IN ('c', 'n', 'd'))) \
            FROM pg_catalog.pg_constraint k \
            JOIN pg_catalog.pg_class f ON f.oid = k.confrelid \
            JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace \
            WHERE k.conrelid = c.oid AND k.contype = 'f'), \
        'referrers', (SELECT json_agg(json_build_object('name', k.conname, \
                'columns', ARRAY(SELECT a.attname FROM unnest(k.confkey) WITH ORDINALITY AS o(n, at) \
                    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = o.n \
                    ORDER BY o.at), \
                'schema', fn.nspname, 'table', f.relname, \
                'others', ARRAY(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY AS o(n, at) \
                    JOIN pg_catalog.pg_attribute a ON a.attrelid = f.oid AND a.attnum = o.n \
                    ORDER BY o.at), \
                'soft', k.condeferrable OR k.confdeltype IN ('c', 'n', 'd'))) \
            FROM pg_catalog.pg_constraint k \
            JOIN pg_catalog.pg_class f ON f.oid = k.conrelid \
            JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace \
            WHERE k.confrelid = c.oid AND k.contype = 'f' AND k.conparentid = 0))), '[]')::text \
    FROM unnest($1::text[], $2::text[]) AS wanted(schema, name) \
    JOIN pg_catalog.pg_namespace n ON n.nspname = wanted.schema \
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = wanted.name";

/// What PostgreSQL adds to a declared length or precision.
const HEADER: i64 = 4;

// === impl Table ===

impl Table {
    /// From what [`READ`] answers; `None` for anything else.
    pub(super) fn parse(json: &str) -> Option<Vec<Self>> {
        let tables: Vec<Json> = serde_json::from_str(json).ok()?;
        tables.iter().map(Self::of).collect()
    }

    fn of(json: &Json) -> Option<Self> {
        Some(Self {
            schema: text(json, "schema")?,
            name: text(json, "name")?,
            kind: match json.get("kind")?.as_str()? {
                "r" => TableKind::Plain,
                "v" => TableKind::View,
                _ => TableKind::Partitioned,
            },
            has_triggers: json.get("triggers")?.as_bool()?,
            columns: list(json, "columns", TableColumn::of)?,
            keys: list(json, "keys", |it| {
                let is_unique = it.get("unique")?.as_bool()?;
                Some(Key { name: text(it, "name")?, columns: texts(it, "columns")?, is_unique })
            })?,
            checks: list(json, "checks", |it| {
                Some(Check { name: text(it, "name")?, columns: texts(it, "columns")? })
            })?,
            references: list(json, "references", Reference::of)?,
            referrers: list(json, "referrers", Reference::of)?,
        })
    }

    pub(crate) fn column(&self, name: &str) -> Option<&TableColumn> {
        self.columns.iter().find(|it| it.name == name)
    }

    /// No two rows have the same values in these columns.
    pub(super) fn is_unique(&self, columns: &[&str]) -> bool {
        let covers = |it: &Key| it.columns.iter().all(|it| columns.contains(&it.as_str()));
        self.keys.iter().any(|it| it.is_unique && covers(it))
    }

    /// A foreign key leads from these columns to another table.
    pub(super) fn refers_to(&self, columns: &[&str], other: &Self) -> bool {
        self.references.iter().any(|it| {
            it.leads_to(other) && it.columns.iter().any(|it| columns.contains(&it.as_str()))
        })
    }
}

impl TableColumn {
    fn of(json: &Json) -> Option<Self> {
        let modifier = json.get("modifier")?.as_i64()?;
        let declared = (modifier >= HEADER).then_some(modifier - HEADER);
        let category = json.get("category")?.as_str()?;
        let is_text = matches!(category, "varchar" | "bpchar");
        // The lower eleven bits are the scale, with a sign.
        let scale = |it: i64| ((it & 0x7ff) ^ 1024) - 1024;
        Some(Self {
            name: text(json, "name")?,
            base: text(json, "base")?,
            length: declared.filter(|_| is_text).and_then(|it| usize::try_from(it).ok()),
            precision: declared
                .filter(|_| category == "numeric")
                .map(|it| ((it >> 16) & 0xffff, scale(it))),
            domain: json.get("domain")?.as_str().map(str::to_owned),
            not_null: json.get("not_null")?.as_bool()?,
            has_default: json.get("default")?.as_bool()?,
            is_generated: json.get("generated")?.as_bool()?,
        })
    }
}

impl Reference {
    /// The table is the one at the other end.
    pub(super) fn leads_to(&self, table: &Table) -> bool {
        self.schema == table.schema && self.table == table.name
    }

    fn of(json: &Json) -> Option<Self> {
        Some(Self {
            name: text(json, "name")?,
            columns: texts(json, "columns")?,
            schema: text(json, "schema")?,
            table: text(json, "table")?,
            others: texts(json, "others")?,
            is_soft: json.get("soft")?.as_bool()?,
        })
    }
}

fn text(json: &Json, member: &str) -> Option<String> {
    json.get(member)?.as_str().map(str::to_owned)
}

fn texts(json: &Json, member: &str) -> Option<Vec<String>> {
    list(json, member, |it| it.as_str().map(str::to_owned))
}

/// No list at all is an empty one.
fn list<T>(json: &Json, member: &str, of: impl Fn(&Json) -> Option<T>) -> Option<Vec<T>> {
    match json.get(member)? {
        Json::Null => Some(Vec::new()),
        it => it.as_array()?.iter().map(of).collect(),
    }
}
