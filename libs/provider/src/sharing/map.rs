//! A map's side, ready for statements: paths resolved to links, and what each column is made of.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use proto::query::v1 as pb;
use proto::query::v1::column_ref::Column as Ref;
use proto::query::v1::value::Kind as Value;

use super::rights::Unrestricted;
use crate::authority::Authority as _;
use crate::binding::{Binding, Field, Relation};
use crate::error::Error;
use crate::plan::ImageQuery;

/// One map, as this side's entity has it.
#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) side: pb::MapSide,
    pub(crate) binding: Arc<Binding>,
    /// The entities that its lookups lead to.
    pub(crate) targets: BTreeSet<String>,
    links: Vec<pb::LinkEntity>,
    columns: Vec<pb::ColumnRef>,
    key: Vec<pb::ColumnRef>,
    company: Option<pb::ColumnRef>,
    companies: Vec<pb::Value>,
    /// Of each column, the physical columns that it is made of.
    made_of: Vec<MadeOf>,
    /// What decides which row it is, and whether it takes part.
    decisive: Vec<MadeOf>,
}

/// Columns of tables, by the tables' names in the log.
#[derive(Debug)]
pub(crate) enum MadeOf {
    Columns(HashSet<(String, String)>),
    /// An expression, which may speak of any.
    Anything,
}

// === impl Map ===

impl Map {
    pub(crate) fn compile(rights: &Unrestricted<'_>, side: pb::MapSide) -> Result<Self, Error> {
        let binding = rights.binding(&side.entity_name)?;
        let mut compiler = Compiler { rights, binding: &binding, links: Vec::new() };
        let columns = side.columns.iter().map(|it| compiler.column(it));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let company = match side.company_column.as_str() {
            "" => None,
            path => Some(compiler.column(path)?),
        };
        let mut decisive = Vec::new();
        if let Some(filter) = &side.filter {
            compiler.filter(filter, &mut decisive)?;
        }
        let key = side.key_columns.iter().map(|it| {
            let column = usize::try_from(*it).ok().and_then(|it| columns.get(it));
            let none = || Error::InvalidQuery(format!("there is no column {it} to be a key"));
            column.cloned().ok_or_else(none)
        });
        let key = key.collect::<Result<Vec<_>, _>>()?;
        let made_of = columns.iter().map(|it| compiler.made_of(it)).collect();
        decisive.extend(key.iter().chain(&company).cloned());
        let mut decisive: Vec<MadeOf> = decisive.iter().map(|it| compiler.made_of(it)).collect();
        decisive.push(compiler.joined());
        let company_code = |it: &String| pb::Value { kind: Some(Value::StringValue(it.clone())) };
        let companies = side.companies.iter().map(company_code).collect();
        let links = compiler.links;
        let targets = links.iter().filter_map(|it| match &it.target {
            Some(pb::link_entity::Target::EntityName(name)) => Some(name.clone()),
            _ => None,
        });
        let targets = targets.chain(targets_of(rights, &binding)).collect();
        Ok(Self {
            side,
            targets,
            links,
            columns,
            key,
            company,
            companies,
            made_of,
            decisive,
            binding,
        })
    }

    /// Some columns of an entity, as a write names them, and a key of them.
    pub(crate) fn of_columns(
        rights: &Unrestricted<'_>,
        entity: &str,
        columns: &[&str],
        key: &[&str],
    ) -> Result<Self, Error> {
        let mut names: Vec<String> = columns.iter().map(|it| (*it).to_owned()).collect();
        names.extend(key.iter().filter(|it| !columns.contains(it)).map(|it| (*it).to_owned()));
        let place = |it: &&str| names.iter().position(|name| name == it);
        let key_columns = key.iter().filter_map(place).filter_map(|it| i32::try_from(it).ok());
        let key_columns = key_columns.collect();
        let entity_name = entity.to_owned();
        Self::compile(
            rights,
            pb::MapSide { entity_name, columns: names, key_columns, ..Default::default() },
        )
    }

    /// The map, with more fields of the entity behind its columns; `None` where it has them all.
    pub(crate) fn with<'f>(
        &self,
        rights: &Unrestricted<'_>,
        fields: impl Iterator<Item = &'f str>,
    ) -> Result<Option<Self>, Error> {
        let mut columns = self.side.columns.clone();
        for field in fields {
            if !columns.iter().any(|it| it == field) {
                columns.push(field.to_owned());
            }
        }
        if columns.len() == self.side.columns.len() {
            return Ok(None);
        }
        Self::compile(rights, pb::MapSide { columns, ..self.side.clone() }).map(Some)
    }

    pub(crate) fn query(&self) -> ImageQuery<'_> {
        ImageQuery {
            links: &self.links,
            columns: &self.columns,
            key: &self.key,
            company: self.company.as_ref(),
            companies: &self.companies,
            filter: self.side.filter.as_ref(),
        }
    }

    /// The tables that the entity is made of, as the log names them.
    pub(crate) fn relations(&self) -> Vec<String> {
        crate::changes::relations(&self.binding)
    }

    /// The values of its key.
    pub(crate) fn key_of(&self, image: &pb::Image) -> pb::ImageKey {
        let value = |it: &i32| {
            usize::try_from(*it)
                .ok()
                .and_then(|it| image.values.get(it))
                .cloned()
                .unwrap_or_default()
        };
        let values = self.side.key_columns.iter().map(value).collect();
        pb::ImageKey { company: image.company.clone(), values }
    }

    /// Positions of columns that are made of any of these.
    pub(crate) fn changed(&self, columns: &HashSet<(String, String)>) -> Vec<i32> {
        let changed = self.made_of.iter().enumerate().filter(|it| it.1.is_any_of(columns));
        changed.filter_map(|it| i32::try_from(it.0).ok()).collect()
    }

    /// Whether a change of these columns may make another row of it, or have it take part, or no more.
    pub(crate) fn is_decided_by(&self, columns: &HashSet<(String, String)>) -> bool {
        self.decisive.iter().any(|it| it.is_any_of(columns))
    }

    /// Positions of all columns.
    pub(crate) fn all(&self) -> Vec<i32> {
        (0..self.side.columns.len()).filter_map(|it| i32::try_from(it).ok()).collect()
    }

    /// A field of the entity.
    pub(crate) fn field(&self, name: &str) -> Result<&Field, Error> {
        let (entity, column) = (self.binding.name().to_owned(), name.to_owned());
        self.binding.field(name).ok_or(Error::ColumnNotFound { entity, column })
    }

    /// The columns at these positions.
    pub(crate) fn names(&self, positions: &[i32]) -> Vec<String> {
        let name = |it: &i32| usize::try_from(*it).ok().and_then(|it| self.side.columns.get(it));
        positions.iter().filter_map(name).cloned().collect()
    }

    /// The columns of its key.
    pub(crate) fn key_names(&self) -> Vec<String> {
        self.names(&self.side.key_columns)
    }

    /// Several rows have a key that is to find one.
    pub(crate) fn not_unique(&self) -> Error {
        Error::KeyNotUnique { columns: self.key_names() }
    }

    /// Whether a change of these columns is shared.
    pub(crate) fn tracks(&self, changed: &[i32]) -> bool {
        let matters =
            |it: &i32| self.side.tracked_columns.contains(it) || self.side.key_columns.contains(it);
        changed.iter().any(matters)
    }
}

// === impl MadeOf ===

impl MadeOf {
    fn is_any_of(&self, columns: &HashSet<(String, String)>) -> bool {
        match self {
            Self::Anything => !columns.is_empty(),
            Self::Columns(own) => own.iter().any(|it| columns.contains(it)),
        }
    }
}

struct Compiler<'c, 'a> {
    rights: &'c Unrestricted<'a>,
    binding: &'c Arc<Binding>,
    links: Vec<pb::LinkEntity>,
}

impl Compiler<'_, '_> {
    fn column(&mut self, path: &str) -> Result<pb::ColumnRef, Error> {
        let Some((lookup, column)) = path.split_once('.') else {
            let name = path.to_owned();
            let column = match self.binding.relations.contains_key(path) {
                true if self.binding.number(path).is_none() => Ref::Relation(name),
                _ if self.binding.number(path).is_some() => Ref::Field(name),
                _ => return Err(self.unknown(path)),
            };
            return Ok(pb::ColumnRef { column: Some(column), link: String::new() });
        };
        self.link(lookup)?;
        let column = Some(Ref::Field(column.to_owned()));
        Ok(pb::ColumnRef { column, link: lookup.to_owned() })
    }

    fn unknown(&self, column: &str) -> Error {
        let entity = self.binding.name().to_owned();
        Error::ColumnNotFound { entity, column: column.to_owned() }
    }

    /// Joins the row that a lookup leads to, once.
    fn link(&mut self, lookup: &str) -> Result<(), Error> {
        if self.links.iter().any(|it| it.alias == lookup) {
            return Ok(());
        }
        let (entity, on) =
            match (self.relation(lookup), self.rights.lookup(self.binding.name(), lookup)) {
                (Some(relation), _) => {
                    let pair = |(own, theirs): &(String, String)| {
                        pair(Ref::Field(theirs.clone()), Ref::Field(own.clone()))
                    };
                    (relation.entity.clone(), relation.pairs.iter().map(pair).collect())
                }
                (None, Some(target)) if self.binding.number(lookup).is_some() => {
                    let id = Ref::System(pb::SystemColumn::RecordId.into());
                    (target, vec![pair(id, Ref::Field(lookup.to_owned()))])
                }
                _ => return Err(self.unknown(lookup)),
            };
        self.links.push(pb::LinkEntity {
            alias: lookup.to_owned(),
            target: Some(pb::link_entity::Target::EntityName(entity)),
            join: pb::JoinOperator::LeftOuter.into(),
            on,
            ..Default::default()
        });
        Ok(())
    }

    /// The relation of that name, or the one that the field of that name is for.
    fn relation(&self, lookup: &str) -> Option<&Relation> {
        let company = self.binding.company_field().map(|it| it.name.as_str());
        let is_for = |it: &&Relation| {
            let mut own = it.pairs.iter().filter(|it| Some(it.0.as_str()) != company);
            own.next().is_some_and(|it| it.0 == lookup) && own.next().is_none()
        };
        let relations = &self.binding.relations;
        relations.get(lookup).or_else(|| relations.values().find(is_for))
    }

    /// Columns that conditions name, with their links.
    fn filter(
        &mut self,
        filter: &pb::FilterExpression,
        columns: &mut Vec<pb::ColumnRef>,
    ) -> Result<(), Error> {
        for condition in &filter.conditions {
            for column in condition.column.iter().chain(&condition.compare_column) {
                if !column.link.is_empty() {
                    self.link(&column.link)?;
                }
                columns.push(column.clone());
            }
        }
        filter.filters.iter().try_for_each(|it| self.filter(it, columns))
    }

    fn made_of(&self, column: &pb::ColumnRef) -> MadeOf {
        let own: Vec<&str> = match (&column.column, column.link.as_str()) {
            (Some(Ref::Field(name)), "") => vec![name.as_str()],
            (Some(Ref::Relation(name)), "") => self.own_fields(name),
            (_, link) => self.own_fields(link),
        };
        let mut columns = HashSet::new();
        for name in own {
            let Some(field) = self.binding.field(name) else { continue };
            let Some(column) = &field.column else { return MadeOf::Anything };
            let mut at = column.source;
            columns.insert(self.physical(at, &column.name));
            // What leads to the row that it is kept in.
            while let Some(join) = self.binding.sources.get(at).and_then(|it| it.join.as_ref()) {
                let before = at;
                for (own, other) in &join.pairs {
                    columns.insert(self.physical(before, own));
                    columns.insert(self.physical(other.source, &other.name));
                    at = other.source.min(at);
                }
                if at == before {
                    break;
                }
            }
        }
        MadeOf::Columns(columns)
    }

    /// What joins the tables that no row is without.
    fn joined(&self) -> MadeOf {
        let mut columns = HashSet::new();
        for (at, source) in self.binding.sources.iter().enumerate() {
            let Some(join) = source.join.as_ref().filter(|it| !it.optional) else { continue };
            for (own, other) in &join.pairs {
                columns.insert(self.physical(at, own));
                columns.insert(self.physical(other.source, &other.name));
            }
        }
        MadeOf::Columns(columns)
    }

    fn own_fields(&self, lookup: &str) -> Vec<&str> {
        match self.relation(lookup) {
            Some(relation) => relation.pairs.iter().map(|it| it.0.as_str()).collect(),
            None => self.binding.field(lookup).map(|it| it.name.as_str()).into_iter().collect(),
        }
    }

    fn physical(&self, source: usize, column: &str) -> (String, String) {
        let table = self.binding.sources.get(source).map(|it| it.table.clone());
        (table.unwrap_or_default(), column.to_owned())
    }
}

fn pair(theirs: Ref, own: Ref) -> pb::JoinPair {
    let reference = |it| Some(pb::ColumnRef { column: Some(it), link: String::new() });
    pb::JoinPair { column: reference(theirs), parent: reference(own), exact: true }
}

/// What rows of the entity refer to.
fn targets_of(rights: &Unrestricted<'_>, binding: &Binding) -> Vec<String> {
    let related = binding.relations.values().map(|it| it.entity.clone());
    let looked_up = binding.fields.iter().filter_map(|it| rights.lookup(binding.name(), &it.name));
    related.chain(looked_up).collect()
}
