//! What a request says besides its path and its query: who, where, until when, with which wishes.

use std::sync::Arc;
use std::time::Instant;

use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, HeaderName, Uri, header};

use super::prefer::Preferences;
use crate::callers::Session;
use crate::error::GatewayError;
use crate::providers::Call;

/// One request of a recognised caller.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) session: Arc<Session>,
    pub(crate) deadline: Instant,
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
        deadline: Instant,
        root: String,
        request_id: &str,
    ) -> Self {
        let [if_match, if_none_match] = CONDITIONS.map(|it| conditional(headers, &it));
        let prefer = Preferences::parse(headers);
        let request_id = request_id.to_owned();
        let client_request_id = headers.get("x-ms-client-request-id");
        let client_request_id = client_request_id.and_then(|it| it.to_str().ok());
        let client_request_id = client_request_id.filter(|it| !it.is_empty()).map(Into::into);
        Self {
            session,
            deadline,
            root,
            prefer,
            if_match,
            if_none_match,
            request_id,
            client_request_id,
        }
    }

    pub(crate) fn call(&self) -> Call<'_> {
        Call { session: &self.session, deadline: self.deadline }
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
pub(super) fn origin(headers: &HeaderMap, uri: &Uri) -> String {
    let forwarded = text(headers, &HeaderName::from_static("x-forwarded-proto"));
    let first = forwarded.and_then(|it| it.split(',').next()).map(str::trim);
    let scheme = match first.or(uri.scheme_str()) {
        Some(it) if it.eq_ignore_ascii_case("https") => "https",
        _ => "http",
    };
    let host = text(headers, &HOST).or_else(|| uri.authority().map(|it| it.as_str()));
    format!("{scheme}://{}", host.unwrap_or("localhost"))
}

/// A conditional header. Many clients send the word `null` when they mean nothing.
fn conditional(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    text(headers, name).map(str::trim).filter(|it| !it.is_empty() && *it != "null").map(Into::into)
}

const CONDITIONS: [HeaderName; 2] = [header::IF_MATCH, header::IF_NONE_MATCH];

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|it| it.to_str().ok())
}
