//! A page of rows, and what its values are in text: numbers stay as they were written, so that no decimal
//! passes through a float.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::ApiError;

const CONTEXT: &str = "@odata.context";
const DELETED: &str = "$deletedEntity";

/// A page, as long as its bytes.
#[derive(Debug, Deserialize)]
pub(crate) struct Page<'a> {
    #[serde(borrow, rename = "value")]
    pub(crate) rows: Vec<Row<'a>>,
    #[serde(default, rename = "@odata.nextLink")]
    pub(crate) next_link: Option<String>,
    #[serde(default, rename = "@odata.deltaLink")]
    pub(crate) delta_link: Option<String>,
}

/// The values of a row by the names of its properties.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Row<'a>(#[serde(borrow)] HashMap<String, &'a RawValue>);

// === impl Page ===

impl<'a> Page<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, ApiError> {
        serde_json::from_slice(bytes)
            .map_err(|it| ApiError::Malformed(format!("a page of rows cannot be read: {it}")))
    }
}

// === impl Row ===

impl<'a> Row<'a> {
    /// The JSON of a value that is not null.
    pub(crate) fn get(&self, property: &str) -> Option<&'a str> {
        self.0.get(property).map(|it| it.get()).filter(|it| *it != "null")
    }

    /// Whether it stands for a row that is gone.
    pub(crate) fn is_deleted(&self) -> bool {
        self.text(CONTEXT).is_some_and(|it| it.ends_with(DELETED))
    }

    /// The id of a row that is gone: a GUID, or an entity's URL with one.
    pub(crate) fn deleted_id(&self) -> Option<Uuid> {
        let id = self.text("id")?;
        let inner = id.rsplit_once('(').and_then(|it| it.1.strip_suffix(')'));
        inner.unwrap_or(&id).parse().ok()
    }

    fn text(&self, property: &str) -> Option<String> {
        serde_json::from_str(self.get(property)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_as_they_were_written() {
        let bytes = br#"{"@odata.context":"x","value":[
            {"@odata.etag":"W/\"1\"","amount":12345678901234567890.123400,"none":null},
            {"@odata.context":"https://org/$metadata#a/$deletedEntity","id":"00000000-0000-0000-0000-000000000007","reason":"deleted"},
            {"@odata.context":"https://org/$metadata#a/$deletedEntity","id":"https://org/a(00000000-0000-0000-0000-000000000008)","reason":"deleted"}
        ],"@odata.deltaLink":"https://org/a?$deltatoken=1"}"#;
        let page = Page::parse(bytes).unwrap();
        let [row, gone, other] = &page.rows[..] else { panic!("{page:?}") };
        assert_eq!(row.get("amount"), Some("12345678901234567890.123400"));
        assert_eq!((row.get("none"), row.get("absent"), row.is_deleted()), (None, None, false));
        assert!(gone.is_deleted());
        assert_eq!(gone.deleted_id(), Some(Uuid::from_u128(7)));
        assert_eq!(other.deleted_id(), Some(Uuid::from_u128(8)));
        assert!(page.next_link.is_none() && page.delta_link.is_some());
    }
}
