//! Delivers emits to their sockets, on this node and on others.
//!
//! [`Backplane`] is the one adapter type of the service, so that `socketioxide::SocketIo<Backplane>` is the only
//! instantiation and user code never names an adapter (rule R16). While a backplane is unavailable, only messages for
//! other nodes are lost: this node's own clients are always served (rule R17).

mod bus;
mod init;
mod link;
mod packet;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
mod shared;
#[cfg(any(feature = "redis", feature = "postgres"))]
mod signature;

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Weak},
    time::Duration,
};

use futures_core::FusedStream;
use parking_lot::Mutex;
use socketioxide::{AckError, adapter::Emitter as SocketEmitter};
use socketioxide_core::{
    Sid, Value,
    adapter::{
        BroadcastOptions, CoreAdapter, CoreLocalAdapter, DefinedAdapter, RemoteSocketData, Room, RoomParam,
        errors::{AdapterError, BroadcastError},
    },
    packet::Packet,
};

use crate::{
    config::Config,
    error::{Caused, Result, Source},
    telemetry::{Cause, metric, undelivered},
};
pub(crate) use bus::{Bus, Message, PresenceChange, PresenceEntry, PresenceNews, Question, decode, encode};
pub(crate) use init::Initializing;
pub(crate) use link::{Link, connect};
pub(crate) use shared::{
    AppendNotification, Position, ReadRequest, ReadResponse, Retention, SaveSession, SharedLog, StoredEntry,
    StoredSession,
};

/// socketioxide's socket, on our adapter.
pub(crate) type RawSocket = socketioxide::socket::Socket<Backplane>;

/// One namespace's adapter.
pub(crate) struct Backplane {
    adapter: AdapterKind,
    directory: Arc<Directory>,
}

/// The adapter in use.
enum AdapterKind {
    /// This process alone.
    Local(CoreLocalAdapter<SocketEmitter>),
    #[cfg(feature = "redis")]
    Redis(Arc<redis::Adapter>),
    #[cfg(feature = "postgres")]
    Postgres(Arc<postgres::Adapter>),
}

/// Runs `$act` with the adapter that reaches other nodes, or `$otherwise` with the local one.
macro_rules! with_remote {
    ($self:expr, $adapter:ident => $act:expr, else $local:ident => $otherwise:expr) => {
        match &$self.adapter {
            AdapterKind::Local($local) => $otherwise,
            #[cfg(feature = "redis")]
            AdapterKind::Redis($adapter) => $act,
            #[cfg(feature = "postgres")]
            AdapterKind::Postgres($adapter) => $act,
        }
    };
}

/// The namespaces' backplanes by path, for packets that socketioxide's own handles cannot send.
#[derive(Default)]
pub(crate) struct Directory {
    by_path: Mutex<HashMap<String, Weak<Backplane>>>,
}

/// Shared by every namespace's [`Backplane`].
pub(crate) struct BackplaneState {
    directory: Arc<Directory>,
    link: Link,
}

impl BackplaneState {
    /// Connects to the backplane that the configuration names; without one, there is only this process.
    pub(crate) async fn connect(config: &Config) -> Result<Self> {
        let link = match &config.backplane.url {
            None => Link::None,
            Some(url) => link::connect_configured(url, &config.backplane.prefix, &config.session.secret).await?,
        };
        Ok(Self { directory: Arc::default(), link })
    }

    pub(crate) fn directory(&self) -> Arc<Directory> {
        self.directory.clone()
    }

    /// The control messages between nodes.
    pub(crate) fn bus(&self) -> Bus {
        Bus::new(self.link.clone())
    }
}

impl Directory {
    pub(crate) fn get(&self, path: &str) -> Option<Arc<Backplane>> {
        self.by_path.lock().get(path)?.upgrade()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Backplane>> {
        self.by_path.lock().values().filter_map(Weak::upgrade).collect()
    }
}

/// Why a backplane operation failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BackplaneError(#[source] Source);

impl BackplaneError {
    #[allow(dead_code, reason = "a process that is alone has no such errors")]
    pub(crate) fn new(source: impl Into<Source>) -> Self {
        Self(source.into())
    }
}

/// Keeps the driver's error as a source: the adapters' own errors name it in their text only.
#[cfg(any(feature = "redis", feature = "postgres"))]
macro_rules! keep_driver_error {
    ($adapter:ident::$error:ident, $driver:ty) => {
        impl From<$adapter::$error<$driver>> for BackplaneError {
            fn from(error: $adapter::$error<$driver>) -> Self {
                let text = error.to_string();
                match error {
                    $adapter::$error::Driver(error) => Self::new(Caused::new(text, error)),
                    error => Self::new(error),
                }
            }
        }
    };
}

#[cfg(feature = "redis")]
keep_driver_error!(socketioxide_redis::Error, redis::Redis);
#[cfg(feature = "redis")]
keep_driver_error!(socketioxide_redis::InitError, redis::Redis);
#[cfg(feature = "postgres")]
keep_driver_error!(socketioxide_postgres::Error, postgres::Postgres);

impl From<BroadcastError> for BackplaneError {
    fn from(error: BroadcastError) -> Self {
        let text = error.to_string();
        match error {
            BroadcastError::Socket(_) => Self::new(text),
            BroadcastError::Serialize(error) => Self::new(Caused::new(text, error)),
            BroadcastError::Adapter(AdapterError(error)) => match by_type(error) {
                Some(error) => Self::new(Caused::new(text, error)),
                None => Self::new(text),
            },
        }
    }
}

/// The error of an adapter. It comes as one that need not be `Sync`, as ours have to be.
fn by_type(error: Box<dyn std::error::Error + Send>) -> Option<BackplaneError> {
    let error = match error.downcast::<BackplaneError>() {
        Ok(error) => return Some(*error),
        Err(error) => error,
    };
    #[cfg(feature = "redis")]
    let error = match error.downcast::<socketioxide_redis::Error<redis::Redis>>() {
        Ok(error) => return Some((*error).into()),
        Err(error) => error,
    };
    #[cfg(feature = "postgres")]
    let error = match error.downcast::<socketioxide_postgres::Error<postgres::Postgres>>() {
        Ok(error) => return Some((*error).into()),
        Err(error) => error,
    };
    drop(error);
    None
}

impl From<BackplaneError> for AdapterError {
    fn from(error: BackplaneError) -> Self {
        AdapterError::from(Box::new(error) as Box<dyn std::error::Error + Send>)
    }
}

/// Counts and logs a message that other nodes did not receive.
pub(crate) fn record_lost(reason: &dyn std::fmt::Display) {
    metric::backplane_lost(1);
    undelivered(Cause::Lost, &format!("other nodes miss an emit: {reason}"));
}

/// The acknowledgements of a broadcast, from any adapter.
pub(crate) type Answers = Pin<Box<dyn FusedStream<Item = (Sid, std::result::Result<Value, AckError>)> + Send>>;

impl Backplane {
    /// Disconnects sockets of other nodes; this node's have already been disconnected.
    pub(crate) async fn disconnect_others(&self, options: BroadcastOptions) -> std::result::Result<(), BackplaneError> {
        with_remote!(self, adapter => {
            adapter.disconnect_socket(options).await.map_err(BackplaneError::from)
        }, else _local => {
            let _ = options;
            Ok(())
        })
    }
}

impl DefinedAdapter for Backplane {}

impl CoreAdapter<SocketEmitter> for Backplane {
    type Error = BackplaneError;
    type State = BackplaneState;
    type AckStream = Answers;
    type InitRes = Initializing;

    fn new(state: &Self::State, local: CoreLocalAdapter<SocketEmitter>) -> Self {
        let adapter = match &state.link {
            Link::None => AdapterKind::Local(local),
            #[cfg(feature = "redis")]
            Link::Redis(redis) => AdapterKind::Redis(Arc::new(redis::adapter(redis, local))),
            #[cfg(feature = "postgres")]
            Link::Postgres(postgres) => AdapterKind::Postgres(Arc::new(postgres::adapter(postgres, local))),
        };
        Self { adapter, directory: state.directory.clone() }
    }

    fn init(self: Arc<Self>, on_success: impl FnOnce() + Send + 'static) -> Self::InitRes {
        let path = self.get_local().path().to_string();
        self.directory.by_path.lock().insert(path, Arc::downgrade(&self));
        with_remote!(self, adapter => {
            let ready = adapter.clone().init(on_success);
            Initializing::of(async move { ready.await.map_err(BackplaneError::from) })
        }, else _local => {
            on_success();
            Initializing::ready()
        })
    }

    async fn close(&self) -> std::result::Result<(), Self::Error> {
        with_remote!(self, adapter => {
            adapter.close().await.map_err(BackplaneError::from)
        }, else _local => Ok(()))
    }

    async fn server_count(&self) -> std::result::Result<u16, Self::Error> {
        with_remote!(self, adapter => {
            adapter.server_count().await.map_err(BackplaneError::from)
        }, else _local => Ok(1))
    }

    async fn broadcast(&self, packet: Packet, opts: BroadcastOptions) -> std::result::Result<(), BroadcastError> {
        with_remote!(self, adapter => {
            match adapter.broadcast(packet.clone(), opts.clone()).await {
                // Only the delivery to other nodes failed; this node's own clients are still served.
                Err(BroadcastError::Adapter(error)) => {
                    record_lost(&error);
                    adapter.get_local().broadcast(packet, opts).map_err(BroadcastError::from)
                }
                done => done,
            }
        }, else local => local.broadcast(packet, opts).map_err(BroadcastError::from))
    }

    async fn broadcast_with_ack(
        &self,
        packet: Packet,
        opts: BroadcastOptions,
        timeout: Option<Duration>,
    ) -> std::result::Result<Self::AckStream, Self::Error> {
        with_remote!(self, adapter => {
            match adapter.broadcast_with_ack(packet.clone(), opts.clone(), timeout).await {
                Ok(answers) => Ok(Box::pin(answers)),
                Err(error) => {
                    record_lost(&error);
                    Ok(Box::pin(adapter.get_local().broadcast_with_ack(packet, opts, timeout).0))
                }
            }
        }, else local => Ok(Box::pin(local.broadcast_with_ack(packet, opts, timeout).0)))
    }

    async fn add_sockets(&self, opts: BroadcastOptions, rooms: impl RoomParam) -> std::result::Result<(), Self::Error> {
        let rooms: Vec<Room> = rooms.into_room_iter().collect();
        with_remote!(self, adapter => {
            let done = adapter.add_sockets(opts.clone(), rooms.clone()).await;
            done.map_err(|error| {
                adapter.get_local().add_sockets(opts, rooms);
                BackplaneError::from(error)
            })
        }, else local => {
            local.add_sockets(opts, rooms);
            Ok(())
        })
    }

    async fn del_sockets(&self, opts: BroadcastOptions, rooms: impl RoomParam) -> std::result::Result<(), Self::Error> {
        let rooms: Vec<Room> = rooms.into_room_iter().collect();
        with_remote!(self, adapter => {
            let done = adapter.del_sockets(opts.clone(), rooms.clone()).await;
            done.map_err(|error| {
                adapter.get_local().del_sockets(opts, rooms);
                BackplaneError::from(error)
            })
        }, else local => {
            local.del_sockets(opts, rooms);
            Ok(())
        })
    }

    async fn disconnect_socket(&self, opts: BroadcastOptions) -> std::result::Result<(), BroadcastError> {
        with_remote!(self, adapter => adapter.disconnect_socket(opts).await, else local => {
            local.disconnect_socket(opts).map_err(BroadcastError::Socket)
        })
    }

    async fn rooms(&self, opts: BroadcastOptions) -> std::result::Result<Vec<Room>, Self::Error> {
        with_remote!(self, adapter => {
            adapter.rooms(opts).await.map_err(BackplaneError::from)
        }, else local => Ok(local.rooms(opts).into_iter().collect()))
    }

    async fn fetch_sockets(&self, opts: BroadcastOptions) -> std::result::Result<Vec<RemoteSocketData>, Self::Error> {
        with_remote!(self, adapter => {
            adapter.fetch_sockets(opts).await.map_err(BackplaneError::from)
        }, else local => Ok(local.fetch_sockets(opts)))
    }

    fn get_local(&self) -> &CoreLocalAdapter<SocketEmitter> {
        with_remote!(self, adapter => adapter.get_local(), else local => local)
    }
}
