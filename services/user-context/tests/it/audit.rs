//! What is written down of who wanted to act as whom.

use std::io::Write;
use std::sync::{Arc, Mutex};

use proto::user_context::v1 as pb;
use proto::user_context::v1::resolve_caller_request::ActsAs;
use tracing_subscriber::fmt::MakeWriter;

use crate::directory::{put, user};
use crate::support::{Environment, resolve};

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
    /// The last entry of the audit.
    fn last(&self) -> String {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().rfind(|it| it.contains(" audit: ")).unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_refusal_says_who_wanted_to_act_as_whom() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    let _log = tracing::subscriber::set_default(subscriber);
    let environment = Environment::start(vec![], 5).await;
    let directory = environment.context.directory();
    let id = |name: &str| directory.user(name).unwrap().system_user_id.to_string();
    let (clerk, admin) = (id("usmf-clerk"), id("admin"));
    let token = environment.mint("usmf-clerk");
    let check = |record: &str, reason: &str| {
        let entry = log.last();
        for part in [
            &format!("user={clerk}"),
            &format!("record=\"{record}\""),
            &format!("reason=\"{reason}\""),
            "decision=denied",
        ] {
            assert!(entry.contains(part), "{part} in {entry}");
        }
        assert!(!entry.contains(&token) && !entry.contains("usmf-clerk"), "{entry}");
    };
    let acts_as = ActsAs::ImpersonatedSystemUserId(admin.clone());
    resolve(&environment.context, &token, Some(acts_as)).await.unwrap_err();
    check(&admin, "PRIVILEGE_DENIED");
    let disabled = pb::User { disabled: true, ..user("usmf-clerk", &[]) };
    put(&environment, "admin", disabled, &["disabled"]).await.unwrap();
    resolve(&environment.context, &token, None).await.unwrap_err();
    check("", "NO_ERP_USER");
}
