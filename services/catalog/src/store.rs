//! The catalog's rows in PostgreSQL, schema `catalog`.

mod relationships;

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use model::Model;
use schema::{OpenError, Place, Schema};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Postgres, Row as _, Transaction};

pub(crate) use relationships::DeclaredRow;

pub(crate) const NAME: &str = "catalog";
/// Told whenever the revision grows, so that every replica hears of it.
pub(crate) const CHANNEL: &str = "tombolo_catalog";
/// The first data entity's number.
const FIRST_ENTITY_ID: i32 = 11_000;
/// The catalog's own entity (spec §3.3: 0x2893).
pub(crate) const LIST_ENTITY_ID: u32 = 0x2893;
/// How long a change waits for the one before it, here or in another replica.
pub(crate) const WAIT_BUDGET: Duration = Duration::from_secs(5);
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);
const SCHEMA: Schema = Schema {
    name: NAME,
    // In order; what has been released is never changed.
    migrations: &[
        (1, "entities", include_str!("../migrations/0001_entities.sql")),
        (2, "last visible", include_str!("../migrations/0002_last_visible.sql")),
        (3, "relationships", include_str!("../migrations/0003_relationships.sql")),
        (4, "change tracking", include_str!("../migrations/0004_change_tracking.sql")),
    ],
    statement_timeout: STATEMENT_TIMEOUT,
    lock_timeout: Some(WAIT_BUDGET),
};

/// The store.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pool: PgPool,
}

/// What the store knows of one data entity.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) record_id: i64,
    pub(crate) physical_name: String,
    pub(crate) entity_id: i32,
    pub(crate) has_been_generated: bool,
    pub(crate) change_tracking_enabled: bool,
    pub(crate) refreshed_at: DateTime<Utc>,
    /// PostgreSQL's version of the row.
    pub(crate) version: String,
}

/// Which state of which catalog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Version {
    /// Tells a database from another one that takes its name.
    pub(crate) database: i64,
    pub(crate) revision: i64,
}

/// Everything the store knows, at one revision.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) version: Version,
    pub(crate) rows: HashMap<String, Row>,
    /// By enum and symbol.
    pub(crate) option_values: HashMap<(String, String), i32>,
    /// By id.
    pub(crate) declared: Vec<DeclaredRow>,
}

/// A change under way. Nobody else changes the catalog until it is committed or dropped.
pub(crate) struct Change {
    transaction: Transaction<'static, Postgres>,
    version: Version,
}

// === impl Store ===

impl Store {
    pub(crate) async fn open(url: &str) -> Result<Self, OpenError> {
        Ok(Self { pool: SCHEMA.open(url).await? })
    }

    /// Another environment's, to be closed by whoever opens it.
    pub(crate) async fn open_in(url: &str, place: &Place) -> Result<Self, OpenError> {
        Ok(Self { pool: SCHEMA.open_in(url, place).await? })
    }

    /// Returns when there is no connection any more.
    pub(crate) async fn close(self) {
        self.pool.close().await;
    }

    /// In one database, its revision grows with every change.
    pub(crate) async fn version(&self) -> Result<Version, sqlx::Error> {
        read_version(&mut *self.pool.acquire().await?).await
    }

    pub(crate) async fn state(&self) -> Result<State, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        // One moment's view of all three tables.
        sqlx::raw_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .execute(&mut *transaction)
            .await?;
        read_state(&mut transaction).await
    }

    /// Begins a change, after those that others have begun.
    pub(crate) async fn change(&self) -> Result<Change, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("SELECT number FROM revision FOR UPDATE").execute(&mut *transaction).await?;
        let version = read_version(&mut transaction).await?;
        Ok(Change { transaction, version })
    }
}

// === impl Change ===

impl Change {
    /// Which database it changes.
    pub(crate) fn database(&self) -> i64 {
        self.version.database
    }

    /// Makes the rows those of the model's public entities; ids are kept, new ones given out.
    pub(crate) async fn follow_model(&mut self, model: &Model) -> Result<(), sqlx::Error> {
        let public = model.entities.iter().filter(|it| it.public);
        let (names, (visible, tracked)): (Vec<String>, (Vec<bool>, Vec<bool>)) =
            public.map(|it| (it.name.clone(), (it.visible, it.change_tracking))).unzip();
        sqlx::query(
            "INSERT INTO entity_identity (physical_name, entity_id)
             SELECT name, greatest(
                 (SELECT max(entity_id) FROM entity_identity), $2::integer - 1
             ) + row_number() OVER (ORDER BY name COLLATE \"C\")
             FROM unnest($1::text[]) AS name
             WHERE name NOT IN (SELECT physical_name FROM entity_identity)
             ORDER BY name COLLATE \"C\"",
        )
        .bind(&names)
        .bind(FIRST_ENTITY_ID)
        .execute(&mut *self.transaction)
        .await?;
        sqlx::query(
            "WITH gone AS (
                 DELETE FROM data_entity WHERE physical_name <> ALL ($1::text[])
                 RETURNING record_id, has_been_generated, change_tracking_enabled,
                     tracking_decided
             )
             UPDATE entity_identity AS identity SET
                 last_visible = gone.has_been_generated,
                 last_tracked = CASE WHEN gone.tracking_decided
                     THEN gone.change_tracking_enabled END
             FROM gone WHERE identity.record_id = gone.record_id",
        )
        .bind(&names)
        .execute(&mut *self.transaction)
        .await?;
        sqlx::query(
            "INSERT INTO data_entity AS known (record_id, physical_name, has_been_generated,
                 change_tracking_enabled, tracking_decided)
             SELECT identity.record_id, given.name, coalesce(identity.last_visible, given.visible),
                 coalesce(identity.last_tracked, given.tracked), identity.last_tracked IS NOT NULL
             FROM unnest($1::text[], $2::boolean[], $3::boolean[]) AS given (name, visible, tracked)
             JOIN entity_identity AS identity ON identity.physical_name = given.name
             ON CONFLICT (physical_name) DO UPDATE
                 SET change_tracking_enabled = excluded.change_tracking_enabled
             WHERE NOT known.tracking_decided
                 AND known.change_tracking_enabled <> excluded.change_tracking_enabled",
        )
        .bind(&names)
        .bind(&visible)
        .bind(&tracked)
        .execute(&mut *self.transaction)
        .await?;
        self.number_options(model).await
    }

    /// Gives numbers to symbols that have none, in declaration order behind those that have.
    pub(crate) async fn number_options(&mut self, model: &Model) -> Result<(), sqlx::Error> {
        let members = model.enums.iter().flat_map(|it| {
            it.members.iter().map(|member| (it.name.clone(), member.symbol.clone()))
        });
        let (enums, symbols): (Vec<String>, Vec<String>) = members.unzip();
        sqlx::query(
            "INSERT INTO option_value (enum_name, symbol, value)
             SELECT given.enum_name, given.symbol,
                 coalesce(
                     (SELECT max(value) FROM option_value AS known
                      WHERE known.enum_name = given.enum_name),
                     $3::integer - 1
                 ) + row_number() OVER (PARTITION BY given.enum_name ORDER BY given.position)
             FROM unnest($1::text[], $2::text[]) WITH ORDINALITY
                 AS given (enum_name, symbol, position)
             WHERE (given.enum_name, given.symbol)
                 NOT IN (SELECT enum_name, symbol FROM option_value)",
        )
        .bind(&enums)
        .bind(&symbols)
        .bind(tables::FIRST_OPTION)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// Whether the row still has this version; locks it.
    pub(crate) async fn has_version(
        &mut self,
        physical_name: &str,
        version: &str,
    ) -> Result<bool, sqlx::Error> {
        let found: Option<String> = sqlx::query_scalar(
            "SELECT xmin::text FROM data_entity WHERE physical_name = $1 FOR UPDATE",
        )
        .bind(physical_name)
        .fetch_optional(&mut *self.transaction)
        .await?;
        Ok(found.as_deref() == Some(version))
    }

    pub(crate) async fn set_visible(
        &mut self,
        physical_name: &str,
        visible: bool,
    ) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE data_entity SET has_been_generated = $2 WHERE physical_name = $1")
            .bind(physical_name)
            .bind(visible)
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    /// Whether the entity is offered, as the change sees it.
    pub(crate) async fn is_visible(&mut self, physical_name: &str) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar("SELECT has_been_generated FROM data_entity WHERE physical_name = $1")
            .bind(physical_name)
            .fetch_one(&mut *self.transaction)
            .await
    }

    /// From now on the administrator's word, and no longer the model's.
    pub(crate) async fn set_tracked(
        &mut self,
        physical_name: &str,
        tracked: bool,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE data_entity SET change_tracking_enabled = $2, tracking_decided = true
             WHERE physical_name = $1",
        )
        .bind(physical_name)
        .bind(tracked)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// Tells other replicas, by the rows' time, that these entities were read again.
    pub(crate) async fn set_refreshed(&mut self, names: &[&str]) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE data_entity SET refreshed_at = now() WHERE physical_name = ANY ($1)")
            .bind(names)
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    /// Raises the revision beyond `known` and makes the change everybody's.
    pub(crate) async fn commit(mut self, known: i64) -> Result<State, sqlx::Error> {
        sqlx::query("UPDATE revision SET number = greatest(number, $1) + 1")
            .bind(known)
            .execute(&mut *self.transaction)
            .await?;
        sqlx::query("SELECT pg_notify($1, '')")
            .bind(CHANNEL)
            .execute(&mut *self.transaction)
            .await?;
        let state = read_state(&mut self.transaction).await?;
        self.transaction.commit().await?;
        Ok(state)
    }
}

// === impl State ===

impl State {
    /// Whether every symbol of the model has a number.
    pub(crate) fn has_numbered(&self, model: &Model) -> bool {
        let mut symbols =
            model.enums.iter().flat_map(|it| it.members.iter().map(move |m| (&it.name, &m.symbol)));
        symbols
            .all(|(name, symbol)| self.option_values.contains_key(&(name.clone(), symbol.clone())))
    }
}

async fn read_version(connection: &mut PgConnection) -> Result<Version, sqlx::Error> {
    let sql =
        "SELECT oid::bigint, number FROM revision, pg_database WHERE datname = current_database()";
    let (database, revision) = sqlx::query_as(sql).fetch_one(connection).await?;
    Ok(Version { database, revision })
}

async fn read_state(transaction: &mut Transaction<'_, Postgres>) -> Result<State, sqlx::Error> {
    let version = read_version(transaction).await?;
    let rows = sqlx::query(
        "SELECT entity.record_id, entity.physical_name, identity.entity_id,
             entity.has_been_generated, entity.change_tracking_enabled, entity.refreshed_at,
             entity.xmin::text AS version
         FROM data_entity AS entity JOIN entity_identity AS identity USING (record_id)",
    )
    .try_map(row)
    .fetch_all(&mut **transaction)
    .await?;
    let options: Vec<(String, String, i32)> =
        sqlx::query_as("SELECT enum_name, symbol, value FROM option_value")
            .fetch_all(&mut **transaction)
            .await?;
    let declared = relationships::read(transaction).await?;
    Ok(State {
        version,
        declared,
        rows: rows.into_iter().map(|it| (it.physical_name.clone(), it)).collect(),
        option_values: options.into_iter().map(|(name, symbol, it)| ((name, symbol), it)).collect(),
    })
}

fn row(row: PgRow) -> Result<Row, sqlx::Error> {
    Ok(Row {
        record_id: row.try_get("record_id")?,
        physical_name: row.try_get("physical_name")?,
        entity_id: row.try_get("entity_id")?,
        has_been_generated: row.try_get("has_been_generated")?,
        change_tracking_enabled: row.try_get("change_tracking_enabled")?,
        refreshed_at: row.try_get("refreshed_at")?,
        version: row.try_get("version")?,
    })
}
