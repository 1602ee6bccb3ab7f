//! One database takes the place of another, in one transaction.

use sqlx::{AssertSqlSafe, Executor as _};

use super::names::quoted;
use super::{DatabaseError, Server};

impl Server {
    /// `new` becomes `name`, and what `name` was becomes `old`. Also after it was done, or interrupted.
    pub(crate) async fn swap(&self, name: &str, new: &str, old: &str) -> Result<(), DatabaseError> {
        if !self.exists(new).await? {
            return match self.exists(old).await? {
                true => Ok(()),
                false => Err(DatabaseError::Refused(format!("there is no database `{new}`"))),
            };
        }
        self.end_use(name).await?;
        self.end_use(new).await?;
        commit::step("swapping");
        if let Err(error) = self.rename(&[(name, old), (new, name)], name).await {
            // Nobody waits for the swap longer than it is tried.
            self.set_open(name, true).await?;
            return Err(error);
        }
        commit::step("swapped");
        Ok(())
    }

    /// Takes a swap back whose old database is still there, or one that was only begun.
    pub(crate) async fn swap_back(
        &self,
        name: &str,
        new: &str,
        old: &str,
    ) -> Result<(), DatabaseError> {
        if self.exists(old).await? {
            self.end_use(name).await?;
            self.end_use(old).await?;
            return self.rename(&[(name, new), (old, name)], name).await;
        }
        self.set_open(name, true).await
    }

    /// All of it or nothing, and then lets everybody connect to `open`.
    async fn rename(&self, names: &[(&str, &str)], open: &str) -> Result<(), DatabaseError> {
        let mut transaction = self.pool.begin().await?;
        for (from, to) in names {
            let statement = format!("ALTER DATABASE {} RENAME TO {}", quoted(from), quoted(to));
            transaction.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await?;
        }
        let statement = format!("ALTER DATABASE {} WITH ALLOW_CONNECTIONS true", quoted(open));
        transaction.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await?;
        Ok(transaction.commit().await?)
    }
}
