//! One transaction of one database: opened, worked in, ended. What is dropped was never there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use commit::{Error as CommitError, TransactionId, last_resource, participant};
use proto::query::v1 as pb;
use proto::query::v1::operation::Operation as Kind;
use proto::query::v1::operation_result::Result as Outcome;
use rpc::{CallContext, Caller};
use sqlx::postgres::PgConnection;
use tonic::Status;

use crate::action::{self, BusinessLogic};
use crate::authority::Authority;
use crate::error::Error;
use crate::pool::Lease;
use crate::provider::Provider;
use crate::sharing::{self, Step, Taken};
use crate::write::{self, Session};

/// A rollback that takes longer is not worth the connection.
const ROLLBACK_PATIENCE: Duration = Duration::from_secs(1);

/// A transaction that is open, on behalf of one caller.
#[derive(Debug)]
pub struct Transaction {
    lease: Lease,
    provider: Provider,
    caller: Arc<Caller>,
    deadline: Instant,
    /// Number of the last entry of the log that was shared.
    shared: i64,
    /// Something went wrong: the database would roll back where a commit is asked for, and call it done.
    failed: bool,
    /// Nobody knows what the connection is in the middle of.
    in_doubt: bool,
}

// === impl Transaction ===

impl Transaction {
    /// Opens a transaction on a connection of the provider's pool.
    ///
    /// # Errors
    ///
    /// When the database does not answer, or the deadline passes.
    pub async fn begin(provider: &Provider, context: &CallContext) -> Result<Self, Error> {
        let user = context.caller.user.system_user_id;
        let opened = async {
            let mut lease = provider.pool().lease_to_write(user).await?;
            let begun = sqlx::raw_sql("BEGIN").execute(lease.connection()?).await;
            if let Err(error) = begun {
                if lease.is_fresh() {
                    return Err(error);
                }
                // Idle connections may have broken; nothing was done on them yet.
                drop(lease);
                provider.pool().forget_idle();
                lease = provider.pool().lease_to_write(user).await?;
                sqlx::raw_sql("BEGIN").execute(lease.connection()?).await?;
            }
            Ok(lease)
        };
        let lease = within(context.remaining(), opened).await?.map_err(Error::database)?;
        let (provider, caller) = (provider.clone(), Arc::clone(&context.caller));
        Ok(Self {
            lease,
            provider,
            caller,
            deadline: context.deadline,
            shared: 0,
            failed: false,
            in_doubt: false,
        })
    }

    /// Does one thing, as the caller and with the leave that `authority` gives. After an error the
    /// transaction can only be dropped.
    ///
    /// # Errors
    ///
    /// Whatever stands in the way of the operation.
    pub async fn execute(
        &mut self,
        authority: &dyn Authority,
        operation: pb::Operation,
    ) -> Result<pb::OperationResult, Error> {
        let known = !std::mem::replace(&mut self.in_doubt, true);
        let done = self.perform(authority, operation).await;
        self.in_doubt = !known || done.as_ref().is_err_and(leaves_in_doubt);
        self.failed |= done.is_err();
        done
    }

    async fn perform(
        &mut self,
        authority: &dyn Authority,
        operation: pb::Operation,
    ) -> Result<pb::OperationResult, Error> {
        let remaining = self.remaining();
        if let Some(Kind::PerformAction(request)) = operation.operation {
            let run = action::perform(self, authority, request);
            let result = within(remaining, run).await??;
            let result = Some(Outcome::PerformAction(result));
            return Ok(pb::OperationResult { result });
        }
        let mut session = self.session(authority)?;
        within(remaining, write::execute(&mut session, operation)).await?
    }

    fn session<'s>(&'s mut self, authority: &'s dyn Authority) -> Result<Session<'s>, Error> {
        Ok(Session {
            connection: self.lease.connection().map_err(Error::database)?,
            provider: &self.provider,
            authority,
            caller: &self.caller,
            deadline: self.deadline,
            patience: self.provider.pool().lock_timeout(),
            origin: Arc::default(),
            known: None,
        })
    }

    /// What the transaction has changed of rows that live maps share, since it was last asked (step `share` of
    /// [`pb::TransactRequest`]).
    ///
    /// # Errors
    ///
    /// As the contract says of the step; the transaction can then only be dropped.
    pub async fn share(
        &mut self,
        authority: &dyn Authority,
        share: pb::Share,
    ) -> Result<pb::Shared, Status> {
        match self.take(authority, Step::Share(share, self.shared)).await? {
            Taken::Shared(shared, last) => {
                self.shared = last;
                Ok(shared)
            }
            _ => Ok(pb::Shared::default()),
        }
    }

    /// Locks rows until the transaction ends, and reads them (step `hold`).
    ///
    /// # Errors
    ///
    /// As [`Self::share`].
    pub async fn hold(
        &mut self,
        authority: &dyn Authority,
        hold: pb::Hold,
    ) -> Result<pb::Held, Status> {
        match self.take(authority, Step::Hold(Box::new(hold))).await? {
            Taken::Held(held) => Ok(held),
            _ => Ok(pb::Held::default()),
        }
    }

    /// Writes what the other side has, without the rights of a user (step `apply`).
    ///
    /// # Errors
    ///
    /// As [`Self::share`], with the number of the row at fault.
    pub async fn apply(
        &mut self,
        authority: &dyn Authority,
        apply: pb::Apply,
    ) -> Result<pb::Applied, Status> {
        match self.take(authority, Step::Apply(apply)).await? {
            Taken::Applied(applied) => Ok(applied),
            _ => Ok(pb::Applied::default()),
        }
    }

    async fn take(&mut self, authority: &dyn Authority, step: Step) -> Result<Taken, Status> {
        let known = !std::mem::replace(&mut self.in_doubt, true);
        let (domain, remaining) = (self.provider.domain(), self.remaining());
        let taken = match self.session(authority) {
            Ok(mut session) => {
                // Boxed: what is not shared needs nothing of its room.
                let taken = within(remaining, Box::pin(sharing::take(&mut session, step))).await;
                taken.unwrap_or_else(|error| Err(error.into()))
            }
            Err(error) => Err(error.into()),
        };
        self.in_doubt = !known || taken.as_ref().is_err_and(|it| leaves_in_doubt(it.error()));
        self.failed |= taken.is_err();
        taken.map_err(|refused| refused.into_status(domain))
    }

    /// The connection, for what belongs to the transaction itself: decision records, recorded answers.
    pub fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        self.lease.connection()
    }

    /// Undoes it, and keeps the connection where it is known to be healthy. Dropping does the first only.
    pub async fn rollback(mut self) {
        if self.in_doubt {
            return;
        }
        let Ok(connection) = self.lease.connection() else { return };
        let undone = sqlx::raw_sql("ROLLBACK").execute(connection);
        if let Ok(Ok(_)) = tokio::time::timeout(ROLLBACK_PATIENCE, undone).await {
            self.lease.finish();
        }
    }

    /// Makes it durable and seen.
    ///
    /// # Errors
    ///
    /// When a deferred constraint does not hold, or the database went away: then nobody knows.
    pub async fn commit(self) -> Result<(), Error> {
        // In a failed transaction the database answers the end by a rollback, but a statement by an
        // error.
        let commit = async |it: &mut PgConnection| {
            sqlx::raw_sql("SELECT; COMMIT").execute(it).await.map(drop).map_err(Error::database)
        };
        self.end(commit).await
    }

    /// [`Self::commit`] that decides for the other side, too.
    ///
    /// # Errors
    ///
    /// As [`Self::commit`]; and as [`last_resource::commit`]. [`Error::Unshared`] where a link is named, and something
    /// is left that [`Self::share`] would answer.
    pub async fn commit_deciding(mut self, id: TransactionId, link: &str) -> Result<(), Error> {
        let first = self.nothing_left(link).await?;
        let commit = async |it: &mut PgConnection| {
            last_resource::commit(it, id, &first).await.map_err(sharing::of_end)
        };
        self.end(commit).await
    }

    /// Keeps it, durable and unseen, until the other side has decided.
    ///
    /// # Errors
    ///
    /// As [`Self::commit_deciding`]; and as [`participant::prepare`].
    pub async fn prepare(mut self, id: TransactionId, link: &str) -> Result<(), Error> {
        let first = self.nothing_left(link).await?;
        let prepare = async |it: &mut PgConnection| {
            participant::prepare(it, id, &first).await.map_err(sharing::of_end)
        };
        self.end(prepare).await
    }

    /// SQL that refuses where something is left to share.
    async fn nothing_left(&mut self, link: &str) -> Result<String, Error> {
        let connection = self.lease.connection().map_err(Error::database)?;
        sharing::nothing_left(connection, &self.provider, link).await
    }

    async fn end(
        mut self,
        end: impl AsyncFnOnce(&mut PgConnection) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.failed {
            let message = "the transaction failed before".to_owned();
            return Err(Error::Failed(sqlx::Error::Protocol(message)));
        }
        let remaining = self.remaining();
        let connection = self.lease.connection().map_err(Error::database)?;
        let ended = within(remaining, end(connection)).await?;
        if !ended.as_ref().is_err_and(leaves_in_doubt) {
            self.lease.finish();
        }
        ended
    }

    /// On whose behalf it is.
    pub(crate) fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }

    /// After this moment nobody reads the answer.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(crate) fn business_logic(&self) -> &BusinessLogic {
        self.provider.business_logic()
    }

    fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// Whether nobody knows, after this, what the connection is in the middle of.
fn leaves_in_doubt(error: &Error) -> bool {
    match error {
        // The transaction may be open still, and has failed.
        Error::Unshared => true,
        Error::DeadlineExceeded | Error::Unavailable(_) | Error::Failed(_) => true,
        Error::NoPart(it) => !matches!(it, CommitError::Aborted(_) | CommitError::IdReused(_)),
        _ => false,
    }
}

/// What is not done in time is dropped: a connection in the middle of something is closed.
async fn within<T>(remaining: Duration, work: impl Future<Output = T>) -> Result<T, Error> {
    tokio::time::timeout(remaining, work).await.map_err(|_| Error::DeadlineExceeded)
}
