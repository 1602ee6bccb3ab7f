//! The tables of both sides, followed as they change.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use proto::catalog::v1::{DataEntity, WatchDataEntitiesRequest};
use proto::dual_write::v1::Side;
use proto::query::v1::metadata_provider_service_client::MetadataProviderServiceClient;
use proto::query::v1::{WatchTablesRequest, WatchTablesResponse};
use rpc::Channel;
use tokio::sync::Notify;
use tonic::{Request, Status};

use crate::error::Error;
use crate::map::schema::Schemas;
use crate::peers::{Clients, asked};

const FIRST_DELAY: Duration = Duration::from_millis(200);
const LAST_DELAY: Duration = Duration::from_secs(5);
const MAX_MESSAGE_BYTES: usize = 64 << 20;
const ANSWER: Duration = Duration::from_secs(20);

/// What both sides say that they look like.
#[derive(Debug)]
pub(crate) struct Tables {
    catalog: CatalogServiceClient<Channel>,
    organization: MetadataProviderServiceClient<Channel>,
    known: Mutex<Known>,
    /// Told after every change.
    pub(super) news: Notify,
}

#[derive(Debug, Default)]
struct Known {
    entities: Option<Arc<[DataEntity]>>,
    tables: Option<Arc<WatchTablesResponse>>,
    /// Of both, when both have arrived.
    schemas: Option<Arc<Schemas>>,
    revision: u64,
}

// === impl Tables ===

impl Tables {
    pub(super) fn new(clients: &Clients) -> Self {
        let catalog = CatalogServiceClient::new(clients.catalog.clone());
        let organization = MetadataProviderServiceClient::new(clients.organization.clone());
        Self {
            catalog: catalog.max_decoding_message_size(MAX_MESSAGE_BYTES),
            organization: organization.max_decoding_message_size(MAX_MESSAGE_BYTES),
            known: Mutex::default(),
            news: Notify::new(),
        }
    }

    /// The tables, and a number that grows with their changes; `None` until both sides have told theirs.
    pub(crate) fn current(&self) -> (u64, Option<Arc<Schemas>>) {
        let known = self.known();
        (known.revision, known.schemas.clone())
    }

    /// The tables.
    pub(crate) fn get(&self) -> Result<Arc<Schemas>, Error> {
        let known = self.known();
        let missing =
            if known.entities.is_none() { Side::FinanceAndOperations } else { Side::Platform };
        known.schemas.clone().ok_or(Error::NotReady(missing))
    }

    /// Reads the tables of both sides anew.
    pub(crate) async fn read_anew(&self) -> Result<Arc<Schemas>, Error> {
        let (erp, platform) = tokio::join!(
            tokio::time::timeout(ANSWER, self.first_entities()),
            tokio::time::timeout(ANSWER, self.first_tables()),
        );
        let late = |_| Err(Status::deadline_exceeded("no answer in time"));
        erp.unwrap_or_else(late).map_err(|it| Error::of_side(Side::FinanceAndOperations, it))?;
        platform.unwrap_or_else(late).map_err(|it| Error::of_side(Side::Platform, it))?;
        self.get()
    }

    /// Follows both for ever.
    pub(super) async fn follow(&self) {
        tokio::join!(
            again("the entities of the ERP", || self.follow_entities()),
            again("the tables of the platform", || self.follow_tables()),
        );
    }

    async fn follow_entities(&self) -> Result<(), Status> {
        let request = Request::new(WatchDataEntitiesRequest {});
        let mut stream = self.catalog.clone().watch_data_entities(request).await?.into_inner();
        while let Some(message) = stream.message().await? {
            self.learn(|known| known.entities = Some(message.data_entities.into()));
        }
        Ok(())
    }

    async fn follow_tables(&self) -> Result<(), Status> {
        let request = Request::new(WatchTablesRequest {});
        let mut stream = self.organization.clone().watch_tables(request).await?.into_inner();
        while let Some(message) = stream.message().await? {
            self.learn(|known| known.tables = Some(Arc::new(message)));
        }
        Ok(())
    }

    async fn first_entities(&self) -> Result<(), Status> {
        let request = asked(WatchDataEntitiesRequest {});
        let mut stream = self.catalog.clone().watch_data_entities(request).await?.into_inner();
        let message = stream.message().await?.ok_or_else(ended)?;
        self.learn(|known| known.entities = Some(message.data_entities.into()));
        Ok(())
    }

    async fn first_tables(&self) -> Result<(), Status> {
        let request = asked(WatchTablesRequest {});
        let mut stream = self.organization.clone().watch_tables(request).await?.into_inner();
        let message = stream.message().await?.ok_or_else(ended)?;
        self.learn(|known| known.tables = Some(Arc::new(message)));
        Ok(())
    }

    fn learn(&self, change: impl FnOnce(&mut Known)) {
        let mut known = self.known();
        change(&mut known);
        if let (Some(entities), Some(tables)) = (&known.entities, &known.tables) {
            known.schemas = Some(Arc::new(Schemas::read(entities.iter(), tables)));
            known.revision += 1;
        }
        drop(known);
        self.news.notify_one();
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn again<F>(what: &str, follow: impl Fn() -> F)
where
    F: Future<Output = Result<(), Status>>,
{
    let mut delay = FIRST_DELAY;
    loop {
        let begun = std::time::Instant::now();
        if let Err(error) = follow().await {
            tracing::warn!(error = %error.message(), "cannot follow {what}; trying again");
        }
        if begun.elapsed() > LAST_DELAY {
            delay = FIRST_DELAY;
        }
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(LAST_DELAY);
    }
}

fn ended() -> Status {
    Status::unavailable("the stream ended before its first message")
}
