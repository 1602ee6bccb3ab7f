//! One file per kind of answer: ask the provider, put its rows into an answer. `write` has requests that
//! write executed, and `written` answers them.

mod action;
mod background;
mod bulk_delete;
mod changes;
mod collection;
mod conversion;
mod discovery;
mod dual_write;
mod explain;
mod fetch;
mod fetch_cookie;
mod functions;
mod page;
mod path;
mod record;
mod references;
mod write;
mod written;

pub(crate) use action::RESULT;
pub(crate) use background::{Background, background_operation, in_background, renew_leases};
pub(crate) use bulk_delete::{Jobs, bulk_delete};
pub(crate) use changes::{changes, changes_count, concerns_changes};
pub(crate) use collection::{collection, count, references};
pub(crate) use conversion::{fetch_xml_to_query_expression, query_expression_to_fetch_xml};
pub(crate) use discovery::discovery;
pub(crate) use dual_write::{DualWriteCall, dual_write_action, dual_write_function};
pub(crate) use fetch::{Document, document, fetch};
pub(crate) use fetch_cookie::read as read_cookie;
pub(crate) use functions::{
    retrieve_current_organization, retrieve_integration_details, retrieve_total_record_count,
    retrieve_version, service_document, who_am_i,
};
pub(crate) use page::CutOff;
pub(crate) use path::{Target, walk};
pub(crate) use record::{property, record, reference};
pub(crate) use write::{execute, write};
pub(crate) use written::written;
