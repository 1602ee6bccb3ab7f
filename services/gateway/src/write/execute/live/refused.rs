//! What it means to the user, and to those who look after maps, that the other side did not follow.

use std::time::{Duration, Instant, SystemTime};

use proto::dual_write::v1 as dw;
use proto::dual_write::v1::SyncErrorKind as Kind;
use proto::query::v1 as pb;
use proto::query::v1::apply_value::Content;
use tonic::Status;

use super::super::{Again, Refusal, refusal};
use super::Spread;
use crate::dual_write::side;
use crate::error::{GatewayError, PeerRefusal};
use crate::providers::Store;

/// Longest that telling of a failure may take.
const REPORT: Duration = Duration::from_secs(2);

impl Spread<'_> {
    /// Of the side that is not `source`, or of dual-write: `row` is the one that was refused, where it was one.
    pub(in super::super) async fn refused(
        &self,
        source: Store,
        status: &Status,
        row: Option<&pb::ApplyRow>,
    ) -> Refusal {
        let step = (self.context.steps.len() == 1).then_some(0);
        if refusal::is_conflict(status) {
            return Refusal { step, error: GatewayError::conflict(), again: Again::Yes };
        }
        let captures = self.context.captures;
        let refused = PeerRefusal {
            source: self.source,
            status,
            row,
            map: captures.display_name(self.map(row)),
            erp_entity: self.erp_entity(row),
            correlation_id: &self.id.to_string(),
        };
        let error = refused.error();
        tracing::warn!(
            transaction_id = %self.id, error = %status, "the other side did not take a change"
        );
        let again = self.report(source, &refused).await;
        Refusal { step, error, again }
    }

    /// [`Self::refused`], unless it was another transaction that stood in the way.
    pub(super) async fn not_taken(
        &self,
        source: Store,
        status: &Status,
        row: Option<&pb::ApplyRow>,
    ) -> Refusal {
        match refusal::is_in_the_way(status) {
            true => Refusal::of_transaction(status, None, GatewayError::conflict()),
            false => self.refused(source, status, row).await,
        }
    }

    async fn report(&self, source: Store, refused: &PeerRefusal<'_>) -> Again {
        let kind = refused.kind();
        let failure = dw::ReportFailureRequest {
            source: side(source).into(),
            maps: match refused.row {
                Some(row) => vec![row.map.clone()],
                None => self.maps.iter().cloned().collect(),
            },
            record: refused.row.map(|it| record(it, side(source.other()))),
            error: Some(dw::SyncError {
                kind: kind.into(),
                code: refused.peer_code().to_owned(),
                message: refused.status.message().to_owned(),
                field: refused.column().unwrap_or_default(),
                retryable: refused.is_away() || kind == Kind::Lookup,
                correlation_id: self.id.to_string(),
                occur_time: Some(SystemTime::now().into()),
                attempt_count: 1,
                ..Default::default()
            }),
        };
        let until = self.context.call.deadline.max(self.over).min(Instant::now() + REPORT);
        let queue = self.context.captures.queue_when_away(self.maps.iter());
        match self.context.ways.dual_write.report(failure, until).await {
            Ok(true) if refused.is_away() => Again::Yes,
            // What the other side's rules refused stays refused, also where it made the map wait.
            Ok(_) => Again::No,
            // Who would queue it is away as well. It is in the log all the same.
            Err(_) if queue && refused.is_away() => Again::Unshared,
            Err(error) => {
                tracing::warn!(%error, "a failure could not be told to dual-write");
                Again::No
            }
        }
    }

    fn map<'a>(&'a self, row: Option<&'a pb::ApplyRow>) -> &'a str {
        let first = || self.maps.first().map_or("", String::as_str);
        row.map_or_else(first, |it| it.map.as_str())
    }

    fn erp_entity(&self, row: Option<&pb::ApplyRow>) -> &str {
        let capture = self.context.captures.get(Store::Erp, self.map(row));
        capture.map_or("", |it| it.entity_name.as_str())
    }
}

fn record(row: &pb::ApplyRow, side: dw::Side) -> dw::Record {
    let key = row.key.iter().filter_map(|it| match &it.content {
        Some(Content::Value(value)) => {
            Some(pb::FieldValue { field: it.column.clone(), value: Some(value.clone()) })
        }
        _ => None,
    });
    dw::Record {
        side: side.into(),
        entity_name: row.entity_name.clone(),
        key: key.collect(),
        ..Default::default()
    }
}
