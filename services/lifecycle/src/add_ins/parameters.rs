//! Parameters of an add-in, held against its schema. Findings name the parameter and never its value: somebody
//! may have written a secret where its name belongs.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, ValidationError, Validator};
use serde_json::{Map, Value};

/// The format of a parameter that names a secret.
const SECRET_REF: &str = "secret-ref";
/// In bytes; an add-in is no place for data.
const LONGEST_PARAMETERS: usize = 256 * 1024;
/// No name of a secret is longer.
const LONGEST_NAME: usize = 127;
/// Passwords and keys of machines are longer than this, and words that people join without a separator are not.
const LONGEST_WORD: usize = 20;

/// What a schema says, ready to be held against parameters.
#[derive(Debug)]
pub(crate) struct Schema(Validator);

/// Why a schema is none.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct InvalidSchema(String);

/// What is wrong with one parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// `tables[0]`; empty: the whole.
    pub parameter: String,
    /// A sentence without the value.
    pub description: String,
}

impl Schema {
    /// Of a JSON text. It may refer to nothing outside itself, and know no format that is not checked.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidSchema> {
        let schema: Value =
            serde_json::from_str(text).map_err(|error| InvalidSchema(error.to_string()))?;
        if schema.get("type").and_then(Value::as_str) != Some("object") {
            return Err(InvalidSchema("`type` has to be `object`".to_owned()));
        }
        jsonschema::options()
            .offline()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true)
            .should_ignore_unknown_formats(false)
            .with_format(SECRET_REF, names_a_secret)
            .build(&schema)
            .map(Self)
            .map_err(|error| InvalidSchema(format!("{}: {error}", error.schema_path())))
    }

    /// The object that `text` is, where it fits the schema; empty text is an empty object.
    pub(crate) fn accept(&self, text: &str) -> Result<Map<String, Value>, Vec<Finding>> {
        let text = if text.trim().is_empty() { "{}" } else { text };
        let whole = |description: &str| {
            vec![Finding { parameter: String::new(), description: description.to_owned() }]
        };
        if text.len() > LONGEST_PARAMETERS {
            return Err(whole("the parameters are too long"));
        }
        let value: Value =
            serde_json::from_str(text).map_err(|_| whole("the parameters are not JSON"))?;
        if has_nul(&value) {
            return Err(whole("the parameters hold the character U+0000, which cannot be kept"));
        }
        let findings: Vec<_> = self.0.iter_errors(&value).flat_map(|it| findings_of(&it)).collect();
        match value {
            Value::Object(parameters) if findings.is_empty() => Ok(parameters),
            Value::Object(_) => Err(findings),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Err(whole("the parameters have to be a JSON object")),
        }
    }
}

/// PostgreSQL has no such character.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(members) => members.iter().any(|it| it.0.contains('\0') || has_nul(it.1)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// One for each parameter that an error is about.
fn findings_of(error: &ValidationError<'_>) -> Vec<Finding> {
    let at = path(error.instance_path().as_str());
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let finding = |name: &String| Finding {
                parameter: member(&at, name),
                description: "the add-in has no such parameter".to_owned(),
            };
            unexpected.iter().map(finding).collect()
        }
        ValidationErrorKind::Required { property } => {
            let parameter = member(&at, property.as_str().unwrap_or_default());
            vec![Finding { parameter, description: "is required".to_owned() }]
        }
        ValidationErrorKind::Format { format } if format == SECRET_REF => {
            let description =
                "has to be the name of a secret (letters, digits, `_`, `.` and `-`), \
                               and looks like no secret itself"
                    .to_owned();
            vec![Finding { parameter: at, description }]
        }
        // The crate may tell more kinds apart in time; each can be said without the value.
        _ => vec![Finding { parameter: at, description: error.masked().to_string() }],
    }
}

/// `/tables/0` as people write it: `tables[0]`.
fn path(pointer: &str) -> String {
    pointer.split('/').skip(1).fold(String::new(), |path, segment| match segment.parse::<usize>() {
        Ok(index) => format!("{path}[{index}]"),
        Err(_) => member(&path, &segment.replace("~1", "/").replace("~0", "~")),
    })
}

fn member(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Whether a text is a name, and not what the name is for.
fn names_a_secret(text: &str) -> bool {
    let fits = |it: u8| it.is_ascii_alphanumeric() || b"_.-".contains(&it);
    text.len() <= LONGEST_NAME
        && text.bytes().next().is_some_and(|it| it.is_ascii_alphanumeric())
        && text.bytes().all(fits)
        && !is_token(text)
        && !text.split(['_', '.', '-']).any(looks_random)
}

/// A JSON Web Token.
fn is_token(text: &str) -> bool {
    text.starts_with("eyJ") && text.split('.').count() >= 2
}

/// Long, and not of letters alone: no person made it up.
fn looks_random(word: &str) -> bool {
    word.len() > LONGEST_WORD
        && word.bytes().any(|it| it.is_ascii_digit())
        && word.bytes().any(|it| it.is_ascii_alphabetic())
        || word.len() > 2 * LONGEST_WORD
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{
        "type": "object", "additionalProperties": false, "required": ["tables", "secret"],
        "properties": {
            "tables": {"type": "array", "items": {"type": "string", "minLength": 1}},
            "tenant": {"type": "string", "format": "uuid"},
            "secret": {"type": "string", "format": "secret-ref"}
        }
    }"#;

    fn findings(text: &str) -> Vec<(String, String)> {
        let findings = Schema::parse(SCHEMA).unwrap().accept(text).unwrap_err();
        let mut all: Vec<_> =
            findings.into_iter().map(|it| (it.parameter, it.description)).collect();
        all.sort();
        all
    }

    #[test]
    fn what_fits_is_taken_as_it_is() {
        let text = r#"{"tables": ["accounts"], "secret": "export.client-secret_1"}"#;
        let parameters = Schema::parse(SCHEMA).unwrap().accept(text).unwrap();
        assert_eq!(Value::Object(parameters), serde_json::from_str::<Value>(text).unwrap());
        assert!(Schema::parse(r#"{"type": "object"}"#).unwrap().accept("").unwrap().is_empty());
    }

    #[test]
    fn each_finding_names_its_parameter() {
        let text = r#"{"tables": ["a", "", 3], "tenant": "contoso", "colour": "red"}"#;
        let named: Vec<_> = findings(text).into_iter().map(|it| it.0).collect();
        assert_eq!(named, ["colour", "secret", "tables[1]", "tables[2]", "tenant"]);
        let long = format!("{{\"tables\": [\"{}\"]}}", "a".repeat(LONGEST_PARAMETERS));
        for no_object in ["[]", "3", "{", "null", r#"{"tables": ["a\u0000"]}"#, &long] {
            let findings = findings(no_object);
            assert_eq!(findings.len(), 1, "{no_object}: {findings:?}");
            assert_eq!(findings[0].0, "");
        }
    }

    #[test]
    fn no_finding_shows_a_value() {
        for secret in ["p4ss word!", "eyJhbGciOi.eyJzdWIi.c2ln", "Zm9vYmFyYmF6cXV4MTIzNDU2"] {
            let text =
                serde_json::json!({"tables": [secret, 1], "secret": secret, "tenant": secret});
            for (parameter, description) in findings(&text.to_string()) {
                assert!(!description.contains(secret), "{parameter}: {description}");
            }
        }
    }

    #[test]
    fn a_secret_is_named_and_not_given() {
        for name in ["a", "data-export.client", "DATA_EXPORT_CLIENT_SECRET", "key1"] {
            assert!(names_a_secret(name), "{name}");
        }
        let long = "a".repeat(128);
        for none in ["", "-a", "a b", "a~b", "ü", "eyJ0.eyJ1.x", "k8Qp2Lx9Vr4Tz7Wn1Bm5Yc", &long] {
            assert!(!names_a_secret(none), "{none}");
        }
    }

    #[test]
    fn a_schema_stands_alone_and_is_checked_in_full() {
        for bad in [
            "{",
            r#"{"type": "string"}"#,
            r#"{"type": "object", "properties": {"a": {"type": "text"}}}"#,
            r#"{"type": "object", "properties": {"a": {"$ref": "https://example.com/a.json"}}}"#,
            r#"{"type": "object", "properties": {"a": {"type": "string", "format": "secret"}}}"#,
        ] {
            assert!(Schema::parse(bad).is_err(), "{bad}");
        }
    }
}
