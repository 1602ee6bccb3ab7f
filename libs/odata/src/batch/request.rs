//! The HTTP side of a batch: request lines and URLs.

use super::multipart::{Head, headers, line};
use super::{BatchError, BatchMethod, BatchRequest, BatchTarget};
use crate::parser::MAX_LENGTH;

/// Why a request cannot be read.
pub(super) enum Refusal {
    Part(&'static str),
    Nested,
}

impl Refusal {
    pub(super) fn of(self, part: usize) -> BatchError {
        match self {
            Self::Part(problem) => BatchError::Part { part, problem },
            Self::Nested => BatchError::Nested,
        }
    }
}

impl From<&'static str> for Refusal {
    fn from(problem: &'static str) -> Self {
        Self::Part(problem)
    }
}

/// Reads the request in a part whose own headers are these.
pub(super) fn read<'a>(head: &Head<'a>, text: &'a [u8]) -> Result<BatchRequest<'a>, Refusal> {
    let text = text.trim_ascii_start();
    let first = line(text, 0).ok_or("it has no request line")?;
    let (method, target) = request_line(first)?;
    let (headers, body) = headers(text.get(first.len()..).unwrap_or_default())?;
    let inner = headers.iter().find(|(it, _)| it.eq_ignore_ascii_case("Content-ID"));
    let content_id = head.get("Content-ID").or(inner.map(|(_, it)| *it));
    let content_id = content_id.filter(|it| !it.is_empty());
    let body = if body.trim_ascii().is_empty() { &[] } else { body };
    Ok(BatchRequest { method, target, content_id, headers, body })
}

/// `METHOD URL HTTP/1.1`. The URL may hold spaces, so it ends where the last version begins.
fn request_line(line: &[u8]) -> Result<(BatchMethod, BatchTarget<'_>), Refusal> {
    let line = std::str::from_utf8(line).map_err(|_| "its request line is not UTF-8 text")?;
    let (request, version) =
        line.trim_end().rsplit_once(" HTTP/").ok_or("its request line has no HTTP version")?;
    let (digit, rest) = version.split_at_checked(1).unwrap_or_default();
    if !matches!((digit, rest), ("1", ".0" | ".1") | ("2", "" | ".0")) {
        return Err("its request line has an unknown HTTP version".into());
    }
    let (method, url) = request.split_once(' ').ok_or("its request line has no URL")?;
    let method = BatchMethod::ALL.into_iter().find(|it| it.name() == method);
    let method = method.ok_or("its method is not supported")?;
    let url = url.trim();
    if url.is_empty() || url.contains(char::is_control) {
        return Err("its URL is empty or holds control characters".into());
    }
    if url.len() > MAX_LENGTH {
        return Err("its URL is too long".into());
    }
    let path = url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let last = path.rsplit('/').next().unwrap_or_default();
    if last == "$batch" || last.eq_ignore_ascii_case("%24batch") {
        return Err(Refusal::Nested);
    }
    Ok((method, target(url)))
}

fn target(url: &str) -> BatchTarget<'_> {
    if let Some(rest) = without_scheme(url) {
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        return match rest.get(at..).unwrap_or_default() {
            path if path.starts_with('/') => BatchTarget::Rooted(path),
            _ => BatchTarget::Rooted("/"),
        };
    }
    if url.starts_with('/') {
        return BatchTarget::Rooted(url);
    }
    let reference = url.strip_prefix('$').map(|it| {
        let at = it.find(['/', '?', '(']).unwrap_or(it.len());
        it.split_at_checked(at).unwrap_or((it, ""))
    });
    match reference {
        // The resources of OData whose names begin with a dollar sign.
        Some(("metadata" | "all" | "entity" | "crossjoin" | "", _)) | None => {
            BatchTarget::Relative(url)
        }
        Some((content_id, rest)) => BatchTarget::Reference { content_id, rest },
    }
}

fn without_scheme(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    ["http", "https"].iter().any(|it| it.eq_ignore_ascii_case(scheme)).then_some(rest)
}
