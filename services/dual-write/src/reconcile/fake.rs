//! Two sides in memory, and a core that works with them.

use std::sync::{Arc, Mutex, MutexGuard};

use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use prost::Message as _;
use proto::dual_write::v1::{self as dual, MapState};
use proto::query::v1 as pb;
use proto::query::v1::apply_value::Content;
use proto::query::v1::sharing_service_server::{SharingService, SharingServiceServer};
use proto::query::v1::transact_request::Step;
use proto::query::v1::transact_response::Answer;
use proto::query::v1::transaction_service_server::{TransactionService, TransactionServiceServer};
use rpc::{AssertionVerifier, Environment};
use tonic::{Request, Response, Status, Streaming};

use crate::cases::Databases;
use crate::config::Config;
use crate::core::Core;
use crate::image;
use crate::map::{fixture, value};
use crate::maps::{ActiveMap, Maps};
use crate::peers::{Clients, Sides};
use crate::store::Store;

/// One side: rows, and what is to go wrong.
#[derive(Clone, Default)]
pub(crate) struct FakeSide {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    rows: Vec<Row>,
    /// Answered to every question.
    away: bool,
    /// Answered to whoever writes.
    refusal: Option<Status>,
    /// Written.
    applied: Vec<pb::ApplyRow>,
    touched: Vec<pb::TouchedRow>,
    reads: usize,
}

#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) image: pb::Image,
    /// Meets the filter.
    pub(crate) matches: bool,
}

/// A database with the tables of the store.
pub(crate) async fn migrated(url: String) {
    Store::open(&url).await.unwrap().pool().close().await;
}

/// A core with both sides.
pub(crate) struct World {
    pub(crate) core: Arc<Core>,
    pub(crate) erp: FakeSide,
    pub(crate) platform: FakeSide,
}

// === impl World ===

impl World {
    pub(crate) async fn new(databases: &Databases, configure: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(databases.database().await);
        configure(&mut config);
        let (erp, platform) = (FakeSide::default(), FakeSide::default());
        let services = Environment::generate();
        let channel = |side: &FakeSide, name: &'static str| {
            let server = services.server(name, Arc::new(AssertionVerifier::new(name)));
            let server = server
                .with(SharingServiceServer::new(side.clone()))
                .with(TransactionServiceServer::new(side.clone()));
            let (routes, _) = server.build().unwrap();
            services.channel(routes, "dual-write", name).unwrap()
        };
        let clients = Clients {
            query: channel(&erp, "query"),
            organization: channel(&platform, "organization"),
            catalog: channel(&erp, "catalog"),
            user_context: channel(&erp, "user-context"),
        };
        let store = Store::open(&config.database_url).await.unwrap();
        let (sides, maps) = (Sides::new(&clients), Maps::new(&clients));
        let core = Arc::new(Core { config, store, sides, maps, clients });
        let world = Self { core, erp, platform };
        world.run(LINK).await;
        // Both sides hold the map already, as it was when its tables were last seen.
        let held = pb::MapSide { map: "maps/customers".to_owned(), ..Default::default() };
        sqlx::query(
            "INSERT INTO map_configuration (map, side, epoch, map_side)
             SELECT 'maps/customers', side, 1, $1
             FROM unnest('{FINANCE_AND_OPERATIONS,PLATFORM}'::text[]) AS side",
        )
        .bind(held.encode_to_vec())
        .execute(world.core.store.pool())
        .await
        .unwrap();
        world
    }

    pub(crate) async fn run(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(self.core.store.pool()).await.unwrap();
    }

    /// The one map, in a state.
    pub(crate) async fn map(&self, state: &str) -> Arc<ActiveMap> {
        sqlx::query("UPDATE map SET state = $1, epoch = epoch + 1, revision = revision + 1")
            .bind(state)
            .execute(self.core.store.pool())
            .await
            .unwrap();
        self.core.maps.refresh(&self.core.store).await.unwrap();
        self.core.maps.get("maps/customers").unwrap()
    }
}

const LINK: &str = "
    INSERT INTO link (finance_and_operations_environment, platform_environment, companies,
        consent_user, consent_time) VALUES ('erp', 'platform', '{USMF}', 'users/a', now());
    BEGIN;
    INSERT INTO map (name, display_name, finance_and_operations_entity, platform_table,
        active_version, epoch, company_specific)
    VALUES ('maps/customers', 'Customers', 'Customer', 'account', 'maps/customers/versions/1', 1, true);
    INSERT INTO map_version (name, map, version, publisher, content_hash, definition)
    VALUES ('maps/customers/versions/1', 'maps/customers', '1.0.0.0', 'Contoso', '', '');
    INSERT INTO map_report (map) VALUES ('maps/customers') ON CONFLICT DO NOTHING;
    COMMIT;";

/// A map that is tied to the fixture's tables.
pub(crate) fn active(state: MapState) -> ActiveMap {
    let table_map =
        dual::TableMap { state: state.into(), ..fixture::table_map("Customer", "account", true) };
    let link = dual::Link {
        finance_and_operations_environment: "erp".to_owned(),
        platform_environment: "platform".to_owned(),
        ..Default::default()
    };
    ActiveMap {
        name: table_map.name.clone(),
        display_name: "Customers".to_owned(),
        table_map,
        epoch: 1,
        version: fixture::version(),
        compiled: Some(Arc::new(fixture::compiled())),
        problem: None,
        link: Arc::new(link),
    }
}

// === impl FakeSide ===

impl FakeSide {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub(crate) fn put(&self, image: pb::Image, matches: bool) {
        self.lock().rows.push(Row { image, matches });
    }

    /// Changes what the side holds behind everybody's back.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Vec<Row>)) {
        change(&mut self.lock().rows);
    }

    pub(crate) fn go_away(&self, away: bool) {
        self.lock().away = away;
    }

    pub(crate) fn refuse(&self, refusal: Option<Status>) {
        self.lock().refusal = refusal;
    }

    pub(crate) fn applied(&self) -> Vec<pb::ApplyRow> {
        self.lock().applied.clone()
    }

    /// How often rows were read.
    pub(crate) fn reads(&self) -> usize {
        self.lock().reads
    }

    fn here(&self) -> Result<MutexGuard<'_, Inner>, Status> {
        let inner = self.lock();
        if inner.away { Err(Status::unavailable("away")) } else { Ok(inner) }
    }

    fn answers(&self) -> Result<(), Status> {
        self.here().map(drop)
    }

    fn select(&self, selection: &pb::ImageSelection) -> Result<Vec<Row>, Status> {
        let inner = self.here()?;
        let side = selection.map_side.clone().unwrap_or_default();
        let chosen = |row: &&Row| {
            let key = image::key(&side, &row.image);
            let company = &selection.company;
            (selection.unfiltered || row.matches)
                && (company.is_empty() || row.image.company.eq_ignore_ascii_case(company))
                && (selection.keys.is_empty()
                    || selection.keys.iter().any(|it| order(it) == order(&key)))
                && (selection.record_ids.is_empty()
                    || selection.record_ids.contains(&row.image.record_id))
        };
        let mut rows: Vec<Row> = inner.rows.iter().filter(chosen).cloned().collect();
        rows.sort_by_key(|it| order(&image::key(&side, &it.image)));
        Ok(rows)
    }

    fn apply(&self, row: &pb::ApplyRow) -> Result<pb::AppliedRow, Status> {
        let mut inner = self.here()?;
        if let Some(refusal) = inner.refusal.clone() {
            return Err(refusal);
        }
        inner.applied.push(row.clone());
        Ok(pb::AppliedRow::default())
    }
}

/// Company and key in an order.
fn order(key: &pb::ImageKey) -> (String, Vec<String>) {
    let values = key.values.iter().map(|it| value::display(it).to_lowercase());
    (key.company.to_lowercase(), values.collect())
}

/// What a value to be written reads like: of a reference, its key.
pub(crate) fn written(row: &pb::ApplyRow, column: &str) -> Option<String> {
    let values = row.key.iter().chain(&row.values).chain(&row.create_values);
    let found = values.into_iter().find(|it| it.column == column)?;
    match found.content.as_ref()? {
        Content::Value(it) => Some(value::display(it)),
        Content::Reference(it) => it.key.iter().find_map(|it| match it.content.as_ref()? {
            Content::Value(it) => Some(value::display(it)),
            Content::Reference(_) => None,
        }),
    }
}

#[tonic::async_trait]
impl SharingService for FakeSide {
    async fn configure_map(
        &self,
        _: Request<pb::ConfigureMapRequest>,
    ) -> Result<Response<pb::ConfigureMapResponse>, Status> {
        self.answers()?;
        Ok(Response::new(pb::ConfigureMapResponse { position: "0".to_owned() }))
    }

    async fn remove_map(
        &self,
        _: Request<pb::RemoveMapRequest>,
    ) -> Result<Response<pb::RemoveMapResponse>, Status> {
        self.answers()?;
        Ok(Response::new(pb::RemoveMapResponse {}))
    }

    async fn list_configured_maps(
        &self,
        _: Request<pb::ListConfiguredMapsRequest>,
    ) -> Result<Response<pb::ListConfiguredMapsResponse>, Status> {
        self.answers()?;
        Ok(Response::new(pb::ListConfiguredMapsResponse::default()))
    }

    async fn get_log_position(
        &self,
        _: Request<pb::GetLogPositionRequest>,
    ) -> Result<Response<pb::GetLogPositionResponse>, Status> {
        self.answers()?;
        Ok(Response::new(pb::GetLogPositionResponse::default()))
    }

    async fn read_images(
        &self,
        request: Request<pb::ReadImagesRequest>,
    ) -> Result<Response<pb::ReadImagesResponse>, Status> {
        let pb::ReadImagesRequest { selection, page_size, after, .. } = request.into_inner();
        let selection = selection.unwrap_or_default();
        let side = selection.map_side.clone().unwrap_or_default();
        let mut rows = self.select(&selection)?;
        self.lock().reads += 1;
        if let Some(after) = after {
            rows.retain(|it| order(&image::key(&side, &it.image)) > order(&after));
        }
        let size = usize::try_from(page_size).unwrap();
        let more = rows.len() > size;
        rows.truncate(size);
        let matches = rows.iter().filter(|_| selection.unfiltered).map(|it| it.matches).collect();
        let images = rows.into_iter().map(|it| it.image).collect();
        Ok(Response::new(pb::ReadImagesResponse { images, matches, more }))
    }

    async fn count_images(
        &self,
        request: Request<pb::CountImagesRequest>,
    ) -> Result<Response<pb::CountImagesResponse>, Status> {
        let rows = self.select(&request.into_inner().selection.unwrap_or_default())?;
        let count = i64::try_from(rows.len()).unwrap();
        Ok(Response::new(pb::CountImagesResponse { count, statement: None }))
    }

    async fn list_touched_rows(
        &self,
        _: Request<pb::ListTouchedRowsRequest>,
    ) -> Result<Response<pb::ListTouchedRowsResponse>, Status> {
        let (rows, position) = (self.here()?.touched.clone(), "0".to_owned());
        Ok(Response::new(pb::ListTouchedRowsResponse { rows, position, ..Default::default() }))
    }

    async fn list_row_changes(
        &self,
        _: Request<pb::ListRowChangesRequest>,
    ) -> Result<Response<pb::ListRowChangesResponse>, Status> {
        self.answers()?;
        Ok(Response::new(pb::ListRowChangesResponse::default()))
    }

    async fn find_skipped_change(
        &self,
        _: Request<pb::FindSkippedChangeRequest>,
    ) -> Result<Response<pb::FindSkippedChangeResponse>, Status> {
        Ok(Response::new(pb::FindSkippedChangeResponse::default()))
    }

    async fn take_conflicts(
        &self,
        _: Request<pb::TakeConflictsRequest>,
    ) -> Result<Response<pb::TakeConflictsResponse>, Status> {
        self.answers()?;
        Ok(Response::new(pb::TakeConflictsResponse::default()))
    }
}

#[tonic::async_trait]
impl TransactionService for FakeSide {
    type TransactStream = BoxStream<'static, Result<pb::TransactResponse, Status>>;

    async fn transact(
        &self,
        request: Request<Streaming<pb::TransactRequest>>,
    ) -> Result<Response<Self::TransactStream>, Status> {
        let side = self.clone();
        let answers = request.into_inner().map_err(Into::into).and_then(move |message| {
            let answer = side.step(message.step);
            async move { Ok(pb::TransactResponse { answer: Some(answer?) }) }
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn settle_transaction(
        &self,
        _: Request<pb::SettleTransactionRequest>,
    ) -> Result<Response<pb::SettleTransactionResponse>, Status> {
        Err(Status::unimplemented("not asked of a fake"))
    }

    async fn resolve_decision(
        &self,
        _: Request<pb::ResolveDecisionRequest>,
    ) -> Result<Response<pb::ResolveDecisionResponse>, Status> {
        Err(Status::unimplemented("not asked of a fake"))
    }

    async fn list_prepared_transactions(
        &self,
        _: Request<pb::ListPreparedTransactionsRequest>,
    ) -> Result<Response<pb::ListPreparedTransactionsResponse>, Status> {
        Err(Status::unimplemented("not asked of a fake"))
    }
}

impl FakeSide {
    fn step(&self, step: Option<Step>) -> Result<Answer, Status> {
        Ok(match step {
            Some(Step::Begin(_)) => {
                self.answers()?;
                Answer::Begun(pb::Begun::default())
            }
            Some(Step::Hold(it)) => {
                let rows = self.select(&it.selection.unwrap_or_default())?;
                let images = rows.into_iter().map(|it| it.image).collect();
                Answer::Held(pb::Held { images })
            }
            Some(Step::Apply(it)) => {
                let rows = it.rows.iter().map(|row| self.apply(row)).collect::<Result<_, _>>()?;
                Answer::Applied(pb::Applied { rows })
            }
            Some(Step::Commit(_)) => Answer::Committed(pb::Committed {}),
            _ => return Err(Status::unimplemented("not asked of a fake")),
        })
    }
}
