//! Keys as they are compared: alike in every letter case.

use prost::Message as _;
use proto::query::v1 as pb;
use proto::query::v1::apply_value::Content;

use crate::sharing::value::folded;

/// Of values as a row holds them.
pub(super) fn bytes(key: &pb::ImageKey) -> Vec<u8> {
    let values = key.values.iter().map(folded).collect();
    pb::ImageKey { company: String::new(), values }.encode_to_vec()
}

/// Of what is to find a row.
pub(super) fn given_bytes(row: &pb::ApplyRow) -> Vec<u8> {
    let key = row.key.iter().map(fold).collect();
    pb::ApplyRow { key, ..Default::default() }.encode_to_vec()
}

fn fold(value: &pb::ApplyValue) -> pb::ApplyValue {
    let content = value.content.as_ref().map(|it| match it {
        Content::Value(it) => Content::Value(folded(it)),
        Content::Reference(it) => {
            let key = it.key.iter().map(fold).collect();
            Content::Reference(pb::Reference { key, ..it.clone() })
        }
    });
    pb::ApplyValue { content, changed: false, ..value.clone() }
}
