//! URLs: the path, the query options, and every expression in them. What reads must print as
//! something that reads as the same.

#![no_main]

use std::fmt::{Debug, Display};

use libfuzzer_sys::fuzz_target;
use odata::{
    Aliases, PageTokens, QueryOptions, Resource, SystemOption, Tail, parse_apply, parse_expand,
    parse_filter, parse_literal, parse_order_by, parse_select,
};

fuzz_target!(|url: &str| {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let options = QueryOptions::parse(query);
    let aliases = options.as_ref().map(|it| it.aliases.clone()).unwrap_or_default();
    if let Ok(Resource::Named { key, tail, .. }) = Resource::parse(path) {
        let _ = (key.guid(), key.parameters(&aliases));
        for segment in tail {
            if let Tail::Name { key, .. } = segment {
                let _ = (key.guid(), key.parameters(&aliases));
            }
        }
    }
    let Ok(options) = options else { return };
    let _ = (options.top(), options.count());
    let link = options.with_skip_token("<token/>");
    let linked = QueryOptions::parse(&link).expect("a next link reads");
    assert_eq!(linked.get(SystemOption::SkipToken), Some("<token/>"));
    assert_eq!(linked.get(SystemOption::Filter), options.get(SystemOption::Filter));
    read_options(&options);
});

fn read_options(options: &QueryOptions) {
    let none = Aliases::new();
    let get = |option| options.get(option).unwrap_or_default();
    again(parse_filter(get(SystemOption::Filter), &options.aliases), |it| parse_filter(it, &none));
    let order_by = parse_order_by(get(SystemOption::OrderBy), &options.aliases);
    again_all(order_by, ",", |it| parse_order_by(it, &none));
    again_all(parse_select(get(SystemOption::Select)), ",", parse_select);
    again_all(parse_expand(get(SystemOption::Expand)), ",", parse_expand);
    let apply = parse_apply(get(SystemOption::Apply), &options.aliases);
    again_all(apply, "/", |it| parse_apply(it, &none));
    for text in options.aliases.values() {
        again(parse_literal(text), parse_literal);
    }
    let tokens = PageTokens::new(b"secret");
    assert!(tokens.decode(get(SystemOption::SkipToken), b"scope").is_err(), "nobody knows the key");
}

/// A tree that was read reads again from what it prints, and prints the same again.
fn again<T: Display, E: Debug>(first: Result<T, E>, read: impl Fn(&str) -> Result<T, E>) {
    let Ok(tree) = first else { return };
    let text = tree.to_string();
    match read(&text) {
        Ok(second) => assert_eq!(second.to_string(), text),
        Err(error) => assert!(is_bound(&error), "{text}: {error:?}"),
    }
}

fn again_all<T: Display, E: Debug>(
    first: Result<Vec<T>, E>,
    separator: &str,
    read: impl Fn(&str) -> Result<Vec<T>, E>,
) {
    let joined =
        |items: &[T]| items.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator);
    let Ok(items) = first else { return };
    let text = joined(&items);
    match read(&text) {
        Ok(second) => assert_eq!(joined(&second), text),
        Err(error) => assert!(is_bound(&error), "{text}: {error:?}"),
    }
}

/// Printing adds parentheses, and puts aliases in place, so that what barely fitted may not fit.
fn is_bound(error: &impl Debug) -> bool {
    ["TooDeep", "TooLong"].contains(&format!("{error:?}").as_str())
}
