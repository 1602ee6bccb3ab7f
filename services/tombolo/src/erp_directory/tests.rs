//! What becomes of rows; the queries themselves are tried on a real ERP.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::{Value, from_value, json};

use super::*;

const GROUP: &str = r#"name = "Group"
record_id = "id"
sources = [{ alias = "g", table = "grp" }]
[[fields]]
name = "Id"
column = "g.id"
type = "integer"
[[fields]]
name = "Secret"
column = "g.secret"
type = "string"
"#;

fn rows<T: DeserializeOwned>(rows: Value) -> Vec<T> {
    from_value(rows).unwrap()
}

fn read(rows: Rows) -> Result<ErpDirectory> {
    let other = GROUP.replace("\"Group\"", "\"Other\"").replace("\"grp\"", "\"s.other\"");
    let entities = [("group.toml", GROUP), ("other.toml", other.as_str())];
    let model = model::parse_entities("m", "name = \"m\"", &entities).unwrap();
    directory(rows, &model)
}

#[test]
fn grants_of_tables_become_grants_of_entities() {
    let read = read(Rows {
        users: rows(json!([{ "erp_user": "a" }, { "erp_user": "b", "name": "bee", "disabled": true }])),
        roles: rows(json!([{ "role": "Clerk" }, { "role": "Idle", "label": "Does nothing" }])),
        user_roles: rows(json!([
            { "erp_user": "a", "role": "Clerk" },
            { "erp_user": "a", "role": "Clerk" },
            { "erp_user": "a", "role": "System administrator" },
        ])),
        user_companies: rows(json!([{ "erp_user": "b", "company": "1" }])),
        grants: rows(json!([
            { "role": "Clerk", "table": "grp", "can_read": true, "can_update": true },
            { "role": "Clerk", "table": "s.other", "can_read": true, "can_delete": null },
            { "role": "Clerk", "table": "nowhere", "can_read": true },
            { "role": "Idle", "entity": "Group", "can_read": false },
        ])),
        field_grants: rows(json!([
            { "role": "Clerk", "table": "grp", "column": "secret", "can_read": false },
            { "role": "Clerk", "entity": "Other", "field": "Secret", "can_read": true, "can_update": false },
            { "role": "Clerk", "table": "grp", "column": "computed", "can_read": false },
            { "role": "Idle", "table": "grp", "column": "secret", "can_read": false },
        ])),
    })
    .unwrap();
    assert_eq!(read.left_out, 1);
    let it = read.request;
    let [clerk, idle] = it.roles.as_slice() else { panic!("{:?}", it.roles) };
    assert_eq!(
        (&*clerk.name, &*clerk.privileges),
        ("roles/Clerk", &["Clerk (ERP)".to_owned()][..])
    );
    assert_eq!((&*idle.display_name, idle.privileges.len()), ("Does nothing", 0));
    let [a, b] = it.users.as_slice() else { panic!("{:?}", it.users) };
    assert_eq!((&*a.name, a.disabled, a.roles.len()), ("users/a", false, 2));
    assert_eq!((&*b.name, &*b.erp_user, b.disabled), ("users/bee", "b", true));
    assert_eq!(b.companies, ["1"]);
    let [privilege] = it.privileges.as_slice() else { panic!("{:?}", it.privileges) };
    let of = |entity: &str| {
        let named = |it: &&_| -> bool {
            let it: &proto::user_context::v1::EntityGrant = it;
            it.entities == [entity]
        };
        privilege.grants.iter().find(named).unwrap()
    };
    assert_eq!((&*of("Group").operations, of("Group").hidden_fields.len()), (&[1, 3][..], 1));
    assert_eq!((&*of("Other").operations, of("Other").hidden_fields.len()), (&[1][..], 0));
    assert_eq!(of("Other").read_only_fields, ["Secret"]);
}

#[test]
fn what_a_query_cannot_mean_is_told() {
    let check = |rows: Rows, part: &str| {
        let reason = format!("{:#}", read(rows).unwrap_err());
        assert!(reason.contains(part), "{reason}");
    };
    let grants = |row: Value| Rows { grants: rows(json!([row])), ..Rows::default() };
    check(grants(json!({ "role": "R", "entity": "Nope" })), "no entity `Nope`");
    check(grants(json!({ "role": "R" })), "must name an `entity` or a `table`");
    check(grants(json!({ "role": "R", "table": "grp", "can_read": true })), "`roles` has not: R");
    let twice = json!([{ "erp_user": "a" }, { "erp_user": "a" }]);
    check(Rows { users: rows(twice), ..Rows::default() }, "user `a` twice");
    let stranger = rows(json!([{ "erp_user": "x", "role": "R" }]));
    check(Rows { user_roles: stranger, ..Rows::default() }, "`users` has not: `x`");
    assert!(from_value::<UserRow>(json!({ "erp_user": "a", "rights": 1 })).is_err());
}
