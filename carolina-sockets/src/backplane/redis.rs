//! Redis between the nodes: `socketioxide-redis`, on a driver of our own that never makes an emit wait for the server.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use fred::{
    clients::SubscriberClient,
    interfaces::{ClientLike, EventInterface, PubsubInterface},
    prelude::{Builder, Client, Config, ReconnectPolicy},
};
use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use socketioxide::adapter::Emitter;
use socketioxide_core::adapter::{CoreAdapter, CoreLocalAdapter};
use socketioxide_redis::{
    CustomRedisAdapter, RedisAdapterConfig, RedisAdapterCtr,
    drivers::{ChanItem, Driver, MessageStream},
};
use tokio::sync::mpsc;

use super::{BackplaneError, link::CONNECT, record_lost};
use crate::telemetry::{Cause, metric, refused, undelivered};

/// What ours begin with; whatever else is published on our channels is dropped.
const MAGIC: &[u8] = b"carolina1:";
/// Messages that may wait to be published.
const QUEUE: usize = 16_384;
/// Messages that are on their way to the server at once.
const IN_FLIGHT: usize = 256;
/// How long a command may take.
const COMMAND: Duration = Duration::from_secs(2);

/// A namespace's adapter.
pub(super) type Adapter = CustomRedisAdapter<Emitter, Redis>;

pub(super) fn adapter(redis: &Redis, local: CoreLocalAdapter<Emitter>) -> Adapter {
    let config = RedisAdapterConfig::new().with_prefix(redis.prefix.to_string()).with_request_timeout(COMMAND);
    CustomRedisAdapter::new(&RedisAdapterCtr::new_with_driver(redis.clone(), config), local)
}

/// The connection, shared by all namespaces.
#[derive(Clone)]
pub(crate) struct Redis {
    prefix: Arc<str>,
    publisher: Client,
    subscriber: SubscriberClient,
    queue: mpsc::Sender<ChanItem>,
    handlers: Handlers,
}

type Handlers = Arc<Mutex<HashMap<String, mpsc::Sender<ChanItem>>>>;

impl Redis {
    pub(super) async fn open(url: &str, prefix: &str) -> Result<Self, String> {
        let config = Config::from_url(url).map_err(|error| error.to_string())?;
        let mut builder = Builder::from_config(config);
        builder
            .with_connection_config(|connection| connection.connection_timeout = CONNECT)
            .with_performance_config(|performance| performance.default_command_timeout = COMMAND)
            .set_policy(ReconnectPolicy::new_exponential(0, 50, 1_000, 2));
        let publisher = builder.build().map_err(|error| error.to_string())?;
        let subscriber = builder.build_subscriber_client().map_err(|error| error.to_string())?;
        let handlers = Handlers::default();
        tokio::spawn(dispatch(subscriber.message_rx(), handlers.clone()));
        let connected = async {
            publisher.init().await?;
            subscriber.init().await
        };
        match tokio::time::timeout(CONNECT, connected).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err(format!("no answer within {CONNECT:?}")),
        }
        // Subscribes again after an outage.
        subscriber.manage_subscriptions();
        let (queue, queued) = mpsc::channel(QUEUE);
        tokio::spawn(publish(publisher.clone(), queued));
        tokio::spawn(watch(publisher.clone()));
        Ok(Self { prefix: prefix.into(), publisher, subscriber, queue, handlers })
    }

    fn control(&self) -> String {
        format!("{}-control", self.prefix)
    }

    /// A message to all nodes. Unlike an emit, it is sent before this returns: the sending process may be about to
    /// exit.
    pub(super) async fn publish_control(&self, text: String) -> Result<(), BackplaneError> {
        if !self.publisher.is_connected() {
            return Err(BackplaneError::new("Redis is away"));
        }
        let data = [MAGIC, text.as_bytes()].concat();
        let published = self.publisher.publish::<i64, _, _>(self.control(), data.as_slice()).await;
        published.map(|_| ()).map_err(BackplaneError::new)
    }

    pub(super) async fn listen_control(&self) -> Result<BoxStream<'static, String>, BackplaneError> {
        let messages = self.subscribe(self.control(), QUEUE).await;
        let messages = messages.map_err(BackplaneError::new)?;
        Ok(messages.filter_map(|(_, data)| async move { String::from_utf8(data).ok() }).boxed())
    }
}

/// Publishes what is queued, in order. While the server is away nothing is kept: old news would come all at once.
async fn publish(client: Client, mut queued: mpsc::Receiver<ChanItem>) {
    let mut in_flight = futures_util::stream::FuturesOrdered::new();
    loop {
        tokio::select! {
            next = queued.recv(), if in_flight.len() < IN_FLIGHT => match next {
                None => return,
                Some(_) if !client.is_connected() => record_lost(&"Redis is away"),
                Some((channel, data)) => {
                    let client = client.clone();
                    in_flight.push_back(async move { client.publish::<i64, _, _>(channel, data.as_slice()).await });
                }
            },
            Some(published) = in_flight.next() => {
                if let Err(error) = published {
                    record_lost(&error);
                }
            }
        }
    }
}

/// Says when the server goes and comes.
async fn watch(client: Client) {
    let mut state = true;
    let mut every = tokio::time::interval(Duration::from_millis(250));
    while !matches!(client.state(), fred::types::ClientState::Disconnecting) {
        every.tick().await;
        if client.is_connected() != state {
            state = !state;
            metric::backplane_up(state);
            match state {
                true => tracing::info!("the backplane is back: emits reach other nodes again"),
                false => tracing::warn!("the backplane is away: emits reach this node's clients alone"),
            }
        }
    }
}

/// Hands what is received to whoever has subscribed.
async fn dispatch(mut messages: tokio::sync::broadcast::Receiver<fred::types::Message>, handlers: Handlers) {
    use tokio::sync::broadcast::error::RecvError;
    loop {
        let message = match messages.recv().await {
            Ok(message) => message,
            Err(RecvError::Lagged(missed)) => {
                metric::backplane_lost(missed);
                undelivered(Cause::Lost, &format!("{missed} messages of other nodes came too fast"));
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        let channel = message.channel.to_string();
        let Some(bytes) = message.value.as_bytes().and_then(|bytes| bytes.strip_prefix(MAGIC)) else {
            refused(Cause::Backplane, &format!("a message on `{channel}` that comes from no node"));
            continue;
        };
        let handler = handlers.lock().expect("no panic happens under this lock").get(&channel).cloned();
        if let Some(handler) = handler
            && handler.try_send((channel, bytes.to_vec())).is_err()
        {
            record_lost(&"messages of other nodes came too fast");
        }
    }
}

/// Why Redis could not do what it was asked for.
#[derive(Debug)]
pub(crate) struct RedisError(String);

impl fmt::Display for RedisError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RedisError {}

impl From<fred::error::Error> for RedisError {
    fn from(error: fred::error::Error) -> Self {
        Self(error.to_string())
    }
}

impl Driver for Redis {
    type Error = RedisError;

    /// Queues a message, so that no emit waits for the server.
    async fn publish(&self, chan: String, val: Vec<u8>) -> Result<(), RedisError> {
        let data = [MAGIC, &val].concat();
        self.queue.try_send((chan, data)).map_err(|_| RedisError("too many messages wait to be published".to_owned()))
    }

    async fn subscribe(&self, chan: String, size: usize) -> Result<MessageStream<ChanItem>, RedisError> {
        let (to, from) = mpsc::channel(size);
        self.handlers.lock().expect("no panic happens under this lock").insert(chan.clone(), to);
        self.subscriber.subscribe(chan).await?;
        Ok(MessageStream::new(from))
    }

    async fn unsubscribe(&self, chan: String) -> Result<(), RedisError> {
        self.handlers.lock().expect("no panic happens under this lock").remove(&chan);
        Ok(self.subscriber.unsubscribe(chan).await?)
    }

    /// How many nodes listen.
    async fn num_serv(&self, chan: &str) -> Result<u16, RedisError> {
        if !self.publisher.is_connected() {
            return Err(RedisError("Redis is away".to_owned()));
        }
        let (_, count): (String, u16) = self.publisher.pubsub_numsub(chan).await?;
        Ok(count)
    }
}
