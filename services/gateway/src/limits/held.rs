//! An answer that is given for as long as its request goes on.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Bytes, HttpBody};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;

use super::Turn;

/// A body. The turn ends with it, whether it was read or not.
#[derive(Debug)]
pub(crate) struct Held<E> {
    body: UnsyncBoxBody<Bytes, E>,
    turn: Option<Turn>,
}

impl<E> Held<E> {
    pub(crate) fn new<B>(body: B, turn: Turn) -> Self
    where
        B: HttpBody<Data = Bytes, Error = E> + Send + 'static,
    {
        Self { body: body.boxed_unsync(), turn: Some(turn) }
    }
}

impl<E> HttpBody for Held<E> {
    type Data = Bytes;
    type Error = E;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, E>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(None) = &frame {
            self.turn = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
