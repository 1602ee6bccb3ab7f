//! From a published definition to a [`Binding`]: what cannot be compiled is said once, here.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use model::Predicate;
use proto::catalog::v1 as pb;

use super::{
    Binding, Casing, Column, EnumBinding, EnumMember, EnumStorage, Field, Identity, Join, Kind,
    Limits, Relation, Rule, Source, SourceSet, Stored,
};
use crate::action::Action;
use crate::names::Ident;
use crate::policy::RowPolicy;
use rules::Expression;

pub(super) fn compile(entity: pb::DataEntity) -> Result<Binding, String> {
    if entity.sources.is_empty() || entity.sources.len() > SourceSet::LIMIT {
        return Err(format!("needs 1 to {} sources", SourceSet::LIMIT));
    }
    let scope = Scope::new(&entity.sources);
    let sources = entity
        .sources
        .iter()
        .map(|it| compile_source(&scope, it))
        .collect::<Result<Vec<_>, _>>()?;
    let identity_columns = entity.record_identity.iter().flat_map(|it| it.columns.clone());
    let identity_columns = identity_columns.collect();
    let identity = compile_identity(&sources[0].alias, entity.record_identity)?;
    let names: Vec<String> = entity.fields.iter().map(|it| it.name.clone()).collect();
    let fields = entity
        .fields
        .into_iter()
        .map(|it| compile_field(&scope, &sources, &names, it))
        .collect::<Result<Vec<_>, _>>()?;
    let by_name: HashMap<String, usize> =
        fields.iter().enumerate().map(|(index, it)| (it.name.clone(), index)).collect();
    let find = |name: &String| {
        by_name.get(name).copied().ok_or_else(|| format!("names no field `{name}`"))
    };
    let key = entity.key.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    let company = match &entity.company_field {
        it if it.is_empty() => None,
        it => Some(find(it)?),
    };
    let null_date = match entity.null_date.as_str() {
        "" => None,
        it => Some(it.parse().map_err(|_| format!("`{it}` is not a date"))?),
    };
    let relations = entity.relations.into_iter().map(|it| {
        let pairs = it.pairs.into_iter().map(|pair| (pair.field, pair.related)).collect();
        (it.name, Relation { entity: it.entity, pairs })
    });
    let rules = entity.rules.into_iter().map(|it| compile_rule(it, &names));
    let rules = rules.collect::<Result<Vec<_>, _>>()?;
    let actions = entity.actions.into_iter().map(Action::compile).collect::<Result<_, _>>()?;
    let policies = entity.row_policies.into_iter().map(|it| compile_policy(&scope, it));
    let policies = policies.collect::<Result<_, _>>()?;
    Ok(Binding {
        name: entity.name,
        entity_id: entity.entity_id,
        sources,
        identity,
        identity_columns,
        fields,
        by_name,
        key,
        company,
        null_date,
        relations: relations.collect(),
        rules,
        actions,
        policies,
        change_tracking: entity.change_tracking,
    })
}

fn compile_rule(rule: pb::EntityRule, names: &[String]) -> Result<Rule, String> {
    let check = Expression::compile(&rule.check, names)
        .map_err(|error| format!("rule `{}`: {error}", rule.name))?;
    let field = match rule.field.as_str() {
        "" => None,
        field => {
            let index = names.iter().position(|it| it == field);
            Some(index.ok_or_else(|| format!("rule `{}` names no field `{field}`", rule.name))?)
        }
    };
    let (name, message) = (rule.name, rule.message);
    Ok(Rule { name, check, message, field, on_create: rule.on_create, on_update: rule.on_update })
}

fn compile_policy(scope: &Scope, policy: pb::RowPolicy) -> Result<RowPolicy, String> {
    let predicate = Predicate::parse(&policy.predicate)
        .map_err(|error| format!("row policy `{}`: {error}", policy.name))?;
    let spoken_of = scope.aliases.iter().filter(|it| predicate.speaks_of(it.0));
    let needs = spoken_of.map(|it| SourceSet::of(*it.1));
    let needs = needs.fold(SourceSet::default(), SourceSet::with);
    Ok(RowPolicy { roles: policy.roles, predicate, needs })
}

/// Which aliases there are.
struct Scope {
    aliases: HashMap<String, usize>,
}

impl Scope {
    fn new(sources: &[pb::DataSource]) -> Self {
        let aliases = sources.iter().enumerate().map(|(index, it)| (it.alias.clone(), index));
        Self { aliases: aliases.collect() }
    }

    fn column(&self, path: &pb::ColumnPath) -> Result<(String, Column), String> {
        let index =
            self.aliases.get(&path.alias).ok_or_else(|| format!("no source `{}`", path.alias))?;
        let sql = format!("{}.{}", Ident(&path.alias), Ident(&path.column));
        Ok((sql, Column { source: *index, name: path.column.clone() }))
    }
}

fn compile_source(scope: &Scope, source: &pb::DataSource) -> Result<Source, String> {
    let alias = Ident(&source.alias).to_string();
    let join = match &source.join {
        None => None,
        Some(join) => {
            let mut condition = String::new();
            let mut needs = SourceSet::default();
            let mut pairs = Vec::with_capacity(join.columns.len());
            for column in &join.columns {
                let other = column.other.as_ref().ok_or("a join column lacks its other side")?;
                let (other, path) = scope.column(other)?;
                needs = needs.with(SourceSet::of(path.source));
                pairs.push((column.column.clone(), path));
                let and = if condition.is_empty() { "" } else { " AND " };
                let column = Ident(&column.column);
                let _ = write!(condition, "{and}{alias}.{column} = {other}");
            }
            Some(Join { optional: join.optional, condition, needs, pairs })
        }
    };
    let table = format!("{}.{}", Ident(&source.schema), Ident(&source.table));
    Ok(Source {
        alias,
        table,
        schema: source.schema.clone(),
        name: source.table.clone(),
        join,
        has_version: !source.is_view,
    })
}

fn compile_identity(root: &str, identity: Option<pb::RecordIdentity>) -> Result<Identity, String> {
    let identity = identity.ok_or("has no record identity")?;
    let columns: Vec<String> =
        identity.columns.iter().map(|it| format!("{root}.{}", Ident(it))).collect();
    let single = || match columns.as_slice() {
        [column] => Ok(column.clone()),
        _ => Err("needs one record id column".to_owned()),
    };
    match identity.kind() {
        pb::RecordIdentityKind::Integer => Ok(Identity::Integer { column: single()? }),
        pb::RecordIdentityKind::Uuid => Ok(Identity::Uuid { column: single()? }),
        pb::RecordIdentityKind::Hash if columns.is_empty() => Err("has no record id".to_owned()),
        pb::RecordIdentityKind::Hash => {
            let text: Vec<String> = columns.iter().map(|it| format!("{it}::text")).collect();
            let expression = crate::ids::hash_sql(&text);
            Ok(Identity::Hash { columns, expression })
        }
        pb::RecordIdentityKind::Unspecified => Err("has no record identity kind".to_owned()),
    }
}

fn compile_field(
    scope: &Scope,
    sources: &[Source],
    names: &[String],
    field: pb::DataField,
) -> Result<Field, String> {
    let kind = compile_kind(&field)?;
    let limits = compile_limits(&field, names)?;
    let is_expression = matches!(field.source, Some(pb::data_field::Source::Expression(_)));
    let (column, needs, path) = match &field.source {
        Some(pb::data_field::Source::Column(path)) => {
            let (column, path) = scope.column(path)?;
            (column, SourceSet::of(path.source), Some(path))
        }
        Some(pb::data_field::Source::Expression(sql)) => {
            let all = (0..sources.len()).map(SourceSet::of);
            (format!("({sql})"), all.fold(SourceSet::default(), SourceSet::with), None)
        }
        None => return Err(format!("field `{}` has no source", field.name)),
    };
    let converts = is_expression || !field.storage.is_empty();
    let sql = match canonical_type(&kind) {
        Some(r#type) if converts => format!("{column}::{}", r#type),
        _ => column,
    };
    let optional = |index| {
        sources.get(index).and_then(|it: &Source| it.join.as_ref()).is_some_and(|it| it.optional)
    };
    let outer = (0..sources.len()).any(|it| needs.contains(it) && optional(it));
    let casing = match field.casing() {
        pb::Casing::Unspecified => Casing::Any,
        pb::Casing::Upper => Casing::Upper,
        pb::Casing::Lower => Casing::Lower,
        pb::Casing::Exact => Casing::Exact,
    };
    let nullable = field.nullable || outer || is_expression;
    Ok(Field { name: field.name, sql, kind, nullable, casing, needs, column: path, limits })
}

fn compile_limits(field: &pb::DataField, names: &[String]) -> Result<Limits, String> {
    let positive = |it: i32| usize::try_from(it).ok().filter(|it| *it > 0);
    let given = |it: &String| (!it.is_empty()).then(|| it.clone());
    let default = given(&field.default_expression).map(|text| {
        Expression::compile(&text, names)
            .map_err(|error| format!("the default of `{}`: {error}", field.name))
    });
    let scale = match field.r#type() {
        pb::FieldType::Decimal => positive(field.scale),
        _ => None,
    };
    Ok(Limits {
        mandatory: field.mandatory,
        on_create: field.allow_edit_on_create,
        on_update: field.allow_edit,
        max_length: positive(field.max_length),
        scale,
        min: given(&field.min_value),
        max: given(&field.max_value),
        default: default.transpose()?,
    })
}

fn compile_kind(field: &pb::DataField) -> Result<Kind, String> {
    Ok(match field.r#type() {
        pb::FieldType::String | pb::FieldType::Memo => Kind::Text,
        pb::FieldType::Integer | pb::FieldType::Long => Kind::Integer,
        pb::FieldType::Decimal => Kind::Decimal,
        pb::FieldType::Boolean => Kind::Boolean,
        pb::FieldType::Date => Kind::Date,
        pb::FieldType::DateTime => {
            let storage = field.storage.to_ascii_lowercase();
            Kind::DateTime {
                zoned: storage.contains("timestamptz") || storage.contains("with time zone"),
            }
        }
        pb::FieldType::Guid => Kind::Guid,
        pb::FieldType::Enum => Kind::Enum(Arc::new(compile_enum(field)?)),
        pb::FieldType::Unspecified => return Err(format!("field `{}` has no type", field.name)),
    })
}

fn compile_enum(field: &pb::DataField) -> Result<EnumBinding, String> {
    let none = || format!("enum field `{}` has a member without a stored value", field.name);
    let mut members = Vec::with_capacity(field.members.len());
    for member in &field.members {
        let stored = match member.stored.as_ref().ok_or_else(none)? {
            pb::enum_member::Stored::StoredInt(it) => Stored::Int(*it),
            pb::enum_member::Stored::StoredText(it) => Stored::Text(it.clone()),
            pb::enum_member::Stored::StoredBool(it) => Stored::Bool(*it),
        };
        members.push(EnumMember {
            symbol: member.symbol.clone(),
            label: member.label.clone(),
            option_value: member.option_value,
            stored,
        });
    }
    let storage = match members.first().map(|it| &it.stored) {
        Some(Stored::Int(_)) => EnumStorage::Int,
        Some(Stored::Text(_)) => EnumStorage::Text,
        Some(Stored::Bool(_)) => EnumStorage::Bool,
        None => return Err(format!("enum field `{}` has no members", field.name)),
    };
    Ok(EnumBinding { members, storage })
}

/// The type that values of this kind are read in, where the column has another. Moments need no
/// cast: both SQL types travel the same.
fn canonical_type(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::Text => Some("text"),
        Kind::Integer => Some("bigint"),
        Kind::Decimal => Some("numeric"),
        Kind::Boolean => Some("boolean"),
        Kind::Date => Some("date"),
        Kind::DateTime { .. } => None,
        Kind::Guid => Some("uuid"),
        Kind::Enum(it) => Some(match it.storage {
            EnumStorage::Int => "bigint",
            EnumStorage::Text => "text",
            EnumStorage::Bool => "boolean",
        }),
    }
}
