//! The one answer to each event (rules R7 and R8): an acknowledgement, or an `exception` if none was requested. This
//! module decides what it is: the value that the handler returns, what the handler sends through `Ack`, a timeout or an
//! error.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use serde::Serialize;
use tokio::sync::Notify;

use super::SocketState;
use crate::{
    engine::{DisconnectReason, EncodedPayload, EngineSocket, EventPayload, NoArguments, SendError, SocketId},
    error::{EventError, Result, Source, code},
    telemetry::metric,
};

/// The result of a handler.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing is left to send.
    Done,
    /// The event failed, and the client has to be notified.
    Failed(EventError),
    /// The acknowledgement is encoded, but the client's buffer had no room for it.
    Waiting(EncodedPayload),
}

/// Where the answer to an event goes.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) raw: EngineSocket,
    pub(crate) ack: Option<i64>,
}

#[derive(Serialize)]
struct Failure<'a> {
    error: &'a EventError,
}

#[derive(Serialize)]
struct Exception<'a> {
    #[serde(flatten)]
    error: &'a EventError,
    event: &'a str,
}

impl Reply {
    fn try_fail(&self, error: &EventError, event: &str) -> std::result::Result<(), SendError> {
        if self.ack.is_some() {
            self.raw.acknowledge(self.ack, &Failure { error })
        } else {
            self.raw.emit_plain("exception", &Exception { error, event })
        }
    }
}

/// Decides who may answer an event whose handler took the acknowledgement.
#[derive(Debug, Default)]
pub(crate) struct AckState {
    state: AtomicU8,
    answered: Notify,
}

/// The handler runs and holds the acknowledgement.
const HELD: u8 = 0;
/// The answer has been given.
const ANSWERED: u8 = 1;
/// The handler runs and has dropped the acknowledgement.
const DROPPED: u8 = 2;
/// The handler has returned and the acknowledgement is still held, by a task for example.
const KEPT: u8 = 3;

impl AckState {
    /// Takes the right to answer; `false` if it was taken before.
    pub(crate) fn claim(&self) -> bool {
        let first = self.state.swap(ANSWERED, Ordering::AcqRel) != ANSWERED;
        if first {
            self.answered.notify_one();
        }
        first
    }

    /// Waits until the right to answer has been taken.
    pub(crate) async fn claimed(&self) {
        self.answered.notified().await;
    }

    /// Whether the handler has returned and the acknowledgement is still held.
    fn is_kept(&self) -> bool {
        self.state.load(Ordering::Acquire) == KEPT
    }

    /// Gives the right back.
    fn release(&self) {
        self.state.store(DROPPED, Ordering::Release);
    }

    /// When the handler returns: takes the right to answer if the acknowledgement was dropped; otherwise leaves it to
    /// the holder.
    fn claim_if_dropped(&self) -> bool {
        match self.state.compare_exchange(HELD, KEPT, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) | Err(ANSWERED) => false,
            Err(_) => self.claim(),
        }
    }

    /// When the acknowledgement is dropped: whether the event has to be answered now, as its handler has returned.
    pub(crate) fn claim_on_drop(&self) -> bool {
        let dropped = self.state.compare_exchange(HELD, DROPPED, Ordering::AcqRel, Ordering::Acquire);
        dropped == Err(KEPT) && self.claim()
    }
}

/// Decides between the value that a handler returns and the acknowledgement that it may have taken.
#[derive(Debug, Default)]
pub(crate) struct AnswerState {
    taken: Option<Arc<AckState>>,
}

impl AnswerState {
    /// The handler takes the acknowledgement.
    pub(crate) fn take(&mut self) -> Arc<AckState> {
        self.taken.get_or_insert_with(Arc::default).clone()
    }

    /// Acknowledges with what the handler returned, unless it has answered through `Ack`.
    pub(crate) fn returned<T: Serialize + ?Sized>(&self, reply: &Reply, event: &str, value: &T) -> Outcome {
        if self.taken.as_ref().is_some_and(|state| !state.claim()) {
            tracing::debug!(event, "the handler had already answered; its return value is dropped");
            return Outcome::Done;
        }
        let outcome = acknowledge(reply, value);
        if let (Outcome::Failed(_), Some(state)) = (&outcome, &self.taken) {
            state.release();
        }
        outcome
    }

    /// Acknowledges with no argument. A handler that took the acknowledgement and still holds it answers later.
    pub(crate) fn returned_nothing(&self, reply: &Reply) -> Outcome {
        match &self.taken {
            Some(state) if !state.claim_if_dropped() => Outcome::Done,
            _ => acknowledge_nothing(reply),
        }
    }

    /// The acknowledgement, if the handler has returned and it is still held.
    pub(crate) fn kept(&self) -> Option<Arc<AckState>> {
        self.taken.clone().filter(|state| state.is_kept())
    }

    /// The part of an outcome that is still to be sent. A failure after the answer has been given is logged.
    pub(crate) fn claim(&self, outcome: Outcome, channel: &str, event: &str) -> Option<Outcome> {
        match (outcome, &self.taken) {
            (Outcome::Done, _) => None,
            (Outcome::Failed(error), Some(state)) if !state.claim() => {
                let error = error.internal_text();
                tracing::warn!(channel, event, %error, "a handler failed after it had answered");
                None
            }
            (outcome, _) => Some(outcome),
        }
    }
}

/// Acknowledges with no argument.
pub(crate) fn acknowledge_nothing(reply: &Reply) -> Outcome {
    acknowledge(reply, &NoArguments)
}

/// Acknowledges at once if there is room; otherwise encodes the value to be sent later.
pub(crate) fn acknowledge<T: Serialize + ?Sized>(reply: &Reply, value: &T) -> Outcome {
    if reply.ack.is_none() {
        return Outcome::Done;
    }
    let unwritable = |error: Source| {
        Outcome::Failed(EventError::internal(format!("the returned value does not serialize: {error}")))
    };
    match reply.raw.acknowledge(reply.ack, value) {
        Ok(()) | Err(SendError::Closed) => Outcome::Done,
        Err(SendError::Serialize(error)) => unwritable(error),
        Err(SendError::Full) => EncodedPayload::answer(value).map_or_else(unwritable, Outcome::Waiting),
    }
}

/// Sends an outcome to the client, waiting for room in its buffer if necessary.
///
/// # Errors
///
/// When it is not delivered: the client has left or does not read, which has been logged.
pub(crate) async fn deliver(socket: &Arc<SocketState>, reply: &Reply, event: &str, outcome: Outcome) -> Result {
    let (raw, channel) = (&reply.raw, &socket.channel);
    let sent = match outcome {
        Outcome::Done => return Ok(()),
        Outcome::Waiting(value) => {
            let namespace = channel.namespace()?;
            socket.send_when_room(raw, || namespace.acknowledge(raw, reply.ack, &value), event).await
        }
        Outcome::Failed(error) => {
            let error = to_client_error(error, channel.label(), socket.id, event);
            socket.send_when_room(raw, || reply.try_fail(&error, event), event).await
        }
    };
    if let Err(error) = &sent {
        tracing::debug!(channel = %channel.path, socket = %socket.id, event, %error, "an answer was not delivered");
    }
    sent
}

/// How many characters of an event's name a refusal repeats.
const LONGEST_NAME: usize = 128;

/// Answers an event that does not enter the mailbox. If the client's buffer is full, the answer waits beside it, so that
/// the reader of packets does not have to.
pub(crate) fn refuse(
    socket: &Arc<SocketState>,
    raw: &EngineSocket,
    payload: &EventPayload,
    ack: Option<i64>,
    error: EventError,
) {
    // A client that has been told of the end of the server is still answered until its connection is closed.
    if socket.mailbox.is_closed() && !socket.client.is_leaving() {
        return;
    }
    // A name that is longer than any that is declared need not be kept in full while the answer waits.
    let event: String = payload.event_name().unwrap_or_default().chars().take(LONGEST_NAME).collect();
    let reply = Reply { raw: raw.clone(), ack };
    let error = to_client_error(error, socket.channel.label(), socket.id, &event);
    match reply.try_fail(&error, &event) {
        Err(SendError::Full) => {}
        _ => return,
    }
    if !socket.begin_waiting() {
        return super::end(socket, raw, DisconnectReason::Flooding);
    }
    let socket = socket.clone();
    socket.channel.tasks.clone().spawn(async move {
        // An error here means that the socket is gone, and has been logged.
        let _ = socket.send_when_room(&reply.raw, || reply.try_fail(&error, &event), &event).await;
        socket.end_waiting();
    });
}

/// The error as the client may see it: an internal error is logged in full, and the client gets a reference to the log
/// entry.
pub(crate) fn to_client_error(error: EventError, channel: &str, socket: SocketId, event: &str) -> EventError {
    let event: String = event.chars().take(64).collect();
    metric::failure(channel, code::for_metrics(error.code()));
    if !error.is_hidden() {
        tracing::debug!(channel, %socket, event, %error, "an event failed");
        return error;
    }
    let reference = format!("{:016x}", rand::random::<u64>());
    tracing::error!(channel, event, reference, error = %error.internal_text(), "an event failed unexpectedly");
    error.with_reference(&reference)
}
