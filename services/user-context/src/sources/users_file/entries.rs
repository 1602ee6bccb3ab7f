//! A users file as it is written.

use serde::Deserialize;
use toml::Spanned;
use uuid::Uuid;

use crate::content::Operation;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileEntry {
    #[serde(default)]
    pub(super) users: Vec<UserEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserEntry {
    pub(super) name: Spanned<String>,
    pub(super) label: Option<String>,
    pub(super) erp_user: Option<Spanned<String>>,
    pub(super) object_id: Option<Spanned<Uuid>>,
    pub(super) application_id: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) roles: Vec<String>,
    #[serde(default)]
    pub(super) administrator: bool,
    #[serde(default)]
    pub(super) disabled: bool,
    #[serde(default)]
    pub(super) serves_portal: bool,
    pub(super) acts_on_behalf: Option<bool>,
    #[serde(default)]
    pub(super) companies: Vec<Spanned<String>>,
    pub(super) time_zone: Option<Spanned<String>>,
    pub(super) language: Option<Spanned<i64>>,
    #[serde(default)]
    pub(super) privileges: Vec<PrivilegeEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PrivilegeEntry {
    #[serde(default)]
    pub(super) entities: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) tables: Vec<Spanned<String>>,
    pub(super) access: Spanned<AccessEntry>,
    #[serde(default)]
    pub(super) hidden_fields: Vec<String>,
    #[serde(default)]
    pub(super) read_only_fields: Vec<String>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "`access` is \"read\", \"write\", or a list of \"read\", \"create\", \"update\", \
                 \"delete\" and \"invoke\""
)]
pub(super) enum AccessEntry {
    Word(Word),
    Operations(Vec<Operation>),
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    Read,
    Write,
}

impl AccessEntry {
    pub(super) fn operations(&self) -> Vec<Operation> {
        match self {
            Self::Word(Word::Read) => vec![Operation::Read],
            Self::Word(Word::Write) => Operation::ALL.to_vec(),
            Self::Operations(operations) => operations.clone(),
        }
    }
}
