//! Requests that are answered before they are done (`Prefer: respond-async`, API-36).
//!
//! A request is remembered by the organization, answered with 202, and executed by a task of this
//! gateway as it would have been in the foreground, for as long as its caller may. So
//! many may wait and so many run. `record` is what is remembered of them, `state` how clients are
//! told, `callback` how those are told that gave a URL.

mod callback;
mod place;
mod record;
mod state;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::LOCATION;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use proto::organization::v1::BackgroundOperationState as State;
use proto::organization::v1::{BackgroundOperation, BackgroundOperationOutcome as Outcome};
use reqwest::Url;
use tokio::sync::Semaphore;
use tracing::Instrument as _;
use uuid::Uuid;

use self::callback::Callbacks;
use self::place::{Place, Places};
use self::record::{NewRecord, Records};
pub(crate) use self::state::{background_operation, location};
use super::write::MAX_BODY;
use crate::callers::Session;
use crate::deadline::Deadline;
use crate::error::GatewayError;
use crate::http::{self, Preferences, Response};
use crate::providers::Call;
use crate::{Clients, Config, Core};

/// Operations that run at the same time; others wait.
const AT_ONCE: usize = 16;
/// An operation may take so long, if its caller may go on.
const LONGEST: Duration = Duration::from_secs(10 * 60);
/// Leases last three times as long.
const RENEWED_EVERY: Duration = Duration::from_secs(10);
/// Larger answers are not kept.
const MAX_OUTPUTS: usize = 1 << 20;
/// Of a request's path, for people.
const LONGEST_NAME: usize = 200;

const OPERATION_ID: HeaderName = HeaderName::from_static("x-ms-dyn-backgroundoperationid");

/// The operations of this gateway.
#[derive(Debug)]
pub(crate) struct Background {
    records: Records,
    callbacks: Callbacks,
    places: Places,
    at_work: Semaphore,
}

/// A request, and on whose behalf it is executed.
struct Work {
    id: Uuid,
    core: Arc<Core>,
    session: Arc<Session>,
    parts: Parts,
    body: Bytes,
    request_id: String,
    deadline: Instant,
    callback: Option<Url>,
    place: Place,
}

impl Background {
    pub(crate) fn new(clients: &Clients, config: &Config) -> Self {
        Self {
            records: Records::new(clients.organization.clone()),
            callbacks: Callbacks::new(config.callback_hosts.clone()),
            places: Places::default(),
            at_work: Semaphore::new(AT_ONCE),
        }
    }
}

/// Tells from time to time that this gateway lives and its operations with it.
pub(crate) async fn renew_leases(core: Arc<Core>) {
    let mut ticks = tokio::time::interval(RENEWED_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let ids = core.background.places.ids();
        if !ids.is_empty()
            && let Err(status) = core.background.records.renew(&ids).await
        {
            tracing::warn!(error = %status, "the leases of background operations were not renewed");
        }
    }
}

/// Takes a request on, and answers that.
pub(crate) async fn in_background(
    core: &Arc<Core>,
    session: Arc<Session>,
    parts: &Parts,
    body: Body,
    request_id: &str,
    deadline: Instant,
) -> Result<Response, GatewayError> {
    let background = &core.background;
    let callback = Preferences::parse(&parts.headers).callback;
    let callback = callback.map(|it| background.callbacks.allowed(&it)).transpose()?;
    let id = Uuid::new_v4();
    let place = background.places.take(id, &session.system_user_id)?;
    let body = tokio::time::timeout_at(deadline.into(), to_bytes(body, MAX_BODY)).await;
    let body = body.map_err(|_| GatewayError::Timeout)?;
    let body = body.map_err(|_| GatewayError::BodyTooLarge(MAX_BODY))?;
    let client_request_id = parts.headers.get("x-ms-client-request-id");
    let record = NewRecord {
        id,
        display_name: display_name(parts),
        client_request_id: client_request_id.and_then(|it| it.to_str().ok()).unwrap_or_default(),
    };
    background.records.create(Call { session: &session, deadline }, record).await?;
    let answer = accepted(&location(parts, id), id);
    let work = Work {
        id,
        core: Arc::clone(core),
        deadline: Instant::now() + LONGEST,
        session,
        parts: parts.clone(),
        body,
        request_id: request_id.to_owned(),
        callback,
        place,
    };
    tokio::spawn(work.run().in_current_span());
    Ok(answer)
}

fn display_name(parts: &Parts) -> String {
    let path: String = parts.uri.path().chars().take(LONGEST_NAME).collect();
    format!("{} {path}", parts.method)
}

fn accepted(location: &str, id: Uuid) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::ACCEPTED;
    let headers = response.headers_mut();
    headers.insert("preference-applied", HeaderValue::from_static("respond-async"));
    for (name, value) in [(LOCATION, location), (OPERATION_ID, id.to_string().as_str())] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    response
}

impl Work {
    async fn run(self) {
        let background = &self.core.background;
        let Some(outcome) = self.outcome().await else { return };
        let state = outcome.state();
        tracing::info!(operation = %self.id, ?state, "a background operation ended");
        let operation = BackgroundOperation {
            operation_id: self.id.to_string(),
            state: state.into(),
            // What it answered is for those who ask with a token.
            outcome: Some(Outcome { outputs: Bytes::new(), ..outcome.clone() }),
            ..BackgroundOperation::default()
        };
        if let Err(status) = background.records.finish(self.id, outcome).await {
            tracing::error!(operation = %self.id, error = %status, "its end could not be remembered");
        }
        if let Some(url) = &self.callback {
            let told = state::told(&operation, &location(&self.parts, self.id));
            background.callbacks.deliver(url, told).await;
        }
        drop(self.place);
    }

    /// `None` when it must not begin: its user cancelled it.
    async fn outcome(&self) -> Option<Outcome> {
        let background = &self.core.background;
        let turn = tokio::time::timeout_at(self.deadline.into(), background.at_work.acquire());
        let Ok(Ok(_turn)) = turn.await else {
            return Some(failed(&GatewayError::Timeout, &self.request_id));
        };
        match background.records.start(self.id).await {
            Ok(true) => {}
            Ok(false) => return None,
            Err(status) => {
                return Some(failed(&GatewayError::of_service(&status), &self.request_id));
            }
        }
        let _turn_of_user = self.core.limiter.aside(&self.session);
        let (session, body) = (Arc::clone(&self.session), Body::from(self.body.clone()));
        let (core, request_id) = (&*self.core, self.request_id.as_str());
        let deadline = Deadline::from(self.deadline);
        let answer = http::answer_as(core, session, &self.parts, body, request_id, deadline);
        let answer = core.callers.renewing(&self.session, Box::pin(answer)).await;
        Some(match answer {
            Ok(response) => succeeded(response).await,
            Err(error) => failed(&error, &self.request_id),
        })
    }
}

async fn succeeded(response: Response) -> Outcome {
    let entity_url = response.headers().get("odata-entityid");
    let entity_url = entity_url.and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned();
    let (outputs, note) = match to_bytes(response.into_body(), MAX_OUTPUTS).await {
        Ok(outputs) => (outputs, String::new()),
        Err(_) => {
            let note =
                format!("It is done, but its answer of more than {MAX_OUTPUTS} bytes is lost.");
            (Bytes::new(), note)
        }
    };
    Outcome {
        state: State::Succeeded.into(),
        error_message: note,
        outputs,
        entity_url,
        ..Outcome::default()
    }
}

fn failed(error: &GatewayError, request_id: &str) -> Outcome {
    Outcome {
        state: State::Failed.into(),
        error_code: error.platform().1.to_owned(),
        error_message: http::message(error, request_id),
        ..Outcome::default()
    }
}
