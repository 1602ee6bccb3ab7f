//! From a request that writes to the steps that it means, and to what its answer will say. Pure: nothing
//! is read or sent here.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use axum::http::Method;
use odata::{Key, QueryOptions, Resource, Tail};
use proto::query::v1::{ActionDefinition, AttributeType};

use super::action;
use super::bulk::{self, Bulk};
use super::change_set::{Assignment, ChangeSet, RowRef};
use super::links::Link;
use super::{address, payload, rows};
use crate::entry_point::EntryPoint;
use crate::error::{GatewayError, NAMESPACE};
use crate::http::Ask;
use crate::metadata::{Navigation, Snapshot, Source, Table};
use crate::odata_read::{self, Place};

/// A request that writes, as it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    /// Behind the service root, still encoded: `contacts(..)/name`. Within a change set it may begin with
    /// a Content-ID: `$1/name`.
    pub(crate) path: &'a str,
    /// Behind the question mark.
    pub(crate) query: &'a str,
    pub(crate) body: &'a [u8],
}

/// Rows by the Content-IDs (without the `$`) of the requests that named or made them. Those of the same
/// change set are [`Planned::row`].
pub(crate) type References = HashMap<String, (Arc<Table>, RowRef)>;

/// What a request will have done once its steps are.
#[derive(Debug)]
pub(crate) struct Planned {
    /// Its steps in the change set.
    pub(crate) steps: Range<usize>,
    /// The one row that it is about, for those who name it by its Content-ID.
    pub(crate) row: Option<(Arc<Table>, RowRef)>,
    pub(crate) reply: Reply,
    /// By which way it came in.
    pub(crate) entry: EntryPoint,
}

/// What is answered.
#[derive(Debug)]
pub(crate) enum Reply {
    /// That it is done.
    Done,
    /// Where the row of this step is; and the row itself, where the client prefers so.
    Row { step: usize, table: Arc<Table>, options: QueryOptions },
    /// The ids of the rows of these steps, which `message` made.
    Ids { message: &'static str, steps: Vec<usize> },
    /// What the action of this step returned, which is of this type.
    Result { step: usize, action: String, result: AttributeType },
}

/// What a path begins with.
enum Subject {
    Table(Arc<Table>),
    Row(Arc<Table>, RowRef),
}

/// What all that plans one request needs to know.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) ask: &'a Ask,
    pub(super) snapshot: &'a Snapshot,
    pub(super) references: &'a References,
}

/// Appends the steps of a request to `changes`. `ask` says what its headers do: wishes, conditions, and
/// the service root, which addresses in bodies may begin with. Steps refer to each other by their index
/// in `changes`, so a change set of a batch is planned by calling this for its requests in order, giving
/// each [`Planned::row`] to those that follow as `references`; then [`super::execute`] runs them, and
/// `serve::written` answers each request. When this fails, nothing of `changes` is to be executed.
pub(crate) fn plan(
    ask: &Ask,
    snapshot: &Snapshot,
    asked: Asked<'_>,
    references: &References,
    changes: &mut ChangeSet,
) -> Result<Planned, GatewayError> {
    let start = changes.steps.len();
    let scene = Scene { ask, snapshot, references };
    let Meaning { entry, row, reply } = scene.request(asked, changes)?;
    Ok(Planned { steps: start..changes.steps.len(), row, reply, entry })
}

/// What a request means, besides its steps.
struct Meaning {
    entry: EntryPoint,
    row: Option<(Arc<Table>, RowRef)>,
    reply: Reply,
}

impl Meaning {
    fn done(entry: EntryPoint, row: Option<(Arc<Table>, RowRef)>) -> Self {
        Self { entry, row, reply: Reply::Done }
    }
}

impl Scene<'_> {
    fn request(self, asked: Asked<'_>, changes: &mut ChangeSet) -> Result<Meaning, GatewayError> {
        let Resource::Named { name, key, tail } = Resource::parse(asked.path)? else {
            return Err(not_allowed(asked, asked.path, "GET"));
        };
        if let (Some(action), [], Key::Absent | Key::Empty) =
            (action::unbound(self.snapshot, &name), tail.as_slice(), &key)
        {
            if asked.method != Method::POST {
                return Err(self.no_route(asked));
            }
            let reply = action::plan(action, None, asked.body, changes)?;
            return Ok(Meaning { entry: EntryPoint::UnboundAction, row: None, reply });
        }
        let subject = self.subject(&name, &key)?;
        match (subject, tail.as_slice()) {
            (Subject::Table(table), []) => self.to_table(&table, asked, changes),
            (Subject::Row(table, row), []) => self.to_row((&table, row), asked, changes),
            (subject, [Tail::Name { name, key: Key::Absent | Key::Empty }])
                if name.contains('.') =>
            {
                self.message(&subject, name, asked, changes)
            }
            (subject, [Tail::Name { name, .. }]) if subject.action(name).is_some() => {
                Err(unresolved())
            }
            (Subject::Table(table), [Tail::Count | Tail::Ref]) => {
                Err(not_allowed(asked, &table.set_name, "GET"))
            }
            (Subject::Table(_), [segment, ..]) => Err(unknown(segment)),
            (Subject::Row(table, row), [Tail::Name { name, key }, rest @ ..]) => {
                self.within((&table, row), (name, key, rest), asked, changes)
            }
            (Subject::Row(table, _), [Tail::Ref]) => {
                Err(not_allowed(asked, &table.set_name, "GET"))
            }
            (Subject::Row(..), [segment, ..]) => Err(unknown(segment)),
        }
    }

    fn subject(self, name: &str, key: &Key) -> Result<Subject, GatewayError> {
        if let Some(id) = name.strip_prefix('$') {
            let row = self.references.get(id).filter(|_| *key == Key::Absent).cloned();
            let row = row.ok_or_else(|| GatewayError::UnknownContentId(id.to_owned()))?;
            return Ok(Subject::Row(row.0, row.1));
        }
        let table = Arc::clone(address::table(self.snapshot, name)?);
        if *key == Key::Absent {
            return Ok(Subject::Table(table));
        }
        let row = RowRef::Key(address::key_of(&table, key)?);
        Ok(Subject::Row(table, row))
    }

    fn to_table(
        self,
        table: &Arc<Table>,
        asked: Asked<'_>,
        changes: &mut ChangeSet,
    ) -> Result<Meaning, GatewayError> {
        if table.source == Source::Catalog || asked.method != Method::POST {
            let allow = if table.source == Source::Catalog { "GET" } else { "GET, POST" };
            return Err(not_allowed(asked, &table.set_name, allow));
        }
        let members = payload::object(table, asked.body)?;
        let step = payload::create(self, table, &members, None, changes)?;
        self.row_reply(EntryPoint::Create, table, step, asked)
    }

    fn to_row(
        self,
        (table, row): (&Arc<Table>, RowRef),
        asked: Asked<'_>,
        changes: &mut ChangeSet,
    ) -> Result<Meaning, GatewayError> {
        let fixed = table.source == Source::Catalog;
        match *asked.method {
            // Clients that put a row mean what those mean that patch it.
            Method::PATCH | Method::PUT if !fixed || asked.method == Method::PATCH => {
                let step = rows::change(self, table, row, asked.body, changes)?;
                self.row_reply(EntryPoint::Change, table, step, asked)
            }
            Method::DELETE if !fixed => {
                rows::delete(self.ask, table, row.clone(), changes)?;
                Ok(Meaning::done(EntryPoint::Delete, Some((Arc::clone(table), row))))
            }
            _ => {
                let allow = if fixed { "GET, PATCH" } else { "GET, PATCH, PUT, DELETE" };
                Err(not_allowed(asked, &table.set_name, allow))
            }
        }
    }

    /// A row's property, or what it leads to.
    fn within(
        self,
        (table, row): (&Arc<Table>, RowRef),
        (name, key, rest): (&str, &Key, &[Tail]),
        asked: Asked<'_>,
        changes: &mut ChangeSet,
    ) -> Result<Meaning, GatewayError> {
        if table.by_property(name).is_some() && *key == Key::Absent {
            if let [segment, ..] = rest {
                return Err(unknown(segment));
            }
            let entry = match *asked.method {
                Method::PUT if table.source != Source::Catalog => EntryPoint::SetProperty,
                Method::DELETE if table.source != Source::Catalog => EntryPoint::ClearProperty,
                _ => return Err(not_allowed(asked, name, "GET, PUT, DELETE")),
            };
            let what = (asked.method, asked.body);
            let step = rows::property(self, (table, row), name, what, changes)?;
            return Ok(Meaning::done(entry, Some((Arc::clone(table), RowRef::Step(step)))));
        }
        let navigation = table.navigation(name);
        let navigation = navigation.ok_or_else(|| GatewayError::UnknownSegment(name.to_owned()))?;
        match rest {
            [] if navigation.is_collection && *key == Key::Absent => {
                self.to_collection((table, row), navigation, asked, changes)
            }
            [Tail::Ref] => {
                let link = Link { table, row, navigation };
                let entry = self.to_link(link, key, asked, changes)?;
                Ok(Meaning::done(entry, None))
            }
            [] => Err(not_allowed(asked, name, "GET")),
            [segment, ..] => Err(match segment {
                Tail::Name { name, .. } => not_allowed(asked, name, "GET"),
                segment => unknown(segment),
            }),
        }
    }

    /// `POST set(key)/many`: a row that leads to the other.
    fn to_collection(
        self,
        (table, row): (&Arc<Table>, RowRef),
        navigation: &Navigation,
        asked: Asked<'_>,
        changes: &mut ChangeSet,
    ) -> Result<Meaning, GatewayError> {
        if asked.method != Method::POST {
            return Err(not_allowed(asked, &navigation.name, "GET, POST"));
        }
        let child = address::table_named(self.snapshot, &navigation.target)?;
        let members = payload::object(&child, asked.body)?;
        let target = Some((Arc::clone(table), row));
        let lead = Assignment::Lookup { navigation: navigation.partner.clone(), target };
        let step = payload::create(self, &child, &members, Some(lead), changes)?;
        self.row_reply(EntryPoint::CreateRelated, &child, step, asked)
    }

    fn to_link(
        self,
        link: Link<'_>,
        key: &Key,
        asked: Asked<'_>,
        changes: &mut ChangeSet,
    ) -> Result<EntryPoint, GatewayError> {
        let many = link.navigation.is_collection;
        match *asked.method {
            Method::DELETE if many || *key == Key::Absent => {
                link.disassociate(self, key, named_row(asked.query)?.as_deref(), changes)?;
                Ok(EntryPoint::Disassociate)
            }
            Method::POST if many && *key == Key::Absent => {
                link.associate(self, asked.body, changes)?;
                Ok(EntryPoint::Associate)
            }
            Method::PUT if !many && *key == Key::Absent => {
                link.associate(self, asked.body, changes)?;
                Ok(EntryPoint::Associate)
            }
            _ => {
                let allow = match (many, key) {
                    (true, Key::Absent) => "GET, POST, DELETE",
                    (true, _) => "GET, DELETE",
                    (false, _) => "GET, PUT, DELETE",
                };
                Err(not_allowed(asked, &format!("{}/$ref", link.navigation.name), allow))
            }
        }
    }

    /// What is bound to a table or to a row by the namespace's name.
    fn message(
        self,
        subject: &Subject,
        name: &str,
        asked: Asked<'_>,
        changes: &mut ChangeSet,
    ) -> Result<Meaning, GatewayError> {
        let short = name.strip_prefix(NAMESPACE).and_then(|it| it.strip_prefix('.'));
        let short = short.ok_or_else(|| GatewayError::UnknownSegment(name.to_owned()))?;
        if let Some((table, action, row)) = subject.action(short) {
            if asked.method != Method::POST {
                return Err(self.no_route(asked));
            }
            let entry = match row {
                Some(_) => EntryPoint::RecordAction,
                None => EntryPoint::TableAction,
            };
            let reply = action::plan((table, action), row, asked.body, changes)?;
            return Ok(Meaning { entry, row: None, reply });
        }
        if asked.method != Method::POST {
            return Err(not_allowed(asked, name, "POST"));
        }
        match (subject, Bulk::named(short)) {
            (Subject::Table(table), Some(bulk)) if table.source != Source::Catalog => {
                let reply = bulk::plan(self, bulk, table, asked.body, changes)?;
                Ok(Meaning { entry: bulk.entry_point(), row: None, reply })
            }
            _ => Err(GatewayError::UnknownSegment(name.to_owned())),
        }
    }

    fn no_route(self, asked: Asked<'_>) -> GatewayError {
        let question = if asked.query.is_empty() { "" } else { "?" };
        let Asked { path, query, .. } = asked;
        GatewayError::NoRoute(format!("{}/{path}{question}{query}", self.ask.root))
    }

    fn row_reply(
        self,
        entry: EntryPoint,
        table: &Arc<Table>,
        step: usize,
        asked: Asked<'_>,
    ) -> Result<Meaning, GatewayError> {
        let options = QueryOptions::parse(asked.query)?;
        if self.ask.prefer.representation {
            // What cannot be shown is said before anything is done.
            odata_read::record(self.snapshot, &Place::all(table), &options, &self.ask.prefer)?;
        }
        let row = Some((Arc::clone(table), RowRef::Step(step)));
        let reply = Reply::Row { step, table: Arc::clone(table), options };
        Ok(Meaning { entry, row, reply })
    }
}

impl Subject {
    /// An action that is bound to it.
    fn action(&self, name: &str) -> Option<(&Arc<Table>, &ActionDefinition, Option<RowRef>)> {
        let (table, row) = match self {
            Self::Table(table) => (table, None),
            Self::Row(table, row) => (table, Some(row.clone())),
        };
        let action = action::bound(table, name, row.is_some())?;
        Some((table, action, row))
    }
}

/// `$id=..`: the row that is to be taken from those that another leads to.
fn named_row(query: &str) -> Result<Option<String>, GatewayError> {
    for part in query.split('&') {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        if odata::decode_query(name)? == "$id" {
            return Ok(Some(odata::decode_query(value)?));
        }
    }
    Ok(None)
}

fn not_allowed(asked: Asked<'_>, resource: &str, allow: &'static str) -> GatewayError {
    let (method, resource) = (asked.method.to_string(), resource.to_owned());
    GatewayError::MethodNotAllowed { method, resource, allow }
}

/// What is bound is called by its full name.
fn unresolved() -> GatewayError {
    GatewayError::InvalidQuery("Request message has unresolved parameters.".to_owned())
}

fn unknown(segment: &Tail) -> GatewayError {
    GatewayError::UnknownSegment(match segment {
        Tail::Count => "$count".to_owned(),
        Tail::Ref => "$ref".to_owned(),
        Tail::Value => "$value".to_owned(),
        Tail::Name { name, .. } => name.clone(),
    })
}
