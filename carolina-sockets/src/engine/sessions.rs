use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;

use super::{client::ClientConnection, socket::SocketId};

/// The connections that began with polling, by the ids of their sessions: each of their requests has to be assigned to
/// one. An entry is removed with its connection.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<SocketId, Weak<ClientConnection>>>);

impl Sessions {
    pub(super) fn insert(self: &Arc<Self>, id: SocketId, client: &Arc<ClientConnection>) {
        self.0.lock().insert(id, Arc::downgrade(client));
        client.set_id(id);
        client.set_sessions(self);
    }

    pub(super) fn get(&self, id: SocketId) -> Option<Arc<ClientConnection>> {
        self.0.lock().get(&id)?.upgrade()
    }

    pub(super) fn remove(&self, id: SocketId) {
        self.0.lock().remove(&id);
    }
}
