//! The source `model`: the users file and the model's `security.toml`.

mod security;
mod users_file;

use std::path::PathBuf;

use crate::content::{Role, Source, is_built_in, key};
use crate::import::Import;

/// The files of the source `model` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The users file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The users file is wrong.
    #[error("{}", users_file::join(.0))]
    Users(Vec<Mistake>),
    /// The model is wrong.
    #[error(transparent)]
    Model(#[from] model::LoadError),
}

/// Something wrong in a users file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file.
    pub path: PathBuf,
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

/// Where the files are, if there are any.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) users: Option<PathBuf>,
    /// The model's folder.
    pub(crate) model: Option<PathBuf>,
}

impl Files {
    /// What the files say; nothing, where there are none to say it.
    pub(crate) fn load(&self) -> Result<Option<Import>, SourceError> {
        if self.users.is_none() && self.model.is_none() {
            return Ok(None);
        }
        let mut import = match &self.model {
            Some(dir) => security::load(dir)?,
            None => Import { source: Source::Model, ..Import::default() },
        };
        if let Some(path) = &self.users {
            let users = users_file::read(path)?;
            import.users = users.users;
            import.roles.extend(users.roles);
            import.privileges.extend(users.privileges);
            import.implied_roles = implied(users.named_roles, &import.roles);
        }
        Ok(Some(import))
    }
}

/// Roles that users are given and the files do not define.
fn implied(named: Vec<String>, defined: &[Role]) -> Vec<String> {
    let defined: Vec<_> = defined.iter().map(|it| key(&it.name)).collect();
    named.into_iter().filter(|it| !is_built_in(it) && !defined.contains(&key(it))).collect()
}
