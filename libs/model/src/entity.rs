//! The types of a model. [`crate::load`] is the only way to make a [`Model`] from files, so what it
//! checks holds wherever one is seen.

use std::fmt;

use chrono::NaiveDate;

use crate::logic::{Action, Rule};

/// Name of the field that holds a row's legal entity, whatever its column is called.
pub const COMPANY_FIELD: &str = "dataAreaId";

/// All data entities of one ERP.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Short name, as in `models/<name>`.
    pub name: String,
    /// For people.
    pub label: String,
    /// Dates equal to this one mean "no date" (spec VE-043).
    pub null_date: Option<NaiveDate>,
    /// The ERP tells texts apart by letter case, in every field.
    pub compares_exactly: bool,
    /// Which entity lists the legal entities, if the ERP has any.
    pub company: Option<CompanySettings>,
    /// Shared by the entities' enum fields.
    pub enums: Vec<Enum>,
    /// In order of their names.
    pub entities: Vec<Entity>,
}

/// Where the ERP lists its legal entities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompanySettings {
    /// The entity whose rows are legal entities.
    pub entity: String,
    /// Its field that holds the code, `USMF`.
    pub code_field: String,
    /// Its field that holds the name.
    pub name_field: String,
}

/// An enumeration. Becomes a global option set; member order decides option values (spec VE-044).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enum {
    /// `CustVendorBlocked`.
    pub name: String,
    /// For people.
    pub label: String,
    /// At least one.
    pub members: Vec<Member>,
}

/// A member of an enumeration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Stable name, unique within the enum.
    pub symbol: String,
    /// For people.
    pub label: String,
    /// What the database holds, unique within the enum.
    pub stored: Stored,
}

/// A stored enum value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// In an integer column.
    Int(i64),
    /// In a text or PostgreSQL enum column.
    Text(String),
    /// In a boolean column.
    Bool(bool),
}

/// A named, typed view over the ERP's tables.
#[derive(Clone, Debug, PartialEq)]
pub struct Entity {
    /// Physical name, unique without regard to case: `CustCustomerV3Entity`.
    pub name: String,
    /// For people, one row.
    pub label: String,
    /// For people, many rows.
    pub collection_label: String,
    /// For people, longer; may be empty.
    pub description: String,
    /// Offered by the catalog at all.
    pub public: bool,
    /// Visible as a virtual table from the first time the catalog sees it.
    pub visible: bool,
    /// The first is the root. Never empty.
    pub sources: Vec<Source>,
    /// What identifies a row of the root.
    pub record_id: RecordId,
    /// Column that holds the legal entity. Then [`Self::fields`] begins with [`COMPANY_FIELD`].
    pub company: Option<ColumnPath>,
    /// Names of the fields of the entity key, in order; may be empty.
    pub key: Vec<String>,
    /// Names are unique without regard to case.
    pub fields: Vec<Field>,
    /// To other entities of the model.
    pub relations: Vec<Relation>,
    /// What a row must meet when it is written. Names are unique without regard to case.
    pub rules: Vec<Rule>,
    /// What can be run besides. Names are unique without regard to case.
    pub actions: Vec<Action>,
    /// Which rows a user may touch, beside those of the user's companies. Names are unique without
    /// regard to case.
    pub policies: Vec<RowPolicy>,
    /// Changes of its rows are captured, until an administrator says otherwise.
    pub change_tracking: bool,
}

/// A physical table and how it joins those before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Unique within the entity.
    pub alias: String,
    /// Where.
    pub table: TableName,
    /// Absent on the root, and only there.
    pub join: Option<Join>,
    /// A view: it has no row version.
    pub is_view: bool,
}

/// A table's place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// `public` unless given.
    pub schema: String,
    /// As PostgreSQL stores it: case matters.
    pub name: String,
}

/// How a source finds its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// Rows without a partner stay. Such a join finds one row at most.
    pub optional: bool,
    /// All must be equal. Never empty.
    pub columns: Vec<JoinColumn>,
}

/// `column` of the joined source equals `other`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinColumn {
    /// Of the joined source.
    pub column: String,
    /// Of a source before it.
    pub other: ColumnPath,
}

/// A column of a source, written `alias.column`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnPath {
    /// Alias of a source.
    pub alias: String,
    /// As PostgreSQL stores it: case matters.
    pub column: String,
}

/// What identifies a row of the root source and becomes its GUID (spec VE-045).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordId {
    /// How.
    pub kind: RecordIdKind,
    /// Columns of the root: exactly one unless `kind` is [`RecordIdKind::Hash`].
    pub columns: Vec<String>,
}

/// How a record id becomes a GUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordIdKind {
    /// One integer column, packed beside the entity id.
    Integer,
    /// One uuid column, which is the GUID.
    Uuid,
    /// Any unique columns, hashed.
    Hash,
}

/// A field of an entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// `CustomerAccount`.
    pub name: String,
    /// For people.
    pub label: String,
    /// For people, longer; may be empty.
    pub description: String,
    /// What kind of value.
    pub data_type: DataType,
    /// Where it comes from.
    pub source: FieldSource,
    /// May be null in the database.
    pub nullable: bool,
    /// Must be given on create.
    pub mandatory: bool,
    /// May be set on create.
    pub allow_edit_on_create: bool,
    /// May be changed later.
    pub allow_edit: bool,
    /// Stored in one letter case only, so that plain indexes serve.
    pub casing: Option<Casing>,
    /// SQL type of the column where it is not the usual one of `data_type`, as `schema.type`.
    pub storage: Option<String>,
    /// Gives the value that a create does not give: an expression over the row.
    pub default: Option<String>,
    /// The least value of a number, in decimal digits.
    pub min: Option<String>,
    /// The greatest value of a number, in decimal digits.
    pub max: Option<String>,
}

/// The letter case that a column's values are stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Casing {
    /// `value = upper(value)` for every row.
    Upper,
    /// `value = lower(value)` for every row.
    Lower,
}

/// Where a field's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldSource {
    /// A column.
    Column(ColumnPath),
    /// SQL over the sources' aliases, by the model's author; read-only.
    Expression(String),
}

/// The kinds of value a field may hold (spec virtual-entities §3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataType {
    /// One line of text.
    String {
        /// Characters.
        max_length: u32,
    },
    /// Text of any length.
    Memo,
    /// 32 bits.
    Integer,
    /// 64 bits.
    Long,
    /// Exact decimal.
    Decimal {
        /// Digits after the point that the platform shows and accepts.
        scale: u8,
    },
    /// A member of the named enum.
    Enum(String),
    /// Yes or no, a Boolean column. The importer writes the enum `NoYes` instead (spec VE-040).
    Boolean,
    /// Calendar date.
    Date,
    /// Moment. A column without time zone is read as UTC.
    DateTime,
    /// GUID.
    Guid,
}

/// A relation to another entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// Unique within the entity.
    pub name: String,
    /// The entity it points to.
    pub entity: String,
    /// Pairs of fields that must be equal; company fields are paired implicitly.
    pub fields: Vec<RelationField>,
}

/// One pair of a relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationField {
    /// Of this entity.
    pub field: String,
    /// Of the related one.
    pub related: String,
}

/// A restriction of the rows of an entity: a row must meet all that apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowPolicy {
    /// Unique within the entity.
    pub name: String,
    /// Applies to who holds one of these roles; none: to all but System administrators.
    pub roles: Vec<String>,
    /// SQL over the sources' aliases, by the model's author: a [`Predicate`](crate::Predicate).
    pub predicate: String,
}

impl Entity {
    /// The source that identifies the row.
    ///
    /// # Panics
    ///
    /// Never for a loaded entity: it has at least one source.
    #[must_use]
    pub fn root(&self) -> &Source {
        &self.sources[0]
    }

    /// The field of that exact name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|it| it.name == name)
    }
}

impl Model {
    /// The enum of that name.
    #[must_use]
    pub fn find_enum(&self, name: &str) -> Option<&Enum> {
        self.enums.iter().find(|it| it.name == name)
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

impl fmt::Display for ColumnPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.alias, self.column)
    }
}
