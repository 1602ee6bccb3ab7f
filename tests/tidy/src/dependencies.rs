//! One direction (design, layout): services depend on `proto` and `libs`, libs on `proto` and libs,
//! the binary on services; nothing depends on the binary.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::files::{find, root};

/// Workspace crates by name: the folder each is in, and the workspace crates it depends on.
fn crates() -> BTreeMap<String, (String, Vec<String>)> {
    let mut crates = BTreeMap::new();
    for folder in ["libs", "services"] {
        for path in find(&root().join(folder), "Cargo.toml") {
            let manifest: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
            let name = manifest["package"]["name"].as_str().unwrap().to_owned();
            let dependencies = manifest.get("dependencies").and_then(|it| it.as_table());
            let dependencies = dependencies.into_iter().flat_map(|it| it.keys().cloned());
            crates.insert(name, (folder.to_owned(), dependencies.collect()));
        }
    }
    crates
}

#[test]
fn dependencies_point_one_way() {
    let crates = crates();
    let is_service = |name: &str| crates.get(name).is_some_and(|it| it.0 == "services");
    for (name, (_, dependencies)) in crates.iter().filter(|it| it.0 != "tombolo") {
        for dependency in dependencies {
            assert!(!is_service(dependency), "{name} must not depend on the service {dependency}");
        }
    }
}

#[test]
fn only_the_gateway_knows_odata() {
    let crates = crates();
    let users = crates.iter().filter(|(_, (_, it))| it.iter().any(|it| it == "odata"));
    assert_eq!(users.map(|it| it.0.as_str()).collect::<Vec<_>>(), ["gateway"]);
}

#[test]
fn every_crate_says_what_it_is_for() {
    for folder in ["libs", "services"] {
        for manifest in find(&root().join(folder), "Cargo.toml") {
            let source = manifest.parent().unwrap_or(Path::new("")).join("src");
            let entry = ["lib.rs", "main.rs"].map(|it| source.join(it));
            let entry = entry.iter().find(|it| it.exists()).unwrap();
            let text = fs::read_to_string(entry).unwrap();
            assert!(text.starts_with("//! "), "{} has no introduction", entry.display());
        }
    }
}
