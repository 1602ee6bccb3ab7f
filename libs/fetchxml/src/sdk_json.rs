//! The SDK's QueryExpression as JSON (spec §3.7), as it stands in the parameters of actions.
//!
//! Its objects and FetchXML's elements say the same things, so one is turned into the other, and what
//! holds for FetchXML (names, numbers of values, limits) holds here without being said twice.

mod object;
mod read;
mod write;

use proto::query::v1 as pb;
use serde_json::Value;

use crate::error::{FetchXmlError, PrintError};
use crate::{parse, print};

const DATE_GROUPINGS: [(&str, &str); 7] = [
    ("Day", "day"),
    ("Week", "week"),
    ("Month", "month"),
    ("Quarter", "quarter"),
    ("Year", "year"),
    ("FiscalPeriod", "fiscal-period"),
    ("FiscalYear", "fiscal-year"),
];

const AGGREGATES: [(&str, &str); 6] = [
    ("Count", "count"),
    ("CountColumn", "countcolumn"),
    ("Sum", "sum"),
    ("Avg", "avg"),
    ("Min", "min"),
    ("Max", "max"),
];

/// By their numbers.
const JOINS: [(&str, &str); 10] = [
    ("Inner", "inner"),
    ("LeftOuter", "outer"),
    ("Natural", "natural"),
    ("MatchFirstRowUsingCrossApply", "matchfirstrowusingcrossapply"),
    ("In", "in"),
    ("Exists", "exists"),
    ("Any", "any"),
    ("NotAny", "not any"),
    ("All", "all"),
    ("NotAll", "not all"),
];

/// JSON that is no query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// A member that is not as the SDK has it.
    #[error("Invalid QueryExpression: {path}: {message}")]
    Member {
        /// Where, as in `Criteria.Conditions[0].Operator`.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// The members are in order, and what they say is not.
    #[error("Invalid QueryExpression: {0}")]
    Invalid(String),
    /// Platform code 0x8004430D.
    #[error("Number of link entities in query exceeded maximum limit.")]
    TooManyLinks,
    /// Platform code 0x8004430C.
    #[error("Number of conditions in query exceeded maximum limit.")]
    TooManyConditions,
}

/// Reads a QueryExpression. Members that the SDK knows and that change no result are passed over.
///
/// # Errors
///
/// When it is not one.
pub fn from_json(json: &Value) -> Result<pb::QueryExpression, JsonError> {
    let document = read::query(json)?;
    let says_columns = document.says_columns;
    let mut query = parse::document(&document.fetch).map_err(|error| match error {
        FetchXmlError::Xml { message, .. } | FetchXmlError::Invalid { message, .. } => {
            JsonError::Invalid(message)
        }
        FetchXmlError::NotOffered { .. } | FetchXmlError::TooLong | FetchXmlError::TooDeep => {
            JsonError::Invalid(error.to_string())
        }
        FetchXmlError::TooManyLinks => JsonError::TooManyLinks,
        FetchXmlError::TooManyConditions => JsonError::TooManyConditions,
    })?;
    // A column set that names no column means none.
    query.all_columns &= says_columns;
    Ok(query)
}

/// Writes a QueryExpression.
///
/// # Errors
///
/// When the query says what the SDK's form cannot.
pub fn to_json(query: &pb::QueryExpression) -> Result<Value, PrintError> {
    write::query(&print::document(query)?)
}

fn from_sdk(names: &[(&'static str, &'static str)], name: &str) -> Option<&'static str> {
    names.iter().find(|(it, _)| *it == name).map(|(_, it)| *it)
}

fn to_sdk(names: &[(&'static str, &'static str)], name: &str) -> Option<&'static str> {
    names.iter().find(|(_, it)| *it == name).map(|(it, _)| *it)
}
