//! The model of an environment that is not linked: it has no data entities.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::home::Home;

const SETTINGS: &str = "name = \"none\"\nlabel = \"No ERP\"\n";

/// Writes it below the data directory; returns where.
pub(super) fn write(home: &Home) -> Result<PathBuf> {
    let dir = home.dir().join("empty-model");
    fs::create_dir_all(&dir)?;
    let path = dir.join("model.toml");
    fs::write(&path, SETTINGS).with_context(|| format!("write {}", path.display()))?;
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_can_be_loaded() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = write(&Home::open(temporary.path()).unwrap()).unwrap();
        assert_eq!(model::load(&dir).unwrap().entities, []);
    }
}
