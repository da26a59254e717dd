//! One channel at a path, on the engine's namespace of that path.
//!
//! A client is identified and authorized, and its handlers are set, before CONNECT is sent to it. A refused client has
//! joined no room and run no handler (rules R5, R10 and R12).

mod resume;

use std::sync::Arc;

use futures_core::future::BoxFuture;
use tracing::Instrument;

use crate::{
    core::{ChannelCore, Identify, SocketState, end, to_client_error},
    dispatch::{HandlerTable, handle_event, refuse_event, start_connect},
    engine::{Auth, ClientConnection, DisconnectReason, EngineSocket, EventPayload, NamespaceHooks, SocketHooks},
    error::{EventError, code},
    extract::{PathFault, PathNeed},
    identity::Handshake,
    plan::MountPlan,
    resume::{Log, Subscriber},
    session_sync::SessionSync,
    telemetry::{Cause, refused, trace},
    template::Template,
};

/// A channel at a path, with its handlers.
pub(crate) struct Namespace {
    pub(crate) core: Arc<ChannelCore>,
    pub(crate) table: Arc<HandlerTable>,
    pub(crate) plan: MountPlan,
}

/// What the engine calls for a namespace.
#[derive(Clone)]
pub(crate) struct ConnectHook {
    pub(crate) core: Arc<ChannelCore>,
    pub(crate) table: Arc<HandlerTable>,
    pub(crate) sync: Arc<SessionSync>,
}

/// What the engine calls for a socket.
pub(crate) struct SocketHook {
    socket: Arc<SocketState>,
    table: Arc<HandlerTable>,
    sync: Arc<SessionSync>,
}

impl NamespaceHooks for ConnectHook {
    type Socket = SocketHook;

    fn let_in(
        &self,
        socket: EngineSocket,
        auth: Result<Option<Auth>, EventError>,
    ) -> BoxFuture<'_, Result<Arc<SocketHook>, String>> {
        Box::pin(async move {
            let let_in = match auth {
                Ok(auth) => self.identify_and_authorize(socket, auth).await,
                Err(error) => Err(error),
            };
            let_in.map_err(|error| connect_error(&error))
        })
    }

    fn connected(&self, raw: &EngineSocket) {
        let core = raw.instance().map_or(Some(self.core.clone()), |path| self.core.known_instance(path));
        if let Some(socket) = core.and_then(|core| core.socket(raw.id())) {
            match socket.resume.as_ref().filter(|subscriber| subscriber.wants_offsets()) {
                None => enter(&self.table, &socket, raw),
                Some(_) => resume::enter(&self.table, &socket, raw),
            }
        }
    }
}

/// A client has been answered: it is on the channel.
fn enter(table: &Arc<HandlerTable>, socket: &Arc<SocketState>, raw: &EngineSocket) {
    socket.enter_presence(raw);
    socket.channel.services.observed.tell(|observer| observer.connected(socket));
    start_connect(table, socket, raw);
}

impl ConnectHook {
    /// Identifies a client and decides whether it may join.
    async fn identify_and_authorize(
        &self,
        raw: EngineSocket,
        auth: Option<Auth>,
    ) -> Result<Arc<SocketHook>, EventError> {
        let Some(client) = raw.client() else {
            return Err(EventError::internal("a connection came past the service's own layer"));
        };
        if self.core.is_draining() || client.is_leaving() {
            return Err(EventError::new(code::SHUTTING_DOWN, "the server is shutting down"));
        }
        // Before anything is allocated for the instance (rule R18).
        let core = match (raw.instance(), self.core.template()) {
            (Some(path), Some(template)) => {
                let checked = check_parameters(template, path, self.table.paths());
                checked.map_err(|error| to_client_error(error, &self.core.path, raw.id(), "connect"))?;
                self.core.instance(path)
            }
            _ => self.core.clone(),
        };
        let bytes = auth.as_ref().map_or(0, |auth| auth.len());
        if !client.brought.try_add(bytes) {
            let most = core.limits.header_bytes;
            refused(Cause::HeaderBytes, "an `auth` payload: the client has brought more than limits.header_bytes");
            let text = format!("headers and `auth` payloads have more than {most} bytes (limits.header_bytes)");
            return Err(EventError::new(code::PAYLOAD_TOO_LARGE, text));
        }
        let mut brought = Brought { client: client.clone(), bytes };
        let identities = &core.services.identities;
        let handshake = Handshake::new(client.clone(), auth.clone());
        let seen = identities.generation();
        let identity = identities.identify(&handshake).await;
        let identity = identity.map_err(|error| to_client_error(error, core.label(), raw.id(), "connect"))?;
        // From here on the socket gives the bytes back.
        brought.bytes = 0;
        let trace = trace::Connection::begin(core.label(), &core.path, &raw.id(), || handshake.traceparent());
        let span = trace.span();
        let socket = Arc::new(SocketState::new(core.clone(), &raw, client, auth, identity, trace));
        core.handlers().authorize(&socket, &raw).instrument(span).await?;
        if let Some(subscriber) = &socket.resume {
            Log::prepare(subscriber, &raw);
        }
        socket.join_identity_rooms(&raw);
        core.register(&socket);
        let hook = SocketHook { socket: socket.clone(), table: self.table.clone(), sync: self.sync.clone() };
        // A log-out after the identity was read did not find this socket on the channel.
        if identities.generation() != seen {
            self.sync.recheck(&socket, &raw).await;
        }
        if socket.mailbox.is_closed() {
            return Err(EventError::unauthenticated());
        }
        // Last, since a refusal is answered by the engine.
        if socket.resume.as_ref().is_some_and(Subscriber::wants_offsets) {
            raw.withhold_answer();
        }
        Ok(Arc::new(hook))
    }
}

/// Checks that an instance's parameters read as every handler's `Path<T>`.
fn check_parameters(template: &Template, path: &str, paths: &[PathNeed]) -> Result<(), EventError> {
    let values = template.values(path).map_err(|(name, given)| {
        let expected = if given.is_empty() { "a value" } else { "text in UTF-8, percent-encoded" };
        PathFault::new(name, given, expected)
    });
    let checked = values.and_then(|values| paths.iter().try_for_each(|path| (path.check)(&values)));
    checked.map_err(EventError::from)
}

/// The bytes of an `auth` payload, given back when the client is not let in.
struct Brought {
    client: Arc<ClientConnection>,
    bytes: usize,
}

impl Drop for Brought {
    fn drop(&mut self) {
        self.client.brought.subtract(self.bytes);
    }
}

impl SocketHooks for SocketHook {
    fn event(&self, raw: &EngineSocket, payload: EventPayload, ack: Option<i64>) {
        self.socket.channel.services.observed.tell(|observer| observer.received(&self.socket, &payload));
        handle_event(&self.table, &self.socket, raw, payload, ack, || self.identify());
    }

    fn excessive_event(&self, raw: &EngineSocket, payload: EventPayload, ack: Option<i64>, error: EventError) {
        refuse_event(&self.table, &self.socket, raw, payload, ack, error);
    }

    fn disconnected(&self, raw: &EngineSocket, reason: DisconnectReason) {
        end(&self.socket, raw, reason);
    }
}

impl SocketHook {
    /// The function that resolves a `session_id` event.
    fn identify(&self) -> Identify {
        let sync = self.sync.clone();
        Box::new(|socket, raw, payload| Box::pin(async move { sync.session_event(&socket, &raw, &payload).await }))
    }
}

/// Cleans up a socket that the engine drops without a disconnect.
impl Drop for SocketHook {
    fn drop(&mut self) {
        self.socket.channel.unregister(&self.socket);
        self.socket.leave_presence(DisconnectReason::TransportClose);
    }
}

/// The text of a `connect_error`, which is all that it carries: `code: message`, or only the code for the library's own
/// refusals.
fn connect_error(error: &EventError) -> String {
    let reference = error.details_value().and_then(|details| details.get("reference")).and_then(|value| value.as_str());
    match (error.is_plain(), reference) {
        (_, Some(reference)) => format!("{}: {} (reference {reference})", error.code(), error.message()),
        (true, None) => error.code().to_owned(),
        (false, None) => format!("{}: {}", error.code(), error.message()),
    }
}
