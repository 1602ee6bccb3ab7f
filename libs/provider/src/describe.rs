//! From a model's entity to the message that services exchange.

use model::{Casing, DataType, Entity, Enum, FieldSource, Member, Model, RecordIdKind, Stored};
use proto::catalog::v1 as pb;

/// Describes an entity for the adapter. `option_value` gives the platform's value of an enum member.
#[must_use]
pub fn data_entity(
    model: &Model,
    entity: &Entity,
    entity_id: u32,
    option_value: impl Fn(&Enum, &Member) -> i32,
) -> pb::DataEntity {
    pb::DataEntity {
        name: entity.name.clone(),
        entity_id,
        sources: entity.sources.iter().map(source).collect(),
        record_identity: Some(pb::RecordIdentity {
            kind: identity_kind(entity.record_id.kind).into(),
            columns: entity.record_id.columns.clone(),
        }),
        fields: entity.fields.iter().map(|it| field(model, it, &option_value)).collect(),
        key: entity.key.clone(),
        company_field: match entity.company {
            Some(_) => model::COMPANY_FIELD.to_owned(),
            None => String::new(),
        },
        null_date: model.null_date.map(|it| it.to_string()).unwrap_or_default(),
    }
}

fn source(source: &model::Source) -> pb::DataSource {
    pb::DataSource {
        alias: source.alias.clone(),
        schema: source.table.schema.clone(),
        table: source.table.name.clone(),
        join: source.join.as_ref().map(|join| pb::DataSourceJoin {
            optional: join.optional,
            columns: join
                .columns
                .iter()
                .map(|it| pb::JoinColumn {
                    column: it.column.clone(),
                    other: Some(path(&it.other)),
                })
                .collect(),
        }),
        is_view: source.is_view,
    }
}

fn path(path: &model::ColumnPath) -> pb::ColumnPath {
    pb::ColumnPath { alias: path.alias.clone(), column: path.column.clone() }
}

fn field(
    model: &Model,
    field: &model::Field,
    option_value: &impl Fn(&Enum, &Member) -> i32,
) -> pb::DataField {
    let members = match &field.data_type {
        DataType::Enum(name) => model.find_enum(name).map(|it| members(it, option_value)),
        _ => None,
    };
    let scale = match field.data_type {
        DataType::Decimal { scale } => i32::from(scale),
        _ => 0,
    };
    pb::DataField {
        name: field.name.clone(),
        r#type: field_type(&field.data_type).into(),
        nullable: field.nullable,
        members: members.unwrap_or_default(),
        casing: match field.casing {
            None => pb::Casing::Unspecified,
            Some(Casing::Upper) => pb::Casing::Upper,
            Some(Casing::Lower) => pb::Casing::Lower,
        }
        .into(),
        storage: field.storage.clone().unwrap_or_default(),
        scale,
        source: Some(match &field.source {
            FieldSource::Column(it) => pb::data_field::Source::Column(path(it)),
            FieldSource::Expression(it) => pb::data_field::Source::Expression(it.clone()),
        }),
    }
}

fn members(it: &Enum, option_value: &impl Fn(&Enum, &Member) -> i32) -> Vec<pb::EnumMember> {
    let member = |member: &Member| pb::EnumMember {
        symbol: member.symbol.clone(),
        label: member.label.clone(),
        option_value: option_value(it, member),
        stored: Some(match &member.stored {
            Stored::Int(it) => pb::enum_member::Stored::StoredInt(*it),
            Stored::Text(it) => pb::enum_member::Stored::StoredText(it.clone()),
            Stored::Bool(it) => pb::enum_member::Stored::StoredBool(*it),
        }),
    };
    it.members.iter().map(member).collect()
}

fn identity_kind(kind: RecordIdKind) -> pb::RecordIdentityKind {
    match kind {
        RecordIdKind::Integer => pb::RecordIdentityKind::Integer,
        RecordIdKind::Uuid => pb::RecordIdentityKind::Uuid,
        RecordIdKind::Hash => pb::RecordIdentityKind::Hash,
    }
}

fn field_type(it: &DataType) -> pb::FieldType {
    match it {
        DataType::String { .. } => pb::FieldType::String,
        DataType::Memo => pb::FieldType::Memo,
        DataType::Integer => pb::FieldType::Integer,
        DataType::Long => pb::FieldType::Long,
        DataType::Decimal { .. } => pb::FieldType::Decimal,
        DataType::Enum(_) => pb::FieldType::Enum,
        DataType::Boolean => pb::FieldType::Boolean,
        DataType::Date => pb::FieldType::Date,
        DataType::DateTime => pb::FieldType::DateTime,
        DataType::Guid => pb::FieldType::Guid,
    }
}
