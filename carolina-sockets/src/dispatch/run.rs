//! Runs a socket's jobs: in place as long as they need not wait, in a task of their own from there on.

use std::{
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use socketioxide_core::Value;

use super::{
    Job, Outcome, Reply, Ticket, event_name, guarded,
    outcome::{refuse, settle},
};
use crate::{
    DisconnectReason,
    backplane::RawSocket,
    connection::Connection,
    error::EventError,
    extract::{EventContext, Hold, Moment},
    guard::{Cause, refused},
    namespace::Handler,
    private::BoxFuture,
};

/// Hands an event to the socket's mailbox, and runs it here and now if the socket is idle.
pub(super) fn submit(connection: &Arc<Connection>, raw: &Arc<RawSocket>, job: Job) {
    let capacity = connection.mount.limits.mailbox;
    if connection.mount.is_draining() {
        if let Some((payload, ack)) = job.origin() {
            refuse(connection, raw, payload, ack, overloaded("the server is shutting down"));
        }
        return;
    }
    let concurrent = matches!(&job, Job::Event { handler, .. } if connection.mount.handlers[*handler].concurrent());
    let ticket = match concurrent {
        true => connection.mailbox.submit_concurrent(job, capacity),
        false => connection.mailbox.submit(job, capacity),
    };
    match ticket {
        Ticket::Run(job) if concurrent => start_concurrent(connection, raw, job),
        Ticket::Run(job) => start(connection, raw, job),
        Ticket::Queued | Ticket::Closed => {}
        Ticket::Full(job) => {
            refused(
                Cause::Overloaded,
                &format!("events on `{}`: a mailbox is full (limits.mailbox)", connection.mount.path),
            );
            if let Some((payload, ack)) = job.origin() {
                refuse(connection, raw, payload, ack, overloaded("too many events are waiting"));
            }
        }
    }
}

/// Hands in the last job, behind all that wait.
pub(super) fn submit_last(connection: &Arc<Connection>, raw: &Arc<RawSocket>, job: Job) {
    if let Ticket::Run(job) = connection.mailbox.submit_last(job) {
        start(connection, raw, job);
    }
}

/// Lets a socket's events in, `#[on(connect)]` first.
pub(crate) fn open(connection: &Arc<Connection>, raw: &Arc<RawSocket>) {
    tracing::trace!(channel = %connection.mount.path, socket = %connection.sid, "connected");
    if connection.mailbox.open() {
        start(connection, raw, Job::Connect);
    }
}

fn overloaded(message: &'static str) -> EventError {
    EventError::new("overloaded", message)
}

/// Polls a job once where it stands. Most are done then; what waits goes on in a task.
fn start(connection: &Arc<Connection>, raw: &Arc<RawSocket>, job: Job) {
    let mut running = run(connection.clone(), raw.clone(), job);
    if running.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
        let (connection, raw) = (connection.clone(), raw.clone());
        connection.mount.tasks.clone().spawn(async move {
            running.await;
            drain(connection, raw).await;
        });
    } else if let Some(job) = connection.mailbox.next() {
        // More came in meanwhile, from another thread. It is not this caller's turn to work through it.
        let (connection, raw) = (connection.clone(), raw.clone());
        connection.mount.tasks.clone().spawn(async move {
            run(connection.clone(), raw.clone(), job).await;
            drain(connection, raw).await;
        });
    }
}

async fn drain(connection: Arc<Connection>, raw: Arc<RawSocket>) {
    while let Some(job) = connection.mailbox.next() {
        match &job {
            Job::Event { handler, .. } if connection.mount.handlers[*handler].concurrent() => {
                connection.mailbox.begin_concurrent();
                start_concurrent(&connection, &raw, job);
            }
            _ => run(connection.clone(), raw.clone(), job).await,
        }
        // A long queue of handlers that never wait must not keep the thread to itself.
        tokio::task::coop::consume_budget().await;
    }
}

fn start_concurrent(connection: &Arc<Connection>, raw: &Arc<RawSocket>, job: Job) {
    let mut running = run(connection.clone(), raw.clone(), job);
    if running.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
        return connection.mailbox.end_concurrent();
    }
    let connection = connection.clone();
    connection.mount.tasks.clone().spawn(async move {
        running.await;
        connection.mailbox.end_concurrent();
    });
}

fn run(connection: Arc<Connection>, raw: Arc<RawSocket>, job: Job) -> BoxFuture<'static, ()> {
    match job {
        Job::Event { handler, payload, ack } => {
            let context = EventContext::new(raw, connection.clone(), Moment::Event { payload, ack });
            Box::pin(event(connection, context, handler))
        }
        Job::Refused { error, payload, ack } => Box::pin(async move {
            let event = event_name(&payload).unwrap_or_default();
            report(settle(&connection, &Reply { raw, ack }, event, Outcome::Failed(*error)).await);
        }),
        Job::SessionId { payload, ack } => Box::pin(session_id(connection, raw, payload, ack)),
        Job::Connect => Box::pin(connect(connection, raw)),
        Job::Disconnect { reason, rooms } => Box::pin(disconnect(connection, raw, reason, rooms)),
    }
}

/// Runs a declared event. Its future is made for each of them, so it is kept small: an allocator's fast way ends at a
/// kilobyte. What few events need has a box of its own.
async fn event(connection: Arc<Connection>, mut context: EventContext, handler: usize) {
    let handler = &connection.mount.handlers[handler];
    let outcome = call(handler, &connection, &mut context).await;
    if let Some(outcome) = context.claim(outcome) {
        let reply = context.reply();
        report(Box::pin(settle(&connection, &reply, context.event(), outcome)).await);
    } else if let Some(hold) = context.kept() {
        let (limit, event) = (handler.timeout, context.event().to_owned());
        tokio::spawn(expect(hold, limit, connection.clone(), context.reply(), event));
    }
}

/// An answer that a handler has kept for later: it has as long again as the handler had, so that there is one in any case (rule
/// R7).
async fn expect(hold: Arc<Hold>, limit: Duration, connection: Arc<Connection>, reply: Reply, event: String) {
    if tokio::time::timeout(limit, hold.claimed()).await.is_err() && hold.claim() {
        report(settle(&connection, &reply, &event, Outcome::Failed(guarded::timed_out(limit))).await);
    }
}

async fn session_id(connection: Arc<Connection>, raw: Arc<RawSocket>, payload: Value, ack: Option<i64>) {
    let outcome = crate::identity::live::session_event(&connection, &raw, &payload).await;
    connection.mailbox.end_resolving();
    let reply = Reply { raw, ack };
    let outcome = match outcome {
        Ok(()) => super::outcome::acknowledge_nothing(&reply),
        Err(error) => Outcome::Failed(error),
    };
    report(settle(&connection, &reply, super::SESSION_EVENT, outcome).await);
}

/// Nobody is left to be told: what went wrong on the way to the client has been logged there.
fn report(_: crate::error::Result) {}

/// Runs a handler within its bounds.
async fn call(handler: &Handler, connection: &Connection, context: &mut EventContext) -> Outcome {
    let Some(channel) = connection.mount.channel() else {
        return Outcome::Failed(EventError::internal("the service has been dropped"));
    };
    guarded::Guarded::new(guarded::call(|| (handler.call)(channel, context)), handler.timeout).await
}

/// Asks the channel whether a client may join (rule R12).
pub(crate) async fn authorize(
    handler: &Handler,
    connection: &Arc<Connection>,
    raw: Arc<RawSocket>,
) -> Result<(), EventError> {
    let mut context = EventContext::new(raw, connection.clone(), Moment::Authorize);
    match call(handler, connection, &mut context).await {
        Outcome::Failed(error) => {
            Err(super::outcome::for_client(error, &connection.mount.path, connection.sid, "authorize"))
        }
        Outcome::Settled | Outcome::Waiting(_) => Ok(()),
    }
}

async fn connect(connection: Arc<Connection>, raw: Arc<RawSocket>) {
    if let Some(handler) = connection.mount.connect.map(|index| &connection.mount.handlers[index]) {
        let mut context = EventContext::new(raw.clone(), connection.clone(), Moment::Connect);
        if let Outcome::Failed(error) = call(handler, &connection, &mut context).await {
            let reply = Reply { raw: raw.clone(), ack: None };
            report(settle(&connection, &reply, "connect", Outcome::Failed(error)).await);
            turn_out(&connection, &raw, "the channel did not let you in");
        }
    }
    connection.mailbox.connected();
}

/// Takes a socket off a channel that does not have it, or no longer. What it has sent already runs no handler, and is
/// answered as long as that can be.
pub(crate) fn turn_out(connection: &Arc<Connection>, raw: &Arc<RawSocket>, why: &'static str) {
    for job in connection.mailbox.take_events() {
        if let Some((payload, ack)) = job.origin() {
            refuse(connection, raw, payload, ack, EventError::new("forbidden", why));
        }
    }
    crate::socket::leave_channel(connection, raw);
    // Those that came in between have nobody left to be answered.
    drop(connection.mailbox.take_events());
}

async fn disconnect(connection: Arc<Connection>, raw: Arc<RawSocket>, reason: DisconnectReason, rooms: Vec<String>) {
    tracing::trace!(channel = %connection.mount.path, socket = %connection.sid, %reason, "disconnected");
    let Some(handler) = connection.mount.disconnect.map(|index| &connection.mount.handlers[index]) else { return };
    let mut context = EventContext::new(raw, connection.clone(), Moment::Disconnect { reason, rooms: rooms.into() });
    if let Outcome::Failed(error) = call(handler, &connection, &mut context).await {
        // There is no client to tell.
        tracing::error!(channel = %connection.mount.path, socket = %connection.sid, error = %error.internal_text(), "#[on(disconnect)] failed");
    }
}

impl Job {
    /// The packet behind the job.
    fn origin(&self) -> Option<(&Value, Option<i64>)> {
        match self {
            Self::Event { payload, ack, .. }
            | Self::SessionId { payload, ack }
            | Self::Refused { payload, ack, .. } => Some((payload, *ack)),
            Self::Connect | Self::Disconnect { .. } => None,
        }
    }
}
