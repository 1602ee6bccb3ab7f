//! Many rows: a page of them, how many there are, or where they are.

use std::sync::Arc;

use odata::{PagePosition, QueryOptions, SystemOption};
use proto::query::v1 as pb;

use super::page::{Head, NextLink, PageWriter};
use super::path::Rows;
use super::references::References;
use super::{explain, record};
use crate::Core;
use crate::error::GatewayError;
use crate::http::{Ask, Response, plain};
use crate::metadata::Snapshot;
use crate::odata_read::{self, Request};
use crate::query;

/// `GET set`, `GET set(key)/collection`. `path`: of the collection, as the client wrote it.
pub(crate) async fn collection(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    rows: &Rows,
    (path, options): (&str, &QueryOptions),
) -> Result<Response, GatewayError> {
    let request = odata_read::collection(snapshot, &rows.place, options, &ask.prefer)?;
    let references = References::expanded(&request.read, &rows.place.table, snapshot, &ask.root);
    page(core, ask, snapshot, rows, (path, options), request, references).await
}

/// `GET set(key)/collection/$ref`.
pub(crate) async fn references(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    rows: &Rows,
    (path, options): (&str, &QueryOptions),
) -> Result<Response, GatewayError> {
    for option in [SystemOption::Select, SystemOption::Expand, SystemOption::Apply] {
        if options.get(option).is_some() {
            let name = option.name();
            let message = format!("The query parameter '{name}' is not supported with $ref.");
            return Err(GatewayError::InvalidQuery(message));
        }
    }
    let mut request = odata_read::collection(snapshot, &rows.place, options, &ask.prefer)?;
    request.read.tree.all_columns = false;
    request.read.style.annotations = crate::http::Annotations::default();
    let references = References::of_rows(&rows.place.table, &ask.root);
    page(core, ask, snapshot, rows, (path, options), request, references).await
}

/// `GET set/$count`, `GET set(key)/collection/$count`.
pub(crate) async fn count(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    rows: &Rows,
    options: &QueryOptions,
) -> Result<Response, GatewayError> {
    let read = odata_read::count(snapshot, &rows.place, options, &ask.prefer)?;
    if ask.prefer.explain {
        return explain::explain(core, ask, snapshot, &read).await;
    }
    let number = query::count(core, ask, snapshot, &read).await?;
    if let Some(parent) = rows.of.as_deref().filter(|_| number == 0) {
        record::require(core, ask, snapshot, parent).await?;
    }
    Ok(plain(number.to_string()))
}

async fn page(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    rows: &Rows,
    (path, options): (&str, &QueryOptions),
    mut request: Request,
    references: References,
) -> Result<Response, GatewayError> {
    let table = &rows.place.table;
    let scope = scope(&request.read.tree);
    request.read.position = position(core, options, &scope)?;
    if ask.prefer.explain {
        return explain::explain(core, ask, snapshot, &request.read).await;
    }
    let page_number = request.read.position.as_ref().map_or(1, |it| it.page_number);
    let found = query::page(core, ask, snapshot, &request.read, pb::RowFormat::Json).await?;
    let is_empty =
        found.first.end.is_some() && found.first.batch.as_ref().is_none_or(|it| it.row_count == 0);
    if let Some(parent) = rows.of.as_deref().filter(|_| is_empty) {
        record::require(core, ask, snapshot, parent).await?;
    }
    let next = NextLink {
        link: format!("{}/{path}", ask.root),
        options: options.clone(),
        tokens: request.paged.then(|| core.page_tokens.clone()),
        scope,
        page_number,
    };
    let head = Head {
        ask,
        snapshot,
        context: references.context(&ask.root, table, &request.names),
        counted: request.counted,
    };
    let writer = PageWriter {
        table: Arc::clone(table),
        tail: Box::new(move |end| next.tail(end)),
        references,
    };
    super::page::respond(head, writer, found)
}

fn position(
    core: &Core,
    options: &QueryOptions,
    scope: &[u8],
) -> Result<Option<PagePosition>, GatewayError> {
    let token = options.get(SystemOption::SkipToken);
    Ok(token.map(|it| core.page_tokens.decode(it, scope)).transpose()?)
}

/// A position means something only among the same rows in the same order, whatever they carry.
fn scope(tree: &pb::QueryExpression) -> [u8; 32] {
    let grouped = tree.columns.iter().any(|it| it.group_by || it.aggregate != 0);
    if grouped {
        return query::scope(tree);
    }
    let rows = pb::QueryExpression { columns: Vec::new(), all_columns: false, ..tree.clone() };
    query::scope(&rows)
}
