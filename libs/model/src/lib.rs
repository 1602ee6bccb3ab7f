//! Data entity definitions: what the ERP offers, where it lives, and how a model file says so.
//!
//! A *model* is a folder: `model.toml` and any number of `entities/*.toml` (design.md §8). Start
//! with [`Entity`]; [`load`] reads and validates a folder, [`parse`] does the same for text that a
//! program carries within itself, [`save`] writes a folder. [`Security`] is its `security.toml`: who
//! may do what. The format is described in `docs/model-format.md`.

mod check;
mod entity;
mod load;
mod logic;
mod name;
mod predicate;
mod read;
mod save;
mod security;
mod toml_reader;

pub use entity::{
    COMPANY_FIELD, Casing, ColumnPath, CompanySettings, DataType, Entity, Enum, Field, FieldSource,
    Join, JoinColumn, Member, Model, RecordId, RecordIdKind, Relation, RelationField, RowPolicy,
    Source, Stored, TableName,
};
pub use load::{File, LoadError, Problem, load, parse, parse_entities};
pub use logic::{Action, ActionBinding, Implementation, Parameter, Rule, ValueType};
pub use predicate::{InvalidPredicate, Piece, Predicate, Variable};
pub use save::save;
pub use security::{
    DirectoryQueries, Duty, EntityGrant, EntityOperation, Security, SecurityPrivilege, SecurityRole,
};
