//! What an entity does besides holding rows: rules that rows must meet, and actions.

/// A condition that a row must meet when it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Unique within the entity.
    pub name: String,
    /// An expression over the row that is true of a good one.
    pub check: String,
    /// Told to who wrote a row that is not.
    pub message: String,
    /// The field at fault, where it is one.
    pub field: Option<String>,
    /// Checked when a row is made.
    pub on_create: bool,
    /// Checked when a row is changed.
    pub on_update: bool,
}

/// Something that the ERP can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Unique within the entity.
    pub name: String,
    /// For people.
    pub label: String,
    /// For people, longer; may be empty.
    pub description: String,
    /// What it runs on.
    pub binding: ActionBinding,
    /// What runs.
    pub implementation: Implementation,
    /// In the order of the function's arguments.
    pub parameters: Vec<Parameter>,
    /// Kind of its result, if it has one.
    pub returns: Option<ValueType>,
}

/// What an action runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionBinding {
    /// One row.
    Row,
    /// The entity as a whole.
    Entity,
    /// Nothing.
    None,
}

/// What runs when an action is performed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Implementation {
    /// A function of the ERP's database.
    Function {
        /// `public` unless given.
        schema: String,
        /// As PostgreSQL stores it: case matters.
        name: String,
    },
    /// A business-logic service that the adapter is configured with.
    Service(String),
}

/// A parameter of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Unique within the action.
    pub name: String,
    /// For people.
    pub label: String,
    /// What kind of value.
    pub value_type: ValueType,
    /// Must be given and not null.
    pub mandatory: bool,
    /// Characters, for a [`ValueType::String`]; `None`: any number.
    pub max_length: Option<u32>,
}

/// The kinds of value that actions take and give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// One line of text.
    String,
    /// Text of any length.
    Memo,
    /// 32 bits.
    Integer,
    /// 64 bits.
    Long,
    /// Exact decimal.
    Decimal,
    /// Yes or no.
    Boolean,
    /// Calendar date.
    Date,
    /// Moment.
    DateTime,
    /// GUID.
    Guid,
}

// === impl ValueType ===

impl ValueType {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::String,
        Self::Memo,
        Self::Integer,
        Self::Long,
        Self::Decimal,
        Self::Boolean,
        Self::Date,
        Self::DateTime,
        Self::Guid,
    ];

    /// As a model file writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Memo => "memo",
            Self::Integer => "integer",
            Self::Long => "long",
            Self::Decimal => "decimal",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::DateTime => "datetime",
            Self::Guid => "guid",
        }
    }
}
