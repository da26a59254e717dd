//! STUB
use crate::{backplane::RawSocket, connection::Connection, http::SessionLayer, *};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
pub(crate) struct Identities {
    generation: AtomicU64,
}
impl Identities {
    pub(crate) async fn open(_: &Config, _: Option<Arc<dyn Identify>>, _: Option<super::SharedStore>) -> Result<Self> {
        Ok(Self { generation: AtomicU64::new(0) })
    }
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }
    pub(crate) async fn identify(&self, _: &Handshake) -> Result<Identity, EventError> {
        Ok(Identity::anonymous())
    }
    pub(crate) fn layer(&self) -> SessionLayer {
        SessionLayer
    }
    pub(crate) fn session(&self, _: &str) -> Option<http::Session> {
        None
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
