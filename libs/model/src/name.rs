//! How names are written in a model, both ways.

use crate::entity::{ColumnPath, TableName};

/// PostgreSQL cuts longer identifiers.
const MAX_IDENTIFIER_BYTES: usize = 63;

/// Usable as a column name on the platform.
pub(crate) fn check_platform_name(name: &str) -> Result<(), String> {
    let mut characters = name.chars();
    let starts_well = characters.next().is_some_and(|it| it.is_ascii_alphabetic() || it == '_');
    if starts_well && characters.all(|it| it.is_ascii_alphanumeric() || it == '_') {
        return Ok(());
    }
    Err(format!("`{name}` is not a name: letters, digits and `_`, not beginning with a digit"))
}

/// `name` or `"odd name"`.
pub(crate) fn parse_identifier(text: &str) -> Result<String, String> {
    match split(text)?.as_slice() {
        [name] => Ok(name.clone()),
        _ => Err(format!("`{text}` is not one name; quote a name that has a dot: '\"a.b\"'")),
    }
}

/// `alias.column`.
pub(crate) fn parse_column_path(text: &str) -> Result<ColumnPath, String> {
    match split(text)?.as_slice() {
        [alias, column] => Ok(ColumnPath { alias: alias.clone(), column: column.clone() }),
        _ => Err(format!("`{text}` is not `alias.column`")),
    }
}

/// `schema.table` or `table`.
pub(crate) fn parse_table(text: &str) -> Result<TableName, String> {
    match split(text)?.as_slice() {
        [name] => Ok(TableName { schema: "public".to_owned(), name: name.clone() }),
        [schema, name] => Ok(TableName { schema: schema.clone(), name: name.clone() }),
        _ => Err(format!("`{text}` is not `schema.table`")),
    }
}

/// The names between the dots, unquoted. Letter case stays as it is written, quoted or not.
fn split(text: &str) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    let mut rest = text;
    loop {
        let (name, after) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted)
                .ok_or_else(|| format!("`{text}` has a quote without its partner"))?,
            None => bare(rest),
        };
        check_identifier(&name, text)?;
        names.push(name);
        if after.is_empty() {
            return Ok(names);
        }
        rest = after.strip_prefix('.').ok_or_else(|| {
            format!("`{text}` is not a name; quote a name that has odd characters: '\"a b\"'")
        })?;
    }
}

fn unquote(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        name.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, after)),
        }
    }
}

fn bare(text: &str) -> (String, &str) {
    let end = text.find(|it| !is_bare(it)).unwrap_or(text.len());
    let (name, after) = text.split_at(end);
    (name.to_owned(), after)
}

fn is_bare(it: char) -> bool {
    it.is_alphanumeric() || it == '_' || it == '$'
}

fn check_identifier(name: &str, text: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err(format!("`{text}` has an empty name"));
    }
    if name.len() > MAX_IDENTIFIER_BYTES {
        return Err(format!("`{name}` is longer than PostgreSQL's {MAX_IDENTIFIER_BYTES} bytes"));
    }
    if name.contains('\0') {
        return Err("a name has a NUL character, which PostgreSQL cannot hold".to_owned());
    }
    Ok(())
}

pub(crate) fn write_identifier(name: &str) -> String {
    if name.chars().all(is_bare) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

pub(crate) fn write_column_path(path: &ColumnPath) -> String {
    format!("{}.{}", path.alias, write_identifier(&path.column))
}

pub(crate) fn write_table(table: &TableName) -> String {
    format!("{}.{}", write_identifier(&table.schema), write_identifier(&table.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_bare_qualified_or_quoted() {
        let check = |text: &str, schema: &str, name: &str| {
            let expected = TableName { schema: schema.to_owned(), name: name.to_owned() };
            assert_eq!(parse_table(text), Ok(expected.clone()));
            assert_eq!(parse_table(&write_table(&expected)), Ok(expected));
        };
        check("custtable", "public", "custtable");
        check("erp.CustTable", "erp", "CustTable");
        check("\"My Schema\".\"T 1\"", "My Schema", "T 1");
        check("größe.\"a\"\"b.c\"", "größe", "a\"b.c");
    }

    #[test]
    fn what_postgresql_cannot_hold_is_refused() {
        let check = |text: &str, part: &str| {
            let reason = parse_table(text).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        };
        check("", "empty name");
        check("erp.", "empty name");
        check("\"\"", "empty name");
        check("\"a", "without its partner");
        check("a b", "quote a name");
        check("a.b.c", "is not `schema.table`");
        check(&"x".repeat(64), "longer than PostgreSQL's 63 bytes");
        check("\"a\0\"", "NUL");
        assert!(parse_table(&"x".repeat(63)).is_ok());
    }

    #[test]
    fn a_path_has_an_alias_and_a_column() {
        let path = ColumnPath { alias: "cust".to_owned(), column: "Account No".to_owned() };
        assert_eq!(parse_column_path("cust.\"Account No\""), Ok(path.clone()));
        assert_eq!(write_column_path(&path), "cust.\"Account No\"");
        assert!(parse_column_path("cust").is_err());
        assert!(parse_identifier("cust.account").is_err());
    }
}
