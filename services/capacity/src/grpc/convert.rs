//! Messages into plain values, and back.

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};
use prost_types::{Duration, Timestamp};
use proto::capacity::v1 as pb;

use crate::accruals::{Accrual, ProductKind};
use crate::entitlement::{Entitlement, Source};
use crate::error::Error;
use crate::forecast::Forecast;
use crate::names::{ACCRUALS, LICENCES, USERS};
use crate::operations::Operation;
use crate::pool::{Amounts, Pool};
use crate::reservations::{Reservation, State};
use crate::standing::Standing;
use crate::store;
use crate::store::book::Usage;
use crate::store::notices::Notice;
use crate::store::samples::Sample;
use crate::tables::TableSize;

/// Nobody has as much: sums of some are numbers still.
const LARGEST_AMOUNT: i64 = 1 << 58;

pub(super) fn time(it: DateTime<Utc>) -> Timestamp {
    let nanos = i32::try_from(it.timestamp_subsec_nanos()).unwrap_or_default();
    Timestamp { seconds: it.timestamp(), nanos }
}

/// A moment between the years 1 and 9999, as exact as the store keeps it.
pub(super) fn read_time(
    field: &'static str,
    it: Option<Timestamp>,
) -> Result<Option<DateTime<Utc>>, Error> {
    let Some(Timestamp { seconds, nanos }) = it else { return Ok(None) };
    let micros = u32::try_from(nanos).ok().map(|it| it / 1000 * 1000);
    let moment = micros.and_then(|it| DateTime::from_timestamp(seconds, it));
    let moment = moment.filter(|it| (1..=9999).contains(&it.year()));
    moment.map(Some).ok_or_else(|| Error::invalid(field, "is no moment"))
}

/// A span that is longer than nothing.
pub(super) fn read_span(
    field: &'static str,
    it: Option<Duration>,
    longest: TimeDelta,
) -> Result<Option<TimeDelta>, Error> {
    let Some(Duration { seconds, nanos }) = it else { return Ok(None) };
    let span = u32::try_from(nanos).ok().and_then(|nanos| TimeDelta::new(seconds, nanos));
    let span = span.filter(|it| *it > TimeDelta::zero() && *it <= longest);
    let reason = || format!("must be more than nothing and at most {} s", longest.num_seconds());
    span.map(Some).ok_or_else(|| Error::invalid(field, reason()))
}

/// `None`: unspecified.
pub(super) fn read_pool(field: &'static str, number: i32) -> Result<Option<Pool>, Error> {
    if number == 0 {
        return Ok(None);
    }
    let pool = i16::try_from(number).ok().and_then(Pool::of_number);
    pool.map(Some).ok_or_else(|| Error::invalid(field, "is no pool"))
}

pub(super) fn read_amounts(
    field: &'static str,
    given: &[pb::PoolAmount],
) -> Result<Amounts, Error> {
    given.iter().try_fold(Amounts::NONE, |sum, it| {
        let pool = read_pool(field, it.pool)?;
        let pool = pool.ok_or_else(|| Error::invalid(field, "names no pool"))?;
        if !(0..=LARGEST_AMOUNT).contains(&it.size_bytes) {
            return Err(Error::invalid(field, "must be a size that there can be"));
        }
        Ok(sum.plus(&Amounts::of(pool, it.size_bytes)))
    })
}

pub(super) fn amounts(it: &Amounts) -> Vec<pb::PoolAmount> {
    it.iter().map(|(it, size_bytes)| pb::PoolAmount { pool: pool(it), size_bytes }).collect()
}

pub(super) fn pool(it: Pool) -> i32 {
    i32::from(it.number())
}

pub(super) fn read_operation(number: i32) -> Result<Operation, Error> {
    let operation = i16::try_from(number).ok().and_then(Operation::of_number);
    operation.ok_or_else(|| Error::invalid("operation", "is none that needs capacity"))
}

pub(super) fn operation(it: Operation) -> i32 {
    i32::from(it.number())
}

pub(super) fn read_kind(number: i32) -> Result<ProductKind, Error> {
    let kind = i16::try_from(number).ok().and_then(ProductKind::of_number);
    kind.ok_or_else(|| Error::invalid("kind", "is no kind of product"))
}

pub(super) fn pool_capacity(standing: &Standing, of: Pool) -> pb::PoolCapacity {
    pb::PoolCapacity {
        pool: pool(of),
        entitled_bytes: standing.entitled.get(of),
        used_bytes: standing.used.get(of),
        reserved_bytes: standing.reserved.get(of),
        free_bytes: standing.free(of),
        deficit_bytes: standing.deficit(of),
    }
}

pub(super) fn entitlement(it: Entitlement) -> pb::Entitlement {
    let source = match it.source {
        Source::TenantDefault => pb::EntitlementSource::TenantDefault,
        Source::UserLicences => pb::EntitlementSource::UserLicences,
        Source::AdditionalStorage => pb::EntitlementSource::AdditionalStorage,
    };
    pb::Entitlement {
        pool: pool(it.pool),
        size_bytes: it.bytes,
        source: source.into(),
        accrual: it.accrual.map(|it| format!("{ACCRUALS}/{it}")).unwrap_or_default(),
        licences: it.licences.iter().map(|it| format!("{LICENCES}/{it}")).collect(),
    }
}

pub(super) fn usage(it: Usage) -> pb::EnvironmentUsage {
    pb::EnvironmentUsage {
        environment: it.environment,
        measured: amounts(&it.measured),
        counted: amounts(&it.counted),
        exempt: it.exempt,
        measure_time: it.measure_time.map(time),
    }
}

pub(super) fn table(it: TableSize) -> pb::TableUsage {
    pb::TableUsage {
        schema: it.schema,
        table: it.table,
        pool: pool(it.pool),
        size_bytes: it.bytes,
        row_count: it.rows,
    }
}

pub(super) fn sample(it: Sample) -> pb::UsageSample {
    pb::UsageSample {
        environment: it.environment,
        amounts: amounts(&it.amounts),
        measure_time: Some(time(it.time)),
    }
}

pub(super) fn notice(it: Notice) -> pb::Notice {
    pb::Notice {
        name: format!("notices/{}", it.id),
        pool: pool(it.finding.pool),
        kind: i32::from(it.finding.kind.number()),
        message: it.finding.message,
        begin_time: Some(time(it.begin_time)),
        end_time: it.end_time.map(time),
    }
}

pub(super) fn forecast(of: Pool, it: &Forecast) -> pb::PoolForecast {
    pb::PoolForecast {
        pool: pool(of),
        growth_bytes_per_day: it.growth_per_day,
        exhaust_time: it.exhaust_time.map(time),
        earliest_exhaust_time: it.earliest.map(time),
        latest_exhaust_time: it.latest.map(time),
    }
}

pub(super) fn licence(it: store::licences::Stored) -> pb::Licence {
    let licence = it.licence;
    pb::Licence {
        name: format!("{LICENCES}/{}", licence.id),
        accrual: format!("{ACCRUALS}/{}", licence.accrual),
        quantity: licence.quantity,
        assigned_quantity: it.assigned,
        start_time: Some(time(licence.start_time)),
        end_time: licence.end_time.map(time),
        etag: it.version.to_string(),
    }
}

pub(super) fn assignment(it: store::licences::Assignment) -> pb::LicenceAssignment {
    pb::LicenceAssignment {
        name: format!("{LICENCES}/{}/assignments/{}", it.licence, it.user),
        user: format!("{USERS}/{}", it.user),
        create_time: Some(time(it.create_time)),
    }
}

pub(super) fn accrual(it: store::accruals::Stored) -> pb::Accrual {
    let Accrual { id, display_name, kind, tenant_amounts, unit_amounts, permits_setup, source } =
        it.accrual;
    pb::Accrual {
        name: format!("{ACCRUALS}/{id}"),
        display_name,
        kind: i32::from(kind.number()),
        tenant_amounts: amounts(&tenant_amounts),
        unit_amounts: amounts(&unit_amounts),
        permits_setup,
        source,
        etag: it.version.to_string(),
    }
}

pub(super) fn reservation(it: Reservation) -> pb::Reservation {
    pb::Reservation {
        name: it.name(),
        amounts: amounts(&it.amounts),
        operation: operation(it.operation),
        state: state(it.state).into(),
        holder: it.holder,
        environment: it.environment,
        create_time: Some(time(it.create_time)),
        expire_time: Some(time(it.expire_time)),
    }
}

/// `None`: unspecified.
pub(super) fn read_state(number: i32) -> Result<Option<State>, Error> {
    match pb::ReservationState::try_from(number) {
        Ok(pb::ReservationState::Unspecified) => Ok(None),
        Ok(pb::ReservationState::Held) => Ok(Some(State::Held)),
        Ok(pb::ReservationState::Committed) => Ok(Some(State::Committed)),
        Ok(pb::ReservationState::Released) => Ok(Some(State::Released)),
        Ok(pb::ReservationState::Expired) => Ok(Some(State::Expired)),
        Err(_) => Err(Error::invalid("state", "is no state of reservations")),
    }
}

fn state(it: State) -> pb::ReservationState {
    match it {
        State::Held => pb::ReservationState::Held,
        State::Committed => pb::ReservationState::Committed,
        State::Released => pb::ReservationState::Released,
        State::Expired => pb::ReservationState::Expired,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumption::MeterKind;
    use crate::notices::NoticeKind;

    /// Stored numbers are those of the contract.
    #[test]
    fn numbers() {
        use pb::CapacityOperation as O;
        for (operation, expected) in Operation::ALL.into_iter().zip([
            O::CreateEnvironment,
            O::Copy,
            O::Restore,
            O::ConvertTrial,
            O::Recover,
            O::AddDatabase,
            O::InstallFinanceAndOperations,
            O::InstallAddIn,
        ]) {
            assert_eq!(super::operation(operation), i32::from(expected));
            assert_eq!(read_operation(i32::from(expected)).unwrap(), operation);
        }
        assert!(read_operation(0).is_err() && read_operation(9).is_err());
        use pb::ProductKind as K;
        for (kind, expected) in ProductKind::ALL.into_iter().zip([
            K::FinanceAndOperations,
            K::PlatformUser,
            K::StorageAddOn,
            K::SandboxAddOn,
        ]) {
            assert_eq!(i32::from(kind.number()), i32::from(expected));
        }
        use pb::MeterKind as M;
        for (kind, expected) in MeterKind::ALL.into_iter().zip([
            M::Platform,
            M::PlatformExempt,
            M::PlatformDefault,
            M::FinanceAndOperations,
        ]) {
            assert_eq!(i32::from(kind.number()), i32::from(expected));
            assert_eq!(MeterKind::of_number(kind.number()), kind);
        }
        assert_eq!(MeterKind::of_number(99), MeterKind::Platform);
        assert_eq!(i32::from(NoticeKind::Low.number()), i32::from(pb::NoticeKind::Low));
        assert_eq!(i32::from(NoticeKind::VeryLow.number()), i32::from(pb::NoticeKind::VeryLow));
        assert_eq!(i32::from(NoticeKind::Overage.number()), i32::from(pb::NoticeKind::Overage));
    }

    #[test]
    fn junk_is_refused() {
        for (seconds, nanos) in [(i64::MAX, 0), (i64::MIN, 0), (0, -1), (0, i32::MAX), (1 << 40, 0)]
        {
            assert!(
                read_time("t", Some(Timestamp { seconds, nanos })).is_err(),
                "{seconds} {nanos}"
            );
        }
        let day = TimeDelta::days(1);
        for (seconds, nanos) in [(0, 0), (-1, 0), (86_401, 0), (i64::MAX, 0), (1, -1)] {
            let span = read_span("s", Some(Duration { seconds, nanos }), day);
            assert!(span.is_err(), "{seconds} {nanos}");
        }
        assert_eq!(
            read_span("s", Some(Duration { seconds: 86_400, nanos: 0 }), day).unwrap(),
            Some(day)
        );
        for (pool, size_bytes) in [(0, 1), (6, 1), (-1, 1), (i32::MAX, 1), (1, -1), (1, i64::MAX)] {
            assert!(read_amounts("a", &[pb::PoolAmount { pool, size_bytes }]).is_err());
        }
    }
}
