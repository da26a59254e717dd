//! [`Sockets`]: the running service, from which an application emits, and which it embeds or serves.

mod builder;
mod compact;
mod control;
mod engine;
#[cfg(feature = "serve")]
mod exporter;
mod frames;
mod layer;
mod leaving;
mod nodes;
#[cfg(feature = "serve")]
mod serve;
mod shutdown;
mod stream;
mod upgrade;

use std::{
    any::TypeId,
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use socketioxide_core::Sid;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    backplane::{Bus, Message},
    channel::ChannelHandle,
    config::Config,
    error::{Error, Result},
    extract::States,
    guard::{Guard, Peer},
    http::{Session, SessionLayer},
    identity::{Identities, UserKey},
    namespace::Mount,
    private::Channel,
};

pub use builder::Builder;
pub(crate) use engine::Engine;
pub use layer::{SocketsLayer, SocketsService};
pub(crate) use leaving::{LEFT, Leaving};
#[cfg(all(feature = "serve", feature = "testing"))]
pub(crate) use serve::run;
#[cfg(feature = "serve")]
pub use serve::{Serve, serve};

/// The running service. Cheap to clone, and an extractor.
///
/// [`serve`](crate::serve) makes one and runs it; [`Sockets::builder`] makes one to be embedded in any axum or tower
/// application by its [`layer`](Sockets::layer).
#[derive(Clone)]
pub struct Sockets(Arc<Inner>);

/// What one service consists of.
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) states: States,
    pub(crate) mounts: BTreeMap<String, Arc<Mount>>,
    /// `None` while web sockets are off (rule R4).
    pub(crate) engine: Option<Engine>,
    pub(crate) guard: Guard,
    pub(crate) identities: Identities,
    /// Handlers on their way; shutdown waits for them.
    pub(crate) tasks: TaskTracker,
    pub(crate) leaving: Arc<Leaving>,
    /// The way of messages between nodes.
    pub(crate) bus: Bus,
    /// Ends what runs beside them.
    pub(crate) stop: CancellationToken,
    pub(crate) draining: Arc<AtomicBool>,
}

impl Inner {
    /// Whether the service is shutting down.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// The connection behind an Engine.IO session that is on any channel.
    pub(crate) fn peer_of(&self, sid: Sid) -> Option<Arc<Peer>> {
        self.mounts.values().find_map(|mount| mount.connection(sid)).map(|connection| connection.peer.clone())
    }
}

impl Inner {
    /// Has other nodes read a session anew.
    pub(crate) async fn tell_others_of_session(&self, id: &str, moved_to: Option<&str>) -> Result {
        let message = Message::Session { id: id.to_owned(), moved_to: moved_to.map(str::to_owned) };
        self.bus.tell(message).await.map_err(|error| Error::Backplane(error.to_string()))
    }

    /// Has other nodes disconnect a user.
    pub(crate) async fn tell_others_of_user(&self, user: &str) -> Result {
        let message = Message::DisconnectUser { user: user.to_owned() };
        self.bus.tell(message).await.map_err(|error| Error::Backplane(error.to_string()))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl From<Arc<Inner>> for Sockets {
    fn from(inner: Arc<Inner>) -> Self {
        Self(inner)
    }
}

impl Sockets {
    /// Begins to build a service: with the channels that are linked in, the configuration's file and the
    /// environment, unless the builder is told otherwise.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    pub(crate) fn states(&self) -> &States {
        &self.0.states
    }

    pub(crate) fn identities(&self) -> &Identities {
        &self.0.identities
    }

    /// The configuration the service runs with.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Whether web sockets are on (rule R4).
    pub fn is_on(&self) -> bool {
        self.0.engine.is_some()
    }

    /// How many client connections this node has.
    pub fn connections(&self) -> usize {
        self.0.guard.connections()
    }

    /// The channel at a path.
    ///
    /// # Errors
    ///
    /// [`Error::SocketsOff`] while web sockets are off, [`Error::UnknownChannel`] when nothing is mounted there.
    pub fn channel(&self, path: &str) -> Result<ChannelHandle> {
        self.check_on()?;
        self.0.mounts.get(path).map(|mount| ChannelHandle::new(mount.clone())).ok_or_else(|| self.unknown(path))
    }

    /// The channel of a driver, by its type. A driver that is mounted several times gives the channel at its
    /// declared path, otherwise the first in alphabetical order.
    ///
    /// # Errors
    ///
    /// [`Error::SocketsOff`] while web sockets are off, [`Error::UnknownChannel`] when the driver is not mounted.
    pub fn of<C: Channel>(&self) -> Result<ChannelHandle> {
        self.check_on()?;
        let own = |mount: &&Arc<Mount>| (mount.plan.row.channel)() == TypeId::of::<C>();
        let mut mounts = self.0.mounts.values().filter(own);
        let declared = mounts.clone().find(|mount| mount.plan.row.path == Some(mount.path.as_str()));
        declared
            .or_else(|| mounts.next())
            .map(|mount| ChannelHandle::new(mount.clone()))
            .ok_or_else(|| self.unknown(C::DRIVER))
    }

    /// All channels, by their paths in alphabetical order.
    pub fn channels(&self) -> Vec<ChannelHandle> {
        self.0.mounts.values().map(|mount| ChannelHandle::new(mount.clone())).collect()
    }

    /// The channels with their drivers and events, one per line, for people.
    pub fn table(&self) -> String {
        crate::plan::Table(self.0.mounts.values().map(|mount| &mount.plan).collect()).to_string()
    }

    fn check_on(&self) -> Result {
        self.0.engine.is_some().then_some(()).ok_or(Error::SocketsOff)
    }

    fn unknown(&self, path: &str) -> Error {
        Error::UnknownChannel { path: path.to_owned(), mounted: self.0.mounts.keys().cloned().collect() }
    }

    /// A tower layer that answers the requests of Socket.IO clients and passes on all others: for any axum or tower
    /// application.
    ///
    /// Put [`session_layer`](Self::session_layer) over the routes as well if log-in and log-out are to reach sockets.
    ///
    /// ```no_run
    /// # async fn embedded() -> carolina_sockets::Result {
    /// use carolina_sockets::Sockets;
    ///
    /// let sockets = Sockets::builder().build().await?;
    /// let app: axum::Router = axum::Router::new().layer(sockets.session_layer()).layer(sockets.layer());
    /// # Ok(())
    /// # }
    /// ```
    pub fn layer(&self) -> SocketsLayer {
        SocketsLayer::new(self.0.clone())
    }

    /// The session layer that `serve()` puts over its router: an encrypted cookie, and
    /// [`http::Session`](crate::http::Session) for handlers.
    pub fn session_layer(&self) -> SessionLayer {
        self.0.identities.layer()
    }

    /// A session of the service's store, by its id.
    pub(crate) fn session(&self, id: &str) -> Option<Session> {
        self.0.identities.session(id)
    }

    /// Takes a user off every channel, on every node: all tabs, all devices. Their sessions stay; should the user
    /// come back, the channels decide anew. Returns how many sockets that were on this node.
    ///
    /// # Errors
    ///
    /// [`Error::SocketsOff`] while web sockets are off; [`Error::Backplane`] when other nodes could not be told, this
    /// node's sockets having been disconnected.
    pub async fn disconnect_user(&self, user: impl UserKey) -> Result<usize> {
        self.check_on()?;
        let user = user.user_key().into_owned();
        crate::identity::live::disconnect_user(self, &user).await
    }

    /// Reads a session anew from its store and brings the sockets that belong to it up to date, on every node (rule
    /// R11). Log-in and log-out through [`http::Session`](crate::http::Session) do this by themselves; it is for
    /// sessions that were changed past it.
    ///
    /// # Errors
    ///
    /// [`Error::SocketsOff`] while web sockets are off; [`Error::Store`] when the store fails; [`Error::Backplane`]
    /// when other nodes could not be told.
    pub async fn refresh_session(&self, id: impl AsRef<str>) -> Result {
        self.check_on()?;
        crate::identity::live::refresh(self, id.as_ref()).await
    }

    /// Ends the service: new clients and events are refused, handlers that run may finish within
    /// `limits.shutdown_timeout`, then every connection is closed, so that clients come back to another node.
    pub async fn shutdown(&self) {
        shutdown::shutdown(&self.0).await;
    }
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sockets")
            .field("channels", &self.0.mounts.keys())
            .field("on", &self.is_on())
            .finish_non_exhaustive()
    }
}

static GLOBAL: OnceLock<Sockets> = OnceLock::new();

/// The service that [`serve`](crate::serve) runs in this process.
///
/// # Panics
///
/// Where `serve()` has not started it. Services made by [`Sockets::builder`] are no global ones; tests may make as
/// many as they like. [`try_sockets`] does not panic.
#[track_caller]
pub fn sockets() -> Sockets {
    match try_sockets() {
        Ok(sockets) => sockets,
        Err(error) => panic!("{error}"),
    }
}

/// As [`sockets`], for code that may run before or without `serve()`.
///
/// # Errors
///
/// [`Error::NotRunning`] where `serve()` has not started it.
pub fn try_sockets() -> Result<Sockets> {
    GLOBAL.get().cloned().ok_or(Error::NotRunning)
}

#[cfg(feature = "serve")]
fn set_global(sockets: &Sockets) -> Result {
    GLOBAL.set(sockets.clone()).map_err(|_| Error::AlreadyRunning)
}

/// Opens a connection over a stream in this process, past the same doors as one from the network.
#[cfg(feature = "testing")]
pub(crate) fn open_in_memory<S>(
    sockets: &Sockets,
    stream: S,
    mut parts: http::request::Parts,
) -> std::result::Result<(), crate::guard::Refusal>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let inner = sockets.inner();
    inner.guard.check_origin(&parts)?;
    layer::admit(inner, &mut parts)?;
    if let Some(engine) = &inner.engine {
        upgrade::open(inner, engine.service.clone(), stream, &[], parts);
    }
    Ok(())
}
