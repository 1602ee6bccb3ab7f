//! What happens when nothing goes wrong.

use anyhow::Result;
use cluster::{Cluster, Options, Scratch};
use rustix::process::{Pid, getpgid};
use sqlx::{Connection as _, PgConnection};
use std::time::{Duration, Instant};

async fn show(url: &str, setting: &str) -> Result<String> {
    let mut connection = PgConnection::connect(url).await?;
    let value = sqlx::query_scalar("SELECT current_setting($1)")
        .bind(setting)
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    Ok(value)
}

#[tokio::test]
async fn data_outlives_a_stop_and_the_second_start_is_quick() -> Result<()> {
    let root = super::misfortune::open_root()?;
    let options = Options::new(root.path().join("deep/inside/cluster"));
    let first = Cluster::start(&options).await?;
    assert!(first.ensure_database("erp").await?);
    assert!(!first.ensure_database("erp").await?);
    let mut connection = PgConnection::connect(&first.url("erp")).await?;
    sqlx::raw_sql("CREATE TABLE t (n int); INSERT INTO t VALUES (42)")
        .execute(&mut connection)
        .await?;
    first.stop().await?;

    let begin = Instant::now();
    let second = Cluster::start(&options).await?;
    let took = begin.elapsed();
    let mut connection = PgConnection::connect(&second.url("erp")).await?;
    let n: i32 = sqlx::query_scalar("SELECT n FROM t").fetch_one(&mut connection).await?;
    assert_eq!(n, 42);
    // Well under a second on an idle machine; the bound allows for a busy one.
    assert!(took < Duration::from_secs(3), "{took:?}");
    second.stop().await?;
    Ok(())
}

#[tokio::test]
async fn every_cluster_has_what_the_services_need() -> Result<()> {
    let scratch = Scratch::start_with(&[("work_mem", "7MB")]).await?;
    let url = scratch.cluster().url("postgres");
    for (setting, value) in [
        ("max_prepared_transactions", "64"),
        ("wal_level", "logical"),
        ("server_encoding", "UTF8"),
        ("TimeZone", "UTC"),
        ("listen_addresses", "127.0.0.1"),
        ("fsync", "off"),
        ("work_mem", "7MB"),
    ] {
        assert_eq!(show(&url, setting).await?, value, "{setting}");
    }
    let mut connection = PgConnection::connect(&url).await?;
    let (order, lower): (bool, String) =
        sqlx::query_as("SELECT 'Z' < 'a' AND 'z' < 'ä', lower('ÄÖ')")
            .fetch_one(&mut connection)
            .await?;
    assert!(order, "text sorts by code point");
    assert_eq!(lower, "äö");
    Ok(())
}

#[tokio::test]
async fn both_doors_open_with_the_password_and_only_with_it() -> Result<()> {
    let scratch = Scratch::start().await?;
    let cluster = scratch.cluster();
    for url in [cluster.url("postgres"), cluster.tcp_url("postgres")] {
        PgConnection::connect(&url).await?.close().await?;
        let (before, after) = url.split_once('@').unwrap_or_default();
        let (user, _) = before.rsplit_once(':').unwrap_or_default();
        let error = PgConnection::connect(&format!("{user}:wrong@{after}")).await.unwrap_err();
        let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default();
        assert_eq!(code, "28P01", "{error}");
    }
    let text = format!("{cluster:?}");
    let password = std::fs::read_to_string(cluster.home().join("password"))?;
    assert!(!text.contains(password.trim()));
    Ok(())
}

#[tokio::test]
async fn database_names_are_quoted_and_checked() -> Result<()> {
    let scratch = Scratch::start().await?;
    let odd = r#"a "b"; DROP DATABASE postgres; -- %/?é"#;
    let url = scratch.database(odd).await?;
    let mut connection = PgConnection::connect(&url).await?;
    let name: String =
        sqlx::query_scalar("SELECT current_database()::text").fetch_one(&mut connection).await?;
    assert_eq!(name, odd);
    for bad in ["", "nul\0", &"x".repeat(64)] {
        assert!(scratch.database(bad).await.is_err(), "{bad:?}");
    }
    Ok(())
}

#[tokio::test]
async fn many_may_ensure_the_same_database_at_once() -> Result<()> {
    let scratch = Scratch::start().await?;
    let cluster = scratch.cluster();
    let (a, b, c) = tokio::join!(
        cluster.ensure_database("same"),
        cluster.ensure_database("same"),
        cluster.ensure_database("same")
    );
    assert_eq!([a?, b?, c?].into_iter().filter(|created| *created).count(), 1);
    Ok(())
}

/// So Ctrl-C in a terminal reaches this process only, which then stops the server in good order.
#[tokio::test]
async fn the_server_has_a_process_group_of_its_own() -> Result<()> {
    let scratch = Scratch::start().await?;
    let server = Pid::from_raw(i32::try_from(scratch.cluster().pid())?);
    assert_eq!(Some(getpgid(server)?), server);
    assert_ne!(getpgid(None)?, getpgid(server)?);
    Ok(())
}

#[tokio::test]
async fn a_dropped_scratch_leaves_no_process_and_no_file() -> Result<()> {
    let scratch = Scratch::start().await?;
    let home = scratch.cluster().home().to_owned();
    let process = std::path::PathBuf::from(format!("/proc/{}", scratch.cluster().pid()));
    assert!(process.exists() && home.exists());
    drop(scratch);
    assert!(!process.exists() && !home.exists());
    Ok(())
}
