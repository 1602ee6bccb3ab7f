//! Rows that were deleted on the master's side while a run goes on: the other way back, nobody creates them again.

use std::collections::HashSet;

use prost::Message as _;
use proto::query::v1::value::Kind;
use proto::query::v1::{self as query, SharedKind};
use sha2::{Digest as _, Sha256};

use super::failure::Stop;
use super::source::PAGE;
use super::work::Work;
use crate::image;

/// As much of a key as tells it from every other.
type Fingerprint = [u8; 16];

/// What is known of deletions so far.
#[derive(Debug, Default)]
pub(super) struct Gone {
    /// `None`: there is no log to look into.
    position: Option<String>,
    keys: HashSet<Fingerprint>,
}

impl Gone {
    pub(super) fn new(position: Option<&str>) -> Self {
        Self { position: position.map(str::to_owned), keys: HashSet::new() }
    }

    /// Whether the row with this key was deleted, as of the last look.
    pub(super) fn holds(&self, key: &query::ImageKey) -> bool {
        self.keys.contains(&fingerprint(key))
    }

    /// Looks at what was changed since the last look.
    pub(super) async fn look(&mut self, work: &Work) -> Result<(), Stop> {
        let Some(position) = self.position.clone() else { return Ok(()) };
        let master = work.run.master;
        let mut token = String::new();
        loop {
            let request = query::ListTouchedRowsRequest {
                map: work.run.map.clone(),
                after_position: position.clone(),
                page_size: PAGE,
                page_token: token,
                ..Default::default()
            };
            let listed = work.touched(master, request).await?;
            for row in listed.rows.into_iter().filter_map(|it| it.row) {
                self.note(work.side(master), &row);
            }
            token = listed.next_page_token;
            if token.is_empty() {
                self.position = Some(listed.position);
                return Ok(());
            }
        }
    }

    fn note(&mut self, side: &query::MapSide, row: &query::SharedRow) {
        let Some(image) = &row.image else { return };
        let fingerprint = fingerprint(&image::key(side, image));
        match row.kind() {
            SharedKind::Deleted => self.keys.insert(fingerprint),
            SharedKind::Created
            | SharedKind::Changed
            | SharedKind::Left
            | SharedKind::Unspecified => self.keys.remove(&fingerprint),
        };
    }
}

/// Keys are compared without regard to letter case, as both sides do.
pub(super) fn fingerprint(key: &query::ImageKey) -> Fingerprint {
    let mut folded = key.clone();
    folded.company.make_ascii_lowercase();
    for value in &mut folded.values {
        if let Some(Kind::StringValue(text)) = &mut value.kind {
            *text = text.trim_end().to_lowercase();
        }
    }
    let digest = Sha256::digest(folded.encode_to_vec());
    let mut fingerprint = Fingerprint::default();
    fingerprint.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    fingerprint
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: SharedKind, key: &str) -> query::SharedRow {
        let value = query::Value { kind: Some(Kind::StringValue(key.to_owned())) };
        let image =
            query::Image { company: "usmf".to_owned(), values: vec![value], ..Default::default() };
        query::SharedRow { kind: kind.into(), image: Some(image), ..Default::default() }
    }

    fn key_of(text: &str) -> query::ImageKey {
        let value = query::Value { kind: Some(Kind::StringValue(text.to_owned())) };
        query::ImageKey { company: "USMF".to_owned(), values: vec![value] }
    }

    #[test]
    fn what_was_deleted_is_known_until_it_is_there_again() {
        let side = query::MapSide { key_columns: vec![0], ..Default::default() };
        let mut gone = Gone::new(Some("1"));
        gone.note(&side, &row(SharedKind::Deleted, "US-001"));
        assert!(gone.holds(&key_of("us-001")));
        assert!(!gone.holds(&key_of("us-002")));
        gone.note(&side, &row(SharedKind::Created, "US-001"));
        assert!(!gone.holds(&key_of("us-001")));
    }
}
