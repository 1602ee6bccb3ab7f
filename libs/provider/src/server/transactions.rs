//! Transactions, and what becomes of those that outlived their stream. The server lets services in
//! only, so that the methods for services need no further check.

use std::time::{Duration, SystemTime};

use commit::participant::{self, Prepared};
use commit::{Decision, last_resource};
use proto::query::v1 as pb;
use proto::query::v1::transaction_service_server::TransactionService;
use rpc::{CallContext, CallingService};
use tonic::{Request, Response, Status, Streaming};

use super::session::{Answers, Peer, answers};
use super::{Role, Server};
use crate::sharing::DUAL_WRITE;

const DEFAULT_PAGE: i32 = 100;
const LARGEST_PAGE: i32 = 1_000;

#[tonic::async_trait]
impl TransactionService for Server {
    type TransactStream = Answers;

    async fn transact(
        &self,
        request: Request<Streaming<pb::TransactRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let context = CallContext::of_service(&request, DUAL_WRITE)?;
        let service = CallingService::of(&request).map(|it| it.name().to_owned());
        let peer = Peer {
            is_dual_write: service.is_ok_and(|it| it == DUAL_WRITE),
            is_user: CallContext::of(&request).is_ok(),
        };
        Ok(Response::new(answers(self.clone(), context, peer, request.into_inner())))
    }

    async fn settle_transaction(
        &self,
        request: Request<pb::SettleTransactionRequest>,
    ) -> Result<Response<pb::SettleTransactionResponse>, Status> {
        let request = request.into_inner();
        self.settle(&request.transaction_id, request.decision()).await?;
        Ok(Response::new(pb::SettleTransactionResponse {}))
    }

    async fn resolve_decision(
        &self,
        request: Request<pb::ResolveDecisionRequest>,
    ) -> Result<Response<pb::ResolveDecisionResponse>, Status> {
        let decision = match self.resolve(&request.into_inner().transaction_id).await? {
            Decision::Commit => pb::Decision::Commit,
            Decision::Abort => pb::Decision::Abort,
        };
        Ok(Response::new(pb::ResolveDecisionResponse { decision: decision.into() }))
    }

    async fn list_prepared_transactions(
        &self,
        request: Request<pb::ListPreparedTransactionsRequest>,
    ) -> Result<Response<pb::ListPreparedTransactionsResponse>, Status> {
        self.list(&request.into_inner()).await.map(Response::new)
    }
}

impl Server {
    async fn settle(&self, id: &str, decision: pb::Decision) -> Result<(), Status> {
        if self.role != Role::Participant {
            return Err(self.not_supported("prepare transactions"));
        }
        let id = self.transaction_id(id)?;
        let decision = match decision {
            pb::Decision::Commit => Decision::Commit,
            pb::Decision::Abort => Decision::Abort,
            pb::Decision::Unspecified => {
                return Err(self.invalid_value("decision", "a decision is commit or abort"));
            }
        };
        self.ensure_schema().await?;
        self.aside(async |it| participant::settle(it, id, decision).await).await
    }

    async fn resolve(&self, id: &str) -> Result<Decision, Status> {
        if self.role != Role::LastResource {
            return Err(self.not_supported("hold decision records"));
        }
        let id = self.transaction_id(id)?;
        self.ensure_schema().await?;
        self.aside(async |it| last_resource::resolve(it, id).await).await
    }

    async fn list(
        &self,
        request: &pb::ListPreparedTransactionsRequest,
    ) -> Result<pb::ListPreparedTransactionsResponse, Status> {
        let size = match request.page_size {
            0 => DEFAULT_PAGE,
            size if size > 0 => size.min(LARGEST_PAGE),
            _ => return Err(self.invalid_value("page_size", "a page has at least one row")),
        };
        let after = match request.page_token.as_str() {
            "" => None,
            token => Some(parse_token(token).ok_or_else(|| {
                self.invalid_value("page_token", "the page token was not given out")
            })?),
        };
        let size = size.unsigned_abs();
        let listed = self.aside(async |it| participant::list(it, after, size).await).await?;
        let is_full = listed.len() == size as usize;
        let next_page_token = listed.last().filter(|_| is_full).map(token).unwrap_or_default();
        let transactions = listed.iter().map(message).collect();
        Ok(pb::ListPreparedTransactionsResponse { transactions, next_page_token })
    }
}

fn message(it: &Prepared) -> pb::PreparedTransaction {
    pb::PreparedTransaction {
        transaction_id: it.id.to_string(),
        prepare_time: Some(prost_types::Timestamp::from(it.at)),
    }
}

fn token(last: &Prepared) -> String {
    let since = last.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{}:{}", since.as_micros(), last.id)
}

fn parse_token(token: &str) -> Option<Prepared> {
    let (micros, id) = token.split_once(':')?;
    let since = Duration::from_micros(micros.parse().ok()?);
    Some(Prepared { id: id.parse().ok()?, at: SystemTime::UNIX_EPOCH.checked_add(since)? })
}

#[cfg(test)]
mod tests {
    use commit::TransactionId;

    use super::*;

    #[test]
    fn a_page_goes_on_where_the_last_one_ended() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456);
        let last = Prepared { id: TransactionId::new(), at };
        assert_eq!(parse_token(&token(&last)), Some(last));
        for bad in ["", "1", "1:x", "x:y", ":", "99999999999999999999:"] {
            assert_eq!(parse_token(bad), None, "{bad}");
        }
    }
}
