//! Operations by the names that people use.

use proto::user_context::v1::Operation;

use crate::cli::OperationName;

impl From<OperationName> for Operation {
    fn from(name: OperationName) -> Self {
        match name {
            OperationName::Read => Self::Read,
            OperationName::Create => Self::Create,
            OperationName::Update => Self::Update,
            OperationName::Delete => Self::Delete,
            OperationName::Invoke => Self::Invoke,
        }
    }
}

pub(super) fn name(operation: Operation) -> &'static str {
    match operation {
        Operation::Read => "read",
        Operation::Create => "create",
        Operation::Update => "update",
        Operation::Delete => "delete",
        Operation::Invoke => "invoke",
        Operation::Unspecified => "?",
    }
}
