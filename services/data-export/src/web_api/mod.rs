//! The environment's Web API over HTTP: who asks (an application user, with OAuth client credentials), how
//! patiently, and what comes back. Anybody else's add-in could read the same way.
//!
//! [`WebApi`] asks; `token` is who it is, `definition` what tables look like, `rows` a page of them,
//! `resolver` whom it may talk to.

mod definition;
mod error;
mod resolver;
mod rows;
mod token;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{ACCEPT, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

pub(crate) use definition::Definition;
pub(crate) use error::ApiError;
use resolver::{Resolver, is_safe};
pub(crate) use rows::{Page, Row};
pub(crate) use token::Credentials;
use token::Tokens;

const ROOT: &str = "api/data/v9.2/";
const PAGE_SIZE: u32 = 5_000;
/// A page is held whole; more than this is none that we asked for.
const LARGEST_BODY: usize = 256 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(150);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// However long the server says that we should wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
const LONGEST_MESSAGE: usize = 500;

/// How often a request is made that fails for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// Once: somebody waits for the answer.
    None,
    /// Some times.
    Some,
}

/// One environment's Web API, for one application user.
#[derive(Debug)]
pub(crate) struct WebApi {
    client: Client,
    base: Url,
    tokens: Tokens,
    patience: Patience,
    stop: CancellationToken,
}

/// An attempt that may succeed another time.
struct Passing {
    message: String,
    retry_after: Option<Duration>,
}

enum Attempt {
    Done(Vec<u8>),
    Passing(Passing),
    /// The token is not, or no longer, good.
    Unauthenticated(String),
}

/// The platform's shape of an error.
#[derive(Default, Deserialize)]
struct ErrorBody {
    error: ErrorContent,
}

#[derive(Default, Deserialize)]
struct ErrorContent {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// A client for all of them. It follows no redirect: what it sends is for the one it asked.
pub(crate) fn client() -> reqwest::Result<Client> {
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .dns_resolver(Arc::new(Resolver))
        .redirect(redirect::Policy::none())
        .user_agent(concat!("tombolo-data-export/", env!("CARGO_PKG_VERSION")))
        .build()
}

// === impl WebApi ===

impl WebApi {
    /// Asks until `stop`.
    pub(crate) fn new(
        client: Client,
        url: &str,
        credentials: Credentials,
        patience: Patience,
        stop: CancellationToken,
    ) -> Result<Self, ApiError> {
        let wrong = || ApiError::WebApiUrl(url.to_owned());
        let url = url.trim_end_matches('/');
        let base = Url::parse(&format!("{url}/{ROOT}")).map_err(|_| wrong())?;
        if !is_safe(&base) {
            return Err(wrong());
        }
        let tokens = Tokens::new(client.clone(), base.clone(), credentials);
        Ok(Self { client, base, tokens, patience, stop })
    }

    /// What a table looks like, by the name of its entity set.
    pub(crate) async fn definition(&self, set: &str) -> Result<Definition, ApiError> {
        definition::read(self, set).await
    }

    /// Whether rows of these columns may be read: reads one.
    pub(crate) async fn probe(&self, set: &str, columns: &[&str]) -> Result<(), ApiError> {
        let url = self.resource(&format!("{set}?$select={}&$top=1", columns.join(",")))?;
        Page::parse(&self.get(url, "").await?).map(drop)
    }

    /// The first page of a table's rows; behind the last one stands a link to their changes, if they are
    /// tracked. `consume` gets the page.
    pub(crate) async fn rows<T>(
        &self,
        set: &str,
        columns: &[&str],
        tracked: bool,
        consume: impl FnOnce(Page<'_>) -> T,
    ) -> Result<T, ApiError> {
        let url = self.resource(&format!("{set}?$select={}", columns.join(",")))?;
        let bytes = self.get(url, &preferences(tracked)).await?;
        Page::parse(&bytes).map(consume)
    }

    /// The page behind a link that the Web API gave.
    pub(crate) async fn follow<T>(
        &self,
        link: &str,
        consume: impl FnOnce(Page<'_>) -> T,
    ) -> Result<T, ApiError> {
        let bytes = self.get(self.own(link)?, &preferences(false)).await?;
        Page::parse(&bytes).map(consume)
    }

    fn resource(&self, path: &str) -> Result<Url, ApiError> {
        let url = self.base.join(path);
        url.map_err(|_| ApiError::Malformed(format!("`{path}` cannot be part of a URL")))
    }

    /// The link's path at the server we know: a token goes nowhere else.
    fn own(&self, link: &str) -> Result<Url, ApiError> {
        let malformed = || ApiError::Malformed("a link is no URL".to_owned());
        let theirs = self.base.join(link).map_err(|_| malformed())?;
        let mut url = self.base.clone();
        url.set_path(theirs.path());
        url.set_query(theirs.query());
        Ok(url)
    }

    async fn get(&self, url: Url, prefer: &str) -> Result<Vec<u8>, ApiError> {
        let attempts = match self.patience {
            Patience::None => 1,
            Patience::Some => 5,
        };
        let (mut pause, mut renewed) = (FIRST_PAUSE, false);
        let mut attempt = 1;
        loop {
            let done = tokio::select! {
                () = self.stop.cancelled() => return Err(ApiError::Stopped),
                done = self.attempt(url.clone(), prefer) => done?,
            };
            let passing = match done {
                Attempt::Done(bytes) => return Ok(bytes),
                Attempt::Unauthenticated(message) if renewed => {
                    return Err(ApiError::Denied(message));
                }
                Attempt::Unauthenticated(_) => {
                    self.tokens.forget().await;
                    renewed = true;
                    continue;
                }
                Attempt::Passing(passing) if attempt == attempts => {
                    return Err(ApiError::Unavailable(passing.message));
                }
                Attempt::Passing(passing) => passing,
            };
            let wait = passing.retry_after.unwrap_or(pause).min(LONGEST_PAUSE);
            tracing::debug!(error = passing.message, ?wait, "the Web API is asked again");
            tokio::select! {
                () = self.stop.cancelled() => return Err(ApiError::Stopped),
                () = tokio::time::sleep(wait) => {}
            }
            attempt += 1;
            pause *= 2;
        }
    }

    async fn attempt(&self, url: Url, prefer: &str) -> Result<Attempt, ApiError> {
        let token = match self.tokens.get().await {
            Ok(token) => token,
            Err(ApiError::Unavailable(message)) => {
                return Ok(Attempt::Passing(Passing { message, retry_after: None }));
            }
            Err(other) => return Err(other),
        };
        let mut request =
            self.client.get(url).bearer_auth(token).header(ACCEPT, "application/json");
        request = request.header("OData-Version", "4.0").header("OData-MaxVersion", "4.0");
        if !prefer.is_empty() {
            request = request.header("Prefer", prefer);
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Ok(Attempt::Passing(Passing::of(&error))),
        };
        let (status, retry_after) = (response.status(), retry_after(&response));
        let body = match body(response).await? {
            Ok(body) => body,
            Err(error) => return Ok(Attempt::Passing(Passing::of(&error))),
        };
        if status.is_success() {
            return Ok(Attempt::Done(body));
        }
        let ErrorContent { code, message } =
            serde_json::from_slice::<ErrorBody>(&body).unwrap_or_default().error;
        let message = said(status, &message);
        match status {
            StatusCode::UNAUTHORIZED => Ok(Attempt::Unauthenticated(message)),
            StatusCode::FORBIDDEN => Err(ApiError::Denied(message)),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                Ok(Attempt::Passing(Passing { message, retry_after }))
            }
            _ if status.is_server_error() => Ok(Attempt::Passing(Passing { message, retry_after })),
            _ => Err(ApiError::Refused { status: status.as_u16(), code, message }),
        }
    }
}

// === impl Passing ===

impl Passing {
    fn of(error: &reqwest::Error) -> Self {
        Self { message: error::connection(error), retry_after: None }
    }
}

fn preferences(tracked: bool) -> String {
    let tracking = if tracked { "odata.track-changes, " } else { "" };
    format!("{tracking}odata.maxpagesize={PAGE_SIZE}")
}

async fn body(mut response: Response) -> Result<reqwest::Result<Vec<u8>>, ApiError> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= LARGEST_BODY => body.extend(chunk),
            Ok(Some(_)) => {
                return Err(ApiError::Malformed(format!(
                    "an answer is longer than {LARGEST_BODY} bytes"
                )));
            }
            Ok(None) => return Ok(Ok(body)),
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// Seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = DateTime::parse_from_rfc2822(text).ok()?;
    (until.with_timezone(&Utc) - Utc::now()).to_std().ok()
}

/// The server's words, where it has any.
fn said(status: StatusCode, message: &str) -> String {
    if message.is_empty() {
        return format!("HTTP {status}");
    }
    message.chars().take(LONGEST_MESSAGE).collect()
}
