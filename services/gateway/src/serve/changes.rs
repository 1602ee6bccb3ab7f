//! Change tracking (spec lifecycle-and-web-api §2.10): all rows with a link to what changes from then
//! on (`Prefer: odata.track-changes`), and what has changed (`$deltatoken`).
//!
//! The position is taken before the first page is read, so that a change that the pages may or may not
//! show comes with the first delta in any case.

mod delta;
mod token;

use std::sync::Arc;

use odata::{PagePosition, QueryOptions, SystemOption};
use proto::query::v1 as pb;
use rpc::ErrorReason;
use tonic::Status;

use self::token::{DeltaToken, is_of_tracked_page};
use super::page::{Head, PageWriter};
use super::path::Rows;
use super::references::References;
use crate::Core;
use crate::error::GatewayError;
use crate::http::{Ask, Response, plain, quoted};
use crate::metadata::{Snapshot, Table};
use crate::odata_read;
use crate::providers::Store;
use crate::query;
use crate::translate;

const TRACK_CHANGES: &str = "odata.track-changes";
/// What would make rows come and go without a change of theirs.
const NOT_WITH_TRACKING: [SystemOption; 5] = [
    SystemOption::Filter,
    SystemOption::OrderBy,
    SystemOption::Expand,
    SystemOption::Top,
    SystemOption::Apply,
];

/// Whether a request for rows is about their changes. Of what is related to a row changes are not
/// tracked, and the preference means nothing.
pub(crate) fn concerns_changes(ask: &Ask, rows: &Rows, options: &QueryOptions) -> bool {
    let of_page = options.get(SystemOption::SkipToken).is_some_and(is_of_tracked_page);
    options.get(SystemOption::DeltaToken).is_some()
        || (rows.of.is_none() && (ask.prefer.track_changes || of_page))
}

/// `GET set`, with `Prefer: odata.track-changes` or `$deltatoken`.
pub(crate) async fn changes(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    rows: &Rows,
    (path, options): (&str, &QueryOptions),
) -> Result<Response, GatewayError> {
    let tracked = Tracked::new(core, ask, rows, options)?;
    match options.get(SystemOption::DeltaToken) {
        Some(token) => delta::delta(&tracked, snapshot, (path, options), token).await,
        None => tracked.all_rows(snapshot, rows, (path, options)).await,
    }
}

/// `GET set/$count?$deltatoken=…`: how many rows changed.
pub(crate) async fn changes_count(
    core: &Core,
    ask: &Ask,
    rows: &Rows,
    options: &QueryOptions,
) -> Result<Response, GatewayError> {
    let tracked = Tracked::new(core, ask, rows, options)?;
    let token = options.get(SystemOption::DeltaToken).unwrap_or_default();
    let token = DeltaToken::read(&core.page_tokens, &tracked.table, token)?;
    let request = pb::ListEntityChangesRequest {
        after_position: token.position,
        count_only: true,
        ..tracked.request()
    };
    Ok(plain(tracked.list(request).await?.total_count.to_string()))
}

/// A table whose changes are tracked, and who asks for them.
struct Tracked<'a> {
    core: &'a Core,
    ask: &'a Ask,
    table: Arc<Table>,
    store: Store,
}

impl<'a> Tracked<'a> {
    fn new(
        core: &'a Core,
        ask: &'a Ask,
        rows: &Rows,
        options: &QueryOptions,
    ) -> Result<Self, GatewayError> {
        let table = Arc::clone(&rows.place.table);
        let disabled = || GatewayError::ChangeTrackingDisabled(table.logical_name.clone());
        let store = Store::of(table.source).filter(|_| rows.of.is_none());
        let store = store.ok_or_else(disabled)?;
        if !table.definition.change_tracking_enabled {
            return Err(disabled());
        }
        let given = |it: &SystemOption| options.get(*it).is_some();
        if let Some(option) = NOT_WITH_TRACKING.into_iter().find(given) {
            return Err(GatewayError::InvalidQuery(format!(
                "The \"${{{}}}\" query parameter isn't supported when Change Tracking is enabled.",
                option.name().trim_start_matches('$')
            )));
        }
        Ok(Self { core, ask, table, store })
    }

    /// A page of all rows; behind the last one stands the link to their changes.
    async fn all_rows(
        &self,
        snapshot: &Snapshot,
        rows: &Rows,
        (path, options): (&str, &QueryOptions),
    ) -> Result<Response, GatewayError> {
        let (core, ask) = (self.core, self.ask);
        let mut request = odata_read::collection(snapshot, &rows.place, options, &ask.prefer)?;
        let scope = query::scope(&request.read.tree);
        let delta = match options.get(SystemOption::SkipToken) {
            Some(token) => {
                let (position, delta) = token::read_page(&core.page_tokens, token, &scope)?;
                request.read.position = Some(position);
                delta
            }
            None => self.position().await?,
        };
        let page_number = request.read.position.as_ref().map_or(1, |it| it.page_number);
        let found = query::page(core, ask, snapshot, &request.read, pb::RowFormat::Json).await?;
        let tokens = core.page_tokens.clone();
        let link = format!("{}/{path}", ask.root);
        let (options, table) = (options.clone(), Arc::clone(&self.table));
        let tail = move |end: &pb::PageEnd| {
            let next: Option<PagePosition> = translate::next_position(end, page_number)?;
            Ok(match next {
                Some(next) => {
                    let token = token::write_page(&tokens, next, &delta, &scope);
                    link_tail("nextLink", &link, &options.with_skip_token(&token))
                }
                None => {
                    let token = delta.write(&tokens, &table);
                    link_tail("deltaLink", &link, &options.selection().with_delta_token(&token))
                }
            })
        };
        let head = Head {
            ask,
            snapshot,
            context: super::page::context(&ask.root, &self.table, &request.names),
            counted: request.counted,
        };
        let start = head.write(&found.first);
        let references = References::expanded(&request.read, &self.table, snapshot, &ask.root);
        let table = Arc::clone(&self.table);
        let writer = PageWriter { table, tail: Box::new(tail), references };
        super::page::write(start, self.applied(), writer, found)
    }

    /// The preferences that were applied.
    fn applied(&self) -> Option<String> {
        let others = self.ask.prefer.applied(true);
        let tracking = self.ask.prefer.track_changes.then(|| TRACK_CHANGES.to_owned());
        let applied: Vec<String> = others.into_iter().chain(tracking).collect();
        (!applied.is_empty()).then(|| applied.join(","))
    }

    async fn position(&self) -> Result<DeltaToken, GatewayError> {
        let entity_name = self.table.external_name.clone();
        let request = pb::GetChangePositionRequest { entity_name };
        let call = self.ask.call();
        let answer = self.core.providers.change_position(call, self.store, request).await;
        let answer = answer.map_err(|status| self.refused(&status))?;
        Ok(DeltaToken::new(answer.position, answer.as_of_time))
    }

    async fn list(
        &self,
        request: pb::ListEntityChangesRequest,
    ) -> Result<pb::ListEntityChangesResponse, GatewayError> {
        let listed = self.core.providers.entity_changes(self.ask.call(), self.store, request).await;
        listed.map_err(|status| self.refused(&status))
    }

    fn request(&self) -> pb::ListEntityChangesRequest {
        let entity_name = self.table.external_name.clone();
        pb::ListEntityChangesRequest { entity_name, ..Default::default() }
    }

    fn refused(&self, status: &Status) -> GatewayError {
        match rpc::reason(status) {
            // The platform's own code for it, with status 400. OData has 410 for it, which clients of
            // the platform do not look at.
            Some(ErrorReason::PositionExpired) => GatewayError::VersionStampExpired,
            Some(ErrorReason::ChangeTrackingDisabled) => {
                GatewayError::ChangeTrackingDisabled(self.table.logical_name.clone())
            }
            // What an administrator has to grant.
            Some(ErrorReason::RequirementUnmet) => {
                GatewayError::Unavailable(status.message().to_owned())
            }
            _ => GatewayError::of_provider(status, &self.table),
        }
    }
}

/// The end of a collection, with a link.
fn link_tail(name: &str, link: &str, query: &str) -> String {
    format!("],\"@odata.{name}\":{}}}", quoted(&format!("{link}?{query}")))
}
