//! Redis between the nodes: `socketioxide-redis`, on a driver of our own that never makes an emit wait for the server.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use parking_lot::Mutex;
use redis::{
    AsyncCommands, Client, Msg, RedisResult,
    aio::{MultiplexedConnection, PubSubSink, PubSubStream},
};
use socketioxide::adapter::Emitter;
use socketioxide_core::adapter::{CoreAdapter, CoreLocalAdapter};
use socketioxide_redis::{
    CustomRedisAdapter, RedisAdapterConfig, RedisAdapterCtr,
    drivers::{ChanItem, Driver, MessageStream},
};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};

mod incoming;
mod logs;

use super::{
    BackplaneError,
    link::CONNECT,
    record_lost,
    signature::{Keys, Signer, Verifier},
};
use crate::{
    redis_client,
    telemetry::{Cause, metric, refused},
};
use incoming::Requests;

/// Messages that may wait to be published.
const QUEUE: usize = 16_384;
/// Messages that are on their way to the server at once.
const IN_FLIGHT: usize = 256;
/// Commands that the connection accepts without making the sender wait: with fewer than [`IN_FLIGHT`], messages could
/// overtake each other.
const BUFFERED: usize = 2 * IN_FLIGHT;
/// How long a command may take.
const COMMAND: Duration = Duration::from_secs(2);
/// How often the server is asked whether it still answers.
const PROBE: Duration = Duration::from_secs(1);
/// The pauses between attempts to connect again: doubled from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A namespace's adapter.
pub(super) type Adapter = CustomRedisAdapter<Emitter, Redis>;

pub(super) fn adapter(redis: &Redis, local: CoreLocalAdapter<Emitter>) -> Adapter {
    let config = RedisAdapterConfig::new().with_prefix(redis.prefix.to_string()).with_request_timeout(COMMAND);
    let namespace = Namespace {
        responses: format!("{}-response#", redis.prefix).into(),
        path: local.path().to_string().into(),
        requests: Arc::new(Requests::new(local.ack_timeout() + COMMAND)),
    };
    let driver = Redis { namespace: Some(namespace), ..redis.clone() };
    CustomRedisAdapter::new(&RedisAdapterCtr::new_with_driver(driver, config), local)
}

/// The way to the server, shared by all namespaces.
#[derive(Clone)]
pub(crate) struct Redis {
    prefix: Arc<str>,
    server: Arc<Server>,
    queue: mpsc::Sender<ChanItem>,
    /// For messages that bypass the queue and may overtake it.
    control_signer: Arc<Signer>,
    /// `None` for the control channel.
    namespace: Option<Namespace>,
    /// Ends the connection with the last clone.
    _stop: Arc<DropGuard>,
}

/// What is known of a namespace's adapter.
#[derive(Clone)]
struct Namespace {
    path: Arc<str>,
    /// What the names of channels for responses begin with.
    responses: Arc<str>,
    requests: Arc<Requests>,
}

/// Who has subscribed to a channel.
struct Handler {
    to: mpsc::Sender<ChanItem>,
    namespace: Option<Namespace>,
}

struct Server {
    client: Client,
    keys: Keys,
    verifier: Verifier,
    /// `None` while the server is away.
    connection: Mutex<Option<Connection>>,
    handlers: Mutex<HashMap<String, Handler>>,
    /// Where notifications about logs are passed on, if anywhere.
    log_listener: Mutex<Option<logs::LogListener>>,
    /// How often it was connected.
    connects: AtomicU64,
    /// A command has failed, so the server should be asked at once whether it still answers.
    suspected: Notify,
}

/// Two connections: one that has subscribed takes no other commands.
#[derive(Clone)]
struct Connection {
    publisher: MultiplexedConnection,
    subscriber: PubSubSink,
    /// Which run of the server it is.
    run: Arc<str>,
}

impl Redis {
    pub(super) async fn open(url: &str, prefix: &str, secrets: &[String]) -> Result<Self, RedisError> {
        let keys = Keys::new(secrets, prefix);
        let server = Arc::new(Server {
            client: redis_client::client(url)?,
            keys: keys.clone(),
            verifier: Verifier::new(keys.clone()),
            connection: Mutex::default(),
            handlers: Mutex::default(),
            log_listener: Mutex::default(),
            connects: AtomicU64::new(0),
            suspected: Notify::new(),
        });
        let messages = server.connect().await?;
        let (queue, queued) = mpsc::channel(QUEUE);
        let stop = CancellationToken::new();
        tokio::spawn(publish(server.clone(), Signer::new(keys.clone()), queued));
        tokio::spawn(stop.clone().run_until_cancelled_owned(keep_connected(server.clone(), messages)));
        Ok(Self {
            prefix: prefix.into(),
            server,
            queue,
            control_signer: Arc::new(Signer::new(keys)),
            namespace: None,
            _stop: Arc::new(stop.drop_guard()),
        })
    }

    fn control(&self) -> String {
        format!("{}-control", self.prefix)
    }

    /// Whether the server is reached.
    pub(super) fn is_up(&self) -> bool {
        self.server.connection.lock().is_some()
    }

    /// The server's clock.
    #[cfg(feature = "cli")]
    pub(super) async fn server_time(&self) -> Option<std::time::SystemTime> {
        let mut publisher = self.server.connection().ok()?.publisher;
        let (seconds, _): (u64, u64) = redis::cmd("TIME").query_async(&mut publisher).await.ok()?;
        Some(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    /// A message to all nodes. Unlike an emit, it is sent before this returns: the sending process may be about to
    /// exit.
    pub(super) async fn publish_control(&self, text: String) -> Result<(), BackplaneError> {
        let Connection { mut publisher, .. } = self.server.connection()?;
        let channel = self.control();
        let data = self.control_signer.sign(&channel, text.as_bytes());
        let published: RedisResult<()> = publisher.publish(channel, data).await;
        Ok(published.map_err(|error| self.server.failed(error))?)
    }

    pub(super) async fn listen_control(&self) -> Result<BoxStream<'static, String>, BackplaneError> {
        let messages = self.subscribe(self.control(), QUEUE).await?;
        Ok(messages.filter_map(|(_, data)| async move { String::from_utf8(data).ok() }).boxed())
    }
}

impl Server {
    fn connection(&self) -> Result<Connection, RedisError> {
        self.connection.lock().clone().ok_or(RedisError::Away)
    }

    /// Connects, and subscribes to all channels that have a handler.
    async fn connect(&self) -> Result<PubSubStream, RedisError> {
        let connected = async {
            let mut publisher = redis_client::connect(&self.client, CONNECT, COMMAND, BUFFERED).await?;
            let (mut subscriber, messages) = self.client.get_async_pubsub().await?.split();
            subscriber.ping::<redis::Value>().await?;
            let mut channels: Vec<String> = self.handlers.lock().keys().cloned().collect();
            channels.extend(self.log_listener.lock().as_ref().map(|(channel, _)| channel.clone()));
            if !channels.is_empty() {
                subscriber.subscribe(channels).await?;
            }
            let run = logs::run_id(&mut publisher).await.into();
            RedisResult::Ok((Connection { publisher, subscriber, run }, messages))
        };
        match tokio::time::timeout(CONNECT, connected).await {
            Ok(connected) => {
                let (connection, messages) = connected?;
                *self.connection.lock() = Some(connection);
                self.connects.fetch_add(1, Ordering::AcqRel);
                Ok(messages)
            }
            Err(elapsed) => Err(RedisError::Timeout(CONNECT, elapsed)),
        }
    }

    /// Returns when the server no longer answers.
    async fn watch(&self, mut connection: Connection) {
        let mut probe = tokio::time::interval(PROBE);
        probe.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = probe.tick() => {}
                () = self.suspected.notified() => {}
            }
            let answers = async {
                redis::cmd("PING").exec_async(&mut connection.publisher).await?;
                connection.subscriber.ping::<redis::Value>().await
            };
            if !matches!(tokio::time::timeout(COMMAND, answers).await, Ok(Ok(_))) {
                return;
            }
        }
    }

    /// Hands a message to whoever has subscribed, if its signature is valid.
    fn dispatch(&self, message: &Msg) {
        if self.dispatch_notification(message) {
            return;
        }
        let channel = message.get_channel_name();
        let data = match self.verifier.open(channel, message.get_payload_bytes()) {
            Ok(data) => data,
            Err(refusal) => return refusal.tell(channel),
        };
        let handlers = self.handlers.lock();
        let Some(handler) = handlers.get(channel) else { return };
        if let Some(namespace) = &handler.namespace
            && let Err(reason) = incoming::check(namespace, channel, data)
        {
            refused(Cause::BackplanePacket, &format!("a message on `{channel}` of the backplane: {reason}"));
            return;
        }
        if handler.to.try_send((channel.to_owned(), data.to_vec())).is_err() {
            record_lost(&"messages of other nodes came too fast");
        }
    }

    /// A command's failure, which may be the first sign that the server is away.
    fn failed(&self, error: impl Into<RedisError>) -> RedisError {
        self.suspected.notify_one();
        error.into()
    }
}

/// Hands on what is received, and connects again whenever the server was away. Says when it goes and comes.
async fn keep_connected(server: Arc<Server>, mut messages: PubSubStream) {
    loop {
        if let Ok(connection) = server.connection() {
            let received = async {
                while let Some(message) = messages.next().await {
                    server.dispatch(&message);
                }
            };
            tokio::select! {
                () = received => {}
                () = server.watch(connection) => {}
            }
        }
        *server.connection.lock() = None;
        metric::backplane_up(false);
        tracing::warn!("the backplane is away: emits reach this node's clients alone");
        let mut pause = FIRST_PAUSE;
        messages = loop {
            match server.connect().await {
                Ok(messages) => break messages,
                Err(error) => tracing::debug!(%error, "the backplane cannot be reached"),
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        };
        metric::backplane_up(true);
        tracing::info!("the backplane is back: emits reach other nodes again");
    }
}

/// Publishes what is queued, in order. While the server is away nothing is kept: old news would come all at once.
async fn publish(server: Arc<Server>, signer: Signer, mut queued: mpsc::Receiver<ChanItem>) {
    let mut in_flight = futures_util::stream::FuturesOrdered::new();
    loop {
        tokio::select! {
            next = queued.recv(), if in_flight.len() < IN_FLIGHT => {
                let Some((channel, data)) = next else { return };
                match server.connection() {
                    Ok(Connection { mut publisher, .. }) => {
                        let data = signer.sign(&channel, &data);
                        in_flight.push_back(async move { publisher.publish::<_, _, ()>(channel, data).await });
                    }
                    Err(error) => record_lost(&error),
                }
            },
            Some(published) = in_flight.next() => {
                if let Err(error) = published {
                    record_lost(&server.failed(error));
                }
            }
        }
    }
}

/// Why Redis could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RedisError {
    #[error("Redis is away")]
    Away,
    #[error("no answer within {0:?}")]
    Timeout(Duration, #[source] tokio::time::error::Elapsed),
    #[error("too many messages wait to be published")]
    QueueFull,
    #[error("{0}")]
    Client(#[from] redis::RedisError),
}

impl From<RedisError> for BackplaneError {
    fn from(error: RedisError) -> Self {
        Self::new(error)
    }
}

impl Driver for Redis {
    type Error = RedisError;

    /// Queues a message, so that no emit waits for the server.
    async fn publish(&self, chan: String, val: Vec<u8>) -> Result<(), RedisError> {
        if let Some(namespace) = &self.namespace
            && !chan.starts_with(&*namespace.responses)
        {
            namespace.requests.note(&val);
        }
        self.queue.try_send((chan, val)).map_err(|_| RedisError::QueueFull)
    }

    async fn subscribe(&self, chan: String, size: usize) -> Result<MessageStream<ChanItem>, RedisError> {
        let Connection { mut subscriber, .. } = self.server.connection()?;
        let (to, from) = mpsc::channel(size);
        // Before the server knows, so that the first message finds it.
        let handler = Handler { to, namespace: self.namespace.clone() };
        self.server.handlers.lock().insert(chan.clone(), handler);
        let error = match tokio::time::timeout(COMMAND, subscriber.subscribe(&chan)).await {
            Ok(Ok(())) => return Ok(MessageStream::new(from)),
            Ok(Err(error)) => error.into(),
            Err(elapsed) => RedisError::Timeout(COMMAND, elapsed),
        };
        self.server.handlers.lock().remove(&chan);
        Err(self.server.failed(error))
    }

    async fn unsubscribe(&self, chan: String) -> Result<(), RedisError> {
        self.server.handlers.lock().remove(&chan);
        let Connection { mut subscriber, .. } = self.server.connection()?;
        match tokio::time::timeout(COMMAND, subscriber.unsubscribe(chan)).await {
            Ok(done) => done.map_err(|error| self.server.failed(error)),
            Err(elapsed) => Err(self.server.failed(RedisError::Timeout(COMMAND, elapsed))),
        }
    }

    /// How many nodes listen.
    async fn num_serv(&self, chan: &str) -> Result<u16, RedisError> {
        let Connection { mut publisher, .. } = self.server.connection()?;
        let counted = redis::cmd("PUBSUB").arg("NUMSUB").arg(chan).query_async(&mut publisher).await;
        let (_, count): (String, u16) = counted.map_err(|error| self.server.failed(error))?;
        Ok(count)
    }
}
