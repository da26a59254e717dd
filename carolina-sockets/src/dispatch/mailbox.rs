//! A socket's queue on one channel: one event at a time, in the order of arrival (rule R6).

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
};

use socketioxide_core::Value;

use crate::{DisconnectReason, error::EventError};

/// Something to be done in a socket's order.
pub(crate) enum Job {
    /// `#[on(connect)]`.
    Connect,
    /// A declared event.
    Event { handler: usize, payload: Value, ack: Option<i64> },
    /// The client says who it is.
    SessionId { payload: Value, ack: Option<i64> },
    /// An event that is answered with an error, in its turn.
    Refused { error: Box<EventError>, payload: Value, ack: Option<i64> },
    /// `#[on(disconnect)]`.
    Disconnect { reason: DisconnectReason, rooms: Vec<String> },
}

/// What became of a job that was handed in.
pub(crate) enum Ticket {
    /// It is the caller's to run, now.
    Run(Job),
    /// It waits its turn.
    Queued,
    /// The queue is full.
    Full(Job),
    /// The socket has left the channel.
    Closed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The client is not in yet, or `#[on(connect)]` has not been queued.
    Arming,
    Open,
    Closed,
}

/// The queue. Empty and idle it holds no memory of its own.
pub(crate) struct Mailbox(Mutex<State>);

struct State {
    phase: Phase,
    /// Somebody runs the jobs; whoever it is looks into the queue before it stops.
    busy: bool,
    /// `#[on(connect)]` has run or is running, so that `#[on(disconnect)]` has to follow.
    entered: bool,
    /// `#[on(connect)]` has finished.
    connected: bool,
    /// `session_id` events that are not resolved yet; nothing overtakes them.
    resolving: usize,
    /// Handlers that run outside the order.
    concurrent: usize,
    queue: VecDeque<Job>,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self(Mutex::new(State {
            phase: Phase::Arming,
            busy: false,
            entered: false,
            connected: false,
            resolving: 0,
            concurrent: 0,
            queue: VecDeque::new(),
        }))
    }
}

impl Mailbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic happens under this lock")
    }

    /// Hands in an event.
    pub(crate) fn submit(&self, job: Job, capacity: usize) -> Ticket {
        let mut state = self.state();
        let resolving = usize::from(matches!(job, Job::SessionId { .. }));
        let ticket = match state.phase {
            Phase::Closed => Ticket::Closed,
            Phase::Open if !state.busy => {
                state.busy = true;
                Ticket::Run(job)
            }
            Phase::Open | Phase::Arming if state.queue.len() >= capacity => Ticket::Full(job),
            Phase::Open | Phase::Arming => {
                state.queue.push_back(job);
                Ticket::Queued
            }
        };
        if matches!(ticket, Ticket::Run(_) | Ticket::Queued) {
            state.resolving += resolving;
        }
        ticket
    }

    /// Hands in an event that need not wait for the others: only for `#[on(connect)]`, and for a client's word on
    /// who it is.
    pub(crate) fn submit_concurrent(&self, job: Job, capacity: usize) -> Ticket {
        let mut state = self.state();
        if state.phase == Phase::Closed {
            return Ticket::Closed;
        }
        let runs = state.phase == Phase::Open && state.connected && state.resolving == 0;
        // Outside the order it does not matter how many wait within.
        let before_it = if runs { state.concurrent } else { state.concurrent + state.queue.len() };
        if before_it >= capacity {
            return Ticket::Full(job);
        }
        if runs {
            state.concurrent += 1;
            return Ticket::Run(job);
        }
        state.queue.push_back(job);
        Ticket::Queued
    }

    /// A concurrent handler that had to wait in the queue starts.
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

    /// Opens the queue: `#[on(connect)]` is the caller's to run, before all that came since the socket was armed.
    /// `false` when the client has left already.
    pub(crate) fn open(&self) -> bool {
        let mut state = self.state();
        if state.phase == Phase::Closed {
            return false;
        }
        state.phase = Phase::Open;
        state.busy = true;
        state.entered = true;
        true
    }

    /// The next job; `None` gives the running up.
    pub(crate) fn next(&self) -> Option<Job> {
        let mut state = self.state();
        let job = state.queue.pop_front();
        if job.is_none() {
            state.busy = false;
            state.queue.shrink_to(0);
        }
        job
    }

    /// Takes the events out that wait.
    pub(crate) fn take_events(&self) -> VecDeque<Job> {
        let mut state = self.state();
        let (last, events) = state.queue.drain(..).partition(|job| matches!(job, Job::Disconnect { .. }));
        state.queue = last;
        events
    }

    /// Takes no further event. Under the same lock, `leave` takes the socket out of its rooms. `false` when it was
    /// closed before.
    pub(crate) fn close(&self, leave: impl FnOnce()) -> bool {
        let mut state = self.state();
        if state.phase == Phase::Closed {
            return false;
        }
        state.phase = Phase::Closed;
        leave();
        true
    }

    /// Hands in the last job behind all others, whatever the queue holds; `Closed` when the socket never entered.
    pub(crate) fn submit_last(&self, job: Job) -> Ticket {
        let mut state = self.state();
        if !state.entered {
            state.queue.clear();
            return Ticket::Closed;
        }
        if state.busy {
            state.queue.push_back(job);
            return Ticket::Queued;
        }
        state.busy = true;
        Ticket::Run(job)
    }

    /// Does something that must not happen to a socket that has left, such as joining a room. `false` when it has.
    pub(crate) fn unless_closed(&self, act: impl FnOnce()) -> bool {
        let state = self.state();
        if state.phase == Phase::Closed {
            return false;
        }
        act();
        true
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().phase == Phase::Closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Job {
        Job::Event { handler: 0, payload: Value::Str("[\"e\"]".into(), None), ack: None }
    }

    #[test]
    fn r6_concurrent_events_do_not_wait_for_room_in_the_order() {
        let mailbox = Mailbox::default();
        assert!(mailbox.open());
        mailbox.connected();
        for _ in 0..2 {
            assert!(matches!(mailbox.submit(event(), 2), Ticket::Queued));
        }
        assert!(matches!(mailbox.submit(event(), 2), Ticket::Full(_)));
        for _ in 0..2 {
            assert!(matches!(mailbox.submit_concurrent(event(), 2), Ticket::Run(_)));
        }
        assert!(matches!(mailbox.submit_concurrent(event(), 2), Ticket::Full(_)));
    }
}
