//! Names that only one may have, in use or deleted a while ago.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the names of what is deleted stay taken (spec lifecycle-and-web-api §1.5).
pub(crate) const KEPT: Duration = DAY;
/// The host of a unified environment.
pub(crate) const UNIFIED_HOST_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What has the name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Id of a finance-and-operations environment.
    FinanceAndOperations,
    /// Its URL.
    FinanceAndOperationsUrl,
    /// Its database.
    FinanceAndOperationsDatabase,
    /// Host name of a platform environment.
    Host,
    /// Display name of a unified one.
    UnifiedName,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::FinanceAndOperations => "finance_and_operations",
            Self::FinanceAndOperationsUrl => "finance_and_operations_url",
            Self::FinanceAndOperationsDatabase => "finance_and_operations_database",
            Self::Host => "host",
            Self::UnifiedName => "unified_name",
        }
    }
}

/// Takes a name for an environment, which may have it already; says whether it has it now. Names differ by more
/// than case. Of two at once one waits for the other's transaction.
pub(crate) async fn claim(
    connection: &mut PgConnection,
    kind: Kind,
    name: &str,
    environment: Uuid,
) -> Result<bool, sqlx::Error> {
    let claim = "
        INSERT INTO name_claim (kind, name, environment) VALUES ($1, lower($2), $3)
        ON CONFLICT (kind, name) DO UPDATE SET environment = $3, expire_time = NULL
        WHERE name_claim.environment = $3 OR name_claim.expire_time <= now()";
    let query = sqlx::query(claim).bind(kind.word()).bind(name).bind(environment);
    Ok(query.execute(connection).await?.rows_affected() == 1)
}

/// Frees the names of this kind that an environment has, at once or later.
pub(crate) async fn release(
    connection: &mut PgConnection,
    kind: Kind,
    environment: Uuid,
    kept: Duration,
) -> Result<(), sqlx::Error> {
    let release = "
        UPDATE name_claim SET expire_time = now() + make_interval(secs => $3)
        WHERE kind = $1 AND environment = $2";
    let query = sqlx::query(release).bind(kind.word()).bind(environment).bind(kept.as_secs_f64());
    query.execute(connection).await?;
    Ok(())
}
