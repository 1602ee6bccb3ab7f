//! Keys in URLs as keys of a provider.

use std::sync::Arc;

use odata::{Key, Resource};
use proto::query::v1 as pb;
use proto::query::v1::value::Kind;
use uuid::Uuid;

use super::*;
use crate::error::GatewayError;
use crate::fixture;
use crate::metadata::{Snapshot, Table};

fn customers() -> Arc<Table> {
    let snapshot = Snapshot::new(&[Some(fixture::catalog()), Some(fixture::organization())]);
    Arc::clone(snapshot.by_set(fixture::CUSTOMERS).unwrap())
}

fn key_of(path: &str) -> Result<RowKey, GatewayError> {
    let Ok(Resource::Named { key, .. }) = Resource::parse(path) else {
        return row_key(&customers(), &Key::Absent);
    };
    row_key(&customers(), &key)
}

#[test]
fn keys_name_a_row_by_id_or_by_alternate_key() {
    let id = Uuid::from_u128(0xab);
    let by_id = |path: String| assert_eq!(key_of(&path).unwrap(), RowKey::Id(id), "{path}");
    by_id(format!("t({id})"));
    by_id(format!("t('{}')", id.to_string().to_uppercase()));
    by_id(format!("t(mserp_custcustomerv3entityid={id})"));
    let field = |field: &str, text: &str| pb::FieldValue {
        field: field.into(),
        value: Some(pb::Value { kind: Some(Kind::StringValue(text.into())) }),
    };
    let key = key_of("t(mserp_account='U''1',mserp_dataareaid='usmf')").unwrap();
    let expected = vec![field("Account", "U'1"), field("dataAreaId", "usmf")];
    assert_eq!(key, RowKey::Alternate(expected));
    for bad in [
        "t(5)",
        "t(not-a-guid)",
        "t()",
        "t(mserp_account='x')",
        "t(mserp_account='x',mserp_account='y')",
        "t(mserp_account=5,mserp_dataareaid='usmf')",
        "t(nope='x')",
    ] {
        assert_eq!(key_of(bad).unwrap_err().platform().0.as_u16(), 400, "{bad}");
    }
}
