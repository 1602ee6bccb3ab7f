//! One case for each mistake a model can have: file, line and reason.

use model::parse_entities;

const MODEL: &str = "name = \"m\"\n";

const GROUP: &str = r#"name = "Group"
record_id = "id"
sources = [{ alias = "g", table = "grp" }]
[[fields]]
name = "Id"
column = "g.id"
type = "integer"
"#;

/// A sound entity up to its fields; the next line is line 4.
const HEAD: &str = r#"name = "E"
record_id = "id"
sources = [{ alias = "t", table = "s.t" }]
"#;

const FIELD: &str = r#"[[fields]]
name = "Id"
column = "t.id"
type = "integer"
"#;

/// What is said of `model.toml` and of one entity file.
fn problems(model: &str, entity: &str) -> Vec<String> {
    match parse_entities("m", model, &[("e.toml", entity), ("group.toml", GROUP)]) {
        Ok(_) => Vec::new(),
        Err(error) => error.to_string().lines().map(str::to_owned).collect(),
    }
}

#[track_caller]
fn check_model(model: &str, expected: &[&str]) {
    assert_eq!(problems(model, &format!("{HEAD}{FIELD}")), expected, "{model}");
}

/// The whole file.
#[track_caller]
fn check_file(entity: &str, expected: &[&str]) {
    assert_eq!(problems(MODEL, entity), expected, "{entity}");
}

/// Lines of the entity before its first field.
#[track_caller]
fn check_entity(lines: &str, expected: &[&str]) {
    check_file(&format!("{HEAD}{lines}\n{FIELD}"), expected);
}

/// Lines of a field; the first is line 5.
#[track_caller]
fn check_field(lines: &str, expected: &[&str]) {
    let model =
        format!("{MODEL}[[enums]]\nname = \"No\"\nmembers = [{{ symbol = \"N\", stored = 0 }}]");
    let entity = format!("{HEAD}[[fields]]\n{lines}");
    assert_eq!(problems(&model, &entity), expected, "{entity}");
}

/// A relation; its first line is line 9.
#[track_caller]
fn check_relation(lines: &str, expected: &[&str]) {
    check_file(&format!("{HEAD}{FIELD}[[relations]]\n{lines}"), expected);
}

#[test]
fn a_sound_model_has_no_problems() {
    check_entity("", &[]);
    check_field("name = \"A\"\ncolumn = \"t.a\"\ntype = \"enum\"\nenum = \"No\"", &[]);
    check_relation("name = \"R\"\nentity = \"Group\"\nfields = { Id = \"Id\" }", &[]);
}

#[test]
fn model_file() {
    check_model("", &["m/model.toml:1: `name` is missing"]);
    check_model("name = 1", &["m/model.toml:1: `name` must be text"]);
    check_model("name = \"m\"\nlable = \"M\"", &["m/model.toml:2: unknown key `lable`"]);
    check_model(
        "name = \"m\"\nnull_date = 1900-01-01T00:00:00",
        &["m/model.toml:2: `null_date` must be a date, such as 1900-01-01"],
    );
    check_model(
        "name = \"m\"\ncompare = \"binary\"",
        &["m/model.toml:2: `compare` must be caseless or exact"],
    );
    check_model("name = \"m\"\ncompare = true", &["m/model.toml:2: `compare` must be text"]);
    check_model(
        "name = \"m\"\n\n[company]\nentity = \"E\"\ncode = \"Id\"\nname = \"Nme\"",
        &["m/model.toml:3: `company`: `E` has no field `Nme`"],
    );
    check_model(
        "name = \"m\"\n[company]\nentity = \"X\"\ncode = \"Id\"\nname = \"Id\"",
        &["m/model.toml:2: `company`: the model has no entity `X`"],
    );
    check_model(
        "name = \"m\"\n[company]\nentity = \"E\"\ncode = \"Id\"",
        &["m/model.toml:2: `name` is missing"],
    );
}

#[test]
fn enums() {
    let check = |members: &str, expected: &[&str]| {
        check_model(
            &format!("name = \"m\"\n[[enums]]\nname = \"A\"\nmembers = [{members}]"),
            expected,
        );
    };
    check("", &["m/model.toml:3: enum `A` has no members"]);
    check("{ symbol = \"S\" }", &["m/model.toml:4: `stored` is missing"]);
    check(
        "{ symbol = \"S\", stored = 1.5 }",
        &["m/model.toml:4: `stored` must be a number, text, true or false"],
    );
    check("{ symbol = \"\", stored = 1 }", &["m/model.toml:4: `symbol` is empty"]);
    check(
        "{ symbol = \"S\", stored = 0 },\n{ symbol = \"S\", stored = 1 }",
        &["m/model.toml:5: symbol `S` is there twice"],
    );
    check(
        "{ symbol = \"S\", stored = 0 },\n{ symbol = \"T\", stored = 0 }",
        &["m/model.toml:5: `T` stores what another member stores"],
    );
    check(
        "{ symbol = \"S\", stored = 0 },\n{ symbol = \"T\", stored = \"t\" }",
        &["m/model.toml:5: `T` stores another kind than the first member"],
    );
    let one = "[[enums]]\nname = \"A\"\nmembers = [{ symbol = \"S\", stored = 0 }]\n";
    let two = one.replace("\"A\"", "\"a\"");
    check_model(&format!("name = \"m\"\n{one}{two}"), &["m/model.toml:6: enum `a` is there twice"]);
    check_model(
        &format!("name = \"m\"\n{}", one.replace("\"A\"", "\"1 A\"")),
        &[
            "m/model.toml:3: `1 A` is not a name: letters, digits and `_`, not beginning with a digit",
        ],
    );
}

#[test]
fn entity_head() {
    check_file(
        "a = ",
        &["m/entities/e.toml:1: string values must be quoted, expected literal string"],
    );
    check_file(
        "",
        &[
            "m/entities/e.toml:1: `name` is missing",
            "m/entities/e.toml:1: `sources` is missing: an entity needs a table",
            "m/entities/e.toml:1: `record_id` is missing",
            "m/entities/e.toml:1: `fields` is missing: an entity needs a field",
        ],
    );
    check_entity("colour = 1", &["m/entities/e.toml:4: unknown key `colour`"]);
    check_entity("public = \"yes\"", &["m/entities/e.toml:4: `public` must be true or false"]);
    check_file(
        &format!("{HEAD}{FIELD}").replace("name = \"E\"", "name = \"group\""),
        &["m/entities/group.toml:1: entity `Group` is there twice"],
    );
    check_entity(
        "record_id_kind = \"guid\"",
        &["m/entities/e.toml:4: `record_id_kind` must be integer, uuid or hash"],
    );
    let several = HEAD.replace("\"id\"", "[\"a\", \"b\"]");
    check_file(
        &format!("{several}record_id_kind = \"uuid\"\n{FIELD}"),
        &["m/entities/e.toml:4: a record id of kind uuid is one column"],
    );
    let check = |id: &str, reason: &str| {
        let head = HEAD.replace("\"id\"", id);
        check_file(&format!("{head}{FIELD}"), &[&format!("m/entities/e.toml:2: {reason}")]);
    };
    check("[]", "`record_id` names no column");
    check("[\"a\", \"a\"]", "`record_id` names `a` twice");
    check("7", "`record_id` must be text or a list of texts");
    check("\"\"", "`` has an empty name");
}

#[test]
fn company() {
    check_entity(
        "company = \"x.c\"",
        &["m/entities/e.toml:4: `x.c`: no source before this has the alias `x`"],
    );
    check_entity(
        "company_casing = \"upper\"",
        &["m/entities/e.toml:4: this says something of `company`, which is missing"],
    );
    check_entity(
        "company = \"t.c\"\ncompany_casing = \"Upper\"",
        &["m/entities/e.toml:5: `company_casing` must be upper or lower"],
    );
    let by_hand = FIELD.replace("\"Id\"", "\"DataAreaID\"");
    check_file(
        &format!("{HEAD}company = \"t.c\"\n{by_hand}"),
        &["m/entities/e.toml:6: `company` gives the field `dataAreaId` already"],
    );
}

#[test]
fn keys() {
    check_entity(
        "key = [\"Id\",\n\"Nme\"]",
        &["m/entities/e.toml:5: `key` names `Nme`, which is no field"],
    );
    check_entity("key = [\"Id\", \"Id\"]", &["m/entities/e.toml:4: `key` names `Id` twice"]);
}

#[test]
fn sources() {
    let check = |sources: &str, expected: &[&str]| {
        let head = "name = \"E\"\nrecord_id = \"id\"\n";
        check_file(&format!("{head}{FIELD}[[sources]]\nalias = \"t\"\n{sources}"), expected);
    };
    let second = "table = \"t\"\n[[sources]]\nalias = \"u\"\ntable = \"u\"\n";
    check("table = \"t\"", &[]);
    check("", &["m/entities/e.toml:7: `table` is missing"]);
    check("table = \"a.b.c\"", &["m/entities/e.toml:9: `a.b.c` is not `schema.table`"]);
    check(
        &format!("table = \"{}\"", "x".repeat(64)),
        &[&format!(
            "m/entities/e.toml:9: `{}` is longer than PostgreSQL's 63 bytes",
            "x".repeat(64)
        )],
    );
    check(
        "table = \"t\"\njoin = \"inner\"",
        &["m/entities/e.toml:10: the first source is the root, which joins nothing"],
    );
    check(
        second,
        &[
            "m/entities/e.toml:10: `join` is missing: inner or optional",
            "m/entities/e.toml:10: `on` is missing: what finds the rows of this source",
        ],
    );
    check(
        &format!("{second}join = \"outer\"\non = {{ id = \"t.id\" }}"),
        &["m/entities/e.toml:13: `join` must be inner or optional"],
    );
    check(
        &format!("{second}join = \"inner\"\non = {{ id = \"u.id\" }}"),
        &["m/entities/e.toml:14: `u.id`: no source before this has the alias `u`"],
    );
    check(
        &format!("{second}join = \"inner\"\non = {{ id = 1 }}"),
        &[
            "m/entities/e.toml:10: `on` is missing: what finds the rows of this source",
            "m/entities/e.toml:14: `on` must be a table of texts, such as { a = \"b\" }",
        ],
    );
    let twice = second.replace("\"u\"\ntable", "\"T\"\ntable");
    check(
        &format!("{twice}join = \"inner\"\non = {{ id = \"t.id\" }}"),
        &["m/entities/e.toml:11: alias `T` is there twice"],
    );
}

#[test]
fn fields() {
    check_field("name = \"A\"\ncolumn = \"t.a\"", &["m/entities/e.toml:4: `type` is missing"]);
    check_field(
        "name = \"A\"\ntype = \"memo\"",
        &["m/entities/e.toml:4: `column` is missing: where the value comes from"],
    );
    let check = |lines: &str, expected: &[&str]| {
        check_field(&format!("name = \"A\"\ncolumn = \"t.a\"\n{lines}"), expected);
    };
    check(
        "type = \"text\"",
        &[
            "m/entities/e.toml:7: `type` must be one of string, memo, integer, long, decimal, enum, \
         boolean, date, datetime, guid",
        ],
    );
    check(
        "type = \"memo\"\nmax_length = 3",
        &["m/entities/e.toml:8: `max_length` is for type string"],
    );
    check(
        "type = \"string\"\nmax_length = 0",
        &["m/entities/e.toml:8: `max_length` must be a number, at least 1"],
    );
    check("type = \"decimal\"\nscale = 11", &["m/entities/e.toml:8: `scale` must be at most 10"]);
    check(
        "type = \"enum\"",
        &["m/entities/e.toml:7: `enum` is missing: which enum this field holds"],
    );
    check("type = \"enum\"\nenum = \"X\"", &["m/entities/e.toml:8: the model has no enum `X`"]);
    check("type = \"integer\"\ncasing = \"upper\"", &["m/entities/e.toml:8: `casing` is for text"]);
    check(
        "type = \"integer\"\nstorage = \" \"",
        &["m/entities/e.toml:8: `storage` is no SQL type"],
    );
    check(
        "type = \"integer\"\nmandatory = true\nallow_edit_on_create = false",
        &["m/entities/e.toml:8: a field that may not be set on create cannot be mandatory"],
    );
    check(
        "type = \"integer\"\nexpression = \"1\"",
        &["m/entities/e.toml:8: a field has a `column` or an `expression`, not both"],
    );
    check(
        "type = \"integer\"\n[[fields]]\nname = \"a\"\ncolumn = \"t.a\"\ntype = \"integer\"",
        &["m/entities/e.toml:9: field `a` is there twice"],
    );
    check_field(
        "name = \"A b\"\ncolumn = \"u.a\"\ntype = \"integer\"",
        &[
            "m/entities/e.toml:5: `A b` is not a name: letters, digits and `_`, not beginning with a digit",
            "m/entities/e.toml:6: `u.a`: no source before this has the alias `u`",
        ],
    );
    check_field(
        "name = \"A\"\nexpression = \"1\"\ntype = \"integer\"\nallow_edit = true",
        &["m/entities/e.toml:8: an expression is read-only: `allow_edit` cannot be true"],
    );
    check_field(
        "name = \"A\"\nexpression = \"\"\ntype = \"integer\"",
        &["m/entities/e.toml:6: `expression` is no SQL"],
    );
}

#[test]
fn relations() {
    check_relation(
        "name = \"R\"\nentity = \"Group\"",
        &["m/entities/e.toml:8: `fields` is missing: what finds the related row"],
    );
    check_relation(
        "name = \"R\"\nentity = \"X\"\nfields = { Id = \"Id\" }",
        &["m/entities/e.toml:9: relation `R`: the model has no entity `X`"],
    );
    check_relation(
        "name = \"R\"\nentity = \"Group\"\nfields = { X = \"Id\" }",
        &["m/entities/e.toml:11: the entity has no field `X`"],
    );
    check_relation(
        "name = \"R\"\nentity = \"Group\"\nfields = { Id = \"X\" }",
        &["m/entities/e.toml:9: relation `R`: `Group` has no field `X`"],
    );
    let one = "name = \"R\"\nentity = \"Group\"\nfields = { Id = \"Id\" }\n";
    check_relation(
        &format!("{one}[[relations]]\n{}", one.replace("\"R\"", "\"r\"")),
        &["m/entities/e.toml:13: relation `r` is there twice"],
    );
}

#[test]
fn all_mistakes_of_all_files_come_at_once() {
    let entity = format!("{HEAD}colour = 1\nshade = 2\n{FIELD}");
    let found = problems("nme = \"m\"", &entity);
    assert_eq!(
        found,
        [
            "m/model.toml:1: `name` is missing",
            "m/model.toml:1: unknown key `nme`",
            "m/entities/e.toml:4: unknown key `colour`",
            "m/entities/e.toml:5: unknown key `shade`",
        ]
    );
}

#[test]
fn a_file_that_is_no_toml_makes_no_mistakes_elsewhere() {
    let related = format!(
        "{HEAD}{FIELD}[[relations]]\nname = \"R\"\nentity = \"X\"\nfields = {{ Id = \"Id\" }}"
    );
    let error = parse_entities("m", MODEL, &[("e.toml", &related), ("x.toml", "name = = 1")]);
    let problems = error.unwrap_err().problems;
    assert!(problems.iter().all(|it| it.file.ends_with("x.toml")), "{problems:?}");
}

#[test]
fn defaults_and_ranges() {
    let check = |lines: &str, expected: &[&str]| {
        check_field(&format!("name = \"A\"\ncolumn = \"t.a\"\n{lines}"), expected);
    };
    check("type = \"decimal\"\nscale = 2\nmin = \"-0.50\"\nmax = 10\ndefault = \"A ?? 1\"", &[]);
    check(
        "type = \"string\"\ndefault = \"user + B\"",
        &["m/entities/e.toml:8: `default`: there is no field `B` (character 8)"],
    );
    check("type = \"string\"\ndefault = \"\"", &["m/entities/e.toml:8: `default`: it is empty"]);
    check("type = \"string\"\nmin = 0", &["m/entities/e.toml:8: `min` is for numbers"]);
    check(
        "type = \"integer\"\nmax = \"1.5\"",
        &["m/entities/e.toml:8: `max` has more digits after the point than the field"],
    );
    check(
        "type = \"long\"\nmin = \"few\"",
        &["m/entities/e.toml:8: `min` must be a number, such as \"0.01\""],
    );
    check("type = \"long\"\nmin = 3\nmax = 2", &["m/entities/e.toml:9: `max` is less than `min`"]);
    check(
        "type = \"long\"\nmin = 1.5",
        &["m/entities/e.toml:8: `min` must be a number, text, true or false"],
    );
    check_field(
        "name = \"A\"\nexpression = \"1\"\ntype = \"long\"\ndefault = \"2\"",
        &["m/entities/e.toml:8: an expression is read-only: it cannot have a `default`"],
    );
}

#[test]
fn rules() {
    let check = |lines: &str, expected: &[&str]| {
        check_file(&format!("{HEAD}{FIELD}[[rules]]\n{lines}"), expected);
    };
    check(
        "name = \"R\"\ncheck = \"Id > 0\"\nmessage = \"No.\"\nfield = \"Id\"\non = \"create\"",
        &[],
    );
    check("name = \"R\"\nmessage = \"No.\"", &["m/entities/e.toml:8: `check` is missing"]);
    check(
        "name = \"R\"\ncheck = \"Id = 1\"\nmessage = \"No.\"\nwhen = \"x\"",
        &[
            "m/entities/e.toml:10: `check`: Unexpected '=' (character 4)",
            "m/entities/e.toml:12: unknown key `when`",
        ],
    );
    check(
        "name = \"R\"\ncheck = \"true\"\nmessage = \"\"\nfield = \"X\"\non = [\"delete\"]",
        &[
            "m/entities/e.toml:11: `message` is empty",
            "m/entities/e.toml:12: the entity has no field `X`",
            "m/entities/e.toml:13: `on` takes create and update",
        ],
    );
    check(
        "name = \"R\"\ncheck = \"true\"\nmessage = \"No.\"\non = []",
        &["m/entities/e.toml:12: `on` is empty: a rule is checked on create, update or both"],
    );
    let one = "name = \"R\"\ncheck = \"true\"\nmessage = \"No.\"\n";
    check(&format!("{one}[[rules]]\n{one}"), &["m/entities/e.toml:13: rule `R` is there twice"]);
    check_entity(
        "change_tracking = 1",
        &["m/entities/e.toml:4: `change_tracking` must be true or false"],
    );
}

#[test]
fn policies() {
    let check = |lines: &str, expected: &[&str]| {
        check_file(&format!("{HEAD}{FIELD}[[policies]]\n{lines}"), expected);
    };
    check("name = \"P\"\npredicate = \"t.owner = :user\"\nroles = [\"A\", \"B\"]", &[]);
    check("name = \"P\"", &["m/entities/e.toml:8: `predicate` is missing"]);
    check(
        "name = \"P\"\nroles = []\npredicate = \"t.owner = :owner\"\nrole = \"x\"",
        &[
            "m/entities/e.toml:10: `roles` is empty: whom the policy applies to",
            "m/entities/e.toml:11: `predicate`: `:owner` is none of :user, :companies, :roles, :contact",
            "m/entities/e.toml:12: unknown key `role`",
        ],
    );
    check(
        "name = \"P\"\nroles = [\"A\", \"a\", \" \"]\npredicate = \"true) OR (true\"",
        &[
            "m/entities/e.toml:10: `roles` names `a` twice",
            "m/entities/e.toml:10: `roles` has an empty name",
            "m/entities/e.toml:11: `predicate`: `)` closes nothing",
        ],
    );
    let one = "name = \"P\"\npredicate = \"true\"\n";
    check(
        &format!("{one}[[policies]]\n{one}"),
        &["m/entities/e.toml:12: policy `P` is there twice"],
    );
}

#[test]
fn actions() {
    let check = |lines: &str, expected: &[&str]| {
        check_file(&format!("{HEAD}{FIELD}[[actions]]\n{lines}"), expected);
    };
    let sound = "name = \"A\"\nbinding = \"row\"\nfunction = \"s.f\"\n";
    check(
        &format!("{sound}parameters = [{{ name = \"P\", type = \"date\" }}]\nreturns = \"guid\""),
        &[],
    );
    check(
        "name = \"A\"",
        &[
            "m/entities/e.toml:8: `binding` is missing",
            "m/entities/e.toml:8: `function` is missing: what runs",
        ],
    );
    check(
        "name = \"A\"\nbinding = \"table\"\nservice = \"\"",
        &[
            "m/entities/e.toml:10: `binding` must be row, entity or none",
            "m/entities/e.toml:11: `service` is empty",
        ],
    );
    check(
        &format!("{sound}service = \"x\""),
        &["m/entities/e.toml:12: an action has a `function` or a `service`, not both"],
    );
    check(
        "name = \"A\"\nbinding = \"none\"\nfunction = \"a.b.c\"\nlable = \"x\"",
        &[
            "m/entities/e.toml:11: `a.b.c` is not `schema.table`",
            "m/entities/e.toml:12: unknown key `lable`",
        ],
    );
    let known = "string, memo, integer, long, decimal, boolean, date, datetime, guid";
    check(
        &format!("{sound}returns = \"enum\""),
        &[&format!("m/entities/e.toml:12: `returns` must be one of {known}")],
    );
    check(
        &format!("{sound}parameters = [{{ name = \"P\", type = \"enum\" }}]"),
        &[&format!("m/entities/e.toml:12: `type` must be one of {known}")],
    );
    check(
        &format!(
            "{sound}parameters = [{{ name = \"P\", type = \"long\", max_length = 3 }},\n\
             {{ name = \"p\", type = \"long\", scale = 2 }}]"
        ),
        &[
            "m/entities/e.toml:12: `max_length` is for type string",
            "m/entities/e.toml:13: unknown key `scale`",
            "m/entities/e.toml:13: parameter `p` is there twice",
        ],
    );
    check(
        &format!("{sound}[[actions]]\n{sound}"),
        &["m/entities/e.toml:13: action `A` is there twice"],
    );
}
