//! Page tokens in next links, and what clients do to such links before they follow them.

use odata::{
    PagePosition, PageTokens, PositionColumn, QueryOptions, SystemOption, TokenValue, decode_query,
    encode_query,
};
use proptest::prelude::*;

const SCOPE: &[u8] = b"accounts|name";

/// What clients do to the query of a link.
fn as_clients_write_it(link: &str) -> Vec<String> {
    let pairs: Vec<(String, String)> = link
        .split('&')
        .map(|it| it.split_once('=').expect("a pair"))
        .map(|(name, value)| {
            (decode_query(name).expect("text"), decode_query(value).expect("text"))
        })
        .collect();
    let rebuilt = |encode: fn(&str) -> String| {
        let parts = pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
        parts.collect::<Vec<_>>().join("&")
    };
    let form: fn(&str) -> String = |it| encode_query(it).replace("%20", "+").replace('$', "%24");
    vec![
        link.to_owned(),
        // dataverse-webapi puts a slash behind whatever it follows.
        format!("{link}/"),
        // airbyte and everything built on Python's requests takes the query apart and builds it anew.
        rebuilt(form),
        rebuilt(encode_query),
        rebuilt(lower_case_escapes),
        rebuilt(|it| encode_query(it).replace("%27", "'").replace("%3D", "=").replace("%2F", "/")),
        // Some encode no more than they must.
        rebuilt(|it| {
            it.replace('%', "%25").replace('&', "%26").replace('+', "%2B").replace(' ', "+")
        }),
    ]
}

fn lower_case_escapes(text: &str) -> String {
    let encoded = encode_query(text);
    let mut parts = encoded.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |written, part| {
        let (escape, rest) = part.split_at(2);
        format!("{written}%{}{rest}", escape.to_lowercase())
    })
}

fn any_value() -> impl Strategy<Value = TokenValue> {
    prop_oneof![
        Just(TokenValue::Null),
        any::<String>().prop_map(TokenValue::String),
        "[A-Z+/%&=<>\"' ]{0,12}".prop_map(TokenValue::String),
        any::<i64>().prop_map(TokenValue::Int),
    ]
}

proptest! {
    #[test]
    fn a_token_survives_what_clients_do_to_its_link(
        values in prop::collection::vec((any_value(), any_value()), 1..4),
        page_number in 2u32..1_000_000,
        filter in "[a-z '%+&=é]{1,20}",
    ) {
        let columns =
            values.into_iter().map(|(first, last)| PositionColumn { first, last }).collect();
        let position = PagePosition { page_number, columns };
        let tokens = PageTokens::new(b"secret");
        let query = format!("$select=name&$filter={}", encode_query(&filter));
        let options = QueryOptions::parse(&query).unwrap();
        let link = options.with_skip_token(&tokens.encode(&position, SCOPE));
        for query in as_clients_write_it(&link) {
            let options = QueryOptions::parse(&query).unwrap();
            let token = options.get(SystemOption::SkipToken).unwrap();
            prop_assert_eq!(tokens.decode(token, SCOPE), Ok(position.clone()), "{}", query);
            prop_assert_eq!(options.get(SystemOption::Filter), Some(filter.as_str()), "{}", query);
        }
    }
}
