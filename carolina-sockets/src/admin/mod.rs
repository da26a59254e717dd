//! The official Admin UI (rule R27): a namespace that speaks its protocol.
//!
//! Pages log in to the namespace [`PATH`], on any node. What is to be shown is emitted to all pages on all nodes, and what a
//! page asks is carried out by every node for its own sockets. The namespace is none of the service's channels, so that it is
//! never shown itself.

mod command;
mod credentials;
mod mirror;
mod stats;
mod view;

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use futures_core::future::BoxFuture;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;

use crate::{
    background::Background,
    backplane::{Bus, Message, Question},
    config::{AdminMode, Config},
    core::{ChannelCore, Services},
    engine::{
        Auth, DisconnectReason, Engine, EngineNamespace, EngineSocket, EventPayload, NamespaceHooks, Recipients,
        SocketHooks, SocketId,
    },
    error::{EventError, Result},
    extract::Args,
    guard::Guard,
    telemetry::traffic,
};
use command::Command;
use credentials::Credentials;
use mirror::Mirror;

/// Where pages connect.
pub(crate) const PATH: &str = "/admin";

/// The text by which the page knows that it has to ask for the password.
const REFUSED: &str = "invalid credentials";

/// How many messages to the pages may wait. Those beyond are not shown.
const MOST_WAITING: usize = 4096;

/// How many sockets one message between nodes tells of.
const PER_MESSAGE: usize = 50;

/// The buttons of the page, and what it is shown.
const FEATURES: [&str; 8] =
    ["EMIT", "JOIN", "LEAVE", "DISCONNECT", "MJOIN", "MLEAVE", "MDISCONNECT", "AGGREGATED_EVENTS"];

/// In development mode, also each socket and event.
const ALL_EVENTS: &str = "ALL_EVENTS";

/// What nodes tell each other.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ToNodes {
    Run(Command),
    /// An event was sent to sockets of any node.
    Sent {
        path: String,
        to: Vec<String>,
        except: Vec<String>,
        packet: Json,
    },
}

/// The Admin UI of a service.
pub(crate) struct Admin {
    credentials: Credentials,
    channels: Vec<Arc<ChannelCore>>,
    bus: Bus,
    outbox: Outbox,
    /// In development mode.
    mirror: Option<Arc<Mirror>>,
    background: Background,
    closed: Arc<AtomicBool>,
    namespace: OnceLock<EngineNamespace>,
    /// The pages on this node.
    pages: Mutex<HashMap<SocketId, Weak<Page>>>,
}

/// Where messages to the pages wait to be emitted, in their order.
#[derive(Clone)]
struct Outbox {
    messages: mpsc::Sender<(&'static str, Vec<Json>)>,
    /// The pages on this node.
    pages: Arc<AtomicUsize>,
    /// There may be pages on other nodes.
    elsewhere: bool,
}

impl Outbox {
    /// Shows something on all pages, if there may be any.
    fn show(&self, event: &'static str, arguments: Vec<Json>) {
        if !self.elsewhere && self.pages.load(Ordering::Acquire) == 0 {
            return;
        }
        if self.messages.try_send((event, arguments)).is_err() {
            tracing::debug!(event, "the Admin UI is not shown everything: too much happens at once");
        }
    }
}

/// The parts of a service that the Admin UI shows.
pub(crate) struct Shown<'a> {
    pub(crate) config: &'a Config,
    pub(crate) channels: Vec<Arc<ChannelCore>>,
    pub(crate) services: &'a Services,
    pub(crate) bus: &'a Bus,
    pub(crate) background: &'a Background,
    /// Set when new clients are refused.
    pub(crate) closed: &'a Arc<AtomicBool>,
    pub(crate) guard: &'a Arc<Guard>,
    pub(crate) engine: &'a Arc<Engine>,
}

impl Admin {
    /// Opens the namespace, if there is a password.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`](crate::Error::Backplane) when the backplane cannot be subscribed to.
    pub(crate) async fn open(shown: Shown<'_>) -> Result<Option<Arc<Self>>> {
        let Some(credentials) = Credentials::new(shown.config) else { return Ok(None) };
        let (sender, mut messages) = mpsc::channel::<(&str, Vec<Json>)>(MOST_WAITING);
        let (bus, background) = (shown.bus.clone(), shown.background.clone());
        let outbox = Outbox { messages: sender, pages: Arc::default(), elsewhere: bus.has_backplane() };
        let is_development = shown.config.admin.mode == AdminMode::Development;
        let mirror = is_development.then(|| Arc::new(Mirror::new(outbox.clone(), bus.clone(), background.clone())));
        let admin = Arc::new(Self {
            credentials,
            channels: shown.channels,
            bus,
            outbox,
            mirror,
            background,
            closed: shown.closed.clone(),
            namespace: OnceLock::new(),
            pages: Mutex::default(),
        });
        let namespace = shown.engine.register_namespace(PATH, Hook(Arc::downgrade(&admin))).await?;
        let _ = admin.namespace.set(namespace.clone());
        admin.background.spawn(async move {
            while let Some((event, arguments)) = messages.recv().await {
                if let Err(error) = namespace.emit(event, &Args(arguments), &Recipients::all()).await {
                    tracing::debug!(%error, event, "the Admin UI is not shown everything");
                }
            }
        });
        if let Some(mirror) = &admin.mirror {
            shown.services.observed.set(mirror.clone());
            admin.background.spawn(mirror.clone().look(admin.channels.clone()));
        }
        traffic::start();
        let stats = stats::Stats::new(admin.channels.clone(), shown.guard.clone(), Arc::downgrade(shown.engine));
        admin.background.spawn(stats.show(admin.outbox.clone()));
        Ok(Some(admin))
    }

    /// Does what another node tells.
    pub(crate) async fn handle(&self, text: &str) {
        match serde_json::from_str(text) {
            Ok(ToNodes::Run(command)) => command.run(&self.channels).await,
            Ok(ToNodes::Sent { path, to, except, packet }) => {
                let core = find(&self.channels, &path);
                let (Some(mirror), Some(core)) = (&self.mirror, core) else { return };
                let mut recipients = Recipients::all();
                if !to.is_empty() {
                    recipients.add_rooms(to);
                }
                recipients.exclude_rooms(except);
                mirror.sent_here(&core, &recipients, &packet);
            }
            Err(error) => tracing::warn!(%error, "another node's Admin UI says something that is not known here"),
        }
    }

    /// This node's sockets, in parts, of which there is at least one.
    pub(crate) fn sockets_for_others(&self) -> Vec<String> {
        let found = self.sockets_here();
        let parts = found.chunks(PER_MESSAGE).chain(found.is_empty().then_some(found.as_slice()));
        parts.map(|part| serde_json::to_string(part).unwrap_or_default()).collect()
    }

    fn sockets_here(&self) -> Vec<Json> {
        let sockets = self.channels.iter().flat_map(|core| core.sockets());
        sockets.filter_map(|socket| view::socket(&socket)).collect()
    }

    /// The sockets of all nodes.
    async fn sockets(&self) -> Vec<Json> {
        let mut others = Vec::new();
        if let Some(namespace) = self.namespace.get().filter(|_| self.bus.has_backplane()) {
            let nodes = namespace.nodes().await.map_or(0, |nodes| usize::from(nodes.saturating_sub(1)));
            match self.bus.ask(Question::Admin, nodes).await {
                Ok(parts) => others = parts,
                Err(error) => tracing::warn!(%error, "the Admin UI shows this node's sockets only"),
            }
        }
        let others = others.iter().filter_map(|part| serde_json::from_str::<Vec<Json>>(part).ok()).flatten();
        self.sockets_here().into_iter().chain(others).collect()
    }

    /// Tells a page that has come what there is.
    fn welcome(self: &Arc<Self>, socket: &EngineSocket) {
        let features: Vec<&str> = FEATURES.into_iter().chain(self.mirror.is_some().then_some(ALL_EVENTS)).collect();
        send(socket, "config", &json!({ "supportedFeatures": features }));
        if self.mirror.is_some() {
            let (this, socket) = (self.clone(), socket.clone());
            self.background.spawn(async move { send(&socket, "all_sockets", &this.sockets().await.into()) });
        }
    }

    /// Does what a page asks, here and on the other nodes.
    fn run(self: &Arc<Self>, command: Command) {
        let this = self.clone();
        self.background.spawn(async move {
            let command = ToNodes::Run(command);
            let text = serde_json::to_string(&command).unwrap_or_default();
            if let Err(error) = this.bus.publish(Message::Admin { text }).await {
                tracing::warn!(%error, "the Admin UI: other nodes do not hear of it");
            }
            if let ToNodes::Run(command) = command {
                command.run(&this.channels).await;
            }
        });
    }
}

/// The channel at a path, which may be that of an instance.
fn find(channels: &[Arc<ChannelCore>], path: &str) -> Option<Arc<ChannelCore>> {
    let each = channels.iter().flat_map(|core| core.each());
    channels.iter().cloned().chain(each).find(|core| core.path == path)
}

fn send(socket: &EngineSocket, event: &str, value: &Json) {
    // As one argument, also where it is a list.
    if let Err(error) = socket.emit(event, &Args(vec![value])) {
        tracing::debug!(?error, event, "a page of the Admin UI is gone, or does not read");
    }
}

/// What the engine calls for the namespace.
#[derive(Clone)]
struct Hook(Weak<Admin>);

/// What it calls for a page.
struct Page {
    admin: Weak<Admin>,
    pages: Arc<AtomicUsize>,
    /// The session that the page gets when it is on the namespace.
    session: Option<String>,
}

impl NamespaceHooks for Hook {
    type Socket = Page;

    fn let_in(
        &self,
        socket: EngineSocket,
        auth: Result<Option<Auth>, EventError>,
    ) -> BoxFuture<'_, Result<Arc<Page>, String>> {
        Box::pin(async move {
            let admin = self.0.upgrade().filter(|admin| !admin.closed.load(Ordering::Acquire));
            let (Some(admin), Some(client), Ok(Some(auth))) = (admin, socket.client(), auth) else {
                return Err(REFUSED.to_owned());
            };
            let admitted = admin.credentials.admit(Some(&auth), client.address()).await;
            let session = admitted.ok_or_else(|| REFUSED.to_owned())?.session;
            let pages = admin.outbox.pages.clone();
            pages.fetch_add(1, Ordering::AcqRel);
            let page = Arc::new(Page { admin: self.0.clone(), pages, session });
            admin.pages.lock().insert(socket.id(), Arc::downgrade(&page));
            Ok(page)
        })
    }

    fn connected(&self, socket: &EngineSocket) {
        let Some(admin) = self.0.upgrade() else { return };
        let page = admin.pages.lock().get(&socket.id()).and_then(Weak::upgrade);
        // Not before, since the page listens from CONNECT on.
        if let Some(session) = page.as_ref().and_then(|page| page.session.as_ref()) {
            send(socket, "session", &json!(session));
        }
        admin.welcome(socket);
    }
}

impl SocketHooks for Page {
    fn event(&self, socket: &EngineSocket, payload: EventPayload, _: Option<i64>) {
        let (Some(admin), Some(client)) = (self.admin.upgrade(), socket.client()) else { return };
        if client.count_event().is_err() {
            return tracing::warn!("the Admin UI: a page asks for more than limits.events_per_second");
        }
        match Command::read(payload.text()) {
            Some(command) => admin.run(command),
            None => tracing::debug!(event = payload.event_name(), "a page of the Admin UI asks for nothing known"),
        }
    }

    fn excessive_event(&self, _: &EngineSocket, _: EventPayload, _: Option<i64>, error: EventError) {
        tracing::warn!(%error, "the Admin UI");
    }

    fn disconnected(&self, socket: &EngineSocket, _: DisconnectReason) {
        if let Some(admin) = self.admin.upgrade() {
            admin.pages.lock().remove(&socket.id());
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.pages.fetch_sub(1, Ordering::AcqRel);
    }
}
