//! Actions of entities (spec virtual-entities §3.11): what can be run besides reading and writing.
//!
//! [`perform`] runs one within an open transaction: it checks what it is given (`parameters`), locks the
//! row that the action is bound to (`row`), and hands over to whoever implements it: a function of the
//! database (`function`), or a service that the ERP's owner writes (`service`).

mod definition;
mod function;
mod parameters;
mod refusal;
mod row;
mod service;

use std::sync::Arc;

use proto::query::v1 as pb;

pub(crate) use definition::Action;
pub use refusal::Refusal;
pub use service::{BusinessLogic, InvalidAddress};

use crate::authority::{Authority, Privilege};
use crate::error::Error;
use crate::grant::{Grants, Refused};
use crate::transaction::Transaction;
use definition::Implementation;
use row::Row;

/// An action that may be run: what it is, by whom, on what.
struct Run<'a> {
    authority: &'a dyn Authority,
    grants: &'a Grants<'a>,
    action: &'a Action,
    /// In the order of their declaration; none for a parameter that is not given.
    parameters: Vec<Option<pb::Value>>,
    /// For an action of a row.
    row: Option<Row>,
}

/// Runs an action as the transaction's caller. After an error the transaction can only be dropped.
pub(crate) async fn perform(
    transaction: &mut Transaction,
    authority: &dyn Authority,
    request: pb::PerformActionRequest,
) -> Result<pb::PerformActionResponse, Error> {
    let entity = request.entity_name.as_str();
    let caller = Arc::clone(transaction.caller());
    let refused = |refused| match refused {
        Refused::Unknown => Error::EntityNotFound(entity.to_owned()),
        Refused::Denied(denied) => Error::Denied(denied),
    };
    let grant = authority.grant(&caller, entity, Privilege::Invoke).map_err(refused)?;
    let binding = grant.shared_binding();
    let action = binding.action(&request.action).ok_or_else(|| Refusal::NotFound {
        entity: entity.to_owned(),
        action: request.action.clone(),
    })?;
    let parameters = parameters::check(action, request.parameters)?;
    let grants = Grants::new(grant, |name| authority.grant(&caller, name, Privilege::Read));
    let row = match (action.is_of_row, request.key) {
        (true, Some(key)) => {
            let is_seen = authority.grant(&caller, entity, Privilege::Read).is_ok();
            Some(Row::lock(transaction, &grants, key, is_seen && action.is_of_service()).await?)
        }
        (true, None) => return Err(Error::Missing("key")),
        (false, None) => None,
        (false, Some(_)) => {
            let message = format!("the action `{}` does not run on a row", action.name);
            return Err(Error::InvalidQuery(message));
        }
    };
    let run = Run { authority, grants: &grants, action, parameters, row };
    let result = match &action.implementation {
        Implementation::Function { function } => function::call(transaction, run, function).await?,
        Implementation::Service { name } => service::call(transaction, run, name).await?,
    };
    Ok(pb::PerformActionResponse { result })
}
