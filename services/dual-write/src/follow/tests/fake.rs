//! Two sides in memory, each with rows, a log and what is to go wrong.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};

use futures::stream::BoxStream;
use futures::{StreamExt as _, stream};
use proto::dual_write::v1::{MapCounters, MapState, Side, TableMap};
use proto::query::v1::apply_value::Content;
use proto::query::v1::sharing_service_server::{SharingService, SharingServiceServer};
use proto::query::v1::transact_request::Step;
use proto::query::v1::transact_response::Answer;
use proto::query::v1::transaction_service_server::{TransactionService, TransactionServiceServer};
use proto::query::v1::{self as pb, ApplyKind, SharedKind};
use rpc::{AssertionVerifier, Environment, ErrorReason};
use tokio::sync::Notify;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::cases::Databases;
use crate::config::Config;
use crate::core::Core;
use crate::map::fixture::{self, ERP, PLATFORM};
use crate::map::{CompiledMap, value};
use crate::maps::{ActiveMap, Maps};
use crate::peers::{Clients, Sides};
use crate::store::Store;

pub(super) const CUSTOMERS: &str = "maps/customers";
pub(super) const OTHERS: &str = "maps/others";

/// A core with both sides.
pub(super) struct World {
    pub(super) core: Arc<Core>,
    pub(super) erp: FakeSide,
    pub(super) platform: FakeSide,
}

#[derive(Clone)]
pub(super) struct FakeSide {
    side: Side,
    compiled: Arc<CompiledMap>,
    inner: Arc<Mutex<Inner>>,
    /// Somebody waits for an answer that never comes.
    stuck: Arc<Notify>,
}

#[derive(Default)]
struct Inner {
    rows: Vec<(String, pb::Image)>,
    log: Vec<Entry>,
    away: bool,
    expired: bool,
    refused: HashSet<String>,
    held: HashSet<String>,
    conflicts: Vec<pb::RowConflict>,
    /// What was committed, one line for each row.
    history: Vec<String>,
    commits: usize,
    /// Questions that are answered before the side dies.
    fuse: Option<usize>,
    on_apply: Option<Box<dyn FnOnce() + Send>>,
    on_hold: Option<Box<dyn FnOnce() + Send>>,
}

#[derive(Clone)]
struct Entry {
    map: String,
    kind: SharedKind,
    image: pb::Image,
    before: Option<pb::Image>,
    /// Nobody is told of it.
    skipped: bool,
}

const ROWS: &str = "
    INSERT INTO link (finance_and_operations_environment, platform_environment, companies,
        consent_user, consent_time) VALUES ('erp', 'platform', '{USMF}', 'users/a', now());
    BEGIN;
    INSERT INTO map (name, display_name, finance_and_operations_entity, platform_table,
        active_version, epoch, company_specific, state)
    SELECT 'maps/' || it, it, 'Customer', 'account', 'maps/' || it || '/versions/1', 1, true, 'RUNNING'
    FROM unnest('{customers,others}'::text[]) AS it;
    INSERT INTO map_version (name, map, version, publisher, content_hash, definition)
    SELECT name || '/versions/1', name, '1.0.0.0', 'Contoso', '', '' FROM map;
    INSERT INTO map_report (map) SELECT name FROM map ON CONFLICT DO NOTHING;
    INSERT INTO map_position (map, side, position, as_of)
    SELECT name, side, '0', now()
    FROM map, unnest('{FINANCE_AND_OPERATIONS,PLATFORM}'::text[]) AS side;
    COMMIT;";

// === impl World ===

impl World {
    pub(super) async fn new(databases: &Databases) -> Self {
        let config = Config::new(databases.database().await);
        let (erp, platform) = (FakeSide::new(ERP), FakeSide::new(PLATFORM));
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
        world.run(ROWS).await;
        world.core.maps.refresh(&world.core.store).await.unwrap();
        world
    }

    pub(super) async fn run(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(self.core.store.pool()).await.unwrap();
    }

    /// A map that is tied to the fixture's tables, as the store has it.
    pub(super) fn map(&self, name: &str, state: MapState) -> Arc<ActiveMap> {
        let stored = self.core.maps.get(name).unwrap();
        let table_map = TableMap { state: state.into(), ..stored.table_map.clone() };
        let compiled = compiled(name);
        Arc::new(ActiveMap { table_map, compiled: Some(Arc::new(compiled)), ..(*stored).clone() })
    }

    /// A word for each failed change: its row, its kind, its state and its attempts.
    pub(super) async fn failed(&self) -> Vec<String> {
        let choice = super::failures::Choice { map: "maps/-".to_owned(), ..Default::default() };
        let mut connection = self.core.store.pool().acquire().await.unwrap();
        let found = super::failures::list(&mut connection, &choice, None, 100).await.unwrap();
        let told = found.into_iter().map(|it| {
            let change = it.message.change.clone().unwrap();
            let key = change.record.unwrap().key;
            let account = key.first().and_then(|it| it.value.as_ref()).map(value::display);
            let error = it.message.error.clone().unwrap();
            format!(
                "{} {:?} {:?} {}",
                account.unwrap_or_default(),
                error.kind(),
                it.message.retry_state(),
                error.attempt_count
            )
        });
        told.collect()
    }

    pub(super) async fn position(&self, map: &str, side: Side) -> String {
        let mut connection = self.core.store.pool().acquire().await.unwrap();
        let found = crate::store::positions::load(&mut connection, map).await.unwrap();
        found.into_iter().find(|it| it.side == side).unwrap().position
    }

    pub(super) async fn counters(&self, map: &str) -> MapCounters {
        let mut connection = self.core.store.pool().acquire().await.unwrap();
        let mut found = crate::store::reports::list(&mut connection, map).await.unwrap();
        found.pop().unwrap().counters
    }

    pub(super) async fn activities(&self, map: &str) -> Vec<String> {
        let mut connection = self.core.store.pool().acquire().await.unwrap();
        let found = crate::store::activity::list(&mut connection, map, None, 10).await.unwrap();
        found.into_iter().map(|it| it.kind).collect()
    }
}

fn compiled(name: &str) -> CompiledMap {
    let map = TableMap { name: name.to_owned(), ..fixture::table_map("Customer", "account", true) };
    CompiledMap::compile(&map, &fixture::version(), &fixture::schemas()).unwrap()
}

// === impl FakeSide ===

impl FakeSide {
    fn new(side: Side) -> Self {
        let compiled = Arc::new(fixture::compiled());
        Self { side, compiled, inner: Arc::default(), stuck: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn columns(&self) -> (&'static str, &'static str) {
        if self.side == ERP { ("Account", "Name") } else { ("accountnumber", "name") }
    }

    fn image(&self, account: &str, name: &str) -> pb::Image {
        let (key, text) = self.columns();
        let given = [(key, value::text(account)), (text, value::text(name))];
        let mut record_id = vec![u8::try_from(self.side as i32).unwrap(); 16];
        for (place, byte) in record_id.iter_mut().skip(1).zip(account.bytes()) {
            *place = byte;
        }
        pb::Image {
            record_id: record_id.into(),
            ..fixture::image(&self.compiled, self.side, &given)
        }
    }

    fn shown(&self, image: &pb::Image, column: &str) -> String {
        let columns = &self.compiled.half(self.side).columns;
        let place = columns.iter().position(|it| it == column).unwrap();
        value::display(&image.values[place])
    }

    fn account(&self, image: &pb::Image) -> String {
        self.shown(image, self.columns().0)
    }

    /// Somebody writes a row behind everybody's back.
    pub(super) fn write(&self, map: &str, account: &str, name: &str) {
        let image = self.image(account, name);
        let mut inner = self.lock();
        let (image, before) = self.set(&mut inner, map, image);
        let kind = if before.is_some() { SharedKind::Changed } else { SharedKind::Created };
        inner.log.push(Entry { map: map.to_owned(), kind, image, before, skipped: false });
    }

    /// As [`Self::write`], with events skipped.
    pub(super) fn write_skipped(&self, map: &str, account: &str, name: &str) {
        self.write(map, account, name);
        self.lock().log.last_mut().unwrap().skipped = true;
    }

    /// Somebody gives a row another key.
    pub(super) fn rename(&self, map: &str, account: &str, to: &str) {
        let mut inner = self.lock();
        let before = self.unset(&mut inner, map, account).unwrap();
        let image = self.image(to, &self.shown(&before, self.columns().1));
        let image = pb::Image { record_id: before.record_id.clone(), ..image };
        inner.rows.push((map.to_owned(), image.clone()));
        let (map, kind, before) = (map.to_owned(), SharedKind::Changed, Some(before));
        inner.log.push(Entry { map, kind, image, before, skipped: false });
    }

    /// As [`Self::write`], with capture switched off.
    pub(super) fn scribble(&self, map: &str, account: &str, name: &str) {
        let image = self.image(account, name);
        drop(self.set(&mut self.lock(), map, image));
    }

    pub(super) fn record_id(&self, account: &str) -> prost::bytes::Bytes {
        self.image(account, "").record_id
    }

    pub(super) fn remove(&self, map: &str, account: &str) {
        let mut inner = self.lock();
        let image = self.unset(&mut inner, map, account).unwrap();
        let before = Some(image.clone());
        let (map, kind) = (map.to_owned(), SharedKind::Deleted);
        inner.log.push(Entry { map, kind, image, before, skipped: false });
    }

    /// The other side's changes took the row away: its own log says nothing.
    pub(super) fn lose(&self, map: &str, account: &str) {
        let mut inner = self.lock();
        self.unset(&mut inner, map, account).unwrap();
    }

    /// The row as it is stored, and as it was before.
    fn set(
        &self,
        inner: &mut Inner,
        map: &str,
        image: pb::Image,
    ) -> (pb::Image, Option<pb::Image>) {
        let before = self.unset(inner, map, &self.account(&image));
        let record_id = before.as_ref().map_or(&image.record_id, |it| &it.record_id).clone();
        let image = pb::Image { record_id, ..image };
        inner.rows.push((map.to_owned(), image.clone()));
        (image, before)
    }

    fn unset(&self, inner: &mut Inner, map: &str, account: &str) -> Option<pb::Image> {
        let place =
            inner.rows.iter().position(|(of, it)| of == map && self.account(it) == account)?;
        Some(inner.rows.remove(place).1)
    }

    /// `a=Name` for each row.
    pub(super) fn rows(&self, map: &str) -> Vec<String> {
        let inner = self.lock();
        let rows = inner.rows.iter().filter(|(of, _)| of == map);
        let name = |it: &pb::Image| self.shown(it, self.columns().1);
        let mut rows: Vec<_> =
            rows.map(|(_, it)| format!("{}={}", self.account(it), name(it))).collect();
        rows.sort();
        rows
    }

    /// What was committed, and in how many transactions.
    pub(super) fn history(&self) -> (Vec<String>, usize) {
        let inner = self.lock();
        (inner.history.clone(), inner.commits)
    }

    pub(super) fn go_away(&self, away: bool) {
        self.lock().away = away;
    }

    pub(super) fn expire(&self, expired: bool) {
        self.lock().expired = expired;
    }

    pub(super) fn refuse(&self, accounts: &[&str]) {
        self.lock().refused = accounts.iter().map(|it| (*it).to_owned()).collect();
    }

    pub(super) fn hold(&self, accounts: &[&str]) {
        self.lock().held = accounts.iter().map(|it| (*it).to_owned()).collect();
    }

    pub(super) fn conflict(&self, id: i64, map: &str, account: &str) {
        let field = |value: &str| pb::FieldValue {
            field: self.columns().1.to_owned(),
            value: Some(value::text(value)),
        };
        self.lock().conflicts.push(pb::RowConflict {
            id,
            map: map.to_owned(),
            record_id: self.image(account, "").record_id,
            occur_time: None,
            winner: vec![field("won")],
            loser: vec![field("lost")],
            incoming_won: true,
        });
    }

    /// Answers so many more questions, then none; [`Self::died`] tells of it.
    pub(super) fn die_after(&self, questions: Option<usize>) {
        self.lock().fuse = questions;
    }

    pub(super) async fn died(&self) {
        self.stuck.notified().await;
    }

    pub(super) fn on_apply(&self, act: impl FnOnce() + Send + 'static) {
        self.lock().on_apply = Some(Box::new(act));
    }

    pub(super) fn on_hold(&self, act: impl FnOnce() + Send + 'static) {
        self.lock().on_hold = Some(Box::new(act));
    }

    async fn here(&self) -> Result<(), Status> {
        let dead = {
            let mut inner = self.lock();
            if inner.away {
                return Err(Status::unavailable("away"));
            }
            match &mut inner.fuse {
                Some(0) => true,
                Some(left) => {
                    *left -= 1;
                    false
                }
                None => false,
            }
        };
        if dead {
            self.stuck.notify_one();
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    fn select(&self, selection: &pb::ImageSelection) -> Vec<pb::Image> {
        let map_side = selection.map_side.clone().unwrap_or_default();
        let own = self.compiled.half(self.side).columns.len();
        let key = |it: &pb::Image| crate::image::key(&map_side, it);
        // Columns that the map does not have are the company's.
        let wide = |it: &pb::Image| {
            let more = map_side.columns.len().saturating_sub(own);
            let company = std::iter::repeat_n(value::text(&it.company), more);
            let company_of = if more == 0 { it.company.clone() } else { String::new() };
            let values = it.values.iter().cloned().chain(company).collect();
            pb::Image { company: company_of, values, ..it.clone() }
        };
        let inner = self.lock();
        let rows = inner.rows.iter().filter(|(of, _)| *of == map_side.map).map(|(_, it)| wide(it));
        let chosen = |it: &pb::Image| {
            (selection.keys.is_empty() || selection.keys.contains(&key(it)))
                && (selection.record_ids.is_empty() || selection.record_ids.contains(&it.record_id))
        };
        rows.filter(chosen).collect()
    }

    fn shared(&self, map: &str, entry: &Entry) -> pb::SharedRow {
        let key = |it: &pb::Image| self.account(it);
        let before = entry.before.as_ref().map(key).filter(|it| *it != key(&entry.image));
        pb::SharedRow {
            map: map.to_owned(),
            epoch: 1,
            kind: entry.kind.into(),
            image: Some(entry.image.clone()),
            previous_key: before.into_iter().map(value::text).collect(),
            changed_columns: (0..i32::try_from(entry.image.values.len()).unwrap()).collect(),
            ..Default::default()
        }
    }

    /// What is told of a stretch.
    fn entries(&self, map: &str, after: &str, until: &str) -> Vec<(i64, Entry)> {
        let mut all = self.log(map, after, until);
        all.retain(|(_, it)| !it.skipped);
        all
    }

    fn skipped(&self, map: &str, after: &str, until: &str) -> i64 {
        let all = self.log(map, after, until);
        i64::try_from(all.iter().filter(|(_, it)| it.skipped).count()).unwrap()
    }

    fn log(&self, map: &str, after: &str, until: &str) -> Vec<(i64, Entry)> {
        let inner = self.lock();
        let number = |it: &str| it.parse::<i64>().ok();
        let until = number(until).unwrap_or(i64::MAX);
        let all = (1_i64..).zip(&inner.log);
        let behind =
            all.filter(|(at, it)| it.map == map && *at > number(after).unwrap() && *at <= until);
        behind.map(|(at, it)| (at, it.clone())).collect()
    }

    fn check(&self, row: &pb::ApplyRow) -> Result<(), Status> {
        let account = written(row, self.columns().0).unwrap();
        let inner = self.lock();
        if inner.held.contains(&account) {
            let reason = ErrorReason::WriteConflict;
            return Err(rpc::status(Code::Aborted, "fake", reason, "held", []));
        }
        if inner.refused.contains(&account) {
            let (reason, known) = (ErrorReason::BusinessRule, [("column", "name")]);
            return Err(rpc::status(Code::FailedPrecondition, "fake", reason, "no", known));
        }
        Ok(())
    }

    fn commit(&self, rows: Vec<pb::ApplyRow>) {
        let mut inner = self.lock();
        inner.commits += 1;
        for row in rows {
            let account = written(&row, self.columns().0).unwrap();
            if row.kind() == ApplyKind::Delete {
                drop(self.unset(&mut inner, &row.map, &account));
                inner.history.push(format!("-{account}"));
                continue;
            }
            let name = written(&row, self.columns().1).unwrap();
            let is_there =
                |(of, it): &(String, pb::Image)| *of == row.map && self.account(it) == account;
            if let (false, Some(key)) = (inner.rows.iter().any(is_there), row.previous_key.last()) {
                drop(self.unset(&mut inner, &row.map, &content(key).unwrap()));
            }
            let image = self.image(&account, &name);
            drop(self.set(&mut inner, &row.map, image));
            // A side that holds it already writes nothing.
            let (entry, gone) = (format!("{account}={name}"), format!("-{account}"));
            let of_row = |it: &&String| **it == gone || it.starts_with(&format!("{account}="));
            if inner.history.iter().rev().find(of_row) != Some(&entry) {
                inner.history.push(entry);
            }
        }
    }

    async fn step(
        &self,
        step: Option<Step>,
        pending: &Mutex<Vec<pb::ApplyRow>>,
    ) -> Result<Answer, Status> {
        self.here().await?;
        Ok(match step {
            Some(Step::Begin(_)) => Answer::Begun(pb::Begun::default()),
            Some(Step::Hold(it)) => {
                let act = self.lock().on_hold.take();
                if let Some(act) = act {
                    act();
                }
                let images = self.select(&it.selection.unwrap_or_default());
                Answer::Held(pb::Held { images })
            }
            Some(Step::Apply(it)) => {
                it.rows.iter().try_for_each(|row| self.check(row))?;
                let rows = vec![pb::AppliedRow::default(); it.rows.len()];
                pending.lock().unwrap().extend(it.rows);
                let act = self.lock().on_apply.take();
                if let Some(act) = act {
                    act();
                }
                Answer::Applied(pb::Applied { rows })
            }
            Some(Step::Commit(_)) => {
                self.commit(std::mem::take(&mut pending.lock().unwrap()));
                Answer::Committed(pb::Committed {})
            }
            _ => return Err(Status::unimplemented("not asked of a fake")),
        })
    }
}

fn written(row: &pb::ApplyRow, column: &str) -> Option<String> {
    let mut values = row.key.iter().chain(&row.values).chain(&row.create_values);
    content(values.find(|it| it.column == column)?)
}

fn content(value: &pb::ApplyValue) -> Option<String> {
    match value.content.as_ref()? {
        Content::Value(it) => Some(value::display(it)),
        Content::Reference(_) => None,
    }
}

#[tonic::async_trait]
impl SharingService for FakeSide {
    async fn configure_map(
        &self,
        _: Request<pb::ConfigureMapRequest>,
    ) -> Result<Response<pb::ConfigureMapResponse>, Status> {
        Ok(Response::new(pb::ConfigureMapResponse { position: "0".to_owned() }))
    }

    async fn remove_map(
        &self,
        _: Request<pb::RemoveMapRequest>,
    ) -> Result<Response<pb::RemoveMapResponse>, Status> {
        Ok(Response::new(pb::RemoveMapResponse {}))
    }

    async fn list_configured_maps(
        &self,
        _: Request<pb::ListConfiguredMapsRequest>,
    ) -> Result<Response<pb::ListConfiguredMapsResponse>, Status> {
        Ok(Response::new(pb::ListConfiguredMapsResponse::default()))
    }

    async fn get_log_position(
        &self,
        _: Request<pb::GetLogPositionRequest>,
    ) -> Result<Response<pb::GetLogPositionResponse>, Status> {
        self.here().await?;
        let position = self.lock().log.len().to_string();
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
        self.here().await?;
        let images = self.select(&request.into_inner().selection.unwrap_or_default());
        let matches = vec![true; images.len()];
        Ok(Response::new(pb::ReadImagesResponse { images, matches, more: false }))
    }

    async fn count_images(
        &self,
        _: Request<pb::CountImagesRequest>,
    ) -> Result<Response<pb::CountImagesResponse>, Status> {
        Err(Status::unimplemented("not asked of a fake"))
    }

    async fn list_touched_rows(
        &self,
        request: Request<pb::ListTouchedRowsRequest>,
    ) -> Result<Response<pb::ListTouchedRowsResponse>, Status> {
        self.here().await?;
        let it = request.into_inner();
        if self.lock().expired {
            let reason = ErrorReason::PositionExpired;
            return Err(rpc::status(Code::OutOfRange, "fake", reason, "expired", []));
        }
        let mut rows: Vec<pb::TouchedRow> = Vec::new();
        let mut came_and_went = HashSet::new();
        for (number, entry) in self.entries(&it.map, &it.after_position, &it.until_position) {
            let record_id = entry.image.record_id.clone();
            let now = self
                .lock()
                .rows
                .iter()
                .find(|(of, row)| *of == it.map && row.record_id == record_id)
                .map(|(_, it)| it.clone());
            let entry = match now {
                Some(image) => Entry { kind: SharedKind::Changed, image, ..entry },
                // It was not there before, and is not there now.
                None if entry.kind == SharedKind::Created => {
                    came_and_went.insert(record_id);
                    continue;
                }
                None if came_and_went.contains(&record_id) => continue,
                None => {
                    let image = entry.before.unwrap_or(entry.image);
                    Entry { kind: SharedKind::Deleted, image, before: None, ..entry }
                }
            };
            let known = |it: &pb::TouchedRow| {
                it.row.as_ref().and_then(|it| it.image.as_ref()).map(|it| it.record_id.clone())
                    == Some(record_id.clone())
            };
            let ids = &it.record_ids;
            if !rows.iter().any(known) && (ids.is_empty() || ids.contains(&record_id)) {
                let row = Some(self.shared(&it.map, &entry));
                let first_change_time = Some(prost_types::Timestamp { seconds: number, nanos: 0 });
                let touched = pb::TouchedRow {
                    row,
                    first_change: number,
                    change_count: 1,
                    first_change_time,
                };
                rows.push(touched);
            }
        }
        let skipped_count = self.skipped(&it.map, &it.after_position, &it.until_position);
        let position = it.until_position;
        let answer =
            pb::ListTouchedRowsResponse { rows, position, skipped_count, ..Default::default() };
        Ok(Response::new(answer))
    }

    async fn list_row_changes(
        &self,
        request: Request<pb::ListRowChangesRequest>,
    ) -> Result<Response<pb::ListRowChangesResponse>, Status> {
        self.here().await?;
        let it = request.into_inner();
        let mut all = self.entries(&it.map, &it.after_position, &it.until_position);
        let wanted = it.key.as_ref().and_then(|it| it.values.first()).map(value::display);
        all.retain(|(_, it)| wanted.as_ref().is_none_or(|key| self.account(&it.image) == *key));
        let from: usize = it.page_token.parse().unwrap_or_default();
        // Pages are small, so that there are several.
        let size = usize::try_from(it.page_size).unwrap().min(3);
        let change = |(number, entry): &(i64, Entry)| pb::RowChangeImage {
            change: *number,
            row: Some(self.shared(&it.map, entry)),
            before: entry.before.clone(),
            user: String::new(),
            change_time: Some(prost_types::Timestamp { seconds: *number, nanos: 0 }),
        };
        let changes = all.iter().skip(from).take(size).map(change).collect();
        let next = from + size;
        let next_page_token = if next < all.len() { next.to_string() } else { String::new() };
        let total_count = i64::try_from(all.len()).unwrap();
        let skipped = self.skipped(&it.map, &it.after_position, &it.until_position);
        let skipped_count = if from == 0 { skipped } else { 0 };
        Ok(Response::new(pb::ListRowChangesResponse {
            changes,
            position: it.until_position,
            next_page_token,
            total_count,
            skipped_count,
        }))
    }

    async fn find_skipped_change(
        &self,
        request: Request<pb::FindSkippedChangeRequest>,
    ) -> Result<Response<pb::FindSkippedChangeResponse>, Status> {
        self.here().await?;
        let asked = request.into_inner();
        let inner = self.lock();
        let of_row = |it: &&Entry| it.map == asked.map && it.image.record_id == asked.record_id;
        let last = inner.log.iter().rev().find(of_row).filter(|it| it.skipped);
        let change_time = last.map(|_| prost_types::Timestamp::default());
        Ok(Response::new(pb::FindSkippedChangeResponse { change_time }))
    }

    async fn take_conflicts(
        &self,
        request: Request<pb::TakeConflictsRequest>,
    ) -> Result<Response<pb::TakeConflictsResponse>, Status> {
        self.here().await?;
        let after = request.into_inner().after_id;
        let mut inner = self.lock();
        inner.conflicts.retain(|it| it.id > after);
        Ok(Response::new(pb::TakeConflictsResponse { conflicts: inner.conflicts.clone() }))
    }
}

#[tonic::async_trait]
impl TransactionService for FakeSide {
    type TransactStream = BoxStream<'static, Result<pb::TransactResponse, Status>>;

    async fn transact(
        &self,
        request: Request<Streaming<pb::TransactRequest>>,
    ) -> Result<Response<Self::TransactStream>, Status> {
        let state = (self.clone(), request.into_inner(), Mutex::new(Vec::new()));
        let answers = stream::try_unfold(state, async |(side, mut steps, pending)| {
            let Some(message) = steps.message().await? else { return Ok(None) };
            let answer = Some(side.step(message.step, &pending).await?);
            Ok(Some((pb::TransactResponse { answer }, (side, steps, pending))))
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
        Ok(Response::new(pb::ListPreparedTransactionsResponse::default()))
    }
}
