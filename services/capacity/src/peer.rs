//! Asking other services.

use std::time::Duration;

use tonic::{Request, Response, Status};

/// The answer, or DEADLINE_EXCEEDED.
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
    call(request).await.map(Response::into_inner)
}
