//! Who decides which rows a caller may touch: the service that serves them.

use std::fmt::Debug;

use futures::future::BoxFuture;
use proto::query::v1 as pb;
use proto::query::v1::operation::Operation as Kind;
use rpc::{Caller, Privileges};
use tonic::Status;

use crate::error::Error;
use crate::grant::{Grant, Refused};

/// What somebody wants to do with an entity's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// See rows.
    Read,
    /// Make rows.
    Create,
    /// Change rows.
    Update,
    /// Delete rows.
    Delete,
    /// Run actions.
    Invoke,
}

impl Privilege {
    /// As errors call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Invoke => "invoke",
        }
    }

    /// As users hold it.
    pub(crate) fn needed(self) -> Privileges {
        match self {
            Self::Read => Privileges::READ,
            Self::Create => Privileges::CREATE,
            Self::Update => Privileges::UPDATE,
            Self::Delete => Privileges::DELETE,
            Self::Invoke => Privileges::INVOKE,
        }
    }
}

/// Gives leave, entity by entity.
pub trait Authority: Debug + Send + Sync {
    /// Leave for the caller to do something with the entity's rows, those that it covers.
    ///
    /// # Errors
    ///
    /// When there is no such entity, or the caller may not touch it at all.
    fn grant(&self, caller: &Caller, entity: &str, privilege: Privilege) -> Result<Grant, Refused>;

    /// Asks somebody else about a write, before it is done; `None` where nobody has to be asked. A
    /// refusal is passed on as it is.
    fn review<'a>(
        &'a self,
        _caller: &'a Caller,
        _operation: &'a pb::Operation,
    ) -> Option<BoxFuture<'a, Result<(), Status>>> {
        None
    }

    /// The entity to whose rows a column leads by their ids, where no relation of the entity says so.
    fn lookup(&self, _entity: &str, _column: &str) -> Option<String> {
        None
    }

    /// Whether it knows its entities yet. While it does not, calls are to come again.
    fn is_ready(&self) -> bool {
        true
    }
}

/// Refuses an operation that the caller has no leave for, whatever its row is.
pub(crate) fn judge(
    authority: &dyn Authority,
    caller: &Caller,
    operation: &pb::Operation,
) -> Result<(), Error> {
    let (entity, privilege) = match &operation.operation {
        Some(Kind::Create(it)) => (&it.entity_name, Privilege::Create),
        Some(Kind::Update(it)) => (&it.entity_name, Privilege::Update),
        Some(Kind::Upsert(it)) if it.create_only => (&it.entity_name, Privilege::Create),
        Some(Kind::Upsert(it)) => (&it.entity_name, Privilege::Update),
        Some(Kind::Delete(it)) => (&it.entity_name, Privilege::Delete),
        Some(Kind::PerformAction(it)) => (&it.entity_name, Privilege::Invoke),
        Some(Kind::Retrieve(it)) => (&it.entity_name, Privilege::Read),
        None => return Err(Error::Missing("operation")),
    };
    let grant = authority.grant(caller, entity, privilege);
    grant.map(drop).map_err(|refused| refused.into_error(entity))
}

/// The same operation as far as [`judge`] looks at it.
pub(crate) fn bare(operation: &pb::Operation) -> pb::Operation {
    let kind = operation.operation.as_ref().map(|it| match it {
        Kind::Create(it) => {
            let entity_name = it.entity_name.clone();
            Kind::Create(pb::CreateRequest { entity_name, ..Default::default() })
        }
        Kind::Update(it) => {
            let entity_name = it.entity_name.clone();
            Kind::Update(pb::UpdateRequest { entity_name, ..Default::default() })
        }
        Kind::Upsert(it) => {
            let (entity_name, create_only) = (it.entity_name.clone(), it.create_only);
            Kind::Upsert(pb::UpsertRequest { entity_name, create_only, ..Default::default() })
        }
        Kind::Delete(it) => {
            let entity_name = it.entity_name.clone();
            Kind::Delete(pb::DeleteRequest { entity_name, ..Default::default() })
        }
        Kind::PerformAction(it) => {
            let entity_name = it.entity_name.clone();
            Kind::PerformAction(pb::PerformActionRequest { entity_name, ..Default::default() })
        }
        Kind::Retrieve(it) => {
            let entity_name = it.entity_name.clone();
            Kind::Retrieve(pb::RetrieveRequest { entity_name, ..Default::default() })
        }
    });
    pb::Operation { operation: kind }
}
