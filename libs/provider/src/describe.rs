//! From a model's entity to the message that services exchange.

use model::{
    Action, ActionBinding, COMPANY_FIELD, Casing, DataType, Entity, Enum, FieldSource,
    Implementation, Member, Model, Parameter, RecordIdKind, Relation, RowPolicy, Rule, Stored,
    ValueType,
};
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
            Some(_) => COMPANY_FIELD.to_owned(),
            None => String::new(),
        },
        null_date: model.null_date.map(|it| it.to_string()).unwrap_or_default(),
        relations: entity.relations.iter().filter_map(|it| relation(model, entity, it)).collect(),
        rules: entity.rules.iter().map(rule).collect(),
        actions: entity.actions.iter().map(action).collect(),
        change_tracking: entity.change_tracking,
        row_policies: entity.policies.iter().map(policy).collect(),
    }
}

fn rule(rule: &Rule) -> pb::EntityRule {
    pb::EntityRule {
        name: rule.name.clone(),
        check: rule.check.clone(),
        message: rule.message.clone(),
        field: rule.field.clone().unwrap_or_default(),
        on_create: rule.on_create,
        on_update: rule.on_update,
    }
}

fn policy(policy: &RowPolicy) -> pb::RowPolicy {
    let RowPolicy { name, roles, predicate } = policy.clone();
    pb::RowPolicy { name, roles, predicate }
}

fn action(action: &Action) -> pb::EntityAction {
    use pb::entity_action::Implementation as Published;
    pb::EntityAction {
        name: action.name.clone(),
        label: action.label.clone(),
        description: action.description.clone(),
        binding: match action.binding {
            ActionBinding::Row => pb::ActionBinding::Entity,
            ActionBinding::Entity => pb::ActionBinding::EntityCollection,
            ActionBinding::None => pb::ActionBinding::Global,
        }
        .into(),
        implementation: Some(match &action.implementation {
            Implementation::Function { schema, name } => {
                Published::Function(pb::SqlFunction { schema: schema.clone(), name: name.clone() })
            }
            Implementation::Service(it) => Published::Service(it.clone()),
        }),
        parameters: action.parameters.iter().map(parameter).collect(),
        result: action.returns.map_or(pb::FieldType::Unspecified, value_type).into(),
    }
}

fn parameter(parameter: &Parameter) -> pb::ActionParameter {
    pb::ActionParameter {
        name: parameter.name.clone(),
        r#type: value_type(parameter.value_type).into(),
        mandatory: parameter.mandatory,
        max_length: parameter.max_length.map_or(0, |it| i32::try_from(it).unwrap_or(i32::MAX)),
        label: parameter.label.clone(),
    }
}

fn value_type(it: ValueType) -> pb::FieldType {
    match it {
        ValueType::String => pb::FieldType::String,
        ValueType::Memo => pb::FieldType::Memo,
        ValueType::Integer => pb::FieldType::Integer,
        ValueType::Long => pb::FieldType::Long,
        ValueType::Decimal => pb::FieldType::Decimal,
        ValueType::Boolean => pb::FieldType::Boolean,
        ValueType::Date => pb::FieldType::Date,
        ValueType::DateTime => pb::FieldType::DateTime,
        ValueType::Guid => pb::FieldType::Guid,
    }
}

/// A row's related row is of the same company, wherever both have one.
fn relation(model: &Model, entity: &Entity, relation: &Relation) -> Option<pb::EntityRelation> {
    let target = model.entities.iter().find(|it| it.name == relation.entity)?;
    let pair = |field: &str, related: &str| pb::EntityRelationPair {
        field: field.to_owned(),
        related: related.to_owned(),
    };
    let mut pairs: Vec<_> = relation.fields.iter().map(|it| pair(&it.field, &it.related)).collect();
    let says_so = relation.fields.iter().any(|it| it.related == COMPANY_FIELD);
    if entity.company.is_some() && target.company.is_some() && !says_so {
        pairs.insert(0, pair(COMPANY_FIELD, COMPANY_FIELD));
    }
    Some(pb::EntityRelation { name: relation.name.clone(), entity: relation.entity.clone(), pairs })
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
        casing: casing(model, field).into(),
        storage: field.storage.clone().unwrap_or_default(),
        scale,
        source: Some(match &field.source {
            FieldSource::Column(it) => pb::data_field::Source::Column(path(it)),
            FieldSource::Expression(it) => pb::data_field::Source::Expression(it.clone()),
        }),
        label: field.label.clone(),
        mandatory: field.mandatory,
        allow_edit_on_create: field.allow_edit_on_create,
        allow_edit: field.allow_edit,
        max_length: match field.data_type {
            DataType::String { max_length } => i32::try_from(max_length).unwrap_or(i32::MAX),
            _ => 0,
        },
        min_value: field.min.clone().unwrap_or_default(),
        max_value: field.max.clone().unwrap_or_default(),
        default_expression: field.default.clone().unwrap_or_default(),
    }
}

fn casing(model: &Model, field: &model::Field) -> pb::Casing {
    let is_text = matches!(field.data_type, DataType::String { .. } | DataType::Memo);
    match field.casing {
        _ if model.compares_exactly && is_text => pb::Casing::Exact,
        None => pb::Casing::Unspecified,
        Some(Casing::Upper) => pb::Casing::Upper,
        Some(Casing::Lower) => pb::Casing::Lower,
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

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: &str = r#"
        name = "Group"
        record_id = "recid"
        company = "g.dataareaid"
        key = ["dataAreaId", "GroupId"]
        [[sources]]
        alias = "g"
        table = "groups"
        [[fields]]
        name = "GroupId"
        column = "g.id"
        type = "string"
        casing = "upper"
        [[fields]]
        name = "Rank"
        column = "g.rank"
        type = "integer"
    "#;
    const COUNTRY: &str = r#"
        name = "Country"
        record_id = "recid"
        [[sources]]
        alias = "c"
        table = "countries"
        [[fields]]
        name = "Code"
        column = "c.code"
        type = "string"
    "#;
    const CUSTOMER: &str = r#"
        name = "Customer"
        record_id = "recid"
        company = "c.dataareaid"
        [[sources]]
        alias = "c"
        table = "customers"
        [[fields]]
        name = "GroupId"
        column = "c.groupid"
        type = "string"
        [[fields]]
        name = "CountryCode"
        column = "c.country"
        type = "string"
        [[relations]]
        name = "Group"
        entity = "Group"
        fields = { GroupId = "GroupId" }
        [[relations]]
        name = "OtherGroup"
        entity = "Group"
        fields = { CountryCode = "dataAreaId", GroupId = "GroupId" }
        [[relations]]
        name = "Country"
        entity = "Country"
        fields = { CountryCode = "Code" }
    "#;

    fn described(settings: &str, entity: &str) -> pb::DataEntity {
        let files = [("group.toml", GROUP), ("country.toml", COUNTRY), ("customer.toml", CUSTOMER)];
        let model = model::parse_entities("m", settings, &files).unwrap();
        let entity = model.entities.iter().find(|it| it.name == entity).unwrap();
        data_entity(&model, entity, 7, |_, _| 0)
    }

    #[test]
    fn relations_stay_within_the_company() {
        let customer = described("name = \"m\"", "Customer");
        let check = |name: &str, expected: &[(&str, &str)]| {
            let relation = customer.relations.iter().find(|it| it.name == name).unwrap();
            let pairs = relation.pairs.iter().map(|it| (it.field.as_str(), it.related.as_str()));
            assert_eq!(pairs.collect::<Vec<_>>(), expected, "{name}");
        };
        check("Group", &[("dataAreaId", "dataAreaId"), ("GroupId", "GroupId")]);
        check("OtherGroup", &[("CountryCode", "dataAreaId"), ("GroupId", "GroupId")]);
        check("Country", &[("CountryCode", "Code")]);
    }

    #[test]
    fn a_model_that_compares_exactly_has_only_exact_texts() {
        let casings = |settings: &str| -> Vec<pb::Casing> {
            described(settings, "Group").fields.iter().map(pb::DataField::casing).collect()
        };
        let (any, upper, exact) = (pb::Casing::Unspecified, pb::Casing::Upper, pb::Casing::Exact);
        assert_eq!(casings("name = \"m\""), [any, upper, any]);
        assert_eq!(casings("name = \"m\"\ncompare = \"exact\""), [exact, exact, any]);
    }

    #[test]
    fn rules_defaults_policies_and_actions_are_published() {
        let order = format!(
            "change_tracking = true\n{GROUP}
            default = \"1\"
            min = 0
            [[rules]]
            name = \"Positive\"
            check = \"Rank > 0\"
            message = \"No.\"
            on = \"create\"
            [[policies]]
            name = \"Own\"
            roles = \"Clerk\"
            predicate = \"g.owner = :user\"
            [[actions]]
            name = \"Promote\"
            binding = \"row\"
            function = \"erp.promote\"
            parameters = [{{ name = \"By\", type = \"string\", max_length = 9, mandatory = true }}]
            returns = \"date\""
        );
        let model = model::parse_entities("m", "name = \"m\"", &[("g.toml", &order)]).unwrap();
        let entity = data_entity(&model, &model.entities[0], 7, |_, _| 0);
        assert!(entity.change_tracking);
        let rank = entity.fields.iter().find(|it| it.name == "Rank").unwrap();
        let limits = [&rank.default_expression, &rank.min_value, &rank.max_value];
        assert_eq!(limits, ["1", "0", ""]);
        let rule = &entity.rules[0];
        assert_eq!((rule.on_create, rule.on_update, rule.field.as_str()), (true, false, ""));
        let (name, roles) = ("Own".into(), vec!["Clerk".into()]);
        let own = pb::RowPolicy { name, roles, predicate: "g.owner = :user".into() };
        assert_eq!(entity.row_policies, [own]);
        let action = &entity.actions[0];
        assert_eq!(action.binding(), pb::ActionBinding::Entity);
        assert_eq!(action.result(), pb::FieldType::Date);
        let function = pb::SqlFunction { schema: "erp".into(), name: "promote".into() };
        let expected = pb::entity_action::Implementation::Function(function);
        assert_eq!(action.implementation, Some(expected));
        let parameter = &action.parameters[0];
        assert_eq!((parameter.max_length, parameter.mandatory), (9, true));
    }
}
