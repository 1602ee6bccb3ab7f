//! Both stores as the two sides of one transaction: how it ends there, and a task that ends those whose
//! gateway did not.

use std::time::{Duration, SystemTime};

use commit::participant::Prepared;
use commit::{Decision, RecoveryOptions, Sides, TransactionId};
use proto::query::v1 as pb;
use proto::query::v1::transaction_service_client::TransactionServiceClient;
use rpc::Channel;
use tonic::{Request, Status};

use crate::Clients;

/// A single question to a side.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
const PAGE_SIZE: i32 = 1_000;
/// Pages of one look; the rest waits for the next.
const MAX_PAGES: usize = 10;

/// The organization prepares; the ERP's commit decides.
#[derive(Clone, Debug)]
pub(crate) struct BothStores {
    organization: TransactionServiceClient<Channel>,
    erp: TransactionServiceClient<Channel>,
}

/// Ends what is left of transactions, now and from time to time. Where no other gateway writes,
/// those from before the start are ended at once.
pub(crate) async fn recover(stores: BothStores, alone: bool) {
    let alone_since = alone.then(SystemTime::now);
    commit::recover(stores, RecoveryOptions { alone_since, ..Default::default() }).await;
}

impl BothStores {
    pub(crate) fn new(clients: &Clients) -> Self {
        Self {
            organization: TransactionServiceClient::new(clients.organization.clone()),
            erp: TransactionServiceClient::new(clients.query.clone()),
        }
    }
}

impl Sides for BothStores {
    type Error = Status;

    async fn settle(&self, id: TransactionId, decision: Decision) -> Result<(), Status> {
        let decision = match decision {
            Decision::Commit => pb::Decision::Commit,
            Decision::Abort => pb::Decision::Abort,
        };
        let message = pb::SettleTransactionRequest {
            transaction_id: id.to_string(),
            decision: decision.into(),
        };
        self.organization.clone().settle_transaction(request(message)).await?;
        Ok(())
    }

    async fn resolve(&self, id: TransactionId) -> Result<Decision, Status> {
        let message = pb::ResolveDecisionRequest { transaction_id: id.to_string() };
        let answer = self.erp.clone().resolve_decision(request(message)).await?;
        match answer.get_ref().decision() {
            pb::Decision::Commit => Ok(Decision::Commit),
            pb::Decision::Abort => Ok(Decision::Abort),
            pb::Decision::Unspecified => Err(Status::internal("a decision says nothing")),
        }
    }

    async fn list_prepared(&self) -> Result<Vec<Prepared>, Status> {
        let mut found = Vec::new();
        let mut page_token = String::new();
        let mut organization = self.organization.clone();
        for _ in 0..MAX_PAGES {
            let message = pb::ListPreparedTransactionsRequest { page_size: PAGE_SIZE, page_token };
            let answer = organization.list_prepared_transactions(request(message)).await?;
            let answer = answer.into_inner();
            found.extend(answer.transactions.iter().filter_map(prepared));
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        Ok(found)
    }
}

fn prepared(it: &pb::PreparedTransaction) -> Option<Prepared> {
    let id = it.transaction_id.parse().ok()?;
    let at = SystemTime::try_from(it.prepare_time?).ok()?;
    Some(Prepared { id, at })
}

/// Of no user: that both are ours is what the sides want to know.
fn request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_TIMEOUT);
    request
}
