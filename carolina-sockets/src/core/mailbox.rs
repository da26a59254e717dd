//! A socket's queue on one channel: one event at a time, in the order of arrival (rule R6).

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_core::future::BoxFuture;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::SocketState;
use crate::{
    engine::{ClientConnection, DisconnectReason, EngineSocket, EventPayload},
    error::EventError,
    identity::Identity,
    telemetry::histogram,
};

/// Resolves the session value of a `session_id` event to an identity.
pub(crate) type Identify =
    Box<dyn FnOnce(Arc<SocketState>, EngineSocket, EventPayload) -> BoxFuture<'static, Result<(), EventError>> + Send>;

/// A unit of work in a socket's queue.
pub(crate) enum Job {
    /// `#[on(connect)]`.
    Connect,
    /// A declared event.
    Event { handler: usize, payload: EventPayload, ack: Option<i64> },
    /// The `session_id` event: the client presents a session value.
    Identify { payload: EventPayload, ack: Option<i64>, resolve: Identify },
    /// An event that is answered with an error, in order.
    Refused { error: Box<EventError>, payload: EventPayload, ack: Option<i64> },
    /// `#[on(disconnect)]`.
    Disconnect { reason: DisconnectReason, left: Box<Left> },
}

/// What a socket was when it left its channel.
pub(crate) struct Left {
    /// The rooms it was in, if there is an `#[on(disconnect)]` to ask.
    pub(crate) rooms: Vec<String>,
    pub(crate) identity: Identity,
}

impl Job {
    /// The event behind the job, and the id of its acknowledgement.
    pub(crate) fn event_and_ack(&self) -> Option<(&EventPayload, Option<i64>)> {
        match self {
            Self::Event { payload, ack, .. }
            | Self::Identify { payload, ack, .. }
            | Self::Refused { payload, ack, .. } => Some((payload, *ack)),
            Self::Connect | Self::Disconnect { .. } => None,
        }
    }

    /// How many bytes of a client's it keeps.
    pub(crate) fn bytes(&self) -> usize {
        self.event_and_ack().map_or(0, |(payload, _)| payload.bytes())
    }
}

/// The bytes of an event that waits or is being handled, counted for its client (`limits.mailbox_bytes`).
pub(crate) struct Held {
    client: Arc<ClientConnection>,
    bytes: usize,
    /// When it began to wait, if that is measured.
    since: Option<std::time::Instant>,
}

impl Held {
    pub(crate) fn new(client: &Arc<ClientConnection>, bytes: usize) -> Self {
        client.handling.add(bytes);
        Self { client: client.clone(), bytes, since: None }
    }

    /// How long it has waited, if that is measured.
    pub(crate) fn waited(&self) -> Option<Duration> {
        self.since.map(|since| since.elapsed())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.client.handling.subtract(self.bytes);
    }
}

/// The result of submitting a job.
pub(crate) enum Submitted {
    /// The caller has to run it now.
    Run(Job),
    /// It is queued.
    Queued,
    /// The queue is full.
    Full(Job),
    /// The socket has left the channel.
    Closed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The client has not received CONNECT yet.
    Joining,
    Open,
    Closed,
}

/// The queue. It allocates nothing while it is empty and idle.
pub(crate) struct Mailbox(Mutex<State>);

struct State {
    phase: Phase,
    /// A task is running the jobs; it checks the queue again before it stops.
    busy: bool,
    /// `#[on(connect)]` has run or is running, so that `#[on(disconnect)]` has to follow.
    entered: bool,
    /// `#[on(connect)]` has finished.
    connected: bool,
    /// The number of `session_id` events that are not resolved yet; later events wait for them.
    resolving: usize,
    /// Handlers that run outside the order.
    concurrent: usize,
    queue: VecDeque<(Job, Held)>,
    /// When the socket left the channel.
    closed_at: Option<Instant>,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self(Mutex::new(State {
            phase: Phase::Joining,
            busy: false,
            entered: false,
            connected: false,
            resolving: 0,
            concurrent: 0,
            queue: VecDeque::new(),
            closed_at: None,
        }))
    }
}

impl State {
    fn push(&mut self, job: Job, client: &Arc<ClientConnection>) {
        let mut held = Held::new(client, job.bytes());
        held.since = histogram::now();
        self.queue.push_back((job, held));
    }
}

impl Mailbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    /// Submits an event.
    pub(crate) fn submit(&self, job: Job, capacity: usize, client: &Arc<ClientConnection>) -> Submitted {
        let mut state = self.state();
        let resolving = usize::from(matches!(job, Job::Identify { .. }));
        let submitted = match state.phase {
            Phase::Closed => Submitted::Closed,
            Phase::Open if !state.busy => {
                state.busy = true;
                Submitted::Run(job)
            }
            Phase::Open | Phase::Joining if state.queue.len() >= capacity => Submitted::Full(job),
            Phase::Open | Phase::Joining => {
                state.push(job, client);
                Submitted::Queued
            }
        };
        if matches!(submitted, Submitted::Run(_) | Submitted::Queued) {
            state.resolving += resolving;
        }
        submitted
    }

    /// Submits an event that need not wait for the others: only for `#[on(connect)]`, and for a `session_id` event that is
    /// not resolved yet.
    pub(crate) fn submit_concurrent(&self, job: Job, capacity: usize, client: &Arc<ClientConnection>) -> Submitted {
        let mut state = self.state();
        if state.phase == Phase::Closed {
            return Submitted::Closed;
        }
        let runs = state.phase == Phase::Open && state.connected && state.resolving == 0;
        // Events in the ordered queue do not count against concurrent ones.
        let before_it = if runs { state.concurrent } else { state.concurrent + state.queue.len() };
        if before_it >= capacity {
            return Submitted::Full(job);
        }
        if runs {
            state.concurrent += 1;
            return Submitted::Run(job);
        }
        state.push(job, client);
        Submitted::Queued
    }

    /// Counts a concurrent handler that starts after waiting in the queue.
    pub(crate) fn begin_concurrent(&self) {
        self.state().concurrent += 1;
    }

    pub(crate) fn end_concurrent(&self) {
        self.state().concurrent -= 1;
    }

    pub(crate) fn end_resolving(&self) {
        self.state().resolving -= 1;
    }

    /// `#[on(connect)]` has finished.
    pub(crate) fn connected(&self) {
        self.state().connected = true;
    }

    /// Opens the mailbox: the caller has to run `#[on(connect)]`, before the events queued meanwhile. `false` if the
    /// client has left.
    pub(crate) fn begin(&self) -> bool {
        let mut state = self.state();
        if state.phase == Phase::Closed {
            return false;
        }
        state.phase = Phase::Open;
        state.busy = true;
        state.entered = true;
        true
    }

    /// The next job, whose bytes count until it is done. After `None` the caller no longer runs the queue.
    ///
    /// What a socket sent before it left is still handled for as long as one handler may take; what has not begun by then
    /// is dropped, so that nothing is kept of a client that is long gone.
    pub(crate) fn next(&self, limit: Duration) -> Option<(Job, Held)> {
        let mut state = self.state();
        if state.closed_at.is_some_and(|at| at.elapsed() > limit) {
            state.queue.retain(|(job, _)| matches!(job, Job::Disconnect { .. }));
        }
        let job = state.queue.pop_front();
        if job.is_none() {
            state.busy = false;
            state.queue.shrink_to(0);
        }
        job
    }

    /// Removes and returns the queued events.
    pub(crate) fn take_events(&self) -> VecDeque<Job> {
        let mut state = self.state();
        let (last, events): (VecDeque<_>, VecDeque<_>) =
            state.queue.drain(..).partition(|(job, _)| matches!(job, Job::Disconnect { .. }));
        state.queue = last;
        events.into_iter().map(|(job, _)| job).collect()
    }

    /// Accepts no further events. `leave`, which removes the socket from its rooms, runs under the same lock. `false`
    /// if it was already closed.
    pub(crate) fn close(&self, leave: impl FnOnce()) -> bool {
        let mut state = self.state();
        if state.phase == Phase::Closed {
            return false;
        }
        state.phase = Phase::Closed;
        state.closed_at = Some(Instant::now());
        leave();
        true
    }

    /// Submits the last job behind all others, whatever the queue holds; `Closed` when the socket never entered.
    pub(crate) fn submit_last(&self, job: Job, client: &Arc<ClientConnection>) -> Submitted {
        let mut state = self.state();
        if !state.entered {
            state.queue.clear();
            return Submitted::Closed;
        }
        if state.busy {
            state.push(job, client);
            return Submitted::Queued;
        }
        state.busy = true;
        Submitted::Run(job)
    }

    /// Runs `act` unless the mailbox is closed, for what must not happen after the socket has left, such as joining a
    /// room. `false` if it is closed.
    pub(crate) fn if_open(&self, act: impl FnOnce()) -> bool {
        let state = self.state();
        if state.phase == Phase::Closed {
            return false;
        }
        act();
        true
    }

    /// Whether no handler runs or waits to run.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.state();
        !state.busy && state.queue.is_empty() && state.concurrent == 0
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().phase == Phase::Closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Job {
        Job::Event { handler: 0, payload: EventPayload::from_text("[\"e\"]"), ack: None }
    }

    #[test]
    fn r6_concurrent_events_do_not_wait_for_room_in_the_order() {
        let (mailbox, client) = (Mailbox::default(), ClientConnection::slow());
        assert!(mailbox.begin());
        mailbox.connected();
        for _ in 0..2 {
            assert!(matches!(mailbox.submit(event(), 2, &client), Submitted::Queued));
        }
        assert!(matches!(mailbox.submit(event(), 2, &client), Submitted::Full(_)));
        for _ in 0..2 {
            assert!(matches!(mailbox.submit_concurrent(event(), 2, &client), Submitted::Run(_)));
        }
        assert!(matches!(mailbox.submit_concurrent(event(), 2, &client), Submitted::Full(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn r6_what_a_client_sent_ends_some_time_after_it() {
        let (mailbox, client) = (Mailbox::default(), ClientConnection::slow());
        assert!(mailbox.begin());
        for _ in 0..2 {
            assert!(matches!(mailbox.submit(event(), 2, &client), Submitted::Queued));
        }
        assert!(!client.handling.try_add(usize::try_from(1_000_000).unwrap()), "what waits is counted");
        mailbox.close(|| {});
        let left = Box::new(Left { rooms: Vec::new(), identity: Identity::anonymous() });
        let last = Job::Disconnect { reason: DisconnectReason::TransportClose, left };
        assert!(matches!(mailbox.submit_last(last, &client), Submitted::Queued));
        let limit = Duration::from_secs(30);
        assert!(matches!(mailbox.next(limit), Some((Job::Event { .. }, _))));
        tokio::time::advance(limit + Duration::from_millis(1)).await;
        assert!(matches!(mailbox.next(limit), Some((Job::Disconnect { .. }, _))), "the other event is dropped");
        assert!(client.handling.try_add(1_000_000), "nothing is counted any more");
    }
}
