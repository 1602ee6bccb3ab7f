//! What operations leave in the audit trail: every write, action and read, however it ended. A query is
//! an entry of the entity that it is about.

use proto::query::v1 as pb;
use proto::query::v1::operation::Operation as Kind;
use proto::query::v1::operation_result::Result as Outcome;
use rpc::audit::{self, Decision, Entry};
use rpc::{Caller, ErrorReason};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::authority::Privilege;

/// An operation, as far as the trail tells of it.
pub(super) struct Trail {
    privilege: Privilege,
    entity: String,
    /// Empty where the row is named by its values, which are nothing for a trail.
    record: String,
}

// === impl Trail ===

impl Trail {
    /// `None` for what says nothing.
    pub(super) fn of(operation: &pb::Operation) -> Option<Self> {
        let (privilege, entity, key) = match operation.operation.as_ref()? {
            Kind::Create(it) => (Privilege::Create, &it.entity_name, None),
            Kind::Update(it) => (Privilege::Update, &it.entity_name, it.key.as_ref()),
            Kind::Upsert(it) => (Privilege::Update, &it.entity_name, it.key.as_ref()),
            Kind::Delete(it) => (Privilege::Delete, &it.entity_name, it.key.as_ref()),
            Kind::PerformAction(it) => (Privilege::Invoke, &it.entity_name, it.key.as_ref()),
            Kind::Retrieve(it) => (Privilege::Read, &it.entity_name, it.key.as_ref()),
        };
        let record = match key.and_then(|it| it.key.as_ref()) {
            Some(pb::record_key::Key::RecordId(bytes)) => guid(bytes),
            _ => String::new(),
        };
        Some(Self { privilege, entity: entity.clone(), record })
    }

    /// The operation has ended.
    pub(super) fn end(&self, caller: &Caller, done: &Result<pb::OperationResult, Status>) {
        match done {
            Ok(result) => {
                let written = match &result.result {
                    Some(Outcome::Create(it)) => guid(&it.record_id),
                    Some(Outcome::Update(it)) => guid(&it.record_id),
                    Some(Outcome::Upsert(it)) => guid(&it.record_id),
                    _ => self.record.clone(),
                };
                self.record(caller, &written, Decision::Allowed, "");
            }
            Err(refused) => {
                let reason = refused.get_details_error_info().map(|it| it.reason);
                let reason = reason.unwrap_or_default();
                self.record(caller, &self.record, decision(refused), &reason);
            }
        }
    }

    fn record(&self, caller: &Caller, record: &str, decision: Decision, reason: &str) {
        audit::record(&Entry {
            caller: Some(caller),
            operation: self.privilege.name(),
            entity: &self.entity,
            record,
            decision,
            reason,
        });
    }
}

/// A read has ended: of the row with this id, or of all that a query finds.
pub(crate) fn read<T>(caller: &Caller, entity: &str, record: &[u8], done: &Result<T, Status>) {
    let details = done.as_ref().err().and_then(|it| it.get_details_error_info());
    let reason = details.map(|it| it.reason).unwrap_or_default();
    audit::record(&Entry {
        caller: Some(caller),
        operation: Privilege::Read.name(),
        entity,
        record: &guid(record),
        decision: done.as_ref().err().map_or(Decision::Allowed, decision),
        reason: &reason,
    });
}

fn decision(refused: &Status) -> Decision {
    let is_portal = rpc::reason(refused) == Some(ErrorReason::PortalUserRefused);
    match refused.code() {
        Code::PermissionDenied => Decision::Denied,
        _ if is_portal => Decision::Denied,
        _ => Decision::Failed,
    }
}

fn guid(bytes: &[u8]) -> String {
    Uuid::from_slice(bytes).map(|it| it.to_string()).unwrap_or_default()
}
