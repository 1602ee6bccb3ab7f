//! Many rows: a page of a table, or how many there are.

use std::collections::HashMap;
use std::sync::Arc;

use odata::{PagePosition, QueryOptions, SystemOption};
use proto::query::v1 as pb;

use super::options::refuse_later;
use super::page::{Head, PageWriter};
use crate::Core;
use crate::error::GatewayError;
use crate::http::{Ask, Response, plain};
use crate::metadata::{Snapshot, Table};
use crate::translate::{self, Terms};

/// Rows of a page at most, and where a client does not say.
const PAGE_SIZE: i32 = 5_000;

/// `GET set`.
pub(crate) async fn collection(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    table: &Arc<Table>,
    options: &QueryOptions,
) -> Result<Response, GatewayError> {
    refuse_later(options)?;
    let selection = translate::select(table, options.get(SystemOption::Select))?;
    let counted = options.count()?;
    let scope = scope(table, options);
    let position = position(core, options, &scope)?;
    let (size, has_next) = match (ask.prefer.max_page_size, options.top()?) {
        (Some(size), _) => (size, true),
        (None, Some(top)) => (i32::try_from(top).unwrap_or(PAGE_SIZE).min(PAGE_SIZE), false),
        (None, None) => (PAGE_SIZE, true),
    };
    let orders = options.get(SystemOption::OrderBy);
    let orders = orders.map(|it| translate::order_by(table, it, &options.aliases)).transpose()?;
    let total = if counted { pb::TotalCount::Limited } else { pb::TotalCount::Unspecified };
    let query = pb::QueryExpression {
        entity_name: table.external_name.clone(),
        columns: translate::outputs(table, &selection, &ask.prefer.annotations),
        criteria: criteria(core, ask, snapshot, table, options).await?,
        orders: orders.unwrap_or_default(),
        page: Some(pb::Page {
            size,
            after: position.as_ref().map(translate::page_values).unwrap_or_default(),
        }),
        total_count: total.into(),
    };
    let request =
        pb::RetrieveMultipleRequest { query: Some(query), format: pb::RowFormat::Json.into() };
    let rows = core.providers.retrieve_multiple(ask.call(), table.source, request).await;
    let rows = rows.map_err(|status| GatewayError::of_provider(&status, table))?;
    let writer = PageWriter {
        table: Arc::clone(table),
        link: format!("{}/{}", ask.root, table.set_name),
        options: options.clone(),
        tokens: has_next.then(|| core.page_tokens.clone()),
        scope,
        page_number: position.map_or(1, |it| it.page_number),
    };
    let head = Head { ask, snapshot, table, names: &selection.names, counted };
    super::page::respond(head, writer, rows)
}

/// `GET set/$count`.
pub(crate) async fn count(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    table: &Arc<Table>,
    options: &QueryOptions,
) -> Result<Response, GatewayError> {
    refuse_later(options)?;
    let query = pb::QueryExpression {
        entity_name: table.external_name.clone(),
        criteria: criteria(core, ask, snapshot, table, options).await?,
        page: Some(pb::Page { size: 0, after: Vec::new() }),
        total_count: pb::TotalCount::Exact.into(),
        ..Default::default()
    };
    let request =
        pb::RetrieveMultipleRequest { query: Some(query), format: pb::RowFormat::Json.into() };
    let rows = core.providers.retrieve_multiple(ask.call(), table.source, request).await;
    let rows = rows.map_err(|status| GatewayError::of_provider(&status, table))?;
    match rows.first.total_count {
        Some(number) => Ok(plain(number.to_string())),
        None => {
            tracing::error!(table = table.logical_name, "a provider did not count");
            Err(GatewayError::Internal)
        }
    }
}

async fn criteria(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    table: &Table,
    options: &QueryOptions,
) -> Result<Option<pb::FilterExpression>, GatewayError> {
    let Some(text) = options.get(SystemOption::Filter) else { return Ok(None) };
    let expr = odata::parse_filter(text, &options.aliases)?;
    let names_company = table.company_lookup().is_some_and(|column| {
        let mut texts = options.aliases.values().map(String::as_str).chain([text]);
        texts.any(|it| it.contains(&column.logical_name))
    });
    let companies = match names_company {
        true => core.companies.codes(ask.call(), snapshot, &core.providers).await?,
        false => Arc::new(HashMap::new()),
    };
    translate::filter(&expr, Terms { table, companies: &companies }).map(Some)
}

fn position(
    core: &Core,
    options: &QueryOptions,
    scope: &[u8],
) -> Result<Option<PagePosition>, GatewayError> {
    let token = options.get(SystemOption::SkipToken);
    Ok(token.map(|it| core.page_tokens.decode(it, scope)).transpose()?)
}

/// A position means something only among the same rows in the same order.
fn scope(table: &Table, options: &QueryOptions) -> [u8; 32] {
    let option = |it| options.get(it).unwrap_or_default().as_bytes();
    let own = [
        table.logical_name.as_bytes(),
        option(SystemOption::Filter),
        option(SystemOption::OrderBy),
    ];
    let aliases = options.aliases.iter().flat_map(|(name, it)| [name.as_bytes(), it.as_bytes()]);
    translate::scope(own.into_iter().chain(aliases))
}
