//! The Web API by plain HTTP, as curl would speak it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(40);

/// A client with a token, or without one.
#[derive(Clone, Debug)]
pub struct Web {
    client: reqwest::Client,
    host: String,
    token: Option<String>,
}

/// What the server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// For messages.
    pub request: String,
    /// The status.
    pub status: StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub body: String,
}

/// Text as part of a query option or a key.
#[must_use]
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

// === impl Web ===

impl Web {
    /// A client of `http://HOST:PORT`.
    #[must_use]
    pub fn new(host: &str, token: Option<String>) -> Self {
        Self { client: reqwest::Client::new(), host: host.to_owned(), token }
    }

    /// The address that all paths are below of.
    #[must_use]
    pub fn base(&self) -> String {
        format!("{}/api/data/v9.2/", self.host)
    }

    /// `HOST:PORT`.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.host.trim_start_matches("http://")
    }

    /// The bearer token.
    #[must_use]
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// GET of a path below the service root, or of a whole URL.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, &[], None).await
    }

    /// GET with a `Prefer` header.
    pub async fn get_prefer(&self, path: &str, prefer: &str) -> Result<Answer> {
        self.send(Method::GET, path, &[("Prefer", prefer)], None).await
    }

    /// GET that must succeed, as JSON.
    pub async fn json(&self, path: &str) -> Result<Value> {
        self.get(path).await?.ok()
    }

    /// GET that must succeed, whatever it answers.
    pub async fn warm_up(&self, path: &str) -> Result<()> {
        let answer = self.get(path).await?;
        ensure!(answer.status == StatusCode::OK, "{answer:?}");
        Ok(())
    }

    /// POST of a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> Result<Answer> {
        self.send(Method::POST, path, &[], Some(body)).await
    }

    /// PATCH with a JSON body: an update, or an upsert.
    pub async fn patch(&self, path: &str, headers: &[(&str, &str)], body: Value) -> Result<Answer> {
        self.send(Method::PATCH, path, headers, Some(body)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.send(Method::DELETE, path, &[], None).await
    }

    /// Creates a row, which must succeed without an answer's body. Returns its GUID.
    pub async fn create(&self, set: &str, body: Value) -> Result<String> {
        let answer = self.post(set, body).await?.expect(204)?;
        ensure!(answer.body.is_empty(), "a body: {answer:?}");
        answer.id()
    }

    /// Any request with a JSON body, or none.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Result<Answer> {
        match body {
            Some(body) => {
                let mut all = vec![("Content-Type", "application/json")];
                all.extend_from_slice(headers);
                self.send_text(method, path, &all, body.to_string()).await
            }
            None => self.send_text(method, path, headers, String::new()).await,
        }
    }

    /// Any request with any body; none when it is empty.
    pub async fn send_text(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Result<Answer> {
        let url = if path.starts_with("http") { path.to_owned() } else { self.base() + path };
        let request_text = format!("{method} {url}");
        let mut request = self.client.request(method, &url).timeout(PATIENCE);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_empty() {
            request = request.body(body);
        }
        let response = request.send().await.with_context(|| request_text.clone())?;
        Ok(Answer {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.text().await.with_context(|| request_text.clone())?,
            request: request_text,
        })
    }

    /// Follows next links to the end. Returns the rows and how many there were on each page.
    pub async fn pages(&self, path: &str, size: usize) -> Result<(Vec<Value>, Vec<usize>)> {
        let prefer = format!("odata.maxpagesize={size}");
        let (mut rows, mut sizes) = (Vec::new(), Vec::new());
        let mut next = Some(path.to_owned());
        while let Some(url) = next {
            let page = self.get_prefer(&url, &prefer).await?.ok()?;
            let value = page["value"].as_array().context("no `value`")?;
            ensure!(value.len() <= size, "{} rows on a page of {size}", value.len());
            sizes.push(value.len());
            rows.extend(value.iter().cloned());
            next = page["@odata.nextLink"].as_str().map(str::to_owned);
            ensure!(sizes.len() < 100_000, "the pages of {path} do not end");
        }
        Ok((rows, sizes))
    }

    /// [`eventually`] of a GET.
    pub async fn eventually(
        &self,
        path: &str,
        within: Duration,
        satisfies: impl Fn(&Answer) -> bool,
    ) -> Result<Duration> {
        eventually(within, async || self.get(path).await, satisfies).await
    }
}

/// Asks again and again until the answer satisfies, or fails with the last one. For what is news within
/// the system, which tells nobody outside.
pub async fn eventually(
    within: Duration,
    ask: impl AsyncFn() -> Result<Answer>,
    satisfies: impl Fn(&Answer) -> bool,
) -> Result<Duration> {
    let started = Instant::now();
    loop {
        let answer = ask().await?;
        if satisfies(&answer) {
            return Ok(started.elapsed());
        }
        ensure!(started.elapsed() < within, "after {within:?} still {answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

// === impl Answer ===

impl Answer {
    /// The body of a success.
    pub fn ok(self) -> Result<Value> {
        ensure!(self.status == StatusCode::OK, "{}: {} {}", self.request, self.status, self.body);
        self.parse()
    }

    /// Itself, if it has this status.
    pub fn expect(self, status: u16) -> Result<Self> {
        let (got, body) = (self.status, &self.body);
        ensure!(got == status, "{}\n  expected {status}, got {got} {body}", self.request);
        Ok(self)
    }

    /// The GUID of the row that was written.
    pub fn id(&self) -> Result<String> {
        id_of(self.header("odata-entityid"))
            .with_context(|| format!("{}: no OData-EntityId: {:?}", self.request, self.headers))
    }

    /// The body, whatever the status.
    pub fn parse(&self) -> Result<Value> {
        serde_json::from_str(&self.body)
            .with_context(|| format!("{}: not JSON: {}", self.request, self.body))
    }

    /// A header's text; empty when there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default()
    }
}

/// The platform's error shape with this status, code and a message that contains this.
pub fn assert_error(answer: &Answer, status: u16, code: &str, message: &str) -> Result<()> {
    let error = &answer.parse()?["error"];
    let matches = answer.status == status
        && error["code"] == code
        && error["message"].as_str().is_some_and(|it| !it.is_empty() && it.contains(message));
    ensure!(
        matches,
        "{}\n  expected {status} {code:?} {message:?}\n  got      {} {}",
        answer.request,
        answer.status,
        answer.body
    );
    Ok(())
}

/// The GUID at the end of a row's address.
pub(crate) fn id_of(address: &str) -> Option<String> {
    let id = address.strip_suffix(')')?.rsplit_once('(')?.1;
    uuid::Uuid::parse_str(id).ok().map(|it| it.to_string())
}
