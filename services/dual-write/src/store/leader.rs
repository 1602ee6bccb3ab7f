//! One worker for each part in all processes: whoever holds a session's advisory lock.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};

const RETRY: Duration = Duration::from_secs(1);
const BEAT: Duration = Duration::from_secs(2);

/// This process does the part, as long as [`Self::lost`] has not answered.
#[derive(Debug)]
pub(crate) struct Leader {
    connection: PgConnection,
    part: &'static str,
}

// === impl Leader ===

impl Leader {
    pub(super) async fn wait(url: &str, part: &'static str) -> Self {
        loop {
            match Self::take(url, part).await {
                Ok(Some(leader)) => return leader,
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, part, "cannot ask whose turn it is"),
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn take(url: &str, part: &'static str) -> Result<Option<Self>, sqlx::Error> {
        let mut connection = PgConnection::connect(url).await?;
        let taken: bool =
            sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended($1, 0))")
                .bind(format!("tombolo dual-write {part}"))
                .fetch_one(&mut connection)
                .await?;
        Ok(taken.then_some(Self { connection, part }))
    }

    /// Answers when the lock's session is gone, and another process may have taken over. Belongs into a
    /// `select!` beside the work.
    pub(crate) async fn lost(&mut self) {
        loop {
            tokio::time::sleep(BEAT).await;
            let answered = tokio::time::timeout(BEAT, self.connection.ping()).await;
            if !matches!(answered, Ok(Ok(()))) {
                tracing::warn!(part = self.part, "the turn is over; waiting for the next");
                return;
            }
        }
    }
}
