//! The three handlers that socketioxide calls, in our own terms.
//!
//! A client is identified and authorized in the namespace's middleware, before CONNECT is sent to it; its event handler
//! is set there too, as socketioxide calls the connect handler only after that (rule R5).

use std::{fmt, pin::Pin, sync::Arc};

use futures_core::future::BoxFuture;
use socketioxide::handler::{ConnectHandler, DisconnectHandler, MessageHandler};
use socketioxide_core::{Str, Value};

use super::{event::EventPayload, id::SocketId, reason::DisconnectReason, rejoin::Rejoin, socket::EngineSocket};
use crate::backplane::{Backplane, RawSocket};

/// The payload of a CONNECT packet: JSON text.
pub(crate) type Auth = Str;

/// What a namespace does with its clients.
pub(crate) trait NamespaceHooks: Clone + Send + Sync + 'static {
    type Socket: SocketHooks;

    /// Decides whether a client may join. An error is the text of its `connect_error`.
    fn admit(&self, socket: EngineSocket, auth: Option<Auth>) -> BoxFuture<'_, Result<Arc<Self::Socket>, String>>;

    /// CONNECT has been sent to the client.
    fn connected(&self, socket: &EngineSocket);
}

/// What happens to one socket of a namespace.
pub(crate) trait SocketHooks: Send + Sync + 'static {
    /// An event has arrived. Called under a lock of the engine: it must not wait, and must not set handlers.
    fn event(&self, socket: &EngineSocket, payload: EventPayload, ack: Option<i64>);

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
        let socket = EngineSocket(raw);
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
                Some(Value::Str(text, _)) => Some(text.clone()),
                _ => None,
            };
            let client = EngineSocket(raw.clone()).client();
            if let Some(client) = &client {
                client.set_id(SocketId::new(raw.id));
                client.joins.remove(raw.ns().as_bytes());
            }
            let admitted = self.hooks.admit(EngineSocket(raw.clone()), auth).await;
            if let Some(client) = &client {
                client.joins.answering(admitted.is_ok());
            }
            match admitted {
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
        self.0.event(&EngineSocket(raw), EventPayload(payload), ack);
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
        let socket = EngineSocket(raw.clone());
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
