//! `$batch` as clients write it, and what comes back taken apart.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::Value;

use crate::web::{Answer, Web};

const BATCH: &str = "batch_AAA123";
const CHANGE_SET: &str = "changeset_BBB456";

/// One request within a batch.
#[derive(Clone, Debug)]
pub struct Part {
    method: Method,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
    content_id: Option<String>,
}

/// What is sent: requests, and change sets of requests.
#[derive(Debug, Default)]
pub struct Batch {
    items: Vec<Item>,
}

#[derive(Debug)]
enum Item {
    One(Part),
    ChangeSet(Vec<Part>),
}

/// One answer within a batch.
#[derive(Clone, Debug)]
pub struct PartAnswer {
    /// The status code.
    pub status: u16,
    /// Of the part that wraps the answer.
    pub content_id: Option<String>,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    /// As it came.
    pub body: String,
    /// It was within a change set's part.
    pub in_change_set: bool,
}

// === impl Part ===

impl Part {
    /// A request without a body. The URL is relative to the service root, absolute, or `$n`.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), headers: Vec::new(), body: None, content_id: None }
    }

    /// GET.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::GET, url)
    }

    /// POST.
    pub fn post(url: impl Into<String>, body: &Value) -> Self {
        Self::new(Method::POST, url).body(body)
    }

    /// PATCH.
    pub fn patch(url: impl Into<String>, body: &Value) -> Self {
        Self::new(Method::PATCH, url).body(body)
    }

    /// DELETE.
    pub fn delete(url: impl Into<String>) -> Self {
        Self::new(Method::DELETE, url)
    }

    /// With a JSON body.
    #[must_use]
    pub fn body(mut self, body: &Value) -> Self {
        self.body = Some(body.to_string());
        self
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// With a Content-ID that others may refer to.
    #[must_use]
    pub fn id(mut self, content_id: &str) -> Self {
        self.content_id = Some(content_id.to_owned());
        self
    }

    fn write(&self, out: &mut String) {
        out.push_str("Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n");
        if let Some(id) = &self.content_id {
            out.push_str(&format!("Content-ID: {id}\r\n"));
        }
        out.push_str(&format!("\r\n{} {} HTTP/1.1\r\n", self.method, self.url));
        for (name, value) in &self.headers {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.body.is_some() {
            out.push_str("Content-Type: application/json\r\n");
        }
        out.push_str("\r\n");
        out.push_str(self.body.as_deref().unwrap_or_default());
        out.push_str("\r\n");
    }
}

// === impl Batch ===

impl Batch {
    /// With one more request on its own.
    #[must_use]
    pub fn and(mut self, part: Part) -> Self {
        self.items.push(Item::One(part));
        self
    }

    /// With one more change set.
    #[must_use]
    pub fn change_set(mut self, parts: impl Into<Vec<Part>>) -> Self {
        self.items.push(Item::ChangeSet(parts.into()));
        self
    }

    /// As it goes over the wire.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for (number, item) in self.items.iter().enumerate() {
            out.push_str(&format!("--{BATCH}\r\n"));
            match item {
                Item::One(part) => part.write(&mut out),
                Item::ChangeSet(parts) => {
                    let boundary = format!("{CHANGE_SET}{number}");
                    out.push_str(&format!(
                        "Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n"
                    ));
                    for part in parts {
                        out.push_str(&format!("--{boundary}\r\n"));
                        part.write(&mut out);
                    }
                    out.push_str(&format!("--{boundary}--\r\n"));
                }
            }
        }
        out.push_str(&format!("--{BATCH}--\r\n"));
        out
    }

    /// The value of its `Content-Type`.
    #[must_use]
    pub fn content_type() -> String {
        format!("multipart/mixed; boundary=\"{BATCH}\"")
    }

    /// Sends it. Returns the answer as a whole.
    pub async fn send(&self, web: &Web, headers: &[(&str, &str)]) -> Result<Answer> {
        let content_type = Self::content_type();
        let mut all = vec![("Content-Type", content_type.as_str())];
        all.extend_from_slice(headers);
        web.send_text(Method::POST, "$batch", &all, self.text()).await
    }

    /// Sends it; the answer must be a batch's, with this status. Returns its parts.
    pub async fn parts(
        &self,
        web: &Web,
        headers: &[(&str, &str)],
        status: u16,
    ) -> Result<Vec<PartAnswer>> {
        let answer = self.send(web, headers).await?;
        ensure!(answer.status == status, "expected {status}: {} {}", answer.status, answer.body);
        parts(&answer)
    }
}

// === impl PartAnswer ===

impl PartAnswer {
    /// A header's text; empty when there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|it| it.0 == name).map_or("", |it| it.1.as_str())
    }

    /// The body.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("not JSON: {:?}", self.body))
    }

    /// The GUID of the row that was written.
    pub fn id(&self) -> Result<String> {
        crate::web::id_of(self.header("odata-entityid"))
            .with_context(|| format!("no OData-EntityId: {self:?}"))
    }
}

/// Takes an answer apart, as strictly as the clients that exist: the first line is the delimiter.
pub fn parts(answer: &Answer) -> Result<Vec<PartAnswer>> {
    let kind = answer.header("content-type");
    ensure!(kind.starts_with("multipart/mixed"), "{kind}: {}", answer.body);
    ensure!(answer.body.starts_with("--batchresponse_"), "{:?}", answer.body);
    let mut found = Vec::new();
    for part in split(&answer.body)? {
        let (head, rest) =
            part.split_once("\r\n\r\n").with_context(|| format!("no head: {part:?}"))?;
        if header(head, "content-type").starts_with("multipart/mixed") {
            let boundary = header(head, "content-type");
            let boundary = boundary.split_once("boundary=").context("no boundary")?.1;
            ensure!(boundary.starts_with("changesetresponse_"), "{boundary}");
            ensure!(rest.starts_with(&format!("--{boundary}")), "{rest:?}");
            for inner in split(rest)? {
                let (head, rest) = inner.split_once("\r\n\r\n").context("no head")?;
                found.push(part_answer(head, rest, true)?);
            }
        } else {
            found.push(part_answer(head, rest, false)?);
        }
    }
    Ok(found)
}

fn part_answer(head: &str, http: &str, in_change_set: bool) -> Result<PartAnswer> {
    ensure!(header(head, "content-type") == "application/http", "{head:?}");
    let content_id = Some(header(head, "content-id")).filter(|it| !it.is_empty());
    let (head, body) = http.split_once("\r\n\r\n").with_context(|| format!("no head: {http:?}"))?;
    let (line, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = line.strip_prefix("HTTP/1.1 ").and_then(|it| it.get(..3));
    let status = status.with_context(|| format!("no status: {line:?}"))?.parse()?;
    let headers = headers.lines().filter_map(|it| it.split_once(':'));
    let headers = headers.map(|it| (it.0.to_ascii_lowercase(), it.1.trim().to_owned())).collect();
    Ok(PartAnswer { status, content_id, headers, body: body.trim_end().to_owned(), in_change_set })
}

fn split(body: &str) -> Result<Vec<&str>> {
    let delimiter = body.lines().next().context("empty")?;
    let (inside, _) = body
        .split_once(&format!("{delimiter}--"))
        .with_context(|| format!("not closed: {body:?}"))?;
    let parts = inside.split(delimiter).skip(1);
    Ok(parts.map(|it| it.trim_start_matches("\r\n")).collect())
}

fn header(head: &str, name: &str) -> String {
    let mut lines = head.lines().filter_map(|it| it.split_once(':'));
    let found = lines.find(|it| it.0.eq_ignore_ascii_case(name));
    found.map(|it| it.1.trim().to_owned()).unwrap_or_default()
}
