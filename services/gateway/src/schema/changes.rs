//! `RetrieveMetadataChanges`: what clients that keep a copy of the metadata ask, in the SDK's own
//! form of a query. It becomes the same options as a URL's.
//!
//! How far back a client may have been away is said in [`crate::metadata::History`]: after that, and
//! after a restart, it is told to begin anew, which it knows how to do.

use odata::{
    CompareOp, ExpandForm, ExpandItem, ExpandOptions, Expr, Literal, Operand, OperandKind,
    Parameter, Path,
};
use serde_json::{Value, json};

use super::entity::{self, Parts};
use super::evaluate::{Names, evaluate};
use super::parts::{extend, id};
use crate::error::GatewayError;
use crate::http::{Ask, Response, json as respond};
use crate::metadata::{Changes, Deleted, Snapshot};

const PARAMETERS: [&str; 5] =
    ["Query", "ClientVersionStamp", "DeletedMetadataFilters", "AppModuleId", "RetrieveAllSettings"];
/// Collections of a table, and the part of the query that says what is wanted of them.
const COLLECTIONS: [(&str, &str); 5] = [
    ("Attributes", "AttributeQuery"),
    ("Keys", "KeyQuery"),
    ("OneToManyRelationships", "RelationshipQuery"),
    ("ManyToOneRelationships", "RelationshipQuery"),
    ("ManyToManyRelationships", "RelationshipQuery"),
];
/// What is told of a table whatever is selected.
const ALWAYS: [&str; 2] = ["LogicalName", "HasChanged"];
/// How deep filters may nest.
const DEEPEST: usize = 50;

/// `RetrieveMetadataChanges(Query=@p1,ClientVersionStamp=@p2)`.
pub(crate) fn retrieve_metadata_changes(
    ask: &Ask,
    snapshot: &Snapshot,
    parameters: &[(String, Parameter)],
) -> Result<Response, GatewayError> {
    if let Some((name, _)) = parameters.iter().find(|it| !PARAMETERS.contains(&it.0.as_str())) {
        return Err(invalid(format!("RetrieveMetadataChanges has no parameter '{name}'.")));
    }
    let get = |name: &str| parameters.iter().find(|it| it.0 == name).map(|it| &it.1);
    let query = match get("Query") {
        Some(Parameter::Json(text)) => serde_json::from_str::<Value>(text)
            .map_err(|error| invalid(format!("The query is not JSON: {error}")))?,
        None | Some(Parameter::Literal(Literal::Null)) => Value::Null,
        Some(_) => return Err(invalid("Query is an object.".to_owned())),
    };
    let changes = match get("ClientVersionStamp") {
        None | Some(Parameter::Literal(Literal::Null)) => None,
        Some(Parameter::Literal(Literal::String(stamp))) if stamp.is_empty() => None,
        Some(Parameter::Literal(Literal::String(stamp))) => {
            Some(snapshot.history.since(stamp).ok_or(GatewayError::VersionStampExpired)?)
        }
        Some(_) => return Err(invalid("ClientVersionStamp is a text.".to_owned())),
    };
    let (options, parts) = table_options(&query)?;
    let wanted = |name: &str| changes.as_ref().is_none_or(|it| it.changed.contains(name));
    let tables = snapshot.tables.iter().filter(|it| wanted(&it.logical_name)).map(|it| {
        let mut table = entity::describe(snapshot, it, parts);
        if changes.is_some() {
            extend(&mut table, json!({"HasChanged": true}));
        }
        table
    });
    let found = evaluate(Names::Lenient, tables, &options, "EntityMetadata", |it| it)?;
    let context = format!("{}/$metadata#Microsoft.Dynamics.CRM.", ask.root);
    let body = json!({
        "@odata.context": format!("{context}RetrieveMetadataChangesResponse"),
        "ServerVersionStamp": snapshot.history.stamp(),
        "EntityMetadata": found.values,
        "DeletedMetadata": deleted(&changes.unwrap_or_default()),
    });
    Ok(respond(body.to_string()))
}

/// Ids of what is gone, by kind.
fn deleted(changes: &Changes) -> Value {
    let mut kinds: [(&str, Vec<String>); 4] =
        ["Entity", "Attribute", "Relationship", "OptionSet"].map(|it| (it, Vec::new()));
    for it in &changes.deleted {
        let (kind, gone) = match it {
            Deleted::Table(name) => ("Entity", id("entity", &[name])),
            Deleted::Column { table, column } => ("Attribute", id("attribute", &[table, column])),
            Deleted::Relationship(name) => ("Relationship", id("relationship", &[name])),
            Deleted::OptionSet(name) => ("OptionSet", id("optionset", &[name])),
        };
        if let Some((_, ids)) = kinds.iter_mut().find(|it| it.0 == kind) {
            ids.push(gone);
        }
    }
    let kinds: Vec<_> = kinds.into_iter().filter(|it| !it.1.is_empty()).collect();
    json!({
        "Count": kinds.len(),
        "IsReadOnly": true,
        "Keys": kinds.iter().map(|it| it.0).collect::<Vec<_>>(),
        "Values": kinds.iter().map(|it| it.1.clone()).collect::<Vec<_>>(),
    })
}

/// An `EntityQueryExpression` as options, and which collections it takes.
fn table_options(query: &Value) -> Result<(ExpandOptions, Parts), GatewayError> {
    let mut options = member_options(query)?;
    let wants = |name: &str| match &options.select {
        None => true,
        Some(selected) => selected.iter().any(|it| it.single() == Some(name)),
    };
    let parts = Parts {
        attributes: wants("Attributes"),
        option_sets: wants("Attributes"),
        keys: wants("Keys"),
        relationships: COLLECTIONS
            .iter()
            .any(|(name, part)| *part == "RelationshipQuery" && wants(name)),
    };
    let mut expand = Vec::new();
    for (name, part) in COLLECTIONS.into_iter().filter(|it| wants(it.0)) {
        let mut inner = member_options(query.get(part).unwrap_or(&Value::Null))?;
        if name == "Attributes" {
            let sets = ["OptionSet", "GlobalOptionSet"].into_iter().filter(|set| {
                let selected = inner.select.as_ref();
                selected.is_none_or(|it| it.iter().any(|it| it.single() == Some(set)))
            });
            inner.expand = sets.map(|it| item(it, ExpandOptions::default())).collect();
            drop_names(&mut inner, &["OptionSet", "GlobalOptionSet"]);
        }
        expand.push(item(name, inner));
    }
    drop_names(&mut options, &COLLECTIONS.map(|it| it.0));
    options.expand = expand;
    Ok((options, parts))
}

/// `Properties` and `Criteria` of one part of the query.
fn member_options(query: &Value) -> Result<ExpandOptions, GatewayError> {
    let properties = query.get("Properties");
    let all = properties.and_then(|it| it.get("AllProperties")).and_then(Value::as_bool);
    let names = properties.and_then(|it| it.get("PropertyNames")).and_then(Value::as_array);
    let select = match (all, names) {
        (Some(true), _) | (None, None) => None,
        (_, names) => {
            let names = names.into_iter().flatten().filter_map(Value::as_str).chain(ALWAYS);
            Some(names.map(|it| Path(vec![it.to_owned()])).collect())
        }
    };
    let filter = match query.get("Criteria") {
        None | Some(Value::Null) => None,
        Some(criteria) => filter(criteria, 0)?,
    };
    Ok(ExpandOptions { select, filter, ..ExpandOptions::default() })
}

fn item(name: &str, options: ExpandOptions) -> ExpandItem {
    ExpandItem { path: Path(vec![name.to_owned()]), form: ExpandForm::Rows, options }
}

fn drop_names(options: &mut ExpandOptions, names: &[&str]) {
    if let Some(selected) = &mut options.select {
        selected.retain(|it| it.single().is_none_or(|it| !names.contains(&it)));
    }
}

/// A `MetadataFilterExpression`; an empty one is none.
fn filter(criteria: &Value, depth: usize) -> Result<Option<Expr>, GatewayError> {
    if depth > DEEPEST {
        return Err(invalid("The criteria nest too deep.".to_owned()));
    }
    let list = |name: &str| criteria.get(name).and_then(Value::as_array).into_iter().flatten();
    let mut parts = Vec::new();
    for it in list("Conditions") {
        parts.push(condition(it)?);
    }
    for it in list("Filters") {
        parts.extend(filter(it, depth + 1)?);
    }
    if parts.len() < 2 {
        return Ok(parts.pop());
    }
    Ok(Some(match criteria.get("FilterOperator") {
        Some(Value::String(it)) if it == "Or" => Expr::Or(parts),
        Some(Value::Number(it)) if it.as_i64() == Some(1) => Expr::Or(parts),
        _ => Expr::And(parts),
    }))
}

/// A `MetadataConditionExpression`.
fn condition(it: &Value) -> Result<Expr, GatewayError> {
    let name = it.get("PropertyName").and_then(Value::as_str);
    let name = name.ok_or_else(|| invalid("A condition names no property.".to_owned()))?;
    let operand = |kind| Operand { kind, span: odata::Span::default() };
    let left = operand(OperandKind::Path(Path(vec![name.to_owned()])));
    let (kind, value) = match it.get("Value") {
        Some(Value::Object(typed)) => {
            (typed.get("Type").and_then(Value::as_str), typed.get("Value").unwrap_or(&Value::Null))
        }
        other => (None, other.unwrap_or(&Value::Null)),
    };
    let compare = |op| -> Result<Expr, GatewayError> {
        let right = operand(OperandKind::Literal(constant(kind, value)?));
        Ok(Expr::Compare { op, left: left.clone(), right })
    };
    let among = || -> Result<Expr, GatewayError> {
        let values = list(value)?;
        let values = values.iter().map(|it| constant(kind, it)).collect::<Result<Vec<_>, _>>()?;
        let values = values.into_iter().map(|it| operand(OperandKind::Literal(it))).collect();
        Ok(Expr::In { left: left.clone(), values })
    };
    match it.get("ConditionOperator").and_then(Value::as_str).unwrap_or("Equals") {
        "Equals" => compare(CompareOp::Eq),
        "NotEquals" => compare(CompareOp::Ne),
        "GreaterThan" => compare(CompareOp::Gt),
        "LessThan" => compare(CompareOp::Lt),
        "In" => among(),
        "NotIn" => Ok(Expr::Not(Box::new(among()?))),
        other => Err(invalid(format!("'{other}' is not a metadata condition operator."))),
    }
}

/// A list, or the text of one.
fn list(value: &Value) -> Result<Vec<Value>, GatewayError> {
    match value {
        Value::Array(items) => Ok(items.clone()),
        Value::String(text) => serde_json::from_str(text)
            .map_err(|_| invalid(format!("'{text}' is not a list of values."))),
        _ => Err(invalid("In takes a list of values.".to_owned())),
    }
}

/// Values come as texts, with the .NET type beside them.
fn constant(kind: Option<&str>, value: &Value) -> Result<Literal, GatewayError> {
    let kind = kind.unwrap_or_default().trim_end_matches("[]");
    Ok(match (kind, value) {
        (_, Value::Null) => Literal::Null,
        (_, Value::Bool(it)) => Literal::Bool(*it),
        (_, Value::Number(it)) => Literal::Decimal(it.to_string()),
        ("System.Boolean", Value::String(text)) => match text.to_lowercase().as_str() {
            "true" => Literal::Bool(true),
            "false" => Literal::Bool(false),
            _ => return Err(invalid(format!("'{text}' is neither true nor false."))),
        },
        ("System.Int32" | "System.Int64" | "System.Double", Value::String(text)) => {
            Literal::Decimal(text.clone())
        }
        ("System.Guid", Value::String(text)) => Literal::String(text.to_lowercase()),
        (_, Value::String(text)) => Literal::String(text.clone()),
        (_, Value::Array(_) | Value::Object(_)) => {
            return Err(invalid("A condition compares with one value.".to_owned()));
        }
    })
}

fn invalid(message: String) -> GatewayError {
    GatewayError::InvalidQuery(message)
}
