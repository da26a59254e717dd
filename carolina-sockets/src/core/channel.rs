use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_core::future::BoxFuture;
use parking_lot::RwLock;
use tokio_util::task::TaskTracker;

use super::{Job, Services, SocketState};
use crate::{
    config::Limits,
    engine::{EngineNamespace, EngineSocket, SocketId},
    error::{Error, EventError, Result},
    guard::Rate,
    telemetry::metric,
};

/// A channel's handlers as the core calls them; implemented by the table of handlers.
pub(crate) trait Handlers: Send + Sync + 'static {
    /// Runs the socket's next job, then the jobs queued after it.
    fn run(self: Arc<Self>, socket: &Arc<SocketState>, raw: &EngineSocket, job: Job);

    /// Decides whether a client may be on the channel (rule R12).
    fn authorize<'a>(
        &'a self,
        socket: &'a Arc<SocketState>,
        raw: &'a EngineSocket,
    ) -> BoxFuture<'a, Result<(), EventError>>;

    /// Whether [`authorize`](Self::authorize) can refuse a client.
    fn may_refuse(&self) -> bool;

    /// Whether there is an `#[on(disconnect)]`.
    fn handles_disconnect(&self) -> bool;
}

/// A channel at a path, without its handlers: its limits, and the sockets that are on it on this node.
pub(crate) struct ChannelCore {
    pub(crate) path: String,
    pub(crate) limits: Limits,
    /// The rates of the handlers that have one; each socket has a limiter for each.
    pub(crate) rates: Vec<Rate>,
    pub(crate) services: Arc<Services>,
    /// The tasks of this service; shutdown waits for them.
    pub(crate) tasks: TaskTracker,
    handlers: Arc<dyn Handlers>,
    namespace: OnceLock<EngineNamespace>,
    /// Whether the service is shutting down; shared with the service, since it is read for every event.
    draining: Arc<AtomicBool>,
    sockets: RwLock<HashMap<SocketId, Arc<SocketState>>>,
}

impl ChannelCore {
    pub(crate) fn new(
        path: String,
        limits: Limits,
        rates: Vec<Rate>,
        services: Arc<Services>,
        tasks: TaskTracker,
        handlers: Arc<dyn Handlers>,
        draining: Arc<AtomicBool>,
    ) -> Self {
        Self {
            path,
            limits,
            rates,
            services,
            tasks,
            handlers,
            namespace: OnceLock::new(),
            draining,
            sockets: RwLock::default(),
        }
    }

    pub(crate) fn handlers(&self) -> &Arc<dyn Handlers> {
        &self.handlers
    }

    /// The engine's side of the channel.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] before the namespace is registered.
    pub(crate) fn namespace(&self) -> Result<&EngineNamespace> {
        self.namespace.get().ok_or(Error::Closed)
    }

    /// Set once, when the namespace is registered.
    pub(crate) fn set_namespace(&self, namespace: EngineNamespace) {
        let _ = self.namespace.set(namespace);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// The sockets that are on the channel on this node.
    pub(crate) fn sockets(&self) -> Vec<Arc<SocketState>> {
        self.sockets.read().values().cloned().collect()
    }

    pub(crate) fn socket(&self, id: SocketId) -> Option<Arc<SocketState>> {
        self.sockets.read().get(&id).cloned()
    }

    /// This node's sockets in a room.
    pub(crate) fn in_room(&self, room: &str) -> Vec<Arc<SocketState>> {
        let Ok(namespace) = self.namespace() else { return Vec::new() };
        namespace.local_sockets_in(room).into_iter().filter_map(|id| self.socket(id)).collect()
    }

    pub(crate) fn register(&self, socket: &Arc<SocketState>) {
        let mut sockets = self.sockets.write();
        sockets.insert(socket.id, socket.clone());
        metric::sockets(&self.path, sockets.len());
    }

    /// Removes a socket, unless a newer one has taken its place.
    pub(crate) fn unregister(&self, socket: &Arc<SocketState>) {
        let mut sockets = self.sockets.write();
        if sockets.get(&socket.id).is_some_and(|current| Arc::ptr_eq(current, socket)) {
            sockets.remove(&socket.id);
            metric::sockets(&self.path, sockets.len());
        }
    }
}

impl fmt::Debug for ChannelCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelCore").field("path", &self.path).finish_non_exhaustive()
    }
}
