//! Triggers, where they are wanted and nowhere else.
//!
//! One transaction for each table, with a short patience: to create a trigger PostgreSQL waits for the
//! table's writers, and others wait behind it meanwhile. Whoever is refused comes again.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Postgres, Transaction};

use crate::error::{Error, is_denied};
use crate::relation::{Relation, literal, quoted};

/// How long the ERP's writers may have to wait behind us.
const PATIENCE: &str = "SET LOCAL lock_timeout = '250ms'";
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('tombolo'), hashtext('change log'))";

/// What a pass did.
#[derive(Debug, Default)]
pub struct Reconciled {
    /// Tables that are captured from now on.
    pub added: usize,
    /// Tables that no longer are.
    pub removed: usize,
    /// Tables, as the log names them, with which it could not be done. [`Error::Busy`] comes from those
    /// that are in use; the next pass may find them free.
    pub failed: Vec<(String, Error)>,
}

/// The table itself, its partitions and the tables that inherit from it, with what each has of ours:
/// its kind, its names, and whether triggers are as they should be.
const MEMBERS: &str = "
    WITH RECURSIVE member(oid, depth) AS (
        SELECT to_regclass($1)::oid, 0
        UNION
        SELECT inhrelid, depth + 1 FROM pg_inherits JOIN member ON inhparent = member.oid
    )
    SELECT
        depth = 0,
        format('%I.%I', nspname, relname),
        relkind::text,
        relispartition AND relkind IN ('r', 'p'),
        relpersistence = 't',
        EXISTS (
            SELECT FROM pg_trigger
            WHERE tgrelid = member.oid AND tgname = 'tombolo_capture'
                AND tgenabled = 'A' AND tgtype = 29 AND tgfoid = 'tombolo.capture()'::regprocedure
                AND tgargs = $2::bytea
        ),
        EXISTS (
            SELECT FROM pg_trigger
            WHERE tgrelid = member.oid AND tgname = 'tombolo_capture_truncate'
                AND tgenabled = 'A' AND tgtype = 32 AND tgfoid = 'tombolo.capture()'::regprocedure
                AND tgargs = $3::bytea
        )
    FROM (SELECT oid, min(depth) AS depth FROM member GROUP BY oid) AS member
    JOIN pg_class ON pg_class.oid = member.oid
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    ORDER BY depth, member.oid";

/// Bytes are no fields of entities, and can be large.
const LEFT_OUT: &str = "
    SELECT attname::text FROM pg_attribute
    WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped AND atttypid = 'bytea'::regtype
    ORDER BY attname";

const REGISTERED: &str = "
    SELECT oid = to_regclass($1)::oid FROM tombolo.change_log_relation WHERE relation = $1";

const REGISTER: &str = "
    INSERT INTO tombolo.change_log_relation (relation, oid) VALUES ($1, to_regclass($1))
    ON CONFLICT (relation) DO UPDATE
    SET oid = excluded.oid, installed_by = pg_current_xact_id(), wanted_at = now()";

const STILL_WANTED: &str = "
    UPDATE tombolo.change_log_relation SET wanted_at = now()
    WHERE relation = ANY($1) AND wanted_at < now() - interval '1 minute'";

const UNWANTED: &str = "
    SELECT relation FROM tombolo.change_log_relation
    WHERE relation <> ALL($1) AND wanted_at <= now() - make_interval(secs => $2)
    ORDER BY relation";

/// Puts triggers on the wanted tables that lack them, and takes them off tables that nobody has wanted
/// for `grace`: other replicas may know newer or older definitions. On a connection without an open
/// transaction, after [`crate::install`].
///
/// # Errors
///
/// When nothing at all can be done: the database is away.
pub async fn reconcile(
    connection: &mut PgConnection,
    wanted: &[Relation],
    grace: Duration,
) -> Result<Reconciled, Error> {
    let mut done = Reconciled::default();
    let names: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    for name in &names {
        match add(connection, name).await {
            Ok(added) => done.added += usize::from(added),
            Err(error) => done.failed.push((name.clone(), error)),
        }
    }
    let still = sqlx::query(STILL_WANTED).bind(&names).execute(&mut *connection);
    still.await.map_err(Error::of)?;
    let unwanted: Vec<String> = sqlx::query_scalar(UNWANTED)
        .bind(&names)
        .bind(grace.as_secs_f64())
        .fetch_all(&mut *connection)
        .await
        .map_err(Error::of)?;
    for name in unwanted {
        match remove(connection, &name).await {
            Ok(()) => done.removed += 1,
            Err(error) => done.failed.push((name, error)),
        }
    }
    Ok(done)
}

/// The table or a descendant of it.
#[derive(Debug)]
struct Member {
    is_root: bool,
    name: String,
    kind: String,
    is_partition: bool,
    is_temporary: bool,
    has_rows: bool,
    has_truncate: bool,
}

impl Member {
    fn unsuitable(&self) -> Option<&'static str> {
        match self.kind.as_str() {
            _ if self.is_temporary => Some("is temporary"),
            "r" | "p" => None,
            "v" | "m" => Some("is a view"),
            "f" => Some("is a foreign table"),
            _ => Some("is not a table"),
        }
    }
}

async fn members(
    connection: &mut PgConnection,
    relation: &str,
    left_out: &[String],
) -> Result<Vec<Member>, Error> {
    // As PostgreSQL stores a trigger's arguments.
    let mut truncate = relation.as_bytes().to_vec();
    truncate.push(0);
    let mut rows = truncate.clone();
    for column in left_out {
        rows.extend_from_slice(column.as_bytes());
        rows.push(0);
    }
    let query = sqlx::query_as(MEMBERS).bind(relation).bind(rows).bind(truncate);
    let found: Vec<(bool, String, String, bool, bool, bool, bool)> =
        query.fetch_all(connection).await.map_err(Error::of)?;
    let member = |it: (bool, String, String, bool, bool, bool, bool)| Member {
        is_root: it.0,
        name: it.1,
        kind: it.2,
        is_partition: it.3,
        is_temporary: it.4,
        has_rows: it.5,
        has_truncate: it.6,
    };
    Ok(found.into_iter().map(member).collect())
}

/// What of a table's triggers is missing; refuses what cannot have any.
async fn missing(
    connection: &mut PgConnection,
    relation: &str,
) -> Result<(Vec<Member>, Vec<String>, bool), Error> {
    let left_out: Vec<String> = sqlx::query_scalar(LEFT_OUT)
        .bind(relation)
        .fetch_all(&mut *connection)
        .await
        .map_err(Error::of)?;
    let members = members(connection, relation, &left_out).await?;
    let refuse = |reason| Error::Unsuitable { relation: relation.to_owned(), reason };
    if members.is_empty() {
        return Err(refuse("does not exist"));
    }
    if let Some(reason) = members.iter().find_map(Member::unsuitable) {
        return Err(refuse(reason));
    }
    let registered: Option<bool> = sqlx::query_scalar(REGISTERED)
        .bind(relation)
        .fetch_optional(&mut *connection)
        .await
        .map_err(Error::of)?;
    Ok((members, left_out, registered == Some(true)))
}

/// Whether anything was to be done.
async fn add(connection: &mut PgConnection, relation: &str) -> Result<bool, Error> {
    let complete = |members: &[Member]| members.iter().all(|it| it.has_rows && it.has_truncate);
    let (members, _, registered) = missing(connection, relation).await?;
    if registered && complete(&members) {
        return Ok(false);
    }
    let mut transaction = begin(connection).await?;
    // Another replica may have done it meanwhile.
    let (members, left_out, registered) = missing(&mut transaction, relation).await?;
    if registered && complete(&members) {
        return Ok(false);
    }
    for member in &members {
        for sql in statements(member, relation, &left_out) {
            let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await;
            if let Err(error) = done {
                drop(transaction);
                return Err(refusal(connection, &member.name, error).await);
            }
        }
    }
    // Rows may have been written without being captured, so positions of before are worth nothing.
    let register = sqlx::query(REGISTER).bind(relation).execute(&mut *transaction);
    register.await.map_err(Error::of)?;
    transaction.commit().await.map_err(Error::of)?;
    tracing::info!(relation, "changes are captured");
    Ok(true)
}

fn statements(member: &Member, relation: &str, left_out: &[String]) -> Vec<String> {
    let name = &member.name;
    let arguments: Vec<String> =
        std::iter::once(relation).chain(left_out.iter().map(String::as_str)).map(literal).collect();
    let mut statements = Vec::new();
    // Partitions have their parent's row trigger.
    if !member.has_rows && (member.is_root || !member.is_partition) {
        statements.push(format!(
            "CREATE OR REPLACE TRIGGER tombolo_capture
             AFTER INSERT OR UPDATE OR DELETE ON {name} FOR EACH ROW
             EXECUTE FUNCTION tombolo.capture({})",
            arguments.join(", ")
        ));
    }
    if !member.has_truncate {
        statements.push(format!(
            "CREATE OR REPLACE TRIGGER tombolo_capture_truncate
             AFTER TRUNCATE ON {name} FOR EACH STATEMENT EXECUTE FUNCTION tombolo.capture({})",
            literal(relation)
        ));
    }
    // Also for writes of replication and of `session_replication_role = replica`.
    if !member.has_rows || !member.has_truncate {
        statements.push(format!(
            "ALTER TABLE {name} ENABLE ALWAYS TRIGGER tombolo_capture,
             ENABLE ALWAYS TRIGGER tombolo_capture_truncate"
        ));
    }
    statements
}

async fn remove(connection: &mut PgConnection, relation: &str) -> Result<(), Error> {
    let mut transaction = begin(connection).await?;
    for member in members(&mut transaction, relation, &[]).await? {
        for trigger in ["tombolo_capture", "tombolo_capture_truncate"] {
            if trigger == "tombolo_capture" && member.is_partition && !member.is_root {
                continue;
            }
            let sql = format!("DROP TRIGGER IF EXISTS {} ON {}", quoted(trigger), member.name);
            let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await;
            if let Err(error) = done {
                drop(transaction);
                return Err(refusal(connection, &member.name, error).await);
            }
        }
    }
    let forget = sqlx::query("DELETE FROM tombolo.change_log_relation WHERE relation = $1");
    forget.bind(relation).execute(&mut *transaction).await.map_err(Error::of)?;
    transaction.commit().await.map_err(Error::of)?;
    tracing::info!(relation, "changes are no longer captured");
    Ok(())
}

async fn begin(connection: &mut PgConnection) -> Result<Transaction<'_, Postgres>, Error> {
    let mut transaction = connection.begin().await.map_err(Error::of)?;
    sqlx::raw_sql(PATIENCE).execute(&mut *transaction).await.map_err(Error::of)?;
    sqlx::raw_sql(LOCK).execute(&mut *transaction).await.map_err(Error::of)?;
    Ok(transaction)
}

/// Says what to grant, where it is that.
async fn refusal(connection: &mut PgConnection, table: &str, error: sqlx::Error) -> Error {
    if !is_denied(&error) {
        return Error::of(error);
    }
    let who = "SELECT quote_ident(current_user), quote_ident(pg_get_userbyid(relowner))
               FROM pg_class WHERE oid = to_regclass($1)";
    match sqlx::query_as::<_, (String, String)>(who).bind(table).fetch_one(connection).await {
        Ok((user, owner)) => Error::NotGranted(format!(
            "{user} may not put triggers on {table}; run: GRANT {owner} TO {user}"
        )),
        Err(error) => Error::of(error),
    }
}
