//! JSON bodies: a query as the SDK writes it, and any other object.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let Ok(json) = serde_json::from_slice::<Value>(data) else { return };
    let Ok(query) = fetchxml::from_json(&json) else { return };
    let Ok(printed) = fetchxml::to_json(&query) else { return };
    match fetchxml::from_json(&printed) {
        Ok(again) => assert_eq!(again, query, "{printed}"),
        Err(error) => panic!("{printed}: {error}"),
    }
});
