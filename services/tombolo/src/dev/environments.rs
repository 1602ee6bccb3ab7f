//! Platform environments beside the one that is always served: each has a host name of its own, and its
//! services start when somebody first asks for it. Until one is linked, it has native tables only.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{HOST, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Json, Response};
use gateway::{Clients, Gateway};
use lifecycle::Served;
use serde_json::json;
use tokio::sync::Mutex;
use tower::ServiceExt as _;
use user_context::dev_issuer::DevIssuer;

use super::control_plane::ControlPlane;
use super::databases::PLATFORM;
use super::directory::{Directory, Sources};
use super::empty_model;
use super::platform::{Platform, Settings};
use super::system::Over;
use crate::home::Home;

/// What environments are found below, and what `web_api_url` ends in.
const DOMAIN: &str = ".localhost";
/// The services of one, when it was asked for the first time.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// To its ERP: a laptop has several of them.
const ERP_CONNECTIONS: usize = 4;
/// Of the platform's server: the one that no environment keeps anything in.
const EMPTY_DATABASE: &str = "postgres";
/// The platform's code of what cannot be served as it was asked for.
const CODE: &str = "0x80048d0b";

/// All of them.
#[derive(Clone)]
pub(super) struct Environments(Arc<All>);

struct All {
    /// Everything else, and every other host.
    main: Router,
    control_plane: Arc<ControlPlane>,
    issuer: DevIssuer,
    home: Home,
    platform_url: String,
    erp: query::Config,
    model_dir: PathBuf,
    empty_model_dir: PathBuf,
    /// `:PORT` behind a host.
    port: String,
    scheme: String,
    running: Mutex<HashMap<String, Arc<Slot>>>,
}

/// Whoever holds it starts or stops the environment; others wait.
type Slot = Mutex<Option<Arc<Running>>>;

/// One that is served.
struct Running {
    place: Served,
    // Kept because they stop when dropped.
    _platform: Platform,
    _gateway: Gateway,
    web: Router,
}

/// The ERP that one is over.
struct Erp<'a> {
    url: String,
    model_dir: &'a Path,
}

impl fmt::Debug for Environments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environments").finish_non_exhaustive()
    }
}

impl Environments {
    /// Beside `main`, which serves every other host.
    pub(super) fn new(
        main: Router,
        control_plane: &Arc<ControlPlane>,
        issuer: &DevIssuer,
        over: Over<'_>,
    ) -> Result<Self> {
        let scheme = over.url.split("://").next().unwrap_or("http");
        Ok(Self(Arc::new(All {
            main,
            control_plane: Arc::clone(control_plane),
            issuer: issuer.clone(),
            home: over.home.clone(),
            platform_url: over.databases.platform_url(),
            erp: over.erp.clone(),
            model_dir: over.model_dir.to_owned(),
            empty_model_dir: empty_model::write(over.home)?,
            port: over.address.port().to_string(),
            scheme: scheme.to_owned(),
            running: Mutex::default(),
        })))
    }

    /// Serves each under its own host name.
    pub(super) fn router(self) -> Router {
        Router::new().fallback(serve).with_state(self)
    }
}

async fn serve(State(all): State<Environments>, request: Request) -> Response {
    let all = all.0;
    let web = match host_name(&request).filter(|_| request.uri().path().starts_with("/api/")) {
        None => all.main.clone(),
        Some(name) => match all.find(&name).await {
            Ok(None) => all.main.clone(),
            Ok(Some(it)) => it.web.clone(),
            Err(error) => {
                tracing::error!(
                    name,
                    error = format!("{error:#}"),
                    "an environment cannot be served"
                );
                return later(&name);
            }
        },
    };
    match web.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

impl All {
    /// The environment of that host, if there is one. Asked every time: it may be deleted, copied over or
    /// linked at any moment.
    async fn find(&self, name: &str) -> Result<Option<Arc<Running>>> {
        let place = self.control_plane.lifecycle.served(name).await?;
        // The main one is served in any case.
        let Some(place) = place.filter(|it| it.database != PLATFORM) else {
            self.running.lock().await.remove(name);
            return Ok(None);
        };
        let slot = Arc::clone(self.running.lock().await.entry(name.to_owned()).or_default());
        let mut running = slot.lock().await;
        if let Some(it) = running.as_ref().filter(|it| it.place == place) {
            return Ok(Some(Arc::clone(it)));
        }
        *running = None;
        let started = tokio::time::timeout(READY_WITHIN, self.start(name, place)).await;
        let started = Arc::new(started.context("it is not ready in time")??);
        *running = Some(Arc::clone(&started));
        Ok(Some(started))
    }

    async fn start(&self, name: &str, place: Served) -> Result<Running> {
        let erp = self.erp_of(&place)?;
        let settings = self.settings(name, &place, &erp)?;
        let (mut platform, sources) = tokio::try_join!(
            Platform::start(rpc::Environment::generate(), settings),
            Sources::read(erp.model_dir.to_owned())
        )?;
        let peers = self.control_plane.beside(&mut platform).await?;
        let clients = |caller| -> Result<Clients> {
            Ok(Clients {
                catalog: platform.catalog(caller)?,
                organization: platform.organization(caller)?,
                query: platform.query(caller)?,
                user_context: platform.user_context(caller)?,
                dual_write: Some(platform.dual_write(caller)?),
                lifecycle: platform.channel(("lifecycle", &peers.lifecycle), caller)?,
                capacity: platform.channel(("capacity", &peers.capacity), caller)?,
            })
        };
        let directory = Directory::new(&self.home, &erp.url, sources, &clients("tombolo")?);
        let mut config = gateway::Config::new(
            self.issuer.authorization_uri(),
            self.url(name),
            self.home.secret("page-token.key")?,
        );
        // The data directory is this process's alone.
        config.alone = true;
        let gateway = Gateway::new(clients("gateway")?, config);
        platform.query.ready().await;
        gateway.ready().await;
        directory.import(&platform.user_context).await;
        tracing::info!(name, "an environment is served");
        let web = gateway.http_router();
        Ok(Running { place, _platform: platform, _gateway: gateway, web })
    }

    /// Root of the Web API of the environment with this host.
    fn url(&self, name: &str) -> String {
        format!("{}://{name}{DOMAIN}:{}", self.scheme, self.port)
    }

    /// Without a link: nothing to read, and nowhere to read it.
    fn erp_of(&self, place: &Served) -> Result<Erp<'_>> {
        Ok(match &place.erp_database {
            Some(database) => {
                Erp { url: elsewhere(&self.erp.erp_url, database, "")?, model_dir: &self.model_dir }
            }
            None => Erp {
                url: elsewhere(&self.platform_url, EMPTY_DATABASE, "")?,
                model_dir: &self.empty_model_dir,
            },
        })
    }

    fn settings(&self, name: &str, place: &Served, erp: &Erp<'_>) -> Result<Settings> {
        let url = elsewhere(&self.platform_url, &place.database, &place.database_role)?;
        // Roles that came with an ERP stay when it goes: users have them.
        let roles_of = place.erp_database.is_some().then(|| erp.model_dir.to_owned());
        Ok(Settings {
            user_context: user_context::Config {
                model_dir: roles_of,
                dev_tokens_of: Some(self.issuer.clone()),
                ..user_context::Config::new(url.clone())
            },
            catalog: catalog::Config::new(url.clone(), erp.model_dir.to_owned()),
            query: query::Config {
                erp_url: erp.url.clone(),
                erp_connections: ERP_CONNECTIONS,
                ..self.erp.clone()
            },
            organization: organization::Config::new(url.clone()),
            dual_write: dual_write::Config {
                web_api_url: format!("{}/api/data/v9.2", self.url(name)),
                ..dual_write::Config::new(url)
            },
        })
    }
}

/// `contoso` of `contoso.localhost:8080`.
fn host_name(request: &Request) -> Option<String> {
    let header = request.headers().get(HOST).and_then(|it| it.to_str().ok());
    let host = header.or_else(|| request.uri().authority().map(|it| it.as_str()))?;
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host).to_ascii_lowercase();
    let name = host.strip_suffix(DOMAIN)?;
    (!name.is_empty() && !name.contains('.')).then(|| name.to_owned())
}

/// Another database of the URL's server, as its owner.
fn elsewhere(url: &str, database: &str, role: &str) -> Result<String> {
    let plain = |it: &str| it.bytes().all(|it| it.is_ascii_alphanumeric() || b"_-".contains(&it));
    ensure!(plain(database) && plain(role), "`{database}` is no name that a URL can take");
    let first = if url.contains('?') { '&' } else { '?' };
    let owner = if role.is_empty() { String::new() } else { format!("&options[role]={role}") };
    Ok(format!("{url}{first}dbname={database}{owner}"))
}

fn later(name: &str) -> Response {
    let message =
        format!("The environment '{name}' cannot be served at the moment; try again later.");
    let after = (RETRY_AFTER, HeaderValue::from_static("5"));
    (StatusCode::SERVICE_UNAVAILABLE, [after], refusal(&message)).into_response()
}

/// As the platform says no.
fn refusal(message: &str) -> Json<serde_json::Value> {
    Json(json!({ "error": { "code": CODE, "message": message } }))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn an_environment_is_asked_for_by_its_host() {
        let check = |host: &str, expected: Option<&str>| {
            let request = Request::builder().header(HOST, host).body(Body::empty()).unwrap();
            assert_eq!(host_name(&request).as_deref(), expected, "{host}");
        };
        check("contoso.localhost:8080", Some("contoso"));
        check("Contoso.LOCALHOST", Some("contoso"));
        for other in ["localhost:8080", "127.0.0.1:8080", ".localhost", "a.b.localhost", "[::1]:80"]
        {
            check(other, None);
        }
    }

    #[test]
    fn another_database_is_the_url_s_server_s() {
        let base = "postgres://u:p@localhost:5432/platform?host=%2Ftmp%2Fx&sslmode=disable";
        let url = elsewhere(base, "env_1", "env_1").unwrap();
        let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
        assert_eq!(options.get_database(), Some("env_1"));
        assert_eq!(options.get_options(), Some("-c role=env_1"));
        assert!(elsewhere(base, "a&b", "").is_err());
        let plain = elsewhere("postgres://localhost/erp", "fno_x", "").unwrap();
        let options: sqlx::postgres::PgConnectOptions = plain.parse().unwrap();
        assert_eq!((options.get_database(), options.get_options()), (Some("fno_x"), None));
    }
}
