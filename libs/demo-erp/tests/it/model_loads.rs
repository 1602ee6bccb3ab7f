//! The model is one that the catalog accepts.

use std::path::Path;

#[test]
fn the_model_loads() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
    let model = model::load(&dir).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(model.name, "demo");
    assert!(model.entities.len() >= 14);
}
