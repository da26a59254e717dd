//! Everything that depends on the behaviour of socketioxide and engineioxide, including the workarounds for what
//! differs from this library's rules.
//!
//! The rest of the crate speaks in the types of this module: an [`EngineSocket`] is one client in one namespace, an
//! [`EngineNamespace`] sends to many, a [`ClientConnection`] is what a client's sockets share, and [`NamespaceHooks`]
//! is what the engine calls. `UPSTREAM.md` beside this file lists what is relied on or worked around, and the test that
//! fails when a new release changes it.

mod blocked;
mod carrier;
mod client;
mod event;
mod excess;
mod frames;
mod head;
mod hooks;
mod http;
mod id;
mod incoming;
mod instances;
mod joins;
mod namespace;
mod payload;
mod polling;
mod reason;
mod rejoin;
mod sessions;
mod socket;
mod stream;
mod translate;
mod upgrade;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use socketioxide::{ParserConfig, SocketIo, SocketIoBuilder, service::SocketIoService};

use crate::{
    background::Background,
    backplane::{Backplane, BackplaneState, Directory},
    config::Config,
    error::{Error, Result},
    guard::{Guard, Turns},
    template::Template,
};

use blocked::Blocked;
pub(crate) use client::ClientConnection;
pub(crate) use event::{EventPayload, check_name};
pub(crate) use hooks::{Auth, NamespaceHooks, SocketHooks};
pub use id::{InvalidSocketId, SocketId};
use instances::{InstanceHook, Templates};
pub(crate) use namespace::{EncodedPayload, EngineNamespace, Recipients, encode_event};
pub(crate) use payload::from_text;
#[cfg(feature = "testing")]
pub(crate) use payload::{Answer, Payload};
pub use reason::DisconnectReason;
use rejoin::Rejoin;
use sessions::Sessions;
pub(crate) use socket::{ACK_TIMEOUT, EngineSocket, NoArguments, SendError, WeakEngineSocket};

/// The service that takes streams into the engine. HTTP requests do not reach it: polling is implemented here.
type EngineService = SocketIoService<(), Backplane>;

/// socketioxide, configured from our settings.
pub(crate) struct Engine {
    io: SocketIo<Backplane>,
    service: EngineService,
    /// The backplanes of the namespaces on this engine.
    directory: Arc<Directory>,
    config: Config,
    guard: Arc<Guard>,
    rejoin: Arc<Rejoin>,
    blocked: Arc<Blocked>,
    turns: Turns,
    sessions: Arc<Sessions>,
    templates: Templates,
    background: Background,
    /// Whether new clients are refused, since the service is shutting down.
    closed_to_clients: Arc<AtomicBool>,
}

impl Engine {
    pub(crate) fn new(
        config: &Config,
        backplane: BackplaneState,
        guard: Arc<Guard>,
        background: Background,
        closed_to_clients: Arc<AtomicBool>,
    ) -> Self {
        let limits = &config.limits;
        // What exceeds the limits never reaches the engine. What replaces it does, and may be larger than a low limit.
        let payload = usize::try_from(limits.max_payload).unwrap_or(usize::MAX);
        let message = payload.saturating_add(excess::REPLACED);
        let attachments = payload.saturating_add(limits.max_attachments.saturating_mul(excess::MARK));
        let parser = ParserConfig::common()
            .max_incoming_binaries(limits.max_attachments)
            .max_incoming_binary_buf_size(attachments)
            .packet_completion_timeout(limits.connect_timeout);
        let builder = SocketIoBuilder::new()
            .with_parser(parser)
            .ping_interval(config.transport.ping_interval)
            .ping_timeout(config.transport.ping_timeout)
            .connect_timeout(limits.connect_timeout)
            .ack_timeout(ACK_TIMEOUT)
            .max_buffer_size(limits.send_queue)
            .max_payload(limits.max_payload)
            .ws_max_message_size(message)
            .ws_max_frame_size(message)
            // The buffer is allocated per connection; larger ones made no measurable difference.
            .ws_read_buffer_size(128);
        let directory = backplane.directory();
        let (service, io) = builder.with_adapter::<Backplane>(backplane).build_with_inner_svc(());
        Self {
            io,
            service,
            blocked: Arc::new(Blocked::new(directory.clone())),
            turns: Turns::default(),
            directory,
            config: config.clone(),
            guard,
            rejoin: Arc::new(Rejoin::new(background.clone())),
            sessions: Arc::new(Sessions::new(background.clone())),
            templates: Templates::default(),
            background,
            closed_to_clients,
        }
    }

    /// Registers a namespace, so that clients can join it.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`] when the backplane cannot be subscribed to.
    pub(crate) async fn register_namespace<H: NamespaceHooks>(&self, path: &str, hooks: H) -> Result<EngineNamespace> {
        self.rejoin.add_path(path);
        let hook = hooks::ConnectHook { hooks, rejoin: self.rejoin.clone() };
        self.io.ns(path.to_owned(), hook).await.map_err(Error::backplane)?;
        let backplane = self.directory.get(path).ok_or(Error::Closed)?;
        Ok(EngineNamespace::new(path, &backplane, self.blocked.clone()))
    }

    /// Registers a namespace for all instances of a template, so that clients can join them.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`] when the backplane cannot be subscribed to.
    pub(crate) async fn register_template<H: NamespaceHooks>(
        &self,
        template: &Template,
        hooks: H,
    ) -> Result<EngineNamespace> {
        let limits = &self.config.limits;
        let place = (self.templates.count(), template.path());
        let (directory, background) = (self.directory.clone(), self.background.clone());
        let hook = InstanceHook::new(hooks, place, directory, limits.connect_timeout, background);
        self.io.ns(template.path().to_owned(), hook).await.map_err(Error::backplane)?;
        let backplane = self.directory.get(template.path()).ok_or(Error::Closed)?;
        // Only now, so that no client comes before the namespace is there.
        self.templates.add(template.clone(), self.rejoin.clone(), limits.channels_per_connection);
        Ok(EngineNamespace::new(template.path(), &backplane, self.blocked.clone()))
    }

    /// Closes a client's connection and with it all its sockets, without a disconnect packet. `false` if it was already
    /// closed.
    pub(crate) fn close_transport(&self, socket: &EngineSocket) -> bool {
        socket.client().is_some_and(|client| client.close_transport())
    }

    /// The same for a connection, whatever it is on.
    pub(crate) fn close_client(&self, client: &ClientConnection) -> bool {
        client.close_transport()
    }

    /// Whether a polling client has not fetched all that it was sent.
    #[cfg(feature = "serve")]
    pub(crate) fn has_unfetched(&self) -> bool {
        self.sessions.has_unfetched()
    }

    /// How many clients are polling.
    #[cfg(feature = "admin")]
    pub(crate) fn polling_clients(&self) -> usize {
        self.sessions.polling()
    }

    /// Closes every connection.
    pub(crate) async fn close(&self) {
        self.io.close().await;
    }

    /// Whoever costs much waits for these, before the engine sees it as well.
    #[cfg(feature = "serve")]
    pub(crate) fn turns(&self) -> Turns {
        self.turns.clone()
    }

    fn is_draining(&self) -> bool {
        self.closed_to_clients.load(Ordering::Acquire)
    }
}

/// The readers of what clients send, for tests on whatever comes.
#[cfg(test)]
pub(crate) mod fuzz {
    use std::collections::VecDeque;

    use bytes::Bytes;
    use serde::de::IgnoredAny;

    use super::{
        EventPayload,
        incoming::{Incoming, MessageLimits, Seen},
        payload, polling,
    };
    use crate::error::EventError;

    /// What is found in these bytes when they come in such pieces.
    #[derive(Debug, Default, PartialEq, Eq)]
    pub(crate) struct Followed {
        begun: usize,
        seen: Vec<String>,
    }

    pub(crate) fn follow(bytes: &[u8], size: usize) -> Followed {
        let mut incoming = Incoming::new(MessageLimits { bytes: 300, attachments: 2 });
        let mut followed = Followed::default();
        for piece in bytes.chunks(size) {
            let chunk = incoming.read(piece, |seen: Seen<'_>| followed.seen.push(format!("{seen:?}")));
            followed.begun += chunk.begun;
        }
        followed
    }

    pub(crate) fn polling_frames(body: &[u8]) -> Option<Vec<u8>> {
        polling::frames(body).map(|frames| frames.to_vec())
    }

    /// Reads a packet in every way; returns the refusals.
    pub(crate) fn read(text: &str, attachments: &VecDeque<Bytes>) -> Vec<EventError> {
        let _ = EventPayload::from_text(text).event_name();
        let attachments = Some(attachments).filter(|attachments| !attachments.is_empty());
        let refused = [
            payload::read::<IgnoredAny>(text, attachments, false, false).err(),
            payload::read::<(String, Option<Bytes>)>(text, attachments, true, true).err(),
            payload::read::<serde_json::Value>(text, attachments, false, false).err(),
            payload::read::<Vec<Bytes>>(text, attachments, true, false).err(),
        ];
        refused.into_iter().flatten().collect()
    }
}
