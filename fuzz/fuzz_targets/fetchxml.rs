//! FetchXML documents, and the paging cookies that clients send back with them.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = fetchxml::Cookie::parse(text);
    let Ok(query) = fetchxml::parse(text) else { return };
    let Ok(printed) = fetchxml::print(&query) else { return };
    match fetchxml::parse(&printed) {
        Ok(again) => assert_eq!(again, query, "{printed}"),
        Err(error) => panic!("{printed}: {error}"),
    }
});
