//! Rules, row policies and actions of one entity file, and the expressions in it.

use rules::Expression;

use crate::entity::{Field, RowPolicy};
use crate::logic::{Action, ActionBinding, Implementation, Parameter, Rule, ValueType};
use crate::name::parse_table;
use crate::predicate::Predicate;
use crate::read::{read_name, report_twice};
use crate::toml_reader::{At, Table};

/// Says what is wrong with an expression over `fields`, if anything.
pub(crate) fn check_expression(
    table: &Table<'_>,
    key: &str,
    line: u32,
    text: &str,
    fields: &[Field],
) {
    let names: Vec<_> = fields.iter().map(|it| it.name.as_str()).collect();
    if let Err(error) = Expression::compile(text, &names) {
        table.report(line, format!("`{key}`: {error}"));
    }
}

pub(crate) fn read_rule(mut table: Table<'_>, fields: &[Field]) -> (At<String>, Rule) {
    let name = read_name(&mut table);
    let check = table.required_text("check");
    if !check.value.is_empty() {
        check_expression(&table, "check", check.line, &check.value, fields);
    }
    let message = table.required_text("message").value;
    let field = table.text("field");
    if let Some(At { line, value }) = &field
        && !fields.iter().any(|it| it.name == *value)
    {
        table.report(*line, format!("the entity has no field `{value}`"));
    }
    let (on_create, on_update) = read_occasions(&mut table);
    table.finish();
    let rule = Rule {
        name: name.value.clone(),
        check: check.value,
        message,
        field: field.map(|it| it.value),
        on_create,
        on_update,
    };
    (name, rule)
}

/// When a rule is checked: on create and on update unless it says so.
fn read_occasions(table: &mut Table<'_>) -> (bool, bool) {
    let Some(occasions) = table.texts("on") else { return (true, true) };
    if occasions.value.is_empty() {
        table.report(occasions.line, "`on` is empty: a rule is checked on create, update or both");
    }
    let (mut create, mut update) = (false, false);
    for At { line, value } in occasions.value {
        match value.as_str() {
            "create" => create = true,
            "update" => update = true,
            _ => table.report(line, "`on` takes create and update"),
        }
    }
    (create, update)
}

pub(crate) fn read_policy(mut table: Table<'_>) -> (At<String>, RowPolicy) {
    let name = read_name(&mut table);
    let roles = table.texts("roles");
    if let Some(roles) = &roles {
        // Without any it would bind everybody, which is said by leaving `roles` out.
        if roles.value.is_empty() {
            table.report(roles.line, "`roles` is empty: whom the policy applies to");
        }
        report_twice(&roles.value, |it| {
            table.report(it.line, format!("`roles` names `{}` twice", it.value));
        });
        for role in roles.value.iter().filter(|it| it.value.trim().is_empty()) {
            table.report(role.line, "`roles` has an empty name");
        }
    }
    let predicate = table.required_text("predicate");
    if !predicate.value.is_empty()
        && let Err(error) = Predicate::parse(&predicate.value)
    {
        table.report(predicate.line, format!("`predicate`: {error}"));
    }
    table.finish();
    let roles = roles.map(|it| it.value.into_iter().map(|it| it.value).collect());
    let policy = RowPolicy {
        name: name.value.clone(),
        roles: roles.unwrap_or_default(),
        predicate: predicate.value,
    };
    (name, policy)
}

pub(crate) fn read_action(mut table: Table<'_>) -> (At<String>, Action) {
    let name = read_name(&mut table);
    let label = table.text("label").map_or_else(|| name.value.clone(), |it| it.value);
    let description = table.text("description").map_or_else(String::new, |it| it.value);
    let binding = read_binding(&mut table);
    let implementation = read_implementation(&mut table);
    let (names, parameters): (Vec<_>, Vec<_>) =
        table.tables("parameters").into_iter().map(read_parameter).unzip();
    report_twice(&names, |it| {
        table.report(it.line, format!("parameter `{}` is there twice", it.value));
    });
    let returns = table.text("returns");
    let returns = returns.and_then(|it| known_type(&table, "returns", &it));
    table.finish();
    let action = Action {
        name: name.value.clone(),
        label,
        description,
        binding,
        implementation,
        parameters,
        returns,
    };
    (name, action)
}

fn read_binding(table: &mut Table<'_>) -> ActionBinding {
    let binding = table.required_text("binding");
    match binding.value.as_str() {
        "row" => ActionBinding::Row,
        "entity" => ActionBinding::Entity,
        "none" | "" => ActionBinding::None,
        _ => {
            table.report(binding.line, "`binding` must be row, entity or none");
            ActionBinding::None
        }
    }
}

fn read_implementation(table: &mut Table<'_>) -> Implementation {
    let unread = || Implementation::Service(String::new());
    match (table.text("function"), table.text("service")) {
        (Some(function), None) => match table.check(function.line, parse_table(&function.value)) {
            Some(it) => Implementation::Function { schema: it.schema, name: it.name },
            None => unread(),
        },
        (None, Some(service)) => {
            if service.value.trim().is_empty() {
                table.report(service.line, "`service` is empty");
            }
            Implementation::Service(service.value)
        }
        (Some(_), Some(service)) => {
            table.report(service.line, "an action has a `function` or a `service`, not both");
            unread()
        }
        (None, None) => {
            table.report(table.line(), "`function` is missing: what runs");
            unread()
        }
    }
}

fn read_parameter(mut table: Table<'_>) -> (At<String>, Parameter) {
    let name = read_name(&mut table);
    let label = table.text("label").map_or_else(|| name.value.clone(), |it| it.value);
    let kind = table.required_text("type");
    let value_type = known_type(&table, "type", &kind).unwrap_or(ValueType::Memo);
    let mandatory = table.flag("mandatory").is_some_and(|it| it.value);
    let max_length = table.number("max_length", 1);
    if let Some(At { line, .. }) = &max_length
        && value_type != ValueType::String
    {
        table.report(*line, "`max_length` is for type string");
    }
    table.finish();
    let max_length = max_length.map(|it| it.value);
    let parameter =
        Parameter { name: name.value.clone(), label, value_type, mandatory, max_length };
    (name, parameter)
}

fn known_type(table: &Table<'_>, key: &str, name: &At<String>) -> Option<ValueType> {
    let known = ValueType::ALL.into_iter().find(|it| it.name() == name.value);
    if known.is_none() && !name.value.is_empty() {
        let names = ValueType::ALL.map(ValueType::name).join(", ");
        table.report(name.line, format!("`{key}` must be one of {names}"));
    }
    known
}
