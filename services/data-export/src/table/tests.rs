//! What is written can be read back by the format's own reader.

use std::fs::{self, File};
use std::path::Path;

use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;

use super::column::{Column, DoesNotFit, Kind};
use super::file::{Output, Written};
use super::manifest::{self, Contents, Entry, ExportKind, Manifest};
use crate::web_api::Page;

fn column(name: &str, kind: Kind) -> Column {
    Column { name: name.to_owned(), kind }
}

async fn write(dir: &Path, columns: &[Column], pages: &[String]) -> Result<Written, DoesNotFit> {
    let mut output = Output::new(dir, "a.parquet", columns, "id");
    for page in pages {
        output.take(&Page::parse(page.as_bytes()).unwrap())?;
        output.flush_if_full().await.unwrap();
    }
    Ok(output.finish().await.unwrap().unwrap())
}

fn open(written: &Written) -> SerializedFileReader<File> {
    SerializedFileReader::new(File::open(&written.aside).unwrap()).unwrap()
}

const ID: &str = "00000000-0000-0000-0000-00000000000a";

#[tokio::test]
async fn every_type_comes_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let columns = [
        column("id", Kind::Uuid),
        column("amount", Kind::Decimal { scale: 2 }),
        column("big", Kind::Int64),
        column("day", Kind::Date),
        column("moment", Kind::Timestamp),
        column("name", Kind::String),
        column("number", Kind::Int32),
        column("ratio", Kind::Double),
        column("yes", Kind::Boolean),
    ];
    let page = format!(
        r#"{{"value":[
        {{"id":"{ID}","amount":-12345678901234567890123456789012345.67,"big":9007199254740993,
          "day":"2024-02-29","moment":"2024-02-29T12:00:00.000001Z","name":"Fabrikam\n","number":-1,
          "ratio":0.5,"yes":true,"more":{{"a":[1]}}}},
        {{"id":"{ID}","name":null}},
        {{"@odata.context":"x$metadata#a/$deletedEntity","id":"{ID}","reason":"deleted"}}]}}"#
    );
    let written = write(dir.path(), &columns, &[page]).await.unwrap();
    assert_eq!((written.rows, written.name.as_str()), (3, "a.parquet"));
    let reader = open(&written);
    let schema = reader.metadata().file_metadata().schema_descr();
    let described = |at: usize| {
        let it = schema.column(at);
        (it.physical_type(), it.logical_type_ref().cloned())
    };
    assert_eq!(described(0), (Physical::BYTE_ARRAY, Some(LogicalType::String)));
    assert_eq!(described(1), (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Uuid)));
    let decimal = LogicalType::decimal(2, 38);
    assert_eq!(described(2), (Physical::FIXED_LEN_BYTE_ARRAY, Some(decimal)));
    let moment = LogicalType::timestamp(true, TimeUnit::MICROS);
    assert_eq!(described(5), (Physical::INT64, Some(moment)));
    let repetition = |at: usize| schema.column(at).self_type().get_basic_info().repetition();
    let expected = [Repetition::REQUIRED, Repetition::REQUIRED, Repetition::OPTIONAL];
    assert_eq!([0, 1, 2].map(repetition), expected);
    let rows: Vec<Vec<Field>> = reader
        .get_row_iter(None)
        .unwrap()
        .map(|it| it.unwrap().into_columns().into_iter().map(|it| it.1).collect())
        .collect();
    let [first, empty, deleted] = &rows[..] else { panic!("{rows:?}") };
    let text = |it: &str| Field::Str(it.to_owned());
    assert_eq!(first[0], text("upsert"));
    let Field::Decimal(decimal) = &first[2] else { panic!("{first:?}") };
    let unscaled = i128::from_be_bytes(decimal.data().try_into().unwrap());
    assert_eq!(unscaled, -1_234_567_890_123_456_789_012_345_678_901_234_567);
    assert_eq!(first[3], Field::Long(9_007_199_254_740_993));
    assert_eq!(first[4], Field::Date(19_782));
    assert_eq!(first[5], Field::TimestampMicros(1_709_208_000_000_001));
    assert_eq!(
        first[6..],
        [text("Fabrikam\n"), Field::Int(-1), Field::Double(0.5), Field::Bool(true)]
    );
    assert_eq!(empty[0], text("upsert"));
    assert_eq!(deleted[0], text("delete"));
    for row in [empty, deleted] {
        let Field::Bytes(id) = &row[1] else { panic!("{row:?}") };
        assert_eq!(id.data(), ID.parse::<uuid::Uuid>().unwrap().as_bytes());
        assert!(row[2..].iter().all(|it| *it == Field::Null), "{row:?}");
    }
}

#[tokio::test]
async fn rows_are_held_until_a_group_is_full_and_no_longer() {
    let dir = tempfile::tempdir().unwrap();
    let columns = [column("id", Kind::Uuid), column("name", Kind::String)];
    let row = |name: &str| format!(r#"{{"id":"{ID}","name":"{name}"}}"#);
    let page =
        |rows: usize, name: &str| format!(r#"{{"value":[{}]}}"#, vec![row(name); rows].join(","));
    let narrow = vec![page(20_000, "a"); 6];
    let reader = open(&write(dir.path(), &columns, &narrow).await.unwrap());
    let groups = |reader: &SerializedFileReader<File>| -> Vec<i64> {
        reader.metadata().row_groups().iter().map(|it| it.num_rows()).collect()
    };
    assert_eq!(groups(&reader), [60_000, 60_000]);
    let wide = vec![page(20, &"x".repeat(1 << 20)); 3];
    let reader = open(&write(dir.path(), &columns, &wide).await.unwrap());
    assert_eq!(groups(&reader), [40, 20]);
}

#[tokio::test]
async fn a_row_that_does_not_fit_is_told_and_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let columns = [column("id", Kind::Uuid), column("amount", Kind::Decimal { scale: 2 })];
    for (row, expected) in [
        (format!(r#"{{"id":"{ID}","amount":1.234}}"#), "amount"),
        (r#"{"amount":1}"#.to_owned(), "id"),
        (r#"{"@odata.context":"x$deletedEntity","id":"?"}"#.to_owned(), "id"),
    ] {
        let page = format!(r#"{{"value":[{row}]}}"#);
        let refused = write(dir.path(), &columns, &[page]).await.unwrap_err();
        assert_eq!(refused.column, expected);
    }
}

#[test]
fn what_the_manifest_does_not_name_is_removed() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("accounts");
    assert!(manifest::open(&dir).unwrap().is_none());
    let entry = |name: &str| Entry {
        name: name.to_owned(),
        contents: Contents::All,
        rows: 1,
        size_bytes: 1,
    };
    let manifest = Manifest {
        version: manifest::VERSION,
        table: "accounts".to_owned(),
        logical_name: "account".to_owned(),
        primary_id: "accountid".to_owned(),
        kind: ExportKind::Incremental,
        generation: 2,
        files: vec![entry("000002-000001.parquet")],
        columns: vec![column("a", Kind::Decimal { scale: 2 })],
        widened_columns: [("b".to_owned(), Kind::String)].into(),
        delta_link: Some("https://org/a?$deltatoken=1".to_owned()),
        update_time: "2026-03-01T12:00:00Z".parse().unwrap(),
    };
    manifest.write(&dir).unwrap();
    let stays = ["000002-000001.parquet", "_manifest.json", "readme.txt"];
    let goes =
        ["000001-000001.parquet", "000002-000002.parquet", ".unfinished-000002-000002.parquet"];
    for name in goes.iter().chain([&stays[0], &stays[2]]) {
        fs::write(dir.join(name), "").unwrap();
    }
    assert_eq!(manifest::open(&dir).unwrap(), Some(manifest));
    let mut left: Vec<_> = fs::read_dir(&dir)
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, stays);
    fs::write(dir.join("_manifest.json"), "{}").unwrap();
    assert!(manifest::open(&dir).is_err());
}
