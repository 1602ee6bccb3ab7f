//! Wildcards as the platform documents them (`%`, `_`, `[a-c]`, `[^a]`; spec API-09), for
//! PostgreSQL: LIKE where it can say the same, a regular expression where it cannot.

/// What a text is matched against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// For `LIKE`, with backslash as escape.
    Like(String),
    /// For `~`, in letters of either case.
    Regex(String),
}

/// Where the value may stand in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Anywhere,
    Start,
    End,
    /// The value is the whole pattern.
    Whole,
}

impl Pattern {
    pub(crate) fn new(value: &str, anchor: Anchor) -> Self {
        let has_set =
            value.char_indices().any(|(at, it)| it == '[' && set_end(&value[at..]).is_some());
        if has_set { Self::Regex(regex(value, anchor)) } else { Self::Like(like(value, anchor)) }
    }
}

fn like(value: &str, anchor: Anchor) -> String {
    let mut pattern = String::with_capacity(value.len() + 2);
    if matches!(anchor, Anchor::Anywhere | Anchor::End) {
        pattern.push('%');
    }
    for character in value.chars() {
        if character == '\\' {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    if matches!(anchor, Anchor::Anywhere | Anchor::Start) {
        pattern.push('%');
    }
    pattern
}

fn regex(value: &str, anchor: Anchor) -> String {
    let mut pattern = String::with_capacity(value.len() * 2);
    if matches!(anchor, Anchor::Start | Anchor::Whole) {
        pattern.push('^');
    }
    let mut rest = value;
    while let Some(character) = rest.chars().next() {
        match (character, set_end(rest)) {
            ('[', Some(end)) => {
                push_set(&mut pattern, &rest[1..end]);
                rest = &rest[end + 1..];
                continue;
            }
            ('%', _) => pattern.push_str(".*"),
            ('_', _) => pattern.push('.'),
            (it, _) => push_literal(&mut pattern, it),
        }
        rest = &rest[character.len_utf8()..];
    }
    if matches!(anchor, Anchor::End | Anchor::Whole) {
        pattern.push('$');
    }
    pattern
}

/// Byte offset of the `]` that ends the set which `text` begins with.
fn set_end(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('[')?;
    let end = inside.find(']')?;
    (!inside[..end].trim_start_matches('^').is_empty()).then_some(end + 1)
}

fn push_set(pattern: &mut String, inside: &str) {
    let (negated, members) = match inside.strip_prefix('^') {
        Some(members) => (true, members),
        None => (false, inside),
    };
    let characters: Vec<char> = members.chars().collect();
    pattern.push_str(if negated { "[^" } else { "[" });
    let mut at = 0;
    while let Some(&first) = characters.get(at) {
        match (characters.get(at + 1), characters.get(at + 2)) {
            (Some('-'), Some(&last)) if first <= last => {
                push_literal(pattern, first);
                pattern.push('-');
                push_literal(pattern, last);
                at += 3;
            }
            _ => {
                push_literal(pattern, first);
                at += 1;
            }
        }
    }
    pattern.push(']');
}

/// Letters and digits mean themselves; everything else is escaped, which is right both inside and
/// outside of a set.
fn push_literal(pattern: &mut String, character: char) {
    if character.is_ascii_punctuation() {
        pattern.push('\\');
    }
    pattern.push(character);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_without_sets_are_like_patterns() {
        let check = |value: &str, anchor, expected: &str| {
            assert_eq!(Pattern::new(value, anchor), Pattern::Like(expected.to_owned()), "{value}");
        };
        check("a_c", Anchor::Anywhere, "%a_c%");
        check("50%", Anchor::Start, "50%%");
        check("a\\b", Anchor::End, "%a\\\\b");
        check("a[b", Anchor::Start, "a[b%");
        check("[]", Anchor::Start, "[]%");
        check("a%_c", Anchor::Whole, "a%_c");
    }

    #[test]
    fn patterns_with_sets_are_regular_expressions() {
        let check = |value: &str, anchor, expected: &str| {
            assert_eq!(Pattern::new(value, anchor), Pattern::Regex(expected.to_owned()), "{value}");
        };
        check("[a-c]x", Anchor::Start, "^[a-c]x");
        check("[^a]", Anchor::End, "[^a]$");
        check("[%]", Anchor::Anywhere, "[\\%]");
        check("a.b[_]", Anchor::Anywhere, "a\\.b[\\_]");
        check("[z-a]", Anchor::Anywhere, "[z\\-a]");
        check("[[]", Anchor::Anywhere, "[\\[]");
        check("%[a-c]", Anchor::Whole, "^.*[a-c]$");
    }
}
