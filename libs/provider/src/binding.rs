//! A data entity compiled for SQL: names quoted, expressions cast, enums indexed, once per
//! published definition and not once per query.

mod compile;

use std::collections::HashMap;
use std::sync::Arc;

use chrono::NaiveDate;
use proto::catalog::v1 as pb;
use rules::Expression;

use crate::action::Action;
use crate::policy::RowPolicy;

/// A data entity, ready to plan queries for.
#[derive(Debug)]
pub struct Binding {
    name: String,
    pub(crate) entity_id: u32,
    pub(crate) sources: Vec<Source>,
    pub(crate) identity: Identity,
    /// Columns of the root that the identity is made of, as the database calls them.
    pub(crate) identity_columns: Vec<String>,
    pub(crate) fields: Vec<Field>,
    by_name: HashMap<String, usize>,
    /// Indexes of the key's fields.
    pub(crate) key: Vec<usize>,
    /// Index of the company field.
    pub(crate) company: Option<usize>,
    /// Dates equal to this one mean "no date".
    pub(crate) null_date: Option<NaiveDate>,
    pub(crate) relations: HashMap<String, Relation>,
    /// What a row must meet when it is written.
    pub(crate) rules: Vec<Rule>,
    actions: Vec<Action>,
    /// Which rows a user may touch, beside those of the user's companies.
    pub(crate) policies: Vec<RowPolicy>,
    /// Changes of its rows are captured.
    pub(crate) change_tracking: bool,
}

/// A condition that a row must meet.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) check: Expression,
    /// Told to who wrote a row that does not meet it.
    pub(crate) message: String,
    /// Index of the field that is at fault, if it is one.
    pub(crate) field: Option<usize>,
    pub(crate) on_create: bool,
    pub(crate) on_update: bool,
}

/// A relation to one row of another entity at most.
#[derive(Debug)]
pub(crate) struct Relation {
    pub(crate) entity: String,
    /// A field of this entity and the one of the other that it equals, to the letter.
    pub(crate) pairs: Vec<(String, String)>,
}

/// A physical table of the entity.
#[derive(Debug)]
pub(crate) struct Source {
    /// Quoted.
    pub(crate) alias: String,
    /// `"schema"."table"`.
    pub(crate) table: String,
    /// As the database calls it.
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) join: Option<Join>,
    pub(crate) has_version: bool,
}

#[derive(Debug)]
pub(crate) struct Join {
    pub(crate) optional: bool,
    /// The ON clause.
    pub(crate) condition: String,
    /// Sources that the ON clause needs.
    pub(crate) needs: SourceSet,
    /// Columns of the source and those before it that they equal.
    pub(crate) pairs: Vec<(String, Column)>,
}

/// A column of a source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Column {
    /// Index of the source.
    pub(crate) source: usize,
    /// As the database calls it.
    pub(crate) name: String,
}

/// How a row gets its GUID. The strings are SQL.
#[derive(Debug)]
pub(crate) enum Identity {
    Integer { column: String },
    Uuid { column: String },
    Hash { columns: Vec<String>, expression: String },
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// The value as SQL, in the canonical type of `kind`.
    pub(crate) sql: String,
    pub(crate) kind: Kind,
    pub(crate) nullable: bool,
    pub(crate) casing: Casing,
    pub(crate) needs: SourceSet,
    /// Where the value is kept; an expression is kept nowhere.
    pub(crate) column: Option<Column>,
    pub(crate) limits: Limits,
}

/// What may be written into a field.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    pub(crate) mandatory: bool,
    pub(crate) on_create: bool,
    pub(crate) on_update: bool,
    /// Characters.
    pub(crate) max_length: Option<usize>,
    /// Digits after the point.
    pub(crate) scale: Option<usize>,
    /// Decimal digits.
    pub(crate) min: Option<String>,
    pub(crate) max: Option<String>,
    /// Gives the value that a create does not give.
    pub(crate) default: Option<Expression>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Casing {
    Any,
    Upper,
    Lower,
    /// Letter case tells texts apart.
    Exact,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Text,
    /// 32 or 64 bits.
    Integer,
    Decimal,
    Enum(Arc<EnumBinding>),
    Boolean,
    Date,
    DateTime {
        zoned: bool,
    },
    Guid,
}

#[derive(Debug)]
pub(crate) struct EnumBinding {
    pub(crate) members: Vec<EnumMember>,
    pub(crate) storage: EnumStorage,
}

#[derive(Debug)]
pub(crate) struct EnumMember {
    pub(crate) symbol: String,
    pub(crate) label: String,
    pub(crate) option_value: i32,
    pub(crate) stored: Stored,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    Int(i64),
    Text(String),
    Bool(bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EnumStorage {
    Int,
    Text,
    Bool,
}

/// A set of sources, by index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SourceSet(u64);

/// A published definition that cannot be compiled. The catalog validates models, so this is a
/// mismatch between services, not a user's mistake.
#[derive(Debug, thiserror::Error)]
#[error("data entity `{entity}`: {reason}")]
pub struct InvalidBinding {
    entity: String,
    reason: String,
}

// === impl SourceSet ===

impl SourceSet {
    /// More sources than an entity may have.
    const LIMIT: usize = 64;

    pub(crate) fn of(index: usize) -> Self {
        Self(1 << (index % Self::LIMIT))
    }

    pub(crate) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn contains(self, index: usize) -> bool {
        self.0 & Self::of(index).0 != 0
    }
}

// === impl Binding ===

impl Binding {
    /// External name of the entity.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.by_name.get(name).map(|&index| &self.fields[index])
    }

    /// The number of the field.
    pub(crate) fn number(&self, field: &str) -> Option<usize> {
        self.by_name.get(field).copied()
    }

    /// Whether rows are told apart by the field: by it they are found, and known to be who may see them.
    pub(crate) fn identifies(&self, field: usize) -> bool {
        let is_identity = |it: &Field| {
            let column = it.column.as_ref();
            column.is_some_and(|it| it.source == 0 && self.identity_columns.contains(&it.name))
        };
        self.key.contains(&field)
            || self.company == Some(field)
            || self.fields.get(field).is_some_and(is_identity)
    }

    pub(crate) fn key_fields(&self) -> impl Iterator<Item = &Field> {
        self.key.iter().map(|&index| &self.fields[index])
    }

    pub(crate) fn action(&self, name: &str) -> Option<&Action> {
        self.actions.iter().find(|it| it.name == name)
    }

    pub(crate) fn company_field(&self) -> Option<&Field> {
        self.company.map(|index| &self.fields[index])
    }
}

impl TryFrom<pb::DataEntity> for Binding {
    type Error = InvalidBinding;

    fn try_from(entity: pb::DataEntity) -> Result<Self, InvalidBinding> {
        let name = entity.name.clone();
        compile::compile(entity).map_err(|reason| InvalidBinding { entity: name, reason })
    }
}

// === impl EnumBinding ===

impl EnumBinding {
    pub(crate) fn by_symbol(&self, symbol: &str) -> Option<&EnumMember> {
        self.members.iter().find(|it| it.symbol == symbol)
    }

    /// The database holds the same for the same members.
    pub(crate) fn is_stored_as(&self, other: &Self) -> bool {
        let agrees = |it: &EnumMember| {
            other.by_symbol(&it.symbol).is_none_or(|other| other.stored == it.stored)
        };
        self.storage == other.storage && self.members.iter().all(agrees)
    }

    /// Stored values sort as options do, so that the plain column may be sorted by.
    pub(crate) fn sorts_as_stored(&self) -> bool {
        let key = |it: &EnumMember| match it.stored {
            Stored::Int(it) => Some(it),
            Stored::Bool(it) => Some(i64::from(it)),
            Stored::Text(_) => None,
        };
        self.members.iter().all(|it| key(it).is_some())
            && self
                .members
                .windows(2)
                .all(|it| key(&it[0]) < key(&it[1]) && it[0].option_value < it[1].option_value)
    }
}
