//! What a batch answers: multipart, as clients search it for its literals.

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::response::Parts;
use axum::http::{HeaderValue, StatusCode};
use uuid::Uuid;

use super::super::respond::Response;

/// Headers of a part that say something, as they are written.
const HEADERS: [(&str, &str); 8] = [
    ("content-type", "Content-Type"),
    ("location", "Location"),
    ("odata-entityid", "OData-EntityId"),
    ("etag", "ETag"),
    ("preference-applied", "Preference-Applied"),
    ("www-authenticate", "WWW-Authenticate"),
    ("allow", "Allow"),
    ("retry-after", "Retry-After"),
];

/// One answer, with all of its body.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) head: Parts,
    pub(super) body: Bytes,
    pub(super) request_id: String,
}

/// The answers so far.
#[derive(Debug)]
pub(super) struct Answers {
    boundary: String,
    text: Vec<u8>,
}

impl Part {
    pub(super) fn succeeded(&self) -> bool {
        self.head.status.as_u16() < 400
    }

    /// Where the row is that was written.
    pub(super) fn row(&self) -> Option<&str> {
        self.head.headers.get("odata-entityid")?.to_str().ok()
    }

    fn write(&self, text: &mut Vec<u8>, content_id: Option<&str>) {
        let mut line = |it: &[&[u8]]| {
            it.iter().for_each(|it| text.extend_from_slice(it));
            text.extend_from_slice(b"\r\n");
        };
        line(&[b"Content-Type: application/http"]);
        line(&[b"Content-Transfer-Encoding: binary"]);
        if let Some(id) = content_id {
            line(&[b"Content-ID: ", id.as_bytes()]);
        }
        line(&[]);
        let status = self.head.status;
        let reason = status.canonical_reason().unwrap_or_default();
        line(&[b"HTTP/1.1 ", status.as_str().as_bytes(), b" ", reason.as_bytes()]);
        line(&[b"OData-Version: 4.0"]);
        let located = self.head.headers.contains_key("location");
        for (name, written) in HEADERS {
            let Some(value) = self.head.headers.get(name) else { continue };
            if name == "odata-entityid" && !located {
                line(&[b"Location: ", value.as_bytes()]);
            }
            line(&[written.as_bytes(), b": ", value.as_bytes()]);
        }
        if !self.succeeded() {
            line(&[b"REQ_ID: ", self.request_id.as_bytes()]);
        }
        line(&[]);
        line(&[&self.body]);
    }
}

impl Answers {
    pub(super) fn new() -> Self {
        Self { boundary: format!("batchresponse_{}", Uuid::new_v4()), text: Vec::new() }
    }

    /// In bytes.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn push(&mut self, part: &Part, content_id: Option<&str>) {
        delimit(&mut self.text, &self.boundary, "");
        part.write(&mut self.text, content_id);
    }

    /// Those of a change set, beside the ids that its requests had.
    pub(super) fn push_all<'p>(
        &mut self,
        parts: impl Iterator<Item = (&'p Part, Option<&'p str>)>,
    ) {
        delimit(&mut self.text, &self.boundary, "");
        let boundary = format!("changesetresponse_{}", Uuid::new_v4());
        let head = format!("Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n");
        self.text.extend_from_slice(head.as_bytes());
        for (part, content_id) in parts {
            delimit(&mut self.text, &boundary, "");
            part.write(&mut self.text, content_id);
        }
        delimit(&mut self.text, &boundary, "--");
    }

    pub(super) fn finish(mut self, status: StatusCode, goes_on: bool) -> Response {
        delimit(&mut self.text, &self.boundary, "--");
        let mut response = Response::new(Body::from(self.text));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let content_type = format!("multipart/mixed; boundary={}", self.boundary);
        if let Ok(value) = HeaderValue::try_from(content_type) {
            headers.insert(CONTENT_TYPE, value);
        }
        if goes_on {
            let applied = HeaderValue::from_static("odata.continue-on-error");
            headers.insert("preference-applied", applied);
        }
        response
    }
}

fn delimit(text: &mut Vec<u8>, boundary: &str, end: &str) {
    text.extend_from_slice(format!("--{boundary}{end}\r\n").as_bytes());
}
