//! Asking other services.

use std::time::Duration;

use tonic::{Code, Request, Response, Status};

/// The answer, or DEADLINE_EXCEEDED, whatever the other side makes of the deadline.
pub(crate) async fn within<T, A, F>(
    timeout: Duration,
    message: T,
    call: impl FnOnce(Request<T>) -> F,
) -> Result<A, Status>
where
    F: Future<Output = Result<Response<A>, Status>>,
{
    let mut request = Request::new(message);
    request.set_timeout(timeout);
    match tokio::time::timeout(timeout, call(request)).await {
        Ok(answer) => answer.map(Response::into_inner),
        Err(_) => Err(Status::new(Code::DeadlineExceeded, "no answer in time")),
    }
}
