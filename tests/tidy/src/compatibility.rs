//! `docs/compatibility.md` accounts for every feature of the specification, and says only one thing
//! about each.

use std::collections::BTreeMap;
use std::fs;

use crate::files::root;

/// Feature ids by family: the numbers that the specification gives out.
fn specified() -> Vec<String> {
    let mut ids = Vec::new();
    let mut family = |prefix: &str, width: usize, numbers: &mut dyn Iterator<Item = u32>| {
        ids.extend(numbers.map(|it| format!("{prefix}-{it:0width$}")));
    };
    family("PPI", 2, &mut (1..=28));
    family("CAP", 2, &mut (1..=8));
    family("ADD", 2, &mut (1..=6));
    family("API", 2, &mut (1..=42));
    family("BAT", 2, &mut (1..=5));
    family("CHG", 2, &mut (1..=4));
    family("ERR", 2, &mut (1..=3));
    family("FX", 2, &mut (1..=12));
    family("QE", 2, &mut (1..=4));
    family("CL", 2, &mut (1..=2));
    family("DW", 2, &mut (1..=66));
    family("BE", 2, &mut (1..=24));
    family("DE", 2, &mut (1..=8));
    let virtual_entities = (1..=12)
        .chain(20..=31)
        .chain(40..=62)
        .chain(70..=81)
        .chain(90..=95)
        .chain(100..=104)
        .chain(110..=113);
    family("VE", 3, &mut virtual_entities.into_iter());
    ids
}

#[test]
fn every_feature_is_accounted_for_once() {
    let text = fs::read_to_string(root().join("docs/compatibility.md")).unwrap();
    let mut rows: BTreeMap<&str, &str> = BTreeMap::new();
    for line in text.lines().filter(|it| it.starts_with("| ")) {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let (Some(id), Some(state)) = (cells.next(), cells.nth(1)) else { continue };
        if rows.insert(id, state).is_some() {
            assert!(!id.contains('-') || id.starts_with("--"), "{id} stands there twice");
        }
    }
    for id in specified() {
        let state = rows.get(id.as_str()).unwrap_or_else(|| panic!("{id} is missing"));
        let known =
            ["done", "partly", "not yet", "will not"].iter().any(|it| state.starts_with(it));
        assert!(known, "{id}: `{state}` is not a state");
    }
}
