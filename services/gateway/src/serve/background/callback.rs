//! Telling a URL that an operation has ended. Only to hosts that the operator allowed: the gateway
//! stands where clients do not, and must not be sent anywhere by them.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, StatusCode, Url, redirect};

use crate::error::GatewayError;

const TIMEOUT: Duration = Duration::from_secs(10);
const ATTEMPTS: u32 = 5;
/// Between the first two; later ones double.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Where to, and how.
#[derive(Debug)]
pub(super) struct Callbacks {
    /// `HOST` or `HOST:PORT`.
    hosts: Vec<String>,
    client: OnceLock<Option<Client>>,
}

/// Why an attempt did not succeed.
enum Failure {
    /// It may another time.
    Passing(String),
    Lasting(String),
}

impl Callbacks {
    pub(super) fn new(hosts: Vec<String>) -> Self {
        Self { hosts, client: OnceLock::new() }
    }

    /// The URL, if it may be called.
    pub(super) fn allowed(&self, url: &str) -> Result<Url, GatewayError> {
        let parsed = Url::parse(url).ok().filter(|it| matches!(it.scheme(), "http" | "https"));
        let parsed = parsed.filter(|it| it.username().is_empty() && it.password().is_none());
        let Some((url, host)) = parsed.and_then(|it| Some((it.clone(), it.host_str()?.to_owned())))
        else {
            let message = "The URL of the preference 'odata.callback' is no http or https URL, or names a user.";
            return Err(GatewayError::InvalidValue(message.to_owned()));
        };
        let port = url.port_or_known_default().unwrap_or_default();
        let with_port = format!("{host}:{port}");
        let named = |it: &String| {
            it.eq_ignore_ascii_case(&with_port)
                || url.port().is_none() && it.eq_ignore_ascii_case(&host)
        };
        if self.hosts.iter().any(named) {
            return Ok(url);
        }
        Err(GatewayError::InvalidValue(format!(
            "Callbacks to '{with_port}' are not allowed: the gateway's setting `callback_hosts` does \
             not name it."
        )))
    }

    /// Tries some times. Who misses it still finds the operation's state where it always is.
    pub(super) async fn deliver(&self, url: &Url, body: String) {
        let host = url.host_str().unwrap_or_default();
        let Some(client) = self.client() else { return };
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=ATTEMPTS {
            match attempt_once(client, url, body.clone()).await {
                Ok(()) => return,
                Err(Failure::Passing(error)) if attempt < ATTEMPTS => {
                    tracing::debug!(host, attempt, error, "a callback is tried again");
                }
                Err(Failure::Passing(error) | Failure::Lasting(error)) => {
                    tracing::warn!(host, attempt, error, "a callback was not delivered");
                    return;
                }
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    fn client(&self) -> Option<&Client> {
        let build = || {
            let builder = Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none());
            builder
                .build()
                .inspect_err(|error| tracing::error!(%error, "callbacks cannot be made"))
                .ok()
        };
        self.client.get_or_init(build).as_ref()
    }
}

async fn attempt_once(client: &Client, url: &Url, body: String) -> Result<(), Failure> {
    let request = client.post(url.clone()).header(CONTENT_TYPE, "application/json").body(body);
    // The URL may hold a secret of the one who gave it.
    let answer =
        request.send().await.map_err(|it| Failure::Passing(it.without_url().to_string()))?;
    let status = answer.status();
    let told = format!("the host answered {status}");
    match status {
        it if it.is_success() => Ok(()),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(Failure::Passing(told)),
        it if it.is_server_error() => Err(Failure::Passing(told)),
        _ => Err(Failure::Lasting(told)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_that_the_operator_named_are_called() {
        let callbacks = Callbacks::new(vec!["Hooks.test".into(), "localhost:9000".into()]);
        let check =
            |url: &str, allowed| assert_eq!(callbacks.allowed(url).is_ok(), allowed, "{url}");
        check("https://hooks.test/a?b=c", true);
        check("http://hooks.test", true);
        check("https://hooks.test:443/", true);
        check("https://hooks.test:8443/", false);
        check("http://localhost:9000/", true);
        check("http://localhost/", false);
        check("http://127.0.0.1:9000/", false);
        check("http://hooks.test.evil/", false);
        check("http://hooks.test@evil.test/", false);
        check("http://user@hooks.test/", false);
        check("ftp://hooks.test/", false);
        check("nowhere", false);
        let refused = Callbacks::new(Vec::new()).allowed("https://hooks.test/").unwrap_err();
        assert!(refused.to_string().contains("`callback_hosts`"), "{refused}");
    }
}
