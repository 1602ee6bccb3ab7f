//! A database whose tables are captured, and readers of it.

use std::time::Duration;

use change_log::{Cursor, Entry, Error, Gap, Position, Relation, Window};
use cluster::Scratch;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

pub(crate) const PAGE: u32 = 7;

pub(crate) struct World {
    pub(crate) scratch: Scratch,
    pub(crate) connection: PgConnection,
}

impl World {
    /// With a table `public.item` that is captured.
    pub(crate) async fn new() -> Self {
        let mut world = Self::bare().await;
        world.run("CREATE TABLE item (id int PRIMARY KEY, note text, amount numeric)").await;
        world.capture(&["item"]).await.unwrap();
        world
    }

    pub(crate) async fn bare() -> Self {
        let scratch = Scratch::start_with(&[("max_prepared_transactions", "10")]).await.unwrap();
        let connection = connect(&scratch, "erp").await;
        Self { scratch, connection }
    }

    pub(crate) async fn another(&self) -> PgConnection {
        connect(&self.scratch, "erp").await
    }

    /// How many tables were added and removed, or what stood in the way.
    pub(crate) async fn capture(&mut self, tables: &[&str]) -> Result<(usize, usize), Error> {
        change_log::install(&mut self.connection).await?;
        reconcile(&mut self.connection, tables).await
    }

    /// What is not captured as it should be.
    pub(crate) async fn gaps(&mut self, tables: &[&str]) -> Vec<Gap> {
        let names: Vec<String> = relations(tables).iter().map(ToString::to_string).collect();
        change_log::gaps(&mut self.connection, &names).await.unwrap()
    }

    pub(crate) async fn run(&mut self, sql: &str) {
        run(&mut self.connection, sql).await;
    }

    pub(crate) async fn position(&mut self) -> Position {
        self.window(&["item"], None).await.unwrap().until().clone()
    }

    /// All entries behind a position, page by page, and where they end.
    pub(crate) async fn changes(&mut self, after: &Position) -> (Vec<Entry>, Position) {
        self.changes_of(&["item"], after).await.unwrap()
    }

    pub(crate) async fn changes_of(
        &mut self,
        tables: &[&str],
        after: &Position,
    ) -> Result<(Vec<Entry>, Position), Error> {
        let window = self.window(tables, Some(after.clone())).await?;
        let (mut entries, mut cursor): (Vec<Entry>, Option<Cursor>) = (Vec::new(), None);
        loop {
            let page = window.entries(&mut self.connection, cursor, PAGE).await?;
            cursor = page.entries.last().map(|it| it.cursor);
            entries.extend(page.entries);
            if !page.more {
                break;
            }
        }
        let count = window.count(&mut self.connection).await?;
        assert_eq!(count, entries.len() as i64);
        Ok((entries, window.until().clone()))
    }

    pub(crate) async fn window(
        &mut self,
        tables: &[&str],
        after: Option<Position>,
    ) -> Result<Window, Error> {
        let names = relations(tables).iter().map(ToString::to_string).collect();
        let mut transaction = self.connection.begin().await?;
        run(&mut transaction, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").await;
        let window = Window::open(&mut transaction, after, None, names).await;
        transaction.rollback().await?;
        window
    }
}

pub(crate) async fn reconcile(
    connection: &mut PgConnection,
    tables: &[&str],
) -> Result<(usize, usize), Error> {
    let mut done = change_log::reconcile(connection, &relations(tables), Duration::ZERO).await?;
    match done.failed.pop() {
        Some((_, error)) => Err(error),
        None => Ok((done.added, done.removed)),
    }
}

pub(crate) fn relations(tables: &[&str]) -> Vec<Relation> {
    tables.iter().map(|it| Relation::new("public", *it)).collect()
}

pub(crate) async fn connect(scratch: &Scratch, database: &str) -> PgConnection {
    let url = scratch.database(database).await.unwrap();
    PgConnection::connect(&url).await.unwrap()
}

pub(crate) async fn run(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
}

/// What entries say, in few words: `I1=note`, `U1=note`, `D1`.
pub(crate) fn brief(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(brief_of).collect()
}

fn brief_of(entry: &Entry) -> String {
    let image = |it: &Option<String>| -> serde_json::Value {
        it.as_deref().map(|it| serde_json::from_str(it).unwrap()).unwrap_or_default()
    };
    let (old, new) = (image(&entry.old), image(&entry.new));
    let note = |it: &serde_json::Value| it["note"].as_str().unwrap_or("-").to_owned();
    match entry.operation {
        change_log::Operation::Insert => format!("I{}={}", new["id"], note(&new)),
        change_log::Operation::Update => format!("U{}={}", new["id"], note(&new)),
        change_log::Operation::Delete => format!("D{}", old["id"]),
    }
}
