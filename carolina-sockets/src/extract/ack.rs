use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use serde::Serialize;
use tokio::sync::Notify;

use super::{EventContext, FromEvent};
use crate::{
    connection::Connection,
    dispatch::{self, Outcome, Reply},
    error::{Error, EventError, Result},
};

/// The event's acknowledgement, for a handler that answers by its own hand: earlier than it returns, or later,
/// from a task.
///
/// One event gets one answer (rule R7). A handler that returns a value has answered with it, unless [`Ack::send`]
/// came first; a handler that returns nothing and has let go of the `Ack` has answered with no argument. An `Ack`
/// that is kept beyond the handler has as long again as the handler may take (its `timeout`, or `limits.handler_timeout`); then the
/// event is answered with the error `timeout`, and if it is dropped before, with `internal`.
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
    hold: Arc<Hold>,
    reply: Reply,
    connection: Arc<Connection>,
    event: String,
}

/// Whose turn it is to answer.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    state: AtomicU8,
    answered: Notify,
}

/// The handler runs and has the [`Ack`].
const HELD: u8 = 0;
/// The answer has been given.
const ANSWERED: u8 = 1;
/// The handler runs and has let go of the [`Ack`].
const DROPPED: u8 = 2;
/// The handler has returned and the [`Ack`] lives on.
const KEPT: u8 = 3;

impl Hold {
    /// Takes the right to answer, if nobody has.
    pub(crate) fn claim(&self) -> bool {
        let first = self.state.swap(ANSWERED, Ordering::AcqRel) != ANSWERED;
        if first {
            self.answered.notify_one();
        }
        first
    }

    /// Ends when somebody has taken the right to answer.
    pub(crate) async fn claimed(&self) {
        self.answered.notified().await;
    }

    /// Whether the handler has returned and the [`Ack`] lives on.
    pub(super) fn is_kept(&self) -> bool {
        self.state.load(Ordering::Acquire) == KEPT
    }

    /// Gives the right back.
    pub(super) fn release(&self) {
        self.state.store(DROPPED, Ordering::Release);
    }

    /// At the handler's end: takes the right to answer if the handler has let go of it; otherwise leaves it with
    /// the [`Ack`].
    pub(super) fn claim_if_dropped(&self) -> bool {
        match self.state.compare_exchange(HELD, KEPT, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) | Err(ANSWERED) => false,
            Err(_) => self.claim(),
        }
    }
}

impl Ack {
    /// Whether the client asked for an acknowledgement. Without, sending one does nothing.
    pub fn is_requested(&self) -> bool {
        self.reply.ack.is_some()
    }

    /// Acknowledges. It is sent at once where the client's buffer has room; otherwise it waits up to
    /// `limits.send_timeout`, whether the future is awaited or not (rule R9).
    ///
    /// # Errors
    ///
    /// [`Error::Acknowledgement`] when the event has been answered already, by a timeout for example;
    /// [`Error::Serialize`] when the value does not serialize, in which case the client receives `internal`;
    /// [`Error::Closed`] and [`Error::SlowReader`] when there is nobody to receive it.
    pub fn send(self, value: impl Serialize) -> impl Future<Output = Result> + Send {
        let outcome = match self.hold.claim() {
            true => Ok(dispatch::acknowledge(&self.reply, &value)),
            false => Err(Error::Acknowledgement("the event has been answered already".to_owned())),
        };
        // Said synchronously, so that a caller that does not wait has answered all the same.
        let settled = match outcome {
            Ok(Outcome::Settled) => Ok(None),
            Ok(outcome) => Ok(Some(self.settle(outcome))),
            Err(error) => Err(error),
        };
        async move {
            match settled? {
                None => Ok(()),
                Some(task) => task.await.unwrap_or(Err(Error::Closed)),
            }
        }
    }

    fn settle(&self, outcome: Outcome) -> tokio::task::JoinHandle<Result> {
        let (connection, reply, event) = (self.connection.clone(), self.reply.clone(), self.event.clone());
        let failed = match &outcome {
            Outcome::Failed(error) => Some(error.internal_text()),
            _ => None,
        };
        self.connection.mount.tasks.spawn(async move {
            let sent = dispatch::settle(&connection, &reply, &event, outcome).await;
            match failed {
                Some(reason) => Err(Error::Serialize { event, reason }),
                None => sent,
            }
        })
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        let state = &self.hold.state;
        if state.compare_exchange(HELD, DROPPED, Ordering::AcqRel, Ordering::Acquire) == Err(KEPT) && self.hold.claim()
        {
            let error = EventError::internal("the acknowledgement was dropped without an answer");
            self.settle(Outcome::Failed(error));
        }
    }
}

impl FromEvent for Ack {
    async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
        Ok(Self {
            hold: context.hold(),
            reply: context.reply(),
            connection: context.connection.clone(),
            event: context.event().to_owned(),
        })
    }
}
