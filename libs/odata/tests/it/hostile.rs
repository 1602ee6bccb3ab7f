//! Texts that mean harm, or nothing at all.

use odata::{
    Aliases, QueryOptions, Resource, SyntaxError, parse_apply, parse_expand, parse_filter,
    parse_literal, parse_order_by, parse_select,
};
use proptest::prelude::*;

use crate::generate;

/// Reads a text in every way there is.
fn read_all(text: &str) {
    let aliases = Aliases::from([
        ("p".to_owned(), text.to_owned()),
        ("list".to_owned(), "[\"a\"]".to_owned()),
    ]);
    let _ = parse_filter(text, &aliases);
    let _ = parse_order_by(text, &aliases);
    let _ = parse_select(text);
    let _ = parse_expand(text);
    let _ = parse_apply(text, &aliases);
    let _ = parse_literal(text);
    let _ = QueryOptions::parse(text);
    if let Ok(Resource::Named { key, .. }) = Resource::parse(text) {
        let _ = key.parameters(&aliases);
    }
}

#[test]
fn deep_nesting_is_an_error_and_not_a_stack_overflow() {
    let too_deep = |text: String, parse: fn(&str) -> Option<SyntaxError>| {
        let error = parse(&text);
        // A depth of 100,000 does not even fit into the longest text.
        let expected = if text.len() > odata::MAX_LENGTH {
            SyntaxError::TooLong
        } else {
            SyntaxError::TooDeep
        };
        let start: String = text.chars().take(40).collect();
        assert_eq!(error, Some(expected), "{start}");
    };
    let filter = |text: &str| parse_filter(text, &Aliases::new()).err();
    let expand = |text: &str| parse_expand(text).err();
    let apply = |text: &str| parse_apply(text, &Aliases::new()).err();
    for depth in [101, 3_000, 100_000] {
        too_deep("(".repeat(depth), filter);
        too_deep("not ".repeat(depth), filter);
        too_deep("not(".repeat(depth), filter);
        too_deep("f(".repeat(depth), filter);
        too_deep(format!("a eq {}", "(".repeat(depth)), filter);
        too_deep("a/any(b:".repeat(depth), filter);
        too_deep("a($expand=".repeat(depth), expand);
        too_deep(format!("a($filter={}", "b/any(c:".repeat(depth)), expand);
        too_deep("groupby((a),".repeat(depth), apply);
        too_deep(format!("filter({}", "(".repeat(depth)), apply);
    }
}

#[test]
fn resource_paths_of_any_depth_are_read() {
    for unit in ["a(", "a/", "a(b='", "a([", "a({\"", ")", "%27(", "a(b=@"] {
        read_all(&unit.repeat(100_000));
    }
}

#[test]
fn long_chains_are_not_deep() {
    let chain = vec!["a eq 1"; 5_000].join(" or ");
    assert!(parse_filter(&chain, &Aliases::new()).is_ok());
    let steps = vec!["identity"; 5_000].join("/");
    assert!(parse_apply(&steps, &Aliases::new()).is_ok());
}

/// What every option of the grammar is made of.
const WORDS: [&str; 62] = [
    "a",
    "eq",
    "not",
    "(",
    ")",
    "'",
    "''",
    "and",
    "or",
    "in",
    "has",
    "1",
    "-",
    "+",
    ".5",
    "e9",
    "2026-11-21",
    "T10:00Z",
    "12:30",
    "@p",
    "@list",
    "N.F(",
    "P=",
    "[",
    "]",
    "\"",
    "\\u",
    "d83d",
    "/",
    "any(",
    "all(",
    "x:",
    ",",
    ";",
    " ",
    "\t",
    "é",
    "\u{0}",
    "\u{a0}",
    "=",
    "*",
    "$it",
    "$count",
    "/$ref",
    "$select=",
    "$filter=",
    "$orderby=",
    "$top=",
    "$expand=",
    "$levels=max",
    "groupby((",
    "aggregate(",
    " with sum as ",
    "filter(",
    "compute(",
    "duration'P1D'",
    "binary'",
    "INF",
    "null",
    "00000000-0000-0000-0000-000000000000",
    "%27",
    "&",
];

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        read_all(&text);
    }

    #[test]
    fn no_text_of_the_grammars_own_words_panics(
        words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..32)
    ) {
        read_all(&words.concat());
        read_all(&words.join(" "));
    }

    #[test]
    fn no_damaged_text_panics(
        expr in generate::expr(),
        items in generate::expand(),
        at in any::<prop::sample::Index>(),
        end in any::<prop::sample::Index>(),
        with in prop::sample::select(WORDS.to_vec()),
    ) {
        let expand: Vec<_> = items.iter().map(ToString::to_string).collect();
        for text in [expr.to_string(), expand.join(",")] {
            let characters: Vec<char> = text.chars().collect();
            let (at, end) = (at.index(characters.len()), end.index(characters.len()));
            let before: String = characters[..at.min(end)].iter().collect();
            let after: String = characters[at.max(end)..].iter().collect();
            read_all(&format!("{before}{with}{after}"));
            read_all(&before);
            read_all(&after);
        }
    }
}
