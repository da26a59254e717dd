use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;

use super::SocketState;
use crate::engine::SocketId;

/// The sockets of each client, on all channels together. Kept only while clients are being closed one after another: a client's sockets have
/// the same id, but there may be a great many channels to look for them on.
#[derive(Default)]
pub(crate) struct Roster(Mutex<Option<HashMap<SocketId, Vec<Weak<SocketState>>>>>);

impl Roster {
    /// Keeps those that join from now on.
    pub(crate) fn begin(&self) {
        self.0.lock().get_or_insert_default();
    }

    pub(crate) fn add(&self, socket: &Arc<SocketState>) {
        if let Some(sockets) = &mut *self.0.lock() {
            sockets.entry(socket.id).or_default().push(Arc::downgrade(socket));
        }
    }

    /// What a client is on, or was since it is kept. One may be named twice.
    pub(crate) fn of(&self, id: SocketId) -> Vec<Arc<SocketState>> {
        let sockets = self.0.lock();
        let own = sockets.as_ref().and_then(|sockets| sockets.get(&id));
        own.into_iter().flatten().filter_map(Weak::upgrade).collect()
    }
}
