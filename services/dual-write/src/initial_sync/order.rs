//! In which order runs of several maps go: those that others need come first.

use std::collections::{BTreeMap, BTreeSet};

/// Which maps each map needs, directly.
#[derive(Clone, Debug, Default)]
pub(crate) struct Needs(BTreeMap<String, Vec<String>>);

impl Needs {
    pub(crate) fn insert(&mut self, map: &str, required: &[String]) {
        self.0.insert(map.to_owned(), required.to_vec());
    }

    /// All that a map needs, directly or not; itself only where it is in a circle.
    fn all(&self, map: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&str> = self.direct(map).collect();
        while let Some(next) = open.pop() {
            if found.insert(next) {
                open.extend(self.direct(next));
            }
        }
        found
    }

    /// Maps whose runs have to end before this one's begins: those it needs that do not need it too.
    pub(crate) fn before(&self, map: &str) -> BTreeSet<&str> {
        self.all(map).into_iter().filter(|it| !self.all(it).contains(map)).collect()
    }

    /// Maps that this one needs and that need it.
    pub(crate) fn circle(&self, map: &str) -> BTreeSet<&str> {
        let both = |it: &&str| *it != map && self.all(it).contains(map);
        self.all(map).into_iter().filter(both).collect()
    }

    fn direct(&self, map: &str) -> impl Iterator<Item = &str> {
        self.0.get(map).into_iter().flatten().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(edges: &[(&str, &[&str])]) -> Needs {
        let mut needs = Needs::default();
        for (map, required) in edges {
            let required: Vec<String> = required.iter().map(|it| (*it).to_owned()).collect();
            needs.insert(map, &required);
        }
        needs
    }

    #[test]
    fn what_is_needed_comes_before() {
        let needs =
            needs(&[("orders", &["customers"]), ("customers", &["groups"]), ("groups", &[])]);
        assert_eq!(needs.before("orders"), BTreeSet::from(["customers", "groups"]));
        assert!(needs.before("groups").is_empty());
        assert!(needs.circle("orders").is_empty());
    }

    #[test]
    fn a_circle_waits_for_nobody_in_it() {
        let needs = needs(&[
            ("customers", &["contacts", "groups"]),
            ("contacts", &["customers"]),
            ("groups", &[]),
            ("orders", &["customers"]),
        ]);
        assert_eq!(needs.before("customers"), BTreeSet::from(["groups"]));
        assert_eq!(needs.before("contacts"), BTreeSet::from(["groups"]));
        assert_eq!(needs.circle("customers"), BTreeSet::from(["contacts"]));
        assert_eq!(needs.before("orders"), BTreeSet::from(["contacts", "customers", "groups"]));
    }

    #[test]
    fn a_map_may_need_itself() {
        let needs = needs(&[("vendors", &["vendors"])]);
        assert!(needs.before("vendors").is_empty());
        assert!(needs.circle("vendors").is_empty());
    }
}
