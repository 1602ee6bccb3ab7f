//! The second phase: lookups that found no row when theirs was copied are looked up again (spec DW-35).

use proto::query::v1::{self as query, ApplyKind};

use super::apply;
use super::copy::{Candidate, Copied};
use super::failure::Stop;
use super::model::{Leg, OpenLookup};
use super::store;
use super::work::Work;
use crate::map::TranslateContext;
use crate::peers::other;

const PAGE: i64 = 1_000;

/// Fills in the lookups of a leg; what is not there now either is an error of the row.
pub(super) async fn run(work: &Work, leg: &Leg) -> Result<(), Stop> {
    loop {
        work.check()?;
        let mut conn = work.conn().await?;
        let open = store::lookups(&mut conn, work.run.id, leg.number, PAGE).await?;
        drop(conn);
        if open.is_empty() {
            return Ok(());
        }
        let (ids, lookups): (Vec<i64>, Vec<OpenLookup>) = open.into_iter().unzip();
        let copied = fill_in(work, leg, lookups).await?;
        let mut change = work.change().await?;
        store::patched(&mut change, &ids).await?;
        store::add_errors(&mut change, work.run.id, leg.number, &copied.errors).await?;
        store::add_to_leg(&mut change, work.run.id, leg.number, copied.counts).await?;
        change.commit().await?;
        commit::step("initial-sync:lookups-patched");
    }
}

async fn fill_in(work: &Work, leg: &Leg, lookups: Vec<OpenLookup>) -> Result<Copied, Stop> {
    let ids = lookups.iter().map(|it| it.record_id.clone()).collect();
    let images = work.images(leg.source, ids).await?;
    let context = TranslateContext { kind: Some(ApplyKind::UpdateOnly), ..work.context(leg, true) };
    let mut copied = Copied::default();
    let mut candidates = Vec::with_capacity(images.len());
    for image in images {
        let columns: Vec<&str> = lookups
            .iter()
            .filter(|it| it.record_id == image.record_id)
            .flat_map(|it| it.columns.iter().map(String::as_str))
            .collect();
        match work.translate(leg.source, image, false, &context) {
            Ok(Some(mut candidate)) => {
                keep(&mut candidate.row, &columns);
                candidates.push(candidate);
            }
            Ok(None) => {}
            Err(error) => copied.fail(*error),
        }
    }
    fill(work, leg, &candidates, &mut copied).await?;
    Ok(copied)
}

async fn fill(
    work: &Work,
    leg: &Leg,
    candidates: &[Candidate],
    copied: &mut Copied,
) -> Result<(), Stop> {
    let (applied, refused) = apply::all(work, other(leg.source), candidates).await?;
    for (candidate, outcome) in candidates.iter().zip(applied) {
        let unresolved = outcome.map(|it| it.row.unresolved_columns).unwrap_or_default();
        if let Some(error) = work.lookup_error(leg, candidate, &unresolved) {
            copied.fail(error);
        }
    }
    for refusal in refused {
        if let Some(candidate) = candidates.get(refusal.index) {
            copied.fail(work.row_error(leg.source, &candidate.image, refusal.error));
        }
    }
    Ok(())
}

/// Nothing is written but the lookups.
fn keep(row: &mut query::ApplyRow, columns: &[&str]) {
    // A lookup that does not change later was left out of a new row: only an error can tell of it.
    let values = std::mem::take(&mut row.values).into_iter();
    let created = std::mem::take(&mut row.create_values).into_iter();
    row.values = values.chain(created).filter(|it| columns.contains(&&*it.column)).collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lookups_are_written_again() {
        let value = |it: &str| query::ApplyValue { column: it.to_owned(), ..Default::default() };
        let mut row = query::ApplyRow {
            values: vec![value("name"), value("primarycontactid")],
            create_values: vec![value("ownerid"), value("parentid")],
            ..Default::default()
        };
        keep(&mut row, &["primarycontactid", "parentid"]);
        assert_eq!(row.values, [value("primarycontactid"), value("parentid")]);
        assert!(row.create_values.is_empty());
    }
}
