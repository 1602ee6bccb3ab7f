//! `$batch`: the first line is the content type, the rest is the body.

#![no_main]

use libfuzzer_sys::fuzz_target;
use odata::{
    BatchMethod, BatchPart, BatchTarget, MAX_OPERATIONS, QueryOptions, Resource, parse_batch,
};

fuzz_target!(|data: &[u8]| {
    let at = data.iter().position(|it| *it == b'\n').unwrap_or(data.len());
    let (content_type, body) = data.split_at(at);
    let Ok(content_type) = std::str::from_utf8(content_type) else { return };
    let body = body.strip_prefix(b"\n").unwrap_or(body);
    let Ok(parts) = parse_batch(content_type, body) else { return };
    let mut operations = 0;
    for part in parts {
        let requests = match part {
            BatchPart::Request(request) => vec![request],
            BatchPart::ChangeSet(requests) => {
                assert!(requests.iter().all(|it| it.method != BatchMethod::Get));
                requests
            }
        };
        for request in requests {
            operations += 1;
            assert!(request.body.len() <= body.len());
            let _ = (request.header("If-Match"), request.content_id);
            let (BatchTarget::Rooted(url)
            | BatchTarget::Relative(url)
            | BatchTarget::Reference { rest: url, .. }) = request.target;
            let (path, query) = url.split_once('?').unwrap_or((url, ""));
            let _ = (Resource::parse(path), QueryOptions::parse(query));
        }
    }
    assert!(operations <= MAX_OPERATIONS);
});
