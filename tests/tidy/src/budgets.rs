//! How long a file may be. Tests do not count.

use std::fs;

use crate::files::{find, relative, root};

const LINES_PER_FILE: usize = 400;

#[test]
fn files_have_one_reason_to_change() {
    let mut too_long = Vec::new();
    for folder in ["libs", "services", "proto"] {
        for path in find(&root().join(folder), ".rs") {
            let name = relative(&path);
            if name.contains("/tests/") || name.ends_with("tests.rs") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.split("#[cfg(test)]").next().unwrap_or("").lines().count();
            if lines > LINES_PER_FILE {
                too_long.push(format!("{name}: {lines} lines, {LINES_PER_FILE} allowed"));
            }
        }
    }
    assert!(too_long.is_empty(), "split these:\n{}", too_long.join("\n"));
}
