//! Databases of environments, administered on their servers: made, dropped, dumped, restored, swapped and
//! measured. Start with [`Databases`].
//!
//! Everything is idempotent and named after what it is for, so that a stage that was interrupted is done
//! again from its beginning. A database is replaced by restoring into a new one beside it and swapping the
//! names in one transaction: the name always leads to a whole database, the old one or the new one.

mod dump;
mod measure;
mod names;
mod preflight;
mod program;
mod server;
mod swap;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

pub(crate) use dump::{Content, Dump, Target, remove_unfinished};
pub(crate) use measure::{Measurement, TableSize};
pub(crate) use names::{
    LONGEST as LONGEST_NAME, beside, finance_and_operations, platform, replaced,
};
pub(crate) use program::Programs;
pub(crate) use server::Server;

/// Why something could not be done to a database.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatabaseError {
    /// PostgreSQL does not answer, or is busy with something that ends: it may go better later.
    #[error("PostgreSQL cannot do it now: {0}")]
    Later(String),
    /// It will not go better by itself.
    #[error("{0}")]
    Refused(String),
    /// `pg_dump` or `pg_restore` is not there.
    #[error(
        "`{0}` is not installed here: install PostgreSQL's client programs (postgresql-client), or set where they are"
    )]
    NoProgram(&'static str),
}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|it| it.code()).unwrap_or_default();
        let class = code.get(..2).unwrap_or_default();
        // Connection, resources, intervention of an operator, locks and serialization, "in use".
        let passes = ["08", "53", "57", "40", "55"].contains(&class);
        match &error {
            // Its own Display adds the line of PostgreSQL's source.
            sqlx::Error::Database(said) if !passes => Self::Refused(said.message().to_owned()),
            sqlx::Error::Database(said) => Self::Later(said.message().to_owned()),
            sqlx::Error::Configuration(_) => Self::Refused(error.to_string()),
            _ => Self::Later(error.to_string()),
        }
    }
}

/// Both servers, and what is needed to administer databases there.
#[derive(Clone, Debug)]
pub(crate) struct Databases {
    /// Of the platform environments.
    pub(crate) platform: Server,
    /// Of the ERP.
    pub(crate) erp: Server,
    pub(crate) programs: Programs,
    /// What a new database of the ERP is a copy of.
    pub(crate) erp_template: Option<String>,
    pub(crate) backup_dir: PathBuf,
    /// The tenant's own.
    control_plane: String,
}

impl Databases {
    /// Connects when it is needed first.
    pub(crate) fn new(config: &crate::Config) -> Result<Self, sqlx::Error> {
        let control_plane: PgConnectOptions = config.database_url.parse()?;
        Ok(Self {
            platform: Server::new(&config.platform_server_url)?,
            erp: Server::new(&config.erp_server_url)?,
            programs: Programs::new(config.pg_bin.clone()),
            erp_template: config.erp_template.clone(),
            backup_dir: config.backup_dir.clone(),
            control_plane: control_plane.get_database().unwrap_or_default().to_owned(),
        })
    }

    /// Whether a database of this name is, on any of the servers, for something that is no ERP's data: the
    /// tenant's rows, the template, or what is made here for one environment or operation.
    pub(crate) fn is_reserved(&self, name: &str) -> bool {
        let others = [Some(self.control_plane.as_str()), self.erp_template.as_deref()];
        others.contains(&Some(name)) || names::is_made_here(name) || name == server::MAINTENANCE
    }

    /// An environment's database and the role that owns it, both by the name that it answers.
    pub(crate) async fn ensure_platform(&self, environment: Uuid) -> Result<String, DatabaseError> {
        let name = platform(environment);
        self.platform.ensure_owned(&name).await?;
        Ok(name)
    }

    /// Drops an environment's role and every database that it owns.
    pub(crate) async fn drop_platform(&self, environment: Uuid) -> Result<(), DatabaseError> {
        self.platform.drop_owned(&platform(environment)).await
    }

    /// An ERP's database: a copy of the template.
    pub(crate) async fn ensure_erp(&self, name: &str) -> Result<(), DatabaseError> {
        let Some(template) = &self.erp_template else {
            let text = "no template is configured for new databases of the ERP";
            return Err(DatabaseError::Refused(text.to_owned()));
        };
        self.erp.ensure_copy(name, template).await
    }
}
