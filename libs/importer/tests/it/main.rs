//! Real databases, and the models that they become.

#![allow(clippy::unwrap_used)] // A test that unwraps nothing has failed.

mod columns;
mod tables;

use cluster::Scratch;
use importer::{Error, Import, Options, import};
use model::{Entity, Field, Model};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// A cluster with the nasty schema, and what was made of it.
pub(crate) struct World {
    pub(crate) connection: PgConnection,
    pub(crate) import: Import,
    _scratch: Scratch,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::of(include_str!("nasty.sql"), &[]).await.unwrap()
    }

    pub(crate) async fn of(sql: &'static str, schemas: &[&str]) -> Result<Self, Error> {
        let scratch = Scratch::start().await.unwrap();
        let url = scratch.database("erp").await.unwrap();
        let mut connection = PgConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        let schemas = schemas.iter().map(|it| (*it).to_owned()).collect();
        let options = Options { name: "my_shop".to_owned(), schemas };
        let import = import(&mut connection, &options).await?;
        Ok(Self { connection, import, _scratch: scratch })
    }

    pub(crate) fn model(&self) -> &Model {
        &self.import.model
    }

    pub(crate) fn entity(&self, name: &str) -> &Entity {
        let found = self.model().entities.iter().find(|it| it.name == name);
        found.unwrap_or_else(|| panic!("no entity {name} in {:?}", self.names()))
    }

    pub(crate) fn field(&self, entity: &str, field: &str) -> &Field {
        let entity = self.entity(entity);
        let names = || entity.fields.iter().map(|it| &it.name).collect::<Vec<_>>();
        entity.field(field).unwrap_or_else(|| panic!("no field {field} in {:?}", names()))
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.model().entities.iter().map(|it| it.name.as_str()).collect()
    }

    /// Why a table or a column was left out.
    pub(crate) fn skipped(&self, what: &str) -> Option<&str> {
        let found = self.import.skipped.iter().find(|it| it.what == what);
        found.map(|it| it.reason.as_str())
    }
}

#[tokio::test]
async fn what_is_imported_is_a_model_and_can_be_selected() {
    let mut world = World::new().await;
    let dir = tempfile::tempdir().unwrap();
    model::save(world.model(), dir.path()).unwrap();
    let loaded = model::load(dir.path()).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(&loaded, world.model());

    let quoted = |it: &str| format!("\"{}\"", it.replace('"', "\"\""));
    for entity in &loaded.entities {
        let columns = entity.fields.iter().map(|it| match &it.source {
            model::FieldSource::Column(path) => {
                let cast = it.storage.as_ref().map_or(String::new(), |it| format!("::{it}"));
                format!("{}{cast}", quoted(&path.column))
            }
            model::FieldSource::Expression(it) => panic!("{it}"),
        });
        let columns: Vec<_> = columns.collect();
        let root = &entity.root().table;
        let from = format!("{}.{}", quoted(&root.schema), quoted(&root.name));
        let sql = format!("SELECT {} FROM {from}", columns.join(", "));
        let result = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut world.connection).await;
        assert!(result.is_ok(), "{}: {result:?}", entity.name);
    }
}

#[tokio::test]
async fn only_the_schemas_that_are_asked_for() {
    let world = World::of(include_str!("nasty.sql"), &["Odd Schema"]).await.unwrap();
    assert_eq!(world.names(), ["OddTableGrU00F6U00DFe", "Order", "U540DU524D"]);
    assert_eq!(world.import.skipped, []);

    let error = World::of("", &["nowhere"]).await.err().unwrap();
    assert_eq!(error.to_string(), "the database has no schema `nowhere`");
}

/// Changes and answers of everybody are nobody's rows.
#[tokio::test]
async fn what_tombolo_keeps_beside_the_rows_is_no_part_of_the_erp() {
    const SQL: &str =
        "CREATE SCHEMA tombolo; CREATE TABLE tombolo.change_log (seq bigint PRIMARY KEY);
        CREATE TABLE own (id bigint PRIMARY KEY)";
    let world = World::of(SQL, &[]).await.unwrap();
    assert_eq!(world.names(), ["Own"]);
    let error = World::of(SQL, &["tombolo"]).await.err().unwrap();
    assert_eq!(error.to_string(), "the database has no schema `tombolo`");
}

#[tokio::test]
async fn an_empty_database_is_an_empty_model() {
    let world = World::of("", &[]).await.unwrap();
    assert_eq!(world.names(), Vec::<&str>::new());
    assert_eq!((world.model().name.as_str(), world.model().label.as_str()), ("my_shop", "My shop"));
}
