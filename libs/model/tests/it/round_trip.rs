//! `load(save(model)) == model`, for models of every shape.

use model::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,12}", any::<String>().prop_map(|it| it.chars().take(12).collect())]
}

/// Anything that PostgreSQL can hold.
fn identifier() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9_]{0,8}",
        "[^\\x00]{1,12}".prop_filter("too long", |it| it.len() <= 63)
    ]
}

fn stored_members() -> impl Strategy<Value = Vec<Stored>> {
    prop_oneof![
        prop::collection::btree_set(any::<i64>(), 1..5)
            .prop_map(|it| it.into_iter().map(Stored::Int).collect()),
        prop::collection::btree_set(text(), 1..5)
            .prop_map(|it| it.into_iter().map(Stored::Text).collect()),
        Just(vec![Stored::Bool(false), Stored::Bool(true)]),
    ]
}

fn an_enum(index: usize) -> impl Strategy<Value = Enum> {
    (text(), text(), stored_members()).prop_map(move |(label, member_label, stored)| Enum {
        name: format!("Enum{index}"),
        label,
        members: stored
            .into_iter()
            .enumerate()
            .map(|(at, stored)| Member {
                symbol: format!("S{at}"),
                label: member_label.clone(),
                stored,
            })
            .collect(),
    })
}

fn data_type() -> impl Strategy<Value = DataType> {
    prop_oneof![
        (1..5000_u32).prop_map(|max_length| DataType::String { max_length }),
        (0..=10_u8).prop_map(|scale| DataType::Decimal { scale }),
        (0..2_usize).prop_map(|it| DataType::Enum(format!("Enum{it}"))),
        prop::sample::select(vec![
            DataType::Memo,
            DataType::Integer,
            DataType::Long,
            DataType::Boolean,
            DataType::Date,
            DataType::DateTime,
            DataType::Guid,
        ]),
    ]
}

fn casing() -> impl Strategy<Value = Option<Casing>> {
    option::of(prop::sample::select(vec![Casing::Upper, Casing::Lower]))
}

fn source_of_field() -> impl Strategy<Value = FieldSource> {
    prop_oneof![
        identifier()
            .prop_map(|column| FieldSource::Column(ColumnPath { alias: "a0".into(), column })),
        "[a-z(][a-z0-9 .'\"\\\\]{0,9}".prop_map(FieldSource::Expression),
    ]
}

fn field() -> impl Strategy<Value = Field> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let texts = (text(), text(), option::of("[a-z]{1,9}"));
    let defaults = vec!["user", "today", "Field0 ?? \"a\\\\b\"", "round(2.50, 1)"];
    let bounds = option::of((-9..0_i32, 0..9_i32));
    let more = (option::of(prop::sample::select(defaults)), bounds);
    (texts, data_type(), source_of_field(), flags, casing(), more).prop_map(
        |((label, description, storage), data_type, source, flags, casing, (default, bounds))| {
            let is_number =
                matches!(data_type, DataType::Integer | DataType::Long | DataType::Decimal { .. });
            let writable = matches!(source, FieldSource::Column(_));
            let is_text = matches!(data_type, DataType::String { .. } | DataType::Memo);
            Field {
                name: String::new(),
                label,
                description,
                data_type,
                source,
                nullable: flags.0,
                mandatory: flags.1 && flags.2 && writable,
                allow_edit_on_create: flags.2 && writable,
                allow_edit: flags.3 && writable,
                casing: casing.filter(|_| is_text),
                storage,
                default: default.filter(|_| writable).map(str::to_owned),
                min: bounds.filter(|_| is_number).map(|it| it.0.to_string()),
                max: bounds.filter(|_| is_number).map(|it| it.1.to_string()),
            }
        },
    )
}

fn policy() -> impl Strategy<Value = RowPolicy> {
    let roles = prop::collection::btree_set("[A-Z][a-z ]{1,9}[a-z]", 0..3);
    let predicates =
        vec!["a0.owner = :user", "a0.\"x\" = ':user' -- ;\n OR true", "EXISTS (SELECT 1)"];
    (roles, prop::sample::select(predicates)).prop_map(|(roles, predicate)| {
        let mut roles: Vec<String> = roles.into_iter().collect();
        roles.dedup_by_key(|it| it.to_ascii_lowercase());
        RowPolicy { name: String::new(), roles, predicate: predicate.into() }
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    let checks = vec!["Field0 != ()", "old == () || Field0 == old.Field0", "len(user) > 0"];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (prop::sample::select(checks), "\\PC{1,12}", flags).prop_map(|(check, message, flags)| Rule {
        name: String::new(),
        check: check.to_owned(),
        message,
        field: flags.0.then(|| "Field0".to_owned()),
        on_create: flags.1 || !flags.2,
        on_update: flags.2,
    })
}

fn parameter() -> impl Strategy<Value = Parameter> {
    let length = option::of(1..5000_u32);
    (text(), prop::sample::select(ValueType::ALL.to_vec()), any::<bool>(), length).prop_map(
        |(label, value_type, mandatory, length)| Parameter {
            name: String::new(),
            label,
            value_type,
            mandatory,
            max_length: length.filter(|_| value_type == ValueType::String),
        },
    )
}

fn action() -> impl Strategy<Value = Action> {
    let bindings = vec![ActionBinding::Row, ActionBinding::Entity, ActionBinding::None];
    let implementation = prop_oneof![
        (identifier(), identifier())
            .prop_map(|(schema, name)| Implementation::Function { schema, name }),
        "[a-z-]{1,9}".prop_map(Implementation::Service),
    ];
    let returns = option::of(prop::sample::select(ValueType::ALL.to_vec()));
    let what = (prop::sample::select(bindings), implementation, vec(parameter(), 0..3), returns);
    (text(), text(), what).prop_map(|(label, description, what)| {
        let (binding, implementation, mut parameters, returns) = what;
        for (at, parameter) in parameters.iter_mut().enumerate() {
            parameter.name = format!("Parameter{at}");
        }
        let name = String::new();
        Action { name, label, description, binding, implementation, parameters, returns }
    })
}

fn join() -> impl Strategy<Value = Join> {
    let columns = prop::collection::btree_map(identifier(), identifier(), 1..3);
    (any::<bool>(), columns).prop_map(|(optional, columns)| Join {
        optional,
        columns: columns
            .into_iter()
            .rev()
            .map(|(column, other)| JoinColumn {
                column,
                other: ColumnPath { alias: "a0".into(), column: other },
            })
            .collect(),
    })
}

fn source() -> impl Strategy<Value = Source> {
    (identifier(), identifier(), join(), any::<bool>()).prop_map(|(schema, name, join, is_view)| {
        Source {
            alias: String::new(),
            table: TableName { schema, name },
            join: Some(join),
            is_view,
        }
    })
}

fn record_id() -> impl Strategy<Value = RecordId> {
    let kinds = vec![RecordIdKind::Integer, RecordIdKind::Uuid, RecordIdKind::Hash];
    let columns = prop::collection::btree_set(identifier(), 1..4);
    (columns, prop::sample::select(kinds)).prop_map(|(columns, kind)| RecordId {
        kind: if columns.len() > 1 { RecordIdKind::Hash } else { kind },
        columns: columns.into_iter().collect(),
    })
}

/// The field that the loader makes of `company`.
fn company() -> impl Strategy<Value = Field> {
    (identifier(), casing(), 1..9_u32).prop_map(|(column, casing, max_length)| Field {
        name: COMPANY_FIELD.to_owned(),
        label: "Company".to_owned(),
        description: String::new(),
        data_type: DataType::String { max_length },
        source: FieldSource::Column(ColumnPath { alias: "a0".into(), column }),
        nullable: false,
        mandatory: false,
        allow_edit_on_create: true,
        allow_edit: false,
        casing,
        storage: None,
        default: None,
        min: None,
        max: None,
    })
}

fn entity(index: usize) -> impl Strategy<Value = Entity> {
    let texts = (text(), text(), text());
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let parts = (vec(source(), 1..4), vec(field(), 1..6), option::of(company()), record_id());
    let logic = (vec(rule(), 0..3), vec(action(), 0..3), any::<bool>(), vec(policy(), 0..3));
    (texts, flags, parts, logic).prop_map(
        move |(texts, flags, (mut sources, mut fields, company, record_id), logic)| {
            let (mut rules, mut actions, mut policies) = (logic.0, logic.1, logic.3);
            for (at, policy) in policies.iter_mut().enumerate() {
                policy.name = format!("Policy{at}");
            }
            for (at, rule) in rules.iter_mut().enumerate() {
                rule.name = format!("Rule{at}");
            }
            for (at, action) in actions.iter_mut().enumerate() {
                action.name = format!("Action{at}");
            }
            for (at, source) in sources.iter_mut().enumerate() {
                source.alias = format!("a{at}");
            }
            sources[0].join = None;
            for (at, field) in fields.iter_mut().enumerate() {
                field.name = format!("Field{at}");
            }
            let path = match company.as_ref().map(|it| &it.source) {
                Some(FieldSource::Column(path)) => Some(path.clone()),
                _ => None,
            };
            fields.splice(0..0, company);
            let pair = RelationField { field: fields[0].name.clone(), related: "Field0".into() };
            let relation =
                Relation { name: "To".into(), entity: "Entity0".into(), fields: vec![pair] };
            Entity {
                name: format!("Entity{index}"),
                label: texts.0,
                collection_label: texts.1,
                description: texts.2,
                public: flags.0,
                visible: flags.1,
                sources,
                record_id,
                company: path,
                key: if flags.2 { vec![fields[0].name.clone()] } else { Vec::new() },
                fields,
                relations: vec![relation],
                rules,
                actions,
                policies,
                change_tracking: logic.2,
            }
        },
    )
}

fn any_model() -> impl Strategy<Value = Model> {
    let date = option::of((1..9999_i32, 1..366_u32));
    let flags = (any::<bool>(), any::<bool>());
    (text(), date, flags, (an_enum(0), an_enum(1)), (entity(0), entity(1))).prop_map(
        |(label, date, (company, compares_exactly), enums, entities)| Model {
            name: "any".into(),
            label,
            null_date: date.and_then(|(year, day)| chrono::NaiveDate::from_yo_opt(year, day)),
            compares_exactly,
            company: company.then(|| CompanySettings {
                entity: "Entity1".into(),
                code_field: "Field0".into(),
                name_field: "Field0".into(),
            }),
            enums: vec![enums.0, enums.1],
            entities: vec![entities.0, entities.1],
        },
    )
}

proptest! {
    #[test]
    fn saving_loses_nothing(model in any_model()) {
        let dir = tempfile::tempdir().unwrap();
        save(&model, dir.path()).unwrap();
        let loaded = load(dir.path()).map_err(|it| TestCaseError::fail(it.to_string()))?;
        prop_assert_eq!(loaded, model);
    }
}

#[test]
fn what_people_may_have_changed_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let demo = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
    let model = load(&demo).unwrap();
    save(&model, dir.path()).unwrap();
    let error = save(&model, dir.path()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    assert!(error.to_string().contains("entities"), "{error}");
}
