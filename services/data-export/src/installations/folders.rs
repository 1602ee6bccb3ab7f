//! Folders below the output root, each of which is one environment's.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::EnvironmentId;
use crate::error::Error;
use crate::files;

/// Says whose a folder is.
const MARK: &str = "_export.json";

#[derive(Serialize, Deserialize)]
struct Mark {
    environment: String,
}

/// Whether one of the two is the other, or within it.
pub(super) fn overlap(one: &str, other: &str) -> bool {
    // Not every file system tells names apart by case.
    let parts = |it: &str| -> Vec<String> {
        it.to_ascii_lowercase().split('/').map(str::to_owned).collect()
    };
    let (one, other) = (parts(one), parts(other));
    one.iter().zip(&other).all(|(one, other)| one == other)
}

/// Makes a folder, and marks it as the environment's. One that holds something else is refused: it may be
/// deleted as a whole later.
pub(super) fn claim(root: &Path, folder: &str, id: &EnvironmentId) -> Result<(), Error> {
    let in_use = || Error::FolderInUse(folder.to_owned());
    let mut dir = root.to_owned();
    for part in folder.split('/') {
        if dir != root && dir.join(MARK).try_exists()? {
            return Err(in_use());
        }
        dir.push(part);
    }
    fs::create_dir_all(&dir)?;
    // A link may lead out of the root.
    if !dir.canonicalize()?.starts_with(root.canonicalize()?) {
        return Err(in_use());
    }
    let environment = id.to_string();
    match files::read(&dir.join(MARK))? {
        Some(bytes) => {
            let mark: Option<Mark> = serde_json::from_slice(&bytes).ok();
            mark.filter(|it| it.environment == environment).map(drop).ok_or_else(in_use)
        }
        None if holds_anything(&dir)? => Err(in_use()),
        None => Ok(files::replace(&dir, MARK, &Mark { environment })?),
    }
}

/// Anything but what a claim leaves behind that was cut short.
fn holds_anything(dir: &Path) -> std::io::Result<bool> {
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        if !name.to_string_lossy().starts_with(files::UNFINISHED) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> EnvironmentId {
        EnvironmentId::parse(&format!("platformEnvironments/{name}")).unwrap()
    }

    #[test]
    fn folders_within_one_another_overlap() {
        for (one, other, expected) in [
            ("a", "a", true),
            ("a", "A/b", true),
            ("a/b", "a", true),
            ("a", "ab", false),
            ("a/b", "a/c", false),
        ] {
            assert_eq!(overlap(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn a_folder_is_of_one_environment_and_holds_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let (mine, others) = (environment("mine"), environment("others"));
        claim(root.path(), "a/b", &mine).unwrap();
        claim(root.path(), "a/b", &mine).unwrap();
        let refused = |folder: &str, id: &EnvironmentId| {
            let refused = claim(root.path(), folder, id);
            assert!(matches!(refused, Err(Error::FolderInUse(_))), "{folder}: {refused:?}");
        };
        refused("a/b", &others);
        refused("a/b/c", &mine);
        refused("a", &others);
        fs::create_dir(root.path().join("full")).unwrap();
        fs::write(root.path().join("full/x"), "").unwrap();
        refused("full", &mine);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_leads_nowhere_else() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(outside.path(), root.path().join("out")).unwrap();
        let refused = claim(root.path(), "out/x", &environment("mine"));
        assert!(matches!(refused, Err(Error::FolderInUse(_))), "{refused:?}");
    }
}
