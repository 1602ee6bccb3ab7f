//! Puts batches of finished rows between brackets. Rows are never parsed: a page that came in one
//! batch is sent with its length, a longer one batch by batch.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Bytes;
use futures::stream;
use odata::{PageTokens, QueryOptions};
use proto::query::v1 as pb;

use super::references::References;
use crate::error::GatewayError;
use crate::http::{Ask, Response, json, quoted, stream as streamed};
use crate::metadata::{Snapshot, Table};
use crate::providers::Rows;
use crate::translate;

const TOTAL: &str = "Microsoft.Dynamics.CRM.totalrecordcount";
const LIMIT: &str = "Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded";
const VERSION: &str = "Microsoft.Dynamics.CRM.globalmetadataversion";

/// What stands before the rows.
pub(super) struct Head<'a> {
    pub(super) ask: &'a Ask,
    pub(super) snapshot: &'a Snapshot,
    pub(super) context: String,
    pub(super) counted: bool,
}

/// Writes rows, and behind them what leads to the next page.
pub(super) struct PageWriter {
    pub(super) table: Arc<Table>,
    /// What stands behind the rows, from the closing bracket on.
    pub(super) tail: Tail,
    /// What of the rows is written as addresses.
    pub(super) references: References,
}

/// Made when the page's end is known.
pub(super) type Tail = Box<dyn Fn(&pb::PageEnd) -> Result<String, GatewayError> + Send>;

/// Links to the page behind one.
pub(super) struct NextLink {
    /// The collection's own URL, without options.
    pub(super) link: String,
    pub(super) options: QueryOptions,
    /// Absent where there is no next page for the client.
    pub(super) tokens: Option<PageTokens>,
    pub(super) scope: [u8; 32],
    pub(super) page_number: u32,
}

/// The rows stopped coming. The client sees a body that was cut off.
#[derive(Debug, thiserror::Error)]
#[error("the page could not be completed: {0}")]
pub(crate) struct CutOff(pub(crate) GatewayError);

pub(super) fn respond(
    head: Head<'_>,
    writer: PageWriter,
    rows: Rows,
) -> Result<Response, GatewayError> {
    let start = head.write(&rows.first);
    write(start, head.ask.prefer.applied(true), writer, rows)
}

/// `start`: everything before the first row. `applied`: the preferences that were.
pub(super) fn write(
    mut start: String,
    applied: Option<String>,
    writer: PageWriter,
    rows: Rows,
) -> Result<Response, GatewayError> {
    let first = writer.references.rewrite(rows_of(&rows.first)?)?;
    let mut response = match &rows.first.end {
        Some(end) => {
            let tail = (writer.tail)(end)?;
            let mut body = Vec::with_capacity(start.len() + first.len() + tail.len());
            body.extend_from_slice(start.as_bytes());
            body.extend_from_slice(&first);
            body.extend_from_slice(tail.as_bytes());
            json(body)
        }
        None => {
            start.reserve(first.len());
            let mut piece = start.into_bytes();
            piece.extend_from_slice(&first);
            let comma = !first.is_empty();
            streamed(pieces(writer, rows, piece.into(), comma))
        }
    };
    if let Some(Ok(applied)) = applied.map(TryInto::try_into) {
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(response)
}

/// What is left to write.
enum State {
    Start(Bytes),
    Rows,
    Done,
}

fn pieces(
    writer: PageWriter,
    rows: Rows,
    start: Bytes,
    comma: bool,
) -> impl futures::Stream<Item = Result<Bytes, CutOff>> + Send + 'static {
    let begin = (State::Start(start), writer, rows, comma);
    stream::try_unfold(begin, |(state, writer, mut rows, comma)| async move {
        match state {
            State::Start(start) => Ok(Some((start, (State::Rows, writer, rows, comma)))),
            State::Done => Ok(None),
            State::Rows => {
                let batch = rows.next().await;
                let batch = batch
                    .map_err(|status| GatewayError::of_provider(&status, &writer.table))
                    .map_err(CutOff)?;
                let json = rows_of(&batch).and_then(|it| writer.references.rewrite(it));
                let json = json.map_err(CutOff)?;
                let mut piece = Vec::with_capacity(json.len() + 2);
                if comma && !json.is_empty() {
                    piece.push(b',');
                }
                piece.extend_from_slice(&json);
                let comma = comma || !json.is_empty();
                let next = match &batch.end {
                    Some(end) => {
                        piece.extend_from_slice((writer.tail)(end).map_err(CutOff)?.as_bytes());
                        State::Done
                    }
                    None => State::Rows,
                };
                Ok(Some((piece.into(), (next, writer, rows, comma))))
            }
        }
    })
}

pub(super) fn rows_of(message: &pb::RetrieveMultipleResponse) -> Result<Bytes, GatewayError> {
    match message.batch.as_ref().and_then(|it| it.rows.as_ref()) {
        Some(pb::row_batch::Rows::Json(rows)) => Ok(rows.clone()),
        None => Ok(Bytes::new()),
        Some(pb::row_batch::Rows::Columns(_)) => {
            tracing::error!("a provider wrote columns where JSON was asked for");
            Err(GatewayError::Internal)
        }
    }
}

impl Head<'_> {
    pub(super) fn write(&self, first: &pb::RetrieveMultipleResponse) -> String {
        let mut head = format!("{{\"@odata.context\":{}", quoted(&self.context));
        let total = first.total_count.filter(|_| self.counted);
        if let Some(total) = total {
            let _ = write!(head, ",\"@odata.count\":{total}");
        }
        let wanted = &self.ask.prefer.annotations;
        if wanted.includes(TOTAL) {
            let _ = write!(head, ",\"@{TOTAL}\":{}", total.unwrap_or(-1));
        }
        if wanted.includes(LIMIT) {
            let _ = write!(head, ",\"@{LIMIT}\":{}", first.total_count_limit_exceeded);
        }
        if wanted.includes(VERSION) {
            let _ = write!(head, ",\"@{VERSION}\":{}", quoted(&self.snapshot.version));
        }
        head.push_str(",\"value\":[");
        head
    }
}

impl NextLink {
    pub(super) fn tail(&self, end: &pb::PageEnd) -> Result<String, GatewayError> {
        let Some(tokens) = &self.tokens else { return Ok("]}".to_owned()) };
        let Some(position) = translate::next_position(end, self.page_number)? else {
            return Ok("]}".to_owned());
        };
        let token = tokens.encode(&position, &self.scope);
        let link = format!("{}?{}", self.link, self.options.with_skip_token(&token));
        Ok(format!("],\"@odata.nextLink\":{}}}", quoted(&link)))
    }
}

/// The context URL of a table's rows.
pub(super) fn context(root: &str, table: &Table, names: &[String]) -> String {
    let set = &table.set_name;
    match names {
        [] => format!("{root}/$metadata#{set}"),
        names => format!("{root}/$metadata#{set}({})", names.join(",")),
    }
}
