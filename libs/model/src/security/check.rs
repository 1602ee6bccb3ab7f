//! Names that are there twice, and names of what is not there.

use std::collections::HashSet;

use super::read::{Draft, DraftGrant};
use crate::entity::{Entity, Model};
use crate::toml_reader::{At, Document};

/// Every one.
const ALL: &str = "*";
/// Names are part of resource names (`roles/NAME`).
const LONGEST_NAME: usize = 200;

pub(super) fn check(document: &Document<'_>, draft: &Draft, model: &Model) {
    let duties = unique(document, "duty", draft.duties.iter().map(|it| &it.name));
    let privileges = unique(document, "privilege", draft.privileges.iter().map(|it| &it.name));
    unique(document, "role", draft.roles.iter().map(|it| &it.name));

    let known = |kind: &str, names: &HashSet<String>, given: &[At<String>]| {
        for At { line, value } in given {
            if !value.is_empty() && !names.contains(&value.to_ascii_lowercase()) {
                document.report(*line, format!("there is no {kind} `{value}` in this file"));
            }
        }
    };
    for role in &draft.roles {
        known("duty", &duties, &role.duties);
        known("privilege", &privileges, &role.privileges);
    }
    for duty in &draft.duties {
        known("privilege", &privileges, &duty.privileges);
    }
    for grant in draft.privileges.iter().flat_map(|it| &it.grants) {
        check_grant(document, grant, model);
    }
}

/// The names in lower case.
fn unique<'n>(
    document: &Document<'_>,
    kind: &str,
    names: impl Iterator<Item = &'n At<String>>,
) -> HashSet<String> {
    let mut seen = HashSet::new();
    for At { line, value } in names.filter(|it| !it.value.is_empty()) {
        let is_odd = |it: char| it == '/' || it.is_control();
        if value.len() > LONGEST_NAME || value.contains(is_odd) || value.trim() != value {
            let rule = format!(
                "1 to {LONGEST_NAME} bytes without `/`, without control characters, and without \
                 space at its ends"
            );
            document.report(*line, format!("`{value}` cannot be the name of a {kind}: {rule}"));
        }
        if !seen.insert(value.to_ascii_lowercase()) {
            document.report(*line, format!("{kind} `{value}` is there twice"));
        }
    }
    seen
}

fn check_grant(document: &Document<'_>, grant: &DraftGrant, model: &Model) {
    let mut granted: Vec<&Entity> = Vec::new();
    for At { line, value } in grant.entities.iter().filter(|it| !it.value.is_empty()) {
        if value == ALL {
            granted.extend(&model.entities);
            continue;
        }
        match model.entities.iter().find(|it| it.name == *value) {
            Some(entity) => granted.push(entity),
            None => document.report(*line, format!("the model has no entity `{value}`")),
        }
    }
    // Fields of native tables are not known here.
    if !grant.tables.is_empty() || granted.is_empty() {
        return;
    }
    for At { line, value } in grant.hidden_fields.iter().chain(&grant.read_only_fields) {
        let is_known = granted.iter().any(|it| it.field(value).is_some());
        if !value.is_empty() && !is_known {
            document.report(*line, format!("no entity of the grant has a field `{value}`"));
        }
    }
}
