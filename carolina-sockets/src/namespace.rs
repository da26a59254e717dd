//! One mount: a channel at a path, on socketioxide's namespace of that path.
//!
//! [`Arm`] is the namespace's connect handler. All that decides over a client happens in its middleware, before the
//! client is told that it is connected: who it is, whether it may join, and its handlers. A client that is refused
//! has been in no room and run no handler (rules R5, R10 and R12).

use std::{
    collections::HashMap,
    fmt,
    pin::Pin,
    sync::{
        Arc, OnceLock, RwLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use socketioxide::handler::ConnectHandler;
use socketioxide_core::{Sid, Str, Value};
use tokio_util::task::TaskTracker;

use crate::{
    backplane::{Backplane, RawSocket},
    config::Limits,
    connection::Connection,
    dispatch::{self, Dispatcher, EventFuture, Farewell},
    error::EventError,
    extract::{EventContext, Handshake},
    guard::Peer,
    plan::MountPlan,
    private::{AnyChannel, ErasedChannel},
    registry::row::{Call, HandlerRow, On, Rate},
    service::{Inner, Sockets},
};

/// A channel at a path, with the table of its handlers.
pub(crate) struct Mount {
    pub(crate) path: String,
    /// The path again, as packets carry it.
    pub(crate) ns: Str,
    pub(crate) plan: MountPlan,
    pub(crate) limits: Limits,
    pub(crate) handlers: Vec<Handler>,
    pub(crate) authorize: Option<usize>,
    pub(crate) connect: Option<usize>,
    pub(crate) disconnect: Option<usize>,
    /// The rates of the handlers that have one.
    pub(crate) rates: Vec<Rate>,
    /// Everything that runs for this service; shutdown waits for it.
    pub(crate) tasks: TaskTracker,
    /// Its names are the application's own, so the hash need not withstand anybody.
    by_event: HashMap<&'static str, usize, foldhash::fast::RandomState>,
    any: Option<usize>,
    channel: OnceLock<ErasedChannel>,
    service: Weak<Inner>,
    /// Whether the service is shutting down; shared with it, as it is asked for every event.
    draining: Arc<AtomicBool>,
    backplane: OnceLock<Weak<Backplane>>,
    connections: RwLock<HashMap<Sid, Arc<Connection>>>,
}

/// A handler of the table.
pub(crate) struct Handler {
    pub(crate) index: usize,
    pub(crate) row: &'static HandlerRow,
    pub(crate) timeout: Duration,
    /// Which of a connection's limiters counts its events.
    pub(crate) limiter: Option<usize>,
    pub(crate) call: for<'a> fn(&'a AnyChannel, &'a mut EventContext) -> EventFuture<'a>,
}

impl Handler {
    pub(crate) fn concurrent(&self) -> bool {
        self.row.options.concurrent
    }
}

impl Mount {
    pub(crate) fn new(
        plan: MountPlan,
        limits: &Limits,
        tasks: TaskTracker,
        draining: Arc<AtomicBool>,
        service: Weak<Inner>,
    ) -> Self {
        let mut mount = Self {
            path: plan.path.clone(),
            ns: Str::copy_from_slice(&plan.path),
            limits: limits.clone(),
            handlers: Vec::with_capacity(plan.handlers.len()),
            authorize: None,
            connect: None,
            disconnect: None,
            rates: Vec::new(),
            tasks,
            by_event: HashMap::default(),
            any: None,
            channel: OnceLock::new(),
            service,
            draining,
            backplane: OnceLock::new(),
            connections: RwLock::default(),
            plan,
        };
        for row in mount.plan.handlers.clone() {
            let Call::Event(call) = row.call else { continue };
            let index = mount.handlers.len();
            match row.on {
                On::Events(names) => mount.by_event.extend(names.iter().map(|name| (*name, index))),
                On::Any => mount.any = Some(index),
                On::Authorize => mount.authorize = Some(index),
                On::Connect => mount.connect = Some(index),
                On::Disconnect => mount.disconnect = Some(index),
                On::Init => continue,
            }
            let limiter = row.options.rate.map(|rate| {
                mount.rates.push(rate);
                mount.rates.len() - 1
            });
            let timeout = row.options.timeout.unwrap_or(limits.handler_timeout);
            mount.handlers.push(Handler { index, row, timeout, limiter, call });
        }
        mount
    }

    /// The handler for an event: the one that names it, else `#[on(any)]`.
    pub(crate) fn find(&self, event: &str) -> Option<usize> {
        self.by_event.get(event).copied().or(self.any)
    }

    pub(crate) fn channel(&self) -> Option<&AnyChannel> {
        self.channel.get().map(|channel| &**channel)
    }

    pub(crate) fn set_channel(&self, channel: ErasedChannel) {
        // A mount is built once; a second channel for it cannot come.
        let _ = self.channel.set(channel);
    }

    pub(crate) fn backplane(&self) -> Option<Arc<Backplane>> {
        self.backplane.get()?.upgrade()
    }

    pub(crate) fn set_backplane(&self, backplane: &Arc<Backplane>) {
        let _ = self.backplane.set(Arc::downgrade(backplane));
    }

    pub(crate) fn sockets(&self) -> Option<Sockets> {
        self.service.upgrade().map(Sockets::from)
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Whether a check stands at the channel's door.
    pub(crate) fn is_guarded(&self) -> bool {
        self.plan.private || self.authorize.is_some()
    }

    pub(crate) fn connections(&self) -> Vec<Arc<Connection>> {
        self.connections.read().expect("no panic happens under this lock").values().cloned().collect()
    }

    pub(crate) fn connection(&self, sid: Sid) -> Option<Arc<Connection>> {
        self.connections.read().expect("no panic happens under this lock").get(&sid).cloned()
    }

    /// This node's connections in a room.
    pub(crate) fn in_room(&self, room: &str) -> Vec<Arc<Connection>> {
        let Some(backplane) = self.backplane() else { return Vec::new() };
        let sids = backplane.sids_in(room);
        sids.into_iter().filter_map(|sid| self.connection(sid)).collect()
    }

    fn register(&self, connection: &Arc<Connection>) {
        let mut connections = self.connections.write().expect("no panic happens under this lock");
        connections.insert(connection.sid, connection.clone());
        self.count(connections.len());
    }

    /// Drops what is kept of a connection, unless a newer one has taken its place.
    pub(crate) fn forget(&self, connection: &Arc<Connection>) {
        let mut connections = self.connections.write().expect("no panic happens under this lock");
        if connections.get(&connection.sid).is_some_and(|current| Arc::ptr_eq(current, connection)) {
            connections.remove(&connection.sid);
            self.count(connections.len());
        }
    }

    fn count(&self, sockets: usize) {
        metrics::gauge!("carolina_sockets_sockets", "channel" => self.path.clone()).set(sockets as f64);
    }

    /// Decides whether a client may be on the channel (rule R12).
    pub(crate) async fn check(&self, connection: &Arc<Connection>, raw: &Arc<RawSocket>) -> Result<(), EventError> {
        match self.authorize {
            Some(handler) => dispatch::authorize(&self.handlers[handler], connection, raw.clone()).await,
            None if self.plan.private && connection.identity().user_id().is_none() => {
                Err(EventError::unauthenticated())
            }
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mount").field("path", &self.path).field("driver", &self.plan.driver).finish_non_exhaustive()
    }
}

/// A namespace's connect handler.
#[derive(Clone)]
pub(crate) struct Arm(pub(crate) Arc<Mount>);

impl ConnectHandler<Backplane, ()> for Arm {
    /// The client has been told that it is connected.
    fn call(&self, raw: Arc<RawSocket>, _auth: Option<Value>) {
        if let Some(connection) = self.0.connection(raw.id) {
            dispatch::open(&connection, &raw);
        }
    }

    fn call_middleware<'a>(
        &'a self,
        raw: Arc<RawSocket>,
        auth: &'a Option<Value>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Box<dyn fmt::Display + Send>>> + Send + 'a>> {
        Box::pin(async move {
            let auth = match auth {
                Some(Value::Str(text, _)) => Some(text.clone()),
                _ => None,
            };
            arm(&self.0, raw, auth).await.map_err(|error| {
                let refused: Box<dyn fmt::Display + Send> = Box::new(connect_error(&error));
                refused
            })
        })
    }
}

/// Identifies a client, decides over it, and gives its socket all that it needs before its first packet.
async fn arm(mount: &Arc<Mount>, raw: Arc<RawSocket>, auth: Option<Str>) -> Result<(), EventError> {
    let Some(sockets) = mount.sockets().filter(|_| !mount.is_draining()) else {
        return Err(EventError::new("overloaded", "the server is shutting down"));
    };
    let Some(peer) = raw.req_parts().extensions.get::<Arc<Peer>>().cloned() else {
        return Err(EventError::internal("a connection came past the service's own layer"));
    };
    peer.set_sid(raw.id);
    let handshake = Handshake::new(raw.clone(), peer.clone(), auth.clone());
    let seen = sockets.identities().generation();
    let identity = sockets.identities().identify(&handshake).await.map_err(|error| refuse(error, mount, &raw))?;
    let connection = Arc::new(Connection::new(mount.clone(), &raw, peer, auth, identity));
    mount.check(&connection, &raw).await?;
    raw.on_fallback(Dispatcher(connection.clone()));
    raw.on_disconnect(Farewell(connection.clone()));
    connection.join_identity_rooms(&raw);
    mount.register(&connection);
    // A log-out that came while the client was on its way in has not found it among the connections.
    if sockets.identities().generation() != seen {
        crate::identity::live::recheck(&sockets, &connection, &raw).await;
    }
    if connection.mailbox.is_closed() {
        return Err(EventError::unauthenticated());
    }
    Ok(())
}

fn refuse(error: EventError, mount: &Mount, raw: &RawSocket) -> EventError {
    dispatch::for_client(error, &mount.path, raw.id, "connect")
}

/// What a refused client reads: `connect_error` has room for one text only. The library's own refusals are their
/// code alone; others are `code: message`.
fn connect_error(error: &EventError) -> String {
    let reference = error.details_value().and_then(|details| details.get("reference")).and_then(|value| value.as_str());
    match (error.is_plain(), reference) {
        (_, Some(reference)) => format!("{}: {} (reference {reference})", error.code(), error.message()),
        (true, None) => error.code().to_owned(),
        (false, None) => format!("{}: {}", error.code(), error.message()),
    }
}
