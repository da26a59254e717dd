//! [`Sockets`]: the running service, for emitting, embedding and serving.

mod admin;
#[cfg(feature = "serve")]
mod body;
mod builder;
mod client;
mod contract_page;
mod control;
#[cfg(feature = "serve")]
mod exporter;
mod extract;
mod health;
mod layer;
#[cfg(feature = "serve")]
mod listen;
mod nodes;
mod publish;
#[cfg(feature = "serve")]
mod reload;
#[cfg(feature = "serve")]
mod serve;
mod settings;
mod shutdown;
#[cfg(feature = "serve")]
mod signals;
#[cfg(feature = "serve")]
mod static_files;
#[cfg(feature = "serve")]
mod systemd;
#[cfg(feature = "serve")]
mod tls;
#[cfg(feature = "serve")]
mod traces;

use std::{
    any::TypeId,
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use health::Readiness;
use shutdown::Ending;

use crate::{
    background::Background,
    backplane::Bus,
    channel::ChannelHandle,
    config::Config,
    core::{ChannelCore, Services},
    engine::Engine,
    error::{Error, Result},
    guard::Guard,
    http::SessionLayer,
    identity::UserKey,
    namespace::Namespace,
    registry::Channel,
    session_sync::SessionSync,
};

use contract_page::ContractPage;

pub use builder::Builder;
pub use layer::{SocketsLayer, SocketsService};
#[cfg(feature = "cli")]
pub(crate) use serve::check_directory;
#[cfg(any(feature = "cli", all(feature = "serve", feature = "testing")))]
pub(crate) use serve::{Listening, run};
#[cfg(feature = "serve")]
pub use serve::{Serve, serve};
#[cfg(feature = "cli")]
pub(crate) use settings::{Settings, serve_setters, setters};
#[cfg(feature = "cli")]
pub(crate) use tls::problems as tls_problems;
#[cfg(feature = "cli")]
pub(crate) use traces::problem as traces_problem;

/// The running service. Cheap to clone, and an extractor.
///
/// [`serve`](crate::serve) builds one and runs it; [`Sockets::builder`] builds one to embed in any axum or tower
/// application through its [`layer`](Sockets::layer).
#[derive(Clone)]
pub struct Sockets(Arc<Inner>);

/// The parts of a service.
pub(crate) struct Inner {
    config: Config,
    namespaces: BTreeMap<String, Namespace>,
    /// `None` while web sockets are off (rule R4).
    engine: Option<Arc<Engine>>,
    guard: Arc<Guard>,
    services: Arc<Services>,
    session_layer: SessionLayer,
    session_sync: Arc<SessionSync>,
    /// The running handlers; shutdown waits for them.
    tasks: TaskTracker,
    /// The control messages between nodes.
    bus: Bus,
    /// The page that shows the contract.
    contract_page: ContractPage,
    /// Ends the service's own tasks.
    stop: CancellationToken,
    background: Background,
    draining: Arc<AtomicBool>,
    /// Whether a request of Socket.IO has come, or it was told that none can.
    reached: AtomicBool,
    /// `None` while `publish.secret` is not set.
    publisher: Option<publish::Publisher>,
    /// New clients are refused; set before `draining`, which refuses events as well.
    closed_to_clients: Arc<AtomicBool>,
    readiness: Readiness,
    ending: Ending,
    /// Set when the service is built, if there is a password for it.
    #[cfg(feature = "admin")]
    admin: OnceLock<Arc<crate::admin::Admin>>,
}

impl Inner {
    /// The channel whose template matches a path, and the path in its canonical spelling.
    fn template_of<'a>(&'a self, path: &'a str) -> Option<(&'a Arc<ChannelCore>, Cow<'a, str>)> {
        let cores = self.namespaces.values().map(|namespace| &namespace.core);
        cores.filter(|core| core.is_template()).find_map(|core| {
            let template = core.template().filter(|template| template.matches(path))?;
            // What no client can be let in by is no instance.
            template.values(path).is_ok().then(|| (core, template.canonical(path)))
        })
    }

    /// The channel at a path: of an instance, if anybody is on it here.
    fn core(&self, path: &str) -> Option<Arc<ChannelCore>> {
        match self.namespaces.get(path) {
            Some(namespace) => Some(namespace.core.clone()),
            None => self.template_of(path).and_then(|(core, canonical)| core.known_instance(&canonical)),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.closed_to_clients.store(true, Ordering::Release);
        self.draining.store(true, Ordering::Release);
        self.stop.cancel();
    }
}

impl From<Arc<Inner>> for Sockets {
    fn from(inner: Arc<Inner>) -> Self {
        Self(inner)
    }
}

impl Sockets {
    /// A builder for a service: by default with all linked channels, and the configuration from file and environment.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    /// The configuration the service runs with.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Whether web sockets are on (rule R4).
    pub fn is_on(&self) -> bool {
        self.0.engine.is_some()
    }

    /// Whether it is shutting down.
    fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Acquire)
    }

    /// How many client connections this node has: one for each client, on however many channels it is.
    pub fn connections(&self) -> usize {
        self.0.guard.connections()
    }

    /// The channel at a path. At the path of an instance, `/orders/42` of `/orders/{id}`, it is that instance, whether or not anybody is on
    /// it; at that of a template, it is all its instances.
    ///
    /// # Errors
    ///
    /// [`Error::SocketsOff`] while web sockets are off, [`Error::UnknownChannel`] when no channel is mounted there.
    pub fn channel(&self, path: &str) -> Result<ChannelHandle> {
        self.check_on()?;
        if let Some(namespace) = self.0.namespaces.get(path) {
            return Ok(handle(namespace));
        }
        let (core, canonical) = self.0.template_of(path).ok_or_else(|| self.unknown(path))?;
        Ok(ChannelHandle::new(core.instance(&canonical)))
    }

    /// The channel of a driver, by its type. If the driver is mounted several times, this is the channel at its
    /// declared path, or else the first in alphabetical order.
    ///
    /// # Errors
    ///
    /// [`Error::SocketsOff`] while web sockets are off, [`Error::UnknownChannel`] when the driver is not mounted.
    pub fn of<C: Channel>(&self) -> Result<ChannelHandle> {
        self.check_on()?;
        let own = |namespace: &&Namespace| (namespace.plan.row.channel)() == TypeId::of::<C>();
        let mut namespaces = self.0.namespaces.values().filter(own);
        let declared =
            namespaces.clone().find(|namespace| namespace.plan.row.path == Some(namespace.core.path.as_str()));
        declared.or_else(|| namespaces.next()).map(handle).ok_or_else(|| self.unknown(C::DRIVER))
    }

    /// All channels, by their paths in alphabetical order.
    pub fn channels(&self) -> Vec<ChannelHandle> {
        self.0.namespaces.values().map(handle).collect()
    }

    /// The channels with their drivers and events, one per line, human-readable.
    pub fn table(&self) -> String {
        crate::plan::Table(self.0.namespaces.values().map(|namespace| &namespace.plan).collect()).to_string()
    }

    /// A message for each event that a channel has emitted and does not declare.
    #[cfg(feature = "testing")]
    pub(crate) fn undeclared_emits(&self) -> Vec<String> {
        self.0.namespaces.values().flat_map(|namespace| namespace.core.emits.undeclared(&namespace.core.path)).collect()
    }

    fn check_on(&self) -> Result {
        self.0.engine.is_some().then_some(()).ok_or(Error::SocketsOff)
    }

    fn unknown(&self, path: &str) -> Error {
        Error::UnknownChannel { path: path.to_owned(), mounted: self.0.namespaces.keys().cloned().collect() }
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
        self.0.session_layer.clone()
    }

    /// Disconnects a user from every channel, on every node: all tabs, all devices. The user's sessions stay; if the
    /// user connects again, the channels authorize them again. Returns the number of sockets on this node.
    ///
    /// # Errors
    ///
    /// [`Error::SocketsOff`] while web sockets are off; [`Error::Backplane`] when other nodes could not be notified;
    /// this node's sockets have been disconnected.
    pub async fn disconnect_user(&self, user: impl UserKey) -> Result<usize> {
        self.check_on()?;
        let user = user.user_key().into_owned();
        self.0.session_sync.disconnect_user(&user).await
    }

    /// Reads a session from its store again and updates its sockets, on every node (rule R11). Log-in and log-out
    /// through [`http::Session`](crate::http::Session) do this automatically; call it for sessions that were changed in
    /// another way.
    ///
    /// # Errors
    ///
    /// [`Error::SocketsOff`] while web sockets are off; [`Error::Store`] when the store fails; [`Error::Backplane`]
    /// when other nodes could not be notified.
    pub async fn refresh_session(&self, id: impl AsRef<str>) -> Result {
        self.check_on()?;
        self.0.session_sync.refresh(id.as_ref()).await
    }

    /// Whether the service takes clients (rule R25): `GET /ready` of [`serve`](crate::serve) for embedding applications. `false` from the
    /// moment that [`shutdown`](Self::shutdown) is called, and while a server that `health.requires` names does not answer.
    pub async fn is_ready(&self) -> bool {
        health::reasons(&self.0).await.is_empty()
    }

    /// Ends the service, in this order (rule R25):
    ///
    /// 1. It is not [ready](Self::is_ready) any more, and goes on as before for `drain.delay` (by default not at all).
    /// 2. New clients are refused with `shutting_down`.
    /// 3. Over the time `drain.over`, one client after another is closed: its new events are refused, what it has sent is handled, within
    ///    `limits.shutdown_timeout` (10 s by default), it is told by `carolina:closed`, and its transport is closed, so that
    ///    it comes back to another node. By default all are closed together.
    /// 4. What is left is closed.
    ///
    /// It returns when that is done; a second call waits for the first.
    pub async fn shutdown(&self) {
        shutdown::shutdown(&self.0).await;
    }
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sockets")
            .field("channels", &self.0.namespaces.keys())
            .field("on", &self.is_on())
            .finish_non_exhaustive()
    }
}

fn handle(namespace: &Namespace) -> ChannelHandle {
    ChannelHandle::new(namespace.core.clone())
}

static GLOBAL: OnceLock<Sockets> = OnceLock::new();

/// The service that [`serve`](crate::serve) runs in this process.
///
/// # Panics
///
/// Where `serve()` has not started it; [`try_sockets`] returns an error instead. Services made by [`Sockets::builder`] are not global, so
/// that tests may make as many as they like.
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
/// [`Error::NotRunning`] if `serve()` has not started it.
pub fn try_sockets() -> Result<Sockets> {
    GLOBAL.get().cloned().ok_or(Error::NotRunning)
}

#[cfg(feature = "serve")]
fn set_global(sockets: &Sockets) -> Result {
    GLOBAL.set(sockets.clone()).map_err(|_| Error::AlreadyRunning)
}

#[cfg(feature = "testing")]
impl Inner {
    /// The record of emits, for tests.
    pub(crate) fn tap(&self) -> &crate::core::Tap {
        &self.services.tap
    }
}

#[cfg(feature = "testing")]
impl Sockets {
    /// The engine, for clients over streams in this process; `None` while web sockets are off.
    pub(crate) fn engine(&self) -> Option<&Arc<Engine>> {
        self.0.engine.as_ref()
    }
}
