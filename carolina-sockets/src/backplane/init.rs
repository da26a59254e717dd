use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::future::BoxFuture;
use socketioxide_core::adapter::Spawnable;

use super::BackplaneError;

/// The future that waits until a namespace's backplane is ready.
pub(crate) struct Initializing(Option<BoxFuture<'static, Result<(), BackplaneError>>>);

impl Initializing {
    pub(super) fn ready() -> Self {
        Self(None)
    }

    #[allow(dead_code, reason = "a process that is alone is ready at once")]
    pub(super) fn of(future: impl Future<Output = Result<(), BackplaneError>> + Send + 'static) -> Self {
        Self(Some(Box::pin(future)))
    }
}

impl Future for Initializing {
    type Output = Result<(), BackplaneError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().map_or(Poll::Ready(Ok(())), |future| future.as_mut().poll(context))
    }
}

impl Spawnable for Initializing {
    fn spawn(self) {
        if let Some(future) = self.0 {
            tokio::spawn(future);
        }
    }
}
