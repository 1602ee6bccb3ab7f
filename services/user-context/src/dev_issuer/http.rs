//! The endpoints: where Microsoft Entra has them, under the tenant.

use std::net::IpAddr;

use axum::extract::{DefaultBodyLimit, FromRequestParts, Path, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use reqwest::{Url, header::HeaderValue};
use serde_json::{Value, json};

use super::oauth_error::OAuthError;
use super::tokens::Version;
use super::{DevIssuer, TENANT, authorize, device, token_endpoint};

/// Forms are small.
const LARGEST_BODY: usize = 32 * 1024;
/// Names under which clients look for a tenant they do not know.
const TENANT_ALIASES: [&str; 2] = ["common", "organizations"];

/// The URL under which the client reaches the issuer, without a last slash.
#[derive(Clone, Debug)]
pub(super) struct Base(pub(super) String);

/// The issuer's endpoints, to be merged into the organization's HTTP server: discovery and keys, the
/// OAuth 2.0 endpoints of versions 1 and 2, and the pages on which a user is chosen.
pub fn router(issuer: &DevIssuer) -> Router {
    let tenant = TENANT.to_string();
    let names = TENANT_ALIASES.into_iter().chain([tenant.as_str()]);
    let router =
        names.fold(Router::new(), |router, name| router.nest(&format!("/{name}"), tenant_routes()));
    router.layer(DefaultBodyLimit::max(LARGEST_BODY)).with_state(issuer.clone())
}

fn tenant_routes() -> Router<DevIssuer> {
    Router::new()
        .merge(versioned(Version::V1, "", ""))
        .merge(versioned(Version::V2, "/v2.0", "/v2.0"))
        .route("/oauth2/deviceauth", get(device::page).post(device::submit))
        .route("/userrealm/{user}", get(user_realm))
}

fn versioned(version: Version, discovery_path: &str, path: &str) -> Router<DevIssuer> {
    Router::new()
        .route(&format!("{discovery_path}/.well-known/openid-configuration"), get(discovery))
        .route(&format!("/discovery{path}/keys"), get(keys))
        .route(&format!("/oauth2{path}/authorize"), get(authorize::page).post(authorize::submit))
        .route(&format!("/oauth2{path}/token"), post(token_endpoint::token))
        .route(&format!("/oauth2{path}/devicecode"), post(device::start))
        .layer(Extension(version))
}

async fn discovery(Extension(version): Extension<Version>, Base(base): Base) -> Json<Value> {
    let path = match version {
        Version::V1 => "",
        Version::V2 => "/v2.0",
    };
    let endpoint = |name: &str| format!("{base}/{TENANT}/oauth2{path}/{name}");
    Json(json!({
        "issuer": version.issuer_at(&base),
        "authorization_endpoint": endpoint("authorize"),
        "token_endpoint": endpoint("token"),
        "device_authorization_endpoint": endpoint("devicecode"),
        "jwks_uri": format!("{base}/{TENANT}/discovery{path}/keys"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post"],
        "grant_types_supported": token_endpoint::GRANT_TYPES,
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "subject_types_supported": ["pairwise"],
    }))
}

async fn keys(State(issuer): State<DevIssuer>) -> Json<Value> {
    Json(json!(issuer.jwks()))
}

/// Asked by clients before they send a password: nobody's account is at another issuer.
async fn user_realm(Path(user): Path<String>) -> Json<Value> {
    Json(json!({ "ver": "1.0", "account_type": "Managed", "domain_name": "", "login": user }))
}

// === impl Base ===

impl FromRequestParts<DevIssuer> for Base {
    type Rejection = OAuthError;

    async fn from_request_parts(
        parts: &mut Parts,
        issuer: &DevIssuer,
    ) -> Result<Self, Self::Rejection> {
        let host = parts.headers.get(header::HOST).map(HeaderValue::to_str);
        let host = host.and_then(Result::ok).and_then(|it| it.parse::<Authority>().ok());
        let host = host.as_ref().or(parts.uri.authority());
        host.and_then(|it| issuer.base(it)).map(Self).ok_or(OAuthError::Invalid("Host"))
    }
}

impl DevIssuer {
    /// Where a client is that asks for this host. None where a page may have made its own name mean
    /// this machine, to get at what only this machine should.
    fn base(&self, host: &Authority) -> Option<String> {
        let own = Url::parse(self.organization_url()).ok()?;
        if self.is_local() && !is_loopback_host(host.host()) {
            return None;
        }
        // Reached under another port, something is in front; and it is there to speak TLS, which
        // clients insist on.
        let scheme = if host.port_u16() == own.port() { own.scheme() } else { "https" };
        let port = host.port_u16().map(|it| format!(":{it}")).unwrap_or_default();
        Some(format!("{scheme}://{}{port}", host.host().to_ascii_lowercase()))
    }

    /// Whether only this machine reaches the organization: nothing is served to others without TLS.
    /// Where it may be reached by others, nobody is signed in without the password.
    pub(super) fn is_local(&self) -> bool {
        let own = Url::parse(self.organization_url()).ok();
        own.is_some_and(|it| it.scheme() == "http" && is_loopback(&it))
    }
}

/// Whether a URL is of this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(is_loopback_host)
}

fn is_loopback_host(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|it| it.is_loopback())
}
