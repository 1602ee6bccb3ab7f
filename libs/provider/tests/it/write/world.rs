//! An ERP with triggers, sequences, generated columns and constraints of every kind, and entities over it.

use std::collections::BTreeMap;
use std::sync::Arc;

use cluster::Scratch;
use proto::catalog::v1 as catalog;
use proto::catalog::v1::{FieldType, RecordIdentityKind as Identity};
use proto::query::v1 as pb;
use proto::query::v1::operation::Operation as Kind;
use proto::query::v1::operation_result::Result as Outcome;
use proto::query::v1::value::Kind as Value;
use provider::{
    Authority, Binding, Error, Grant, Pool, PoolOptions, Privilege, Provider, Refused, Transaction,
};
use rpc::{CallContext, Caller, Companies};
use sqlx::{Connection as _, PgConnection};
use tonic::Status;
use tonic_types::StatusExt as _;

use crate::who;

const SCHEMA: &str = "
    CREATE TYPE mood AS ENUM ('low', 'high');
    CREATE DOMAIN percent AS numeric CHECK (VALUE BETWEEN 0 AND 100);
    CREATE TABLE groups (company text NOT NULL, code text NOT NULL, title text,
        PRIMARY KEY (company, code));
    INSERT INTO groups VALUES ('A1', 'G1', 'Gold'), ('B1', 'G1', 'Gold of B');
    CREATE TABLE items (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        company text NOT NULL,
        code varchar(10) NOT NULL,
        name varchar(20),
        price numeric(8, 2) NOT NULL DEFAULT 1.5 CONSTRAINT good_price CHECK (price >= 0),
        share percent,
        pieces smallint,
        born date NOT NULL DEFAULT '1900-01-01',
        seen timestamptz,
        mood mood,
        kind integer NOT NULL DEFAULT 1,
        guid uuid,
        group_code text,
        doubled numeric GENERATED ALWAYS AS (price * 2) STORED,
        stamp text,
        span int4range,
        UNIQUE (company, code),
        CONSTRAINT in_group FOREIGN KEY (company, group_code) REFERENCES groups (company, code)
    );
    CREATE TABLE uses (item bigint NOT NULL REFERENCES items);
    CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.name = 'dropped' THEN RETURN NULL; END IF;
        IF NEW.name = 'refused' THEN RAISE EXCEPTION 'No item is called %.', NEW.name; END IF;
        IF NEW.name = 'custom' THEN
            RAISE EXCEPTION 'Custom word.' USING ERRCODE = '45001'; END IF;
        IF NEW.name = 'checked' THEN
            RAISE EXCEPTION 'Checked word.' USING ERRCODE = 'check_violation'; END IF;
        IF NEW.name = 'moved' THEN NEW.company := 'B1'; END IF;
        NEW.stamp := current_setting('tombolo.user', true);
        RETURN NEW;
    END $$;
    CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON items FOR EACH ROW EXECUTE FUNCTION stamp();
    CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF OLD.name = 'kept' THEN RETURN NULL; END IF; RETURN OLD;
    END $$;
    CREATE TRIGGER keep BEFORE DELETE ON items FOR EACH ROW EXECUTE FUNCTION keep();

    CREATE SEQUENCE party_numbers START 500;
    CREATE TABLE parties (
        id bigint PRIMARY KEY DEFAULT nextval('party_numbers'),
        name text NOT NULL, upper_name text GENERATED ALWAYS AS (upper(name)) STORED
    );
    CREATE TABLE customers (
        id serial PRIMARY KEY,
        company text NOT NULL, account text NOT NULL,
        party bigint NOT NULL REFERENCES parties,
        credit numeric NOT NULL DEFAULT 100,
        group_code text,
        UNIQUE (company, account),
        FOREIGN KEY (company, group_code) REFERENCES groups
    );
    CREATE TABLE notes (
        customer integer PRIMARY KEY REFERENCES customers, text text, made timestamptz DEFAULT now()
    );
    CREATE TABLE vendors (
        id serial PRIMARY KEY, party bigint REFERENCES parties ON DELETE CASCADE
    );
    CREATE FUNCTION party_log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO log VALUES (TG_TABLE_NAME || ' ' || TG_OP || ' by '
            || coalesce(current_setting('tombolo.user', true), 'nobody')); RETURN NULL;
    END $$;
    CREATE TABLE log (line text);
    CREATE TRIGGER log AFTER INSERT OR UPDATE OR DELETE ON parties
        FOR EACH ROW EXECUTE FUNCTION party_log();
    CREATE TRIGGER log AFTER INSERT OR UPDATE OR DELETE ON customers
        FOR EACH ROW EXECUTE FUNCTION party_log();
    CREATE TRIGGER log AFTER INSERT OR UPDATE OR DELETE ON notes
        FOR EACH ROW EXECUTE FUNCTION party_log();

    CREATE TABLE tags (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), label text UNIQUE, once text);
    CREATE TABLE people (id serial PRIMARY KEY, name text, address integer, mail integer);
    CREATE TABLE addresses (id serial PRIMARY KEY, city text,
        person integer NOT NULL DEFAULT 0 REFERENCES people ON DELETE CASCADE);
    CREATE TABLE mails (id serial PRIMARY KEY, mail text NOT NULL UNIQUE,
        priority integer NOT NULL DEFAULT 5, person integer REFERENCES people);
    ALTER TABLE people ADD FOREIGN KEY (address) REFERENCES addresses;
    ALTER TABLE people ADD FOREIGN KEY (mail) REFERENCES mails;
    CREATE TABLE members (id serial PRIMARY KEY, code text NOT NULL UNIQUE,
        person integer REFERENCES people);
    CREATE TABLE pairs (a text NOT NULL, b integer NOT NULL, note text, PRIMARY KEY (a, b));
    CREATE TABLE numbers (id bigint PRIMARY KEY, note text);";

pub(crate) struct World {
    _scratch: Scratch,
    pub(crate) provider: Provider,
    pub(crate) connection: PgConnection,
    pub(crate) rights: Entities,
}

#[derive(Debug)]
pub(crate) struct Entities(BTreeMap<&'static str, Arc<Binding>>);

impl Authority for Entities {
    fn grant(&self, caller: &Caller, entity: &str, privilege: Privilege) -> Result<Grant, Refused> {
        let binding = self.0.get(entity).ok_or(Refused::Unknown)?;
        Grant::of(caller, Arc::clone(binding), privilege).map_err(Refused::Denied)
    }
}

/// Name, type, column as `alias.column`.
type Declared = (&'static str, FieldType, &'static str);

impl World {
    pub(crate) async fn new() -> Self {
        let scratch = Scratch::start().await.unwrap();
        let url = scratch.database("test").await.unwrap();
        let mut connection = PgConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(SCHEMA).execute(&mut connection).await.unwrap();
        let pool = Pool::new(&url, &PoolOptions::default()).unwrap();
        let provider = Provider::new(pool, "test");
        Self { _scratch: scratch, provider, connection, rights: entities() }
    }

    /// A connection of its own, to look on with.
    pub(crate) async fn connect(&self) -> PgConnection {
        let options = self._scratch.cluster().connect_options("test");
        PgConnection::connect_with(&options).await.unwrap()
    }

    pub(crate) async fn run(&mut self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&mut self.connection).await.unwrap();
    }

    /// The first column of the first row, as text.
    pub(crate) async fn one(&mut self, sql: &'static str) -> Option<String> {
        sqlx::query_scalar(sql).fetch_optional(&mut self.connection).await.unwrap()
    }

    /// One operation by itself, as who may touch these companies.
    pub(crate) async fn write_as(&self, who: &CallContext, kind: Kind) -> Result<Outcome, Status> {
        let operation = pb::Operation { operation: Some(kind) };
        let done = self.provider.write(who, &self.rights, operation).await?;
        Ok(done.result.unwrap())
    }

    pub(crate) async fn write(&self, kind: Kind) -> Result<Outcome, Status> {
        self.write_as(&anybody(), kind).await
    }

    pub(crate) async fn create(
        &self,
        entity: &str,
        values: &[(&str, Value)],
    ) -> Result<pb::CreateResponse, Status> {
        match self.write(create(entity, values)).await? {
            Outcome::Create(it) => Ok(it),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn update(
        &self,
        entity: &str,
        id: &[u8],
        values: &[(&str, Value)],
    ) -> Result<pb::UpdateResponse, Status> {
        match self.write(update(entity, id, values, "")).await? {
            Outcome::Update(it) => Ok(it),
            other => panic!("{other:?}"),
        }
    }

    /// In a transaction that the test ends.
    pub(crate) async fn begin(&self) -> Transaction {
        Transaction::begin(&self.provider, &anybody()).await.unwrap()
    }

    pub(crate) async fn within(
        &self,
        transaction: &mut Transaction,
        kind: Kind,
    ) -> Result<Outcome, Error> {
        let operation = pb::Operation { operation: Some(kind) };
        Ok(transaction.execute(&self.rights, operation).await?.result.unwrap())
    }

    /// The row as a read gives it, with its version as `$version`.
    pub(crate) async fn read(&self, entity: &str, id: &[u8], names: &[&str]) -> serde_json::Value {
        let read = self.write(retrieve(entity, id, names)).await.unwrap();
        let Outcome::Retrieve(answer) = read else { panic!("{read:?}") };
        json(&answer)
    }
}

pub(crate) fn json(answer: &pb::RetrieveResponse) -> serde_json::Value {
    let Some(pb::row_batch::Rows::Json(json)) = answer.batch.clone().unwrap().rows else {
        panic!("no JSON")
    };
    serde_json::from_slice(&json).unwrap()
}

pub(crate) fn create(entity: &str, values: &[(&str, Value)]) -> Kind {
    Kind::Create(pb::CreateRequest {
        entity_name: entity.into(),
        values: fields(values),
        ..Default::default()
    })
}

pub(crate) fn update(entity: &str, id: &[u8], values: &[(&str, Value)], etag: &str) -> Kind {
    Kind::Update(pb::UpdateRequest {
        entity_name: entity.into(),
        key: Some(by_id(id)),
        values: fields(values),
        etag: etag.into(),
        ..Default::default()
    })
}

pub(crate) fn delete(entity: &str, id: &[u8], etag: &str) -> Kind {
    Kind::Delete(pb::DeleteRequest {
        entity_name: entity.into(),
        key: Some(by_id(id)),
        etag: etag.into(),
        ..Default::default()
    })
}

pub(crate) fn retrieve(entity: &str, id: &[u8], names: &[&str]) -> Kind {
    let column = |name: &&str| pb::OutputColumn {
        column: crate::world::column(name),
        key: (*name).to_owned(),
        ..Default::default()
    };
    Kind::Retrieve(pb::RetrieveRequest {
        entity_name: entity.into(),
        key: Some(by_id(id)),
        columns: names.iter().map(column).collect(),
        format: pb::RowFormat::Json.into(),
        ..Default::default()
    })
}

pub(crate) fn by_id(id: &[u8]) -> pb::RecordKey {
    pb::RecordKey { key: Some(pb::record_key::Key::RecordId(id.to_vec().into())) }
}

pub(crate) fn by_key(values: &[(&str, Value)]) -> pb::RecordKey {
    let key = pb::AlternateKeyValues { values: fields(values) };
    pb::RecordKey { key: Some(pb::record_key::Key::Alternate(key)) }
}

pub(crate) fn fields(values: &[(&str, Value)]) -> Vec<pb::FieldValue> {
    let field = |(name, value): &(&str, Value)| pb::FieldValue {
        field: (*name).to_owned(),
        value: Some(pb::Value { kind: Some(value.clone()) }),
    };
    values.iter().map(field).collect()
}

pub(crate) fn text(it: &str) -> Value {
    Value::StringValue(it.into())
}

pub(crate) fn number(it: &str) -> Value {
    Value::DecimalValue(it.into())
}

pub(crate) fn null() -> Value {
    Value::NullValue(pb::NullMarker {})
}

/// Reason, and the named metadata.
pub(crate) fn why(status: &Status, key: &str) -> (String, String) {
    let info = status.get_details_error_info().unwrap();
    (info.reason, info.metadata.get(key).cloned().unwrap_or_default())
}

pub(crate) fn anybody() -> CallContext {
    who(Companies::All)
}

pub(crate) fn only(companies: &[&str]) -> CallContext {
    who(Companies::Only(companies.iter().map(|it| (*it).to_owned()).collect()))
}

fn who(companies: Companies) -> CallContext {
    who::context(who::clerk("ann", companies, vec![who::grant(&["*"], who::ALL)]))
}

fn entities() -> Entities {
    use FieldType::{Date, DateTime, Decimal, Enum, Guid, Integer, Memo, String as Text};
    let items = entity(
        "Items",
        100,
        (Identity::Integer, &["id"]),
        &["company", "code"],
        &[source("items", "items", None)],
        &[
            ("company", Text, "items.company"),
            ("code", Text, "items.code"),
            ("name", Text, "items.name"),
            ("price", Decimal, "items.price"),
            ("share", Decimal, "items.share"),
            ("pieces", Integer, "items.pieces"),
            ("born", Date, "items.born"),
            ("seen", DateTime, "items.seen"),
            ("mood", Enum, "items.mood"),
            ("kind", Integer, "items.kind"),
            ("guid", Guid, "items.guid"),
            ("group", Text, "items.group_code"),
            ("doubled", Decimal, "items.doubled"),
            ("stamp", Text, "items.stamp"),
        ],
        |it| it,
    );
    let ruled = entity(
        "Ruled",
        101,
        (Identity::Integer, &["id"]),
        &["company", "code"],
        &[source("items", "items", None)],
        &[
            ("company", Text, "items.company"),
            ("code", Text, "items.code"),
            ("name", Text, "items.name"),
            ("price", Decimal, "items.price"),
            ("pieces", Integer, "items.pieces"),
            ("born", Date, "items.born"),
        ],
        |mut it| {
            it.fields[2].default_expression = "code + \"!\"".into();
            it.rules = vec![catalog::EntityRule {
                name: "worth".into(),
                check: "price == () || pieces == () || price * pieces <= 100".into(),
                message: "All of them are worth 100 at most.".into(),
                field: "pieces".into(),
                on_create: true,
                on_update: true,
            }];
            it
        },
    );
    let customers = entity(
        "Customers",
        102,
        (Identity::Integer, &["id"]),
        &["company", "account"],
        &[
            source("c", "customers", None),
            source("p", "parties", Some((false, &[("id", "c", "party")]))),
            source("n", "notes", Some((true, &[("customer", "c", "id")]))),
            source(
                "g",
                "groups",
                Some((true, &[("company", "c", "company"), ("code", "c", "group_code")])),
            ),
        ],
        &[
            ("company", Text, "c.company"),
            ("account", Text, "c.account"),
            ("credit", Decimal, "c.credit"),
            ("group", Text, "c.group_code"),
            ("name", Text, "p.name"),
            ("upperName", Text, "p.upper_name"),
            ("note", Memo, "n.text"),
            ("groupTitle", Text, "g.title"),
        ],
        |mut it| {
            it.fields[7].allow_edit = false;
            it.fields[7].allow_edit_on_create = false;
            it.fields[6].nullable = true;
            it
        },
    );
    let tags = entity(
        "Tags",
        103,
        (Identity::Uuid, &["id"]),
        &["label"],
        &[source("t", "tags", None)],
        &[("label", Text, "t.label"), ("once", Text, "t.once"), ("id", Guid, "t.id")],
        |it| it,
    );
    let pairs = entity(
        "Pairs",
        104,
        (Identity::Hash, &["a", "b"]),
        &["a", "b"],
        &[source("t", "pairs", None)],
        &[("a", Text, "t.a"), ("b", Integer, "t.b"), ("note", Text, "t.note")],
        |it| it,
    );
    let numbers = entity(
        "Numbers",
        105,
        (Identity::Integer, &["id"]),
        &[],
        &[source("t", "numbers", None)],
        &[("note", Text, "t.note"), ("number", Integer, "t.id")],
        |it| it,
    );
    let members = entity(
        "Members",
        106,
        (Identity::Integer, &["id"]),
        &["code"],
        &[
            source("m", "members", None),
            source("p", "people", Some((false, &[("id", "m", "person")]))),
            source("a", "addresses", Some((true, &[("id", "p", "address")]))),
            source("e", "mails", Some((true, &[("id", "p", "mail")]))),
        ],
        &[
            ("code", Text, "m.code"),
            ("name", Text, "p.name"),
            ("city", Text, "a.city"),
            ("mail", Text, "e.mail"),
            ("priority", Integer, "e.priority"),
        ],
        |it| it,
    );
    Entities(BTreeMap::from([
        ("Members", members),
        ("Items", items),
        ("Ruled", ruled),
        ("Customers", customers),
        ("Tags", tags),
        ("Pairs", pairs),
        ("Numbers", numbers),
    ]))
}

type On<'a> = (bool, &'a [(&'a str, &'a str, &'a str)]);

fn source(alias: &str, table: &str, join: Option<On<'_>>) -> catalog::DataSource {
    let path = |alias: &str, column: &str| catalog::ColumnPath {
        alias: alias.into(),
        column: column.into(),
    };
    let pair = |(column, other, other_column): &(&str, &str, &str)| catalog::JoinColumn {
        column: (*column).into(),
        other: Some(path(other, other_column)),
    };
    catalog::DataSource {
        alias: alias.into(),
        schema: "public".into(),
        table: table.into(),
        join: join.map(|(optional, pairs)| catalog::DataSourceJoin {
            optional,
            columns: pairs.iter().map(pair).collect(),
        }),
        is_view: false,
    }
}

fn entity(
    name: &str,
    number: u32,
    (kind, columns): (Identity, &[&str]),
    key: &[&str],
    sources: &[catalog::DataSource],
    fields: &[Declared],
    change: impl Fn(catalog::DataEntity) -> catalog::DataEntity,
) -> Arc<Binding> {
    let owned = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let field = |(name, r#type, column): &Declared| {
        let (alias, column) = column.split_once('.').unwrap();
        let path = catalog::ColumnPath { alias: alias.into(), column: column.into() };
        catalog::DataField {
            name: (*name).into(),
            source: Some(catalog::data_field::Source::Column(path)),
            r#type: (*r#type).into(),
            nullable: !key.contains(name) && *name != "born" && *name != "price",
            members: if *r#type == FieldType::Enum { moods() } else { Vec::new() },
            storage: match *r#type {
                FieldType::Enum => "public.mood".into(),
                FieldType::DateTime => "timestamptz".into(),
                _ => String::new(),
            },
            casing: match *name {
                "company" => catalog::Casing::Upper.into(),
                _ => catalog::Casing::Unspecified.into(),
            },
            scale: if *name == "share" { 6 } else { 2 },
            mandatory: matches!(*name, "company" | "code" | "account"),
            min_value: if *name == "kind" { "1".into() } else { String::new() },
            max_value: if *name == "kind" { "9".into() } else { String::new() },
            allow_edit_on_create: *name != "stamp",
            allow_edit: !matches!(*name, "stamp" | "code" | "once"),
            ..Default::default()
        }
    };
    let company_field =
        if fields.iter().any(|it| it.0 == "company") { "company".into() } else { String::new() };
    let entity = catalog::DataEntity {
        name: name.into(),
        entity_id: number,
        sources: sources.to_vec(),
        record_identity: Some(catalog::RecordIdentity {
            kind: kind.into(),
            columns: owned(columns),
        }),
        fields: fields.iter().map(field).collect(),
        key: owned(key),
        company_field,
        null_date: "1900-01-01".into(),
        ..Default::default()
    };
    Arc::new(Binding::try_from(change(entity)).unwrap())
}

fn moods() -> Vec<catalog::EnumMember> {
    let member = |symbol: &str, stored: &str, option_value| catalog::EnumMember {
        symbol: symbol.into(),
        label: symbol.into(),
        option_value,
        stored: Some(catalog::enum_member::Stored::StoredText(stored.into())),
    };
    vec![member("Sad", "low", 1), member("Glad", "high", 2)]
}
