//! Requests that write: planned, executed, answered.

use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use http_body_util::LengthLimitError;

use crate::Core;
use crate::error::GatewayError;
use crate::http::{Ask, Response};
use crate::metadata::{Snapshot, Source, Table};
use crate::serve::written;
use crate::write::{self, Asked, ChangeSet, Failed, Once, Outcome, References, StepAction};

/// Bytes of a body at most, of one row or of many.
pub(super) const MAX_BODY: usize = 16 << 20;

/// One request to a table, or to something of it. `asked` lacks the body.
pub(crate) async fn write(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    table: &Table,
    asked: Asked<'_>,
    body: Body,
) -> Result<Response, GatewayError> {
    // Only administrators change the catalog, so nobody else's body is worth reading.
    if table.source == Source::Catalog && !ask.session.is_administrator() {
        let error = GatewayError::missing_privilege(table, "write");
        ask.session.audit_denied("update", &table.logical_name, &error);
        return Err(error);
    }
    let body = tokio::time::timeout_at(ask.deadline.at().into(), read(table, body));
    let body = body.await.map_err(|_| GatewayError::Timeout)??;
    let asked = Asked { body: &body, ..asked };
    let mut changes = ChangeSet::default();
    let planned = write::plan(ask, snapshot, asked, &References::new(), &mut changes)?;
    planned.entry.enter();
    let once = write::once(ask.client_request_id.as_deref(), [(ask, asked)]);
    let outcomes = execute(core, ask, snapshot, changes, once).await.map_err(|it| it.error)?;
    written(core, ask, snapshot, &planned, &outcomes).await
}

/// Executes the steps that requests mean.
pub(crate) async fn execute(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    changes: ChangeSet,
    once: Option<Once>,
) -> Result<Vec<Outcome>, Failed> {
    let tables: Vec<_> = changes.steps.iter().map(|it| Arc::clone(&it.table)).collect();
    let only_created: Vec<bool> = changes
        .steps
        .iter()
        .map(|it| matches!(it.action, StepAction::Upsert { create_only: true, .. }))
        .collect();
    let outcomes =
        write::execute(&core.ways, (&ask.session, &ask.deadline), snapshot, changes, once).await;
    let outcomes = outcomes.map_err(|Failed { step, error }| {
        let only_created = step.and_then(|it| only_created.get(it)).is_some_and(|it| *it);
        Failed { step, error: in_the_words_of_writes(error, only_created) }
    })?;
    tables.iter().for_each(|it| core.companies.forget(it));
    // The client's next request may well be for the table that it has just made visible.
    let in_catalog = tables.iter().any(|it| it.source == Source::Catalog);
    if in_catalog && let Err(status) = core.metadata.refresh_catalog(ask.deadline.at()).await {
        tracing::warn!(error = %status, "the catalog changed but could not be read again");
    }
    Ok(outcomes)
}

fn in_the_words_of_writes(error: GatewayError, only_created: bool) -> GatewayError {
    match error {
        GatewayError::RecordNotFound { table, id } => GatewayError::NothingToChange { table, id },
        // That the row is there is no fault of its values.
        GatewayError::KeyTaken { .. } if only_created => GatewayError::RecordExists,
        error => error,
    }
}

async fn read(table: &Table, body: Body) -> Result<Bytes, GatewayError> {
    to_bytes(body, MAX_BODY).await.map_err(|error| {
        let cause = std::error::Error::source(&error);
        if cause.is_some_and(|it| it.is::<LengthLimitError>()) {
            return GatewayError::BodyTooLarge(MAX_BODY);
        }
        let detail = "The body ended before it was whole.".to_owned();
        GatewayError::Payload { set: table.set_name.clone(), detail }
    })
}
