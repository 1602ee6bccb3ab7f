//! Relationships, as each of their two sides sees them.

use std::collections::HashMap;

use proto::query::v1 as pb;

/// One side of a relationship: a navigation property of a table.
#[derive(Clone, Debug)]
pub(crate) struct Navigation {
    /// As this table calls it.
    pub(crate) name: String,
    /// As the other table calls the way back.
    pub(crate) partner: String,
    /// Logical name of the table it leads to.
    pub(crate) target: String,
    /// Leads to any number of rows; otherwise to one at most.
    pub(crate) is_collection: bool,
    /// Logical name of the lookup column: of this table, or of the target where it is a collection.
    pub(crate) lookup: String,
    /// What is equal in both rows: this table's column, and the target's, as their providers call them.
    pub(crate) pairs: Vec<(pb::ColumnRef, pb::ColumnRef)>,
    /// Text compares to the letter.
    pub(crate) exact: bool,
    /// Unique in the organization.
    pub(crate) schema_name: String,
    pub(crate) origin: pb::RelationshipOrigin,
}

/// A table's navigation properties, by name.
#[derive(Debug, Default)]
pub(crate) struct Navigations {
    all: Vec<Navigation>,
    by_name: HashMap<String, usize>,
}

impl Navigations {
    pub(crate) fn get(&self, name: &str) -> Option<&Navigation> {
        self.by_name.get(name).and_then(|&at| self.all.get(at))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Navigation> {
        self.all.iter()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    pub(super) fn add(&mut self, navigation: Navigation) {
        self.by_name.insert(navigation.name.clone(), self.all.len());
        self.all.push(navigation);
    }
}

/// Both sides: the one of the table that has the lookup, and the one of the table it leads to. `None`
/// where the definition names no column of one side.
pub(super) fn sides(source: &str, it: &pb::Relationship) -> Option<(Navigation, Navigation)> {
    let pair = |it: &pb::RelationshipPair| Some((it.column.clone()?, it.target.clone()?));
    let pairs = it.pairs.iter().map(pair).collect::<Option<Vec<_>>>()?;
    let turned = pairs.iter().map(|(column, target)| (target.clone(), column.clone())).collect();
    let single = Navigation {
        name: it.navigation_property.clone(),
        partner: it.collection_navigation_property.clone(),
        target: it.target.clone(),
        is_collection: false,
        lookup: it.column.clone(),
        pairs,
        exact: it.exact,
        schema_name: it.schema_name.clone(),
        origin: it.origin(),
    };
    let collection = Navigation {
        name: it.collection_navigation_property.clone(),
        partner: it.navigation_property.clone(),
        target: source.to_owned(),
        is_collection: true,
        pairs: turned,
        ..single.clone()
    };
    Some((single, collection))
}
