//! What models are taken, what is said of those that are not, and that saving loses nothing.

#![allow(clippy::unwrap_used)] // A test that unwraps nothing has failed.

mod mistakes;
mod round_trip;
mod security;

use std::path::Path;

use model::{DataType, FieldSource, RecordIdKind, load};

#[test]
fn the_demo_model_loads() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
    let model = load(&dir).unwrap_or_else(|it| panic!("{it}"));
    let entity = model.entities.iter().find(|it| it.name == "CustCustomerV3Entity").unwrap();
    assert_eq!(entity.record_id.kind, RecordIdKind::Integer);
    assert_eq!(entity.fields[0].name, model::COMPANY_FIELD);
    assert_eq!(entity.fields[0].data_type, DataType::String { max_length: 4 });
    assert!(
        matches!(&entity.fields[0].source, FieldSource::Column(it) if it.column == "dataareaid")
    );
    assert!(entity.visible, "as model.toml says");
}

#[test]
fn a_folder_without_a_model_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let error = load(dir.path()).unwrap_err();
    assert_eq!(error.problems.len(), 1);
    assert_eq!(error.problems[0].file, dir.path().join("model.toml"));
    assert_eq!(error.problems[0].line, 0);
}

#[test]
fn a_file_that_is_no_text_is_a_mistake() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("entities")).unwrap();
    std::fs::write(dir.path().join("model.toml"), "name = \"m\"").unwrap();
    std::fs::write(dir.path().join("entities/a.toml"), [0xff, 0xfe]).unwrap();
    let error = load(dir.path()).unwrap_err();
    assert_eq!(error.problems[0].file, dir.path().join("entities/a.toml"));
}
