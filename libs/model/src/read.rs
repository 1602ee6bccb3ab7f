//! From TOML to the types of a model, one file at a time: everything that one file can tell about
//! itself is checked here, what takes several files in `check`.

mod entity;
mod field;
mod logic;

pub(crate) use entity::{COMPANY_LENGTH, DraftEntity, read_entity};
pub(crate) use field::{DECIMAL_SCALE, STRING_LENGTH};

use std::collections::HashSet;

use chrono::NaiveDate;

use crate::entity::{CompanySettings, Enum, Member, Model, Stored};
use crate::name::check_platform_name;
use crate::toml_reader::{At, Document, Scalar, Table};

/// What `model.toml` says.
pub(crate) struct Settings {
    /// Without entities yet.
    pub(crate) model: Model,
    /// The enums' names as they stand in the file.
    pub(crate) enum_names: Vec<(u32, String)>,
    /// Where the company table is named.
    pub(crate) company_line: u32,
    /// What entities are that do not say.
    pub(crate) visible: bool,
    /// False after a mistake in `model.toml`, when an unknown enum may be no mistake elsewhere.
    pub(crate) enums_known: bool,
}

pub(crate) fn read_model(document: &Document<'_>) -> Settings {
    let mut settings = Settings {
        model: Model {
            name: String::new(),
            label: String::new(),
            null_date: None,
            compares_exactly: false,
            company: None,
            enums: Vec::new(),
            entities: Vec::new(),
        },
        enum_names: Vec::new(),
        company_line: 0,
        visible: false,
        enums_known: false,
    };
    let Some(mut root) = document.root() else { return settings };
    let name = root.required_text("name").value;
    settings.model.label = root.text("label").map_or_else(|| name.clone(), |it| it.value);
    settings.model.name = name;
    settings.visible = root.flag("visible").is_some_and(|it| it.value);
    settings.model.null_date = read_null_date(&mut root);
    settings.model.compares_exactly = read_comparison(&mut root);
    if let Some(company) = root.table("company") {
        settings.company_line = company.line();
        settings.model.company = Some(read_company(company));
    }
    for table in root.tables("enums") {
        let (line, it) = read_enum(table);
        settings.enum_names.push((line, it.name.clone()));
        settings.model.enums.push(it);
    }
    settings.enums_known = true;
    root.finish();
    settings
}

fn read_null_date(root: &mut Table<'_>) -> Option<NaiveDate> {
    let At { line, value } = root.date("null_date")?;
    let date = NaiveDate::from_ymd_opt(value.year.into(), value.month.into(), value.day.into());
    if date.is_none() {
        root.report(line, format!("`null_date`: there is no day {value}"));
    }
    date
}

/// Whether texts are told apart by letter case.
fn read_comparison(root: &mut Table<'_>) -> bool {
    let Some(At { line, value }) = root.text("compare") else { return false };
    match value.as_str() {
        "exact" => return true,
        "caseless" => {}
        _ => root.report(line, "`compare` must be caseless or exact"),
    }
    false
}

fn read_company(mut table: Table<'_>) -> CompanySettings {
    let company = CompanySettings {
        entity: table.required_text("entity").value,
        code_field: table.required_text("code").value,
        name_field: table.required_text("name").value,
    };
    table.finish();
    company
}

fn read_enum(mut table: Table<'_>) -> (u32, Enum) {
    let name = read_name(&mut table);
    let label = table.text("label").map_or_else(|| name.value.clone(), |it| it.value);
    let members: Vec<_> = table.tables("members").into_iter().map(read_member).collect();
    check_members(&table, &name, &members);
    table.finish();
    let members = members.into_iter().map(|it| it.value).collect();
    (name.line, Enum { name: name.value, label, members })
}

fn read_member(mut table: Table<'_>) -> At<Member> {
    let line = table.line();
    let symbol = table.required_text("symbol").value;
    let label = table.text("label").map_or_else(|| symbol.clone(), |it| it.value);
    if !table.has("stored") {
        table.report(line, "`stored` is missing");
    }
    let stored = match table.scalar("stored").map(|it| it.value) {
        Some(Scalar::Int(it)) => Stored::Int(it),
        Some(Scalar::Bool(it)) => Stored::Bool(it),
        Some(Scalar::Text(it)) => Stored::Text(it),
        None => Stored::Text(symbol.clone()),
    };
    table.finish();
    At { line, value: Member { symbol, label, stored } }
}

fn check_members(table: &Table<'_>, name: &At<String>, members: &[At<Member>]) {
    let Some(first) = members.first() else {
        table.report(name.line, format!("enum `{}` has no members", name.value));
        return;
    };
    let kind = std::mem::discriminant(&first.value.stored);
    for (index, At { line, value: member }) in members.iter().enumerate() {
        let mut before = members.iter().take(index).map(|it| &it.value);
        if before.clone().any(|it| it.symbol == member.symbol) {
            table.report(*line, format!("symbol `{}` is there twice", member.symbol));
        }
        if before.any(|it| it.stored == member.stored) {
            let reason = format!("`{}` stores what another member stores", member.symbol);
            table.report(*line, reason);
        }
        if std::mem::discriminant(&member.stored) != kind {
            let reason = format!("`{}` stores another kind than the first member", member.symbol);
            table.report(*line, reason);
        }
    }
}

/// A name that is usable on the platform.
fn read_name(table: &mut Table<'_>) -> At<String> {
    let name = table.required_text("name");
    if !name.value.is_empty() {
        table.check(name.line, check_platform_name(&name.value));
    }
    name
}

/// The names that are there twice, without regard to case.
fn report_twice<'n>(
    names: impl IntoIterator<Item = &'n At<String>>,
    mut report: impl FnMut(&'n At<String>),
) {
    let mut seen = HashSet::new();
    for name in names {
        if !name.value.is_empty() && !seen.insert(name.value.to_ascii_lowercase()) {
            report(name);
        }
    }
}
