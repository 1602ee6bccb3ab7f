//! Files that are there whole or not at all, whenever the machine stops.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use serde::Serialize;

/// How names of files begin that are not finished.
pub(crate) const UNFINISHED: &str = ".unfinished-";

/// Makes a folder where there is none: then for nobody else's eyes, because rows are going to be in it. Who
/// wants to share one makes it before.
pub(crate) fn make_private(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Replaces a file: the old content is there until the new one is whole and on disk.
pub(crate) fn replace(dir: &Path, name: &str, content: &impl Serialize) -> io::Result<()> {
    let bytes = serde_json::to_vec_pretty(content).map_err(io::Error::from)?;
    let aside = dir.join(format!("{UNFINISHED}{name}"));
    let mut file = File::create(&aside)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    finish(dir, &aside, name)
}

/// Gives a file its name, for ever.
pub(crate) fn finish(dir: &Path, aside: &Path, name: &str) -> io::Result<()> {
    fs::rename(aside, dir.join(name))?;
    sync_dir(dir)
}

/// Removes a file if it is there, for ever.
pub(crate) fn remove(dir: &Path, name: &str) -> io::Result<()> {
    found(fs::remove_file(dir.join(name)))?;
    sync_dir(dir)
}

/// Removes a folder with all that is in it, if it is there.
pub(crate) fn remove_folder(path: &Path) -> io::Result<()> {
    found(fs::remove_dir_all(path))?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// The content of a file, if it is there.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Work on files, where it holds up no other task. It goes on to its end whatever becomes of the caller.
pub(crate) async fn blocking<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<io::Error> + Send + 'static,
{
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(io::Error::other(error).into()))
}

fn found(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_folder_that_is_made_is_private_and_one_that_is_there_stays_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        let mode = |dir: &Path| fs::metadata(dir).unwrap().permissions().mode() & 0o777;
        let (made, shared) = (root.path().join("a/b"), root.path().join("shared"));
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o755)).unwrap();
        make_private(&made).unwrap();
        make_private(&shared).unwrap();
        assert_eq!((mode(&made), mode(&shared)), (0o700, 0o755));
    }
}
