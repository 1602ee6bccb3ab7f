//! Members of the contract's enums as the store writes them: their names without the prefix, in lower case.

use proto::lifecycle::v1::{
    AddInInstallationState, DualWriteStatus, FailureKind, FinanceAndOperationsEnvironmentState,
    FinanceAndOperationsEnvironmentType, OperationKind, OperationStage, OperationState,
    PlatformEnvironmentState, PlatformEnvironmentType, Prerequisite,
};
use rpc::ErrorReason;

/// An enum whose members have words.
pub(crate) trait Word: Copy + Sized {
    /// `validating` of `OPERATION_STAGE_VALIDATING`.
    fn word(self) -> String;

    /// The member of a word; `None` for one that there is not.
    fn of_word(word: &str) -> Option<Self>;
}

macro_rules! words {
    ($($enumeration:ty = $prefix:literal),* $(,)?) => {$(
        impl Word for $enumeration {
            fn word(self) -> String {
                let name = self.as_str_name();
                name.strip_prefix($prefix).unwrap_or(name).to_ascii_lowercase()
            }

            fn of_word(word: &str) -> Option<Self> {
                Self::from_str_name(&format!("{}{}", $prefix, word.to_ascii_uppercase()))
            }
        }
    )*};
}

words! {
    AddInInstallationState = "ADD_IN_INSTALLATION_STATE_",
    DualWriteStatus = "DUAL_WRITE_STATUS_",
    ErrorReason = "ERROR_REASON_",
    FailureKind = "FAILURE_KIND_",
    FinanceAndOperationsEnvironmentState = "FINANCE_AND_OPERATIONS_ENVIRONMENT_STATE_",
    FinanceAndOperationsEnvironmentType = "FINANCE_AND_OPERATIONS_ENVIRONMENT_TYPE_",
    OperationKind = "OPERATION_KIND_",
    OperationStage = "OPERATION_STAGE_",
    OperationState = "OPERATION_STATE_",
    PlatformEnvironmentState = "PLATFORM_ENVIRONMENT_STATE_",
    PlatformEnvironmentType = "PLATFORM_ENVIRONMENT_TYPE_",
    Prerequisite = "PREREQUISITE_",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_as_it_was_written() {
        assert_eq!(OperationStage::LinkingRuntime.word(), "linking_runtime");
        assert_eq!(
            OperationStage::of_word("linking_runtime"),
            Some(OperationStage::LinkingRuntime)
        );
        assert_eq!(OperationStage::of_word("linking"), None);
    }
}
