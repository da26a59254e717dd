use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use redis::{Client, Cmd, FromRedisValue, RedisError, RedisResult, RetryMethod, aio::MultiplexedConnection};
use tokio::sync::Mutex;
use tower_sessions::{
    SessionStore,
    session::{Id, Record},
    session_store::{Error, Result},
};

use crate::redis_client;

/// Commands that the connection accepts without making the sender wait.
const BUFFERED: usize = 256;
/// The pauses between attempts to connect again: doubled from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Sessions in Redis, each under its id as the key and as MessagePack, which Redis deletes when it expires: the format of
/// `tower-sessions-redis-store`.
pub(super) struct Redis {
    client: Client,
    /// How long an operation may take in all.
    timeout: Duration,
    connection: Mutex<Option<Arc<MultiplexedConnection>>>,
}

impl Redis {
    /// Connects, and comes back by itself when the connection is lost later.
    pub(super) async fn connect(url: &str, timeout: Duration) -> RedisResult<Self> {
        let store = Self { client: redis_client::client(url)?, timeout, connection: Mutex::default() };
        let connection = store.new_connection(timeout).await?;
        Ok(Self { connection: Mutex::new(Some(Arc::new(connection))), ..store })
    }

    /// How long a command may take: an operation has the time for a second attempt on a new connection, since the first may
    /// have been sent on a connection that is dead without having been closed.
    fn command_timeout(&self) -> Duration {
        self.timeout / 3
    }

    async fn new_connection(&self, timeout: Duration) -> RedisResult<MultiplexedConnection> {
        redis_client::connect(&self.client, timeout, self.command_timeout(), BUFFERED).await
    }

    /// Executes a command, again and again if need be while the server is away. All commands here may be executed twice.
    async fn execute<T: FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        let mut last = None;
        let attempts = async {
            let mut pause = FIRST_PAUSE;
            loop {
                match self.attempt(command).await {
                    Err(error) if is_temporary(&error) => last = Some(error),
                    done => return done,
                }
                tokio::time::sleep(pause).await;
                pause = (2 * pause).min(LONGEST_PAUSE);
            }
        };
        let done = tokio::time::timeout(self.timeout, attempts).await;
        match (done, last) {
            (Ok(done), _) => done.map_err(|error| Error::Backend(error.to_string())),
            (Err(_), Some(error)) => Err(Error::Backend(error.to_string())),
            (Err(_), None) => Err(Error::Backend(format!("no answer within {:?}", self.timeout))),
        }
    }

    async fn attempt<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        let connection = {
            let mut current = self.connection.lock().await;
            match &*current {
                Some(connection) => connection.clone(),
                None => {
                    let connection = Arc::new(self.new_connection(self.command_timeout()).await?);
                    current.insert(connection).clone()
                }
            }
        };
        let done = command.query_async(&mut MultiplexedConnection::clone(&connection)).await;
        if done.as_ref().is_err_and(RedisError::is_io_error) {
            let mut current = self.connection.lock().await;
            // Another operation may have connected again already.
            if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, &connection)) {
                *current = None;
            }
        }
        done
    }

    /// Writes a record if there is one with its id (`XX`), or if there is none (`NX`). Returns whether it was written.
    async fn write(&self, record: &Record, condition: &str) -> Result<bool> {
        let data = rmp_serde::to_vec(record).map_err(|error| Error::Encode(error.to_string()))?;
        let mut command = redis::cmd("SET");
        command.arg(record.id.to_string()).arg(data).arg(condition);
        command.arg("EXAT").arg(record.expiry_date.unix_timestamp());
        let written: Option<String> = self.execute(&command).await?;
        Ok(written.is_some())
    }
}

/// Whether the same command may succeed a moment later.
fn is_temporary(error: &RedisError) -> bool {
    error.is_io_error() || matches!(error.retry_method(), RetryMethod::WaitAndRetry | RetryMethod::RetryImmediately)
}

#[async_trait]
impl SessionStore for Redis {
    async fn create(&self, record: &mut Record) -> Result<()> {
        while !self.write(record, "NX").await? {
            record.id = Id::default();
        }
        Ok(())
    }

    /// A session that has ended meanwhile is not written again.
    async fn save(&self, record: &Record) -> Result<()> {
        self.write(record, "XX").await.map(|_| ())
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let data: Option<Vec<u8>> = self.execute(redis::cmd("GET").arg(id.to_string())).await?;
        let record = data.map(|data| rmp_serde::from_slice(&data)).transpose();
        record.map_err(|error| Error::Decode(error.to_string()))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.execute(redis::cmd("DEL").arg(id.to_string())).await
    }
}

impl fmt::Debug for Redis {
    /// Without the client, which knows the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}
