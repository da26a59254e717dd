use std::time::Duration;

use async_trait::async_trait;
use tower_sessions::{
    SessionStore,
    session::{Id, Record},
    session_store::Result,
};
use tower_sessions_redis_store::{
    RedisStore,
    fred::{error::Error, prelude::*},
};

/// Sessions in Redis, each under its id, which Redis deletes when it expires.
///
/// `RedisStore` writes with `NX` or `XX` and reads Redis's `nil`, "not written", as a broken answer. Here it is what it
/// means: the id is taken, or the session is no more.
#[derive(Debug)]
pub(super) struct Redis(RedisStore<Client>);

impl Redis {
    /// Connects, and comes back by itself when the connection is lost later.
    pub(super) async fn connect(url: &str, timeout: Duration) -> std::result::Result<Self, Error> {
        let client = Builder::from_config(Config::from_url(url)?)
            .with_connection_config(|connection| {
                connection.connection_timeout = timeout;
                connection.internal_command_timeout = timeout;
            })
            .with_performance_config(|performance| performance.default_command_timeout = timeout)
            .set_policy(ReconnectPolicy::new_exponential(0, 100, 5_000, 2))
            .build()?;
        client.init().await?;
        Ok(Self(RedisStore::new(client)))
    }
}

#[async_trait]
impl SessionStore for Redis {
    async fn create(&self, record: &mut Record) -> Result<()> {
        loop {
            match self.0.create(record).await {
                Err(_) if self.0.load(&record.id).await?.is_some() => record.id = Id::default(),
                done => return done,
            }
        }
    }

    async fn save(&self, record: &Record) -> Result<()> {
        match self.0.save(record).await {
            Err(_) if self.0.load(&record.id).await?.is_none() => Ok(()),
            done => done,
        }
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        self.0.load(id).await
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.0.delete(id).await
    }
}
