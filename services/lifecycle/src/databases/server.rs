//! One PostgreSQL server, as somebody who administers its databases.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool};
use uuid::Uuid;

use super::DatabaseError;
use super::names::quoted;

const CONNECTIONS: u32 = 4;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// There on every server, and never one of an environment's.
pub(super) const MAINTENANCE: &str = "postgres";

/// Making a database takes seconds, on a machine that is busy.
const LOCK_TIMEOUT: &str = "SET lock_timeout = '30s'";

const ALREADY_THERE: [&str; 3] = ["42710", "42P04", "23505"];

/// A server. Clones share its connections.
#[derive(Clone)]
pub(crate) struct Server {
    options: PgConnectOptions,
    pub(super) pool: PgPool,
}

impl std::fmt::Debug for Server {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("host", &self.options.get_host()).finish_non_exhaustive()
    }
}

impl Server {
    /// By a URL of any of its databases.
    pub(crate) fn new(url: &str) -> Result<Self, sqlx::Error> {
        let options: PgConnectOptions = url.parse()?;
        let options = options.database(MAINTENANCE).application_name("tombolo lifecycle");
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .min_connections(0)
            .acquire_timeout(CONNECT_TIMEOUT)
            .idle_timeout(Duration::from_secs(30))
            .connect_lazy_with(options.clone());
        Ok(Self { options, pool })
    }

    /// How to reach a database of it.
    pub(super) fn options(&self, database: &str) -> PgConnectOptions {
        self.options.clone().database(database)
    }

    /// A connection to a database of it.
    pub(crate) async fn connect(&self, database: &str) -> Result<PgConnection, DatabaseError> {
        let options = self.options(database);
        let connecting = PgConnection::connect_with(&options);
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connection) => Ok(connection?),
            Err(_) => Err(DatabaseError::Later("it does not answer in time".to_owned())),
        }
    }

    /// Whether there is a database of this name.
    pub(crate) async fn exists(&self, database: &str) -> Result<bool, DatabaseError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)";
        Ok(sqlx::query_scalar(sql).bind(database).fetch_one(&self.pool).await?)
    }

    /// Whether there is a database of this name that people connect to, and no template.
    pub(crate) async fn accepts_data(&self, database: &str) -> Result<bool, DatabaseError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM pg_database
                   WHERE datname = $1 AND datallowconn AND NOT datistemplate)";
        Ok(sqlx::query_scalar(sql).bind(database).fetch_one(&self.pool).await?)
    }

    /// The role that owns a database.
    pub(crate) async fn owner(&self, database: &str) -> Result<String, DatabaseError> {
        let sql = "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = $1";
        let owner: Option<String> =
            sqlx::query_scalar(sql).bind(database).fetch_optional(&self.pool).await?;
        owner.ok_or_else(|| DatabaseError::Refused(format!("there is no database `{database}`")))
    }

    /// Gives the organization in a database its id. The organization service never changes the id that it has
    /// worked under, but what was just restored is a copy: another organization, which nobody has worked in.
    pub(crate) async fn set_organization(
        &self,
        database: &str,
        organization: Uuid,
    ) -> Result<(), DatabaseError> {
        let mut connection = self.connect(database).await?;
        let update =
            "UPDATE organization.organization SET organizationid = $1 WHERE organizationid <> $1";
        match sqlx::query(update).bind(organization).execute(&mut connection).await {
            Ok(_) => Ok(connection.close().await?),
            // Nothing of an organization was ever provisioned there.
            Err(error) if code(&error) == Some("42P01".into()) => Ok(connection.close().await?),
            Err(error) => Err(error.into()),
        }
    }

    /// A role that cannot log in, granted to us, and a database of the same name that it owns.
    pub(super) async fn ensure_owned(&self, name: &str) -> Result<(), DatabaseError> {
        let mut session = self.alone(name).await?;
        let quoted_name = quoted(name);
        unless_there(&mut session, format!("CREATE ROLE {quoted_name} NOLOGIN")).await?;
        commit::step("role-made");
        run(&mut session, format!("GRANT {quoted_name} TO CURRENT_USER")).await?;
        create_empty(&mut session, name, name).await?;
        commit::step("database-made");
        Ok(session.close().await?)
    }

    /// An empty database of an owner that is there; of ourselves where that is empty.
    pub(crate) async fn ensure_empty(&self, name: &str, owner: &str) -> Result<(), DatabaseError> {
        let mut session = self.alone(name).await?;
        create_empty(&mut session, name, owner).await?;
        Ok(session.close().await?)
    }

    /// A copy of another database of the server, where nobody is connected.
    pub(super) async fn ensure_copy(&self, name: &str, from: &str) -> Result<(), DatabaseError> {
        let mut session = self.alone(name).await?;
        if self.exists(name).await? {
            return Ok(session.close().await?);
        }
        if !self.exists(from).await? {
            let text = format!("there is no database `{from}` to copy yet");
            return Err(DatabaseError::Later(text));
        }
        let (copy, template) = (quoted(name), quoted(from));
        unless_there(&mut session, format!("CREATE DATABASE {copy} TEMPLATE {template}")).await?;
        commit::step("database-made");
        Ok(session.close().await?)
    }

    /// Drops every database that the role owns, then the role.
    pub(super) async fn drop_owned(&self, role: &str) -> Result<(), DatabaseError> {
        let mut session = self.alone(role).await?;
        let sql = "SELECT datname::text FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba
                   WHERE r.rolname = $1";
        let owned: Vec<String> = sqlx::query_scalar(sql).bind(role).fetch_all(&mut session).await?;
        for database in owned {
            match database == role {
                true => self.drop_within(&mut session, &database).await?,
                false => self.drop_database(&database).await?,
            }
        }
        run(&mut session, format!("DROP ROLE IF EXISTS {}", quoted(role))).await?;
        Ok(session.close().await?)
    }

    /// Drops a database if it is there, whoever uses it.
    pub(crate) async fn drop_database(&self, name: &str) -> Result<(), DatabaseError> {
        let mut session = self.alone(name).await?;
        self.drop_within(&mut session, name).await?;
        Ok(session.close().await?)
    }

    async fn drop_within(
        &self,
        session: &mut PgConnection,
        name: &str,
    ) -> Result<(), DatabaseError> {
        // -2 says that a drop was interrupted: nobody can connect, and nothing can be altered any more.
        let sql = "SELECT datconnlimit = -2 FROM pg_database WHERE datname = $1";
        let half_dropped: Option<bool> =
            sqlx::query_scalar(sql).bind(name).fetch_optional(&self.pool).await?;
        match half_dropped {
            None => return Ok(()),
            Some(true) => {}
            Some(false) => self.end_use(name).await?,
        }
        run(session, format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(name))).await?;
        commit::step("database-dropped");
        Ok(())
    }

    /// A session in which nobody else makes or drops what has this name, until it is over. PostgreSQL ends a
    /// statement whose sender is gone, so somebody who comes to take back what a dead process was making
    /// waits here until it is made.
    async fn alone(&self, name: &str) -> Result<PgConnection, DatabaseError> {
        let mut session = self.connect(MAINTENANCE).await?;
        session.execute(LOCK_TIMEOUT).await?;
        let lock = "SELECT pg_advisory_lock(hashtextextended('lifecycle.database.' || $1, 0))";
        sqlx::query(lock).bind(name).execute(&mut session).await?;
        Ok(session)
    }

    /// Lets nobody connect any more, and ends what is under way: prepared transactions too, which keep a
    /// database in use with nobody connected to it.
    pub(super) async fn end_use(&self, name: &str) -> Result<(), DatabaseError> {
        self.set_open(name, true).await?;
        self.roll_back_prepared(name).await?;
        self.set_open(name, false).await?;
        let sql = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                   WHERE datname = $1 AND pid <> pg_backend_pid()";
        sqlx::query(sql).bind(name).execute(&self.pool).await?;
        Ok(())
    }

    /// Whether connections to a database that is there are accepted.
    pub(crate) async fn set_open(&self, name: &str, open: bool) -> Result<(), DatabaseError> {
        self.run(format!("ALTER DATABASE {} WITH ALLOW_CONNECTIONS {open}", quoted(name))).await
    }

    async fn roll_back_prepared(&self, name: &str) -> Result<(), DatabaseError> {
        let sql = "SELECT gid FROM pg_prepared_xacts WHERE database = $1";
        let prepared: Vec<String> =
            sqlx::query_scalar(sql).bind(name).fetch_all(&self.pool).await?;
        if prepared.is_empty() {
            return Ok(());
        }
        let mut connection = self.connect(name).await?;
        for transaction in prepared {
            let literal = transaction.replace('\'', "''");
            let statement = format!("ROLLBACK PREPARED '{literal}'");
            connection.execute(AssertSqlSafe(statement)).await?;
        }
        Ok(connection.close().await?)
    }

    /// A statement made of quoted identifiers.
    pub(super) async fn run(&self, statement: String) -> Result<(), DatabaseError> {
        self.pool.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await?;
        Ok(())
    }
}

async fn create_empty(
    session: &mut PgConnection,
    name: &str,
    owner: &str,
) -> Result<(), DatabaseError> {
    let name = quoted(name);
    let owner = if owner.is_empty() { "CURRENT_USER".to_owned() } else { quoted(owner) };
    // Nobody is ever connected to template0, so that this does not wait for anybody.
    let create = format!("CREATE DATABASE {name} OWNER {owner} TEMPLATE template0 ENCODING 'UTF8'");
    unless_there(session, create).await?;
    run(session, format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC")).await
}

async fn run(session: &mut PgConnection, statement: String) -> Result<(), DatabaseError> {
    session.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await?;
    Ok(())
}

async fn unless_there(session: &mut PgConnection, statement: String) -> Result<(), DatabaseError> {
    match session.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await {
        Ok(_) => Ok(()),
        Err(error) => {
            let there = code(&error).is_some_and(|it| ALREADY_THERE.contains(&it.as_ref()));
            if there { Ok(()) } else { Err(error.into()) }
        }
    }
}

fn code(error: &sqlx::Error) -> Option<std::borrow::Cow<'_, str>> {
    error.as_database_error().and_then(|it| it.code())
}
