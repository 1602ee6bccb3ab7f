//! Whether a row is the same on both sides under a map: pure.

use std::collections::HashMap;

use prost::Message as _;
use proto::dual_write::v1::{self as pb, DifferenceKind, Side};
use proto::query::v1::{Image, ImageKey, MapSide};
use sha2::{Digest as _, Sha256};

use crate::follow::FieldNames;
use crate::image;
use crate::map::transform::Direction;
use crate::map::translate::direction_from;
use crate::map::{CompiledMap, TranslateError, value};
use crate::peers::other;

/// A map with what is asked of it for each row.
pub(super) struct Judge<'a> {
    compiled: &'a CompiledMap,
    erp: MapSide,
    platform: MapSide,
}

/// The row of the other side that belongs to one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Peer {
    pub(super) image: Image,
    /// It meets its side's filter.
    pub(super) matches: bool,
}

/// A row that differs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    /// Without its name.
    pub(super) content: pb::Difference,
    pub(super) company: String,
    pub(super) key_text: String,
    pub(super) erp: SideRow,
    pub(super) platform: SideRow,
}

/// What is kept of one side's row, to find it again and to know whether it has changed since.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SideRow {
    pub(super) key: Option<ImageKey>,
    /// `None`: there is none.
    pub(super) hash: Option<Vec<u8>>,
}

/// Rows of a side by what its keys read like.
pub(super) struct ByKey<'a> {
    side: &'a MapSide,
    rows: HashMap<String, Vec<Peer>>,
}

// === impl Judge ===

impl<'a> Judge<'a> {
    pub(super) fn new(compiled: &'a CompiledMap, erp: MapSide, platform: MapSide) -> Self {
        Self { compiled, erp, platform }
    }

    pub(super) fn side(&self, side: Side) -> &MapSide {
        match side {
            Side::FinanceAndOperations => &self.erp,
            Side::Platform | Side::Unspecified => &self.platform,
        }
    }

    /// What finds the row that belongs to this one.
    pub(super) fn counterpart(
        &self,
        source: Side,
        image: &Image,
    ) -> Result<ImageKey, TranslateError> {
        self.compiled.counterpart_key(source, image)
    }

    /// In which way a row of `source` that meets its filter differs. Both sides are gone through; a pair
    /// of which each meets its filter is looked at with the ERP's row only.
    pub(super) fn judge(&self, source: Side, image: &Image, peer: Option<&Peer>) -> Option<Found> {
        let target = other(source);
        let direction = direction_from(source);
        let Some(peer) = peer else {
            let kind = match target {
                Side::FinanceAndOperations => DifferenceKind::MissingOnFinanceAndOperations,
                Side::Platform | Side::Unspecified => DifferenceKind::MissingOnPlatform,
            };
            let goes = self.compiled.writes(direction);
            return goes.then(|| self.found(kind, source, image, None, Vec::new()));
        };
        if source == Side::Platform && peer.matches {
            return None;
        }
        let (erp, platform) = match source {
            Side::FinanceAndOperations => (image, &peer.image),
            Side::Platform | Side::Unspecified => (&peer.image, image),
        };
        let mut fields = self.compiled.differences(erp, platform);
        if !peer.matches {
            // A row outside its filter sends nothing: what goes only its way is nobody's business.
            fields.retain(|it| self.goes(&it.platform_column, direction));
        }
        let differs = !fields.is_empty();
        let kind = DifferenceKind::Values;
        differs.then(|| self.found(kind, source, image, Some(&peer.image), fields))
    }

    fn goes(&self, platform_column: &str, direction: Direction) -> bool {
        self.compiled.fields.iter().map(|it| &it.field).any(|it| {
            let column = it.platform.as_ref().map(|it| it.path.as_str());
            column == Some(platform_column) && it.pipeline(direction).is_some()
        })
    }

    fn found(
        &self,
        kind: DifferenceKind,
        source: Side,
        image: &Image,
        peer: Option<&Image>,
        fields: Vec<pb::FieldDifference>,
    ) -> Found {
        let target = other(source);
        let own = self.row(source, image);
        let counterpart = self.counterpart(source, image);
        let cause = counterpart.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let others = match peer {
            Some(peer) => self.row(target, peer),
            None => SideRow { key: counterpart.ok(), hash: None },
        };
        let record = |side, it: &Image| FieldNames::new(side, self.side(side).clone()).record(it);
        let (mine, theirs) = (Some(record(source, image)), peer.map(|it| record(target, it)));
        let key_text = own.key.as_ref().map(text).unwrap_or_default();
        let company = image.company.clone();
        let ((erp, erp_record), (platform, platform_record)) = match source {
            Side::FinanceAndOperations => ((own, mine), (others, theirs)),
            Side::Platform | Side::Unspecified => ((others, theirs), (own, mine)),
        };
        let content = pb::Difference {
            kind: kind.into(),
            finance_and_operations_record: erp_record,
            platform_record,
            fields,
            cause,
            ..Default::default()
        };
        Found { content, company, key_text, erp, platform }
    }

    fn row(&self, side: Side, image: &Image) -> SideRow {
        SideRow { key: Some(image::key(self.side(side), image)), hash: Some(hash(image)) }
    }
}

// === impl ByKey ===

impl<'a> ByKey<'a> {
    pub(super) fn new(side: &'a MapSide, peers: Vec<Peer>) -> Self {
        let mut rows: HashMap<String, Vec<Peer>> = HashMap::with_capacity(peers.len());
        for peer in peers {
            let key = folded(&image::key(side, &peer.image));
            rows.entry(key).or_default().push(peer);
        }
        Self { side, rows }
    }

    /// The row with this key: a side that does not regard the case of letters may have it in another.
    pub(super) fn find(&self, key: &ImageKey) -> Option<&Peer> {
        let rows = self.rows.get(&folded(key))?;
        let exactly = |it: &&Peer| text(&image::key(self.side, &it.image)) == text(key);
        rows.iter().find(exactly).or_else(|| rows.first())
    }
}

/// Of a row as it is seen under the map: equal as long as nothing that the map names changes.
pub(super) fn hash(image: &Image) -> Vec<u8> {
    Sha256::digest(image.encode_to_vec()).to_vec()
}

/// What a key reads like, beside the company.
pub(super) fn text(key: &ImageKey) -> String {
    let values: Vec<String> = key.values.iter().map(value::display).collect();
    values.join("\u{1f}")
}

fn folded(key: &ImageKey) -> String {
    format!("{}\u{1e}{}", key.company, text(key)).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side() -> MapSide {
        let columns = ["name".to_owned(), "number".to_owned()];
        MapSide { columns: columns.into(), key_columns: vec![1], ..Default::default() }
    }

    fn image(name: &str, number: &str) -> Image {
        let values = vec![value::text(name), value::text(number)];
        Image { company: "usmf".to_owned(), record_id: vec![1; 16].into(), values }
    }

    fn key(company: &str, number: &str) -> ImageKey {
        ImageKey { company: company.to_owned(), values: vec![value::text(number)] }
    }

    #[test]
    fn rows_are_found_by_key_and_the_same_case_first() {
        let side = side();
        let peers = ["a-1", "A-1", "B-2"];
        let peers = peers.map(|it| Peer { image: image(it, it), matches: true }).to_vec();
        let rows = ByKey::new(&side, peers);
        let check = |wanted: &str, expected: Option<&str>| {
            let found = rows.find(&key("USMF", wanted));
            let name = found.map(|it| value::display(&it.image.values[0]));
            assert_eq!(name.as_deref(), expected, "{wanted}");
        };
        check("A-1", Some("A-1"));
        check("a-1", Some("a-1"));
        check("b-2", Some("B-2"));
        check("c-3", None);
    }

    #[test]
    fn a_hash_changes_with_any_value_and_with_nothing_else() {
        assert_eq!(hash(&image("Contoso", "1")), hash(&image("Contoso", "1")));
        assert_ne!(hash(&image("Contoso", "1")), hash(&image("Contoso", "2")));
        let other = Image { company: "dat".to_owned(), ..image("Contoso", "1") };
        assert_ne!(hash(&image("Contoso", "1")), hash(&other));
    }

    #[test]
    fn a_row_that_is_gone_is_known_by_its_key() {
        let side = side();
        let gone = image::of_key(&side, &key("usmf", "7"));
        assert_eq!(image::key(&side, &gone), key("usmf", "7"));
        assert!(value::is_none(&gone.values[0]));
    }
}
