use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use socketioxide_core::adapter::CoreAdapter;

use super::{client::ClientConnection, id::SocketId};
use crate::backplane::Directory;

/// The room of sockets whose clients have no room left for broadcasts.
pub(super) const FULL: &str = "\0full";

/// The clients that have stopped reading. Usually there is none, so that sending to many costs nothing more.
#[derive(Default)]
pub(super) struct Blocked {
    directory: Arc<Directory>,
    count: AtomicUsize,
    by_id: Mutex<HashMap<SocketId, Arc<ClientConnection>>>,
}

impl Blocked {
    /// The directory has the namespaces, in each of which a client may be in the room [`FULL`].
    pub(super) fn new(directory: Arc<Directory>) -> Self {
        Self { directory, ..Self::default() }
    }

    /// Whether there are any. Asked for every broadcast.
    pub(super) fn is_any(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    pub(super) fn insert(&self, client: &Arc<ClientConnection>) {
        let Some(id) = client.id() else { return };
        let mut by_id = self.by_id.lock();
        by_id.insert(id, client.clone());
        self.count.store(by_id.len(), Ordering::Release);
    }

    pub(super) fn remove(&self, client: &ClientConnection) {
        let Some(id) = client.id() else { return };
        let mut by_id = self.by_id.lock();
        by_id.remove(&id);
        by_id.shrink_to(16);
        self.count.store(by_id.len(), Ordering::Release);
        if client.take_full() {
            for backplane in self.directory.all() {
                backplane.get_local().del(id.raw(), [FULL]);
            }
        }
    }

    /// Does something with a client that has stopped reading. It cannot begin to read again meanwhile.
    pub(super) fn with(&self, id: SocketId, act: impl FnOnce(&ClientConnection)) {
        if let Some(client) = self.by_id.lock().get(&id) {
            act(client);
        }
    }
}
