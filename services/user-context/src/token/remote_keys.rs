//! Keys that an issuer publishes. Held in memory, and fetched again when a token names a key that
//! is not among them; but however many such tokens come, only so often. Only a fetch that succeeds
//! replaces them, so an issuer that is away does not lock out those whose keys are known.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use moka::sync::Cache;
use reqwest::{Client, redirect};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::key_set::{KeySet, KeySetError, VerifyingKey};
use crate::error::{Error, Refusal};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
const LARGEST_DOCUMENT: usize = 512 * 1024;
/// Keys are fetched again after this long even when none is missing, so that a withdrawn key is not
/// believed much longer, as long as the issuer answers.
const STALE_AFTER: Duration = Duration::from_secs(3600);

/// Ids of keys that the issuer is known not to have: as many as are remembered, and for how many
/// times the least interval between fetches.
const UNKNOWN_IDS: u64 = 10_000;
const UNKNOWN_INTERVALS: u32 = 12;
/// Longer ids are not remembered, and not asked for: no issuer has such.
const LONGEST_ID: usize = 256;

/// Where the keys are.
#[derive(Debug)]
pub(super) enum Location {
    /// At this URL.
    Keys(String),
    /// Where the discovery document of this issuer says.
    Discovery(String),
}

#[derive(Debug)]
pub(super) struct RemoteKeys {
    location: Location,
    http: Client,
    refetch: Duration,
    current: ArcSwapOption<Fetched>,
    unknown: Cache<String, ()>,
    /// Held while keys are fetched, so that all who wait for keys wait for one fetch.
    last_attempt: Mutex<Option<Attempt>>,
}

#[derive(Debug)]
struct Fetched {
    keys: KeySet,
    at: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    ended: Instant,
    succeeded: bool,
}

/// What the issuer said when it was asked for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// All its keys, since somebody wanted this one.
    All,
    /// All its keys, a moment before: one that it has published since is not among them.
    AllBefore,
    /// Nothing.
    None,
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error("the document is larger than {LARGEST_DOCUMENT} bytes")]
    TooLarge,
    #[error("not a discovery document: {0}")]
    Discovery(#[from] serde_json::Error),
    #[error("the discovery document is of another issuer")]
    OtherIssuer,
    #[error("the discovery document sends an https issuer's clients elsewhere for keys")]
    Insecure,
    #[error(transparent)]
    Keys(#[from] KeySetError),
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl RemoteKeys {
    /// Keys at `location`, fetched when first needed and then at most once per `refetch`.
    pub(super) fn new(location: Location, refetch: Duration) -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(FETCH_TIMEOUT)
            .redirect(redirect::Policy::none())
            .build()?;
        let unknown = Cache::builder()
            .max_capacity(UNKNOWN_IDS)
            .time_to_live(refetch.saturating_mul(UNKNOWN_INTERVALS))
            .build();
        let current = ArcSwapOption::empty();
        Ok(Self { location, http, refetch, current, unknown, last_attempt: Mutex::new(None) })
    }

    /// The key of this id.
    pub(super) async fn find(self: &Arc<Self>, id: &str) -> Result<Arc<VerifyingKey>, Error> {
        let fetched = self.current.load_full();
        let held = fetched.as_ref().and_then(|it| it.keys.find(id));
        let stale = fetched.is_some_and(|it| it.at.elapsed() > STALE_AFTER);
        if let Some(key) = held {
            if stale && self.last_attempt.try_lock().is_ok_and(|it| !self.is_recent(*it)) {
                tokio::spawn(Arc::clone(self).refresh(id.to_owned(), Instant::now()));
            }
            return Ok(key);
        }
        if id.len() > LONGEST_ID || self.unknown.contains_key(id) {
            return Err(Refusal::UnknownKey.into());
        }
        // On its own, so that a caller who gives up does not end the fetch that others wait for.
        let refresh = tokio::spawn(Arc::clone(self).refresh(id.to_owned(), Instant::now()));
        let answered = refresh.await.unwrap_or_else(|error| {
            tracing::error!(%error, "fetching an issuer's keys did not finish");
            Answer::None
        });
        match self.current.load_full().and_then(|it| it.keys.find(id)) {
            Some(key) => Ok(key),
            None => Err(match answered {
                Answer::All => {
                    self.unknown.insert(id.to_owned(), ());
                    Refusal::UnknownKey.into()
                }
                Answer::AllBefore => Refusal::UnknownKey.into(),
                Answer::None => Error::IssuerUnavailable,
            }),
        }
    }

    /// Fetches the keys, unless they are fresh or were asked for just now. What the issuer answered,
    /// now or the last time.
    async fn refresh(self: Arc<Self>, id: String, asked: Instant) -> Answer {
        let mut last_attempt = self.last_attempt.lock().await;
        let fetched = self.current.load_full();
        let fresh =
            fetched.is_some_and(|it| it.keys.find(&id).is_some() && it.at.elapsed() <= STALE_AFTER);
        if let Some(last) = *last_attempt
            // One who waited for somebody else's fetch has its answer.
            && (fresh || last.ended >= asked || self.is_recent(Some(last)))
        {
            return match last.succeeded {
                true if last.ended >= asked => Answer::All,
                true => Answer::AllBefore,
                false => Answer::None,
            };
        }
        let succeeded = match self.fetch().await {
            Ok(keys) => {
                self.current.store(Some(Arc::new(Fetched { keys, at: Instant::now() })));
                true
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, location = ?self.location, "could not fetch an issuer's keys");
                false
            }
        };
        // From its end, or all who waited for a slow failure would try one after the other.
        *last_attempt = Some(Attempt { ended: Instant::now(), succeeded });
        if succeeded { Answer::All } else { Answer::None }
    }

    fn is_recent(&self, attempt: Option<Attempt>) -> bool {
        attempt.is_some_and(|it| it.ended.elapsed() < self.refetch)
    }

    /// As if the last fetch was long ago.
    #[cfg(test)]
    pub(super) async fn forget_attempts(&self) {
        *self.last_attempt.lock().await = None;
    }

    async fn fetch(&self) -> Result<KeySet, FetchError> {
        let keys = match &self.location {
            Location::Keys(url) => self.get(url).await?,
            Location::Discovery(issuer) => {
                let base = issuer.trim_end_matches('/');
                let document =
                    self.get(&format!("{base}/.well-known/openid-configuration")).await?;
                let discovery: Discovery = serde_json::from_str(&document)?;
                if discovery.issuer != *issuer {
                    return Err(FetchError::OtherIssuer);
                }
                if issuer.starts_with("https:") && !discovery.jwks_uri.starts_with("https:") {
                    return Err(FetchError::Insecure);
                }
                self.get(&discovery.jwks_uri).await?
            }
        };
        Ok(KeySet::parse(&keys)?)
    }

    async fn get(&self, url: &str) -> Result<String, FetchError> {
        let mut response = self.http.get(url).send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > LARGEST_DOCUMENT {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(String::from_utf8_lossy(&body).into_owned())
    }
}
