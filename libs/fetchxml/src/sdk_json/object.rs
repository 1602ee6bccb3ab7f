//! JSON objects as the SDK writes them: which members there may be, and what is in them.

use serde_json::{Map, Value};

use super::JsonError;
use crate::MAX_DEPTH;

/// Members of any object that say nothing about rows.
const WITHOUT_EFFECT: [&str; 13] = [
    "@odata.type",
    "ExtensionData",
    "NoLock",
    "QueryHints",
    "ForceSeek",
    "IsQuickFindFilter",
    "FilterHint",
    "LinkFromEntityName",
    "SubQueryExpression",
    "DataSource",
    "EnableOverrideQuickFindRecordLimit",
    "DisableOverrideQuickFindRecordLimit",
    "Type",
];

/// Of those, the ones that may only be null.
const NULL_ONLY: [&str; 2] = ["SubQueryExpression", "DataSource"];

/// A value, or `{"Value": …, "Type": "System.Guid"}`.
pub(super) fn literal(json: &Value, path: &str) -> Result<String, JsonError> {
    match json {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(it) => Ok(u8::from(*it).to_string()),
        Value::Object(_) => {
            let typed = Object::new(json, path.to_owned(), &["Value"])?;
            match typed.members.get("Value") {
                Some(inner) if !inner.is_object() => literal(inner, path),
                Some(_) | None => Err(typed.error("a value is expected")),
            }
        }
        Value::Null | Value::Array(_) => Err(JsonError::Member {
            path: path.to_owned(),
            message: "a text, a number or a boolean is expected".to_owned(),
        }),
    }
}

/// A JSON object of the SDK, with the way to it.
pub(super) struct Object<'a> {
    members: &'a Map<String, Value>,
    path: String,
}

impl<'a> Object<'a> {
    pub(super) fn new(json: &'a Value, path: String, known: &[&str]) -> Result<Self, JsonError> {
        let Some(members) = json.as_object() else {
            return Err(JsonError::Member { path, message: "an object is expected".to_owned() });
        };
        let object = Self { members, path };
        for (name, value) in members.iter().filter(|(_, it)| !it.is_null()) {
            let passed = WITHOUT_EFFECT.contains(&name.as_str());
            if !known.contains(&name.as_str()) && !passed {
                return Err(object.error_at(name, "the member is not known".to_owned()));
            }
            if NULL_ONLY.contains(&name.as_str()) && value.as_str() != Some("") {
                return Err(object.error_at(name, "is not offered".to_owned()));
            }
        }
        Ok(object)
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|it| !it.is_null())
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, JsonError> {
        self.get(name).map(|it| string(it, &self.path_of(name))).transpose()
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, JsonError> {
        let Some(value) = self.get(name) else { return Ok(false) };
        value.as_bool().ok_or_else(|| self.error_at(name, "a boolean is expected".to_owned()))
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, JsonError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_i64();
        number.map(Some).ok_or_else(|| self.error_at(name, "a whole number is expected".to_owned()))
    }

    /// A member of an enumeration, by its name or its number.
    pub(super) fn enumeration(
        &self,
        name: &'static str,
        names: &[&'static str],
    ) -> Result<Option<&'static str>, JsonError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_u64().and_then(|it| usize::try_from(it).ok());
        let found = match number {
            Some(number) => names.get(number).copied(),
            None => names.iter().copied().find(|it| Some(*it) == value.as_str()),
        };
        found.map(Some).ok_or_else(|| self.unknown(name, &value.to_string()))
    }

    pub(super) fn object(
        &self,
        name: &str,
        known: &[&str],
    ) -> Result<Option<Object<'a>>, JsonError> {
        self.get(name).map(|it| Object::new(it, self.path_of(name), known)).transpose()
    }

    /// The items of a list, each with the way to it.
    pub(super) fn list(&self, name: &str) -> Result<Vec<(&'a Value, String)>, JsonError> {
        let Some(value) = self.get(name) else { return Ok(Vec::new()) };
        let Some(items) = value.as_array() else {
            return Err(self.error_at(name, "a list is expected".to_owned()));
        };
        let path = self.path_of(name);
        Ok(items.iter().enumerate().map(|(at, it)| (it, format!("{path}[{at}]"))).collect())
    }

    pub(super) fn bounded(&self, depth: usize) -> Result<(), JsonError> {
        match depth < MAX_DEPTH {
            true => Ok(()),
            false => Err(self.error(&format!("nested deeper than {MAX_DEPTH} levels"))),
        }
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub(super) fn unknown(&self, name: &str, value: &str) -> JsonError {
        self.error_at(name, format!("'{value}' is not a member of the enumeration"))
    }

    fn error(&self, message: &str) -> JsonError {
        JsonError::Member { path: self.path.clone(), message: message.to_owned() }
    }

    fn error_at(&self, name: &str, message: String) -> JsonError {
        JsonError::Member { path: self.path_of(name), message }
    }
}

pub(super) fn string<'a>(json: &'a Value, path: &str) -> Result<&'a str, JsonError> {
    json.as_str().ok_or_else(|| JsonError::Member {
        path: path.to_owned(),
        message: "a text is expected".to_owned(),
    })
}
