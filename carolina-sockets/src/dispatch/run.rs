//! Runs a socket's jobs: each is polled once in place and then moves to a task.

use std::{
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use futures_core::future::BoxFuture;
use tracing::Instrument;

use super::{HandlerTable, SESSION_EVENT, guards, supervised, table::Handler};
use crate::{
    core::{
        AckState, Handlers, Held, Identify, Job, Left, Outcome, Reply, SocketState, Submitted, acknowledge_nothing,
        deliver, disconnect_unauthorized, refuse, to_client_error,
    },
    engine::{DisconnectReason, EngineSocket, EventPayload},
    error::{EventError, Result, code},
    extract::{EventContext, Trigger},
    telemetry::{Cause, histogram, refused, trace},
};

impl Handlers for HandlerTable {
    fn run(self: Arc<Self>, socket: &Arc<SocketState>, raw: &EngineSocket, job: Job) {
        start(&self, socket, raw, job);
    }

    fn authorize<'a>(
        &'a self,
        socket: &'a Arc<SocketState>,
        raw: &'a EngineSocket,
    ) -> BoxFuture<'a, Result<(), EventError>> {
        Box::pin(async move {
            match self.authorize() {
                Some(handler) => authorize(self, handler, socket, raw.clone()).await,
                None if self.private && socket.identity().user_id().is_none() => Err(EventError::unauthenticated()),
                None => Ok(()),
            }
        })
    }

    fn may_refuse(&self) -> bool {
        self.private || self.authorize().is_some()
    }

    fn handles_disconnect(&self) -> bool {
        self.disconnect().is_some()
    }
}

/// Submits an event to the socket's mailbox, and runs it at once if the socket is idle.
pub(super) fn submit(table: &Arc<HandlerTable>, socket: &Arc<SocketState>, raw: &EngineSocket, job: Job) {
    let capacity = socket.channel.limits.mailbox;
    if socket.is_draining() {
        if let Some((payload, ack)) = job.event_and_ack() {
            let error = EventError::new(code::SHUTTING_DOWN, "the server is shutting down");
            refuse(socket, raw, payload, ack, error);
        }
        return;
    }
    if !socket.client.handling.has_room(job.bytes()) {
        let message = format!("events on `{}`: too many bytes are waiting (limits.mailbox_bytes)", socket.channel.path);
        refused(Cause::MailboxBytes, &message);
        if let Some((payload, ack)) = job.event_and_ack() {
            refuse(socket, raw, payload, ack, overloaded("too many bytes are waiting"));
        }
        return;
    }
    let concurrent = is_concurrent(table, &job);
    let submitted = if concurrent {
        socket.mailbox.submit_concurrent(job, capacity, &socket.client)
    } else {
        socket.mailbox.submit(job, capacity, &socket.client)
    };
    if histogram::is_recorded() && matches!(submitted, Submitted::Run(_)) {
        socket.channel.waited(Duration::ZERO);
    }
    match submitted {
        Submitted::Run(job) if concurrent => start_concurrent(table, socket, raw, job),
        Submitted::Run(job) => start(table, socket, raw, job),
        Submitted::Queued | Submitted::Closed => {}
        Submitted::Full(job) => {
            let message = format!("events on `{}`: a mailbox is full (limits.mailbox)", socket.channel.path);
            refused(Cause::Overloaded, &message);
            if let Some((payload, ack)) = job.event_and_ack() {
                refuse(socket, raw, payload, ack, overloaded("too many events are waiting"));
            }
        }
    }
}

/// Opens a socket's mailbox and runs `#[on(connect)]`.
pub(crate) fn start_connect(table: &Arc<HandlerTable>, socket: &Arc<SocketState>, raw: &EngineSocket) {
    tracing::trace!(channel = %socket.channel.path, socket = %socket.id, "connected");
    if socket.mailbox.begin() {
        start(table, socket, raw, Job::Connect);
    }
}

fn is_concurrent(table: &HandlerTable, job: &Job) -> bool {
    matches!(job, Job::Event { handler, .. } if table.get(*handler).concurrent)
}

fn overloaded(message: &'static str) -> EventError {
    EventError::new(code::OVERLOADED, message)
}

/// Polls a job once in place. Most are ready then; the others continue in a task.
fn start(table: &Arc<HandlerTable>, socket: &Arc<SocketState>, raw: &EngineSocket, job: Job) {
    let bytes = job.bytes();
    let mut running = run(table.clone(), socket.clone(), raw.clone(), job);
    if running.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
        let held = Held::new(&socket.client, bytes);
        let (table, socket, raw) = (table.clone(), socket.clone(), raw.clone());
        socket.channel.tasks.clone().spawn(async move {
            running.await;
            drop(held);
            drain(table, socket, raw).await;
        });
    } else if let Some((job, held)) = next(socket) {
        // More came in meanwhile, from another thread, which must not keep this one busy.
        let (table, socket, raw) = (table.clone(), socket.clone(), raw.clone());
        socket.channel.tasks.clone().spawn(async move {
            run(table.clone(), socket.clone(), raw.clone(), job).await;
            drop(held);
            drain(table, socket, raw).await;
        });
    }
}

/// The socket's next job, if it has one.
fn next(socket: &SocketState) -> Option<(Job, Held)> {
    let (job, held) = socket.mailbox.next(socket.channel.limits.handler_timeout)?;
    if let Some(time) = held.waited()
        && job.event_and_ack().is_some()
    {
        socket.channel.waited(time);
    }
    Some((job, held))
}

async fn drain(table: Arc<HandlerTable>, socket: Arc<SocketState>, raw: EngineSocket) {
    while let Some((job, held)) = next(&socket) {
        if is_concurrent(&table, &job) {
            socket.mailbox.begin_concurrent();
            drop(held);
            start_concurrent(&table, &socket, &raw, job);
        } else {
            run(table.clone(), socket.clone(), raw.clone(), job).await;
            drop(held);
        }
        // A long queue of handlers that are never pending must not monopolize the thread.
        tokio::task::coop::consume_budget().await;
    }
}

fn start_concurrent(table: &Arc<HandlerTable>, socket: &Arc<SocketState>, raw: &EngineSocket, job: Job) {
    let bytes = job.bytes();
    let mut running = run(table.clone(), socket.clone(), raw.clone(), job);
    if running.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
        return socket.mailbox.end_concurrent();
    }
    let (socket, held) = (socket.clone(), Held::new(&socket.client, bytes));
    socket.channel.tasks.clone().spawn(async move {
        running.await;
        drop(held);
        socket.mailbox.end_concurrent();
    });
}

fn run(table: Arc<HandlerTable>, socket: Arc<SocketState>, raw: EngineSocket, job: Job) -> BoxFuture<'static, ()> {
    match job {
        Job::Event { handler, payload, ack } if trace::is_on() => traced(table, socket, raw, handler, payload, ack),
        Job::Event { handler, payload, ack } => {
            let context = EventContext::new(raw, socket.clone(), Trigger::Event { payload, ack });
            Box::pin(event(table, socket, context, handler))
        }
        Job::Refused { error, payload, ack } => Box::pin(async move {
            let event = payload.event_name().unwrap_or_default();
            ignore_undelivered(deliver(&socket, &Reply { raw, ack }, event, Outcome::Failed(*error)).await);
        }),
        Job::Identify { payload, ack, resolve } => Box::pin(identify(socket, raw, payload, ack, resolve)),
        Job::Connect => {
            let span = socket.trace.span();
            Box::pin(connect(table, socket, raw).instrument(span))
        }
        Job::Disconnect { reason, left } => {
            let span = socket.trace.span();
            socket.trace.end(&reason);
            Box::pin(disconnect(table, socket, raw, reason, *left).instrument(span))
        }
    }
}

/// An event in a span of its own.
#[cold]
fn traced(
    table: Arc<HandlerTable>,
    socket: Arc<SocketState>,
    raw: EngineSocket,
    handler: usize,
    payload: EventPayload,
    ack: Option<i64>,
) -> BoxFuture<'static, ()> {
    let span = trace::Event {
        label: socket.channel.label(),
        path: &socket.channel.path,
        socket: &socket.id,
        event: payload.event_name().unwrap_or_default(),
        is_declared: !table.is_any(handler),
        bytes: payload.bytes(),
        parent: payload.traceparent(),
        connection: &socket.trace,
    }
    .begin();
    let context = EventContext::new(raw, socket.clone(), Trigger::Event { payload, ack });
    Box::pin(event(table, socket, context, handler).instrument(span))
}

/// Runs a declared event. The future is allocated for each event, so it is kept below a kilobyte, where allocators are
/// fastest; rarely used parts are boxed separately.
async fn event(table: Arc<HandlerTable>, socket: Arc<SocketState>, mut context: EventContext, handler: usize) {
    let handler = table.get(handler);
    let began = histogram::now();
    let outcome = call(&table, handler, &mut context).await;
    handler.time.handled(began, socket.channel.label(), handler.method);
    if let Some(outcome) = context.claim(outcome) {
        if let Outcome::Failed(error) = &outcome {
            trace::failed(error.code());
        }
        let reply = context.reply();
        ignore_undelivered(Box::pin(deliver(&socket, &reply, context.event(), outcome)).await);
    } else if let Some(state) = context.kept_ack() {
        let (limit, event) = (handler.timeout, context.event().to_owned());
        socket.channel.tasks.clone().spawn(time_out_kept_ack(state, limit, socket, context.reply(), event));
    }
}

/// A kept acknowledgement has the handler's timeout once more, after which the event is answered with an error (rule
/// R7).
async fn time_out_kept_ack(
    state: Arc<AckState>,
    limit: Duration,
    socket: Arc<SocketState>,
    reply: Reply,
    event: String,
) {
    if tokio::time::timeout(limit, state.claimed()).await.is_err() && state.claim() {
        ignore_undelivered(deliver(&socket, &reply, &event, Outcome::Failed(supervised::timed_out(limit))).await);
    }
}

async fn identify(
    socket: Arc<SocketState>,
    raw: EngineSocket,
    payload: EventPayload,
    ack: Option<i64>,
    resolve: Identify,
) {
    let resolved = resolve(socket.clone(), raw.clone(), payload).await;
    socket.mailbox.end_resolving();
    let reply = Reply { raw, ack };
    let outcome = match resolved {
        Ok(()) => acknowledge_nothing(&reply),
        Err(error) => Outcome::Failed(error),
    };
    ignore_undelivered(deliver(&socket, &reply, SESSION_EVENT, outcome).await);
}

/// [`deliver`] has already logged what did not reach the client.
fn ignore_undelivered(_: Result) {}

/// Runs a handler with its timeout, catching panics.
async fn call(table: &HandlerTable, handler: &Handler, context: &mut EventContext) -> Outcome {
    let Some(channel) = table.channel() else {
        return Outcome::Failed(EventError::internal("the channel is not built"));
    };
    supervised::Supervised::new(supervised::call(|| guards::call(handler, channel, context)), handler.timeout).await
}

/// Runs the channel's `#[on(authorize)]`.
async fn authorize(
    table: &HandlerTable,
    handler: &Handler,
    socket: &Arc<SocketState>,
    raw: EngineSocket,
) -> Result<(), EventError> {
    let mut context = EventContext::new(raw, socket.clone(), Trigger::Authorize);
    match call(table, handler, &mut context).await {
        Outcome::Failed(error) => Err(to_client_error(error, socket.channel.label(), socket.id, "authorize")),
        Outcome::Done | Outcome::Waiting(_) => Ok(()),
    }
}

async fn connect(table: Arc<HandlerTable>, socket: Arc<SocketState>, raw: EngineSocket) {
    if let Some(handler) = table.connect() {
        let mut context = EventContext::new(raw.clone(), socket.clone(), Trigger::Connect);
        if let Outcome::Failed(error) = call(&table, handler, &mut context).await {
            let reply = Reply { raw: raw.clone(), ack: None };
            ignore_undelivered(deliver(&socket, &reply, "connect", Outcome::Failed(error)).await);
            let (reason, identity) = (DisconnectReason::ServerDisconnect, socket.identity());
            disconnect_unauthorized(&socket, &raw, "the channel did not let you in", reason, identity);
        }
    }
    socket.mailbox.connected();
}

async fn disconnect(
    table: Arc<HandlerTable>,
    socket: Arc<SocketState>,
    raw: EngineSocket,
    reason: DisconnectReason,
    left: Left,
) {
    let channel = &socket.channel.path;
    tracing::trace!(channel, socket = %socket.id, %reason, "disconnected");
    if let Some(handler) = table.disconnect() {
        let mut context = EventContext::new(raw, socket.clone(), Trigger::Disconnect { reason, left: left.into() });
        if let Outcome::Failed(error) = call(&table, handler, &mut context).await {
            // There is no client left to notify.
            tracing::error!(channel, error = %error.internal_text(), "#[on(disconnect)] failed");
        }
    }
    socket.values.clear();
}
