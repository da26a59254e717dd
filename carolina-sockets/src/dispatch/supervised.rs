//! Runs a handler with a deadline, and catches its panics (rule R8).

use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Sleep;

use crate::{
    core::{EventFuture, Outcome},
    error::{EventError, code},
};

/// A running handler.
pub(super) struct Supervised<'a> {
    /// `None` once it has panicked or timed out: it must not be polled again.
    future: Option<EventFuture<'a>>,
    limit: Duration,
    /// Created when the handler is first pending: most never are.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<'a> Supervised<'a> {
    pub(super) fn new(future: EventFuture<'a>, limit: Duration) -> Self {
        Self { future: Some(future), limit, deadline: None }
    }
}

impl Future for Supervised<'_> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let this = &mut *self;
        let Some(future) = &mut this.future else { return Poll::Pending };
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Ready(outcome)) => return Poll::Ready(outcome),
            Ok(Poll::Pending) => {}
            Err(panic) => {
                // Dropping the handler's values may panic too.
                let future = this.future.take();
                let _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
                return Poll::Ready(Outcome::Failed(panicked(&*panic)));
            }
        }
        let limit = this.limit;
        let deadline = this.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        deadline.as_mut().poll(context).map(|()| {
            let future = this.future.take();
            let _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
            Outcome::Failed(timed_out(limit))
        })
    }
}

pub(super) fn timed_out(limit: Duration) -> EventError {
    EventError::new(code::TIMEOUT, format!("not done within {}", humantime::format_duration(limit)))
}

/// Calls a handler, which may panic before it has returned its future.
pub(super) fn call<'a>(start: impl FnOnce() -> EventFuture<'a>) -> EventFuture<'a> {
    match catch_unwind(AssertUnwindSafe(start)) {
        Ok(future) => future,
        Err(panic) => {
            let error = panicked(&*panic);
            Box::pin(async move { Outcome::Failed(error) })
        }
    }
}

pub(super) fn panicked(panic: &(dyn Any + Send)) -> EventError {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is not text".to_owned());
    EventError::internal(format!("the handler panicked: {text}"))
}
