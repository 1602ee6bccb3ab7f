//! Sizes, moments and enumerations as people write them.

use chrono::{DateTime, Utc};
use prost_types::{Duration, Timestamp};

const GB: i64 = 1 << 30;
const MB: i64 = 1 << 20;

/// `1.25 GB`; what is less in MB.
pub(crate) fn size(bytes: i64) -> String {
    let magnitude = bytes.saturating_abs();
    let (unit, name) = match magnitude {
        0 => return "0".to_owned(),
        it if it >= GB => (GB, "GB"),
        _ => (MB, "MB"),
    };
    // In hundredths of the unit, rounded.
    let hundredths = (i128::from(magnitude) * 100 + i128::from(unit) / 2) / i128::from(unit);
    let (whole, rest) = (hundredths / 100, hundredths % 100);
    let sign = if bytes < 0 { "-" } else { "" };
    match (rest, rest % 10) {
        (0, _) if hundredths == 0 => format!("{sign}<0.01 {name}"),
        (0, _) => format!("{sign}{whole} {name}"),
        (_, 0) => format!("{sign}{whole}.{} {name}", rest / 10),
        _ => format!("{sign}{whole}.{rest:02} {name}"),
    }
}

/// Bytes of `10GB`, `250 MB` or `1.5GB`.
pub(crate) fn parse_size(text: &str) -> Result<i64, String> {
    let expected = || format!("expected a size as 10GB or 250MB, not {text}");
    let digits = text.trim_end_matches(|it: char| !it.is_ascii_digit());
    let unit = match text.get(digits.len()..).map(|it| it.trim().to_uppercase()).as_deref() {
        Some("TB") => 1024 * GB,
        Some("GB") => GB,
        Some("MB") => MB,
        Some("KB") => 1024,
        Some("B" | "") => 1,
        _ => return Err(expected()),
    };
    let (whole, rest) = digits.split_once('.').unwrap_or((digits, ""));
    let whole: i64 = whole.trim().parse().map_err(|_| expected())?;
    let places = u32::try_from(rest.len()).ok().filter(|it| *it <= 9).ok_or_else(expected)?;
    let rest: i64 = if rest.is_empty() { 0 } else { rest.parse().map_err(|_| expected())? };
    let fraction = i128::from(rest) * i128::from(unit) / 10_i128.pow(places);
    let fraction = i64::try_from(fraction).map_err(|_| expected())?;
    let bytes = whole.checked_mul(unit).and_then(|it| it.checked_add(fraction));
    bytes.filter(|it| *it >= 0).ok_or_else(expected)
}

pub(crate) fn timestamp(at: DateTime<Utc>) -> Timestamp {
    let nanos = i32::try_from(at.timestamp_subsec_nanos()).unwrap_or_default();
    Timestamp { seconds: at.timestamp(), nanos }
}

pub(crate) fn time(at: &Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?)
}

/// `2026-11-21 17:37:17 UTC`; nothing for no moment.
pub(crate) fn when(at: Option<&Timestamp>) -> String {
    at.and_then(time).map(|it| it.format("%Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default()
}

/// `2026-11-21`.
pub(crate) fn day(at: Option<&Timestamp>) -> String {
    at.and_then(time).map(|it| it.format("%Y-%m-%d").to_string()).unwrap_or_default()
}

/// `4 min 20 s`.
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.seconds.max(0);
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, 0) => format!("{m} min"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

/// The name without its collection.
pub(crate) fn plain(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |it| it.1)
}

/// An enumeration of the contracts, by the words that people use for its values.
pub(crate) trait Word: TryFrom<i32> + Copy {
    /// What every name of a value begins with.
    const PREFIX: &'static str;

    /// `POOL_DATABASE`.
    fn full_name(self) -> &'static str;

    /// `database`; nothing for the unspecified one.
    fn word(self) -> String {
        let name = self.full_name();
        match name.strip_prefix(Self::PREFIX).unwrap_or(name) {
            "UNSPECIFIED" => String::new(),
            name => name.to_lowercase().replace('_', "-"),
        }
    }

    /// Every value but the unspecified one.
    fn all() -> impl Iterator<Item = Self> {
        (1..i32::from(u8::MAX)).map_while(|it| Self::try_from(it).ok())
    }

    /// For the command line.
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.to_lowercase();
        Self::all().find(|it| it.word() == text).ok_or_else(|| {
            format!(
                "expected one of {}",
                Self::all().map(Self::word).collect::<Vec<_>>().join(", ")
            )
        })
    }
}

/// The word of a value as it is in a message; one that we do not know is its number.
pub(crate) fn word<W: Word>(value: i32) -> String {
    W::try_from(value).map_or_else(|_| value.to_string(), Word::word)
}

/// As people say it: `dual-write platform setup`, not `dual-write-platform-setup`.
pub(crate) fn phrase<W: Word>(value: i32) -> String {
    /// What is not just lower-case words with blanks between them.
    const SPELLINGS: [(&str, &str); 4] = [
        ("dual write", "dual-write"),
        ("add in", "add-in"),
        ("dataverse", "Dataverse"),
        ("d365", "D365"),
    ];
    let plain = word::<W>(value).replace('-', " ");
    SPELLINGS.iter().fold(plain, |it, (plain, spelling)| it.replace(plain, spelling))
}

/// Enumerations and what the names of their values begin with.
macro_rules! words {
    ($($package:ident::$name:ident $prefix:literal;)*) => {$(
        impl Word for proto::$package::v1::$name {
            const PREFIX: &'static str = $prefix;

            fn full_name(self) -> &'static str {
                self.as_str_name()
            }
        }
    )*};
}

words! {
    capacity::CapacityOperation "CAPACITY_OPERATION_";
    capacity::EntitlementSource "ENTITLEMENT_SOURCE_";
    capacity::NoticeKind "NOTICE_KIND_";
    capacity::Pool "POOL_";
    capacity::ProductKind "PRODUCT_KIND_";
    dual_write::AlertAction "ALERT_ACTION_";
    dual_write::ChangeOperation "CHANGE_OPERATION_";
    dual_write::DifferenceKind "DIFFERENCE_KIND_";
    dual_write::FindingKind "FINDING_KIND_";
    dual_write::InitialSyncState "INITIAL_SYNC_STATE_";
    dual_write::MapState "MAP_STATE_";
    dual_write::ReconciliationState "RECONCILIATION_STATE_";
    dual_write::ResumeMode "RESUME_MODE_";
    dual_write::RetryState "RETRY_STATE_";
    dual_write::Side "SIDE_";
    dual_write::SyncErrorKind "SYNC_ERROR_KIND_";
    dual_write::SyncMode "SYNC_MODE_";
    lifecycle::AddInInstallationState "ADD_IN_INSTALLATION_STATE_";
    lifecycle::DualWriteStatus "DUAL_WRITE_STATUS_";
    lifecycle::FailureKind "FAILURE_KIND_";
    lifecycle::FinanceAndOperationsEnvironmentState "FINANCE_AND_OPERATIONS_ENVIRONMENT_STATE_";
    lifecycle::FinanceAndOperationsEnvironmentType "FINANCE_AND_OPERATIONS_ENVIRONMENT_TYPE_";
    lifecycle::FinanceAndOperationsSupport "FINANCE_AND_OPERATIONS_SUPPORT_";
    lifecycle::OperationKind "OPERATION_KIND_";
    lifecycle::OperationStage "OPERATION_STAGE_";
    lifecycle::OperationState "OPERATION_STATE_";
    lifecycle::PlatformEnvironmentState "PLATFORM_ENVIRONMENT_STATE_";
    lifecycle::PlatformEnvironmentType "PLATFORM_ENVIRONMENT_TYPE_";
    lifecycle::Prerequisite "PREREQUISITE_";
}

#[cfg(test)]
mod tests {
    use proto::capacity::v1::{CapacityOperation, Pool};
    use proto::lifecycle::v1::{FinanceAndOperationsEnvironmentType, OperationStage, Prerequisite};

    use super::*;

    #[test]
    fn sizes_have_two_digits_at_most() {
        assert_eq!(size(0), "0");
        assert_eq!(size(250 * MB), "250 MB");
        assert_eq!(size(GB), "1 GB");
        assert_eq!(size(GB + GB / 4), "1.25 GB");
        assert_eq!(size(GB + GB / 2), "1.5 GB");
        assert_eq!(size(-10 * GB), "-10 GB");
        assert_eq!(size(8 * MB + 1), "8 MB");
        assert_eq!(size(1), "<0.01 MB");
        assert!(size(i64::MIN).starts_with("-8589934592 GB"));
    }

    #[test]
    fn sizes_are_read_exactly() {
        assert_eq!(parse_size("10GB"), Ok(10 * GB));
        assert_eq!(parse_size("1.5 gb"), Ok(GB + GB / 2));
        assert_eq!(parse_size("250MB"), Ok(250 * MB));
        assert_eq!(parse_size("7"), Ok(7));
        for wrong in ["", "GB", "-1GB", "1.GBx", "1e3GB", "99999999999GB", "1.2.3GB", "ä"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn spans_and_moments() {
        let seconds = |seconds| Duration { seconds, nanos: 0 };
        assert_eq!(span(seconds(59)), "59 s");
        assert_eq!(span(seconds(260)), "4 min 20 s");
        assert_eq!(span(seconds(3_720)), "1 h 2 min");
        assert_eq!(span(seconds(-5)), "0 s");
        let at = Timestamp { seconds: 1_800_000_000, nanos: 0 };
        assert_eq!(when(Some(&at)), "2027-01-15 08:00:00 UTC");
        assert_eq!(when(None), "");
        assert_eq!(when(Some(&Timestamp { seconds: i64::MAX, nanos: -1 })), "");
    }

    #[test]
    fn phrases_are_spelled_as_people_do() {
        let stage = |it: OperationStage| phrase::<OperationStage>(it.into());
        assert_eq!(stage(OperationStage::DualWritePlatformSetup), "dual-write platform setup");
        assert_eq!(stage(OperationStage::ProvisioningDataverse), "provisioning Dataverse");
        assert_eq!(stage(OperationStage::InstallingAddIn), "installing add-in");
        assert_eq!(stage(OperationStage::Unspecified), "");
        let apps = Prerequisite::D365AppsEnabled;
        assert_eq!(phrase::<Prerequisite>(apps.into()), "D365 apps enabled");
    }

    #[test]
    fn words_are_kebab_and_read_back() {
        assert_eq!(word::<Pool>(Pool::OperationsDatabase.into()), "operations-database");
        assert_eq!(word::<Pool>(0), "");
        assert_eq!(word::<Pool>(99), "99");
        assert_eq!(Prerequisite::D365AppsEnabled.word(), "d365-apps-enabled");
        for it in CapacityOperation::all() {
            assert_eq!(CapacityOperation::parse(&it.word()), Ok(it));
        }
        let error = FinanceAndOperationsEnvironmentType::parse("trial").unwrap_err();
        assert!(error.starts_with("expected one of production, sandbox, cloud-hosted"), "{error}");
    }
}
