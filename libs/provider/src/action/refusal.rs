//! Why an action was not run, where it is not the reason of any other operation.

use rpc::{ErrorReason, status, unavailable};
use tonic::{Code, Status};

/// What stands in the way of an action.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The entity has no such action.
    #[error("`{entity}` has no action `{action}`")]
    NotFound {
        /// External name.
        entity: String,
        /// As asked for.
        action: String,
    },
    /// A parameter is not what the action takes.
    #[error("the parameter `{name}` {detail}")]
    Parameter {
        /// Of the parameter.
        name: String,
        /// What is wrong with it.
        detail: String,
    },
    /// Whoever implements the action refuses; the text is its own.
    #[error("{0}")]
    Rule(String),
    /// The model names a business-logic service that the adapter is not configured with.
    #[error("the business-logic service `{0}` is not configured; see docs/configuration.md")]
    ServiceUnknown(String),
    /// The business-logic service cannot be reached.
    #[error("the business-logic service `{0}` does not answer; try again later")]
    ServiceUnavailable(String),
    /// The business-logic service did not do as it should.
    #[error("the business-logic service `{0}` failed")]
    ServiceFailed(String),
    /// The function is not one that an action can call.
    #[error("the function of the action `{action}` is not what the model says; correct either")]
    Function {
        /// Its action.
        action: String,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// The action returned what is not of its type.
    #[error("the action `{action}` returned what is not {expected}")]
    Result {
        /// Its name.
        action: String,
        /// What would be.
        expected: &'static str,
    },
}

impl Refusal {
    /// As a status of the service `domain`. Logs what the caller must not be told.
    pub(crate) fn into_status(self, domain: &str, entity: &str) -> Status {
        let message = self.to_string();
        let entity = ("entity", entity);
        let precondition = Code::FailedPrecondition;
        match self {
            Self::NotFound { action, .. } => {
                let metadata = [entity, ("action", action.as_str())];
                status(Code::NotFound, domain, ErrorReason::ActionNotFound, message, metadata)
            }
            Self::Parameter { name, .. } => {
                let metadata = [entity, ("column", name.as_str())];
                status(Code::InvalidArgument, domain, ErrorReason::InvalidValue, message, metadata)
            }
            Self::Rule(_) => {
                status(precondition, domain, ErrorReason::BusinessRule, message, [entity])
            }
            Self::ServiceUnavailable(_) => {
                unavailable(domain, ErrorReason::PeerUnavailable, message)
            }
            Self::ServiceUnknown(_) | Self::Result { .. } => {
                tracing::error!(domain, entity = entity.1, "{message}");
                status(precondition, domain, ErrorReason::InvalidModel, message, [entity])
            }
            Self::Function { source, .. } => {
                tracing::error!(domain, entity = entity.1, error = %source, "{message}");
                status(precondition, domain, ErrorReason::InvalidModel, message, [entity])
            }
            Self::ServiceFailed(_) => {
                status(Code::Internal, domain, ErrorReason::StoreFailed, message, [entity])
            }
        }
    }
}
