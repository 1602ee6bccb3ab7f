use std::os::unix::fs::PermissionsExt as _;

use cluster::Scratch;
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use tempfile::TempDir;

use super::dump::Target;
use super::*;

struct World {
    scratch: Scratch,
    directory: TempDir,
    databases: Databases,
}

impl World {
    async fn new() -> Self {
        let scratch = Scratch::start_with(&[("max_prepared_transactions", "5")]).await.unwrap();
        let url = scratch.cluster().url("postgres");
        let directory = tempfile::tempdir().unwrap();
        let databases = Databases {
            platform: Server::new(&url).unwrap(),
            erp: Server::new(&url).unwrap(),
            programs: Programs::new(None),
            erp_template: Some("blank".to_owned()),
            backup_dir: directory.path().join("backups"),
            control_plane: "tenant".to_owned(),
        };
        Self { scratch, directory, databases }
    }

    fn server(&self) -> &Server {
        &self.databases.platform
    }

    async fn connect(&self, database: &str) -> PgConnection {
        PgConnection::connect_with(&self.server().options(database)).await.unwrap()
    }

    async fn run(&self, database: &str, sql: &'static str) {
        let mut connection = self.connect(database).await;
        connection.execute(sqlx::raw_sql(sql)).await.unwrap();
    }

    async fn text(&self, database: &str, sql: &'static str) -> String {
        let mut connection = self.connect(database).await;
        sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
    }

    async fn names(&self) -> Vec<String> {
        let sql = "SELECT datname::text FROM pg_database WHERE datname ~ '^(env|new|old|fno)_' ORDER BY 1";
        sqlx::query_scalar(sql).fetch_all(&self.server().pool).await.unwrap()
    }

    async fn has_role(&self, name: &str) -> bool {
        let sql = "SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1)";
        sqlx::query_scalar(sql).bind(name).fetch_one(&self.server().pool).await.unwrap()
    }
}

const ID: Uuid = Uuid::from_u128(7);

#[tokio::test]
async fn a_platform_database_is_made_once_is_used_as_its_owner_and_is_closed_to_others() {
    let world = World::new().await;
    let name = world.databases.ensure_platform(ID).await.unwrap();
    assert_eq!(world.databases.ensure_platform(ID).await.unwrap(), name);
    let mut owner = PgConnection::connect_with(
        &world.server().options(&name).options([("role", name.as_str())]),
    )
    .await
    .unwrap();
    owner.execute("CREATE SCHEMA organization").await.unwrap();
    let row = owner.fetch_one("SELECT nspowner::regrole::text, current_user::text FROM pg_namespace WHERE nspname = 'organization'").await.unwrap();
    assert_eq!((row.get::<&str, _>(0), row.get::<&str, _>(1)), (name.as_str(), name.as_str()));

    world.run("postgres", "CREATE ROLE stranger LOGIN").await;
    let sql = "SELECT has_database_privilege('stranger', $1, 'CONNECT')";
    let may: bool =
        sqlx::query_scalar(sql).bind(&name).fetch_one(&world.server().pool).await.unwrap();
    assert!(!may, "others may connect");
    let sql = "SELECT rolcanlogin FROM pg_roles WHERE rolname = $1";
    let may: bool =
        sqlx::query_scalar(sql).bind(&name).fetch_one(&world.server().pool).await.unwrap();
    assert!(!may, "the owner can log in");
}

#[tokio::test]
async fn an_administrator_who_is_no_superuser_can_do_all_of_it() {
    let world = World::new().await;
    world
        .run(
            "postgres",
            "CREATE ROLE administrator LOGIN CREATEDB CREATEROLE PASSWORD 'it''s % @ secret'",
        )
        .await;
    let mut databases = world.databases.clone();
    let url = world.scratch.cluster().tcp_url("postgres");
    let (_, host) = url.split_once('@').unwrap();
    let url = format!("postgres://administrator:it%27s%20%25%20%40%20secret@{host}");
    databases.platform = Server::new(&url).unwrap();
    let name = databases.ensure_platform(ID).await.unwrap();
    let dump = Dump::new(&databases.backup_dir, "one.dump");
    dump.write(&databases.programs, &databases.platform, &name).await.unwrap();
    let target = Target { database: &beside(ID), owner: &name };
    dump.restore(&databases.programs, &databases.platform, target, Content::Full).await.unwrap();
    databases.platform.swap(&name, &beside(ID), &replaced(ID)).await.unwrap();
    assert_eq!(world.names().await, [name.clone(), replaced(ID)]);
    databases.drop_platform(ID).await.unwrap();
    assert!(world.names().await.is_empty());
}

#[tokio::test]
async fn a_database_in_use_is_dropped_with_its_role_and_what_an_operation_left_beside() {
    let world = World::new().await;
    let name = world.databases.ensure_platform(ID).await.unwrap();
    world.server().ensure_empty(&beside(ID), &name).await.unwrap();
    let mut user = world.connect(&name).await;
    user.execute("CREATE TABLE t (i integer)").await.unwrap();
    world.run(&name, "BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'it''s'").await;
    world.databases.drop_platform(ID).await.unwrap();
    assert!(user.execute("SELECT 1").await.is_err(), "the session went on");
    assert!(world.names().await.is_empty());
    assert!(!world.has_role(&name).await);
    world.databases.drop_platform(ID).await.unwrap();
}

#[tokio::test]
async fn an_erp_database_is_a_copy_of_the_template_as_soon_as_that_is_there_and_free() {
    let world = World::new().await;
    let early = world.databases.ensure_erp("fno_a").await;
    assert!(matches!(early, Err(DatabaseError::Later(_))), "{early:?}");
    world.scratch.database("blank").await.unwrap();
    world.run("blank", "CREATE TABLE custtable AS SELECT 'US-001' AS accountnum").await;
    let used = world.connect("blank").await;
    let busy = world.databases.ensure_erp("fno_a").await;
    assert!(matches!(busy, Err(DatabaseError::Later(_))), "{busy:?}");
    used.close().await.unwrap();
    world.databases.ensure_erp("fno_a").await.unwrap();
    world.databases.ensure_erp("fno_a").await.unwrap();
    assert_eq!(world.text("fno_a", "SELECT accountnum FROM custtable").await, "US-001");
}

#[tokio::test]
async fn a_dump_is_restored_beside_and_swapped_in_while_the_database_is_used() {
    let world = World::new().await;
    let name = world.databases.ensure_platform(ID).await.unwrap();
    world.run(&name, "CREATE TABLE t AS SELECT 'before' AS word").await;
    let dump = Dump::new(&world.databases.backup_dir, "one.dump");
    let programs = &world.databases.programs;
    dump.write(programs, world.server(), &name).await.unwrap();
    world.run(&name, "UPDATE t SET word = 'after'").await;
    dump.write(programs, world.server(), &name).await.unwrap();

    let (new, old) = (beside(ID), replaced(ID));
    let target = Target { database: &new, owner: &name };
    for _ in 0..2 {
        dump.restore(programs, world.server(), target, Content::Full).await.unwrap();
    }
    assert_eq!(world.text(&name, "SELECT word FROM t").await, "after");
    let mut user = world.connect(&name).await;
    for _ in 0..2 {
        world.server().swap(&name, &new, &old).await.unwrap();
        assert_eq!(world.text(&name, "SELECT word FROM t").await, "before");
    }
    assert!(user.execute("SELECT 1").await.is_err(), "a session stayed on the old one");
    let owner = "SELECT tableowner::text FROM pg_tables WHERE tablename = 't'";
    assert_eq!(world.text(&name, owner).await, name);

    for _ in 0..2 {
        world.server().swap_back(&name, &new, &old).await.unwrap();
        assert_eq!(world.text(&name, "SELECT word FROM t").await, "after");
    }
    world.server().drop_database(&new).await.unwrap();
    assert_eq!(world.names().await, [name]);
}

#[tokio::test]
async fn a_dump_is_for_nobody_elses_eyes() {
    let world = World::new().await;
    let name = world.databases.ensure_platform(ID).await.unwrap();
    let dump = Dump::new(&world.databases.backup_dir, "one.dump");
    dump.write(&world.databases.programs, world.server(), &name).await.unwrap();
    for path in [world.databases.backup_dir.clone(), world.databases.backup_dir.join("one.dump")] {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
    }
}

#[tokio::test]
async fn a_database_that_is_half_dropped_is_dropped() {
    let world = World::new().await;
    let name = world.databases.ensure_platform(ID).await.unwrap();
    // As PostgreSQL marks one before it removes its files.
    world.run("postgres", "UPDATE pg_database SET datconnlimit = -2 WHERE datname ~ '^env_'").await;
    world.databases.drop_platform(ID).await.unwrap();
    assert!(world.names().await.is_empty());
    assert!(!world.has_role(&name).await);
}

#[tokio::test]
async fn what_a_dead_process_was_writing_is_removed_after_a_day() {
    let world = World::new().await;
    let directory = &world.databases.backup_dir;
    remove_unfinished(directory).await.unwrap();
    super::dump::make_directory(directory).unwrap();
    let write = |name: &str, days: u64| {
        let file = std::fs::File::create(directory.join(name)).unwrap();
        let time =
            std::time::SystemTime::now() - std::time::Duration::from_secs(days * 86_400 + 60);
        file.set_modified(time).unwrap();
    };
    for (name, days) in [
        ("one.0a.part", 1),
        ("one.new_0a.list", 2),
        ("two.0b.part", 0),
        ("three.backup", 30),
        ("four.copy", 30),
    ] {
        write(name, days);
    }
    remove_unfinished(directory).await.unwrap();
    let left = std::fs::read_dir(directory).unwrap();
    let mut left: Vec<_> = left.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, ["four.copy", "three.backup", "two.0b.part"]);
}

#[tokio::test]
async fn an_operator_is_told_at_once_what_operations_will_lack() {
    let world = World::new().await;
    world.run("postgres", "CREATE DATABASE blank").await;
    assert_eq!(world.databases.what_is_missing().await, Vec::<String>::new());
    let file = world.directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let nowhere = Server::new("postgres://nobody@127.0.0.1:1/none").unwrap();
    let missing = Databases {
        platform: nowhere,
        erp_template: Some("nope".to_owned()),
        backup_dir: file.join("backups"),
        programs: Programs::new(Some(world.directory.path().to_owned())),
        ..world.databases.clone()
    };
    let texts = missing.what_is_missing().await;
    for part in ["platform_server_url", "`nope`", "pg_dump", "backup_dir"] {
        assert_eq!(texts.iter().filter(|it| it.contains(part)).count(), 1, "{part}: {texts:#?}");
    }
    assert_eq!(texts.len(), 4, "{texts:#?}");
    assert!(missing.programs.check().unwrap_err().to_string().contains("pg_bin"));
    Programs::new(None).check().unwrap();
}

#[tokio::test]
async fn an_error_says_what_people_can_use() {
    let world = World::new().await;
    let mut connection = world.connect("postgres").await;
    let said = async |connection: &mut PgConnection, sql: &'static str| {
        DatabaseError::from(connection.execute(sql).await.unwrap_err()).to_string()
    };
    assert_eq!(
        said(&mut connection, "CREATE DATABASE x TEMPLATE nope").await,
        "template database \"nope\" does not exist"
    );
}

#[tokio::test]
async fn only_databases_for_data_are_an_erps() {
    let world = World::new().await;
    for reserved in ["tenant", "blank", "postgres", "fno_contoso"] {
        assert!(world.databases.is_reserved(reserved), "{reserved}");
    }
    assert!(!world.databases.is_reserved("axdb"));
    world.run("postgres", "CREATE DATABASE axdb").await;
    for (name, accepts) in
        [("axdb", true), ("template0", false), ("template1", false), ("no", false)]
    {
        assert_eq!(world.server().accepts_data(name).await.unwrap(), accepts, "{name}");
    }
}

#[tokio::test]
async fn a_swap_that_is_refused_leaves_the_database_open() {
    let world = World::new().await;
    let name = world.databases.ensure_platform(ID).await.unwrap();
    let (new, old) = (beside(ID), replaced(ID));
    for in_the_way in [&new, &old] {
        world.server().ensure_empty(in_the_way, &name).await.unwrap();
    }
    world.server().swap(&name, &new, &old).await.unwrap_err();
    world.connect(&name).await;
    assert_eq!(world.names().await, [name.clone(), new.clone(), old.clone()]);
    world.server().drop_database(&old).await.unwrap();
    world.server().swap(&name, &new, &old).await.unwrap();
    assert_eq!(world.names().await, [name, old]);
}

#[tokio::test]
async fn a_swap_that_was_interrupted_is_completed_and_the_name_is_never_missing() {
    let world = World::new().await;
    let name = world.databases.ensure_platform(ID).await.unwrap();
    let (new, old) = (beside(ID), replaced(ID));
    world.server().ensure_empty(&new, &name).await.unwrap();
    // As far as it may have come before the transaction.
    world.server().end_use(&name).await.unwrap();
    world.server().end_use(&new).await.unwrap();
    assert_eq!(world.names().await, [name.clone(), new.clone()]);
    world.server().swap(&name, &new, &old).await.unwrap();
    assert_eq!(world.names().await, [name.clone(), old.clone()]);
    world.connect(&name).await;
    // Once more, as after a crash.
    world.server().swap(&name, &new, &old).await.unwrap();
    world.connect(&name).await;
    world.server().end_use(&name).await.unwrap();
    world.server().swap_back(&name, &new, &old).await.unwrap();
    world.connect(&name).await;
    world.server().swap(&name, &new, &old).await.unwrap();
    world.server().drop_database(&old).await.unwrap();
    let none = world.server().swap(&name, &new, &old).await;
    assert!(matches!(none, Err(DatabaseError::Refused(_))), "{none:?}");
}

#[tokio::test]
async fn customizations_come_with_their_rows_and_data_without() {
    let world = World::new().await;
    let name = world.databases.ensure_platform(ID).await.unwrap();
    world
        .run(
            &name,
            "CREATE SCHEMA organization; CREATE SCHEMA catalog;
             CREATE TABLE organization.account (id integer PRIMARY KEY);
             CREATE TABLE organization.solution (id integer PRIMARY KEY);
             CREATE TABLE catalog.data_entity (id integer PRIMARY KEY);
             CREATE TABLE organization._sqlx_migrations (id integer PRIMARY KEY);
             INSERT INTO organization.account VALUES (1); INSERT INTO organization.solution VALUES (1);
             INSERT INTO catalog.data_entity VALUES (1);
             INSERT INTO organization._sqlx_migrations VALUES (1);",
        )
        .await;
    let dump = Dump::new(&world.databases.backup_dir, "one.dump");
    let programs = &world.databases.programs;
    dump.write(programs, world.server(), &name).await.unwrap();
    let target = Target { database: &beside(ID), owner: &name };
    dump.restore(programs, world.server(), target, Content::Customizations).await.unwrap();
    let counts = "SELECT concat_ws(' ', (SELECT count(*) FROM organization.account),
        (SELECT count(*) FROM organization.solution), (SELECT count(*) FROM catalog.data_entity),
        (SELECT count(*) FROM organization._sqlx_migrations),
        (SELECT count(*) FROM pg_constraint WHERE conname = 'account_pkey'))";
    assert_eq!(world.text(&beside(ID), counts).await, "0 1 1 1 1");
    let files = std::fs::read_dir(&world.databases.backup_dir).unwrap().count();
    assert_eq!(files, 1, "only the dump is left");
}

#[tokio::test]
async fn a_dump_that_fails_leaves_no_file_and_says_what_is_missing() {
    let world = World::new().await;
    let dump = Dump::new(&world.databases.backup_dir, "one.dump");
    let failed = dump.write(&world.databases.programs, world.server(), "env_missing").await;
    assert!(matches!(failed, Err(DatabaseError::Later(_))), "{failed:?}");
    assert!(!dump.exists());
    assert_eq!(std::fs::read_dir(&world.databases.backup_dir).unwrap().count(), 0);
    let nowhere = Programs::new(Some(world.directory.path().to_owned()));
    let failed = dump.write(&nowhere, world.server(), "postgres").await.unwrap_err();
    assert!(failed.to_string().contains("postgresql-client"), "{failed}");
}

#[tokio::test]
async fn sizes_are_postgres_own_and_a_partitioned_table_is_one() {
    let world = World::new().await;
    let name = world.databases.ensure_platform(ID).await.unwrap();
    world
        .run(
            &name,
            "CREATE TABLE wide (id integer PRIMARY KEY, text text);
             INSERT INTO wide SELECT i, (SELECT string_agg(md5((i * j)::text), '') FROM generate_series(1, 300) j)
             FROM generate_series(1, 50) i;
             CREATE TABLE parted (id integer) PARTITION BY RANGE (id);
             CREATE TABLE part_a PARTITION OF parted FOR VALUES FROM (0) TO (100);
             CREATE TABLE part_b PARTITION OF parted FOR VALUES FROM (100) TO (200);
             INSERT INTO parted SELECT generate_series(0, 199);
             CREATE MATERIALIZED VIEW seen AS SELECT * FROM wide;
             CREATE TABLE never_analyzed (id integer); ANALYZE wide; ANALYZE part_a; ANALYZE part_b;",
        )
        .await;
    let measured = world.server().measure(&name).await.unwrap();
    assert_eq!(measured.database_size_bytes, world.server().size(&name).await.unwrap());
    let tables: Vec<&str> = measured.tables.iter().map(|it| it.table.as_str()).collect();
    assert_eq!(tables, ["never_analyzed", "parted", "seen", "wide"]);
    let truth = "SELECT (sum(pg_total_relation_size(oid)))::text FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'm')";
    let sum: i64 = measured.tables.iter().map(|it| it.size_bytes).sum();
    assert_eq!(sum.to_string(), world.text(&name, truth).await);
    assert!(sum < measured.database_size_bytes);
    let rows: Vec<i64> = measured.tables.iter().map(|it| it.row_count).collect();
    assert_eq!(rows, [0, 200, 0, 50]);
}

/// PostgreSQL goes on with a statement whose sender is gone.
#[tokio::test]
async fn what_a_dead_process_is_still_making_is_dropped_too() {
    let world = World::new().await;
    let name = platform(ID);
    let mut dead = world.connect("postgres").await;
    let lock = "SELECT pg_advisory_lock(hashtextextended('lifecycle.database.' || $1, 0))";
    sqlx::query(lock).bind(&name).execute(&mut dead).await.unwrap();
    let databases = world.databases.clone();
    let dropping = tokio::spawn(async move { databases.drop_platform(ID).await });
    let waits =
        "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)";
    while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&mut dead).await.unwrap() {
        assert!(!dropping.is_finished(), "it did not wait");
        tokio::task::yield_now().await;
    }
    for statement in [format!("CREATE ROLE {name}"), format!("CREATE DATABASE {name} OWNER {name}")]
    {
        dead.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(statement))).await.unwrap();
    }
    dead.close().await.unwrap();
    dropping.await.unwrap().unwrap();
    assert_eq!(world.names().await, Vec::<String>::new());
    assert!(!world.has_role(&name).await);
}
