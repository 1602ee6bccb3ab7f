//! A Web API: tables with rows and tracked changes, tokens for one application, and misfortunes on demand.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use axum::routing::any;
use tokio::net::TcpListener;

pub(crate) const CLIENT_ID: &str = "6f5ca5a2-0000-0000-0000-000000000001";
pub(crate) const SECRET: &str = "pa$$&word=1";
const ROOT: &str = "/api/data/v9.2/";
const TOKEN_PATH: &str = "/tenant/oauth2/v2.0/token";

/// The server; gone when dropped.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) url: String,
    state: Arc<Mutex<Content>>,
    _server: Arc<Server>,
}

struct Server(tokio::task::JoinHandle<()>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Default)]
pub(crate) struct Content {
    pub(crate) tables: BTreeMap<&'static str, Table>,
    pub(crate) page_size: usize,
    /// What the next requests for rows are answered with.
    pub(crate) misfortunes: VecDeque<Misfortune>,
    /// Requests for rows, as they came.
    pub(crate) asked: Vec<String>,
    /// The token of now; older ones are refused.
    pub(crate) token: u32,
    /// Whether the token endpoint gives any.
    pub(crate) client_disabled: bool,
}

#[derive(Default)]
pub(crate) struct Table {
    pub(crate) tracked: bool,
    /// Whether its definition only says so.
    pub(crate) refuses_tracking: bool,
    /// Whether the application user may not read it.
    pub(crate) denied: bool,
    /// By id: the version of the last change, and the members but the id's and the version's.
    pub(crate) rows: BTreeMap<u128, (u64, String)>,
    /// Of rows that are gone.
    pub(crate) deleted: BTreeMap<u128, u64>,
    pub(crate) version: u64,
    /// Changes up to this one are no longer kept.
    pub(crate) forgotten: u64,
    /// JSON of more columns than those that all have.
    pub(crate) attributes: String,
}

pub(crate) enum Misfortune {
    /// 429, and come back at once.
    Busy,
    /// 503 for good, as far as the client cares.
    Unavailable,
    /// The token ends.
    TokenEnds,
    /// An answer that breaks off.
    Broken,
    /// No answer.
    Silence,
}

type Answer = Result<String, (StatusCode, String)>;

impl Fake {
    pub(crate) async fn start() -> Self {
        let state = Arc::new(Mutex::new(Content { page_size: 3, token: 1, ..Content::default() }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = (Arc::clone(&state), url.clone());
        let router = Router::new().fallback(any(answer)).with_state(shared);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, state, _server: Arc::new(Server(server)) }
    }

    pub(crate) fn content(&self) -> MutexGuard<'_, Content> {
        self.state.lock().unwrap()
    }

    /// A table of two rows.
    pub(crate) fn add(&self, set: &'static str, tracked: bool) {
        let table = Table { tracked, ..Table::default() };
        self.content().tables.insert(set, table);
        self.put(set, 1, "\"name\":\"Contoso\"");
        self.put(set, 2, "\"name\":\"Fabrikam\"");
    }

    pub(crate) fn put(&self, set: &str, id: u128, members: &str) {
        let mut content = self.content();
        let table = content.tables.get_mut(set).unwrap();
        table.version += 1;
        table.deleted.remove(&id);
        table.rows.insert(id, (table.version, members.to_owned()));
    }

    pub(crate) fn delete(&self, set: &str, id: u128) {
        let mut content = self.content();
        let table = content.tables.get_mut(set).unwrap();
        table.version += 1;
        table.rows.remove(&id);
        table.deleted.insert(id, table.version);
    }

    pub(crate) fn change(&self, set: &str, change: impl FnOnce(&mut Table)) {
        change(self.content().tables.get_mut(set).unwrap());
    }

    /// What an export of the table has to amount to: versions by id.
    pub(crate) fn versions(&self, set: &str) -> BTreeMap<u128, i64> {
        let rows = self.content();
        let rows = rows.tables[set].rows.iter();
        rows.map(|(id, (version, _))| (*id, i64::try_from(*version).unwrap())).collect()
    }
}

type Shared = (Arc<Mutex<Content>>, String);

async fn answer(State((state, url)): State<Shared>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    if parts.method == Method::POST && parts.uri.path() == TOKEN_PATH {
        return token(&state.lock().unwrap(), &url, &body);
    }
    let Some(token) = bearer(&parts.headers) else { return challenge(&url) };
    let Some(resource) = parts.uri.path().strip_prefix(ROOT).map(str::to_owned) else {
        return error(StatusCode::NOT_FOUND, "");
    };
    let query = query(&parts.uri);
    let is_rows = !resource.starts_with("EntityDefinitions");
    let misfortune = {
        let mut content = state.lock().unwrap();
        if is_rows {
            content.asked.push(format!("{resource}?{}", parts.uri.query().unwrap_or_default()));
        }
        let misfortune = if is_rows { content.misfortunes.pop_front() } else { None };
        if let Some(Misfortune::TokenEnds) = misfortune {
            content.token += 1;
        }
        misfortune
    };
    match misfortune {
        Some(Misfortune::Busy) => {
            let mut busy = error(StatusCode::TOO_MANY_REQUESTS, "0x80072322");
            busy.headers_mut().insert("retry-after", "0".parse().unwrap());
            return busy;
        }
        Some(Misfortune::Unavailable) => return error(StatusCode::BAD_REQUEST, "0x80040216"),
        Some(Misfortune::Broken) => return Response::new(Body::from("{\"value\":[{\"n")),
        Some(Misfortune::Silence) => std::future::pending::<()>().await,
        Some(Misfortune::TokenEnds) | None => {}
    }
    let content = state.lock().unwrap();
    if token != format!("token-{}", content.token) {
        return challenge(&url);
    }
    let tracked = parts.headers.get_all("prefer").iter().any(|it| {
        let it = it.to_str().unwrap();
        assert!(it.contains("odata.maxpagesize=5000"));
        it.contains("odata.track-changes")
    });
    match resolve(&content, &resource, &query, tracked, &url) {
        Ok(json) => Response::new(Body::from(json)),
        Err((status, code)) => error(status, &code),
    }
}

fn resolve(
    content: &Content,
    resource: &str,
    query: &BTreeMap<String, String>,
    tracked: bool,
    url: &str,
) -> Answer {
    if resource == "EntityDefinitions" {
        let filter = &query["$filter"];
        let set = filter.strip_prefix("EntitySetName eq '").and_then(|it| it.strip_suffix('\''));
        return Ok(entities(content, set.unwrap()));
    }
    let of = resource.strip_prefix("EntityDefinitions(LogicalName='");
    if let Some(name) = of.and_then(|it| it.strip_suffix("')/Attributes")) {
        return Ok(attributes(content, &format!("{name}s")));
    }
    let none = || (StatusCode::NOT_FOUND, "0x80060888".to_owned());
    let table = content.tables.get(resource).ok_or_else(none)?;
    if table.denied {
        return Err((StatusCode::FORBIDDEN, "0x80040220".to_owned()));
    }
    let link = |name: &str, value: String| {
        format!("\"@odata.{name}\":\"{url}{ROOT}{resource}?$select=x&{value}\"")
    };
    let (after, limit) = match query.get("$deltatoken") {
        Some(token) => (token.parse::<u64>().unwrap(), table.version),
        None => (0, table.version),
    };
    if query.contains_key("$deltatoken") && after < table.forgotten {
        return Err((StatusCode::BAD_REQUEST, "0x80044352".to_owned()));
    }
    // Of a page behind the first: where it begins, and the version that the first one was of.
    let skipped = query.get("$skiptoken").map(|it| {
        let numbers: Vec<u64> = it.split('.').map(|it| it.parse().unwrap()).collect();
        (numbers[0], numbers[1], numbers[2] == 1)
    });
    let (offset, limit, tracked) = skipped.unwrap_or((0, limit, tracked));
    if tracked && (!table.tracked || table.refuses_tracking) {
        return Err((StatusCode::BAD_REQUEST, "0x80072491".to_owned()));
    }
    let objects = objects(table, resource, after, query.contains_key("$deltatoken"));
    let from = usize::try_from(offset).unwrap();
    let page: Vec<_> = objects.iter().skip(from).take(content.page_size).cloned().collect();
    let end = from + page.len();
    let is_delta = query.contains_key("$deltatoken");
    let tail = if end < objects.len() {
        let skip = format!("$skiptoken={end}.{limit}.{}", u8::from(tracked));
        let delta = if is_delta { format!("$deltatoken={after}&") } else { String::new() };
        format!(",{}", link("nextLink", delta + &skip))
    } else if tracked || is_delta {
        format!(",{}", link("deltaLink", format!("$deltatoken={limit}")))
    } else {
        String::new()
    };
    Ok(format!("{{\"value\":[{}]{tail}}}", page.join(",")))
}

fn objects(table: &Table, set: &str, after: u64, is_delta: bool) -> Vec<String> {
    let mut rows: Vec<_> = table.rows.iter().filter(|it| it.1.0 > after).collect();
    if is_delta {
        rows.sort_by_key(|it| it.1.0);
    }
    let name = set.trim_end_matches('s');
    let rows = rows.into_iter().map(|(id, (version, members))| {
        format!(
            "{{\"@odata.etag\":\"W/{version}\",\"{name}id\":\"{}\",\"version\":{version},{members}}}",
            guid(*id)
        )
    });
    let gone = table.deleted.iter().filter(|it| is_delta && *it.1 > after).map(|(id, _)| {
        format!(
            "{{\"@odata.context\":\"x/$metadata#{set}/$deletedEntity\",\"id\":\"{}\",\"reason\":\"deleted\"}}",
            guid(*id)
        )
    });
    rows.chain(gone).collect()
}

fn guid(id: u128) -> String {
    let hex = format!("{id:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn entities(content: &Content, set: &str) -> String {
    let found = content.tables.get(set).map(|it| {
        let name = set.trim_end_matches('s');
        format!(
            "{{\"LogicalName\":\"{name}\",\"PrimaryIdAttribute\":\"{name}id\",\"ChangeTrackingEnabled\":{}}}",
            it.tracked
        )
    });
    format!("{{\"value\":[{}]}}", found.unwrap_or_default())
}

fn attributes(content: &Content, set: &str) -> String {
    let name = set.trim_end_matches('s');
    let attribute = |name: &str, kind: &str| {
        format!("{{\"LogicalName\":\"{name}\",\"AttributeType\":\"{kind}\"}}")
    };
    let id = attribute(&format!("{name}id"), "Uniqueidentifier");
    let own = &content.tables[set].attributes;
    let common = [id, attribute("name", "String"), attribute("version", "BigInt")].join(",");
    let comma = if own.is_empty() { "" } else { "," };
    format!("{{\"value\":[{common}{comma}{own}]}}")
}

fn token(content: &Content, url: &str, body: &str) -> Response<Body> {
    let form = pairs(body);
    let good = form["grant_type"] == "client_credentials"
        && form["client_id"] == CLIENT_ID
        && form["client_secret"] == SECRET
        && form["scope"] == format!("{url}/.default");
    if !good || content.client_disabled {
        let body = "{\"error\":\"invalid_client\",\"error_description\":\"The client's secret is wrong.\"}";
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        return response;
    }
    let token = content.token;
    let body = format!(
        "{{\"access_token\":\"token-{token}\",\"token_type\":\"Bearer\",\"expires_in\":3600}}"
    );
    Response::new(Body::from(body))
}

fn challenge(url: &str) -> Response<Body> {
    let mut response = error(StatusCode::UNAUTHORIZED, "0x8005F101");
    let challenge =
        format!("Bearer authorization_uri={url}/tenant/oauth2/authorize, resource_id={url}/");
    response.headers_mut().insert("www-authenticate", challenge.parse().unwrap());
    response
}

fn error(status: StatusCode, code: &str) -> Response<Body> {
    let body = format!("{{\"error\":{{\"code\":\"{code}\",\"message\":\"refused with {code}\"}}}}");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let header = headers.get("authorization")?.to_str().unwrap();
    Some(header.strip_prefix("Bearer ").unwrap().to_owned())
}

fn query(uri: &Uri) -> BTreeMap<String, String> {
    pairs(uri.query().unwrap_or_default())
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    let url = reqwest::Url::parse(&format!("http://x/?{text}")).unwrap();
    url.query_pairs().into_owned().collect()
}
