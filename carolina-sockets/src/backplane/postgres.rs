//! PostgreSQL as the backplane: `socketioxide-postgres` with our own driver, which uses the same client library as the
//! session store and never waits for an unavailable server.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use parking_lot::Mutex;
use socketioxide::adapter::Emitter;
use socketioxide_core::{
    Uid,
    adapter::{CoreAdapter, CoreLocalAdapter},
};
use socketioxide_postgres::{CustomPostgresAdapter, PostgresAdapterConfig, PostgresAdapterCtr, drivers::Driver};
use sqlx::{Connection, PgConnection, PgPool, postgres::PgPoolOptions};
use tokio::sync::mpsc;

use super::{
    BackplaneError,
    link::CONNECT,
    record_lost,
    signature::{Keys, Signer, Verifier},
};
use crate::telemetry::metric;

mod incoming;
mod listener;
mod logs;

use listener::{Listener, PgNotification};

/// Connections to the server, of which one listens.
const POOL_SIZE: u32 = 8;
/// How many notifications may wait to be sent.
const QUEUE_CAPACITY: usize = 16_384;
/// PostgreSQL names have at most 63 bytes, and `_backplane` or `_resume_clients` is appended.
const MAX_PREFIX: usize = 48;
/// How long a statement may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(2);
/// The delay before a lost connection is retried.
const RETRY_DELAY: Duration = Duration::from_millis(300);
/// PostgreSQL limits a notification to 8000 bytes; longer messages go through a table.
const MAX_NOTIFICATION: usize = 7_500;

/// A namespace's adapter.
pub(super) type Adapter = CustomPostgresAdapter<Emitter, Postgres>;

pub(super) fn adapter(postgres: &Postgres, local: CoreLocalAdapter<Emitter>) -> Adapter {
    let config = PostgresAdapterConfig::new()
        .with_prefix(postgres.prefix.to_string())
        .with_table_name(postgres.table.to_string())
        .with_payload_threshold(MAX_NOTIFICATION - 500)
        .with_hb_interval(Duration::from_secs(2))
        .with_hb_timeout(Duration::from_secs(7))
        .with_request_timeout(COMMAND_TIMEOUT);
    let namespace = Namespace { path: local.path().to_string().into(), node: local.server_id(), rows: Arc::default() };
    let driver = Postgres { namespace: Some(namespace), ..postgres.clone() };
    CustomPostgresAdapter::new(&PostgresAdapterCtr::new_with_driver(driver, config), local)
}

/// The connection, shared by all namespaces.
#[derive(Clone)]
pub(crate) struct Postgres {
    prefix: Arc<str>,
    table: Arc<str>,
    /// Owned by the task that sends: sockets that are still connected when a runtime ends keep their namespace, and with
    /// it this, but no task.
    pool: Weak<PgPool>,
    up: Arc<AtomicBool>,
    queue: mpsc::Sender<(String, String)>,
    listener: Listener,
    logs: Arc<logs::Tables>,
    appends: mpsc::Sender<logs::Append>,
    keys: Keys,
    /// For messages that bypass the queue and may overtake it.
    control_signer: Arc<Signer>,
    /// `None` for the control channel.
    namespace: Option<Namespace>,
}

/// What is known of a namespace's adapter.
#[derive(Clone)]
struct Namespace {
    path: Arc<str>,
    node: Uid,
    /// Rows that were read and checked, kept until the adapter reads them: the table may have changed by then.
    rows: Arc<Mutex<HashMap<i64, Vec<Vec<u8>>>>>,
}

impl Postgres {
    pub(super) async fn connect(url: &str, prefix: &str, secrets: &[String]) -> Result<Self, PostgresError> {
        if prefix.len() > MAX_PREFIX
            || !prefix.bytes().all(|byte| matches!(byte, b'-' | b'_') || byte.is_ascii_alphanumeric())
        {
            return Err(PostgresError::Prefix(prefix.to_owned()));
        }
        // A pool would retry until its timeout and then hide the cause.
        let first =
            tokio::time::timeout(CONNECT, PgConnection::connect(url)).await.map_err(PostgresError::Unreachable)?;
        first?.close().await?;
        let options = PgPoolOptions::new().max_connections(POOL_SIZE).acquire_timeout(CONNECT);
        let pool = Arc::new(options.connect(url).await?);
        let (queue, queued) = mpsc::channel(QUEUE_CAPACITY);
        let up = Arc::new(AtomicBool::new(true));
        let keys = Keys::new(secrets, prefix);
        tokio::spawn(send(pool.clone(), Signer::new(keys.clone()), queued, up.clone()));
        let listener = Listener::connect(&pool, Verifier::new(keys.clone())).await?;
        let table = format!("{}_backplane", prefix.replace('-', "_"));
        let logs = Arc::new(logs::Tables::new(prefix));
        let (appends, queued) = mpsc::channel(QUEUE_CAPACITY);
        tokio::spawn(logs::append_queued(pool.clone(), Arc::downgrade(&logs), queued));
        Ok(Self {
            prefix: prefix.into(),
            table: table.into(),
            pool: Arc::downgrade(&pool),
            up,
            queue,
            listener,
            logs,
            appends,
            control_signer: Arc::new(Signer::new(keys.clone())),
            keys,
            namespace: None,
        })
    }

    fn control(&self) -> String {
        format!("{}-control", self.prefix)
    }

    /// Whether the server is reached.
    pub(super) fn is_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }

    /// The server's clock.
    #[cfg(feature = "cli")]
    pub(super) async fn server_time(&self) -> Option<std::time::SystemTime> {
        let now = sqlx::query_scalar("SELECT extract(epoch FROM clock_timestamp())::bigint");
        let seconds: i64 = now.fetch_one(&*self.pool().ok()?).await.ok()?;
        Some(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).ok()?))
    }

    /// A message to all nodes. Unlike an emit, it is sent before this returns: the sending process may be about to
    /// exit.
    pub(super) async fn publish_control(&self, text: String) -> Result<(), BackplaneError> {
        let text = match text.len() {
            0..MAX_NOTIFICATION => format!("t{text}"),
            _ => format!("r{}", self.push_attachment(&self.table, text.as_bytes()).await?),
        };
        self.ensure_available()?;
        let channel = self.control();
        let text = self.control_signer.sign_text(&channel, &text);
        let notify = sqlx::query("SELECT pg_notify($1, $2)").bind(channel).bind(text);
        with_timeout(notify.execute(&*self.pool()?)).await?;
        Ok(())
    }

    pub(super) async fn listen_control(&self) -> Result<BoxStream<'static, String>, BackplaneError> {
        self.init(&self.table).await?;
        let notes = self.listen(&[&self.control()]).await?;
        let this = self.clone();
        let texts = notes.filter_map(move |note| {
            let this = this.clone();
            async move {
                match note.payload.split_at_checked(1)? {
                    ("t", text) => Some(text.to_owned()),
                    ("r", id) => {
                        let row = this.get_attachment(&this.table, id.parse().ok()?).await;
                        String::from_utf8(row.inspect_err(|error| record_lost(error)).ok()?).ok()
                    }
                    _ => None,
                }
            }
        });
        Ok(texts.boxed())
    }

    /// A row of the table, if its signature is valid.
    async fn read_row(&self, table: &str, id: i64) -> Result<Vec<u8>, PostgresError> {
        let statement = format!("SELECT payload FROM \"{table}\" WHERE id = $1");
        let row = with_timeout(sqlx::query_scalar(&statement).bind(id).fetch_one(&*self.pool()?)).await?;
        self.keys.open_row(table, id, row).ok_or(PostgresError::Signature)
    }

    fn pool(&self) -> Result<Arc<PgPool>, PostgresError> {
        self.pool.upgrade().ok_or(PostgresError::Away)
    }

    fn ensure_available(&self) -> Result<(), PostgresError> {
        if self.up.load(Ordering::Acquire) { Ok(()) } else { Err(PostgresError::Away) }
    }
}

/// Sends queued notifications in order. While the server is unavailable they are dropped.
async fn send(pool: Arc<PgPool>, signer: Signer, mut queued: mpsc::Receiver<(String, String)>, up: Arc<AtomicBool>) {
    let mut probe = tokio::time::interval(RETRY_DELAY);
    probe.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            next = queued.recv() => {
                let Some((channel, text)) = next else { return };
                if !up.load(Ordering::Acquire) {
                    record_lost(&"PostgreSQL is away");
                    continue;
                }
                // Everything queued meanwhile is sent in the same statement.
                let (mut texts, mut channels) = (vec![signer.sign_text(&channel, &text)], vec![channel]);
                while let (true, Ok((channel, text))) = (channels.len() < 256, queued.try_recv()) {
                    texts.push(signer.sign_text(&channel, &text));
                    channels.push(channel);
                }
                let count = channels.len();
                let statement = sqlx::query("SELECT pg_notify(c, t) FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS n(c, t, o) ORDER BY o")
                    .bind(channels)
                    .bind(texts)
                    .execute(&*pool);
                let sent = tokio::time::timeout(COMMAND_TIMEOUT, statement).await;
                if !matches!(sent, Ok(Ok(_))) {
                    (0..count).for_each(|_| record_lost(&"PostgreSQL is away"));
                    set_available(&up, false);
                }
            }
            _ = probe.tick(), if !up.load(Ordering::Acquire) => {
                let alive = tokio::time::timeout(COMMAND_TIMEOUT, sqlx::query("SELECT 1").execute(&*pool)).await;
                set_available(&up, matches!(alive, Ok(Ok(_))));
            }
        }
    }
}

fn set_available(up: &AtomicBool, is: bool) {
    if up.swap(is, Ordering::AcqRel) == is {
        return;
    }
    metric::backplane_up(is);
    if is {
        tracing::info!("the backplane is back: emits reach other nodes again")
    } else {
        tracing::warn!("the backplane is away: emits reach this node's clients alone")
    }
}

/// A PostgreSQL operation that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostgresError {
    #[error("PostgreSQL is away")]
    Away,
    #[error("no answer within {COMMAND_TIMEOUT:?}")]
    Timeout,
    #[error("no answer within {CONNECT:?}")]
    Unreachable(#[source] tokio::time::error::Elapsed),
    #[error("too many messages wait to be sent")]
    QueueFull,
    #[error("the connection that listens has ended")]
    ListenerEnded,
    #[error("the prefix `{0}` names a table and channels there: at most {MAX_PREFIX} letters, digits, `-` and `_`")]
    Prefix(String),
    #[error("a row whose signature is wrong")]
    Signature,
    #[error("{0}")]
    Append(String),
    #[error("{0}")]
    Client(#[from] sqlx::Error),
}

impl From<PostgresError> for BackplaneError {
    fn from(error: PostgresError) -> Self {
        Self::new(error)
    }
}

/// Runs a statement with a timeout.
async fn with_timeout<T>(statement: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, PostgresError> {
    match tokio::time::timeout(COMMAND_TIMEOUT, statement).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(PostgresError::Timeout),
    }
}

impl Driver for Postgres {
    type Error = PostgresError;
    type Notification = PgNotification;
    type NotificationStream = BoxStream<'static, PgNotification>;

    async fn init(&self, table: &str) -> Result<(), PostgresError> {
        let mut transaction = self.pool()?.begin().await?;
        // `IF NOT EXISTS` takes no lock, so nodes that start at the same time would conflict.
        sqlx::query("SELECT pg_advisory_xact_lock(hashtext($1))").bind(table).execute(&mut *transaction).await?;
        let statement = format!(
            "CREATE TABLE IF NOT EXISTS \"{table}\" (id BIGSERIAL UNIQUE, created_at TIMESTAMPTZ DEFAULT now(), payload BYTEA)"
        );
        sqlx::query(&statement).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    async fn listen(&self, channels: &[&str]) -> Result<Self::NotificationStream, PostgresError> {
        let (to, mut from) = mpsc::channel(QUEUE_CAPACITY);
        self.listener.listen(channels, to).await?;
        let notes = futures_util::stream::poll_fn(move |context| from.poll_recv(context));
        let (Some(namespace), &[_, _, responses]) = (&self.namespace, channels) else { return Ok(notes.boxed()) };
        Ok(incoming::checked(self.clone(), namespace.clone(), responses.to_owned(), notes).boxed())
    }

    /// Queues a notification, so that no emit waits for the server.
    async fn notify(&self, channel: &str, message: &str) -> Result<(), PostgresError> {
        let queued = self.queue.try_send((channel.to_owned(), message.to_owned()));
        queued.map_err(|_| PostgresError::QueueFull)
    }

    async fn push_attachment(&self, table: &str, attachment: &[u8]) -> Result<i64, PostgresError> {
        self.ensure_available()?;
        // Not the table's own sequence: the signature includes the id.
        let id = rand::random::<i64>() & i64::MAX;
        let row = self.keys.sign_row(table, id, attachment);
        let statement = format!("INSERT INTO \"{table}\" (id, payload) VALUES ($1, $2)");
        with_timeout(sqlx::query(&statement).bind(id).bind(row).execute(&*self.pool()?)).await?;
        Ok(id)
    }

    async fn get_attachment(&self, table: &str, id: i64) -> Result<Vec<u8>, PostgresError> {
        if let Some(namespace) = &self.namespace
            && let Some(row) = namespace.take(id)
        {
            return Ok(row);
        }
        self.read_row(table, id).await
    }

    async fn cleanup_attachments(&self, table: &str, interval: Duration) -> Result<(), PostgresError> {
        let statement = format!("DELETE FROM \"{table}\" WHERE created_at < now() - $1 * interval '1 second'");
        with_timeout(sqlx::query(&statement).bind(interval.as_secs_f64()).execute(&*self.pool()?)).await?;
        Ok(())
    }

    /// The connection that listens is closed when its stream is dropped.
    async fn close(&self, _channels: &[&str]) -> Result<(), PostgresError> {
        Ok(())
    }
}
