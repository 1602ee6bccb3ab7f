//! What roles grant together, held against their grants one by one.

use super::*;
use proptest::prelude::*;
use uuid::Uuid;

const ENTITIES: [&str; 4] = ["*", "A", "B", "C"];
const FIELDS: [&str; 3] = ["x", "y", "z"];

fn grants() -> impl Strategy<Value = pb::EntityGrant> {
    let fields = || proptest::sample::subsequence(FIELDS.map(String::from).to_vec(), 0..=3);
    (
        proptest::sample::subsequence(ENTITIES.map(String::from).to_vec(), 0..=2),
        proptest::sample::subsequence(vec![1, 2, 3, 4, 5], 0..=5),
        fields(),
        fields(),
    )
        .prop_map(|(entities, operations, hidden_fields, read_only_fields)| pb::EntityGrant {
            tables: entities.clone(),
            entities,
            operations,
            hidden_fields,
            read_only_fields,
        })
}

fn principal(roles: &[&str], companies: &[&str]) -> Principal {
    Principal {
        system_user_id: Uuid::nil(),
        name: "u".into(),
        erp_user: "u".into(),
        roles: roles.iter().map(|it| (*it).to_owned()).collect(),
        companies: match companies {
            ["*"] => Companies::All,
            codes => Companies::Only(codes.iter().map(|it| (*it).to_owned()).collect()),
        },
        contact: None,
    }
}

/// Whether grants, looked at one by one, let something be done with a field.
fn allows(grants: &[pb::EntityGrant], entity: &str, operation: i32, field: &str) -> bool {
    grants.iter().any(|it| {
        let named = it.entities.iter().any(|name| name == entity || name == EVERY);
        let fields = if operation == 1 { &it.hidden_fields } else { &it.read_only_fields };
        named && it.operations.contains(&operation) && !fields.iter().any(|it| it == field)
    })
}

proptest! {
    #[test]
    fn a_field_is_seen_by_who_has_one_grant_that_shows_it(
        one in prop::collection::vec(grants(), 0..4),
        other in prop::collection::vec(grants(), 0..4),
    ) {
        let roles = [
            pb::RoleGrants { role: "One".into(), grants: one.clone() },
            pb::RoleGrants { role: "Other".into(), grants: other.clone() },
        ];
        let definitions = RoleDefinitions::new(&roles);
        let both = Rights::of(&principal(&["ONE", "other", "unknown"], &[]), &definitions);
        let all = [one.clone(), other.clone()].concat();
        let common = Rights::of(&principal(&["one"], &[]), &definitions)
            .intersect(&Rights::of(&principal(&["other"], &[]), &definitions));
        for entity in &ENTITIES[1..] {
            for field in FIELDS {
                let sees = |it: &Rights| {
                    let it = it.entity(entity);
                    it.privileges.contains(Privileges::READ) && !it.hidden.contains(field)
                };
                prop_assert_eq!(sees(&both), allows(&all, entity, 1, field));
                let each = allows(&one, entity, 1, field) && allows(&other, entity, 1, field);
                prop_assert_eq!(sees(&common), each);
            }
            for (operation, privilege) in [
                (2, Privileges::CREATE),
                (3, Privileges::UPDATE),
                (4, Privileges::DELETE),
                (5, Privileges::INVOKE),
            ] {
                let granted = allows(&all, entity, operation, "none");
                prop_assert_eq!(both.entity(entity).privileges.contains(privilege), granted);
                prop_assert_eq!(both.table(entity).privileges.contains(privilege), granted);
            }
        }
    }
}

#[test]
fn the_roles_that_always_exist_grant_what_they_are_for() {
    let definitions = RoleDefinitions::default();
    let rights = |role: &str| Rights::of(&principal(&[role], &["USMF"]), &definitions);
    let administrator = rights("system ADMINISTRATOR");
    assert_eq!(administrator.entity("A").privileges, Privileges::ALL);
    assert_eq!(administrator.companies, Companies::All);
    assert_eq!(rights(role::BASIC_USER).table("account").privileges, Privileges::ALL);
    assert!(rights(role::BASIC_USER).entity("A").privileges.is_empty());
    let app_user = rights(role::DUAL_WRITE_APP_USER);
    assert_eq!(app_user.table("cdm_company").privileges, Privileges::READ);
    assert_eq!(app_user.table("transactioncurrency").privileges, Privileges::READ);
    for role in [
        role::SECURITY_ADMINISTRATOR,
        role::SYSTEM_CUSTOMIZER,
        role::DUAL_WRITE_RUNTIME_USER,
        role::DUAL_WRITE_APP_USER,
        role::VIRTUAL_ENTITY_APPLICATION,
        role::PORTAL_USER,
        role::PORTAL_USER_ALIAS,
        "nobody",
    ] {
        assert!(rights(role).entity("A").privileges.is_empty(), "{role}");
        assert!(rights(role).table("account").privileges.is_empty(), "{role}");
    }
}

#[test]
fn thousands_of_callers_do_not_hold_what_their_roles_grant_thousands_of_times() {
    let grant = |entity: &str| pb::EntityGrant {
        entities: vec![entity.to_owned()],
        operations: vec![1],
        ..Default::default()
    };
    let role =
        |name: &str, entity| pb::RoleGrants { role: name.to_owned(), grants: vec![grant(entity)] };
    let definitions = RoleDefinitions::new(&[role("a", "A"), role("b", "B")]);
    let of = |roles: &[&str]| Rights::of(&principal(roles, &["X"]), &definitions);
    let (one, other) = (of(&["a", "B"]), of(&["b", "A", "a", "undefined"]));
    assert!(Arc::ptr_eq(&one.entities, &other.entities));
    assert_eq!(one.entity("A").privileges, Privileges::READ);
    assert_eq!(one.entity("B").privileges, Privileges::READ);
    assert_eq!(of(&["a"]).entity("B").privileges, Privileges::NONE);
    for it in 0..2 * MOST_UNITED {
        of(&[&format!("undefined {it}")]);
    }
    assert_eq!(definitions.0.united.lock().unwrap().len(), 3);
}

#[test]
fn who_acts_as_another_touches_rows_of_common_companies() {
    let definitions = RoleDefinitions::default();
    let all = [
        principal(&[role::SYSTEM_ADMINISTRATOR], &[]),
        principal(&[], &["*"]),
        principal(&[], &["USMF", "demf"]),
        principal(&[], &["DEMF"]),
        principal(&[], &[]),
    ]
    .map(|it| Rights::of(&it, &definitions));
    for (one, other) in all.iter().flat_map(|one| all.iter().map(move |other| (one, other))) {
        for company in ["USMF", "DEMF", "FRRT"] {
            let expected = one.companies.contains(company) && other.companies.contains(company);
            let both = one.intersect(other);
            assert_eq!(both.companies.contains(company), expected, "{one:?} {other:?}");
        }
    }
}
