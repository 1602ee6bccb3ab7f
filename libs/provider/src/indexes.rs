//! What indexes the database has: what can be found and sorted without reading a whole table.

mod memory;

use serde_json::Value;

pub(crate) use memory::Memory;

/// The indexes of some tables.
#[derive(Debug, Default)]
pub(crate) struct Indexes {
    tables: Vec<TableIndexes>,
}

/// What is known of one table.
#[derive(Debug)]
pub(crate) struct TableIndexes {
    schema: String,
    table: String,
    /// About how many rows it has.
    pub(crate) rows: f64,
    /// Only those that cover every row and are sorted.
    indexes: Vec<Vec<Key>>,
}

/// One key of an index, or of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// As PostgreSQL writes it, without the table: `lower(name)`.
    pub(crate) expression: String,
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

/// Reads the tables of schemas `$1` with names `$2`.
pub(crate) const READ: &str = "\
    SELECT coalesce(json_agg(json_build_object( \
        'schema', n.nspname, 'table', c.relname, \
        'rows', CASE WHEN c.reltuples >= 0 THEN c.reltuples \
                     ELSE pg_catalog.pg_relation_size(c.oid) / 100 END, \
        'indexes', ARRAY( \
            SELECT (SELECT json_agg(json_build_object( \
                        'expression', pg_catalog.pg_get_indexdef(i.indexrelid, k, false), \
                        'option', i.indoption[k - 1]) ORDER BY k) \
                    FROM generate_series(1, i.indnkeyatts) AS k) \
            FROM pg_catalog.pg_index i \
            JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid \
            JOIN pg_catalog.pg_am a ON a.oid = x.relam \
            WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL \
              AND a.amname = 'btree'))), '[]')::text \
    FROM unnest($1::text[], $2::text[]) AS wanted(schema, name) \
    JOIN pg_catalog.pg_namespace n ON n.nspname = wanted.schema \
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = wanted.name";

// === impl Indexes ===

impl Indexes {
    /// From what [`READ`] answers; `None` for anything else.
    pub(crate) fn parse(json: &str) -> Option<Self> {
        let tables: Vec<Value> = serde_json::from_str(json).ok()?;
        let tables = tables.iter().map(TableIndexes::parse).collect::<Option<_>>()?;
        Some(Self { tables })
    }

    pub(crate) fn of(&self, schema: &str, table: &str) -> Option<&TableIndexes> {
        self.tables.iter().find(|it| it.schema == schema && it.table == table)
    }
}

// === impl TableIndexes ===

impl TableIndexes {
    fn parse(table: &Value) -> Option<Self> {
        let indexes = table.get("indexes")?.as_array()?.iter();
        let keys = |it: &Value| it.as_array()?.iter().map(Key::parse).collect::<Option<Vec<_>>>();
        Some(Self {
            schema: table.get("schema")?.as_str()?.to_owned(),
            table: table.get("table")?.as_str()?.to_owned(),
            rows: table.get("rows")?.as_f64()?,
            indexes: indexes.map(keys).collect::<Option<_>>()?,
        })
    }

    /// Whether rows where all of these equal something can be found by one index.
    pub(crate) fn finds(&self, expressions: &[String]) -> bool {
        self.indexes.iter().any(|index| {
            index
                .get(..expressions.len())
                .is_some_and(|first| first.iter().all(|it| expressions.contains(&it.expression)))
        })
    }

    /// Whether rows can be read in this order, forwards or backwards.
    pub(crate) fn sorts(&self, order: &[Key]) -> bool {
        self.indexes.iter().any(|index| {
            let Some(first) = index.get(..order.len()) else { return false };
            let forwards = first.iter().zip(order).all(|(index, it)| index == it);
            let backwards = first.iter().zip(order).all(|(index, it)| index.reversed() == *it);
            forwards || backwards
        })
    }
}

// === impl Key ===

impl Key {
    fn parse(key: &Value) -> Option<Self> {
        let option = key.get("option")?.as_i64()?;
        Some(Self {
            expression: key.get("expression")?.as_str()?.to_owned(),
            descending: option & 1 != 0,
            nulls_first: option & 2 != 0,
        })
    }

    /// The same key, read from the other end.
    fn reversed(&self) -> Self {
        Self {
            expression: self.expression.clone(),
            descending: !self.descending,
            nulls_first: !self.nulls_first,
        }
    }

    /// As CREATE INDEX takes it.
    pub(crate) fn definition(&self) -> String {
        let mut sql = definition(&self.expression);
        if self.descending {
            sql.push_str(" DESC");
        }
        match (self.descending, self.nulls_first) {
            (false, true) => sql.push_str(" NULLS FIRST"),
            (true, false) => sql.push_str(" NULLS LAST"),
            _ => {}
        }
        sql
    }
}

/// An expression as CREATE INDEX takes it: a column as it is, everything else in brackets.
pub(crate) fn definition(expression: &str) -> String {
    let bytes = expression.as_bytes();
    let quoted = bytes.len() > 2
        && expression.starts_with('"')
        && expression.ends_with('"')
        && !expression[1..expression.len() - 1].replace("\"\"", "").contains('"');
    let plain = bytes.iter().all(|it| it.is_ascii_alphanumeric() || *it == b'_' || *it >= 0x80);
    if quoted || plain { expression.to_owned() } else { format!("({expression})") }
}

/// A column, from its quoted name, as PostgreSQL writes it in definitions; `None` for what is no
/// name. Reserved words are written quoted, which is not known here: such a column seems to have no index.
pub(crate) fn column_name(quoted: &str) -> Option<String> {
    let name = quoted.strip_prefix('"')?.strip_suffix('"')?;
    let plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_';
    if name.bytes().all(plain) && !name.starts_with(|it: char| it.is_ascii_digit()) {
        return Some(name.to_owned());
    }
    (!name.replace("\"\"", "").contains('"')).then(|| quoted.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(expression: &str, descending: bool, nulls_first: bool) -> Key {
        Key { expression: expression.to_owned(), descending, nulls_first }
    }

    fn things() -> Indexes {
        let json = r#"[{"schema": "public", "table": "things", "rows": 10000, "indexes": [
            [{"expression": "id", "option": 0}],
            [{"expression": "lower(name)", "option": 2}, {"expression": "id", "option": 2}],
            [{"expression": "area", "option": 0}, {"expression": "code", "option": 0}]]}]"#;
        Indexes::parse(json).unwrap()
    }

    #[test]
    fn an_index_finds_by_its_first_keys_in_any_order() {
        let indexes = things();
        let table = indexes.of("public", "things").unwrap();
        let finds =
            |it: &[&str]| table.finds(&it.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>());
        assert!(finds(&["lower(name)"]));
        assert!(finds(&["code", "area"]));
        assert!(!finds(&["code"]));
        assert!(!finds(&["name"]));
        assert!(!finds(&["id", "code"]));
        assert!(indexes.of("other", "things").is_none());
    }

    #[test]
    fn an_index_sorts_both_ways_but_nulls_stay_at_one_end() {
        let indexes = things();
        let table = indexes.of("public", "things").unwrap();
        assert!(table.sorts(&[key("lower(name)", false, true)]));
        assert!(table.sorts(&[key("lower(name)", true, false), key("id", true, false)]));
        assert!(!table.sorts(&[key("lower(name)", false, false)]));
        assert!(!table.sorts(&[key("lower(name)", false, true), key("id", true, false)]));
        assert!(!table.sorts(&[key("code", false, false)]));
    }

    #[test]
    fn definitions_are_what_create_index_takes() {
        assert_eq!(key("code", true, true).definition(), "code DESC");
        assert_eq!(key("code", false, true).definition(), "code NULLS FIRST");
        assert_eq!(key("lower(code)", true, false).definition(), "(lower(code)) DESC NULLS LAST");
        assert_eq!(definition("\"Account No\""), "\"Account No\"");
        assert_eq!(definition("\"a\" || \"b\""), "(\"a\" || \"b\")");
    }

    #[test]
    fn anything_else_is_no_answer() {
        for json in ["", "{}", "[{}]", r#"[{"schema": 1}]"#] {
            assert!(Indexes::parse(json).is_none(), "{json}");
        }
    }
}
