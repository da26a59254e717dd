use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_core::future::BoxFuture;
use parking_lot::{Mutex, RwLock};
use tokio_util::task::TaskTracker;

use super::{DeclaredEmits, Job, Services, SocketState};
use crate::{
    config::Limits,
    engine::{EncodedPayload, EngineNamespace, EngineSocket, Recipients, SocketId},
    error::{Error, EventError, Result},
    guard::Rate,
    presence::Enrich,
    resume::Log,
    telemetry::{histogram::Histogram, metric},
    template::{Template, Value},
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
    /// Where the channel has parameters, that of the template, or of one of its instances.
    pub(crate) path: String,
    pub(crate) limits: Arc<Limits>,
    /// The rates of the handlers that have one; each socket has a limiter for each.
    pub(crate) rates: Arc<[Rate]>,
    pub(crate) services: Arc<Services>,
    /// What the channel declares that it emits.
    pub(crate) emits: Arc<DeclaredEmits>,
    /// With presence: how long a client that has lost its connection stays listed.
    pub(crate) linger: Option<Duration>,
    /// What `#[on(presence)]` adds to the keys, if there is one.
    pub(crate) enrich: Option<Enrich>,
    /// What is kept for clients that come back, if anything is.
    pub(crate) resume: Option<Arc<Log>>,
    /// Whether `#[on(disconnect)]` waits until a client can no longer come back.
    pub(crate) disconnects_late: bool,
    /// The tasks of this service; shutdown waits for them.
    pub(crate) tasks: TaskTracker,
    handlers: Arc<dyn Handlers>,
    namespace: OnceLock<EngineNamespace>,
    /// Whether the service is shutting down; shared with the service, since it is read for every event.
    draining: Arc<AtomicBool>,
    sockets: RwLock<HashMap<SocketId, Arc<SocketState>>>,
    kind: Kind,
    /// How long its events wait.
    mailbox_time: Histogram,
}

/// What a channel's path is.
enum Kind {
    /// A path without parameters.
    Path,
    Template(Box<Instances>),
    /// Of this template.
    Instance(Arc<ChannelCore>),
}

/// The instances of a template that somebody is on, or that the application holds.
struct Instances {
    template: Template,
    by_path: Mutex<HashMap<String, Weak<ChannelCore>>>,
    /// How many sockets are on all of them, on this node.
    sockets: AtomicUsize,
}

impl Instances {
    fn all(&self) -> Vec<Arc<ChannelCore>> {
        self.by_path.lock().values().filter_map(Weak::upgrade).collect()
    }
}

impl ChannelCore {
    #[allow(clippy::too_many_arguments, reason = "each is a field")]
    pub(crate) fn new(
        path: String,
        limits: Limits,
        rates: Vec<Rate>,
        emits: DeclaredEmits,
        services: Arc<Services>,
        tasks: TaskTracker,
        handlers: Arc<dyn Handlers>,
        draining: Arc<AtomicBool>,
    ) -> Self {
        let kind = match Template::parse(&path) {
            None => Kind::Path,
            Some(template) => Kind::Template(Box::new(Instances {
                template,
                by_path: Mutex::default(),
                sockets: AtomicUsize::new(0),
            })),
        };
        Self {
            path,
            limits: Arc::new(limits),
            rates: rates.into(),
            emits: Arc::new(emits),
            services,
            linger: None,
            enrich: None,
            resume: None,
            disconnects_late: false,
            tasks,
            handlers,
            namespace: OnceLock::new(),
            draining,
            sockets: RwLock::default(),
            kind,
            mailbox_time: Histogram::default(),
        }
    }

    /// The template, for a channel with parameters and for its instances.
    pub(crate) fn template(&self) -> Option<&Template> {
        match &self.kind {
            Kind::Path => None,
            Kind::Template(instances) => Some(&instances.template),
            Kind::Instance(of) => of.template(),
        }
    }

    /// Whether it stands for all instances of a template.
    pub(crate) fn is_template(&self) -> bool {
        matches!(self.kind, Kind::Template(_))
    }

    /// Whether it is an instance of a template.
    pub(crate) fn is_instance(&self) -> bool {
        matches!(self.kind, Kind::Instance(_))
    }

    /// The path for metrics: an instance's is not, as clients choose it.
    pub(crate) fn label(&self) -> &str {
        match &self.kind {
            Kind::Instance(of) => &of.path,
            _ => &self.path,
        }
    }

    /// The channels that clients are on: the instances of a template, or else this one.
    pub(crate) fn each(self: &Arc<Self>) -> Vec<Arc<Self>> {
        match &self.kind {
            Kind::Template(instances) => instances.all(),
            _ => vec![self.clone()],
        }
    }

    /// The same, with those that nobody is on, but to which somebody may come back.
    pub(crate) fn each_kept(self: &Arc<Self>) -> Vec<Arc<Self>> {
        match &self.kind {
            // Each instance that somebody is on has a log.
            Kind::Template(_) if self.resume.is_some() => {
                self.services.resumes.instances(&self.path).iter().map(|path| self.instance(path)).collect()
            }
            _ => self.each(),
        }
    }

    /// Sends an event to this node's clients, and keeps it for those that come back. Returns how many missed it.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] before the namespace is registered.
    pub(crate) fn emit_here(&self, payload: &EncodedPayload, recipients: &Recipients) -> Result<usize> {
        let namespace = self.namespace()?;
        Ok(match &self.resume {
            Some(log) if log.is_shared() => log.send_unlogged(namespace, payload, recipients),
            Some(log) => log.broadcast(namespace, payload, recipients),
            None => namespace.emit_here(payload, recipients),
        })
    }

    /// Sends an event to the clients of all nodes by the log of the server between them. Returns how many of this node's missed it, which is counted.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] before the namespace is registered.
    pub(crate) async fn emit_by_log(&self, payload: &EncodedPayload, recipients: &Recipients) -> Result<usize> {
        let namespace = self.namespace()?;
        Ok(match &self.resume {
            Some(log) => log.emit(namespace, payload, recipients).await,
            None => namespace.emit_here(payload, recipients),
        })
    }

    /// All instances of the template; of a channel without parameters, itself.
    pub(crate) fn all_instances(self: &Arc<Self>) -> &Arc<Self> {
        match &self.kind {
            Kind::Instance(of) => of,
            _ => self,
        }
    }

    /// The instance of a template at a canonical path, which is made if there is none; a channel without parameters is its own.
    pub(crate) fn instance(self: &Arc<Self>, path: &str) -> Arc<Self> {
        let Kind::Template(instances) = &self.kind else { return self.clone() };
        let mut by_path = instances.by_path.lock();
        if let Some(instance) = by_path.get(path).and_then(Weak::upgrade) {
            return instance;
        }
        let namespace = OnceLock::new();
        let resume = self.resume.as_ref().map(|_| self.services.resumes.log(path, &self.path));
        if let Some(of) = self.namespace.get() {
            let own = of.instance(path);
            resume.iter().for_each(|log| log.open(&own));
            let _ = namespace.set(own);
        }
        let instance = Arc::new(Self {
            path: path.to_owned(),
            limits: self.limits.clone(),
            rates: self.rates.clone(),
            emits: self.emits.clone(),
            services: self.services.clone(),
            linger: self.linger,
            enrich: self.enrich.clone(),
            resume,
            disconnects_late: self.disconnects_late,
            tasks: self.tasks.clone(),
            handlers: self.handlers.clone(),
            namespace,
            draining: self.draining.clone(),
            sockets: RwLock::default(),
            mailbox_time: Histogram::default(),
            kind: Kind::Instance(self.clone()),
        });
        by_path.insert(path.to_owned(), Arc::downgrade(&instance));
        instance
    }

    /// The same, if there is one, or somebody may come back to it.
    pub(crate) fn known_instance(self: &Arc<Self>, path: &str) -> Option<Arc<Self>> {
        match &self.kind {
            Kind::Template(instances) => {
                let known = instances.by_path.lock().get(path).and_then(Weak::upgrade);
                let is_kept = || self.resume.is_some() && self.services.resumes.has(path, &self.path);
                known.or_else(|| is_kept().then(|| self.instance(path)))
            }
            _ => Some(self.clone()),
        }
    }

    /// The parameters of an instance.
    pub(crate) fn parameters(&self) -> Vec<Value<'_>> {
        let values = self.template().filter(|_| self.is_instance()).map(|template| template.values(&self.path));
        values.and_then(Result::ok).unwrap_or_default()
    }

    /// Lists who is on the channel (rule R20).
    pub(crate) fn with_presence(mut self, linger: Option<Duration>, enrich: Option<Enrich>) -> Self {
        self.linger = linger;
        self.enrich = enrich;
        self
    }

    /// Keeps what clients miss that lose their connection (rule R23), if the settings say so.
    pub(crate) fn with_resume(mut self, declared: Option<bool>) -> Self {
        if self.services.resumes.is_on(declared.is_some()) {
            self.resume = Some(self.services.resumes.log(&self.path, &self.path));
            self.disconnects_late = declared == Some(false);
        }
        self
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
        self.resume.iter().for_each(|log| log.open(&namespace));
        let _ = self.namespace.set(namespace);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// The sockets that are on the channel on this node.
    pub(crate) fn sockets(&self) -> Vec<Arc<SocketState>> {
        match &self.kind {
            Kind::Template(instances) => instances.all().iter().flat_map(|instance| instance.sockets()).collect(),
            _ => self.sockets.read().values().cloned().collect(),
        }
    }

    /// How many they are.
    #[cfg(feature = "admin")]
    pub(crate) fn sockets_here(&self) -> usize {
        self.sockets.read().len()
    }

    pub(crate) fn socket(&self, id: SocketId) -> Option<Arc<SocketState>> {
        self.sockets.read().get(&id).cloned()
    }

    /// This node's sockets in a room.
    pub(crate) fn in_room(&self, room: &str) -> Vec<Arc<SocketState>> {
        if let Kind::Template(instances) = &self.kind {
            return instances.all().iter().flat_map(|instance| instance.in_room(room)).collect();
        }
        let Ok(namespace) = self.namespace() else { return Vec::new() };
        namespace.local_sockets_in(room).into_iter().filter_map(|id| self.socket(id)).collect()
    }

    /// An event of a client's has waited for its turn.
    pub(crate) fn waited(&self, time: Duration) {
        self.mailbox_time.waited(time, self.label());
    }

    pub(crate) fn register(&self, socket: &Arc<SocketState>) {
        let mut sockets = self.sockets.write();
        let is_new = sockets.insert(socket.id, socket.clone()).is_none();
        self.count(sockets.len(), |all| if is_new { all + 1 } else { all });
        self.services.roster.add(socket);
    }

    /// Removes a socket, unless a newer one has taken its place.
    pub(crate) fn unregister(&self, socket: &Arc<SocketState>) {
        let mut sockets = self.sockets.write();
        if sockets.get(&socket.id).is_some_and(|current| Arc::ptr_eq(current, socket)) {
            sockets.remove(&socket.id);
            self.count(sockets.len(), |all| all.saturating_sub(1));
        }
    }

    /// Updates the number of sockets in the metrics; that of a template's instances is changed.
    fn count(&self, own: usize, change: impl Fn(usize) -> usize) {
        let Kind::Instance(of) = &self.kind else { return metric::sockets(&self.path, own) };
        if let Kind::Template(instances) = &of.kind {
            let before = instances.sockets.fetch_update(Ordering::AcqRel, Ordering::Acquire, |all| Some(change(all)));
            metric::sockets(&of.path, change(before.unwrap_or_default()));
        }
    }
}

impl Drop for ChannelCore {
    /// An instance is gone with its last socket and handle.
    fn drop(&mut self) {
        let Kind::Instance(of) = &self.kind else { return };
        if let Kind::Template(instances) = &of.kind {
            let mut by_path = instances.by_path.lock();
            // There may be a new one at the path.
            if by_path.get(&self.path).is_some_and(|known| known.strong_count() == 0) {
                by_path.remove(&self.path);
                let room = 2 * by_path.len();
                if by_path.capacity() > 1024 && by_path.capacity() > 4 * room {
                    by_path.shrink_to(room);
                }
            }
        }
    }
}

impl fmt::Debug for ChannelCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelCore").field("path", &self.path).finish_non_exhaustive()
    }
}
