//! What an installation is told to do, and when.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use chrono::{DateTime, Utc};
use croner::Cron;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::secrets;

const MOST_TABLES: usize = 500;
const LONGEST_NAME: usize = 128;
const DEEPEST_FOLDER: usize = 8;

/// The parameters that the add-in's schema describes (`services/lifecycle/add-ins/data-export.toml`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// Names of entity sets.
    pub(crate) tables: Vec<String>,
    /// Below the output root.
    pub(crate) folder: String,
    /// A cron expression, in UTC.
    pub(crate) schedule: String,
    pub(crate) client_id: String,
    /// The name of the secret.
    pub(crate) client_secret: String,
    /// Where tokens are got; where the Web API says, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_url: Option<String>,
}

/// When runs are due.
#[derive(Clone, Debug)]
pub(crate) struct Schedule(Cron);

// === impl Parameters ===

impl Parameters {
    /// Reads what the lifecycle service was given, and checks all that needs nobody else.
    pub(crate) fn parse(json: &str) -> Result<Self, Error> {
        let parameters: Self = serde_json::from_str(json).map_err(|it| {
            Error::Parameters(format!("the parameters do not fit the schema: {it}"))
        })?;
        parameters.check().map_err(Error::Parameters)?;
        Ok(parameters)
    }

    pub(crate) fn schedule(&self) -> Result<Schedule, Error> {
        let wrong = |it| Error::Parameters(format!("`schedule` is no cron expression: {it}"));
        Cron::from_str(&self.schedule).map(Schedule).map_err(wrong)
    }

    fn check(&self) -> Result<(), String> {
        if self.tables.is_empty() || self.tables.len() > MOST_TABLES {
            return Err(format!("`tables` must name 1 to {MOST_TABLES} tables"));
        }
        let mut seen = BTreeSet::new();
        for table in &self.tables {
            if !is_set_name(table) {
                return Err(format!("`tables`: `{table}` cannot be an entity set's name"));
            }
            // They become names of folders, which not every file system tells apart by case.
            if !seen.insert(table.to_ascii_lowercase()) {
                return Err(format!("`tables` names `{table}` twice"));
            }
        }
        if !is_folder(&self.folder) {
            return Err("`folder` must be relative: names of letters, digits, `.`, `_` and `-` \
                        that begin with a letter or digit, with `/` between them"
                .to_owned());
        }
        if self.client_id.trim().is_empty() {
            return Err("`client_id` must not be empty".to_owned());
        }
        if !secrets::is_name(&self.client_secret) {
            return Err("`client_secret` must be the name of a secret".to_owned());
        }
        let next = self.schedule().map_err(|it| it.to_string())?.after(Utc::now());
        next.map(drop).ok_or_else(|| "`schedule` never comes".to_owned())
    }
}

fn is_set_name(name: &str) -> bool {
    let fits = |it: char| it.is_ascii_alphanumeric() || it == '_';
    name.len() <= LONGEST_NAME
        && name.starts_with(|it: char| it.is_ascii_alphabetic())
        && name.chars().all(fits)
}

fn is_folder(path: &str) -> bool {
    let fits = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '_' | '-');
    let is_part = |part: &str| {
        part.len() <= LONGEST_NAME
            && part.starts_with(|it: char| it.is_ascii_alphanumeric())
            && part.chars().all(fits)
    };
    path.split('/').count() <= DEEPEST_FOLDER && path.split('/').all(is_part)
}

// === impl Schedule ===

impl Schedule {
    /// The first moment after this one; none if there is none.
    pub(crate) fn after(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.0.find_next_occurrence(&moment, false).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn with(change: impl FnOnce(&mut Value)) -> Result<Parameters, Error> {
        let mut value = json!({
            "tables": ["accounts", "mserp_salesorderheaders"],
            "folder": "contoso/export-1",
            "schedule": "*/15 * * * *",
            "client_id": "6f5c",
            "client_secret": "export.secret",
        });
        change(&mut value);
        Parameters::parse(&value.to_string())
    }

    #[test]
    fn what_fits_is_taken() {
        assert_eq!(with(|_| {}).unwrap().token_url, None);
        let secondly = with(|it| it["schedule"] = json!("* * * * * *")).unwrap();
        let noon = "2026-03-01T12:00:00Z".parse().unwrap();
        let next = secondly.schedule().unwrap().after(noon).unwrap();
        assert_eq!(next.to_rfc3339(), "2026-03-01T12:00:01+00:00");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let check = |member: &str, value: Value| {
            let refused = with(|it| it[member] = value.clone()).unwrap_err();
            assert!(refused.to_string().contains(member), "{member} {value}: {refused}");
        };
        check("tables", json!([]));
        check("tables", json!(["accounts", "Accounts"]));
        for bad in ["", "a/b", "..", "a.b", "_x", "a?$top=1", "1a", "é"] {
            check("tables", json!([bad]));
        }
        for bad in
            ["", "/a", "../a", "a/../b", "a//b", "a/", ".", "a\\b", "_a", ".a", "a\0", "C:x", "~"]
        {
            check("folder", json!(bad));
        }
        check("folder", json!("a/".repeat(20) + "a"));
        check("client_id", json!(" "));
        for bad in ["", "../x", "a/b", ".x"] {
            check("client_secret", json!(bad));
        }
        for bad in ["", "sometimes", "61 * * * *", "0 0 31 2 *"] {
            check("schedule", json!(bad));
        }
        check("unknown", json!(1));
        assert!(Parameters::parse("[]").is_err());
    }
}
