//! Copies some rows of one leg: what is equal on both sides is passed over, the rest is written in one
//! transaction, and rows that are refused are singled out.

use std::collections::HashMap;

use proto::dual_write::v1::{self as pb, InitialSyncState, MapState, Side, SyncErrorKind};
use proto::query::v1::{self as query, AppliedKind, ApplyKind, SharedKind};

use super::apply::{self, Refusals};
use super::failure::{Stop, lookup_error};
use super::gone::fingerprint;
use super::model::{Counts, Leg, OpenLookup, RowError};
use super::store::Plan;
use super::work::Work;
use crate::follow::refusal::own_error;
use crate::image;
use crate::map::{Owner, TranslateContext, TranslateError};
use crate::peers::other;

/// What became of some rows.
#[derive(Debug, Default)]
pub(super) struct Copied {
    pub(super) counts: Counts,
    pub(super) errors: Vec<RowError>,
    pub(super) lookups: Vec<OpenLookup>,
}

/// A row that is to be written.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// On the side that it comes from.
    pub(super) image: query::Image,
    pub(super) row: query::ApplyRow,
    pub(super) creates: bool,
}

/// Some rows, compared with the other side.
#[derive(Debug, Default)]
pub(super) struct Compared {
    pub(super) copied: Copied,
    pub(super) candidates: Vec<Candidate>,
}

impl Work {
    /// Compares rows of a leg with the other side. `done`: what was on its way when a process died.
    pub(super) async fn compare(
        &self,
        leg: &Leg,
        images: Vec<query::Image>,
        done: Option<&Plan>,
    ) -> Result<Compared, Stop> {
        let mut compared = Compared::default();
        compared.copied.counts.exported = i64::try_from(images.len()).unwrap_or(i64::MAX);
        let mut keyed = Vec::with_capacity(images.len());
        for image in images {
            match self.compiled.counterpart_key(leg.source, &image) {
                Ok(key) => keyed.push((key, image)),
                Err(error) => {
                    compared.copied.fail(self.row_error(leg.source, &image, untranslated(&error)))
                }
            }
        }
        let peers = self.peers(leg, keyed.iter().map(|it| it.0.clone()).collect()).await?;
        let creates_only = leg.source != self.run.master;
        let looks = creates_only && keyed.iter().any(|it| !peers.contains_key(&fingerprint(&it.0)));
        let gone = if looks { Some(self.look_for_gone().await?) } else { None };
        for (key, image) in keyed {
            let peer = peers.get(&fingerprint(&key));
            let is_gone = || gone.as_ref().is_some_and(|it| it.holds(&key));
            let stays = match peer {
                Some(peer) => creates_only || self.is_equal(leg.source, &image, peer),
                None => is_gone(),
            };
            if stays {
                compared.copied.counts.pass_over(&image.record_id, done);
                continue;
            }
            let context = self.context(leg, true);
            match self.translate(leg.source, image, peer.is_none(), &context) {
                Ok(Some(candidate)) => compared.candidates.push(candidate),
                Ok(None) => compared.copied.counts.unchanged += 1,
                Err(error) => compared.copied.fail(*error),
            }
        }
        Ok(compared)
    }

    /// Writes what differs.
    pub(super) async fn write(
        &self,
        leg: &Leg,
        compared: Compared,
        done: Option<&Plan>,
    ) -> Result<Copied, Stop> {
        let Compared { mut copied, candidates } = compared;
        let target = other(leg.source);
        let (applied, refused) = apply::all(self, target, &candidates).await?;
        for (candidate, outcome) in candidates.iter().zip(applied) {
            let Some(outcome) = outcome else { continue };
            copied.count(candidate, &outcome.row, outcome.repeated, done);
        }
        for Refusals { index, error } in refused {
            if let Some(candidate) = candidates.get(index) {
                copied.fail(self.row_error(leg.source, &candidate.image, error));
            }
        }
        Ok(copied)
    }

    pub(super) fn context(&self, leg: &Leg, optional_references: bool) -> TranslateContext {
        let master = leg.source == self.run.master;
        TranslateContext {
            primary_side: self.run.master,
            owning_team: Owner::parse(&self.active.table_map.owning_team),
            optional_references,
            kind: Some(if master { ApplyKind::Upsert } else { ApplyKind::CreateOnly }),
            only_changes: false,
        }
    }

    pub(super) fn translate(
        &self,
        source: Side,
        image: query::Image,
        creates: bool,
        context: &TranslateContext,
    ) -> Result<Option<Candidate>, Box<RowError>> {
        let columns = i32::try_from(image.values.len()).unwrap_or(i32::MAX);
        let row = query::SharedRow {
            map: self.run.map.clone(),
            epoch: self.active.epoch,
            kind: SharedKind::Created.into(),
            image: Some(image),
            changed_columns: (0..columns).collect(),
            ..Default::default()
        };
        let translated = self.compiled.translate(source, &row, context);
        let image = row.image.unwrap_or_default();
        match translated {
            Ok(row) => Ok(row.map(|row| Candidate { image, row, creates })),
            Err(error) => Err(Box::new(self.row_error(source, &image, untranslated(&error)))),
        }
    }

    /// A row of `source` that did not arrive.
    pub(super) fn row_error(
        &self,
        source: Side,
        image: &query::Image,
        mut error: pb::SyncError,
    ) -> RowError {
        let side = self.side(source);
        error.correlation_id = self.run.name.clone();
        let names = image::columns(side, &side.key_columns).cloned();
        let key = names.zip(image::key(side, image).values);
        let record = pb::Record {
            side: source.into(),
            entity_name: side.entity_name.clone(),
            record_id: image.record_id.clone(),
            key: key.map(|(field, it)| query::FieldValue { field, value: Some(it) }).collect(),
            company: image.company.clone(),
        };
        RowError { record, error }
    }

    /// The lookups of a row that found nothing, as its error.
    pub(super) fn lookup_error(
        &self,
        leg: &Leg,
        candidate: &Candidate,
        columns: &[String],
    ) -> Option<RowError> {
        let probe = self.probe();
        let mut errors = columns.iter().map(|it| lookup_error(&candidate.row, it, &probe));
        let mut error = errors.next()?;
        for more in errors {
            error.message = format!("{} {}", error.message, more.message);
        }
        Some(self.row_error(leg.source, &candidate.image, error))
    }

    async fn peers(
        &self,
        leg: &Leg,
        keys: Vec<query::ImageKey>,
    ) -> Result<HashMap<[u8; 16], query::Image>, Stop> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let target = other(leg.source);
        let selection = query::ImageSelection {
            map_side: Some(self.side(target).clone()),
            company: leg.company.clone(),
            keys,
            unfiltered: true,
            ..Default::default()
        };
        let found = self.select(target, selection).await?;
        let mut peers = HashMap::with_capacity(found.len());
        for image in found {
            peers.entry(fingerprint(&image::key(self.side(target), &image))).or_insert(image);
        }
        Ok(peers)
    }

    /// What was deleted on the master's side since the run began. Once the map is live, deletions cross by
    /// themselves.
    async fn look_for_gone(&self) -> Result<tokio::sync::MutexGuard<'_, super::gone::Gone>, Stop> {
        let mut gone = self.gone.lock().await;
        if self.active.state() == MapState::Initializing {
            gone.look(self).await?;
        }
        Ok(gone)
    }

    fn is_equal(&self, source: Side, image: &query::Image, peer: &query::Image) -> bool {
        match source {
            Side::FinanceAndOperations => self.compiled.equal(image, peer),
            Side::Platform | Side::Unspecified => self.compiled.equal(peer, image),
        }
    }
}

fn untranslated(error: &TranslateError) -> pb::SyncError {
    let told = own_error(SyncErrorKind::Application, error.to_string());
    pb::SyncError { field: error.field().to_owned(), ..told }
}

// === impl Copied ===

impl Copied {
    pub(super) fn fail(&mut self, error: RowError) {
        self.counts.errors += 1;
        self.errors.push(error);
    }

    fn count(
        &mut self,
        candidate: &Candidate,
        applied: &query::AppliedRow,
        repeated: bool,
        done: Option<&Plan>,
    ) {
        let id = &candidate.image.record_id;
        let counts = &mut self.counts;
        match applied.kind() {
            // It was there already, half done: the process died between two writes.
            AppliedKind::Updated if done.is_some_and(|it| it.creates(id)) => counts.inserted += 1,
            AppliedKind::Created => counts.inserted += 1,
            AppliedKind::Updated => counts.updated += 1,
            // The answer to the try before was lost, its effect was not.
            AppliedKind::Unchanged if repeated && candidate.creates => counts.inserted += 1,
            AppliedKind::Unchanged if repeated => counts.updated += 1,
            AppliedKind::Unchanged | AppliedKind::Deleted | AppliedKind::Unspecified => {
                counts.pass_over(id, done);
            }
        }
        if !applied.unresolved_columns.is_empty() {
            let columns = applied.unresolved_columns.clone();
            self.lookups.push(OpenLookup { record_id: id.clone(), columns });
        }
    }
}

impl Counts {
    /// Counts a row that needs nothing: where it was on its way when a process died, as what it was.
    fn pass_over(&mut self, record_id: &[u8], done: Option<&Plan>) {
        match done {
            Some(plan) if plan.creates(record_id) => self.inserted += 1,
            Some(plan) if plan.changes(record_id) => self.updated += 1,
            Some(_) | None => self.unchanged += 1,
        }
    }
}

impl Compared {
    /// What is about to be done, with what a process that died was about to do.
    pub(super) fn plan(&self, done: Option<&Plan>) -> Plan {
        let mut plan = done.cloned().unwrap_or_default();
        for Candidate { image, creates, .. } in &self.candidates {
            if !plan.creates(&image.record_id) && !plan.changes(&image.record_id) {
                plan.add(&image.record_id, *creates);
            }
        }
        plan
    }
}

/// A leg as it ends by itself.
pub(super) const DONE: InitialSyncState = InitialSyncState::Completed;
