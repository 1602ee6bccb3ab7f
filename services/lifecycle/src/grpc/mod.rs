//! The wire: handlers convert, call and convert.

mod add_ins;
mod finance_and_operations;
mod meter;
mod operations;
mod platform;
mod settings;
mod setup;

pub(crate) use add_ins::AddIns;
pub(crate) use finance_and_operations::FinanceAndOperationsEnvironments;
pub(crate) use meter::Meter;
pub(crate) use operations::Operations;
pub(crate) use platform::PlatformEnvironments;
pub(crate) use setup::Setup;
