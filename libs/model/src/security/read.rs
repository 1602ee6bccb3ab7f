//! From TOML to drafts, which remember the line of every name.

use super::{
    DirectoryQueries, Duty, EntityGrant, EntityOperation, Security, SecurityPrivilege, SecurityRole,
};
use crate::toml_reader::{At, Document, Table};

/// What the file says, with lines.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) roles: Vec<DraftRole>,
    pub(super) duties: Vec<DraftDuty>,
    pub(super) privileges: Vec<DraftPrivilege>,
    import: Option<DirectoryQueries>,
}

pub(super) struct DraftRole {
    pub(super) name: At<String>,
    label: String,
    pub(super) duties: Vec<At<String>>,
    pub(super) privileges: Vec<At<String>>,
}

pub(super) struct DraftDuty {
    pub(super) name: At<String>,
    label: String,
    pub(super) privileges: Vec<At<String>>,
}

pub(super) struct DraftPrivilege {
    pub(super) name: At<String>,
    label: String,
    pub(super) grants: Vec<DraftGrant>,
}

pub(super) struct DraftGrant {
    pub(super) entities: Vec<At<String>>,
    pub(super) tables: Vec<At<String>>,
    operations: Vec<EntityOperation>,
    pub(super) hidden_fields: Vec<At<String>>,
    pub(super) read_only_fields: Vec<At<String>>,
}

pub(super) fn read(document: &Document<'_>) -> Draft {
    let Some(mut root) = document.root() else { return Draft::default() };
    let draft = Draft {
        roles: root.tables("roles").into_iter().map(role).collect(),
        duties: root.tables("duties").into_iter().map(duty).collect(),
        privileges: root.tables("privileges").into_iter().map(privilege).collect(),
        import: root.table("import").map(queries),
    };
    root.finish();
    draft
}

fn role(mut table: Table<'_>) -> DraftRole {
    let (name, label) = named(&mut table);
    let duties = names(&mut table, "duties");
    let privileges = names(&mut table, "privileges");
    table.finish();
    DraftRole { name, label, duties, privileges }
}

fn duty(mut table: Table<'_>) -> DraftDuty {
    let (name, label) = named(&mut table);
    let privileges = names(&mut table, "privileges");
    table.finish();
    DraftDuty { name, label, privileges }
}

fn privilege(mut table: Table<'_>) -> DraftPrivilege {
    let (name, label) = named(&mut table);
    let grants: Vec<_> = table.tables("grants").into_iter().map(grant).collect();
    if grants.is_empty() {
        table.report(name.line, format!("privilege `{}` has no grants", name.value));
    }
    table.finish();
    DraftPrivilege { name, label, grants }
}

fn grant(mut table: Table<'_>) -> DraftGrant {
    let entities = names(&mut table, "entities");
    let tables = names(&mut table, "tables");
    if entities.is_empty() && tables.is_empty() {
        table.report(table.line(), "a grant names `entities` or `tables`");
    }
    let operations = operations(&mut table);
    let hidden_fields = names(&mut table, "hidden_fields");
    let read_only_fields = names(&mut table, "read_only_fields");
    table.finish();
    DraftGrant { entities, tables, operations, hidden_fields, read_only_fields }
}

fn operations(table: &mut Table<'_>) -> Vec<EntityOperation> {
    let given = names(table, "operations");
    if given.is_empty() {
        table.report(table.line(), "`operations` is missing");
    }
    let mut operations = Vec::new();
    for At { line, value } in given {
        match EntityOperation::ALL.into_iter().find(|it| it.name() == value) {
            Some(it) if !operations.contains(&it) => operations.push(it),
            Some(_) => {}
            None => {
                let known = EntityOperation::ALL.map(EntityOperation::name).join(", ");
                table.report(line, format!("`{value}` is no operation; there are {known}"));
            }
        }
    }
    operations
}

fn queries(mut table: Table<'_>) -> DirectoryQueries {
    let users = table.required_text("users").value;
    let mut query = |key| {
        let At { line, value } = table.text(key)?;
        if value.trim().is_empty() {
            table.report(line, format!("`{key}` is empty"));
        }
        Some(value)
    };
    let queries = DirectoryQueries {
        users,
        roles: query("roles"),
        user_roles: query("user_roles"),
        user_companies: query("user_companies"),
        grants: query("grants"),
        field_grants: query("field_grants"),
    };
    table.finish();
    queries
}

fn named(table: &mut Table<'_>) -> (At<String>, String) {
    let name = table.required_text("name");
    let label = table.text("label").map_or_else(|| name.value.clone(), |it| it.value);
    (name, label)
}

fn names(table: &mut Table<'_>, key: &str) -> Vec<At<String>> {
    let names = table.texts(key).map(|it| it.value).unwrap_or_default();
    for name in names.iter().filter(|it| it.value.trim().is_empty()) {
        table.report(name.line, format!("a name in `{key}` is empty"));
    }
    names
}

fn values(names: Vec<At<String>>) -> Vec<String> {
    names.into_iter().map(|it| it.value).collect()
}

// === impl Draft ===

impl Draft {
    pub(super) fn security(self) -> Security {
        Security {
            roles: self.roles.into_iter().map(Into::into).collect(),
            duties: self.duties.into_iter().map(Into::into).collect(),
            privileges: self.privileges.into_iter().map(Into::into).collect(),
            import: self.import,
        }
    }
}

impl From<DraftRole> for SecurityRole {
    fn from(it: DraftRole) -> Self {
        let (duties, privileges) = (values(it.duties), values(it.privileges));
        Self { name: it.name.value, label: it.label, duties, privileges }
    }
}

impl From<DraftDuty> for Duty {
    fn from(it: DraftDuty) -> Self {
        Self { name: it.name.value, label: it.label, privileges: values(it.privileges) }
    }
}

impl From<DraftPrivilege> for SecurityPrivilege {
    fn from(it: DraftPrivilege) -> Self {
        let grants = it.grants.into_iter().map(Into::into).collect();
        Self { name: it.name.value, label: it.label, grants }
    }
}

impl From<DraftGrant> for EntityGrant {
    fn from(it: DraftGrant) -> Self {
        Self {
            entities: values(it.entities),
            tables: values(it.tables),
            operations: it.operations,
            hidden_fields: values(it.hidden_fields),
            read_only_fields: values(it.read_only_fields),
        }
    }
}
