//! The organizations of environments: the one that runs here, and others on the same server, each opened for
//! one call and closed before its answer.

use proto::lifecycle::v1::EnvironmentDatabase;
use schema::Place;

use crate::error::Error;
use crate::store::Store;

/// Finds the organization that a database holds.
#[derive(Debug)]
pub(crate) struct Environments {
    url: String,
    /// The database whose organization runs here.
    own: String,
    running: Store,
}

/// An organization for the time of a call.
#[derive(Debug)]
pub(crate) enum Opened {
    Running(Store),
    Other(Store),
}

impl Environments {
    pub(crate) fn new(url: String, running: Store) -> Result<Self, sqlx::Error> {
        Ok(Self { own: schema::database_of(&url)?, url, running })
    }

    /// Also brings the schema up to date. To be closed.
    pub(crate) async fn open(
        &self,
        database: Option<EnvironmentDatabase>,
    ) -> Result<Opened, Error> {
        let EnvironmentDatabase { database, role } = database.unwrap_or_default();
        if database == self.own {
            return Ok(Opened::Running(self.running.clone()));
        }
        let place = Place::new(&database, &role)?;
        let store = Store::open_in(&self.url, &place).await;
        let store = store.map_err(|error| match error.is_missing() {
            true => Error::NoDatabase(database),
            false => error.into_cause().into(),
        })?;
        Ok(Opened::Other(store))
    }
}

impl Opened {
    pub(crate) fn store(&self) -> &Store {
        match self {
            Self::Running(store) | Self::Other(store) => store,
        }
    }

    /// Returns when the database is left alone.
    pub(crate) async fn close(self) {
        match self {
            Self::Running(_) => {}
            Self::Other(store) => store.close().await,
        }
    }
}
