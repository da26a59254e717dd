//! The three handlers that socketioxide calls, in our own terms.
//!
//! A client is identified and authorized in the namespace's middleware, before CONNECT is sent to it; its event handler
//! is set there too, as socketioxide calls the connect handler only after that (rule R5).

use std::{fmt, pin::Pin, sync::Arc};

use futures_core::future::BoxFuture;
use socketioxide::handler::{ConnectHandler, DisconnectHandler, MessageHandler};
use socketioxide_core::{Str, Value};

use super::{
    event::EventPayload, excess::replaced_auth, id::SocketId, reason::DisconnectReason, rejoin::Rejoin,
    socket::EngineSocket,
};
use crate::{
    backplane::{Backplane, RawSocket},
    error::EventError,
};

/// The payload of a CONNECT packet: JSON text.
pub(crate) type Auth = Str;

/// What a namespace does with its clients.
pub(crate) trait NamespaceHooks: Clone + Send + Sync + 'static {
    type Socket: SocketHooks;

    /// Decides whether a client may join. An error is the text of its `connect_error`.
    fn let_in(
        &self,
        socket: EngineSocket,
        auth: Result<Option<Auth>, EventError>,
    ) -> BoxFuture<'_, Result<Arc<Self::Socket>, String>>;

    /// CONNECT has been sent to the client.
    fn connected(&self, socket: &EngineSocket);
}

/// What happens to one socket of a namespace.
pub(crate) trait SocketHooks: Send + Sync + 'static {
    /// An event has arrived. Called under a lock of the engine: it must not wait, and must not set handlers.
    fn event(&self, socket: &EngineSocket, payload: EventPayload, ack: Option<i64>);

    /// The same for an event that has exceeded a limit. Of the payload only the event's name is left.
    fn excessive_event(&self, socket: &EngineSocket, payload: EventPayload, ack: Option<i64>, error: EventError);

    /// The socket has left the namespace.
    fn disconnected(&self, socket: &EngineSocket, reason: DisconnectReason);
}

/// A namespace's connect handler.
#[derive(Clone)]
pub(super) struct ConnectHook<H> {
    pub(super) hooks: H,
    pub(super) rejoin: Arc<Rejoin>,
}

impl<H: NamespaceHooks> ConnectHandler<Backplane, ()> for ConnectHook<H> {
    fn call(&self, raw: Arc<RawSocket>, _auth: Option<Value>) {
        let socket = EngineSocket::new(raw);
        self.hooks.connected(&socket);
        if let Some(client) = socket.client() {
            client.joins.connected();
        }
    }

    fn call_middleware<'a>(
        &'a self,
        raw: Arc<RawSocket>,
        auth: &'a Option<Value>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Box<dyn fmt::Display + Send>>> + Send + 'a>> {
        Box::pin(async move {
            let auth = match auth {
                Some(Value::Str(text, _)) => read_auth(text.clone()),
                _ => Ok(None),
            };
            let client = EngineSocket::new(raw.clone()).client();
            if let Some(client) = &client {
                client.set_id(SocketId::new(raw.id));
                client.joins.remove(raw.ns().as_bytes());
            }
            let let_in = self.hooks.let_in(EngineSocket::new(raw.clone()), auth).await;
            if let Some(client) = &client {
                client.joins.answering(let_in.is_ok());
                if let_in.is_ok() {
                    client.set_joined();
                }
            }
            match let_in {
                Ok(hooks) => {
                    raw.on_fallback(MessageHook(hooks.clone()));
                    raw.on_disconnect(DisconnectHook { hooks, rejoin: self.rejoin.clone() });
                    Ok(())
                }
                Err(text) => {
                    let text: Box<dyn fmt::Display + Send> = Box::new(text);
                    Err(text)
                }
            }
        })
    }
}

/// A socket's single message handler: set as the fallback, it gets every event.
struct MessageHook<H>(Arc<H>);

impl<H: SocketHooks> MessageHandler<Backplane, ()> for MessageHook<H> {
    fn call(&self, raw: Arc<RawSocket>, payload: Value, ack: Option<i64>) {
        call_event(&*self.0, &EngineSocket::new(raw), EventPayload::new(payload), ack);
    }
}

/// Hands an event over.
pub(super) fn call_event(hooks: &dyn SocketHooks, socket: &EngineSocket, payload: EventPayload, ack: Option<i64>) {
    match payload.excess() {
        None => hooks.event(socket, payload, ack),
        Some((event, error)) => hooks.excessive_event(socket, EventPayload::of(&event), ack, error),
    }
}

/// The payload of a CONNECT packet, or why it has been left out.
pub(super) fn read_auth(text: Auth) -> Result<Option<Auth>, EventError> {
    match replaced_auth(&text) {
        Some(excess) => Err(excess.into_error()),
        None => Ok(Some(text)),
    }
}

/// A socket's disconnect handler.
struct DisconnectHook<H> {
    hooks: Arc<H>,
    rejoin: Arc<Rejoin>,
}

impl<H: SocketHooks> DisconnectHandler<Backplane, ()> for DisconnectHook<H> {
    fn call_with_defer(
        &self,
        raw: Arc<RawSocket>,
        reason: socketioxide::socket::DisconnectReason,
        defer: fn(Arc<RawSocket>),
    ) {
        let socket = EngineSocket::new(raw.clone());
        let known = socket.client().and_then(|client| client.close_reason());
        self.hooks.disconnected(&socket, known.unwrap_or_else(|| DisconnectReason::from_engine(reason)));
        if reason == socketioxide::socket::DisconnectReason::ServerNSDisconnect {
            self.rejoin.keep(raw, defer);
        } else {
            // Removed at once, so that a client that leaves and rejoins over the same connection is not ignored.
            defer(raw);
        }
    }
}
