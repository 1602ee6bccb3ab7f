//! The data directory of `tombolo dev`: what must outlive a start.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use uuid::Uuid;

/// The data directory.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    dir: PathBuf,
}

impl Home {
    /// Opens the directory, making it if need be.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
        let dir = dir.canonicalize().with_context(|| format!("find {}", dir.display()))?;
        Ok(Self { dir })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes what other programs may read, in the place of what was there.
    pub(crate) fn publish(&self, name: &str, text: &str) -> Result<()> {
        let path = self.dir.join(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    }

    /// A secret of 32 random bytes, made at first use.
    pub(crate) fn secret(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.dir.join(name);
        match fs::read(&path) {
            Ok(secret) if secret.len() == 32 => return Ok(secret),
            Ok(_) => anyhow::bail!("{} is damaged; remove it", path.display()),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        }
        let secret = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(&secret).with_context(|| format!("write {}", path.display()))?;
        Ok(secret)
    }
}
