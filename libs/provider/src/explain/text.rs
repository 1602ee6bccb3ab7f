//! Conditions and sort keys as PostgreSQL writes them in a plan, taken apart as far as indexes are
//! concerned. What is not understood is left alone.

use crate::indexes::Key;

/// The expressions of a table that a condition says equal something, without the table's name.
pub(super) fn equalities(condition: &str, alias: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in split(unwrapped(condition), " AND ") {
        let part = unwrapped(part);
        if split(part, " OR ").len() > 1 {
            continue;
        }
        let [left, right] = split(part, " = ")[..] else { continue };
        let expression = match (own(left, alias), own(right, alias)) {
            (Some(it), None) | (None, Some(it)) => it,
            _ => continue,
        };
        if !found.contains(&expression) {
            found.push(expression);
        }
    }
    found
}

/// A sort key of a table, without the table's name; `None` when it is not of this table alone.
pub(super) fn sort_key(key: &str, alias: &str) -> Option<Key> {
    let (key, nulls_first) = match key.strip_suffix(" NULLS FIRST") {
        Some(key) => (key, Some(true)),
        None => match key.strip_suffix(" NULLS LAST") {
            Some(key) => (key, Some(false)),
            None => (key, None),
        },
    };
    let (expression, descending) = match key.strip_suffix(" DESC") {
        Some(key) => (key, true),
        None => (key, false),
    };
    let expression = own(expression, alias)?;
    Some(Key { expression, descending, nulls_first: nulls_first.unwrap_or(descending) })
}

/// The expression without the table's name; `None` where it names no column of the table, or one of
/// another.
fn own(expression: &str, alias: &str) -> Option<String> {
    let expression = unwrapped(expression.trim());
    let prefixes = [format!("{alias}."), format!("\"{}\".", alias.replace('"', "\"\""))];
    let mut out = String::new();
    let mut named = false;
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let starts = out.chars().next_back().is_none_or(|it| !is_word(it));
        let prefix =
            prefixes.iter().filter(|_| starts).find_map(|it| rest.strip_prefix(it.as_str()));
        if let Some(after) = prefix {
            named = true;
            let length = token_length(after);
            out.push_str(after.get(..length)?);
            rest = after.get(length..)?;
            continue;
        }
        let length = token_length(rest).max(first.len_utf8());
        let token = rest.get(..length)?;
        // A dot behind a name: a column of another table.
        if rest.get(length..)?.starts_with('.') && (is_word(first) || first == '"') {
            return None;
        }
        out.push_str(token);
        rest = rest.get(length..)?;
    }
    named.then_some(out)
}

/// Length of the name or literal that a text begins with; 0 for anything else.
fn token_length(text: &str) -> usize {
    match text.chars().next() {
        Some(quote @ ('\'' | '"')) => {
            let mut open = false;
            for (at, it) in text.char_indices() {
                if it == quote {
                    open = !open;
                } else if !open {
                    return at;
                }
            }
            text.len()
        }
        Some(first) if is_word(first) => text.find(|it| !is_word(it)).unwrap_or(text.len()),
        _ => 0,
    }
}

fn is_word(it: char) -> bool {
    it.is_alphanumeric() || it == '_' || it == '$'
}

/// Without the brackets around all of it.
fn unwrapped(text: &str) -> &str {
    let mut text = text.trim();
    while let Some(inner) = text.strip_prefix('(').and_then(|it| it.strip_suffix(')')) {
        let mut depth = 0_i32;
        let mut closes_early = false;
        walk(inner, |_, it| {
            depth += step(it);
            closes_early |= depth < 0;
        });
        if closes_early {
            break;
        }
        text = inner.trim();
    }
    text
}

/// Cuts where the separator stands outside brackets and literals.
fn split<'t>(text: &'t str, separator: &str) -> Vec<&'t str> {
    let mut cuts = vec![0];
    let mut depth = 0_i32;
    walk(text, |at, it| {
        if depth == 0 && text.get(at..).is_some_and(|it| it.starts_with(separator)) {
            cuts.push(at);
        }
        depth += step(it);
    });
    let ends = cuts.iter().skip(1).copied().chain([text.len()]);
    let parts = cuts.iter().zip(ends).filter_map(|(&start, end)| text.get(start..end));
    parts.map(|it| it.strip_prefix(separator).unwrap_or(it)).collect()
}

fn step(it: char) -> i32 {
    match it {
        '(' | '[' => 1,
        ')' | ']' => -1,
        _ => 0,
    }
}

/// Visits the characters outside literals and quoted names.
fn walk(text: &str, mut visit: impl FnMut(usize, char)) {
    let mut quote = None;
    for (at, it) in text.char_indices() {
        match quote {
            Some(open) if open == it => quote = None,
            Some(_) => {}
            None if it == '\'' || it == '"' => quote = Some(it),
            None => visit(at, it),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equalities_are_found_between_and() {
        let check = |condition: &str, expected: &[&str]| {
            assert_eq!(equalities(condition, "t"), expected, "{condition}");
        };
        check("(lower(t.name) = 'a'::text)", &["lower(name)"]);
        check("((t.a = 1) AND (t.b = 'x AND (t.c = 1)'::text))", &["a", "b"]);
        check(
            "((lower((t.name)::text) = ANY ('{a,b}'::text[])) AND (t.b > 2))",
            &["lower((name)::text)"],
        );
        check("((t.a = 1) OR (t.b = 2))", &[]);
        check("(((t.a = 1) OR (t.b = 2)) AND (t.c = 3))", &["c"]);
        check("(u.id = t.\"Account No\")", &["\"Account No\""]);
        check("(t.a = t.b)", &[]);
        check("(u.a = 1)", &[]);
        check("(t.a IS NULL)", &[]);
        check("(lower(t.name) ~~ 'a = b%'::text)", &[]);
        check("(lower(t.name) = 'it''s (t.x = 1'::text)", &["lower(name)"]);
    }

    #[test]
    fn sort_keys_say_where_nulls_go() {
        let key = |expression: &str, descending, nulls_first| {
            Some(Key { expression: expression.to_owned(), descending, nulls_first })
        };
        assert_eq!(sort_key("t.id", "t"), key("id", false, false));
        assert_eq!(sort_key("t.id DESC", "t"), key("id", true, true));
        assert_eq!(sort_key("(lower(t.name)) NULLS FIRST", "t"), key("lower(name)", false, true));
        let last = sort_key("\"T 1\".name DESC NULLS LAST", "T 1");
        assert_eq!(last, key("name", true, false));
        assert_eq!(sort_key("u.id", "t"), None);
        assert_eq!(sort_key("(t.id + u.id)", "t"), None);
        assert_eq!(sort_key("(count(*))", "t"), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text: String, alias: String) {
            let _ = (equalities(&text, &alias), sort_key(&text, &alias));
        }

        #[test]
        fn no_condition_panics(text in "[a-z()'\" =.A-Z]{0,40}") {
            let _ = (equalities(&text, "t"), sort_key(&text, "t"));
        }
    }
}
