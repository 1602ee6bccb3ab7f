//! What a rule says, and whether it may be said.

use std::time::Duration;

use chrono::{DateTime, Utc};
use proto::dual_write::v1::{self as pb, AlertAction, SyncErrorKind};

use super::webhook;
use crate::error::Error;

/// First part of a rule's name.
pub(crate) const RULES: &str = "alertRules";
const LONGEST_ID: usize = 63;
const SHORTEST_SPAN: Duration = Duration::from_secs(60);
const LONGEST_SPAN: Duration = Duration::from_secs(24 * 60 * 60);
/// Waits between two probes grow up to here.
pub(super) const LONGEST_PROBE_DELAY: Duration = Duration::from_secs(60 * 60);
const MOST_RECIPIENTS: usize = 100;
const MOST_MAPS: usize = 1_000;
const LONGEST_ADDRESS: usize = 320;

/// "10 application errors in 15 minutes: pause".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) version: i64,
    /// Empty: all of them.
    pub(crate) maps: Vec<String>,
    /// Empty: all of them.
    pub(crate) error_kinds: Vec<i32>,
    pub(crate) error_count: i32,
    pub(crate) span: Duration,
    pub(crate) action: AlertAction,
    pub(crate) mail_recipients: Vec<String>,
    pub(crate) webhook_url: String,
    pub(crate) probe_delay: Option<Duration>,
    /// Failures count from here on.
    pub(crate) hold_time: DateTime<Utc>,
}

/// What a rule knows about itself when something fails.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// Failures of the map that count, within the window and since the rule last fired.
    pub(super) failures: i64,
    /// Whether it fired for the map within the window.
    pub(super) fired: bool,
    /// That time it did something to the map, which was undone since: the map runs again.
    pub(super) undone: bool,
}

// === impl Rule ===

impl Rule {
    /// As a message gives it, to be held from `now` on.
    pub(crate) fn read(
        id: &str,
        given: &pb::AlertRule,
        plain_hosts: &[String],
        now: DateTime<Utc>,
    ) -> Result<Self, Error> {
        let span = duration("window", given.window.as_ref())?
            .ok_or_else(|| Error::invalid("window", "is missing"))?;
        let rule = Self {
            id: id.to_owned(),
            version: 1,
            maps: unique(&given.maps),
            error_kinds: unique(&given.error_kinds),
            error_count: given.error_count,
            span,
            action: action(given.action)?,
            mail_recipients: unique(&given.mail_recipients),
            webhook_url: given.webhook_url.clone(),
            probe_delay: duration("probe_delay", given.probe_delay.as_ref())?,
            hold_time: now,
        };
        rule.check(plain_hosts)?;
        Ok(rule)
    }

    /// This rule with the parts that `paths` name taken from `given`; those of an empty list are all of them.
    pub(crate) fn changed(
        &self,
        given: &pb::AlertRule,
        paths: &[String],
        plain_hosts: &[String],
        now: DateTime<Utc>,
    ) -> Result<Self, Error> {
        let mut merged = self.message();
        const PARTS: [&str; 8] = [
            "maps",
            "error_kinds",
            "error_count",
            "window",
            "action",
            "mail_recipients",
            "webhook_url",
            "probe_delay",
        ];
        let named: Vec<&str> = match paths {
            [] => PARTS.to_vec(),
            [all] if all == "*" => PARTS.to_vec(),
            _ => paths.iter().map(String::as_str).collect(),
        };
        for path in named {
            match path {
                "maps" => merged.maps.clone_from(&given.maps),
                "error_kinds" => merged.error_kinds.clone_from(&given.error_kinds),
                "error_count" => merged.error_count = given.error_count,
                "window" => merged.window = given.window,
                "action" => merged.action = given.action,
                "mail_recipients" => merged.mail_recipients.clone_from(&given.mail_recipients),
                "webhook_url" => merged.webhook_url.clone_from(&given.webhook_url),
                "probe_delay" => merged.probe_delay = given.probe_delay,
                _ => return Err(Error::invalid("update_mask", format!("`{path}` cannot change"))),
            }
        }
        let changed = Self::read(&self.id, &merged, plain_hosts, now)?;
        let hold_time = if self.counts_like(&changed) { self.hold_time } else { now };
        Ok(Self { version: self.version.saturating_add(1), hold_time, ..changed })
    }

    /// What is shown of it.
    pub(crate) fn message(&self) -> pb::AlertRule {
        pb::AlertRule {
            name: self.name(),
            maps: self.maps.clone(),
            error_kinds: self.error_kinds.clone(),
            error_count: self.error_count,
            window: prost_types::Duration::try_from(self.span).ok(),
            action: self.action.into(),
            mail_recipients: self.mail_recipients.clone(),
            webhook_url: self.webhook_url.clone(),
            probe_delay: self.probe_delay.and_then(|it| it.try_into().ok()),
            etag: self.etag(),
        }
    }

    /// `alertRules/too-many-refused`.
    pub(crate) fn name(&self) -> String {
        format!("{RULES}/{}", self.id)
    }

    pub(crate) fn etag(&self) -> String {
        self.version.to_string()
    }

    /// Whether it watches the map for failures of the kind.
    pub(super) fn counts(&self, map: &str, kind: i32) -> bool {
        let watched = self.maps.is_empty() || self.maps.iter().any(|it| it == map);
        watched && (self.error_kinds.is_empty() || self.error_kinds.contains(&kind))
    }

    /// At most once in a window, unless what it did then was undone: then it may have to be done again.
    pub(super) fn fires(&self, standing: Standing) -> bool {
        standing.failures >= i64::from(self.error_count) && (!standing.fired || standing.undone)
    }

    fn counts_like(&self, other: &Self) -> bool {
        let same = |one: &Self, two: &Self| {
            one.maps == two.maps && one.error_kinds == two.error_kinds && one.span == two.span
        };
        same(self, other) && self.error_count == other.error_count
    }

    fn check(&self, plain_hosts: &[String]) -> Result<(), Error> {
        check_id(&self.id)?;
        let no_map = |it: &&String| id_in("maps", it).is_none();
        if let Some(map) = self.maps.iter().find(no_map) {
            return Err(Error::invalid("maps", format!("`{map}` is no name of a map")));
        }
        let no_kind = |it: &i32| {
            SyncErrorKind::try_from(*it).map_or(true, |it| it == SyncErrorKind::Unspecified)
        };
        if self.error_kinds.iter().any(no_kind) {
            return Err(Error::invalid("error_kinds", "holds a kind that is none"));
        }
        if self.error_count < 1 {
            return Err(Error::invalid("error_count", "must be at least 1"));
        }
        if !(SHORTEST_SPAN..=LONGEST_SPAN).contains(&self.span) {
            return Err(Error::invalid("window", "must be from 1 minute to 24 hours"));
        }
        if let Some(delay) = self.probe_delay {
            self.check_probe(delay)?;
        }
        if self.mail_recipients.len() > MOST_RECIPIENTS || self.maps.len() > MOST_MAPS {
            let reason = format!("at most {MOST_RECIPIENTS} recipients and {MOST_MAPS} maps");
            return Err(Error::invalid("alert_rule", reason));
        }
        let no_address =
            |it: &&String| it.len() > LONGEST_ADDRESS || it.parse::<lettre::Address>().is_err();
        if let Some(bad) = self.mail_recipients.iter().find(no_address) {
            return Err(Error::invalid("mail_recipients", format!("`{bad}` is no mail address")));
        }
        if !self.webhook_url.is_empty() {
            webhook::check(&self.webhook_url, plain_hosts)
                .map_err(|reason| Error::invalid("webhook_url", reason))?;
        }
        Ok(())
    }

    fn check_probe(&self, delay: Duration) -> Result<(), Error> {
        if self.action != AlertAction::Pause {
            let reason = "goes with the action to pause only";
            return Err(Error::invalid("probe_delay", reason));
        }
        if !(Duration::from_secs(1)..=LONGEST_PROBE_DELAY).contains(&delay) {
            return Err(Error::invalid("probe_delay", "must be from 1 second to 1 hour"));
        }
        Ok(())
    }
}

/// The last part of a name of one of the `collection`.
pub(crate) fn id_in<'a>(collection: &str, name: &'a str) -> Option<&'a str> {
    let id = name.strip_prefix(collection)?.strip_prefix('/')?;
    (!id.is_empty() && !id.contains('/')).then_some(id)
}

fn check_id(id: &str) -> Result<(), Error> {
    let plain = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
    let good = id.len() <= LONGEST_ID
        && id.chars().all(plain)
        && id.starts_with(|it: char| it.is_ascii_alphanumeric());
    if good {
        return Ok(());
    }
    let reason = format!("has at most {LONGEST_ID} small letters, digits and hyphens");
    Err(Error::invalid("alert_rule_id", reason))
}

fn action(number: i32) -> Result<AlertAction, Error> {
    match AlertAction::try_from(number) {
        Ok(AlertAction::Unspecified) | Err(_) => Err(Error::invalid("action", "is missing")),
        Ok(action) => Ok(action),
    }
}

fn duration(
    field: &'static str,
    given: Option<&prost_types::Duration>,
) -> Result<Option<Duration>, Error> {
    let Some(given) = given else { return Ok(None) };
    let duration = Duration::try_from(*given);
    duration.map(Some).map_err(|_| Error::invalid(field, "must not be negative"))
}

fn unique<T: PartialEq + Clone>(given: &[T]) -> Vec<T> {
    let mut unique: Vec<T> = Vec::with_capacity(given.len());
    for it in given {
        if !unique.contains(it) {
            unique.push(it.clone());
        }
    }
    unique
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given() -> pb::AlertRule {
        pb::AlertRule {
            error_count: 10,
            window: Some(prost_types::Duration { seconds: 900, nanos: 0 }),
            action: AlertAction::Pause.into(),
            ..Default::default()
        }
    }

    fn read(given: &pb::AlertRule) -> Result<Rule, Error> {
        Rule::read("too-many", given, &[], DateTime::UNIX_EPOCH)
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let check = |field: &str, change: &dyn Fn(&mut pb::AlertRule)| {
            let mut given = given();
            change(&mut given);
            let refused = read(&given).unwrap_err().to_string();
            assert!(refused.contains(&format!("`{field}`")), "{field}: {refused}");
        };
        let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        check("window", &|it| it.window = None);
        check("window", &|it| it.window = seconds(59));
        check("window", &|it| it.window = seconds(86_401));
        check("window", &|it| it.window = seconds(-60));
        check("error_count", &|it| it.error_count = 0);
        check("error_kinds", &|it| it.error_kinds = vec![0]);
        check("error_kinds", &|it| it.error_kinds = vec![99]);
        check("action", &|it| it.action = 0);
        check("maps", &|it| it.maps = vec!["customers".into()]);
        check("mail_recipients", &|it| it.mail_recipients = vec!["nobody".into()]);
        check("mail_recipients", &|it| {
            it.mail_recipients = vec!["a@b.test\r\nBcc: c@d.test".into()]
        });
        check("webhook_url", &|it| it.webhook_url = "http://hooks.test/".into());
        check("probe_delay", &|it| it.probe_delay = seconds(3_601));
        check("probe_delay", &|it| {
            it.probe_delay = seconds(60);
            it.action = AlertAction::Stop.into();
        });
        assert!(read(&given()).is_ok());
        assert!(Rule::read("Too many", &given(), &[], DateTime::UNIX_EPOCH).is_err());
    }

    #[test]
    fn a_mask_changes_what_it_names_and_a_new_condition_begins_to_count_anew() {
        let rule = read(&given()).unwrap();
        let later = DateTime::UNIX_EPOCH + chrono::TimeDelta::minutes(1);
        let change = |given: &pb::AlertRule, paths: &[&str]| {
            let paths: Vec<String> = paths.iter().map(|it| (*it).to_owned()).collect();
            rule.changed(given, &paths, &[], later)
        };
        let other = pb::AlertRule {
            error_count: 3,
            mail_recipients: vec!["ops@contoso.test".into()],
            ..given()
        };
        let told = change(&other, &["mail_recipients"]).unwrap();
        assert_eq!((told.error_count, told.version), (10, 2));
        assert_eq!(told.mail_recipients, ["ops@contoso.test"]);
        assert_eq!(told.hold_time, rule.hold_time);
        let counted = change(&other, &[]).unwrap();
        assert_eq!((counted.error_count, counted.hold_time), (3, later));
        assert!(change(&other, &["name"]).is_err());
    }

    #[test]
    fn a_rule_fires_once_in_a_window_and_again_when_it_was_undone() {
        let rule = read(&given()).unwrap();
        let check = |failures, fired, undone, expected| {
            let fires = rule.fires(Standing { failures, fired, undone });
            assert_eq!(fires, expected, "{failures} {fired} {undone}");
        };
        check(9, false, false, false);
        check(10, false, false, true);
        check(10, true, false, false);
        check(10, true, true, true);
        check(9, true, true, false);
    }

    #[test]
    fn maps_and_kinds_say_what_counts() {
        let application = SyncErrorKind::Application as i32;
        let all = read(&given()).unwrap();
        assert!(all.counts("maps/a", application));
        let given = pb::AlertRule {
            maps: vec!["maps/a".into()],
            error_kinds: vec![application],
            ..given()
        };
        let some = read(&given).unwrap();
        assert!(some.counts("maps/a", application));
        assert!(!some.counts("maps/b", application));
        assert!(!some.counts("maps/a", SyncErrorKind::Timeout as i32));
    }
}
