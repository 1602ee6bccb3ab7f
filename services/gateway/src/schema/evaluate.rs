//! `$filter`, `$orderby`, `$top`, `$select` and `$expand` over JSON objects that are made one at a
//! time: of those that are not wanted nothing stays in memory.

use odata::{ExpandItem, ExpandOptions, Path, QueryOptions, SystemOption};
use serde_json::{Map, Value};

use super::condition::{Scope, names as names_of, order};
use crate::error::GatewayError;

/// Members that are written only where they are expanded.
pub(super) const NAVIGATIONS: [&str; 8] = [
    "Attributes",
    "Keys",
    "OneToManyRelationships",
    "ManyToOneRelationships",
    "ManyToManyRelationships",
    "OptionSet",
    "GlobalOptionSet",
    "sdkmessageid",
];
/// Members that are written whatever is selected.
const IDS: [&str; 3] = ["MetadataId", "sdkmessagefilterid", "@odata.type"];

/// Reads the options of a request as those of an expansion, which have the same parts.
pub(super) fn read(options: &QueryOptions) -> Result<ExpandOptions, GatewayError> {
    let get = |option| options.get(option).filter(|it| !it.trim().is_empty());
    for refused in [SystemOption::Apply, SystemOption::SkipToken, SystemOption::DeltaToken] {
        if get(refused).is_some() {
            let message = format!("{} over metadata", refused.name());
            return Err(GatewayError::NotOffered(message));
        }
    }
    let order_by = get(SystemOption::OrderBy);
    Ok(ExpandOptions {
        select: get(SystemOption::Select).map(odata::parse_select).transpose()?,
        filter: get(SystemOption::Filter)
            .map(|it| odata::parse_filter(it, &options.aliases))
            .transpose()?,
        order_by: order_by
            .map(|it| odata::parse_order_by(it, &options.aliases))
            .transpose()?
            .unwrap_or_default(),
        top: options.top()?,
        expand: get(SystemOption::Expand).map(odata::parse_expand).transpose()?.unwrap_or_default(),
        refused: Vec::new(),
    })
}

/// The objects that are wanted, and how many there are before `$top`.
pub(super) struct Found<T> {
    pub(super) values: Vec<T>,
    pub(super) count: usize,
}

/// What is said of names that no object has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// They are mistakes.
    Strict,
    /// They are of other kinds of objects than those that are there.
    Lenient,
}

/// `type_name`: of the objects, for messages. `finish`: what becomes of each at once.
pub(super) fn evaluate<T>(
    names: Names,
    items: impl Iterator<Item = Value>,
    options: &ExpandOptions,
    type_name: &str,
    finish: impl Fn(Value) -> T,
) -> Result<Found<T>, GatewayError> {
    if let Some(refused) = options.refused.first() {
        return Err(GatewayError::NotOffered(format!("{} over metadata", refused.name())));
    }
    let mut paths: Vec<_> = options.expand.iter().map(|it| &it.path.0).collect();
    paths.sort_unstable();
    if paths.windows(2).any(|it| matches!(it, [one, other] if one == other)) {
        let message = "A navigation property can be expanded only once.";
        return Err(GatewayError::InvalidQuery(message.to_owned()));
    }
    let mut known = Known::of(options);
    let mut found = Vec::new();
    for item in items {
        known.see(&item);
        let holds = match &options.filter {
            Some(filter) => Scope::of(&item).holds(filter)?,
            None => true,
        };
        if holds {
            let scope = Scope::of(&item);
            let keys: Vec<_> = options.order_by.iter().map(|it| scope.path(&it.path)).collect();
            found.push((keys, finish(project(names, item, options, type_name)?)));
        }
    }
    if names == Names::Strict {
        known.check(type_name)?;
    }
    if !options.order_by.is_empty() {
        found.sort_by(|(left, _), (right, _)| {
            let keys = options.order_by.iter().zip(left.iter().zip(right));
            let mut orders = keys.map(|(by, (left, right))| {
                let order = order(left, right);
                if by.descending { order.reverse() } else { order }
            });
            orders.find(|it| it.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
        });
    }
    let count = found.len();
    let top = options.top.and_then(|it| usize::try_from(it).ok()).unwrap_or(usize::MAX);
    Ok(Found { values: found.into_iter().take(top).map(|(_, it)| it).collect(), count })
}

/// One object as it is written.
pub(super) fn project(
    names: Names,
    item: Value,
    options: &ExpandOptions,
    type_name: &str,
) -> Result<Value, GatewayError> {
    let Value::Object(mut members) = item else { return Ok(item) };
    let mut written = Map::new();
    for expand in &options.expand {
        if let Some((name, value)) = expanded(names, &mut members, expand, type_name)? {
            written.insert(name, value);
        }
    }
    let selects = |name: &str| match &options.select {
        None => true,
        Some(paths) => {
            IDS.contains(&name)
                || paths.iter().any(|it| matches!(last(it), Some("*")) || last(it) == Some(name))
        }
    };
    written.extend(
        members
            .into_iter()
            .filter(|(name, _)| !NAVIGATIONS.contains(&name.as_str()) && selects(name)),
    );
    Ok(Value::Object(written))
}

/// `Attributes/Microsoft.Dynamics.CRM.PicklistAttributeMetadata($expand=OptionSet)`.
fn expanded(
    names: Names,
    members: &mut Map<String, Value>,
    expand: &ExpandItem,
    type_name: &str,
) -> Result<Option<(String, Value)>, GatewayError> {
    let mut path = expand.path.0.iter().map(String::as_str);
    let first = path.next().unwrap_or_default();
    // A cast in front of the navigation: the object is of that type, or has no such member.
    let name = if first.contains('.') { path.next().unwrap_or_default() } else { first };
    let cast = path.next().and_then(|it| it.strip_prefix(super::resource::NAMESPACE_DOT));
    if !NAVIGATIONS.contains(&name) {
        let column = name.to_owned();
        return Err(GatewayError::UnknownColumn { column, table: type_name.to_owned() });
    }
    let value = match members.remove(name) {
        Some(Value::Array(items)) => {
            let items = items.into_iter().filter_map(|it| match cast {
                Some(cast) => super::resource::cast(it, cast),
                None => Some(it),
            });
            evaluate(names, items, &expand.options, member_type(name), |it| it)?.values.into()
        }
        Some(object) => project(names, object, &expand.options, member_type(name))?,
        None => return Ok(None),
    };
    Ok(Some((name.to_owned(), value)))
}

/// What the objects behind a navigation are.
pub(super) fn member_type(navigation: &str) -> &'static str {
    match navigation {
        "Attributes" => "AttributeMetadata",
        "Keys" => "EntityKeyMetadata",
        "OneToManyRelationships" | "ManyToOneRelationships" => "OneToManyRelationshipMetadata",
        "ManyToManyRelationships" => "ManyToManyRelationshipMetadata",
        "sdkmessageid" => "sdkmessage",
        _ => "OptionSetMetadataBase",
    }
}

/// `Microsoft.Dynamics.CRM.StringAttributeMetadata/MaxLength` selects `MaxLength`.
fn last(path: &Path) -> Option<&str> {
    path.0.last().map(String::as_str)
}

/// Names that options use, and whether any object has had a member of that name. Objects of one
/// collection differ in type, so only all of them tell that a name is wrong.
struct Known {
    names: Vec<(String, bool)>,
    any: bool,
}

impl Known {
    fn of(options: &ExpandOptions) -> Self {
        let mut all: Vec<(String, bool)> = Vec::new();
        let mut add = |name: &str| {
            if name != "*" && !all.iter().any(|it| it.0 == name) {
                all.push((name.to_owned(), false));
            }
        };
        options.select.iter().flatten().filter_map(last).for_each(&mut add);
        for item in &options.order_by {
            if let Some(name) = item.path.0.first() {
                add(name);
            }
        }
        if let Some(filter) = &options.filter {
            names_of(filter, &mut add);
        }
        Self { names: all, any: false }
    }

    fn see(&mut self, item: &Value) {
        self.any = true;
        for (name, seen) in &mut self.names {
            *seen = *seen || item.get(name.as_str()).is_some();
        }
    }

    fn check(self, type_name: &str) -> Result<(), GatewayError> {
        match self.names.into_iter().find(|it| self.any && !it.1) {
            Some((column, _)) => {
                Err(GatewayError::UnknownColumn { column, table: type_name.to_owned() })
            }
            None => Ok(()),
        }
    }
}
