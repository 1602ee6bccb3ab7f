//! Every query that a document can say is said, and read back as it was.

use fetchxml::{from_json, parse, print, to_json};
use proptest::prelude::*;

use crate::trees::any_query;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn qe_03_a_printed_query_reads_as_it_was(query in any_query()) {
        let text = print(&query).unwrap();
        let read = parse(&text);
        prop_assert_eq!(read.as_ref(), Ok(&query), "{}", text);
    }

    #[test]
    fn qe_02_json_of_the_sdk_reads_as_it_was(query in any_query()) {
        // What the SDK's form has no words for is refused, never dropped.
        if let Ok(json) = to_json(&query) {
            let text = json.to_string();
            let read = from_json(&serde_json::from_str(&text).unwrap());
            let mut expected = query;
            for link in &mut expected.links {
                link.intersect = false;
                link.links.iter_mut().for_each(|it| it.intersect = false);
            }
            prop_assert_eq!(
                print(&read.unwrap()).map(|it| without_wrappers(&it)),
                print(&expected).map(|it| without_wrappers(&it)),
                "{}", text
            );
        }
    }

    #[test]
    fn fx_01_no_document_panics(
        text in any::<String>(),
        xml in "(<fetch( top=\"1\")?>|<entity name=\"a\">|<filter>|<condition |<link-entity |/>|</fetch>|</entity>|&#x0;|&a;|<!--|]]>|<!DOCTYPE a>|'|\"){0,12}",
    ) {
        let _ = parse(&text);
        let _ = parse(&xml);
    }
}

/// Several semi-joins of one filter each get a filter of their own in JSON, which says the same.
fn without_wrappers(text: &str) -> Vec<String> {
    let mut words: Vec<_> = text
        .replace("<filter type=\"and\">", "")
        .replace("</filter>", "")
        .split('<')
        .map(str::to_owned)
        .collect();
    words.sort();
    words
}
