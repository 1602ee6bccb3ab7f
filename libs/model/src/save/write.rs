//! The text of a model's files.

use crate::entity::{
    Casing, DataType, Entity, Enum, Field, FieldSource, Model, RecordId, RecordIdKind, Relation,
    RowPolicy, Source, Stored, TableName,
};
use crate::logic::{Action, ActionBinding, Implementation, Parameter, Rule};
use crate::name::{write_column_path, write_identifier, write_table};
use crate::read::{COMPANY_LENGTH, DECIMAL_SCALE, STRING_LENGTH};

/// What most entities are; the others say so themselves.
pub(super) fn default_visibility(model: &Model) -> bool {
    let visible = model.entities.iter().filter(|it| it.visible).count();
    visible * 2 > model.entities.len()
}

pub(super) fn model(model: &Model, visible: bool) -> String {
    let mut out = Writer::default();
    out.text("name", &model.name);
    out.text_unless("label", &model.label, &model.name);
    out.flag_unless("visible", visible, false);
    if let Some(date) = model.null_date {
        out.line("null_date", date);
    }
    if model.compares_exactly {
        out.text("compare", "exact");
    }
    if let Some(company) = &model.company {
        out.header("[company]");
        out.text("entity", &company.entity);
        out.text("code", &company.code_field);
        out.text("name", &company.name_field);
    }
    for it in &model.enums {
        write_enum(&mut out, it);
    }
    out.0
}

fn write_enum(out: &mut Writer, it: &Enum) {
    out.header("[[enums]]");
    out.text("name", &it.name);
    out.text_unless("label", &it.label, &it.name);
    out.0.push_str("members = [\n");
    for member in &it.members {
        let symbol = quote(&member.symbol);
        let label = quote(&member.label);
        let stored = match &member.stored {
            Stored::Int(it) => it.to_string(),
            Stored::Text(it) => quote(it),
            Stored::Bool(it) => it.to_string(),
        };
        let line = format!("  {{ symbol = {symbol}, label = {label}, stored = {stored} }},\n");
        out.0.push_str(&line);
    }
    out.0.push_str("]\n");
}

pub(super) fn entity(entity: &Entity, visible: bool) -> String {
    let mut out = Writer::default();
    out.text("name", &entity.name);
    out.text_unless("label", &entity.label, &entity.name);
    out.text_unless("collection_label", &entity.collection_label, &entity.label);
    out.text_unless("description", &entity.description, "");
    out.flag_unless("public", entity.public, true);
    out.flag_unless("visible", entity.visible, visible);
    out.flag_unless("change_tracking", entity.change_tracking, false);
    write_record_id(&mut out, &entity.record_id);
    let mut fields = entity.fields.as_slice();
    if let Some(company) = &entity.company {
        out.text("company", &write_column_path(company));
        if let Some((field, others)) = fields.split_first() {
            fields = others;
            write_company_field(&mut out, field);
        }
    }
    if !entity.key.is_empty() {
        out.line("key", list(&entity.key));
    }
    entity.sources.iter().for_each(|it| write_source(&mut out, it));
    fields.iter().for_each(|it| write_field(&mut out, it));
    entity.relations.iter().for_each(|it| write_relation(&mut out, it));
    entity.rules.iter().for_each(|it| write_rule(&mut out, it));
    entity.policies.iter().for_each(|it| write_policy(&mut out, it));
    entity.actions.iter().for_each(|it| write_action(&mut out, it));
    out.0
}

fn write_record_id(out: &mut Writer, record_id: &RecordId) {
    let columns: Vec<_> = record_id.columns.iter().map(|it| write_identifier(it)).collect();
    let default = match columns.as_slice() {
        [column] => {
            out.text("record_id", column);
            RecordIdKind::Integer
        }
        _ => {
            out.line("record_id", list(&columns));
            RecordIdKind::Hash
        }
    };
    if record_id.kind != default {
        let kind = match record_id.kind {
            RecordIdKind::Integer => "integer",
            RecordIdKind::Uuid => "uuid",
            RecordIdKind::Hash => "hash",
        };
        out.text("record_id_kind", kind);
    }
}

fn write_company_field(out: &mut Writer, field: &Field) {
    out.casing("company_casing", field.casing);
    if let DataType::String { max_length } = field.data_type
        && max_length != COMPANY_LENGTH
    {
        out.line("company_max_length", max_length);
    }
}

fn write_source(out: &mut Writer, source: &Source) {
    out.header("[[sources]]");
    out.text("alias", &source.alias);
    out.text("table", &write_table(&source.table));
    out.flag_unless("view", source.is_view, false);
    let Some(join) = &source.join else { return };
    out.text("join", if join.optional { "optional" } else { "inner" });
    let pairs =
        join.columns.iter().map(|it| (write_identifier(&it.column), write_column_path(&it.other)));
    out.pairs("on", pairs);
}

fn write_field(out: &mut Writer, field: &Field) {
    out.header("[[fields]]");
    out.text("name", &field.name);
    let writable = match &field.source {
        FieldSource::Column(path) => {
            out.text("column", &write_column_path(path));
            true
        }
        FieldSource::Expression(sql) => {
            out.text("expression", sql);
            false
        }
    };
    write_type(out, &field.data_type);
    out.text_unless("label", &field.label, &field.name);
    out.text_unless("description", &field.description, "");
    out.flag_unless("nullable", field.nullable, false);
    out.flag_unless("mandatory", field.mandatory, false);
    out.flag_unless("allow_edit_on_create", field.allow_edit_on_create, writable);
    out.flag_unless("allow_edit", field.allow_edit, writable);
    out.casing("casing", field.casing);
    if let Some(storage) = &field.storage {
        out.text("storage", storage);
    }
    for (key, value) in [("default", &field.default), ("min", &field.min), ("max", &field.max)] {
        if let Some(value) = value {
            out.text(key, value);
        }
    }
}

fn write_type(out: &mut Writer, data_type: &DataType) {
    let name = match data_type {
        DataType::String { .. } => "string",
        DataType::Memo => "memo",
        DataType::Integer => "integer",
        DataType::Long => "long",
        DataType::Decimal { .. } => "decimal",
        DataType::Enum(_) => "enum",
        DataType::Boolean => "boolean",
        DataType::Date => "date",
        DataType::DateTime => "datetime",
        DataType::Guid => "guid",
    };
    out.text("type", name);
    match data_type {
        DataType::String { max_length } if *max_length != STRING_LENGTH => {
            out.line("max_length", max_length);
        }
        DataType::Decimal { scale } if *scale != DECIMAL_SCALE => out.line("scale", scale),
        DataType::Enum(name) => out.text("enum", name),
        _ => {}
    }
}

fn write_relation(out: &mut Writer, relation: &Relation) {
    out.header("[[relations]]");
    out.text("name", &relation.name);
    out.text("entity", &relation.entity);
    let pairs = relation.fields.iter().map(|it| (it.field.clone(), it.related.clone()));
    out.pairs("fields", pairs);
}

fn write_rule(out: &mut Writer, rule: &Rule) {
    out.header("[[rules]]");
    out.text("name", &rule.name);
    out.text("check", &rule.check);
    out.text("message", &rule.message);
    if let Some(field) = &rule.field {
        out.text("field", field);
    }
    match (rule.on_create, rule.on_update) {
        (true, false) => out.text("on", "create"),
        (false, true) => out.text("on", "update"),
        _ => {}
    }
}

fn write_policy(out: &mut Writer, policy: &RowPolicy) {
    out.header("[[policies]]");
    out.text("name", &policy.name);
    if !policy.roles.is_empty() {
        out.line("roles", list(&policy.roles));
    }
    out.text("predicate", &policy.predicate);
}

fn write_action(out: &mut Writer, action: &Action) {
    out.header("[[actions]]");
    out.text("name", &action.name);
    out.text_unless("label", &action.label, &action.name);
    out.text_unless("description", &action.description, "");
    let binding = match action.binding {
        ActionBinding::Row => "row",
        ActionBinding::Entity => "entity",
        ActionBinding::None => "none",
    };
    out.text("binding", binding);
    match &action.implementation {
        Implementation::Function { schema, name } => {
            let function = TableName { schema: schema.clone(), name: name.clone() };
            out.text("function", &write_table(&function));
        }
        Implementation::Service(it) => out.text("service", it),
    }
    if let Some(returns) = action.returns {
        out.text("returns", returns.name());
    }
    if !action.parameters.is_empty() {
        out.0.push_str("parameters = [\n");
        action.parameters.iter().for_each(|it| write_parameter(out, it));
        out.0.push_str("]\n");
    }
}

fn write_parameter(out: &mut Writer, it: &Parameter) {
    let (name, kind) = (quote(&it.name), quote(it.value_type.name()));
    out.0.push_str(&format!("  {{ name = {name}, type = {kind}"));
    if it.mandatory {
        out.0.push_str(", mandatory = true");
    }
    if let Some(length) = it.max_length {
        out.0.push_str(&format!(", max_length = {length}"));
    }
    if it.label != it.name {
        out.0.push_str(&format!(", label = {}", quote(&it.label)));
    }
    out.0.push_str(" },\n");
}

/// TOML in the making.
#[derive(Default)]
struct Writer(String);

impl Writer {
    fn header(&mut self, header: &str) {
        self.0.push_str(&format!("\n{header}\n"));
    }

    fn line(&mut self, key: &str, value: impl std::fmt::Display) {
        self.0.push_str(&format!("{key} = {value}\n"));
    }

    fn text(&mut self, key: &str, value: &str) {
        self.line(key, quote(value));
    }

    fn text_unless(&mut self, key: &str, value: &str, default: &str) {
        if value != default {
            self.text(key, value);
        }
    }

    fn flag_unless(&mut self, key: &str, value: bool, default: bool) {
        if value != default {
            self.line(key, value);
        }
    }

    fn casing(&mut self, key: &str, casing: Option<Casing>) {
        match casing {
            Some(Casing::Upper) => self.text(key, "upper"),
            Some(Casing::Lower) => self.text(key, "lower"),
            None => {}
        }
    }

    fn pairs(&mut self, key: &str, pairs: impl Iterator<Item = (String, String)>) {
        let pairs: Vec<_> =
            pairs.map(|(name, value)| format!("{} = {}", bare_key(&name), quote(&value))).collect();
        self.line(key, format!("{{ {} }}", pairs.join(", ")));
    }
}

fn list(values: &[String]) -> String {
    let values: Vec<_> = values.iter().map(|it| quote(it)).collect();
    format!("[{}]", values.join(", "))
}

fn bare_key(name: &str) -> String {
    let is_bare = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-';
    if name.chars().all(is_bare) && !name.is_empty() { name.to_owned() } else { quote(name) }
}

/// A string on one line; a literal one where that spares escapes, as for quoted names.
fn quote(text: &str) -> String {
    let is_literal = |it: char| it != '\'' && !it.is_control();
    if text.contains(['"', '\\']) && text.chars().all(is_literal) {
        return format!("'{text}'");
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for it in text.chars() {
        match it {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            it if it.is_control() => out.push_str(&format!("\\U{:08X}", u32::from(it))),
            it => out.push(it),
        }
    }
    out.push('"');
    out
}
