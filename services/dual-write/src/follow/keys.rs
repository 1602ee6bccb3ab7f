//! Rows as people name them: by the values of their key.

use std::collections::VecDeque;

use proto::dual_write::v1::Side;
use proto::query::v1 as wire;
use proto::query::v1::value::Kind;

use super::queue::BOTH;
use crate::error::Error;
use crate::image;
use crate::maps::ActiveMap;
use crate::peers::other;

/// The key, on each side, of the row that has these values in either side's key. A company goes by the name
/// of its column, as `dataAreaId`.
///
/// # Errors
///
/// [`Error::Invalid`] for what is no key of the map.
pub(crate) fn on_both_sides(
    map: &ActiveMap,
    values: &[wire::FieldValue],
) -> Result<[(Side, wire::ImageKey); 2], Error> {
    let wrong = |why: &str| Error::invalid("key", why);
    let compiled = map.compiled.as_ref().ok_or_else(|| wrong("the map does not fit its tables"))?;
    for side in BOTH {
        let map_side = map.side(side);
        let Some(own) = on_side(&map_side, values) else { continue };
        let image = image::of_key(&map_side, &own);
        let theirs = compiled.counterpart_key(side, &image);
        let theirs = theirs.map_err(|it| wrong(&it.to_string()))?;
        return Ok([(side, own), (other(side), theirs)]);
    }
    let key: Vec<_> = BOTH.iter().map(|it| names(&map.side(*it)).join(", ")).collect();
    Err(wrong(&format!("takes values of {}", key.join(", or of "))))
}

/// The key that these values are on this side; `None` where they are not all of it, and nothing else.
pub(crate) fn on_side(
    map_side: &wire::MapSide,
    values: &[wire::FieldValue],
) -> Option<wire::ImageKey> {
    let value = |name: &String| {
        let found = values.iter().find(|it| it.field.eq_ignore_ascii_case(name));
        found.and_then(|it| it.value.clone())
    };
    let names = names(map_side);
    let mut found = names.iter().map(value).collect::<Option<VecDeque<_>>>()?;
    if found.len() != values.len() {
        return None;
    }
    let company = match map_side.company_column.is_empty() {
        true => String::new(),
        false => match found.pop_front()?.kind {
            Some(Kind::StringValue(it)) => it,
            _ => return None,
        },
    };
    Some(wire::ImageKey { company, values: found.into() })
}

/// Company first, where rows have one.
fn names(map_side: &wire::MapSide) -> Vec<String> {
    let company = Some(&map_side.company_column).filter(|it| !it.is_empty());
    let key = image::columns(map_side, &map_side.key_columns);
    company.into_iter().chain(key).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(field: &str, value: &str) -> wire::FieldValue {
        let value = Some(wire::Value { kind: Some(Kind::StringValue(value.to_owned())) });
        wire::FieldValue { field: field.to_owned(), value }
    }

    fn customers() -> wire::MapSide {
        wire::MapSide {
            columns: vec!["Name".to_owned(), "CustomerAccount".to_owned()],
            key_columns: vec![1],
            company_column: "dataAreaId".to_owned(),
            ..Default::default()
        }
    }

    #[test]
    fn a_key_is_named_in_any_order_and_case() {
        let given = [text("customeraccount", "C1"), text("DATAAREAID", "usmf")];
        let key = on_side(&customers(), &given).unwrap();
        assert_eq!(key.company, "usmf");
        assert_eq!(key.values, [text("", "C1").value.unwrap()]);
        let image = image::of_key(&customers(), &key);
        assert_eq!(image.values, [crate::map::value::null(), text("", "C1").value.unwrap()]);
    }

    #[test]
    fn what_is_not_the_whole_key_and_nothing_else_is_none() {
        let account = || text("CustomerAccount", "C1");
        assert_eq!(on_side(&customers(), &[account()]), None);
        let more = [account(), text("dataAreaId", "usmf"), text("Name", "x")];
        assert_eq!(on_side(&customers(), &more), None);
        assert_eq!(on_side(&customers(), &[account(), account()]), None);
    }
}
