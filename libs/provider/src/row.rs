//! From PostgreSQL's binary rows to what callers read, without a value in between.

mod columns;
mod decode;
mod format;
mod json;
mod label;
mod position;
mod reader;
mod value;

pub(crate) use columns::ColumnWriter;
pub(crate) use json::JsonWriter;
pub(crate) use position::position;
pub(crate) use reader::{Label, Reader};
pub(crate) use value::value;
