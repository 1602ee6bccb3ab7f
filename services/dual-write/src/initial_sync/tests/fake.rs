//! Both sides, in memory.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use prost::bytes::Bytes;
use proto::query::v1::apply_value::Content;
use proto::query::v1::sharing_service_server::{SharingService, SharingServiceServer};
use proto::query::v1::transact_request::Step;
use proto::query::v1::transact_response::Answer;
use proto::query::v1::transaction_service_server::{TransactionService, TransactionServiceServer};
use proto::query::v1::{self as pb, AppliedKind, ApplyKind, SharedKind};
use rpc::{AssertionVerifier, Channel, Environment, ErrorReason};
use tokio::sync::{Notify, watch};
use tonic::{Code, Request, Response, Status, Streaming};

use crate::map::value;

/// A row, by column.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Row {
    pub(super) id: Bytes,
    pub(super) values: BTreeMap<String, pb::Value>,
}

#[derive(Default)]
struct State {
    tables: BTreeMap<String, Vec<Row>>,
    /// What users did: entity and the row as it was.
    log: Vec<(String, Row)>,
    maps: BTreeMap<String, pb::MapSide>,
    /// Rows that hold one of these texts are refused.
    refused: HashSet<String>,
    away: bool,
    next: u128,
    /// Transactions under way, and the most there were.
    open: usize,
    most_open: usize,
}

/// One side.
#[derive(Clone)]
pub(super) struct FakeSide {
    state: Arc<Mutex<State>>,
    /// Where a call stops until it is to go on, and how many have.
    armed: Arc<Mutex<Option<&'static str>>>,
    stopped: watch::Sender<usize>,
    go_on: Arc<Notify>,
}

impl FakeSide {
    pub(super) fn new(first_id: u128) -> Self {
        let state = State { next: first_id, ..State::default() };
        Self {
            state: Arc::new(Mutex::new(state)),
            armed: Arc::default(),
            stopped: watch::Sender::new(0),
            go_on: Arc::default(),
        }
    }

    pub(super) fn channel(&self, services: &Environment, name: &'static str) -> Channel {
        let server = services.server(name, Arc::new(AssertionVerifier::new(name)));
        let server = server
            .with(SharingServiceServer::new(self.clone()))
            .with(TransactionServiceServer::new(self.clone()));
        services.channel(server.build().unwrap().0, "dual-write", name).unwrap()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The next call that comes to `step` stops there.
    pub(super) fn stop_at(&self, step: &'static str) {
        *self.armed.lock().unwrap() = Some(step);
    }

    /// Until one has stopped; the next go through.
    pub(super) async fn stopped(&self) {
        let mut stopped = self.stopped.subscribe();
        let limit = std::time::Duration::from_secs(60);
        tokio::time::timeout(limit, stopped.wait_for(|it| *it > 0)).await.unwrap().unwrap();
        self.stopped.send_replace(0);
    }

    async fn pass(&self, step: &'static str) {
        let is_armed = self.armed.lock().unwrap().take_if(|it| *it == step).is_some();
        if is_armed {
            self.stopped.send_modify(|it| *it += 1);
            self.go_on.notified().await;
        }
    }

    /// Lets the one that has stopped go on.
    pub(super) fn go_on(&self) {
        self.go_on.notify_one();
    }

    pub(super) fn set_away(&self, away: bool) {
        self.state().away = away;
    }

    pub(super) fn refuse(&self, texts: &[&str]) {
        self.state().refused = texts.iter().map(|it| (*it).to_owned()).collect();
    }

    pub(super) fn most_open(&self) -> usize {
        self.state().most_open
    }

    /// A row that was there before anybody captured anything.
    pub(super) fn put(&self, entity: &str, values: &[(&str, &str)]) {
        let mut state = self.state();
        let values = values.iter().map(|(name, it)| ((*name).to_owned(), value::text(*it)));
        let row = Row { id: state.id(), values: values.collect() };
        state.tables.entry(entity.to_owned()).or_default().push(row);
    }

    /// A user writes a column of the rows that hold `text` in `by`.
    pub(super) fn write(&self, entity: &str, by: (&str, &str), column: &str, text: &str) {
        let mut state = self.state();
        let State { tables, log, .. } = &mut *state;
        for row in tables.get_mut(entity).unwrap() {
            if row.values.get(by.0) == Some(&value::text(by.1)) {
                row.values.insert(column.to_owned(), value::text(text));
                log.push((entity.to_owned(), row.clone()));
            }
        }
    }

    pub(super) fn delete(&self, entity: &str, column: &str, text: &str) {
        let mut state = self.state();
        let State { tables, log, .. } = &mut *state;
        tables.get_mut(entity).unwrap().retain(|row| {
            let is_it = row.values.get(column) == Some(&value::text(text));
            if is_it {
                log.push((entity.to_owned(), row.clone()));
            }
            !is_it
        });
    }

    /// All rows as texts of a column, looked up through `path` where it has a dot; sorted.
    pub(super) fn texts(&self, entity: &str, columns: &[&str]) -> Vec<String> {
        let state = self.state();
        let rows = state.tables.get(entity).into_iter().flatten();
        let text = |row: &Row| {
            let one = |it: &&str| value::display(&state.value(row, it));
            columns.iter().map(one).collect::<Vec<_>>().join("/")
        };
        let mut texts: Vec<String> = rows.map(text).collect();
        texts.sort();
        texts
    }
}

impl State {
    fn id(&mut self) -> Bytes {
        self.next += 1;
        self.next.to_be_bytes().to_vec().into()
    }

    fn value(&self, row: &Row, path: &str) -> pb::Value {
        let own = |name: &str| row.values.get(name).cloned().unwrap_or_else(value::null);
        let Some((lookup, column)) = path.split_once('.') else { return own(path) };
        let Some(pb::value::Kind::GuidValue(id)) = own(lookup).kind else { return value::null() };
        let target = self.tables.values().flatten().find(|it| it.id == id);
        target.map_or_else(value::null, |it| self.value(it, column))
    }

    fn image(&self, side: &pb::MapSide, row: &Row) -> pb::Image {
        let values = side.columns.iter().map(|it| self.value(row, it)).collect();
        pb::Image { record_id: row.id.clone(), company: String::new(), values }
    }

    fn images(&self, selection: &pb::ImageSelection) -> Vec<pb::Image> {
        let side = selection.map_side.as_ref().unwrap();
        let rows = self.tables.get(&side.entity_name).into_iter().flatten();
        let mut images: Vec<pb::Image> = rows.map(|it| self.image(side, it)).collect();
        let keys: HashSet<String> = selection.keys.iter().map(text).collect();
        let wanted = |it: &pb::Image| {
            let by_key = keys.is_empty() || keys.contains(&text(&crate::image::key(side, it)));
            let by_id =
                selection.record_ids.is_empty() || selection.record_ids.contains(&it.record_id);
            by_key && by_id
        };
        images.retain(wanted);
        images.sort_by_cached_key(|it| text(&crate::image::key(side, it)));
        images
    }

    fn find(&self, entity: &str, key: &[pb::ApplyValue]) -> Option<usize> {
        let is_it = |row: &Row| {
            key.iter().all(|it| match &it.content {
                Some(Content::Value(value)) => row.values.get(&it.column) == Some(value),
                _ => false,
            })
        };
        self.tables.get(entity)?.iter().position(is_it)
    }

    fn apply(&mut self, row: &pb::ApplyRow) -> Result<pb::AppliedRow, Status> {
        let found = self.find(&row.entity_name, &row.key);
        let mut unresolved = Vec::new();
        let mut values = BTreeMap::new();
        let creates = if found.is_none() { &row.create_values[..] } else { &[] };
        let key = if found.is_none() { &row.key[..] } else { &[] };
        for it in key.iter().chain(&row.values).chain(creates) {
            let value = match it.content.as_ref().unwrap() {
                Content::Value(value) => value.clone(),
                Content::Reference(it) if it.key.is_empty() => value::null(),
                Content::Reference(reference) => {
                    let Some(at) = self.find(&reference.entity_name, &reference.key) else {
                        assert!(reference.optional, "a lookup is not optional");
                        unresolved.push(it.column.clone());
                        continue;
                    };
                    let id = self.tables[&reference.entity_name][at].id.clone();
                    value::of(pb::value::Kind::GuidValue(id))
                }
            };
            values.insert(it.column.clone(), value);
        }
        let is_refused = |it: &pb::Value| self.refused.contains(value::display(it).as_str());
        if values.values().any(is_refused) {
            let message = "a rule says no";
            let reason = ErrorReason::BusinessRule;
            return Err(rpc::status(Code::FailedPrecondition, "query", reason, message, []));
        }
        let kind = match (found, row.kind()) {
            (Some(_), ApplyKind::CreateOnly) | (None, ApplyKind::UpdateOnly) => {
                AppliedKind::Unchanged
            }
            (Some(at), _) => {
                let old = &mut self.tables.get_mut(&row.entity_name).unwrap()[at].values;
                let before = old.clone();
                old.extend(values);
                if *old == before { AppliedKind::Unchanged } else { AppliedKind::Updated }
            }
            (None, _) => {
                let id = self.id();
                let row = (row.entity_name.clone(), Row { id, values });
                self.tables.entry(row.0).or_default().push(row.1);
                AppliedKind::Created
            }
        };
        Ok(pb::AppliedRow {
            kind: kind.into(),
            unresolved_columns: unresolved,
            ..Default::default()
        })
    }
}

fn text(key: &pb::ImageKey) -> String {
    key.values.iter().map(value::display).collect::<Vec<_>>().join("/")
}

fn number(position: &str) -> usize {
    position.parse().unwrap_or_default()
}

#[tonic::async_trait]
impl SharingService for FakeSide {
    async fn configure_map(
        &self,
        request: Request<pb::ConfigureMapRequest>,
    ) -> Result<Response<pb::ConfigureMapResponse>, Status> {
        let side = request.into_inner().map_side.unwrap();
        let mut state = self.state();
        state.maps.insert(side.map.clone(), side);
        Ok(Response::new(pb::ConfigureMapResponse { position: state.log.len().to_string() }))
    }

    async fn remove_map(
        &self,
        request: Request<pb::RemoveMapRequest>,
    ) -> Result<Response<pb::RemoveMapResponse>, Status> {
        self.pass("remove").await;
        self.state().maps.remove(&request.into_inner().map);
        Ok(Response::new(pb::RemoveMapResponse {}))
    }

    async fn list_configured_maps(
        &self,
        _: Request<pb::ListConfiguredMapsRequest>,
    ) -> Result<Response<pb::ListConfiguredMapsResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn get_log_position(
        &self,
        _: Request<pb::GetLogPositionRequest>,
    ) -> Result<Response<pb::GetLogPositionResponse>, Status> {
        let position = self.state().log.len().to_string();
        Ok(Response::new(pb::GetLogPositionResponse {
            state: position.clone(),
            position,
            as_of_time: None,
        }))
    }

    async fn read_images(
        &self,
        request: Request<pb::ReadImagesRequest>,
    ) -> Result<Response<pb::ReadImagesResponse>, Status> {
        self.pass("read").await;
        let request = request.into_inner();
        let selection = request.selection.unwrap();
        let state = self.state();
        if state.away {
            return Err(Status::invalid_argument("not even asked"));
        }
        let side = selection.map_side.clone().unwrap();
        let mut images = state.images(&selection);
        images.retain(|it| {
            let key = text(&crate::image::key(&side, it));
            request.after.as_ref().is_none_or(|after| key > text(after))
                && request.until.as_ref().is_none_or(|until| key <= text(until))
        });
        let size = usize::try_from(request.page_size).unwrap();
        let more = images.len() > size;
        images.truncate(size);
        Ok(Response::new(pb::ReadImagesResponse { images, more, ..Default::default() }))
    }

    async fn count_images(
        &self,
        request: Request<pb::CountImagesRequest>,
    ) -> Result<Response<pb::CountImagesResponse>, Status> {
        let images = self.state().images(&request.into_inner().selection.unwrap());
        let count = i64::try_from(images.len()).unwrap();
        Ok(Response::new(pb::CountImagesResponse { count, statement: None }))
    }

    async fn list_touched_rows(
        &self,
        request: Request<pb::ListTouchedRowsRequest>,
    ) -> Result<Response<pb::ListTouchedRowsResponse>, Status> {
        let request = request.into_inner();
        let state = self.state();
        let side = &state.maps[&request.map];
        let until = match request.until_position.as_str() {
            "" => state.log.len(),
            until => number(until),
        };
        let mut seen = HashSet::new();
        let touched = state.log[number(&request.after_position)..until].iter();
        let touched = touched.filter(|it| it.0 == side.entity_name && seen.insert(it.1.id.clone()));
        let row = |(entity, before): &(String, Row)| {
            let now = state.tables[entity].iter().find(|it| it.id == before.id);
            let kind = if now.is_some() { SharedKind::Changed } else { SharedKind::Deleted };
            let image = Some(state.image(side, now.unwrap_or(before)));
            let row = pb::SharedRow { kind: kind.into(), image, ..Default::default() };
            pb::TouchedRow { row: Some(row), ..Default::default() }
        };
        let rows = touched.map(row).collect();
        let position = until.to_string();
        Ok(Response::new(pb::ListTouchedRowsResponse { rows, position, ..Default::default() }))
    }

    async fn list_row_changes(
        &self,
        _: Request<pb::ListRowChangesRequest>,
    ) -> Result<Response<pb::ListRowChangesResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn find_skipped_change(
        &self,
        _: Request<pb::FindSkippedChangeRequest>,
    ) -> Result<Response<pb::FindSkippedChangeResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn take_conflicts(
        &self,
        _: Request<pb::TakeConflictsRequest>,
    ) -> Result<Response<pb::TakeConflictsResponse>, Status> {
        Ok(Response::new(pb::TakeConflictsResponse::default()))
    }
}

/// A transaction: what is applied is tried, and done when it is committed.
struct Under {
    side: FakeSide,
    requests: Streaming<pb::TransactRequest>,
    applied: Vec<pb::ApplyRow>,
}

impl Drop for Under {
    fn drop(&mut self) {
        self.side.state().open -= 1;
    }
}

impl Under {
    async fn next(mut self) -> Result<Option<(pb::TransactResponse, Self)>, Status> {
        let Some(request) = self.requests.message().await? else { return Ok(None) };
        let answer = match request.step.unwrap() {
            Step::Begin(_) => Answer::Begun(pb::Begun::default()),
            Step::Hold(it) => {
                let images = self.side.state().images(&it.selection.unwrap());
                Answer::Held(pb::Held { images })
            }
            Step::Apply(it) => {
                self.side.pass("apply").await;
                let rows = self.try_out(&it.rows)?;
                self.applied.extend(it.rows);
                Answer::Applied(pb::Applied { rows })
            }
            Step::Commit(_) => {
                self.side.pass("commit").await;
                for row in &self.applied {
                    self.side.state().apply(row)?;
                }
                self.side.pass("committed").await;
                Answer::Committed(pb::Committed::default())
            }
            _ => return Err(Status::unimplemented("not asked for")),
        };
        Ok(Some((pb::TransactResponse { answer: Some(answer) }, self)))
    }

    fn try_out(&self, rows: &[pb::ApplyRow]) -> Result<Vec<pb::AppliedRow>, Status> {
        let state = self.side.state();
        let (tables, refused) = (state.tables.clone(), state.refused.clone());
        let mut copy = State { tables, refused, next: state.next, ..State::default() };
        drop(state);
        let mut applied = Vec::new();
        for (at, row) in rows.iter().enumerate() {
            applied.push(copy.apply(row).map_err(|it| {
                let reason = ErrorReason::BusinessRule;
                let index = at.to_string();
                rpc::status(it.code(), "query", reason, it.message(), [("operation", &*index)])
            })?);
        }
        Ok(applied)
    }
}

#[tonic::async_trait]
impl TransactionService for FakeSide {
    type TransactStream = BoxStream<'static, Result<pb::TransactResponse, Status>>;

    async fn transact(
        &self,
        request: Request<Streaming<pb::TransactRequest>>,
    ) -> Result<Response<Self::TransactStream>, Status> {
        {
            let mut state = self.state();
            state.open += 1;
            state.most_open = state.most_open.max(state.open);
        }
        let under =
            Under { side: self.clone(), requests: request.into_inner(), applied: Vec::new() };
        Ok(Response::new(stream::try_unfold(under, Under::next).boxed()))
    }

    async fn settle_transaction(
        &self,
        _: Request<pb::SettleTransactionRequest>,
    ) -> Result<Response<pb::SettleTransactionResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn resolve_decision(
        &self,
        _: Request<pb::ResolveDecisionRequest>,
    ) -> Result<Response<pb::ResolveDecisionResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn list_prepared_transactions(
        &self,
        _: Request<pb::ListPreparedTransactionsRequest>,
    ) -> Result<Response<pb::ListPreparedTransactionsResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }
}
