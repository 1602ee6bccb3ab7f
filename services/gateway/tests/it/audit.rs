//! What is written down of refusals, and what is not.

use std::io::Write;
use std::sync::{Arc, Mutex};

use gateway::{Config, Limits};
use tracing_subscriber::fmt::MakeWriter;

use crate::fakes::{Provider, USER, World};
use crate::fixture::CUSTOMERS;

/// A log that can be read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Log {
    /// Entries of the audit since it was last asked.
    fn take(&self) -> Vec<String> {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        text.lines().filter(|it| it.contains(" audit: ")).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn refusals_are_written_down_without_secrets() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    let _log = tracing::subscriber::set_default(subscriber);
    let configure = |config: &mut Config| {
        config.limits = Some(Limits { requests: 1, ..Limits::default() });
    };
    let world = World::between(Provider::empty(), Provider::companies(), configure).await;
    let send = async |token: &str, headers: &[(&str, &str)]| {
        let mut request = axum::http::Request::builder()
            .uri(format!("/api/data/v9.2/{CUSTOMERS}"))
            .header("authorization", format!("Bearer {token}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        world.raw(request.body(axum::body::Body::empty()).unwrap()).await.status
    };
    let check = |status: u16, expected: u16, parts: &[&str]| {
        assert_eq!(status, expected);
        let entries = log.take();
        let [entry] = entries.as_slice() else { panic!("{entries:?}") };
        parts.iter().for_each(|it| assert!(entry.contains(it), "{it}: {entry}"));
        assert!(!entry.contains("s3cret"), "{entry}");
    };
    let user = uuid::Uuid::from_u128(USER).to_string();
    let contact = "00000000-0000-0000-0000-000000000001";
    let denied = "decision=denied";
    let status = send("s3cret", &[]).await;
    check(status, 401, &["\"authenticate\"", denied, "UNAUTHENTICATED"]);
    let status = send("unknown", &[]).await;
    check(status, 403, &["\"authenticate\"", denied, "NO_ERP_USER"]);
    let status = send("good", &[("CallerContactId", "anonymous")]).await;
    check(status, 403, &["portal contact", denied, "PORTAL_USER_REFUSED"]);
    let status = send("good", &[("CallerContactId", contact)]).await;
    check(status, 200, &["portal contact", "decision=allowed", &user, contact]);
    // The contact has had its one request, and the portal's application none.
    assert_eq!(send("good", &[("CallerContactId", contact)]).await, 429);
    let entries = log.take();
    assert!(entries.iter().any(|it| it.contains("LIMIT_EXCEEDED") && it.contains(contact)));
    assert_eq!(send("good", &[]).await, 200);
    let status = send("good", &[]).await;
    check(status, 429, &[denied, "LIMIT_EXCEEDED", &user]);
}
