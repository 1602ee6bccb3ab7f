//! Secrets, by name: files in one folder, read each time they are needed so that they can be replaced.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const LONGEST: u64 = 64 * 1024;
const LONGEST_NAME: usize = 127;

/// Where secrets are.
#[derive(Clone, Debug)]
pub(crate) struct Secrets {
    dir: PathBuf,
}

impl Secrets {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The secret of a name; none where there is no such file.
    pub(crate) fn read(&self, name: &str) -> io::Result<Option<String>> {
        if !is_name(name) {
            return Ok(None);
        }
        let path: &Path = &self.dir.join(name);
        let length = match fs::metadata(path) {
            Ok(it) if it.is_file() => it.len(),
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if length > LONGEST {
            return Err(io::Error::other("the secret's file is too long"));
        }
        let text = fs::read_to_string(path)?;
        Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()).filter(|it| !it.is_empty()))
    }
}

/// Whether a name may be a secret's: a file of the folder, and none of those that are hidden.
pub(crate) fn is_name(name: &str) -> bool {
    let fits = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '_' | '-');
    name.len() <= LONGEST_NAME
        && name.starts_with(|it: char| it.is_ascii_alphanumeric())
        && name.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_no_other_folder() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("secrets");
        fs::create_dir(&inner).unwrap();
        fs::write(dir.path().join("other"), "x").unwrap();
        fs::write(inner.join("crm"), "s3cret\n").unwrap();
        fs::write(inner.join(".hidden"), "x").unwrap();
        let secrets = Secrets::new(inner);
        assert_eq!(secrets.read("crm").unwrap().as_deref(), Some("s3cret"));
        for bad in ["", ".", "..", "../other", ".hidden", "a/b", "none", "crm\0"] {
            assert_eq!(secrets.read(bad).unwrap(), None, "{bad}");
        }
    }
}
