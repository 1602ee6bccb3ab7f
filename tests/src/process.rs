//! Which processes belong to a data directory.

use std::fs;
use std::path::Path;

/// Processes whose command line or working directory names this directory: `tombolo` itself and the
/// PostgreSQL that it started.
pub fn using(directory: &Path) -> Vec<String> {
    let needle = directory.display().to_string();
    let own = std::process::id().to_string();
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let mut found = Vec::new();
    for process in processes.flatten() {
        let id = process.file_name().to_string_lossy().into_owned();
        if id == own || !id.bytes().all(|it| it.is_ascii_digit()) {
            continue;
        }
        let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let folder = fs::read_link(process.path().join("cwd")).unwrap_or_default();
        if command.contains(&needle) || folder.starts_with(directory) {
            found.push(format!("{id} {command}"));
        }
    }
    found
}
