//! `security.toml`: what it says, and every mistake with its line.

use std::path::Path;

use model::{EntityOperation, File, Model, Security};

const GROUP: &str = r#"name = "Group"
record_id = "id"
sources = [{ alias = "g", table = "grp" }]
[[fields]]
name = "Id"
column = "g.id"
type = "integer"
"#;

fn model() -> Model {
    model::parse_entities("m", "name = \"m\"", &[("group.toml", GROUP)]).unwrap()
}

fn parse(text: &str) -> Result<Security, String> {
    let file = File { path: Path::new("security.toml"), text };
    Security::parse(file, &model()).map_err(|it| it.to_string())
}

#[test]
fn the_demo_and_tryton_have_roles_that_their_models_know() {
    let load = |name: &str| {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models").join(name);
        let model = model::load(&dir).unwrap_or_else(|it| panic!("{it}"));
        Security::load(&dir, &model).unwrap_or_else(|it| panic!("{it}"))
    };
    let demo = load("demo");
    let clerk = demo.roles.iter().find(|it| it.name == "Accounts receivable clerk").unwrap();
    assert_eq!(clerk.duties, ["Maintain customers", "Maintain sales orders"]);
    assert!(demo.import.is_none());
    let queries = load("tryton").import.unwrap();
    assert!(queries.users.contains("res_user") && queries.field_grants.is_some());
}

#[test]
fn a_model_without_the_file_gives_nobody_anything() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(Security::load(dir.path(), &model()).unwrap(), Security::default());
}

#[test]
fn a_file_is_read_whole() {
    let security = parse(
        r#"
        [[roles]]
        name = "Clerk"
        label = "A clerk"
        duties = ["count"]
        privileges = ["See"]
        [[duties]]
        name = "Count"
        privileges = ["see"]
        [[privileges]]
        name = "See"
        [[privileges.grants]]
        entities = ["Group", "*"]
        operations = ["read", "invoke", "read"]
        hidden_fields = ["Id"]
        [[privileges.grants]]
        tables = ["account"]
        operations = ["update"]
        read_only_fields = ["whatever the platform has"]
        [import]
        users = "SELECT 'a' AS erp_user"
        grants = "SELECT 1"
        "#,
    )
    .unwrap();
    assert_eq!((&*security.roles[0].label, &*security.duties[0].label), ("A clerk", "Count"));
    let [see, accounts] = security.privileges[0].grants.as_slice() else { panic!("{security:?}") };
    assert_eq!(see.operations, [EntityOperation::Read, EntityOperation::Invoke]);
    assert_eq!(
        (&*see.hidden_fields, &*accounts.tables),
        (&["Id".to_owned()][..], &["account".to_owned()][..])
    );
    let import = security.import.unwrap();
    assert_eq!((import.users.as_str(), import.roles), ("SELECT 'a' AS erp_user", None));
}

#[test]
fn every_mistake_is_told_with_its_line() {
    let text = r#"[[roles]]
name = "Clerk"
duties = ["Nope"]
privileges = ["Nor"]
[[roles]]
name = "clerk"
[[duties]]
name = "a/b"
privileges = ["Gone"]
[[privileges]]
name = "Empty"
[[privileges]]
name = "Wrong"
[[privileges.grants]]
entities = ["Grup", ""]
operations = ["look"]
[[privileges.grants]]
operations = ["read"]
[[privileges.grants]]
entities = ["Group"]
hidden_fields = ["Ident"]
access = "all"
[import]
roles = " "
"#;
    let expected = [
        "security.toml:3: there is no duty `Nope` in this file",
        "security.toml:4: there is no privilege `Nor` in this file",
        "security.toml:6: role `clerk` is there twice",
        "security.toml:8: `a/b` cannot be the name of a duty: 1 to 200 bytes without `/`, without \
         control characters, and without space at its ends",
        "security.toml:9: there is no privilege `Gone` in this file",
        "security.toml:11: privilege `Empty` has no grants",
        "security.toml:15: a name in `entities` is empty",
        "security.toml:15: the model has no entity `Grup`",
        "security.toml:16: `look` is no operation; there are read, create, update, delete, invoke",
        "security.toml:17: a grant names `entities` or `tables`",
        "security.toml:19: `operations` is missing",
        "security.toml:21: no entity of the grant has a field `Ident`",
        "security.toml:22: unknown key `access`",
        "security.toml:23: `users` is missing",
        "security.toml:24: `roles` is empty",
    ];
    let told = parse(text).unwrap_err();
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
    assert!(parse("x = ").unwrap_err().starts_with("security.toml:1: "));
}
