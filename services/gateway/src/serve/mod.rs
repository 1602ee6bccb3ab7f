//! One file per kind of answer: ask the provider, put its rows into an answer.

mod collection;
mod conversion;
mod discovery;
mod explain;
mod fetch;
mod fetch_cookie;
mod functions;
mod page;
mod path;
mod record;
mod references;
mod update;

pub(crate) use collection::{collection, count, references};
pub(crate) use conversion::{fetch_xml_to_query_expression, query_expression_to_fetch_xml};
pub(crate) use discovery::discovery;
pub(crate) use fetch::{document, fetch};
pub(crate) use fetch_cookie::read as read_cookie;
pub(crate) use functions::{
    retrieve_current_organization, retrieve_total_record_count, retrieve_version, service_document,
    who_am_i,
};
pub(crate) use path::{Target, walk};
pub(crate) use record::{property, record, reference};
pub(crate) use update::update;
