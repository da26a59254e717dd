//! STUB
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::mpsc;

use super::{CookieKeys, EventSink, SessionEvent, SessionIdentify, SharedStore, WatchedStore};
use crate::{backplane::RawSocket, connection::Connection, guard::Guard, http::SessionLayer, *};

/// Who clients are, and the sessions behind them.
pub(crate) struct Identities {
    generation: AtomicU64,
    identify: Arc<dyn Identify>,
    sessions: SessionIdentify,
    layer: SessionLayer,
    /// What happens to sessions; taken by whoever acts upon it.
    events: Mutex<Option<mpsc::UnboundedReceiver<SessionEvent>>>,
}

impl Identities {
    pub(crate) async fn open(
        config: &Config,
        identify: Option<Arc<dyn Identify>>,
        store: Option<SharedStore>,
    ) -> Result<Self> {
        let session = &config.session;
        let keys = Arc::new(CookieKeys::new(&session.cookie, &session.secret)?);
        let store = match store {
            Some(store) => store,
            None => SharedStore::open(&session.store).await?,
        };
        let (sender, events) = mpsc::unbounded_channel();
        let sink: EventSink = Arc::new(move |event| {
            // Nobody listens any more once the service is gone.
            let _ = sender.send(event);
        });
        let store = Arc::new(WatchedStore::new(store, session.ttl, sink));
        let guard = Guard::new(config);
        let is_tls = Arc::new(move |parts: &::http::request::Parts| guard.is_secure(parts));
        let layer = SessionLayer::new(store.clone(), keys.clone(), session.secure, is_tls);
        let sessions = SessionIdentify::new(store, keys, &session.user_key);
        let identify = identify.unwrap_or_else(|| Arc::new(sessions.clone()));
        Ok(Self { generation: AtomicU64::new(0), identify, sessions, layer, events: Mutex::new(Some(events)) })
    }
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }
    pub(crate) async fn identify(&self, handshake: &Handshake) -> Result<Identity, EventError> {
        self.identify.identify(handshake).await
    }
    pub(crate) fn layer(&self) -> SessionLayer {
        self.layer.clone()
    }
    pub(crate) fn session(&self, id: &str) -> Option<http::Session> {
        self.sessions.session(id)
    }
}
pub(crate) async fn recheck(_: &Sockets, _: &Arc<Connection>, _: &Arc<RawSocket>) {}
pub(crate) async fn disconnect_user(_: &Sockets, _: &str) -> Result<usize> {
    Ok(0)
}
pub(crate) async fn refresh(_: &Sockets, _: &str) -> Result {
    Ok(())
}
pub(crate) fn start(_: &Sockets) {}
pub(crate) async fn session_event(
    _: &Arc<Connection>,
    _: &Arc<RawSocket>,
    _: &socketioxide_core::Value,
) -> Result<(), EventError> {
    Ok(())
}
