use std::{future::Future, sync::Arc};

use serde::Serialize;

use super::{EventContext, FromEvent};
use crate::{
    core::{AckState, Outcome, Reply, SocketState, acknowledge, deliver},
    error::{Error, EventError, Result},
};

/// The event's acknowledgement, for a handler that sends it itself: before it returns, or later, from a task.
///
/// One event gets one answer (rule R7). A handler that returns a value has answered with it, unless [`Ack::send`] came
/// first; a handler that returns nothing and has dropped the `Ack` has answered with no argument. An `Ack` that is kept
/// after the handler has returned has another timeout of the same length (its `timeout`, or `limits.handler_timeout`);
/// after that the event is answered with the error `timeout`; if the `Ack` is dropped before, with `internal`.
///
/// ```
/// use carolina_sockets::prelude::*;
///
/// #[channel("/reports")]
/// #[derive(Default)]
/// struct Reports;
///
/// #[channel]
/// impl Reports {
///     #[on("build")]
///     async fn build(&self, ack: Ack) {
///         tokio::spawn(async move {
///             let report = "…".to_owned();
///             let _ = ack.send(&report).await;
///         });
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Ack {
    state: Arc<AckState>,
    reply: Reply,
    socket: Arc<SocketState>,
    event: String,
}

impl Ack {
    /// Whether the client asked for an acknowledgement. If it did not, [`send`](Self::send) sends nothing and succeeds.
    pub fn is_requested(&self) -> bool {
        self.reply.ack.is_some()
    }

    /// Sends the acknowledgement: at once if the client's buffer has room, otherwise after waiting up to
    /// `limits.send_timeout`, whether or not the future is awaited (rule R9).
    ///
    /// # Errors
    ///
    /// [`Error::Acknowledgement`] when the event has been answered already, by a timeout for example;
    /// [`Error::Serialize`] when the value does not serialize, in which case the client receives `internal`;
    /// [`Error::Closed`] and [`Error::SlowReader`] when the client is gone or does not read.
    pub fn send(self, value: impl Serialize) -> impl Future<Output = Result> + Send {
        // Synchronously, so that the event is answered even if the caller does not await the future.
        let sent = if self.state.claim() {
            match acknowledge(&self.reply, &value) {
                Outcome::Done => Ok(None),
                outcome => Ok(Some(self.deliver_in_task(outcome))),
            }
        } else {
            Err(Error::Acknowledgement("the event has been answered already".into()))
        };
        async move {
            match sent? {
                None => Ok(()),
                Some(task) => task.await.unwrap_or(Err(Error::Closed)),
            }
        }
    }

    fn deliver_in_task(&self, outcome: Outcome) -> tokio::task::JoinHandle<Result> {
        let (socket, reply, event) = (self.socket.clone(), self.reply.clone(), self.event.clone());
        let failed = match &outcome {
            Outcome::Failed(error) => Some(error.internal_text()),
            _ => None,
        };
        self.socket.channel.tasks.spawn(async move {
            let sent = deliver(&socket, &reply, &event, outcome).await;
            match failed {
                Some(reason) => Err(Error::Serialize { event, reason: reason.into() }),
                None => sent,
            }
        })
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        if self.state.claim_on_drop() {
            let error = EventError::internal("the acknowledgement was dropped without an answer");
            self.deliver_in_task(Outcome::Failed(error));
        }
    }
}

impl FromEvent for Ack {
    async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
        Ok(Self {
            state: context.take_ack(),
            reply: context.reply(),
            socket: context.socket.clone(),
            event: context.event().to_owned(),
        })
    }
}
