//! Tombolo's own tables.

use cluster::Scratch;
use commit::{Error, Schema, idempotency, last_resource, participant};
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Row as _};

use crate::world::{World, run};

#[tokio::test]
async fn many_create_the_tables_at_once() {
    let scratch = Scratch::start().await.unwrap();
    scratch.database("erp").await.unwrap();
    let options = scratch.cluster().connect_options("erp");
    let create = || async {
        let mut connection = PgConnection::connect_with(&options).await.unwrap();
        Schema::new().ensure(&mut connection).await.unwrap();
    };
    let (a, b, c, d) = (create(), create(), create(), create());
    tokio::join!(a, b, c, d);
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    assert!(Schema::exists(&mut connection).await.unwrap());
}

#[tokio::test]
async fn who_may_not_create_is_told_what_to_do_and_may_be_helped() {
    let scratch = Scratch::start().await.unwrap();
    scratch.database("erp").await.unwrap();
    let options = scratch.cluster().connect_options("erp");
    let mut owner = PgConnection::connect_with(&options).await.unwrap();
    run(&mut owner, "CREATE ROLE reader LOGIN").await;
    let mut reader = PgConnection::connect_with(&options).await.unwrap();
    run(&mut reader, "SET ROLE reader").await;
    let schema = Schema::new();
    let denied = schema.ensure(&mut reader).await.unwrap_err();
    assert!(matches!(&denied, Error::NotGranted { user } if user == "reader"), "{denied}");
    // What the message says helps.
    run(&mut owner, "CREATE SCHEMA tombolo").await;
    let denied = schema.ensure(&mut reader).await.unwrap_err();
    assert!(matches!(&denied, Error::NotGranted { user } if user == "reader"), "{denied}");
    run(&mut owner, "GRANT USAGE, CREATE ON SCHEMA tombolo TO \"reader\"").await;
    schema.ensure(&mut reader).await.unwrap();
    let id = commit::TransactionId::new();
    last_resource::resolve(&mut reader, id).await.unwrap();
}

#[tokio::test]
async fn old_records_are_forgotten_and_new_ones_are_not() {
    let world = World::new().await;
    let mut erp = world.erp().await;
    run(
        &mut erp,
        "INSERT INTO tombolo.decision VALUES
            (gen_random_uuid(), 'commit', now() - interval '8 days'),
            (gen_random_uuid(), 'abort', now() - interval '6 days');
         INSERT INTO tombolo.settled TABLE tombolo.decision;
         INSERT INTO tombolo.idempotency VALUES
            ('ann', 'old', '', '', now() - interval '3 days'),
            ('ann', 'new', '', '', now() - interval '1 day')",
    )
    .await;
    assert_eq!(last_resource::forget(&mut erp).await.unwrap(), 1);
    assert_eq!(participant::forget(&mut erp).await.unwrap(), 1);
    assert_eq!(idempotency::forget(&mut erp).await.unwrap(), 1);
    let left = "SELECT (SELECT decision FROM tombolo.decision),
                       (SELECT decision FROM tombolo.settled), (SELECT key FROM tombolo.idempotency)";
    let left = sqlx::query(left).fetch_one(&mut erp).await.unwrap();
    let left: Vec<String> = (0..3).map(|it| left.get(it)).collect();
    assert_eq!(left, ["abort", "abort", "new"]);
}
