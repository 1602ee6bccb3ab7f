//! What clients ask with: parameters of a URL or of a form.

use std::collections::BTreeMap;

use axum::extract::{FromRequest, Request};
use axum::http::header;
use reqwest::Url;

use super::oauth_error::OAuthError;

/// Parameters by name. An empty one counts as absent, a repeated one is an error (RFC 6749, 3.1).
pub(super) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Of the query of a URL, or of a form's body, which looks the same.
    pub(super) fn parse(text: &str) -> Result<Self, OAuthError> {
        let mut url = Url::parse("form:").map_err(|_| OAuthError::Failed)?;
        url.set_query(Some(text));
        let mut parameters = BTreeMap::new();
        for (name, value) in url.query_pairs() {
            if value.is_empty() {
                continue;
            }
            if parameters.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                return Err(OAuthError::Repeated(name.into_owned()));
            }
        }
        Ok(Self(parameters))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn require(&self, name: &'static str) -> Result<&str, OAuthError> {
        self.get(name).ok_or(OAuthError::Missing(name))
    }
}

impl<S: Send + Sync> FromRequest<S> for Parameters {
    type Rejection = OAuthError;

    async fn from_request(request: Request, state: &S) -> Result<Self, OAuthError> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let kind = kind.and_then(|it| it.split(';').next()).unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(OAuthError::NoForm);
        }
        let body = String::from_request(request, state).await.map_err(|_| OAuthError::NoForm)?;
        Self::parse(&body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded_and_may_say_a_thing_once() {
        let form = Parameters::parse("a=1+2%2B3&b=&c=%C3%A9%23&d").unwrap();
        assert_eq!((form.get("a"), form.get("c")), (Some("1 2+3"), Some("é#")));
        assert_eq!((form.get("b"), form.get("d"), form.get("e")), (None, None, None));
        assert_eq!(form.require("b"), Err(OAuthError::Missing("b")));
        let repeated = Parameters::parse("a=1&a=2").err();
        assert_eq!(repeated, Some(OAuthError::Repeated("a".into())));
    }
}
