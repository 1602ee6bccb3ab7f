//! A process that is killed at any moment leaves an export that is right, and the next one goes on with it.

use std::path::Path;
use std::process::{Command, ExitStatus};

use crate::fake::Fake;
use crate::reader::Reader;
use crate::world::{AddIn, ENVIRONMENT, parameters, until};

const SET: &str = "accounts";
const DIR: &str = "DATA_EXPORT_TEST_DIR";
const URL: &str = "DATA_EXPORT_TEST_URL";
const CRASH_AT: &str = "TOMBOLO_CRASH_AT";
const STEPS: [&str; 3] = ["export-file-written", "export-file-named", "export-manifest-written"];

/// The process that is killed: exports once.
#[tokio::test]
#[ignore = "run by the others, in a process of its own"]
async fn export_once() {
    let Some((dir, url)) = std::env::var(DIR).ok().zip(std::env::var(URL).ok()) else { return };
    let add_in = AddIn::start(Path::new(&dir)).await;
    let before = add_in.status(ENVIRONMENT).await.ok().and_then(|it| it.last_run_time);
    add_in.install(ENVIRONMENT, &url, &parameters(&[SET])).await.unwrap();
    until("a run", async || {
        let last = add_in.status(ENVIRONMENT).await.unwrap().last_run_time;
        (last != before).then_some(())
    })
    .await;
}

/// In another process, which is killed at the step if there is one.
async fn export(dir: &Path, fake: &Fake, crash_at: Option<&str>) -> ExitStatus {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "crashes::export_once", "--ignored", "--nocapture"]);
    command.env(DIR, dir).env(URL, &fake.url).env_remove(CRASH_AT);
    if let Some(step) = crash_at {
        command.env(CRASH_AT, step);
    }
    let ran = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    ran.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_step_loses_and_repeats_no_change() {
    for step in STEPS {
        let (fake, dir) = (Fake::start().await, tempfile::tempdir().unwrap());
        fake.add(SET, true);
        let reader = Reader(dir.path().join("output/contoso").join(SET));
        // Of all rows, then of changes.
        let mut earlier = Vec::new();
        for id in [10, 11] {
            assert!(!export(dir.path(), &fake, Some(step)).await.success(), "{step}");
            // A reader sees all of the run or nothing.
            let found = reader.files();
            let complete = step == "export-manifest-written";
            assert_eq!(found.len(), earlier.len() + usize::from(complete), "{step}");
            assert!(found.starts_with(&earlier));
            assert!(export(dir.path(), &fake, None).await.success(), "{step}");
            assert_eq!(reader.versions(), fake.versions(SET), "{step}");
            earlier = reader.files();
            fake.put(SET, id, "\"name\":\"x\"");
            fake.delete(SET, id - 9);
        }
        assert!(export(dir.path(), &fake, None).await.success(), "{step}");
        assert_eq!(reader.versions(), fake.versions(SET), "{step}");
        assert_eq!(reader.generation(), 1, "{step}");
        // Two rows at first, then one row and one deletion, twice.
        let changes = reader.files().concat();
        assert_eq!(changes.len(), 6, "{step}: {changes:?}");
        let left = reader.names().iter().filter(|it| it.ends_with(".parquet")).count();
        assert_eq!(left, reader.files().len(), "{step}");
    }
}
