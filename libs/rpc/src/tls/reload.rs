//! What was built of files, built anew when they change.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::TlsError;

type Build<T> = Box<dyn Fn() -> Result<T, TlsError> + Send + Sync>;

/// The newest `T` that could be built of some files.
pub(super) struct Reloading<T> {
    files: Vec<PathBuf>,
    build: Build<T>,
    current: ArcSwap<Built<T>>,
}

struct Built<T> {
    value: Arc<T>,
    /// How the files looked just before they were read.
    stamps: Vec<Option<Stamp>>,
}

/// Another file, or other contents, have another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl<T> Reloading<T> {
    pub(super) fn new(
        files: Vec<PathBuf>,
        build: impl Fn() -> Result<T, TlsError> + Send + Sync + 'static,
    ) -> Result<Self, TlsError> {
        let stamps = stamps(&files);
        let value = Arc::new(build()?);
        let current = ArcSwap::from_pointee(Built { value, stamps });
        Ok(Self { files, build: Box::new(build), current })
    }

    /// What the files say now, or said when they were last usable. Looks at their dates, which is
    /// little beside the handshake that follows.
    pub(super) fn current(&self) -> Arc<T> {
        let current = self.current.load();
        let stamps = stamps(&self.files);
        if stamps == current.stamps {
            return Arc::clone(&current.value);
        }
        let value = match (self.build)() {
            Ok(value) => {
                tracing::info!(files = ?self.files, "certificates were read anew");
                Arc::new(value)
            }
            // Half of a rotation looks like this; the other half is another change.
            Err(error) => {
                tracing::error!(%error, "new certificates cannot be used; the old ones stay");
                Arc::clone(&current.value)
            }
        };
        self.current.store(Arc::new(Built { value: Arc::clone(&value), stamps }));
        value
    }
}

impl<T> std::fmt::Debug for Reloading<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloading").field("files", &self.files).finish_non_exhaustive()
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    files.iter().map(|it| std::fs::metadata(it).ok().map(|it| Stamp::of(&it))).collect()
}

impl Stamp {
    fn of(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}
