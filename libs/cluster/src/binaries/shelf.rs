//! A copy of fetched programs where the account can reach them, for a checkout under `/root`.

use crate::Error;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Copies the tree `root`, which holds `bin`, to the shelf, unless this very tree was copied before;
/// answers the copy of `bin`.
pub(super) fn copy(shelf: &Path, root: &Path, bin: &Path) -> Result<PathBuf, Error> {
    let program = bin.join("postgres");
    let metadata = fs::metadata(&program).map_err(Error::io("cannot read", &program))?;
    let version = format!("{}:{}:{}", program.display(), metadata.len(), metadata.mtime());
    let name = format!("postgres-{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, version.as_bytes()));
    let copied = shelf.join(name);
    let inside = bin.strip_prefix(root).unwrap_or(Path::new("bin"));
    if !copied.is_dir() {
        fs::create_dir_all(shelf).map_err(Error::io("cannot create", shelf))?;
        let aside = tempfile::Builder::new()
            .prefix("copying-")
            .tempdir_in(shelf)
            .map_err(Error::io("cannot create a directory in", shelf))?;
        let tree = aside.path().join("tree");
        copy_tree(root, &tree)?;
        // A second process may have been first: its copy is as good.
        if let Err(error) = fs::rename(&tree, &copied)
            && !copied.is_dir()
        {
            return Err(Error::io("cannot create", &copied)(error));
        }
    }
    Ok(copied.join(inside))
}

fn copy_tree(from: &Path, to: &Path) -> Result<(), Error> {
    fs::create_dir(to).map_err(Error::io("cannot create", to))?;
    readable(to, 0o755)?;
    for entry in fs::read_dir(from).map_err(Error::io("cannot list", from))? {
        let entry = entry.map_err(Error::io("cannot list", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(Error::io("cannot read", &source))?;
        if kind.is_dir() {
            copy_tree(&source, &target)?;
        } else if kind.is_symlink() {
            let link = fs::read_link(&source).map_err(Error::io("cannot read", &source))?;
            symlink(link, &target).map_err(Error::io("cannot create", &target))?;
        } else {
            fs::copy(&source, &target).map_err(Error::io("cannot copy", &source))?;
            let mode = fs::metadata(&target).map_err(Error::io("cannot read", &target))?.mode();
            readable(&target, if mode & 0o100 == 0 { 0o644 } else { 0o755 })?;
        }
    }
    Ok(())
}

fn readable(path: &Path, mode: u32) -> Result<(), Error> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(Error::io("cannot set the mode of", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_copied_once_with_its_links_and_readable_for_all() {
        let root = tempfile::tempdir().unwrap();
        let tree = root.path().join("fetched");
        let bin = tree.join("package/bin");
        fs::create_dir_all(&bin).unwrap();
        fs::write(bin.join("postgres"), "program").unwrap();
        readable(&bin.join("postgres"), 0o700).unwrap();
        fs::write(tree.join("package/share"), "text").unwrap();
        readable(&tree.join("package/share"), 0o600).unwrap();
        symlink("package/bin", tree.join("bin")).unwrap();
        let shelf = root.path().join("shelf");

        let copied = copy(&shelf, &tree, &bin).unwrap();
        assert_eq!(copied, copy(&shelf, &tree, &bin).unwrap());
        let top = copied.parent().and_then(Path::parent).unwrap();
        assert_eq!(fs::read_link(top.join("bin")).unwrap(), Path::new("package/bin"));
        for (path, mode) in [("bin/postgres", 0o755), ("package/share", 0o644), ("package", 0o755)]
        {
            let found = fs::metadata(top.join(path)).unwrap().mode() & 0o777;
            assert_eq!(found, mode, "{path}");
        }
        assert_eq!(fs::read_dir(&shelf).unwrap().count(), 1, "nothing else is left");
    }
}
