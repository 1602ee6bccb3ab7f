//! Tokens of an application user: OAuth 2.0 client credentials (RFC 6749, 4.4).

use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, CONTENT_TYPE, WWW_AUTHENTICATE};
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::resolver::is_safe;
use super::{ApiError, LONGEST_MESSAGE, error};
use crate::secrets::Secrets;

/// Tokens are renewed this long before they end.
const MARGIN: Duration = Duration::from_secs(120);
const DEFAULT_LIFETIME: u64 = 3_600;

/// As whom the Web API is read.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) client_id: String,
    pub(crate) secret_name: String,
    pub(crate) secrets: Secrets,
    pub(crate) token_url: Option<String>,
    /// Where `token_url` may lead, beside the Web API's own host.
    pub(crate) token_hosts: Vec<String>,
}

/// The token of now.
#[derive(Debug)]
pub(super) struct Tokens {
    client: Client,
    web_api: Url,
    credentials: Credentials,
    held: Mutex<Option<Held>>,
}

#[derive(Clone)]
struct Held {
    token: String,
    renew: Instant,
}

/// Where tokens are got, and for what.
#[derive(Debug, PartialEq, Eq)]
struct Issuer {
    token_url: Url,
    resource: String,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// Version 1 writes numbers as strings.
    #[serde(default)]
    expires_in: serde_json::Value,
}

#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").finish_non_exhaustive()
    }
}

// === impl Tokens ===

impl Tokens {
    pub(super) fn new(client: Client, web_api: Url, credentials: Credentials) -> Self {
        Self { client, web_api, credentials, held: Mutex::new(None) }
    }

    /// The token; a new one where there is none that lasts.
    pub(super) async fn get(&self) -> Result<String, ApiError> {
        let mut held = self.held.lock().await;
        if let Some(it) = held.as_ref().filter(|it| Instant::now() < it.renew) {
            return Ok(it.token.clone());
        }
        let new = self.fetch().await?;
        Ok(held.insert(new).token.clone())
    }

    /// The token was refused.
    pub(super) async fn forget(&self) {
        *self.held.lock().await = None;
    }

    async fn fetch(&self) -> Result<Held, ApiError> {
        let issuer = self.issuer().await?;
        let secret = self.secret().await?;
        let mut form = Url::parse("form:").map_err(|_| ApiError::Stopped)?;
        form.query_pairs_mut()
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.credentials.client_id)
            .append_pair("client_secret", &secret)
            .append_pair("scope", &format!("{}/.default", issuer.resource));
        let request = self
            .client
            .post(issuer.token_url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(form.query().unwrap_or_default().to_owned());
        let unavailable = |it: reqwest::Error| ApiError::Unavailable(error::connection(&it));
        let response = request.send().await.map_err(unavailable)?;
        let status = response.status();
        let body = super::body(response).await?.map_err(unavailable)?;
        if !status.is_success() {
            return Err(refusal(status, &body));
        }
        let granted: Granted = serde_json::from_slice(&body)
            .map_err(|_| ApiError::TokenRefused("the answer holds no token".to_owned()))?;
        Ok(granted.into())
    }

    async fn secret(&self) -> Result<String, ApiError> {
        let (secrets, name) =
            (self.credentials.secrets.clone(), self.credentials.secret_name.clone());
        let read = crate::files::blocking(move || secrets.read(&name)).await;
        let unreadable = |error: std::io::Error| {
            tracing::warn!(%error, "a secret cannot be read");
            ApiError::Unavailable("the secret cannot be read".to_owned())
        };
        let none = || ApiError::NoSecret(self.credentials.secret_name.clone());
        read.map_err(unreadable)?.ok_or_else(none)
    }

    async fn issuer(&self) -> Result<Issuer, ApiError> {
        if let Some(text) = &self.credentials.token_url {
            let token_url = self.allowed(text).ok_or_else(|| ApiError::TokenUrl(text.clone()))?;
            let resource = self.web_api.origin().ascii_serialization();
            return Ok(Issuer { token_url, resource });
        }
        // Who comes without a token is told where they are got.
        let sent = self.client.get(self.web_api.clone()).send().await;
        let response = sent.map_err(|it| ApiError::Unavailable(error::connection(&it)))?;
        let status = response.status();
        let challenges = response.headers().get_all(WWW_AUTHENTICATE).iter();
        let mut challenges = challenges.filter_map(|it| it.to_str().ok());
        if let Some(issuer) = challenges.find_map(|it| challenged(it, &self.web_api)) {
            return Ok(issuer);
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(ApiError::Unavailable(format!("HTTP {status}")));
        }
        Err(ApiError::TokenRefused("the Web API does not say where; set `token_url`".to_owned()))
    }

    /// A URL that somebody gave, if a secret may be sent there.
    fn allowed(&self, text: &str) -> Option<Url> {
        let url = Url::parse(text).ok().filter(is_safe)?;
        let host = url.host_str()?.to_owned();
        let own = self.web_api.host_str() == Some(&host);
        let named = self.credentials.token_hosts.iter().any(|it| it.eq_ignore_ascii_case(&host));
        (own || named).then_some(url)
    }
}

/// What a challenge says: `Bearer authorization_uri=https://…/oauth2/authorize, resource_id=https://…/`.
fn challenged(challenge: &str, web_api: &Url) -> Option<Issuer> {
    let parameters = challenge.trim().strip_prefix("Bearer ")?;
    let parameter = |name: &str| {
        let mut pairs = parameters.split(',').filter_map(|it| it.trim().split_once('='));
        pairs.find(|it| it.0.eq_ignore_ascii_case(name)).map(|it| it.1.trim().trim_matches('"'))
    };
    let authorize = parameter("authorization_uri")?.trim_end_matches('/');
    let authority = authorize
        .strip_suffix("/oauth2/authorize")
        .or_else(|| authorize.strip_suffix("/oauth2/v2.0/authorize"))
        .unwrap_or(authorize);
    let token_url = Url::parse(&format!("{authority}/oauth2/v2.0/token")).ok().filter(is_safe)?;
    let own = || web_api.origin().ascii_serialization();
    let resource = parameter("resource_id").map_or_else(own, str::to_owned);
    Some(Issuer { token_url, resource: resource.trim_end_matches('/').to_owned() })
}

fn refusal(status: StatusCode, body: &[u8]) -> ApiError {
    let Refusal { error, error_description } = serde_json::from_slice(body).unwrap_or_default();
    let mut text = if error_description.is_empty() { error } else { error_description };
    if text.is_empty() {
        text = format!("HTTP {status}");
    }
    let text = text.lines().next().unwrap_or_default().chars().take(LONGEST_MESSAGE).collect();
    match status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        true => ApiError::Unavailable(text),
        false => ApiError::TokenRefused(text),
    }
}

impl From<Granted> for Held {
    fn from(granted: Granted) -> Self {
        let seconds = match &granted.expires_in {
            serde_json::Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        };
        let lifetime = Duration::from_secs(seconds.unwrap_or(DEFAULT_LIFETIME));
        let lasting = lifetime.checked_sub(MARGIN).unwrap_or(lifetime / 2);
        Self { token: granted.access_token, renew: Instant::now() + lasting }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_says_where_tokens_are() {
        let web_api = Url::parse("https://org.test/api/data/v9.2/").unwrap();
        let check = |challenge: &str, expected: Option<(&str, &str)>| {
            let found = challenged(challenge, &web_api);
            let found = found.as_ref().map(|it| (it.token_url.as_str(), it.resource.as_str()));
            assert_eq!(found, expected, "{challenge}");
        };
        let entra = "https://login.test/t/oauth2/v2.0/token";
        check(
            "Bearer authorization_uri=https://login.test/t/oauth2/authorize, resource_id=https://org.example/",
            Some((entra, "https://org.example")),
        );
        check(
            "Bearer authorization_uri=\"https://login.test/t/oauth2/v2.0/authorize\"",
            Some((entra, "https://org.test")),
        );
        check("Bearer authorization_uri=https://login.test/t", Some((entra, "https://org.test")));
        check("Bearer authorization_uri=http://login.test/t/oauth2/authorize", None);
        check("Basic realm=x", None);
        check("Bearer", None);
    }

    #[test]
    fn a_secret_goes_only_where_it_may() {
        let credentials = Credentials {
            client_id: String::new(),
            secret_name: String::new(),
            secrets: Secrets::new("none".into()),
            token_url: None,
            token_hosts: vec!["login.test".to_owned()],
        };
        let web_api = Url::parse("https://org.test/api/data/v9.2/").unwrap();
        let tokens = Tokens::new(Client::new(), web_api, credentials);
        for good in ["https://login.test/t/oauth2/v2.0/token", "https://org.test/token"] {
            assert!(tokens.allowed(good).is_some(), "{good}");
        }
        for bad in [
            "https://evil.test/token",
            "http://login.test/token",
            "https://login.test@evil.test/",
            "https://login.test.evil.test/",
            "file:///etc/passwd",
            "",
        ] {
            assert!(tokens.allowed(bad).is_none(), "{bad}");
        }
    }
}
