//! GUIDs of rows (spec VE-045) and of companies.

use uuid::Uuid;

/// Namespace of company ids; chosen once, never to change.
const COMPANIES: Uuid = Uuid::from_u128(0x6f1d_2f0c_52a4_4a0e_9c3b_7f0a_54b1_c0de);

/// Hex digits of the key's hash that fit into a hashed GUID: all but the entity id, the version and
/// the variant.
const HASH_DIGITS: usize = 22;

/// The GUID of a row: entity id, four zero bytes, record id in little-endian order.
#[must_use]
pub fn record_guid(entity_id: u32, record_id: i64) -> Uuid {
    Uuid::from_fields(entity_id, 0, 0, &record_id.to_le_bytes())
}

/// The record id in a GUID, if it is one of this entity's.
#[must_use]
pub fn decode_record_guid(entity_id: u32, guid: Uuid) -> Option<i64> {
    let (entity, zero, also_zero, record_id) = guid.as_fields();
    let ours = entity == entity_id && zero == 0 && also_zero == 0;
    ours.then(|| i64::from_le_bytes(*record_id))
}

/// The platform's row id of a legal entity, the same for every letter case of its code.
#[must_use]
pub fn company_id(code: &str) -> Uuid {
    Uuid::new_v5(&COMPANIES, code.to_uppercase().as_bytes())
}

/// A version 8 GUID of the entity id and the first [`HASH_DIGITS`] of a hash.
pub(crate) fn hashed_guid(entity_id: u32, hex: &str) -> Option<Uuid> {
    let (a, rest) = hex.split_at_checked(4)?;
    let (b, rest) = rest.split_at_checked(3)?;
    let (c, d) = rest.split_at_checked(3)?;
    Uuid::parse_str(&format!("{entity_id:08x}-{a}-8{b}-b{c}-{}", d.get(..12)?)).ok()
}

/// The SQL of those digits for a key's values, given as text, none of them null.
pub(crate) fn hash_sql(texts: &[String]) -> String {
    // The unit separator cannot end one value early and begin another.
    format!("left(md5(concat_ws(chr(31), {})), {HASH_DIGITS})", texts.join(", "))
}

/// What [`hashed_guid`] was made of, if the GUID is one of this entity's.
pub(crate) fn decode_hashed_guid(entity_id: u32, guid: Uuid) -> Option<String> {
    let hex = guid.simple().to_string();
    let ours =
        guid.as_fields().0 == entity_id && hex.get(12..13)? == "8" && hex.get(16..17)? == "b";
    ours.then(|| [&hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Published samples of the layout, spec virtual-entities §3.3.
    #[test]
    fn published_samples_decode() {
        let check = |text: &str, entity, record_id| {
            let guid = Uuid::parse_str(text).unwrap();
            assert_eq!(record_guid(entity, record_id), guid);
            assert_eq!(decode_record_guid(entity, guid), Some(record_id));
            assert_eq!(decode_record_guid(entity + 1, guid), None);
        };
        check("00002893-0000-0000-560a-005001000000", 0x2893, 5_637_147_222);
        check("00011023-0000-0000-0000-005001000000", 69_667, 5_637_144_576);
        check("000006c4-0000-0000-bfff-004105000000", 1732, 22_565_420_991);
    }

    proptest! {
        #[test]
        fn record_guids_decode_to_what_they_were_made_of(entity: u32, record_id: i64) {
            let guid = record_guid(entity, record_id);
            prop_assert_eq!(decode_record_guid(entity, guid), Some(record_id));
        }

        #[test]
        fn hashed_guids_decode_to_what_they_were_made_of(entity: u32, hex in "[0-9a-f]{22}") {
            let guid = hashed_guid(entity, &hex).unwrap();
            prop_assert_eq!(decode_hashed_guid(entity, guid), Some(hex));
        }

        #[test]
        fn any_guid_is_refused_or_decoded(entity: u32, guid: u128) {
            let guid = Uuid::from_u128(guid);
            if let Some(record_id) = decode_record_guid(entity, guid) {
                prop_assert_eq!(record_guid(entity, record_id), guid);
            }
            if let Some(hex) = decode_hashed_guid(entity, guid) {
                prop_assert_eq!(hashed_guid(entity, &hex), Some(guid));
            }
        }
    }
}
