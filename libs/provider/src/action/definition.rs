//! Actions as an entity's binding holds them.

use proto::catalog::v1 as pb;

use crate::names::Ident;

/// An action, ready to be run.
#[derive(Debug)]
pub(crate) struct Action {
    pub(crate) name: String,
    pub(super) implementation: Implementation,
    /// It runs on one row.
    pub(super) is_of_row: bool,
    pub(super) parameters: Vec<Parameter>,
    /// None for an action that returns nothing.
    pub(super) result: Option<ValueType>,
}

/// Who does it.
#[derive(Debug)]
pub(super) enum Implementation {
    Function {
        /// `"schema"."name"`.
        function: String,
    },
    Service {
        name: String,
    },
}

#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) value_type: ValueType,
    pub(super) is_mandatory: bool,
    /// Characters; 0 for any number.
    pub(super) max_length: usize,
}

/// What a parameter or a result holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueType {
    Text,
    Integer,
    Long,
    Decimal,
    Boolean,
    Date,
    DateTime,
    Guid,
}

impl Action {
    pub(crate) fn compile(action: pb::EntityAction) -> Result<Self, String> {
        let name = action.name.clone();
        let said = |what: &str| format!("action `{name}` {what}");
        let implementation = match action.implementation {
            Some(pb::entity_action::Implementation::Function(it)) => {
                let function = format!("{}.{}", Ident(&it.schema), Ident(&it.name));
                Implementation::Function { function }
            }
            Some(pb::entity_action::Implementation::Service(name)) => {
                Implementation::Service { name }
            }
            None => return Err(said("has no implementation")),
        };
        let is_of_row = match pb::ActionBinding::try_from(action.binding) {
            Ok(pb::ActionBinding::Entity) => true,
            Ok(pb::ActionBinding::EntityCollection | pb::ActionBinding::Global) => false,
            Ok(pb::ActionBinding::Unspecified) | Err(_) => return Err(said("is bound to nothing")),
        };
        let parameter = |it: pb::ActionParameter| {
            let value_type = ValueType::of(it.r#type());
            let value_type = value_type.ok_or_else(|| said("has a parameter without a type"))?;
            Ok(Parameter {
                value_type,
                is_mandatory: it.mandatory,
                max_length: usize::try_from(it.max_length).unwrap_or_default(),
                name: it.name,
            })
        };
        let result = match pb::FieldType::try_from(action.result) {
            Ok(pb::FieldType::Unspecified) => None,
            Ok(it) => {
                Some(ValueType::of(it).ok_or_else(|| said("returns what no action returns"))?)
            }
            Err(_) => return Err(said("returns what no action returns")),
        };
        let parameters =
            action.parameters.into_iter().map(parameter).collect::<Result<_, String>>()?;
        Ok(Self { name: action.name, implementation, is_of_row, parameters, result })
    }

    pub(super) fn is_of_service(&self) -> bool {
        matches!(self.implementation, Implementation::Service { .. })
    }
}

impl ValueType {
    fn of(it: pb::FieldType) -> Option<Self> {
        Some(match it {
            pb::FieldType::String | pb::FieldType::Memo => Self::Text,
            pb::FieldType::Integer => Self::Integer,
            pb::FieldType::Long => Self::Long,
            pb::FieldType::Decimal => Self::Decimal,
            pb::FieldType::Boolean => Self::Boolean,
            pb::FieldType::Date => Self::Date,
            pb::FieldType::DateTime => Self::DateTime,
            pb::FieldType::Guid => Self::Guid,
            pb::FieldType::Unspecified | pb::FieldType::Enum => return None,
        })
    }

    /// As people call it.
    pub(super) fn expected(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "a whole number of 32 bits",
            Self::Long => "a whole number",
            Self::Decimal => "a decimal number",
            Self::Boolean => "a boolean",
            Self::Date => "a date of the years 1 to 9999",
            Self::DateTime => "a moment of the years 1 to 9999",
            Self::Guid => "a GUID of 16 bytes",
        }
    }

    /// The SQL type of an argument, the one that converts by itself to most that a function may have.
    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Long => "bigint",
            Self::Decimal => "numeric",
            Self::Boolean => "boolean",
            Self::Date => "date",
            // Becomes a timestamptz by itself where one is asked for, and not the other way round.
            Self::DateTime => "timestamp",
            Self::Guid => "uuid",
        }
    }
}
