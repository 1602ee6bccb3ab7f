//! `security.toml`: who may do what with the entities of a model, and where the ERP itself says so.
//!
//! The file is optional. Names of duties, privileges, entities and fields are checked against the file
//! and the model; names of native tables are the platform's and are taken as they are.

mod check;
mod read;

use std::fs;
use std::io;
use std::path::Path;

use crate::entity::Model;
use crate::load::{File, LoadError, Problem};
use crate::toml_reader::Document;

/// The file's name in a model's folder.
const FILE: &str = "security.toml";

/// Roles, duties and privileges of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// What users are in the organization.
    pub roles: Vec<SecurityRole>,
    /// Parts of business processes.
    pub duties: Vec<Duty>,
    /// What it takes to do one job.
    pub privileges: Vec<SecurityPrivilege>,
    /// How users and their rights are read from the ERP's own tables.
    pub import: Option<DirectoryQueries>,
}

/// What a user is in the organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityRole {
    /// Unique among roles, without regard to case.
    pub name: String,
    /// For people.
    pub label: String,
    /// Names of duties.
    pub duties: Vec<String>,
    /// Names of privileges that come without a duty.
    pub privileges: Vec<String>,
}

/// A part of a business process: a set of privileges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duty {
    /// Unique among duties, without regard to case.
    pub name: String,
    /// For people.
    pub label: String,
    /// Names of privileges.
    pub privileges: Vec<String>,
}

/// What it takes to do one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityPrivilege {
    /// Unique among privileges, without regard to case.
    pub name: String,
    /// For people.
    pub label: String,
    /// At least one.
    pub grants: Vec<EntityGrant>,
}

/// What may be done with some entities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityGrant {
    /// Names of data entities; `*` for every one.
    pub entities: Vec<String>,
    /// Logical names of native tables; `*` for every one.
    pub tables: Vec<String>,
    /// At least one.
    pub operations: Vec<EntityOperation>,
    /// Fields that this grant does not let see.
    pub hidden_fields: Vec<String>,
    /// Fields that this grant does not let write.
    pub read_only_fields: Vec<String>,
}

/// What can be done with an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntityOperation {
    /// See rows.
    Read,
    /// Make rows.
    Create,
    /// Change rows.
    Update,
    /// Delete rows.
    Delete,
    /// Run actions.
    Invoke,
}

/// SQL queries of the ERP's own users and rights. What each selects is in `docs/model-format.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryQueries {
    /// A row for each user.
    pub users: String,
    /// A row for each role.
    pub roles: Option<String>,
    /// A row for each role of a user.
    pub user_roles: Option<String>,
    /// A row for each legal entity of a user.
    pub user_companies: Option<String>,
    /// A row for each entity that a role may touch.
    pub grants: Option<String>,
    /// A row for each field that a role may not see, or not write.
    pub field_grants: Option<String>,
}

// === impl Security ===

impl Security {
    /// Reads the `security.toml` of the model in `dir`; without one, nobody is given anything.
    ///
    /// # Errors
    ///
    /// Every mistake in the file, or that it cannot be read.
    pub fn load(dir: &Path, model: &Model) -> Result<Self, LoadError> {
        let path = dir.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(File { path: &path, text: &text }, model),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => {
                let problem = Problem { file: path, line: 0, reason: error.to_string() };
                Err(LoadError { problems: vec![problem] })
            }
        }
    }

    /// The same of text that is already in memory.
    ///
    /// # Errors
    ///
    /// Every mistake in it.
    pub fn parse(file: File<'_>, model: &Model) -> Result<Self, LoadError> {
        let document = Document::new(file.path, file.text);
        let draft = read::read(&document);
        check::check(&document, &draft, model);
        let security = draft.security();
        let problems = document.into_problems();
        if problems.is_empty() { Ok(security) } else { Err(LoadError { problems }) }
    }
}

// === impl EntityOperation ===

impl EntityOperation {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Read, Self::Create, Self::Update, Self::Delete, Self::Invoke];

    /// As files spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Invoke => "invoke",
        }
    }
}
