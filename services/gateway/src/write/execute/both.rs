//! The last-resource commit: the organization prepares, the ERP's commit decides.

use commit::TransactionId;
use tokio::sync::{Mutex, oneshot};
use tonic::Status;
use tracing::Instrument as _;

use super::attempt::of_store;
use super::live::{Late, Spread, Untold};
use super::stream::{Part, Transaction};
use super::{Context, Refusal, refusal};
use crate::providers::Store;

/// Why nothing was decided.
enum Obstacle {
    Store(Store, Status),
    Untold(Untold),
}

/// Ends both. Once begun it goes to its end, also when the client hangs up: what is prepared would otherwise
/// wait for recovery, and its rows with it. What the ERP has not been told by then is not waited for.
pub(super) async fn both(
    context: Context<'_>,
    id: TransactionId,
    (erp, organization): (Transaction, Transaction),
    mut spread: Option<Spread<'_>>,
) -> Result<(), Refusal> {
    let stores = context.ways.both_stores.clone();
    let deadline = spread.as_ref().map_or(context.call.deadline, Spread::over);
    let late = spread.as_mut().and_then(Spread::take_late);
    // What the ERP makes of what it is told last, it is not asked before.
    let told_last = late.as_ref().filter(|it| it.source() == Store::Organization);
    let nothing_left_of_link = told_last.map(|it| it.link().to_owned()).unwrap_or_default();
    let part = Part { nothing_left_of_link, ..Part::of(&id.to_string()) };
    let (client, hung_up) = oneshot::channel::<()>();
    let ending = async move {
        let mut obstacle = None;
        let waiting = Mutex::new(None);
        let prepare = async {
            let mut erp = erp;
            let preparing = prepare(id, (&mut erp, organization), (late, hung_up));
            if let Err(it) = Box::pin(preparing).await {
                let status = it.status();
                obstacle = Some(it);
                return Err(status);
            }
            *waiting.lock().await = Some(erp);
            Ok(())
        };
        let commit = async {
            match waiting.lock().await.take() {
                Some(erp) => erp.commit(part).await,
                None => Err(Status::internal("nothing was prepared")),
            }
        };
        let outcome = commit::commit(&stores, id, prepare, commit, deadline.into());
        (Box::pin(outcome).await, obstacle)
    };
    let (outcome, obstacle) = tokio::spawn(ending.in_current_span()).await.map_err(|error| {
        tracing::error!(transaction_id = %id, %error, "a commit was not driven to its end");
        Refusal::of_all(refusal::pending())
    })?;
    drop(client);
    match (outcome, obstacle, spread) {
        (commit::Outcome::Committed, ..) => Ok(()),
        (commit::Outcome::Aborted(_), Some(Obstacle::Untold(untold)), Some(spread)) => {
            Err(spread.untold(untold).await)
        }
        (commit::Outcome::Aborted(status), None, Some(spread)) if refusal::is_unshared(&status) => {
            Err(spread.untold(Untold::Corrected).await)
        }
        (commit::Outcome::Aborted(status), obstacle, spread) => {
            let refusing = match obstacle {
                Some(Obstacle::Store(store, _)) => store,
                _ => Store::Erp,
            };
            match spread.filter(|it| it.is_peer(refusing)) {
                Some(spread) => Err(spread.refused(refusing.other(), &status, None).await),
                None => Err(of_store(context, refusing, &status)),
            }
        }
        (commit::Outcome::Pending(obstacle), ..) => {
            let obstacle = obstacle.map(|it| it.to_string()).unwrap_or_default();
            tracing::warn!(transaction_id = %id, obstacle, "a transaction is left to recovery");
            Err(Refusal::of_all(refusal::pending()))
        }
    }
}

/// The organization prepares. What one of them is still to be told, it is told meanwhile.
async fn prepare(
    id: TransactionId,
    (erp, organization): (&mut Transaction, Transaction),
    (late, hung_up): (Option<Late>, oneshot::Receiver<()>),
) -> Result<(), Obstacle> {
    let of = |store| move |status| Obstacle::Store(store, status);
    let part = Part::of(&id.to_string());
    let Some(late) = late else {
        let prepared = erp.meanwhile(organization.prepare(part)).await;
        return prepared.map_err(of(Store::Erp))?.map_err(of(Store::Organization));
    };
    let ready = async {
        match late.source() {
            Store::Organization => {
                let (prepared, told) = tokio::join!(organization.prepare(part), late.tell(erp));
                told.map_err(Obstacle::Untold)?;
                prepared.map_err(of(Store::Organization))
            }
            Store::Erp => {
                let told = erp.meanwhile(late.tell_and_prepare(organization, part)).await;
                told.map_err(of(Store::Erp))?.map_err(Obstacle::Untold)
            }
        }
    };
    tokio::select! {
        ready = ready => ready,
        _ = hung_up => Err(Obstacle::Untold(Untold::HungUp)),
    }
}

// === impl Obstacle ===

impl Obstacle {
    fn status(&self) -> Status {
        match self {
            Self::Store(_, status) => status.clone(),
            Self::Untold(Untold::Refused(status, _)) => Status::clone(status),
            Self::Untold(Untold::Corrected) => Status::aborted("the other store makes more of it"),
            Self::Untold(Untold::Slow) => Status::aborted("the other store takes long"),
            Self::Untold(Untold::HungUp) => Status::cancelled("nobody waits for it"),
        }
    }
}
