//! The Web API's surface: routes, headers, who is calling, and errors in the platform's shape.

mod ask;
mod batch;
mod dispatch;
mod errors;
mod listener;
mod prefer;
mod respond;
mod routes;

pub(crate) use ask::{Ask, origin, token};
pub(crate) use errors::message;
pub use listener::serve_http;
pub(crate) use prefer::{Annotations, Preferences};
pub(crate) use respond::{Response, json, no_content, not_modified, plain, quoted, stream};
pub(crate) use routes::{answer_as, router};
