//! What administrators do: record purchases, give licences to users, correct the accrual table.
//! Entitlements and notices follow at once.

use crate::accruals::Accrual;
use crate::entitlement::Licence;
use crate::error::Error;
use crate::names::{ACCRUALS, LICENCES, user_key};
use crate::store::accruals::{self, Stored as StoredAccrual};
use crate::store::licences::{self, Assignment, Stored};
use crate::store::{self, Change};

/// More than anybody buys, and little enough to reckon with.
const LARGEST_QUANTITY: i64 = 1_000_000_000;

/// A purchase to record; without a start, it counts from now on.
#[derive(Clone, Debug)]
pub(crate) struct Purchase {
    pub(crate) id: String,
    pub(crate) accrual: String,
    pub(crate) terms: Terms,
}

/// What of a purchase may change; absent: as it is, or by default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    pub(crate) quantity: Option<i64>,
    pub(crate) start_time: Option<chrono::DateTime<chrono::Utc>>,
    /// Some(None): no end.
    pub(crate) end_time: Option<Option<chrono::DateTime<chrono::Utc>>>,
}

pub(crate) async fn create(change: &mut Change, purchase: Purchase) -> Result<Stored, Error> {
    let Purchase { id, accrual, terms } = purchase;
    if accruals::get(change.connection(), &accrual).await?.is_none() {
        let reason = format!("there is no `{ACCRUALS}/{accrual}`");
        return Err(Error::invalid("accrual", reason));
    }
    let now = store::now(change.connection()).await?;
    let mut licence = Licence { id, accrual, quantity: 0, start_time: now, end_time: None };
    terms.apply(&mut licence)?;
    if !licences::insert(change.connection(), &licence).await? {
        return Err(Error::Exists(resource(&licence.id)));
    }
    change.review_notices().await?;
    found(change, &licence.id).await
}

pub(crate) async fn update(
    change: &mut Change,
    id: &str,
    etag: &str,
    terms: Terms,
) -> Result<Stored, Error> {
    let mut known = locked(change, id, etag).await?;
    terms.apply(&mut known.licence)?;
    if known.licence.quantity < known.assigned {
        return Err(Error::InUse { resource: resource(id), assigned: known.assigned });
    }
    licences::update(change.connection(), &known.licence).await?;
    change.review_notices().await?;
    found(change, id).await
}

pub(crate) async fn delete(change: &mut Change, id: &str, etag: &str) -> Result<(), Error> {
    let known = locked(change, id, etag).await?;
    if known.assigned > 0 {
        return Err(Error::InUse { resource: resource(id), assigned: known.assigned });
    }
    licences::delete(change.connection(), id).await?;
    change.review_notices().await
}

/// The last one that is left goes to the first who asks.
pub(crate) async fn assign(
    change: &mut Change,
    licence: &str,
    user: &str,
) -> Result<Assignment, Error> {
    let known = locked(change, licence, "").await?;
    let assigned = licences::assign(change.connection(), licence, &user_key(user), user).await?;
    let Some(assignment) = assigned else {
        return Err(Error::Exists(format!("{}/assignments/{user}", resource(licence))));
    };
    let quantity = known.licence.quantity;
    if known.assigned >= quantity {
        return Err(Error::NoneLeft { licence: resource(licence), quantity });
    }
    Ok(assignment)
}

pub(crate) async fn take_away(change: &mut Change, licence: &str, user: &str) -> Result<(), Error> {
    match licences::take_away(change.connection(), licence, &user_key(user)).await? {
        true => Ok(()),
        false => Err(Error::NotFound(format!("{}/assignments/{user}", resource(licence)))),
    }
}

/// Changes a row of the accrual table. `edit` is given the row, or an empty one of this name.
pub(crate) async fn put_accrual(
    change: &mut Change,
    id: &str,
    etag: &str,
    allow_missing: bool,
    edit: impl FnOnce(Option<Accrual>) -> Result<Accrual, Error>,
) -> Result<StoredAccrual, Error> {
    let name = format!("{ACCRUALS}/{id}");
    let known = accruals::lock(change.connection(), id).await?;
    match &known {
        None if !allow_missing => return Err(Error::NotFound(name)),
        None if !etag.is_empty() => return Err(Error::VersionMismatch(name)),
        Some(it) if !etag.is_empty() && etag != it.version.to_string() => {
            return Err(Error::VersionMismatch(name));
        }
        _ => {}
    }
    let row = edit(known.map(|it| it.accrual))?;
    if let Some((field, reason)) = row.mistake() {
        return Err(Error::invalid(field, reason));
    }
    accruals::put(change.connection(), &row, true).await?;
    change.review_notices().await?;
    let stored = accruals::get(change.connection(), id).await?;
    stored.ok_or(Error::NotFound(name))
}

// === impl Terms ===

impl Terms {
    fn apply(self, licence: &mut Licence) -> Result<(), Error> {
        licence.quantity = self.quantity.unwrap_or(licence.quantity);
        licence.start_time = self.start_time.unwrap_or(licence.start_time);
        licence.end_time = self.end_time.unwrap_or(licence.end_time);
        if !(1..=LARGEST_QUANTITY).contains(&licence.quantity) {
            let reason = format!("must be from 1 to {LARGEST_QUANTITY}");
            return Err(Error::invalid("quantity", reason));
        }
        match licence.end_time {
            Some(end) if end <= licence.start_time => {
                Err(Error::invalid("end_time", "must be after the start"))
            }
            _ => Ok(()),
        }
    }
}

fn resource(id: &str) -> String {
    format!("{LICENCES}/{id}")
}

/// Nobody changes it or assigns any of it until this change is over.
async fn locked(change: &mut Change, id: &str, etag: &str) -> Result<Stored, Error> {
    let known = licences::lock(change.connection(), id).await?;
    let known = known.ok_or_else(|| Error::NotFound(resource(id)))?;
    if !etag.is_empty() && etag != known.version.to_string() {
        return Err(Error::VersionMismatch(resource(id)));
    }
    Ok(known)
}

async fn found(change: &mut Change, id: &str) -> Result<Stored, Error> {
    let stored = licences::get(change.connection(), id).await?;
    stored.ok_or_else(|| Error::NotFound(resource(id)))
}
