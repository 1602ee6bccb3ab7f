//! Writes that are repeated.

use commit::Error;
use commit::idempotency::{Known, Request, begin, finish};

use crate::world::{World, run};

fn request(caller: &str, key: &str, digest: u8) -> Request {
    Request { caller: caller.into(), key: key.into(), digest: vec![digest] }
}

#[tokio::test]
async fn a_repeated_request_has_the_first_answer_and_another_one_is_refused() {
    let world = World::new().await;
    let mut erp = world.working("erp").await;
    let first = request("ann", "k", 1);
    assert_eq!(begin(&mut erp, &first).await.unwrap(), Known::Fresh);
    finish(&mut erp, &first, b"done").await.unwrap();
    run(&mut erp, "COMMIT").await;
    assert_eq!(begin(&mut erp, &first).await.unwrap(), Known::Answered(b"done".to_vec()));
    assert_eq!(begin(&mut erp, &request("ann", "k", 2)).await.unwrap(), Known::Reused);
    // Somebody else's key is another key.
    assert_eq!(begin(&mut erp, &request("bob", "k", 1)).await.unwrap(), Known::Fresh);
}

#[tokio::test]
async fn what_was_rolled_back_was_never_asked() {
    let world = World::new().await;
    let mut erp = world.working("erp").await;
    let first = request("ann", "k", 1);
    assert_eq!(begin(&mut erp, &first).await.unwrap(), Known::Fresh);
    run(&mut erp, "ROLLBACK; BEGIN").await;
    assert_eq!(begin(&mut erp, &request("ann", "k", 2)).await.unwrap(), Known::Fresh);
}

#[tokio::test]
async fn a_repetition_waits_for_the_first_within_its_patience() {
    let world = World::new().await;
    let (mut one, mut other) = (world.working("erp").await, world.working("erp").await);
    let first = request("ann", "k", 1);
    assert_eq!(begin(&mut one, &first).await.unwrap(), Known::Fresh);
    assert!(matches!(begin(&mut other, &first).await, Err(Error::Busy(_))));
    run(&mut other, "ROLLBACK; BEGIN; SET LOCAL lock_timeout = '10s'").await;
    let both = async {
        finish(&mut one, &first, b"done").await.unwrap();
        run(&mut one, "COMMIT").await;
    };
    let (known, ()) = tokio::join!(begin(&mut other, &first), both);
    assert_eq!(known.unwrap(), Known::Answered(b"done".to_vec()));
}
