//! Dying where it is told.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

const KILLED: i32 = 9;

/// Runs itself in another process.
#[test]
fn a_process_dies_at_the_step_it_is_told() {
    if std::env::var_os("TOMBOLO_CRASH_AT").is_some() {
        commit::step("erp-committed");
        return;
    }
    let run = |step: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "steps::a_process_dies_at_the_step_it_is_told"]);
        command.env("TOMBOLO_CRASH_AT", step).output().unwrap().status
    };
    assert_eq!(run("erp-committed").signal(), Some(KILLED));
    assert!(run("platform-settled").success());
}
