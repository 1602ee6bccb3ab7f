//! Parameters of an add-in, as they are given on the command line.

use anyhow::Result;
use serde_json::{Map, Value};

use crate::cli::ParameterArgs;
use crate::exit::{Exit, Failure};

/// What is given, over what there was `before`. The add-in's schema is the system's to check.
pub(super) fn read(args: &ParameterArgs, before: Value) -> Result<String> {
    let mut parameters = match &args.parameters {
        Some(text) => object(text)?,
        None => match before {
            Value::Object(it) => it,
            _ => Map::new(),
        },
    };
    for pair in &args.set {
        let (key, value) = pair
            .split_once('=')
            .filter(|it| !it.0.is_empty())
            .ok_or_else(|| Failure::of(Exit::Usage, format!("--set {pair}: expected KEY=VALUE")))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        parameters.insert(key.to_owned(), value);
    }
    Ok(Value::Object(parameters).to_string())
}

fn object(text: &str) -> Result<Map<String, Value>> {
    let wrong = |it: String| Failure::of(Exit::Usage, format!("--parameters: {it}"));
    let text = match text.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).map_err(|it| wrong(format!("{file}: {it}")))?,
        None => text.to_owned(),
    };
    serde_json::from_str(&text).map_err(|it| wrong(format!("not a JSON object: {it}")))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use serde_json::json;

    use super::*;

    fn given(parameters: Option<&str>, set: &[&str], before: Value) -> Result<Value> {
        let args = ParameterArgs {
            parameters: parameters.map(str::to_owned),
            set: set.iter().map(|it| (*it).to_owned()).collect(),
        };
        Ok(serde_json::from_str(&read(&args, before)?)?)
    }

    #[test]
    fn single_parameters_are_json_or_text() {
        let read = given(None, &["rows=7", "folder=/a=b", "on=true"], Value::Null).unwrap();
        assert_eq!(read, json!({ "rows": 7, "folder": "/a=b", "on": true }));
    }

    #[test]
    fn what_is_not_given_stays_unless_all_is_replaced() {
        let before = json!({ "rows": 1, "folder": "x" });
        let read = given(None, &["rows=2"], before.clone()).unwrap();
        assert_eq!(read, json!({ "rows": 2, "folder": "x" }));
        let read = given(Some("{}"), &["rows=2"], before).unwrap();
        assert_eq!(read, json!({ "rows": 2 }));
    }

    #[test]
    fn parameters_may_be_in_a_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"{\"rows\": 3}").unwrap();
        let path = format!("@{}", file.path().display());
        assert_eq!(given(Some(&path), &[], Value::Null).unwrap(), json!({ "rows": 3 }));
    }

    #[test]
    fn what_is_no_object_is_wrong_usage() {
        for wrong in ["[]", "{", "@/nowhere/at/all"] {
            let error = given(Some(wrong), &[], Value::Null).unwrap_err();
            assert_eq!(error.downcast_ref::<Failure>().unwrap().exit, Exit::Usage, "{wrong}");
        }
        assert!(given(None, &["=1"], Value::Null).is_err());
    }
}
