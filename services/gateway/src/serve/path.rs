//! What a path leads to: rows of a table, one row, a property of it, or what is related to it
//! (spec lifecycle-and-web-api §2.3).

use std::sync::Arc;

use odata::{Key, Tail};

use crate::error::GatewayError;
use crate::metadata::{Snapshot, Table};
use crate::odata_read::Place;
use crate::translate::{self, RowKey};

/// The end of a path.
#[derive(Debug)]
pub(crate) enum Target {
    Rows(Rows),
    Count(Rows),
    /// Where the rows are, not what they hold.
    References(Rows),
    Row(Row),
    Reference(Row),
    /// One property, by name.
    Property(Row, String),
}

/// Some rows of a table.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) place: Place,
    /// The row that they are related to; absent for a whole table.
    pub(crate) of: Option<Box<Row>>,
}

/// One row, or none.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) place: Place,
    /// What finds it without a query.
    pub(crate) key: Option<RowKey>,
    pub(crate) reached: Reached,
}

/// How a path came to a row, and so what it means that there is none.
#[derive(Debug)]
pub(crate) enum Reached {
    /// By a key that is to be there.
    ByKey(Key),
    /// From another row, which may lead nowhere.
    From(Box<Row>),
}

impl Rows {
    pub(crate) fn all(table: &Arc<Table>) -> Self {
        Self { place: Place::all(table), of: None }
    }
}

impl Row {
    fn of_table(table: &Arc<Table>, key: Key) -> Result<Self, GatewayError> {
        let place = Place::all(table).with_key(&key)?;
        let by_lookup = match &key {
            Key::Named(pairs) => pairs.iter().any(|(name, _)| {
                let column = table.by_property(name);
                column.is_some_and(|it| it.field().is_none() && it.logical_name != table.primary_id)
            }),
            _ => false,
        };
        // Lookups are compared by a query, which knows what holds them.
        let found = if by_lookup { None } else { Some(translate::row_key(table, &key)?) };
        Ok(Self { place, key: found, reached: Reached::ByKey(key) })
    }

    /// What to say where there has to be a row.
    pub(crate) fn not_found(&self) -> GatewayError {
        let table = self.place.table.logical_name.clone();
        match &self.reached {
            Reached::ByKey(key) => match key.guid() {
                Some(id) => GatewayError::RecordNotFound { table, id },
                None => GatewayError::RecordNotFoundByKey { table },
            },
            Reached::From(_) => GatewayError::RecordNotFoundByKey { table },
        }
    }
}

/// Follows a path, segment by segment.
pub(crate) fn walk(
    snapshot: &Snapshot,
    table: &Arc<Table>,
    key: Key,
    tail: &[Tail],
) -> Result<Target, GatewayError> {
    let mut target = match key {
        Key::Absent => Target::Rows(Rows::all(table)),
        key => Target::Row(Row::of_table(table, key)?),
    };
    for (level, segment) in tail.iter().enumerate() {
        target = step(snapshot, target, segment, level)?;
    }
    Ok(target)
}

fn step(
    snapshot: &Snapshot,
    target: Target,
    segment: &Tail,
    level: usize,
) -> Result<Target, GatewayError> {
    match (target, segment) {
        (Target::Rows(rows), Tail::Count) => Ok(Target::Count(rows)),
        (Target::Rows(rows), Tail::Ref) => Ok(Target::References(rows)),
        (Target::Row(row), Tail::Ref) => Ok(Target::Reference(row)),
        (Target::Row(row), Tail::Name { name, key }) => follow(snapshot, row, name, key, level),
        (Target::Rows(rows), Tail::Name { name, .. }) => Err(unknown(&rows.place.table, name)),
        (Target::Property(..), Tail::Value) => Err(GatewayError::InvalidQuery(
            "Raw values of properties ('$value') are not supported.".to_owned(),
        )),
        (_, Tail::Count) => Err(GatewayError::UnknownSegment("$count".to_owned())),
        (_, Tail::Ref) => Err(GatewayError::UnknownSegment("$ref".to_owned())),
        (_, Tail::Value) => Err(GatewayError::UnknownSegment("$value".to_owned())),
        (_, Tail::Name { name, .. }) => Err(GatewayError::UnknownSegment(name.clone())),
    }
}

fn follow(
    snapshot: &Snapshot,
    row: Row,
    name: &str,
    key: &Key,
    level: usize,
) -> Result<Target, GatewayError> {
    let table = Arc::clone(&row.place.table);
    if table.by_property(name).is_some() && *key == Key::Absent {
        return Ok(Target::Property(row, name.to_owned()));
    }
    let Some(navigation) = table.navigation(name) else {
        // A function that is called without its namespace looks like this.
        return Err(match key {
            Key::Absent => unknown(&table, name),
            _ => unresolved(),
        });
    };
    let place = row.place.related(snapshot, navigation, level)?;
    match (navigation.is_collection, key) {
        (true, Key::Absent) => Ok(Target::Rows(Rows { place, of: Some(Box::new(row)) })),
        (true, key) => {
            let place = place.with_key(key)?;
            Ok(Target::Row(Row { place, key: None, reached: Reached::ByKey(key.clone()) }))
        }
        (false, Key::Absent) => {
            Ok(Target::Row(Row { place, key: None, reached: Reached::From(Box::new(row)) }))
        }
        (false, _) => Err(GatewayError::UnknownSegment(name.to_owned())),
    }
}

fn unknown(table: &Table, name: &str) -> GatewayError {
    if name.contains('.') {
        return GatewayError::NotOffered(format!("'{name}' of '{}'", table.set_name));
    }
    GatewayError::UnknownSegment(name.to_owned())
}

fn unresolved() -> GatewayError {
    GatewayError::InvalidQuery("Request message has unresolved parameters.".to_owned())
}
