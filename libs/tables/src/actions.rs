//! Actions of a table (spec virtual-entities §3.11): one for each action of its data entity.

use model::{Action, ActionBinding, Entity, ValueType};
use proto::query::v1 as pb;
use proto::query::v1::{ActionTarget, AttributeType};

pub(crate) fn definitions(entity: &Entity, prefix: &str) -> Vec<pb::ActionDefinition> {
    entity.actions.iter().map(|it| definition(entity, prefix, it)).collect()
}

fn definition(entity: &Entity, prefix: &str, action: &Action) -> pb::ActionDefinition {
    let parameter = |it: &model::Parameter| pb::ActionParameterDefinition {
        name: it.name.clone(),
        r#type: attribute_type(it.value_type).into(),
        required: it.mandatory,
    };
    pb::ActionDefinition {
        // Entities have actions of the same name; the organization has each name once.
        unique_name: format!("{prefix}{}_{}", entity.name, action.name),
        external_name: action.name.clone(),
        display_name: action.label.clone(),
        description: action.description.clone(),
        target: match action.binding {
            ActionBinding::Row => ActionTarget::Entity,
            ActionBinding::Entity => ActionTarget::EntityCollection,
            ActionBinding::None => ActionTarget::Global,
        }
        .into(),
        parameters: action.parameters.iter().map(parameter).collect(),
        result: action.returns.map_or(AttributeType::Unspecified, attribute_type).into(),
    }
}

fn attribute_type(it: ValueType) -> AttributeType {
    match it {
        ValueType::String => AttributeType::String,
        ValueType::Memo => AttributeType::Memo,
        ValueType::Integer => AttributeType::Integer,
        ValueType::Long => AttributeType::BigInt,
        ValueType::Decimal => AttributeType::Decimal,
        ValueType::Boolean => AttributeType::Boolean,
        ValueType::Date => AttributeType::Date,
        ValueType::DateTime => AttributeType::DateTime,
        ValueType::Guid => AttributeType::Uniqueidentifier,
    }
}
