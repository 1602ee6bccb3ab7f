//! Bodies as values of a row, and the rows that are made or related along with it.

use std::collections::HashSet;
use std::sync::Arc;

use proto::query::v1::{FieldValue, SystemColumn};
use uuid::Uuid;

use super::address;
use super::change_set::{Assignment, ChangeSet, RowRef, Step, StepAction};
use super::json::{Json, Object};
use super::plan::Scene;
use super::values::{alike, null, typed};
use super::writable::{check_company, is_writable, read_only};
use crate::error::GatewayError;
use crate::metadata::{Column, Navigation, Source, Table};
use crate::translate::{RowKey, guid};

const BIND: &str = "@odata.bind";
/// Steps that one request, or one batch's change set, may mean: the operations that a store takes in one
/// transaction.
const MAX_STEPS: usize = 5_000;

/// What a body is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose<'k> {
    Create,
    Update(&'k RowRef),
    Upsert(&'k RowKey),
}

/// What a body says of one row.
#[derive(Debug)]
pub(super) struct Content<'j> {
    /// The GUID that the row is to have.
    pub(super) id: Option<Uuid>,
    pub(super) values: Vec<Assignment>,
    /// What can be done once the row is there.
    children: Vec<Child<'j>>,
}

/// A row that is to lead to the body's row, by the navigation property called `partner`.
#[derive(Debug)]
struct Child<'j> {
    table: Arc<Table>,
    partner: String,
    kind: ChildKind<'j>,
}

#[derive(Debug)]
enum ChildKind<'j> {
    New(&'j Object),
    Known(RowRef),
}

impl<'k> Purpose<'k> {
    /// For those who are told why not.
    pub(super) fn verb(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update(_) | Self::Upsert(_) => "update",
        }
    }

    fn key(self) -> Option<&'k RowKey> {
        match self {
            Self::Create | Self::Update(RowRef::Step(_)) => None,
            Self::Update(RowRef::Key(key)) | Self::Upsert(key) => Some(key),
        }
    }

    fn allows(self, for_create: bool, for_update: bool) -> bool {
        match self {
            Self::Create => for_create,
            Self::Update(_) => for_update,
            // Whether the row is there is for the provider to find out, and to judge by.
            Self::Upsert(_) => for_create || for_update,
        }
    }
}

/// Adds a step. Answers its index.
pub(super) fn push(
    changes: &mut ChangeSet,
    table: &Arc<Table>,
    action: StepAction,
) -> Result<usize, GatewayError> {
    if changes.steps.len() == MAX_STEPS {
        let message = format!("A request can write {MAX_STEPS} rows at most.");
        return Err(GatewayError::InvalidQuery(message));
    }
    changes.steps.push(Step { table: Arc::clone(table), action });
    Ok(changes.steps.len() - 1)
}

/// Makes a row, and those that are within it. Answers the index of its step.
pub(super) fn create(
    scene: Scene<'_>,
    table: &Arc<Table>,
    members: &Object,
    parent: Option<Assignment>,
    changes: &mut ChangeSet,
) -> Result<usize, GatewayError> {
    let mut content = read(scene, table, members, Purpose::Create, changes)?;
    if let Some(Assignment::Lookup { navigation, .. }) = &parent {
        require_once(table, &content.values, navigation)?;
    }
    content.values.extend(parent);
    let Content { id, values, children } = content;
    check_company(table, &values, "Create")?;
    let at = push(changes, table, StepAction::Create { id, values })?;
    relate(scene, children, (table, RowRef::Step(at)), changes)?;
    Ok(at)
}

/// Makes the rows lead here that the body of this row says do.
fn relate(
    scene: Scene<'_>,
    children: Vec<Child<'_>>,
    (table, row): (&Arc<Table>, RowRef),
    changes: &mut ChangeSet,
) -> Result<(), GatewayError> {
    for Child { table: child, partner, kind } in children {
        let target = Some((Arc::clone(table), row.clone()));
        let lead = Assignment::Lookup { navigation: partner, target };
        match kind {
            ChildKind::New(members) => {
                create(scene, &child, members, Some(lead), changes)?;
            }
            ChildKind::Known(row) => {
                let action = StepAction::Update { row, values: vec![lead], etag: None };
                push(changes, &child, action)?;
            }
        }
    }
    Ok(())
}

/// Reads a body. Rows that it leads to and that are not there yet are made first, by steps of their own.
pub(super) fn read<'j>(
    scene: Scene<'_>,
    table: &Arc<Table>,
    members: &'j Object,
    purpose: Purpose<'_>,
    changes: &mut ChangeSet,
) -> Result<Content<'j>, GatewayError> {
    if let Purpose::Upsert(RowKey::Id(id)) = purpose
        && id.is_nil()
    {
        return Err(empty_id());
    }
    let mut content = Content { id: None, values: Vec::new(), children: Vec::new() };
    let mut followed = HashSet::new();
    for (name, value) in members {
        let (bound, name) = match name.strip_suffix(BIND) {
            Some(name) => (true, name),
            None if name.contains('@') => continue,
            None => (false, name.as_str()),
        };
        if let Some(column) = table.by_property(name).filter(|_| !bound) {
            content.column(table, column, value, purpose)?;
            continue;
        }
        let navigation = table.navigation(name).ok_or_else(|| match bound {
            true => no_navigation(table, name),
            false => GatewayError::unknown_column(table, name),
        })?;
        if !followed.insert(name) {
            return Err(payload(table, format!("The property '{name}' is given twice.")));
        }
        let mut follow = Follow { scene, table, navigation, purpose, changes: &mut *changes };
        match bound {
            true => follow.bind(&mut content, value)?,
            false => follow.nest(&mut content, value)?,
        }
    }
    Ok(content)
}

impl Content<'_> {
    fn column(
        &mut self,
        table: &Table,
        column: &Column,
        value: &Json,
        purpose: Purpose<'_>,
    ) -> Result<(), GatewayError> {
        if column.logical_name == table.primary_id {
            return self.own_id(table, column, value, purpose);
        }
        let field = column.field().filter(|_| !column.is_lookup());
        let field = field.ok_or_else(|| read_only(table, &column.property, purpose))?;
        if *value == Json::Null && table.source == Source::Catalog {
            return Err(payload(
                table,
                format!("The property '{}' is never null.", column.property),
            ));
        }
        let value =
            FieldValue { field: field.to_owned(), value: Some(typed(table, column, value)?) };
        let allowed = purpose.allows(column.valid_for_create, column.valid_for_update);
        match purpose.key() {
            Some(RowKey::Alternate(key)) if key.contains(&value) => return Ok(()),
            // Of what cannot be changed, keys ignore the letter case.
            Some(RowKey::Alternate(key)) if !allowed && key.iter().any(|it| alike(it, &value)) => {
                return Ok(());
            }
            // Whether it stays as it is, only those know who have the row.
            Some(RowKey::Id(_)) if !allowed && is_key(table, column) => {}
            _ if !allowed => return Err(read_only(table, &column.property, purpose)),
            _ => {}
        }
        self.values.push(Assignment::Field(value));
        Ok(())
    }

    /// Clients may send a row's id along with its values.
    fn own_id(
        &mut self,
        table: &Table,
        column: &Column,
        value: &Json,
        purpose: Purpose<'_>,
    ) -> Result<(), GatewayError> {
        let given = typed(table, column, value)?;
        match (purpose, purpose.key()) {
            (Purpose::Create, _) if *value == Json::Null => Ok(()),
            (Purpose::Create, _) => {
                let text = value.text().unwrap_or_default().to_owned();
                self.id = odata::Key::Single(odata::Literal::String(text)).guid();
                match self.id {
                    Some(id) if id.is_nil() => Err(empty_id()),
                    _ => Ok(()),
                }
            }
            (_, Some(RowKey::Id(id))) if guid(*id) == given => Ok(()),
            _ => Err(read_only(table, &column.property, purpose)),
        }
    }

    /// What leads to other rows makes them lead to this one.
    pub(super) fn related(
        self,
        scene: Scene<'_>,
        row: (&Arc<Table>, RowRef),
        changes: &mut ChangeSet,
    ) -> Result<(), GatewayError> {
        relate(scene, self.children, row, changes)
    }
}

/// A navigation property that a body names.
struct Follow<'a, 'c> {
    scene: Scene<'a>,
    table: &'a Arc<Table>,
    navigation: &'a Navigation,
    purpose: Purpose<'a>,
    changes: &'c mut ChangeSet,
}

impl Follow<'_, '_> {
    /// `"nav@odata.bind": ...`
    fn bind(&mut self, content: &mut Content<'_>, value: &Json) -> Result<(), GatewayError> {
        let target = address::table_named(self.scene.snapshot, &self.navigation.target)?;
        match value {
            Json::Null if !self.navigation.is_collection => self.clear(content),
            Json::Text(address) if !self.navigation.is_collection => {
                let row = address::row_of(self.scene, &target, address)?;
                self.lead(content, Some((target, row)))
            }
            Json::Array(addresses) if self.navigation.is_collection => {
                for address in addresses {
                    let address = address.text().ok_or_else(|| self.misfit(value))?;
                    let row = address::row_of(self.scene, &target, address)?;
                    content.children.push(self.child(&target, ChildKind::Known(row)));
                }
                Ok(())
            }
            _ => Err(self.misfit(value)),
        }
    }

    /// `"nav": ...`
    fn nest<'j>(&mut self, content: &mut Content<'j>, value: &'j Json) -> Result<(), GatewayError> {
        let target = address::table_named(self.scene.snapshot, &self.navigation.target)?;
        let creates = matches!(self.purpose, Purpose::Create);
        match value {
            Json::Null if !self.navigation.is_collection => self.clear(content),
            Json::Object(members) if creates && !self.navigation.is_collection => {
                let at = create(self.scene, &target, members, None, self.changes)?;
                self.lead(content, Some((target, RowRef::Step(at))))
            }
            Json::Array(rows) if creates && self.navigation.is_collection => {
                for row in rows {
                    let Json::Object(members) = row else { return Err(self.misfit(row)) };
                    content.children.push(self.child(&target, ChildKind::New(members)));
                }
                Ok(())
            }
            _ => Err(self.misfit(value)),
        }
    }

    /// A new row leads nowhere as it is.
    fn clear(&self, content: &mut Content<'_>) -> Result<(), GatewayError> {
        match self.purpose {
            Purpose::Create => Ok(()),
            Purpose::Update(_) | Purpose::Upsert(_) => self.lead(content, None),
        }
    }

    fn lead(
        &self,
        content: &mut Content<'_>,
        target: Option<(Arc<Table>, RowRef)>,
    ) -> Result<(), GatewayError> {
        let navigation = self.navigation;
        let for_create = is_writable(self.table, navigation, |it| it.valid_for_create);
        let for_update = is_writable(self.table, navigation, |it| it.valid_for_update);
        // A row may be said to be of the company that it is of, which is found out later.
        let stays =
            target.is_some() && !matches!(self.purpose, Purpose::Create) && self.is_company();
        if !stays && !self.purpose.allows(for_create, for_update) {
            return Err(read_only(self.table, &navigation.name, self.purpose));
        }
        let navigation = navigation.name.clone();
        content.values.push(Assignment::Lookup { navigation, target });
        Ok(())
    }

    fn is_company(&self) -> bool {
        let lookup = self.table.by_name(&self.navigation.lookup);
        lookup.is_some_and(|it| it.is(SystemColumn::CompanyId))
    }

    fn child<'j>(&self, table: &Arc<Table>, kind: ChildKind<'j>) -> Child<'j> {
        Child { table: Arc::clone(table), partner: self.navigation.partner.clone(), kind }
    }

    fn misfit(&self, value: &Json) -> GatewayError {
        let name = &self.navigation.name;
        let to = if self.navigation.is_collection { "rows" } else { "a row" };
        let detail = format!(
            "The navigation property '{name}' leads to {to}; {} cannot be given to it by this request.",
            value.kind()
        );
        payload(self.table, detail)
    }
}

/// A value that sets a column to nothing.
pub(super) fn cleared(field: &str) -> Assignment {
    Assignment::Field(FieldValue { field: field.to_owned(), value: Some(null()) })
}

/// The members of a body that is to be an object.
pub(super) fn object(table: &Table, bytes: &[u8]) -> Result<Object, GatewayError> {
    let json = Json::parse(bytes).map_err(|error| payload(table, error.to_string()))?;
    match json {
        Json::Object(members) => Ok(members),
        json => Err(payload(table, format!("The body is {}, and not an object.", json.kind()))),
    }
}

/// The value of a member.
pub(super) fn member<'j>(members: &'j Object, name: &str) -> Option<&'j Json> {
    members.iter().find(|(it, _)| it == name).map(|(_, value)| value)
}

pub(super) fn payload(table: &Table, detail: String) -> GatewayError {
    GatewayError::Payload { set: table.set_name.clone(), detail }
}

fn is_key(table: &Table, column: &Column) -> bool {
    column.valid_for_create
        && table.alternate_keys.iter().any(|it| it.contains(&column.logical_name))
}

fn empty_id() -> GatewayError {
    GatewayError::InvalidValue("Expected non-empty Guid.".to_owned())
}

fn require_once(table: &Table, values: &[Assignment], parent: &str) -> Result<(), GatewayError> {
    let again = |it: &Assignment| matches!(it, Assignment::Lookup { navigation, .. } if navigation == parent);
    match values.iter().any(again) {
        true => {
            let detail =
                format!("'{parent}' follows from where the row is made, and is given again.");
            Err(payload(table, detail))
        }
        false => Ok(()),
    }
}

fn no_navigation(table: &Table, name: &str) -> GatewayError {
    let detail = format!("'{name}' is no navigation property of '{}'.", table.logical_name);
    payload(table, detail)
}
