//! The device code flow (RFC 8628): a program shows a code, and a person enters it on a page and
//! chooses a user.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;
use uuid::Uuid;

use super::codes::{self, Codes, lock};
use super::http::Base;
use super::oauth_error::OAuthError;
use super::page::Page;
use super::parameters::Parameters;
use super::scope::Asked;
use super::tokens::Version;
use super::{DevIssuer, TENANT};

/// The oldest gives way to one more.
const MOST: usize = 1_000;
/// Letters that make no words and are not mistaken for each other.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const USER_CODE_LENGTH: usize = 8;
/// How often a client may ask, in seconds; nobody else is waiting on a developer's machine.
const INTERVAL: u64 = 1;

/// Devices that wait for somebody.
pub(super) struct Devices {
    lifetime: Duration,
    waiting: Mutex<VecDeque<Device>>,
    /// The device codes behind pages that a person has open.
    pages: Codes<String>,
}

struct Device {
    device_code: String,
    user_code: String,
    expires: Instant,
    client_id: String,
    asked: Asked,
    user: Option<Uuid>,
}

// === impl Devices ===

impl Devices {
    pub(super) fn new(lifetime: Duration) -> Self {
        Self { lifetime, waiting: Mutex::default(), pages: Codes::new(lifetime) }
    }

    /// A device code and the user code for it.
    fn start(&self, client_id: String, asked: Asked) -> Option<(String, String)> {
        let (device_code, user_code) = (codes::random()?, user_code()?);
        let mut waiting = lock(&self.waiting);
        waiting.push_back(Device {
            device_code: device_code.clone(),
            user_code: user_code.clone(),
            expires: Instant::now() + self.lifetime,
            client_id,
            asked,
            user: None,
        });
        if waiting.len() > MOST {
            waiting.pop_front();
        }
        Some((device_code, user_code))
    }

    /// The device code and the client that wait for this user code.
    fn entered(&self, user_code: &str) -> Option<(String, String)> {
        let waiting = lock(&self.waiting);
        let found = waiting.iter().find(|it| it.user_code == user_code && it.is_open())?;
        Some((found.device_code.clone(), found.client_id.clone()))
    }

    fn answer(&self, device_code: &str, user: Uuid) -> bool {
        let mut waiting = lock(&self.waiting);
        let found = waiting.iter_mut().find(|it| it.device_code == device_code && it.is_open());
        found.map(|it| it.user = Some(user)).is_some()
    }

    /// What the client of a device code gets, once.
    pub(super) fn redeem(
        &self,
        device_code: &str,
        client_id: &str,
    ) -> Result<(Uuid, Asked), OAuthError> {
        let mut waiting = lock(&self.waiting);
        let is = |it: &Device| it.device_code == device_code && it.client_id == client_id;
        let position = waiting.iter().position(is).ok_or(OAuthError::UnknownDevice)?;
        let device = waiting.get(position).ok_or(OAuthError::UnknownDevice)?;
        if device.expires <= Instant::now() {
            return Err(OAuthError::DeviceExpired);
        }
        let user = device.user.ok_or(OAuthError::Pending)?;
        let device = waiting.remove(position).ok_or(OAuthError::UnknownDevice)?;
        Ok((user, device.asked))
    }
}

impl Device {
    fn is_open(&self) -> bool {
        self.user.is_none() && self.expires > Instant::now()
    }
}

fn user_code() -> Option<String> {
    let mut code = String::new();
    while code.len() < USER_CODE_LENGTH {
        let mut byte = [0];
        aws_lc_rs::rand::fill(&mut byte).ok()?;
        // Bytes past the last multiple would make the first letters likelier.
        let [byte] = byte.map(usize::from);
        if byte < 256 / LETTERS.len() * LETTERS.len()
            && let Some(letter) = LETTERS.get(byte % LETTERS.len())
        {
            code.push(char::from(*letter));
        }
    }
    Some(code)
}

/// `POST /{tenant}/oauth2/v2.0/devicecode`
pub(super) async fn start(
    State(issuer): State<DevIssuer>,
    Extension(version): Extension<Version>,
    Base(base): Base,
    form: Parameters,
) -> Result<Response, OAuthError> {
    let client = issuer.client(form.require("client_id")?, form.get("client_secret"))?;
    let asked = issuer.asked(version, &base, &form)?;
    let started = issuer.0.devices.start(client.id, asked).ok_or(OAuthError::Failed)?;
    let (device_code, user_code) = started;
    let page = format!("{base}/{TENANT}/oauth2/deviceauth");
    let message = format!("To sign in, open the page {page} and enter the code {user_code}.");
    let body = Json(json!({
        "device_code": device_code,
        "user_code": user_code,
        "verification_uri": page,
        "verification_url": page,
        "verification_uri_complete": format!("{page}?otc={user_code}"),
        "expires_in": issuer.0.devices.lifetime.as_secs(),
        "interval": INTERVAL,
        "message": message,
    }));
    Ok(([(header::CACHE_CONTROL, "no-store")], body).into_response())
}

/// `GET /{tenant}/oauth2/deviceauth`
pub(super) async fn page(_: Base, RawQuery(query): RawQuery) -> Page {
    match Parameters::parse(&query.unwrap_or_default()) {
        Ok(parameters) => enter("", parameters.get("otc").unwrap_or_default()),
        Err(error) => Page::refusal(&error.description()),
    }
}

/// `POST /{tenant}/oauth2/deviceauth`: first the code, then, from the page that this leads to, the
/// user.
pub(super) async fn submit(State(issuer): State<DevIssuer>, _: Base, form: Parameters) -> Page {
    let devices = &issuer.0.devices;
    let Some(page) = form.get("request") else {
        let code = normal(form.get("code").unwrap_or_default());
        return match devices.entered(&code) {
            Some((device_code, client)) => ask(&issuer, device_code, &client),
            None => enter("Nobody waits for that code, or no longer.", ""),
        };
    };
    let expired = || enter("That took too long, or was sent before. Start again.", "");
    let Some(device_code) = devices.pages.take(page) else { return expired() };
    if !issuer.lets_in(&form) {
        return Page::refusal("That is not the password. Start again.");
    }
    let Some(person) = form.get("user").and_then(|it| issuer.person_named(it)) else {
        return Page::refusal("There is no such user. Start again.");
    };
    if devices.answer(&device_code, person.object_id) {
        Page::new("Sign in").text("Done. The application goes on; this page may be closed.")
    } else {
        expired()
    }
}

fn enter(problem: &str, code: &str) -> Page {
    let page =
        if problem.is_empty() { Page::new("Sign in a device") } else { Page::refusal(problem) };
    // Kept to its letters, what comes from a link needs no escaping.
    let field = format!(
        "<label>Code <input name=\"code\" value=\"{}\" autocomplete=\"off\" autofocus></label> \
         <button>Next</button>",
        normal(code)
    );
    page.form(&format!("/{TENANT}/oauth2/deviceauth"), &[], &field)
}

fn ask(issuer: &DevIssuer, device_code: String, client: &str) -> Page {
    let Some(page) = issuer.0.devices.pages.add(device_code) else {
        return Page::refusal(&OAuthError::Failed.description());
    };
    let users = issuer.choices();
    Page::new("Sign in a device").text(&format!("The application {client} wants to act as:")).form(
        &format!("/{TENANT}/oauth2/deviceauth"),
        &[("request", &page)],
        &users,
    )
}

/// A user code as it may have been typed.
fn normal(code: &str) -> String {
    let letters = code.chars().filter(char::is_ascii_alphanumeric).take(USER_CODE_LENGTH);
    letters.map(|it| it.to_ascii_uppercase()).collect()
}
