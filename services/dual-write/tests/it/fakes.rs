//! A side of dual-write with its rows and its log in memory, and the services that tell of its tables.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use proto::query::v1 as pb;
use proto::query::v1::apply_value::Content;
use proto::query::v1::sharing_service_server::SharingService;
use proto::query::v1::transact_request::Step;
use proto::query::v1::transact_response::Answer;
use proto::query::v1::transaction_service_server::TransactionService;
use proto::query::v1::value::Kind;
use proto::query::v1::{AppliedKind, ApplyKind, MapSide, SharedKind, Value};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

/// Columns and their values.
pub(crate) type Row = BTreeMap<String, Value>;
type Rows = BTreeMap<(String, Uuid), Row>;

/// One side. Clones are the same side.
#[derive(Clone, Default)]
pub(crate) struct FakeSide {
    state: Arc<Mutex<State>>,
    away: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    rows: Rows,
    log: Vec<Change>,
    maps: BTreeMap<String, MapSide>,
    /// Rows that no filter lets through.
    filtered: BTreeSet<Uuid>,
    /// What has been configured, in order.
    configured: Vec<MapSide>,
    gaps: Vec<pb::CaptureGap>,
}

/// What one commit did to one row.
#[derive(Clone)]
struct Change {
    entity: String,
    id: Uuid,
    before: Option<Row>,
    after: Option<Row>,
    time: SystemTime,
    /// Dual-write wrote it.
    applied: bool,
}

/// A text.
pub(crate) fn text(text: &str) -> Value {
    Value { kind: Some(Kind::StringValue(text.to_owned())) }
}

/// A row's id.
pub(crate) fn guid(id: Uuid) -> Value {
    Value { kind: Some(Kind::GuidValue(id.as_bytes().to_vec().into())) }
}

// === impl FakeSide ===

impl FakeSide {
    /// Writes a row, as somebody does behind dual-write's back.
    pub(crate) fn put(&self, entity: &str, values: &[(&str, Value)]) -> Uuid {
        let id = Uuid::new_v4();
        self.change(entity, id, values);
        id
    }

    /// Changes some of a row's columns.
    pub(crate) fn change(&self, entity: &str, id: Uuid, values: &[(&str, Value)]) {
        let mut state = self.state();
        let mut row = state.rows.get(&(entity.to_owned(), id)).cloned().unwrap_or_default();
        row.extend(values.iter().map(|it| (it.0.to_owned(), it.1.clone())));
        state.write(entity, id, Some(row), false);
    }

    /// Does not let a row through any filter.
    pub(crate) fn filter_out(&self, id: Uuid) {
        self.state().filtered.insert(id);
    }

    /// From now on nobody answers, or somebody does again.
    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// What the side holds of a map.
    pub(crate) fn map(&self, name: &str) -> Option<MapSide> {
        self.state().maps.get(name).cloned()
    }

    /// Everything that the side was told of a map, in order.
    pub(crate) fn told(&self, name: &str) -> Vec<MapSide> {
        self.state().configured.iter().filter(|it| it.map == name).cloned().collect()
    }

    /// Puts configuration there that nobody knows of.
    pub(crate) fn plant(&self, map_side: MapSide) {
        self.state().maps.insert(map_side.map.clone(), map_side);
    }

    /// From now on, changes of these tables escape the log.
    pub(crate) fn let_escape(&self, gaps: Vec<pb::CaptureGap>) {
        self.state().gaps = gaps;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn here(&self) -> Result<MutexGuard<'_, State>, Status> {
        match self.away.load(Ordering::SeqCst) {
            true => Err(Status::unavailable("away")),
            false => Ok(self.state()),
        }
    }
}

// === impl State ===

impl State {
    fn write(&mut self, entity: &str, id: Uuid, after: Option<Row>, applied: bool) {
        let key = (entity.to_owned(), id);
        let before = match &after {
            Some(row) => self.rows.insert(key, row.clone()),
            None => self.rows.remove(&key),
        };
        let (entity, time) = (entity.to_owned(), SystemTime::now());
        self.log.push(Change { entity, id, before, after, time, applied });
    }

    fn position(&self) -> String {
        self.log.len().to_string()
    }

    /// Value of a column, or of a column of the row that a lookup leads to.
    fn value(&self, row: &Row, path: &str) -> Value {
        let Some((lookup, column)) = path.split_once('.') else {
            return row.get(path).cloned().unwrap_or_default();
        };
        let Some(Kind::GuidValue(id)) = row.get(lookup).and_then(|it| it.kind.clone()) else {
            return Value::default();
        };
        let id = Uuid::from_slice(&id).unwrap();
        let found = self.rows.iter().find(|it| it.0.1 == id);
        found.and_then(|it| it.1.get(column)).cloned().unwrap_or_default()
    }

    fn image(&self, side: &MapSide, id: Uuid, row: &Row) -> pb::Image {
        let company = match self.value(row, &side.company_column).kind {
            Some(Kind::StringValue(company)) => company,
            _ => String::new(),
        };
        pb::Image {
            record_id: id.as_bytes().to_vec().into(),
            company,
            values: side.columns.iter().map(|it| self.value(row, it)).collect(),
        }
    }

    /// Images of a selection, in the order of company and key.
    fn images(&self, selection: &pb::ImageSelection) -> Vec<pb::Image> {
        let side = selection.map_side.clone().unwrap_or_default();
        let mut images: Vec<_> = self
            .rows
            .iter()
            .filter(|((entity, id), _)| {
                let named = selection.record_ids.is_empty()
                    || selection.record_ids.iter().any(|it| &**it == id.as_bytes());
                let passes =
                    side.filter.is_none() || selection.unfiltered || !self.filtered.contains(id);
                *entity == side.entity_name && named && passes
            })
            .map(|((_, id), row)| self.image(&side, *id, row))
            .filter(|it| side.companies.is_empty() || side.companies.contains(&it.company))
            .filter(|it| selection.company.is_empty() || it.company == selection.company)
            .filter(|it| {
                let key = key_of(&side, it);
                selection.keys.is_empty()
                    || selection
                        .keys
                        .iter()
                        .any(|wanted| wanted.values == key.values && wanted.company == key.company)
            })
            .collect();
        images.sort_by_key(|it| order(&key_of(&side, it)));
        images
    }

    fn find(&self, entity: &str, key: &[pb::ApplyValue]) -> Option<Uuid> {
        let holds = |row: &Row| {
            key.iter().all(|it| {
                let value = row.get(&it.column).cloned().unwrap_or_default();
                self.content(it).is_ok_and(|wanted| wanted == value)
            })
        };
        let mut found = self.rows.iter().filter(|it| it.0.0 == entity);
        found.find(|it| !key.is_empty() && holds(it.1)).map(|it| it.0.1)
    }

    fn content(&self, value: &pb::ApplyValue) -> Result<Value, Status> {
        match &value.content {
            None => Ok(Value::default()),
            Some(Content::Value(value)) => Ok(value.clone()),
            Some(Content::Reference(reference)) if reference.key.is_empty() => Ok(Value::default()),
            Some(Content::Reference(reference)) => {
                match self.find(&reference.entity_name, &reference.key) {
                    Some(id) => Ok(guid(id)),
                    None if reference.optional => Err(Status::not_found("optional")),
                    None => Err(Status::failed_precondition("a reference finds nothing")),
                }
            }
        }
    }

    fn apply(&mut self, given: &pb::ApplyRow) -> Result<pb::AppliedRow, Status> {
        let entity = &given.entity_name;
        let found =
            self.find(entity, &given.key).or_else(|| self.find(entity, &given.previous_key));
        let answer = |kind: AppliedKind, id: Option<Uuid>| pb::AppliedRow {
            kind: kind.into(),
            record_id: id.map(|it| it.as_bytes().to_vec().into()).unwrap_or_default(),
            ..Default::default()
        };
        match (given.kind(), found) {
            (ApplyKind::Delete, Some(id)) => {
                self.write(entity, id, None, true);
                return Ok(answer(AppliedKind::Deleted, Some(id)));
            }
            (ApplyKind::Delete | ApplyKind::UpdateOnly, None)
            | (ApplyKind::CreateOnly, Some(_)) => {
                return Ok(answer(AppliedKind::Unchanged, found));
            }
            _ => {}
        }
        let id = found.unwrap_or_else(Uuid::new_v4);
        let held = self.rows.get(&(entity.clone(), id)).cloned().unwrap_or_default();
        let mut row = held.clone();
        let mut unresolved = Vec::new();
        let created = if found.is_none() { &given.create_values[..] } else { &[] };
        for value in given.key.iter().chain(&given.values).chain(created) {
            match self.content(value) {
                Ok(content) => {
                    row.insert(value.column.clone(), content);
                }
                Err(status) if status.message() == "optional" => {
                    unresolved.push(value.column.clone());
                }
                Err(status) => return Err(status),
            }
        }
        let kind = match found {
            None => AppliedKind::Created,
            Some(_) if row == held => AppliedKind::Unchanged,
            Some(_) => AppliedKind::Updated,
        };
        if kind != AppliedKind::Unchanged {
            self.write(entity, id, Some(row), true);
        }
        Ok(pb::AppliedRow { unresolved_columns: unresolved, ..answer(kind, Some(id)) })
    }

    /// Changes of a map that dual-write did not make, with their numbers.
    fn changes(&self, side: &MapSide, after: &str, until: &str) -> Vec<(i64, Change)> {
        let after: usize = after.parse().unwrap();
        let until = until.parse().unwrap_or(self.log.len());
        let numbered = self.log.iter().enumerate().take(until).skip(after);
        numbered
            .filter(|(_, it)| it.entity == side.entity_name && !it.applied)
            .map(|(number, it)| (i64::try_from(number).unwrap() + 1, it.clone()))
            .collect()
    }

    fn shared(&self, side: &MapSide, change: &Change, present: Option<&Row>) -> pb::SharedRow {
        let kind = match (&change.before, present) {
            (_, None) => SharedKind::Deleted,
            (None, Some(_)) => SharedKind::Created,
            (Some(_), Some(_)) => SharedKind::Changed,
        };
        let empty = Row::new();
        let row = present.or(change.before.as_ref()).unwrap_or(&empty);
        let before = change.before.as_ref().unwrap_or(&empty);
        let differs = |it: &&usize| {
            self.value(before, &side.columns[**it]) != self.value(row, &side.columns[**it])
        };
        let all: Vec<usize> = (0..side.columns.len()).collect();
        pb::SharedRow {
            map: side.map.clone(),
            epoch: side.epoch,
            kind: kind.into(),
            image: Some(self.image(side, change.id, row)),
            changed_columns: all
                .iter()
                .filter(differs)
                .map(|it| i32::try_from(*it).unwrap())
                .collect(),
            ..Default::default()
        }
    }

    fn held(&self, map: &str) -> Result<MapSide, Status> {
        self.maps.get(map).cloned().ok_or_else(|| Status::not_found("no such map"))
    }
}

#[tonic::async_trait]
impl SharingService for FakeSide {
    async fn configure_map(
        &self,
        request: Request<pb::ConfigureMapRequest>,
    ) -> Result<Response<pb::ConfigureMapResponse>, Status> {
        let mut state = self.here()?;
        let side = request.into_inner().map_side.unwrap();
        let is_older = state.maps.get(&side.map).is_some_and(|it| it.epoch > side.epoch);
        if !is_older {
            state.configured.push(side.clone());
            state.maps.insert(side.map.clone(), side);
        }
        Ok(Response::new(pb::ConfigureMapResponse { position: state.position() }))
    }

    async fn remove_map(
        &self,
        request: Request<pb::RemoveMapRequest>,
    ) -> Result<Response<pb::RemoveMapResponse>, Status> {
        self.here()?.maps.remove(&request.into_inner().map);
        Ok(Response::new(pb::RemoveMapResponse {}))
    }

    async fn list_configured_maps(
        &self,
        _request: Request<pb::ListConfiguredMapsRequest>,
    ) -> Result<Response<pb::ListConfiguredMapsResponse>, Status> {
        let state = self.here()?;
        Ok(Response::new(pb::ListConfiguredMapsResponse {
            map_sides: state.maps.values().cloned().collect(),
            next_page_token: String::new(),
            capture_gaps: state.gaps.clone(),
        }))
    }

    async fn get_log_position(
        &self,
        _request: Request<pb::GetLogPositionRequest>,
    ) -> Result<Response<pb::GetLogPositionResponse>, Status> {
        let position = self.here()?.position();
        let (state, as_of_time) = (position.clone(), Some(SystemTime::now().into()));
        Ok(Response::new(pb::GetLogPositionResponse { position, as_of_time, state }))
    }

    async fn read_images(
        &self,
        request: Request<pb::ReadImagesRequest>,
    ) -> Result<Response<pb::ReadImagesResponse>, Status> {
        let state = self.here()?;
        let request = request.into_inner();
        let selection = request.selection.unwrap_or_default();
        let side = selection.map_side.clone().unwrap_or_default();
        let mut images = state.images(&selection);
        if let Some(after) = &request.after {
            images.retain(|it| order(&key_of(&side, it)) > order(after));
        }
        if let Some(until) = &request.until {
            images.retain(|it| order(&key_of(&side, it)) <= order(until));
        }
        let size = match request.page_size {
            0 => 1_000,
            size => usize::try_from(size).unwrap(),
        };
        let more = images.len() > size;
        images.truncate(size);
        let passes = |it: &pb::Image| {
            let id = Uuid::from_slice(&it.record_id).unwrap();
            side.filter.is_none() || !state.filtered.contains(&id)
        };
        let matches =
            if selection.unfiltered { images.iter().map(passes).collect() } else { Vec::new() };
        Ok(Response::new(pb::ReadImagesResponse { images, matches, more }))
    }

    async fn count_images(
        &self,
        request: Request<pb::CountImagesRequest>,
    ) -> Result<Response<pb::CountImagesResponse>, Status> {
        let request = request.into_inner();
        let selection = request.selection.unwrap_or_default();
        let count = i64::try_from(self.here()?.images(&selection).len()).unwrap();
        let statement = request.explain.then(|| pb::ExplainResponse {
            sql: "SELECT count(*)".to_owned(),
            ..Default::default()
        });
        Ok(Response::new(pb::CountImagesResponse { count, statement }))
    }

    async fn list_touched_rows(
        &self,
        request: Request<pb::ListTouchedRowsRequest>,
    ) -> Result<Response<pb::ListTouchedRowsResponse>, Status> {
        let state = self.here()?;
        let request = request.into_inner();
        let side = state.held(&request.map)?;
        let mut rows: Vec<pb::TouchedRow> = Vec::new();
        for (number, change) in
            state.changes(&side, &request.after_position, &request.until_position)
        {
            let same = |it: &&mut pb::TouchedRow| {
                it.row.as_ref().and_then(|it| it.image.as_ref()).map(|it| it.record_id.to_vec())
                    == Some(change.id.as_bytes().to_vec())
            };
            if let Some(known) = rows.iter_mut().find(same) {
                known.change_count += 1;
                continue;
            }
            let present = state.rows.get(&(change.entity.clone(), change.id));
            rows.push(pb::TouchedRow {
                row: Some(state.shared(&side, &change, present)),
                first_change: number,
                change_count: 1,
                first_change_time: Some(change.time.into()),
            });
        }
        let as_of_time = Some(SystemTime::now().into());
        let position = state.position();
        let next_page_token = String::new();
        Ok(Response::new(pb::ListTouchedRowsResponse {
            rows,
            position,
            as_of_time,
            next_page_token,
            skipped_count: 0,
        }))
    }

    async fn list_row_changes(
        &self,
        request: Request<pb::ListRowChangesRequest>,
    ) -> Result<Response<pb::ListRowChangesResponse>, Status> {
        let state = self.here()?;
        let request = request.into_inner();
        let side = state.held(&request.map)?;
        let found = state.changes(&side, &request.after_position, &request.until_position);
        let changes: Vec<_> = found
            .iter()
            .map(|(number, it)| pb::RowChangeImage {
                change: *number,
                row: Some(state.shared(&side, it, it.after.as_ref())),
                before: it.before.as_ref().map(|row| state.image(&side, it.id, row)),
                user: String::new(),
                change_time: Some(it.time.into()),
            })
            .collect();
        let total_count = i64::try_from(changes.len()).unwrap();
        let (position, next_page_token) = (state.position(), String::new());
        Ok(Response::new(pb::ListRowChangesResponse {
            changes,
            position,
            next_page_token,
            total_count,
            skipped_count: 0,
        }))
    }

    async fn find_skipped_change(
        &self,
        _: Request<pb::FindSkippedChangeRequest>,
    ) -> Result<Response<pb::FindSkippedChangeResponse>, Status> {
        drop(self.here()?);
        Ok(Response::new(pb::FindSkippedChangeResponse::default()))
    }

    async fn take_conflicts(
        &self,
        _request: Request<pb::TakeConflictsRequest>,
    ) -> Result<Response<pb::TakeConflictsResponse>, Status> {
        drop(self.here()?);
        Ok(Response::new(pb::TakeConflictsResponse::default()))
    }
}

type Answers = ReceiverStream<Result<pb::TransactResponse, Status>>;

#[tonic::async_trait]
impl TransactionService for FakeSide {
    type TransactStream = Answers;

    async fn transact(
        &self,
        request: Request<Streaming<pb::TransactRequest>>,
    ) -> Result<Response<Answers>, Status> {
        drop(self.here()?);
        let mut steps = request.into_inner();
        let (answers, received) = mpsc::channel(1);
        let side = self.clone();
        tokio::spawn(async move {
            let mut applied = Vec::new();
            while let Ok(Some(step)) = steps.message().await {
                let answer = side.step(step.step, &mut applied);
                let is_over = answer.is_err();
                let answer = answer.map(|it| pb::TransactResponse { answer: Some(it) });
                if answers.send(answer).await.is_err() || is_over {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(received)))
    }

    async fn settle_transaction(
        &self,
        _request: Request<pb::SettleTransactionRequest>,
    ) -> Result<Response<pb::SettleTransactionResponse>, Status> {
        Err(Status::unimplemented("dual-write settles nothing"))
    }

    async fn resolve_decision(
        &self,
        _request: Request<pb::ResolveDecisionRequest>,
    ) -> Result<Response<pb::ResolveDecisionResponse>, Status> {
        Err(Status::unimplemented("dual-write resolves nothing"))
    }

    async fn list_prepared_transactions(
        &self,
        _request: Request<pb::ListPreparedTransactionsRequest>,
    ) -> Result<Response<pb::ListPreparedTransactionsResponse>, Status> {
        Err(Status::unimplemented("dual-write prepares nothing"))
    }
}

impl FakeSide {
    /// What is applied is tried on a copy, and done at the commit.
    fn step(&self, step: Option<Step>, applied: &mut Vec<pb::ApplyRow>) -> Result<Answer, Status> {
        let mut state = self.here()?;
        match step {
            Some(Step::Begin(_)) => Ok(Answer::Begun(pb::Begun::default())),
            Some(Step::Hold(hold)) => {
                let images = state.images(&hold.selection.unwrap_or_default());
                Ok(Answer::Held(pb::Held { images }))
            }
            Some(Step::Apply(apply)) => {
                let mut copy = State { rows: state.rows.clone(), ..State::default() };
                for row in applied.iter() {
                    copy.apply(row)?;
                }
                let rows = apply.rows.iter().map(|it| copy.apply(it)).collect::<Result<_, _>>()?;
                applied.extend(apply.rows);
                Ok(Answer::Applied(pb::Applied { rows }))
            }
            Some(Step::Commit(_)) => {
                for row in applied.drain(..) {
                    state.apply(&row)?;
                }
                Ok(Answer::Committed(pb::Committed::default()))
            }
            _ => Err(Status::unimplemented("no such step")),
        }
    }
}

fn key_of(side: &MapSide, image: &pb::Image) -> pb::ImageKey {
    let value = |it: &i32| image.values[usize::try_from(*it).unwrap()].clone();
    pb::ImageKey {
        company: image.company.clone(),
        values: side.key_columns.iter().map(value).collect(),
    }
}

fn order(key: &pb::ImageKey) -> (String, String) {
    (key.company.clone(), format!("{:?}", key.values))
}
