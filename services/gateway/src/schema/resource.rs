//! What a path to a description leads to, and how it is written.

use odata::{ExpandOptions, Key, Literal, Path, QueryOptions, Tail};
use serde_json::Value;

use super::entity::{self, Parts};
use super::evaluate::{NAVIGATIONS, Names, evaluate, member_type, project, read};
use super::{custom_api, message, option_set, parts, relationship};
use crate::error::GatewayError;
use crate::http::{Ask, Response, json, no_content, plain, quoted};
use crate::metadata::Snapshot;

/// Members that hold the id of an object of some set.
const IDS: [&str; 6] = [
    "MetadataId",
    "sdkmessageid",
    "sdkmessagefilterid",
    "customapiid",
    "customapirequestparameterid",
    "customapiresponsepropertyid",
];

pub(super) const NAMESPACE_DOT: &str = "Microsoft.Dynamics.CRM.";

/// A set of descriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    Entities,
    Relationships,
    OptionSets,
    ManagedProperties,
    Messages,
    MessageFilters,
    CustomApis,
    CustomApiParameters,
    CustomApiProperties,
}

type Items<'a> = Box<dyn Iterator<Item = Value> + 'a>;

/// Where a path has led so far.
enum Place<'a> {
    Many(Items<'a>),
    One(Value),
    /// Neither: a member that is a plain value, or a label and the like.
    Plain(Value),
}

/// Answers a GET of one of the sets, or of what is behind it.
pub(crate) fn definitions(
    ask: &Ask,
    snapshot: &Snapshot,
    set: Set,
    (key, tail): (&Key, &[Tail]),
    options: &QueryOptions,
) -> Result<Response, GatewayError> {
    let read = read(options)?;
    let mut place = Place::Many(set.items(snapshot, wanted(tail, &read)));
    let mut type_name = set.type_name();
    let mut context = format!("{}/$metadata#{}", ask.root, set.name());
    if !matches!(key, Key::Absent) {
        place = Place::One(set.find(snapshot, wanted(tail, &read), key)?);
    }
    for segment in tail {
        match segment {
            Tail::Count => {
                let Place::Many(items) = place else { return Err(unknown("$count")) };
                let found = evaluate(Names::Strict, items, &read, type_name, drop)?;
                return Ok(plain(found.count.to_string()));
            }
            Tail::Ref => return Err(unknown("$ref")),
            Tail::Value => return Err(unknown("$value")),
            Tail::Name { name, key } => {
                context = format!("{context}/{name}");
                place = step(place, name)?;
                if NAVIGATIONS.contains(&name.as_str()) {
                    type_name = member_type(name);
                }
                if !matches!(key, Key::Absent) {
                    let Place::Many(items) = place else { return Err(unknown(name)) };
                    place = Place::One(pick(items, key)?);
                }
            }
        }
    }
    write(place, &context, &read, type_name, options.count()?)
}

fn write(
    place: Place<'_>,
    context: &str,
    options: &ExpandOptions,
    type_name: &str,
    count: bool,
) -> Result<Response, GatewayError> {
    let selected = options.select.iter().flatten().map(|Path(names)| names.join("/"));
    let selected = selected.collect::<Vec<_>>().join(",");
    let selected = if selected.is_empty() { selected } else { format!("({selected})") };
    match place {
        Place::Many(items) => {
            // Text at once: as objects, a whole schema would fill the memory.
            let found = evaluate(Names::Strict, items, options, type_name, |it| it.to_string())?;
            let context = quoted(&format!("{context}{selected}"));
            let total =
                if count { format!("\"@odata.count\":{},", found.count) } else { String::new() };
            let values = found.values.join(",");
            Ok(json(format!("{{\"@odata.context\":{context},{total}\"value\":[{values}]}}")))
        }
        Place::One(Value::Null) | Place::Plain(Value::Null) => Ok(no_content()),
        Place::One(value) => {
            // As a collection of one, so that wrong names are found.
            let found =
                evaluate(Names::Strict, std::iter::once(value), options, type_name, |it| it)?;
            let mut value = found.values.into_iter().next().unwrap_or_default();
            let context = format!("{context}{selected}/$entity");
            parts::extend(&mut value, serde_json::json!({"@odata.context": context}));
            Ok(json(value.to_string()))
        }
        Place::Plain(value) => {
            let value = project(Names::Strict, value, &ExpandOptions::default(), type_name)?;
            let context = quoted(context);
            Ok(json(format!("{{\"@odata.context\":{context},\"value\":{value}}}")))
        }
    }
}

/// Follows one segment.
fn step<'a>(place: Place<'a>, name: &str) -> Result<Place<'a>, GatewayError> {
    if let Some(wanted) = name.strip_prefix(NAMESPACE_DOT) {
        let wanted = wanted.to_owned();
        return match place {
            Place::Many(items) => {
                Ok(Place::Many(Box::new(items.filter_map(move |it| cast(it, &wanted)))))
            }
            Place::One(value) => cast(value, &wanted).map(Place::One).ok_or_else(|| unknown(name)),
            Place::Plain(_) => Err(unknown(name)),
        };
    }
    let Place::One(mut value) = place else { return Err(unknown(name)) };
    let member = value.get_mut(name).map(Value::take).ok_or_else(|| unknown(name))?;
    Ok(match member {
        Value::Array(items) if NAVIGATIONS.contains(&name) => {
            Place::Many(Box::new(items.into_iter()))
        }
        value if NAVIGATIONS.contains(&name) => Place::One(value),
        value => Place::Plain(value),
    })
}

/// The object if it is of the type, without saying so again. Names of supertypes fit all.
pub(super) fn cast(mut item: Value, wanted: &str) -> Option<Value> {
    let own = item.get("@odata.type").and_then(Value::as_str).unwrap_or_default();
    let own = own.trim_start_matches('#').trim_start_matches(NAMESPACE_DOT).to_owned();
    let general = match own.as_str() {
        "PicklistAttributeMetadata" | "StateAttributeMetadata" | "StatusAttributeMetadata" => {
            wanted == "EnumAttributeMetadata" || wanted == "AttributeMetadata"
        }
        "OneToManyRelationshipMetadata" => wanted == "RelationshipMetadataBase",
        "OptionSetMetadata" => wanted == "OptionSetMetadataBase",
        _ => wanted == "AttributeMetadata" && own.ends_with(wanted),
    };
    if own == wanted {
        if let Value::Object(members) = &mut item {
            members.remove("@odata.type");
        }
        return Some(item);
    }
    general.then_some(item)
}

/// The object that a key names.
fn pick(mut items: Items<'_>, key: &Key) -> Result<Value, GatewayError> {
    items.find(|it| matches(it, key)).ok_or_else(|| not_found(key))
}

fn matches(item: &Value, key: &Key) -> bool {
    let is = |name: &str, wanted: &str| {
        let value = item.get(name).and_then(Value::as_str);
        value.is_some_and(|it| it.eq_ignore_ascii_case(wanted))
    };
    match key {
        Key::Named(pairs) => pairs.iter().all(|(name, value)| match value {
            Literal::String(text) => is(name, text),
            Literal::Guid(id) => is(name, &id.to_string()),
            _ => false,
        }),
        _ => key.guid().is_some_and(|id| {
            let id = id.to_string();
            IDS.iter().any(|it| is(it, &id))
        }),
    }
}

/// Only what the request mentions is described, because that costs the most.
fn wanted(tail: &[Tail], options: &ExpandOptions) -> Parts {
    let mut names = Vec::new();
    for segment in tail {
        if let Tail::Name { name, .. } = segment {
            names.push(name.clone());
        }
    }
    mentioned(options, &mut names);
    let has = |name: &str| names.iter().any(|it| it == name);
    Parts {
        attributes: has("Attributes"),
        option_sets: has("OptionSet") || has("GlobalOptionSet"),
        keys: has("Keys"),
        relationships: has("OneToManyRelationships") || has("ManyToOneRelationships"),
    }
}

fn mentioned(options: &ExpandOptions, names: &mut Vec<String>) {
    if let Some(filter) = &options.filter {
        super::condition::paths(filter, &mut |path| names.extend(path.0.iter().cloned()));
    }
    for expand in &options.expand {
        names.extend(expand.path.0.iter().cloned());
        mentioned(&expand.options, names);
    }
}

impl Set {
    const ALL: [Self; 9] = [
        Self::Entities,
        Self::Relationships,
        Self::OptionSets,
        Self::ManagedProperties,
        Self::Messages,
        Self::MessageFilters,
        Self::CustomApis,
        Self::CustomApiParameters,
        Self::CustomApiProperties,
    ];

    /// The set of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Entities => "EntityDefinitions",
            Self::Relationships => "RelationshipDefinitions",
            Self::OptionSets => "GlobalOptionSetDefinitions",
            Self::ManagedProperties => "ManagedPropertyDefinitions",
            Self::Messages => "sdkmessages",
            Self::MessageFilters => "sdkmessagefilters",
            Self::CustomApis => "customapis",
            Self::CustomApiParameters => "customapirequestparameters",
            Self::CustomApiProperties => "customapiresponseproperties",
        }
    }

    fn type_name(self) -> &'static str {
        match self {
            Self::Entities => "EntityMetadata",
            Self::Relationships => "RelationshipMetadataBase",
            Self::OptionSets => "OptionSetMetadataBase",
            Self::ManagedProperties => "ManagedPropertyMetadata",
            Self::Messages => "sdkmessage",
            Self::MessageFilters => "sdkmessagefilter",
            Self::CustomApis => "customapi",
            Self::CustomApiParameters => "customapirequestparameter",
            Self::CustomApiProperties => "customapiresponseproperty",
        }
    }

    fn items(self, snapshot: &Snapshot, parts: Parts) -> Items<'_> {
        match self {
            Self::Entities => Box::new(
                snapshot.tables.iter().map(move |it| entity::describe(snapshot, it, parts)),
            ),
            Self::Relationships => Box::new(relationship::all(snapshot)),
            Self::OptionSets => Box::new(option_set::global(snapshot)),
            Self::ManagedProperties => Box::new(parts::managed_properties()),
            Self::Messages => Box::new(message::messages(snapshot)),
            Self::MessageFilters => Box::new(message::filters(snapshot)),
            Self::CustomApis => Box::new(custom_api::apis(snapshot)),
            Self::CustomApiParameters => Box::new(custom_api::parameters(snapshot)),
            Self::CustomApiProperties => Box::new(custom_api::properties(snapshot)),
        }
    }

    /// The object that a key names. Of the tables only that one is described.
    fn find(self, snapshot: &Snapshot, parts: Parts, key: &Key) -> Result<Value, GatewayError> {
        if self != Self::Entities {
            return pick(self.items(snapshot, parts), key);
        }
        let by_name = match key {
            Key::Named(pairs) => match pairs.as_slice() {
                [(name, Literal::String(text))] if name == "LogicalName" => {
                    snapshot.by_name(&text.to_lowercase())
                }
                _ => None,
            },
            _ => key.guid().and_then(|id| {
                let id = id.to_string();
                snapshot.tables.iter().find(|it| entity::metadata_id(it) == id)
            }),
        };
        match by_name {
            Some(table) => Ok(entity::describe(snapshot, table, parts)),
            None => pick(self.items(snapshot, parts), key),
        }
    }
}

fn unknown(segment: &str) -> GatewayError {
    GatewayError::UnknownSegment(segment.to_owned())
}

fn not_found(key: &Key) -> GatewayError {
    let key = match key {
        Key::Named(pairs) => {
            let pair = |(name, value): &(String, Literal)| match value {
                Literal::String(text) => format!("{name}='{text}'"),
                Literal::Guid(id) => format!("{name}={id}"),
                _ => name.clone(),
            };
            pairs.iter().map(pair).collect::<Vec<_>>().join(",")
        }
        other => other.guid().map(|it| it.to_string()).unwrap_or_default(),
    };
    GatewayError::MetadataNotFound(key)
}
