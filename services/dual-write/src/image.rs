//! An image, taken apart by the side of the map that it was read for.

use proto::query::v1 as wire;

use crate::map::value;

/// The columns at these places of an image.
pub(crate) fn columns<'m>(
    side: &'m wire::MapSide,
    places: &'m [i32],
) -> impl Iterator<Item = &'m String> {
    places.iter().filter_map(|it| side.columns.get(usize::try_from(*it).ok()?))
}

/// The key of its row.
pub(crate) fn key(side: &wire::MapSide, image: &wire::Image) -> wire::ImageKey {
    let value = |it: &i32| {
        let value = usize::try_from(*it).ok().and_then(|it| image.values.get(it));
        value.cloned().unwrap_or_default()
    };
    let values = side.key_columns.iter().map(value).collect();
    wire::ImageKey { company: image.company.clone(), values }
}

/// Gives its row another key.
pub(crate) fn set_key(side: &wire::MapSide, image: &mut wire::Image, key: &[wire::Value]) {
    for (column, value) in side.key_columns.iter().zip(key) {
        if let Some(place) = usize::try_from(*column).ok().and_then(|it| image.values.get_mut(it)) {
            place.clone_from(value);
        }
    }
}

/// Of a row of which nothing is known but the key.
pub(crate) fn of_key(side: &wire::MapSide, key: &wire::ImageKey) -> wire::Image {
    let values = vec![value::null(); side.columns.len()];
    let company = key.company.clone();
    let mut image = wire::Image { company, values, ..Default::default() };
    set_key(side, &mut image, &key.values);
    image
}
