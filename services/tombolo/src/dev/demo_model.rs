//! The demo ERP's model travels in the binary, so that `tombolo dev` works in any directory.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::home::Home;

#[derive(rust_embed::RustEmbed)]
#[folder = "../../models/demo"]
struct DemoModel;

/// Writes the model below the data directory; returns where.
pub(super) fn unpack(home: &Home) -> Result<PathBuf> {
    let dir = home.dir().join("demo-model");
    if dir.exists() {
        // An older version may have had files that this one has not.
        fs::remove_dir_all(&dir).with_context(|| format!("replace {}", dir.display()))?;
    }
    for name in DemoModel::iter() {
        let path = dir.join(name.as_ref());
        if let (Some(file), Some(parent)) = (DemoModel::get(&name), path.parent()) {
            fs::create_dir_all(parent)?;
            fs::write(&path, file.data).with_context(|| format!("write {}", path.display()))?;
        }
    }
    Ok(dir)
}
