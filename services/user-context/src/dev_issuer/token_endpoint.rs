//! The token endpoint: every grant, and what is answered to it.

use aws_lc_rs::digest;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::accounts::Client;
use super::http::Base;
use super::oauth_error::OAuthError;
use super::parameters::Parameters;
use super::scope::Asked;
use super::tokens::{Access, Identity, Version};
use super::{Account, DEFAULT_LIFETIME, DevIssuer, TENANT};

/// For the discovery document.
pub(super) const GRANT_TYPES: [&str; 5] = [
    "authorization_code",
    "client_credentials",
    "password",
    "refresh_token",
    "urn:ietf:params:oauth:grant-type:device_code",
];

/// What a refresh token stands for.
#[derive(Debug)]
pub(super) struct Refreshable {
    client_id: String,
    user: Uuid,
    asked: Asked,
}

/// Who gets a token for what.
struct Granted {
    account: Account,
    asked: Asked,
    nonce: Option<String>,
}

/// One request to the endpoint.
struct Exchange<'a> {
    issuer: &'a DevIssuer,
    version: Version,
    base: &'a str,
    client: Client,
    form: &'a Parameters,
}

/// `POST /{tenant}/oauth2/v2.0/token`
pub(super) async fn token(
    State(issuer): State<DevIssuer>,
    Extension(version): Extension<Version>,
    Base(base): Base,
    headers: HeaderMap,
    form: Parameters,
) -> Result<Response, OAuthError> {
    let client = client(&issuer, &headers, &form)?;
    let exchange = Exchange { issuer: &issuer, version, base: &base, client, form: &form };
    let granted = match form.require("grant_type")? {
        "client_credentials" => exchange.client_credentials()?,
        "authorization_code" => exchange.authorization_code()?,
        "refresh_token" => exchange.refresh_token()?,
        "password" => exchange.password()?,
        // Version 1 said it shorter.
        "urn:ietf:params:oauth:grant-type:device_code" | "device_code" => exchange.device_code()?,
        _ => return Err(OAuthError::GrantType),
    };
    let body = exchange.answer(&granted)?;
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")];
    Ok((headers, Json(body)).into_response())
}

/// The client, by the form or by Basic authentication (RFC 6749, 2.3.1).
fn client(
    issuer: &DevIssuer,
    headers: &HeaderMap,
    form: &Parameters,
) -> Result<Client, OAuthError> {
    if form.get("client_assertion").is_some() {
        return Err(OAuthError::NoSecret);
    }
    let Some((id, secret)) = basic(headers)? else {
        return issuer.client(form.require("client_id")?, form.get("client_secret"));
    };
    if form.get("client_id").is_some_and(|it| it != id) || form.get("client_secret").is_some() {
        return Err(OAuthError::Invalid("client_id"));
    }
    issuer.client(&id, Some(&secret))
}

fn basic(headers: &HeaderMap) -> Result<Option<(String, String)>, OAuthError> {
    let Some(header) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let wrong = || OAuthError::Invalid("Authorization");
    let (scheme, content) =
        header.to_str().ok().and_then(|it| it.split_once(' ')).ok_or_else(wrong)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(wrong());
    }
    let content = STANDARD.decode(content.trim()).map_err(|_| wrong())?;
    let content = String::from_utf8(content).map_err(|_| wrong())?;
    let (id, secret) = content.split_once(':').ok_or_else(wrong)?;
    // Both halves are form-encoded before they are joined.
    let both = Parameters::parse(&format!("id={id}&secret={secret}"))?;
    Ok(Some((both.require("id")?.to_owned(), both.require("secret")?.to_owned())))
}

// === impl Exchange ===

impl Exchange<'_> {
    fn client_credentials(&self) -> Result<Granted, OAuthError> {
        if !self.client.with_secret {
            return Err(OAuthError::NoSecret);
        }
        let account = self.issuer.application(&self.client.id).ok_or(OAuthError::UnknownClient)?;
        let asked = self.asked()?;
        let asked = Asked { id_token: false, refresh_token: false, ..asked };
        Ok(Granted { account, asked, nonce: None })
    }

    fn authorization_code(&self) -> Result<Granted, OAuthError> {
        let given = self.form.require("code")?;
        let verifier = self.form.require("code_verifier")?;
        let redirect_uri = self.form.require("redirect_uri")?;
        let code = self.issuer.0.codes.take(given).ok_or(OAuthError::BadCode)?;
        if code.client_id != self.client.id || code.redirect_uri != redirect_uri {
            return Err(OAuthError::OtherClient);
        }
        let challenge = digest::digest(&digest::SHA256, verifier.as_bytes());
        if URL_SAFE_NO_PAD.encode(challenge) != code.challenge {
            return Err(OAuthError::BadVerifier);
        }
        let account = self.person(code.user)?;
        Ok(Granted { account, asked: code.asked, nonce: code.nonce })
    }

    fn refresh_token(&self) -> Result<Granted, OAuthError> {
        let given = self.form.require("refresh_token")?;
        let refreshable =
            self.issuer.0.refreshables.take(given).ok_or(OAuthError::BadRefreshToken)?;
        if refreshable.client_id != self.client.id {
            return Err(OAuthError::BadRefreshToken);
        }
        let says_what = self.form.get("scope").or(self.form.get("resource")).is_some();
        let asked = if says_what { self.asked()? } else { refreshable.asked };
        let account = self.person(refreshable.user)?;
        Ok(Granted { account, asked: Asked { refresh_token: true, ..asked }, nonce: None })
    }

    fn password(&self) -> Result<Granted, OAuthError> {
        let (name, password) = (self.form.require("username")?, self.form.require("password")?);
        // Judged first, so that who has no password learns no names.
        if !self.issuer.0.secrets.is_password(password) {
            return Err(OAuthError::BadPassword);
        }
        let account = self.issuer.person_named(name).ok_or(OAuthError::BadPassword)?;
        Ok(Granted { account, asked: self.asked()?, nonce: None })
    }

    fn device_code(&self) -> Result<Granted, OAuthError> {
        let given = self.form.get("device_code").or(self.form.get("code"));
        let given = given.ok_or(OAuthError::Missing("device_code"))?;
        let (user, asked) = self.issuer.0.devices.redeem(given, &self.client.id)?;
        Ok(Granted { account: self.person(user)?, asked, nonce: None })
    }

    fn asked(&self) -> Result<Asked, OAuthError> {
        self.issuer.asked(self.version, self.base, self.form)
    }

    fn person(&self, user: Uuid) -> Result<Account, OAuthError> {
        self.issuer.person(user).ok_or(OAuthError::UserGone)
    }

    fn answer(&self, granted: &Granted) -> Result<Value, OAuthError> {
        let Granted { account, asked, nonce } = granted;
        let signer = &self.issuer.0.signer;
        let failed = |error| {
            tracing::error!(%error, "could not sign a token");
            OAuthError::Failed
        };
        let access = Access {
            version: asked.version,
            resource: &asked.resource,
            account,
            client_id: Some(&self.client.id),
            with_secret: self.client.with_secret,
            lifetime: DEFAULT_LIFETIME,
        };
        let mut answer = Map::new();
        let mut say = |name: &str, value: Value| answer.insert(name.to_owned(), value);
        say("token_type", json!("Bearer"));
        say("access_token", json!(signer.access_token(&access).map_err(failed)?));
        let seconds = DEFAULT_LIFETIME.as_secs();
        match asked.version {
            // Numbers were strings.
            Version::V1 => {
                say("expires_in", json!(seconds.to_string()));
                say("resource", json!(asked.resource));
            }
            Version::V2 => {
                say("expires_in", json!(seconds));
                say("ext_expires_in", json!(seconds));
            }
        }
        if account.application_id.is_none() {
            say("scope", json!(asked.scope));
        }
        if asked.id_token {
            let identity = Identity {
                version: asked.version,
                base: self.base,
                account,
                client_id: &self.client.id,
                nonce: nonce.as_deref(),
                lifetime: DEFAULT_LIFETIME,
            };
            say("id_token", json!(signer.id_token(&identity).map_err(failed)?));
            let ids = json!({ "uid": account.object_id, "utid": TENANT }).to_string();
            say("client_info", json!(URL_SAFE_NO_PAD.encode(ids)));
        }
        if asked.refresh_token {
            let (client_id, user) = (self.client.id.clone(), account.object_id);
            let refreshable = Refreshable { client_id, user, asked: asked.clone() };
            let code = self.issuer.0.refreshables.add(refreshable).ok_or(OAuthError::Failed)?;
            say("refresh_token", json!(code));
        }
        Ok(Value::Object(answer))
    }
}
