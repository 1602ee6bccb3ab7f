//! One entity file.

use crate::entity::{
    COMPANY_FIELD, Casing, ColumnPath, DataType, Entity, Field, FieldSource, Join, JoinColumn,
    RecordId, RecordIdKind, Relation, RelationField, RowPolicy, Source, TableName,
};
use crate::logic::{Action, Rule};
use crate::name::{check_platform_name, parse_column_path, parse_identifier, parse_table};
use crate::read::field::{read_casing, read_field};
use crate::read::logic::{check_expression, read_action, read_policy, read_rule};
use crate::read::{Settings, read_name, report_twice};
use crate::toml_reader::{At, Document, Table};

/// The width of a legal entity's code where nothing is said.
pub(crate) const COMPANY_LENGTH: u32 = 4;

/// An entity, and the lines that checks across files point at.
pub(crate) struct DraftEntity {
    pub(crate) entity: Entity,
    pub(crate) name_line: u32,
    /// One for each relation.
    pub(crate) relation_lines: Vec<u32>,
    /// False if the file is no TOML: what it has is not known.
    pub(crate) is_read: bool,
}

pub(crate) fn read_entity(document: &Document<'_>, settings: &Settings) -> DraftEntity {
    match document.root() {
        Some(root) => Reader { root }.read(settings),
        None => DraftEntity {
            entity: Entity {
                name: String::new(),
                label: String::new(),
                collection_label: String::new(),
                description: String::new(),
                public: true,
                visible: false,
                sources: Vec::new(),
                record_id: RecordId { kind: RecordIdKind::Integer, columns: Vec::new() },
                company: None,
                key: Vec::new(),
                fields: Vec::new(),
                relations: Vec::new(),
                rules: Vec::new(),
                actions: Vec::new(),
                policies: Vec::new(),
                change_tracking: false,
            },
            name_line: 0,
            relation_lines: Vec::new(),
            is_read: false,
        },
    }
}

struct Reader<'a> {
    root: Table<'a>,
}

impl Reader<'_> {
    fn read(mut self, settings: &Settings) -> DraftEntity {
        let name = read_name(&mut self.root);
        let label = self.text_or("label", &name.value);
        let collection_label = self.text_or("collection_label", &label);
        let description = self.text_or("description", "");
        let public = self.root.flag("public").is_none_or(|it| it.value);
        let visible = self.root.flag("visible").map_or(settings.visible, |it| it.value);
        let sources = self.sources();
        let record_id = self.record_id();
        let company_field = self.company(&sources);
        let company = match company_field.as_ref().map(|it| &it.source) {
            Some(FieldSource::Column(path)) => Some(path.clone()),
            _ => None,
        };
        let fields = self.fields(company_field, &sources, settings);
        let key = self.key(&fields);
        let (relations, relation_lines) = self.relations(&fields);
        let rules = self.rules(&fields);
        let actions = self.actions();
        let policies = self.policies();
        let change_tracking = self.root.flag("change_tracking").is_some_and(|it| it.value);
        let name_line = name.line;
        let entity = Entity {
            name: name.value,
            label,
            collection_label,
            description,
            public,
            visible,
            sources,
            record_id,
            company,
            key,
            fields,
            relations,
            rules,
            actions,
            policies,
            change_tracking,
        };
        self.root.finish();
        DraftEntity { entity, name_line, relation_lines, is_read: true }
    }

    fn text_or(&mut self, key: &str, default: &str) -> String {
        self.root.text(key).map_or_else(|| default.to_owned(), |it| it.value)
    }

    fn sources(&mut self) -> Vec<Source> {
        let tables = self.root.tables("sources");
        if tables.is_empty() {
            self.root.report(self.root.line(), "`sources` is missing: an entity needs a table");
        }
        let mut sources = Vec::with_capacity(tables.len());
        for table in tables {
            let source = read_source(table, &sources);
            sources.push(source);
        }
        sources
    }

    fn record_id(&mut self) -> RecordId {
        let unread = RecordId { kind: RecordIdKind::Integer, columns: Vec::new() };
        let kind = self.root.text("record_id_kind");
        if !self.root.has("record_id") {
            self.root.report(self.root.line(), "`record_id` is missing");
        }
        let Some(names) = self.root.texts("record_id") else { return unread };
        let mut columns = Vec::with_capacity(names.value.len());
        for At { line, value } in &names.value {
            let Some(column) = self.root.check(*line, parse_identifier(value)) else { continue };
            if columns.contains(&column) {
                self.root.report(*line, format!("`record_id` names `{column}` twice"));
            }
            columns.push(column);
        }
        if names.value.is_empty() {
            self.root.report(names.line, "`record_id` names no column");
        }
        let several = names.value.len() > 1;
        let Some(kind) = kind else {
            let kind = if several { RecordIdKind::Hash } else { RecordIdKind::Integer };
            return RecordId { kind, columns };
        };
        let kind = match kind.value.as_str() {
            "integer" | "uuid" if several => {
                let reason = format!("a record id of kind {} is one column", kind.value);
                self.root.report(kind.line, reason);
                RecordIdKind::Hash
            }
            "integer" => RecordIdKind::Integer,
            "uuid" => RecordIdKind::Uuid,
            "hash" => RecordIdKind::Hash,
            _ => {
                self.root.report(kind.line, "`record_id_kind` must be integer, uuid or hash");
                RecordIdKind::Hash
            }
        };
        RecordId { kind, columns }
    }

    /// The field that the legal entity's column gives.
    fn company(&mut self, sources: &[Source]) -> Option<Field> {
        let path = self.root.text("company");
        let casing = read_casing(&mut self.root, "company_casing");
        let max_length = self.root.number("company_max_length", 1);
        let Some(path) = path else {
            let stray = casing.map(|it| it.line).or(max_length.map(|it| it.line));
            if let Some(line) = stray {
                self.root.report(line, "this says something of `company`, which is missing");
            }
            return None;
        };
        let column = self.root.check(path.line, parse_known_path(&path.value, sources))?;
        Some(company_field(column, casing.map(|it| it.value), max_length.map(|it| it.value)))
    }

    fn fields(
        &mut self,
        company: Option<Field>,
        sources: &[Source],
        settings: &Settings,
    ) -> Vec<Field> {
        let tables = self.root.tables("fields");
        if tables.is_empty() {
            self.root.report(self.root.line(), "`fields` is missing: an entity needs a field");
        }
        let has_company = company.is_some();
        let mut fields: Vec<_> = company.into_iter().collect();
        let mut names = Vec::new();
        let mut defaults = Vec::new();
        for table in tables {
            let (name, default_line, field) = read_field(table, sources, settings);
            defaults.extend(default_line.map(|line| (line, fields.len())));
            fields.push(field);
            names.push(name);
        }
        for (line, index) in defaults {
            let default = fields.get(index).and_then(|it| it.default.as_deref());
            check_expression(&self.root, "default", line, default.unwrap_or_default(), &fields);
        }
        for name in &names {
            if has_company && name.value.eq_ignore_ascii_case(COMPANY_FIELD) {
                let reason = format!("`company` gives the field `{COMPANY_FIELD}` already");
                self.root.report(name.line, reason);
            }
        }
        report_twice(&names, |it| {
            self.root.report(it.line, format!("field `{}` is there twice", it.value));
        });
        fields
    }

    fn key(&mut self, fields: &[Field]) -> Vec<String> {
        let Some(names) = self.root.texts("key") else { return Vec::new() };
        for name in &names.value {
            if !fields.iter().any(|it| it.name == name.value) {
                let reason = format!("`key` names `{}`, which is no field", name.value);
                self.root.report(name.line, reason);
            }
        }
        report_twice(&names.value, |it| {
            self.root.report(it.line, format!("`key` names `{}` twice", it.value));
        });
        names.value.into_iter().map(|it| it.value).collect()
    }

    fn relations(&mut self, fields: &[Field]) -> (Vec<Relation>, Vec<u32>) {
        let mut names = Vec::new();
        let mut relations = Vec::new();
        for table in self.root.tables("relations") {
            let (name, relation) = read_relation(table, fields);
            names.push(name);
            relations.push(relation);
        }
        report_twice(&names, |it| {
            self.root.report(it.line, format!("relation `{}` is there twice", it.value));
        });
        (relations, names.iter().map(|it| it.line).collect())
    }

    fn rules(&mut self, fields: &[Field]) -> Vec<Rule> {
        let tables = self.root.tables("rules");
        let (names, rules): (Vec<_>, Vec<_>) =
            tables.into_iter().map(|it| read_rule(it, fields)).unzip();
        report_twice(&names, |it| {
            self.root.report(it.line, format!("rule `{}` is there twice", it.value));
        });
        rules
    }

    fn actions(&mut self) -> Vec<Action> {
        let tables = self.root.tables("actions");
        let (names, actions): (Vec<_>, Vec<_>) = tables.into_iter().map(read_action).unzip();
        report_twice(&names, |it| {
            self.root.report(it.line, format!("action `{}` is there twice", it.value));
        });
        actions
    }

    fn policies(&mut self) -> Vec<RowPolicy> {
        let tables = self.root.tables("policies");
        let (names, policies): (Vec<_>, Vec<_>) = tables.into_iter().map(read_policy).unzip();
        report_twice(&names, |it| {
            self.root.report(it.line, format!("policy `{}` is there twice", it.value));
        });
        policies
    }
}

pub(crate) fn company_field(
    column: ColumnPath,
    casing: Option<Casing>,
    max_length: Option<u32>,
) -> Field {
    Field {
        name: COMPANY_FIELD.to_owned(),
        label: "Company".to_owned(),
        description: String::new(),
        data_type: DataType::String { max_length: max_length.unwrap_or(COMPANY_LENGTH) },
        source: FieldSource::Column(column),
        nullable: false,
        mandatory: false,
        allow_edit_on_create: true,
        allow_edit: false,
        casing,
        storage: None,
        default: None,
        min: None,
        max: None,
    }
}

fn read_source(mut table: Table<'_>, before: &[Source]) -> Source {
    let alias = table.required_text("alias");
    if !alias.value.is_empty() {
        table.check(alias.line, check_platform_name(&alias.value));
        if before.iter().any(|it| it.alias.eq_ignore_ascii_case(&alias.value)) {
            table.report(alias.line, format!("alias `{}` is there twice", alias.value));
        }
    }
    let place = table.required_text("table");
    let place = match place.value.is_empty() {
        true => None,
        false => table.check(place.line, parse_table(&place.value)),
    };
    let is_view = table.flag("view").is_some_and(|it| it.value);
    let join = read_join(&mut table, before);
    table.finish();
    Source {
        alias: alias.value,
        table: place.unwrap_or(TableName { schema: String::new(), name: String::new() }),
        join,
        is_view,
    }
}

fn read_join(table: &mut Table<'_>, before: &[Source]) -> Option<Join> {
    let kind = table.text("join");
    let columns = table.pairs("on");
    if before.is_empty() {
        if let Some(line) = kind.map(|it| it.line).or(columns.map(|it| it.line)) {
            table.report(line, "the first source is the root, which joins nothing");
        }
        return None;
    }
    let optional = match kind {
        None => {
            table.report(table.line(), "`join` is missing: inner or optional");
            false
        }
        Some(At { line, value }) => {
            if value != "inner" && value != "optional" {
                table.report(line, "`join` must be inner or optional");
            }
            value == "optional"
        }
    };
    let line = columns.as_ref().map_or(table.line(), |it| it.line);
    let pairs = columns.map(|it| it.value).unwrap_or_default();
    if pairs.is_empty() {
        table.report(line, "`on` is missing: what finds the rows of this source");
    }
    let mut columns = Vec::with_capacity(pairs.len());
    for (column, other) in pairs {
        let name = table.check(column.line, parse_identifier(&column.value));
        let other = table.check(column.line, parse_known_path(&other, before));
        if let (Some(column), Some(other)) = (name, other) {
            columns.push(JoinColumn { column, other });
        }
    }
    Some(Join { optional, columns })
}

/// A column of one of `sources`.
pub(crate) fn parse_known_path(text: &str, sources: &[Source]) -> Result<ColumnPath, String> {
    let path = parse_column_path(text)?;
    if sources.iter().any(|it| it.alias == path.alias) {
        return Ok(path);
    }
    Err(format!("`{text}`: no source before this has the alias `{}`", path.alias))
}

fn read_relation(mut table: Table<'_>, fields: &[Field]) -> (At<String>, Relation) {
    let name = read_name(&mut table);
    let entity = table.required_text("entity").value;
    let pairs = table.pairs("fields");
    if pairs.as_ref().is_none_or(|it| it.value.is_empty()) {
        let line = pairs.as_ref().map_or(table.line(), |it| it.line);
        table.report(line, "`fields` is missing: what finds the related row");
    }
    let mut related = Vec::new();
    for (field, other) in pairs.map(|it| it.value).unwrap_or_default() {
        if !fields.iter().any(|it| it.name == field.value) {
            table.report(field.line, format!("the entity has no field `{}`", field.value));
        }
        related.push(RelationField { field: field.value, related: other });
    }
    table.finish();
    let relation = Relation { name: name.value.clone(), entity, fields: related };
    (name, relation)
}
