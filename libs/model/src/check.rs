//! What takes several files to see: names that two of them use, and names that none of them has.

use std::collections::{HashMap, HashSet};

use crate::entity::{Entity, Relation};
use crate::read::{DraftEntity, Settings};
use crate::toml_reader::Document;

pub(crate) fn across(
    settings_file: &Document<'_>,
    settings: &Settings,
    files: &[Document<'_>],
    drafts: &[DraftEntity],
) {
    let all_read = drafts.iter().all(|it| it.is_read);
    let entities: HashMap<_, _> =
        drafts.iter().map(|it| (it.entity.name.as_str(), &it.entity)).collect();

    let mut seen = HashSet::new();
    for (file, draft) in files.iter().zip(drafts) {
        let name = &draft.entity.name;
        if !name.is_empty() && !seen.insert(name.to_ascii_lowercase()) {
            file.report(draft.name_line, format!("entity `{name}` is there twice"));
        }
        for (relation, line) in draft.entity.relations.iter().zip(&draft.relation_lines) {
            for reason in relation_problems(relation, &entities, all_read) {
                file.report(*line, reason);
            }
        }
    }
    let mut seen = HashSet::new();
    for (line, name) in &settings.enum_names {
        if !name.is_empty() && !seen.insert(name.to_ascii_lowercase()) {
            settings_file.report(*line, format!("enum `{name}` is there twice"));
        }
    }
    check_company(settings_file, settings, &entities, all_read);
}

/// With a file unread, an entity that seems absent may be in it.
fn relation_problems(
    relation: &Relation,
    entities: &HashMap<&str, &Entity>,
    all_read: bool,
) -> Vec<String> {
    let Relation { name, entity, fields } = relation;
    let Some(target) = entities.get(entity.as_str()) else {
        let absent = all_read && !entity.is_empty();
        let reason = || format!("relation `{name}`: the model has no entity `{entity}`");
        return absent.then(reason).into_iter().collect();
    };
    let unknown = fields.iter().filter(|it| target.field(&it.related).is_none());
    let reason = |it: &str| format!("relation `{name}`: `{entity}` has no field `{it}`");
    unknown.map(|it| reason(&it.related)).collect()
}

fn check_company(
    file: &Document<'_>,
    settings: &Settings,
    entities: &HashMap<&str, &Entity>,
    all_read: bool,
) {
    let Some(company) = &settings.model.company else { return };
    let line = settings.company_line;
    let Some(entity) = entities.get(company.entity.as_str()) else {
        if all_read && !company.entity.is_empty() {
            file.report(line, format!("`company`: the model has no entity `{}`", company.entity));
        }
        return;
    };
    for field in [&company.code_field, &company.name_field] {
        if !field.is_empty() && entity.field(field).is_none() {
            file.report(line, format!("`company`: `{}` has no field `{field}`", company.entity));
        }
    }
}
