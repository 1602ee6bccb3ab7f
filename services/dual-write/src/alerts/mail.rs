//! Telling people by mail. A mail lies about for years where nobody looks after it: it says that something
//! failed and where to look, and repeats no text of the other side, which may hold values.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use proto::dual_write::v1::{AlertAction, SyncError, SyncErrorKind};

use super::deliver::Undelivered;
use super::store::Alert;
use crate::config::Mail;

const TIMEOUT: Duration = Duration::from_secs(20);

/// Sends what the alert says to one recipient.
pub(super) async fn send(
    mail: Option<&Mail>,
    recipient: &str,
    alert: &Alert,
    error: &SyncError,
) -> Result<(), Undelivered> {
    let Some(mail) = mail else {
        return Err(Undelivered::Lasting("no mail server is configured".to_owned()));
    };
    let message = message(&mail.from, recipient, alert, error)
        .map_err(|error| Undelivered::Lasting(format!("it cannot be written: {error}")))?;
    let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(&mail.smtp_url)
        .map_err(|_| Undelivered::Lasting("`mail.smtp_url` cannot be used".to_owned()))?
        .timeout(Some(TIMEOUT))
        .build();
    let sent = transport.send(message).await;
    sent.map(drop).map_err(|error| {
        tracing::debug!(%error, "an alert's mail was not taken");
        // The server's answer, which is about the recipient; else nothing of the network.
        let code = error.status().map(|it| format!("the mail server answered {it}"));
        match code {
            Some(told) if error.is_permanent() => Undelivered::Lasting(told),
            Some(told) => Undelivered::Passing(told),
            None => Undelivered::Passing("the mail server cannot be reached".to_owned()),
        }
    })
}

fn message(
    from: &str,
    recipient: &str,
    alert: &Alert,
    error: &SyncError,
) -> Result<Message, Box<dyn std::error::Error + Send + Sync>> {
    let message = Message::builder()
        .from(from.parse::<Mailbox>()?)
        .to(recipient.parse::<Mailbox>()?)
        // The same with each attempt, so that who gets it twice can tell.
        .message_id(Some(format!("<dual-write-alert-{}@tombolo>", alert.number)))
        .subject(subject(alert))
        .header(ContentType::TEXT_PLAIN)
        .body(body(alert, error))?;
    Ok(message)
}

fn subject(alert: &Alert) -> String {
    let done = match action(alert) {
        AlertAction::Pause => "was paused",
        AlertAction::Stop => "was stopped",
        AlertAction::None | AlertAction::Unspecified => "fails",
    };
    format!("Dual-write: {} {done}", alert.map)
}

fn body(alert: &Alert, error: &SyncError) -> String {
    let kind = SyncErrorKind::try_from(error.kind).unwrap_or_default();
    let kind = kind.as_str_name().trim_start_matches("SYNC_ERROR_KIND_");
    let done = match action(alert) {
        AlertAction::Pause => {
            "The map was paused: users go on working, and their changes wait in the queue."
        }
        AlertAction::Stop => {
            "The map was stopped: changes no longer reach the other side until it is started again."
        }
        AlertAction::None | AlertAction::Unspecified => "Nothing was done to the map.",
    };
    let optional = |name: &str, value: &str| match value.is_empty() {
        true => String::new(),
        false => format!("{name}: {value}\n"),
    };
    format!(
        "alertRules/{} fired at {}.\n\nMap: {}\nFailures: {}\nLast failure: {kind}\n{}{}\n{done}\n\n\
         The errors of the map say what was refused and why.\n",
        alert.rule,
        alert.fire_time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        alert.map,
        alert.error_count,
        optional("Code", &error.code),
        optional("Correlation id", &error.correlation_id),
    )
}

fn action(alert: &Alert) -> AlertAction {
    alert.action.and_then(|it| it.try_into().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert() -> Alert {
        Alert {
            number: 5,
            rule: "too-many".to_owned(),
            map: "maps/customers-v3-accounts".to_owned(),
            error_count: 10,
            last_error: Vec::new(),
            wanted_action: AlertAction::Pause.into(),
            action: Some(AlertAction::Pause.into()),
            fire_time: chrono::DateTime::UNIX_EPOCH,
            auto_resume_time: None,
            delivery_failures: Vec::new(),
        }
    }

    #[test]
    fn a_mail_says_where_to_look_and_no_value_of_any_row() {
        let error = SyncError {
            kind: SyncErrorKind::Application.into(),
            code: "0x80040265".to_owned(),
            message: "The credit limit 4711 of Contoso is too high".to_owned(),
            probe_url: "https://contoso.test/api?$filter=name eq 'Contoso'".to_owned(),
            correlation_id: "c0ffee".to_owned(),
            ..Default::default()
        };
        let mail =
            message("Tombolo <dw@contoso.test>", "ops@contoso.test", &alert(), &error).unwrap();
        let text = String::from_utf8(mail.formatted()).unwrap();
        for part in [
            "Subject: Dual-write: maps/customers-v3-accounts was paused",
            "alertRules/too-many fired at 1970-01-01T00:00:00Z",
            "Failures: 10",
            "Last failure: APPLICATION",
            "Code: 0x80040265",
            "Correlation id: c0ffee",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("4711") && !text.contains("Contoso"), "{text}");
    }

    #[test]
    fn an_address_that_is_none_is_an_error_and_no_header_of_its_own() {
        let error = SyncError::default();
        assert!(message("dw@contoso.test", "a@b.test\r\nBcc: c@d.test", &alert(), &error).is_err());
    }
}
