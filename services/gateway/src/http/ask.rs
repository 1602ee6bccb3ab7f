//! What a request says besides its path and its query: who, where, until when, with which wishes.

use std::sync::Arc;

use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, HeaderName, Uri, header};

use super::prefer::Preferences;
use crate::callers::Session;
use crate::deadline::Deadline;
use crate::error::GatewayError;
use crate::providers::Call;

/// One request of a recognised caller.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) session: Arc<Session>,
    pub(crate) deadline: Deadline,
    /// `https://host/api/data/v9.2`, as the client sees it.
    pub(crate) root: String,
    pub(crate) prefer: Preferences,
    pub(crate) if_match: Option<String>,
    pub(crate) if_none_match: Option<String>,
    pub(crate) request_id: String,
    /// The client's own, by which a repeated request is known.
    pub(crate) client_request_id: Option<String>,
}

impl Ask {
    pub(super) fn new(
        headers: &HeaderMap,
        session: Arc<Session>,
        deadline: Deadline,
        root: String,
        request_id: &str,
    ) -> Result<Self, GatewayError> {
        let if_match = condition(headers, &header::IF_MATCH)?;
        if if_match.as_deref() == Some("") {
            return Err(unreadable(&header::IF_MATCH));
        }
        // Many clients send the word `null`, with every request, when they mean nothing.
        let if_none_match = condition(headers, &header::IF_NONE_MATCH)?;
        let if_none_match = if_none_match.filter(|it| !matches!(it.as_str(), "" | "null"));
        let prefer = Preferences::parse(headers);
        let request_id = request_id.to_owned();
        let client_request_id = headers.get("x-ms-client-request-id");
        let client_request_id = client_request_id.and_then(|it| it.to_str().ok());
        let client_request_id = client_request_id.filter(|it| !it.is_empty()).map(Into::into);
        Ok(Self {
            session,
            deadline,
            root,
            prefer,
            if_match,
            if_none_match,
            request_id,
            client_request_id,
        })
    }

    pub(crate) fn call(&self) -> Call<'_> {
        Call { session: &self.session, deadline: self.deadline.at() }
    }
}

/// The bearer token. Of two headers neither is believed: others on the way may have picked the other.
pub(crate) fn token(headers: &HeaderMap) -> Result<&str, GatewayError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(GatewayError::Unauthenticated);
    };
    let value = value.to_str().ok();
    let (scheme, token) =
        value.and_then(|it| it.split_once(' ')).ok_or(GatewayError::Unauthenticated)?;
    let token = token.trim();
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() {
        Ok(token)
    } else {
        Err(GatewayError::Unauthenticated)
    }
}

/// The scheme and host that links must begin with to lead the client back here.
pub(crate) fn origin(headers: &HeaderMap, uri: &Uri) -> String {
    let forwarded = text(headers, &HeaderName::from_static("x-forwarded-proto"));
    let first = forwarded.and_then(|it| it.split(',').next()).map(str::trim);
    let scheme = match first.or(uri.scheme_str()) {
        Some(it) if it.eq_ignore_ascii_case("https") => "https",
        _ => "http",
    };
    let host = text(headers, &HOST).or_else(|| uri.authority().map(|it| it.as_str()));
    format!("{scheme}://{}", host.unwrap_or("localhost"))
}

/// A condition of the request. One that cannot be read, or of which there are several, must not be taken
/// for none: the request would be done unconditionally.
fn condition(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, GatewayError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let value = value.to_str().ok().filter(|_| values.next().is_none());
    value.map(|it| Some(it.trim().to_owned())).ok_or_else(|| unreadable(name))
}

fn unreadable(name: &HeaderName) -> GatewayError {
    let name = match *name {
        header::IF_MATCH => "If-Match",
        _ => "If-None-Match",
    };
    let message =
        format!("The header '{name}' takes one entity tag, or '*', and may be given once.");
    GatewayError::InvalidQuery(message)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|it| it.to_str().ok())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn if_match(values: &[&[u8]]) -> Result<Option<String>, GatewayError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_MATCH, HeaderValue::from_bytes(value).unwrap());
        }
        condition(&headers, &header::IF_MATCH)
    }

    #[test]
    fn a_condition_that_cannot_be_read_is_not_taken_for_none() {
        assert_eq!(if_match(&[]).unwrap(), None);
        assert_eq!(if_match(&[b" W/\"1\" "]).unwrap().as_deref(), Some("W/\"1\""));
        assert_eq!(if_match(&[b""]).unwrap().as_deref(), Some(""));
        for odd in [&[b"\xff".as_slice()][..], &[b"*", b"W/\"1\""], &[b"null", b"*"]] {
            assert!(if_match(odd).is_err(), "{odd:?}");
        }
    }
}
