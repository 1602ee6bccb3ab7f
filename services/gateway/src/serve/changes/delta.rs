//! What changed behind a delta token: the rows as they are now, in the order of their changes, then
//! those that are gone.

use axum::body::Bytes;
use odata::{PageTokenError, QueryOptions, SystemOption};
use proto::query::v1 as pb;
use uuid::Uuid;

use super::token::DeltaToken;
use super::{Tracked, link_tail};
use crate::error::GatewayError;
use crate::http::{Response, json, quoted};
use crate::metadata::Snapshot;
use crate::odata_read::{self, Place, Request};
use crate::query;
use crate::translate;

/// Changes of a page at most.
const PAGE_SIZE: i32 = 5_000;
const PURPOSE: &[u8] = b"page of changes";

/// `GET set?$deltatoken=…`.
pub(super) async fn delta(
    tracked: &Tracked<'_>,
    snapshot: &Snapshot,
    (path, options): (&str, &QueryOptions),
    token: &str,
) -> Result<Response, GatewayError> {
    let after = DeltaToken::read(&tracked.core.page_tokens, &tracked.table, token)?;
    let page_token = match options.get(SystemOption::SkipToken) {
        Some(text) => read_page_token(tracked, &after, text)?,
        None => String::new(),
    };
    let selection = options.selection();
    let place = Place::all(&tracked.table);
    let shape = odata_read::collection(snapshot, &place, &selection, &tracked.ask.prefer)?;
    let listed = tracked
        .list(pb::ListEntityChangesRequest {
            after_position: after.position.clone(),
            page_size: tracked.ask.prefer.max_page_size.unwrap_or(PAGE_SIZE),
            page_token,
            ..tracked.request()
        })
        .await?;
    let link = format!("{}/{path}", tracked.ask.root);
    let tail = if listed.next_page_token.is_empty() {
        let token = DeltaToken::new(listed.position.clone(), listed.as_of_time);
        let token = token.write(&tracked.core.page_tokens, &tracked.table);
        link_tail("deltaLink", &link, &selection.with_delta_token(&token))
    } else {
        let token = write_page_token(tracked, &after, &listed.next_page_token);
        link_tail("nextLink", &link, &options.with_skip_token(&token))
    };
    let context = super::super::page::context(&tracked.ask.root, &tracked.table, &shape.names);
    let rows = rows(tracked, snapshot, shape, &listed.changes).await?;
    let head = format!("{{\"@odata.context\":{},\"value\":[", quoted(&format!("{context}/$delta")));
    let mut response = json([head.as_bytes(), &rows, tail.as_bytes()].concat());
    if let Some(Ok(applied)) = tracked.applied().map(TryInto::try_into) {
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(response)
}

/// The changed rows, and behind them those that were deleted, or that the caller may no longer see.
async fn rows(
    tracked: &Tracked<'_>,
    snapshot: &Snapshot,
    mut shape: Request,
    changes: &[pb::EntityChange],
) -> Result<Vec<u8>, GatewayError> {
    let mut ids = Vec::with_capacity(changes.len());
    for change in changes {
        let id = Uuid::from_slice(&change.record_id).map_err(|_| {
            tracing::error!(table = tracked.table.logical_name, "a change is of no row");
            GatewayError::Internal
        })?;
        ids.push(id);
    }
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let tree = &mut shape.read.tree;
    tree.criteria = Some(one_of(&tracked.table.primary_id, &ids));
    let size = i32::try_from(ids.len()).unwrap_or(PAGE_SIZE);
    tree.page = Some(pb::Page { size, ..Default::default() });
    let found = query::rows_by_id(tracked.core, tracked.ask, snapshot, &shape.read).await?;
    let set = &tracked.table.set_name;
    let context = quoted(&format!("{}/$metadata#{set}/$deletedEntity", tracked.ask.root));
    let present = ids.iter().filter_map(|id| found.get(id).cloned());
    let gone = ids.iter().zip(changes).filter(|(id, it)| it.was_visible && !found.contains_key(id));
    let gone = gone.map(|(id, _)| {
        Bytes::from(format!(
            "{{\"@odata.context\":{context},\"id\":\"{id}\",\"reason\":\"deleted\"}}"
        ))
    });
    let objects: Vec<Bytes> = present.chain(gone).collect();
    Ok(objects.join(&b","[..]))
}

fn one_of(column: &str, ids: &[Uuid]) -> pb::FilterExpression {
    let column = pb::column_ref::Column::Field(column.to_owned());
    let condition = pb::ConditionExpression {
        column: Some(pb::ColumnRef { column: Some(column), link: String::new() }),
        operator: pb::ConditionOperator::In.into(),
        values: ids.iter().map(|it| translate::guid(*it)).collect(),
        ..Default::default()
    };
    let operator = pb::FilterOperator::And.into();
    pb::FilterExpression { operator, conditions: vec![condition], ..Default::default() }
}

fn write_page_token(tracked: &Tracked<'_>, after: &DeltaToken, token: &str) -> String {
    let seal = tracked.core.page_tokens.seal(&parts(tracked, after, token));
    format!("{token}!{seal}")
}

fn read_page_token(
    tracked: &Tracked<'_>,
    after: &DeltaToken,
    text: &str,
) -> Result<String, PageTokenError> {
    let (token, seal) = text.rsplit_once('!').ok_or(PageTokenError::Malformed)?;
    if !tracked.core.page_tokens.is_sealed(&parts(tracked, after, token), seal) {
        return Err(PageTokenError::Foreign);
    }
    Ok(token.to_owned())
}

fn parts<'a>(tracked: &'a Tracked<'_>, after: &'a DeltaToken, token: &'a str) -> [&'a [u8]; 4] {
    let table = tracked.table.logical_name.as_bytes();
    [PURPOSE, table, after.position.as_bytes(), token.as_bytes()]
}
