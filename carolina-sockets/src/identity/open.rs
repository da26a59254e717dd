//! Opens the store that `session.store` names.

use tokio_util::sync::CancellationToken;
use tower_sessions::MemoryStore;

use super::store::SharedStore;
use crate::{
    config::without_password,
    error::{Error, Result},
};

/// How long a server may take to be reached at start-up.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
const CONNECT: std::time::Duration = std::time::Duration::from_secs(10);

/// Opens a store by its URL. What it needs beside itself ends with `stop`.
pub(super) async fn open(url: &str, stop: &CancellationToken) -> Result<SharedStore> {
    match url.split_once("://").map_or(url, |(scheme, _)| scheme) {
        "memory" => Ok(SharedStore::new(MemoryStore::default())),
        "sqlite" => sqlite(url, stop).await,
        "postgres" | "postgresql" => postgres(url, stop).await,
        "redis" | "rediss" => redis(url, stop).await,
        _ => Err(failed(url, "there are memory, sqlite://…, redis://… and postgres://…")),
    }
}

fn failed(url: &str, reason: impl std::fmt::Display) -> Error {
    Error::Store(format!("`{}`: {reason}", without_password(url)))
}

#[cfg(not(all(feature = "sqlite", feature = "postgres", feature = "redis")))]
fn without_feature(url: &str, feature: &str) -> Error {
    failed(url, format!("this program was built without it; enable the feature `{feature}` of carolina-sockets"))
}

#[cfg(not(feature = "sqlite"))]
async fn sqlite(url: &str, _stop: &CancellationToken) -> Result<SharedStore> {
    Err(without_feature(url, "sqlite"))
}

#[cfg(not(feature = "postgres"))]
async fn postgres(url: &str, _stop: &CancellationToken) -> Result<SharedStore> {
    Err(without_feature(url, "postgres"))
}

#[cfg(not(feature = "redis"))]
async fn redis(url: &str, _stop: &CancellationToken) -> Result<SharedStore> {
    Err(without_feature(url, "redis"))
}

#[cfg(feature = "sqlite")]
async fn sqlite(url: &str, stop: &CancellationToken) -> Result<SharedStore> {
    use std::str::FromStr;

    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
    use tower_sessions_sqlx_store::SqliteStore;

    let options = SqliteConnectOptions::from_str(url).map_err(|error| failed(url, error))?;
    let options = options.create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePoolOptions::new().acquire_timeout(CONNECT).connect_with(options).await;
    let store = SqliteStore::new(pool.map_err(|error| failed(url, error))?);
    store.migrate().await.map_err(|error| failed(url, error))?;
    delete_expired(store.clone(), stop);
    Ok(SharedStore::new(store))
}

#[cfg(feature = "postgres")]
async fn postgres(url: &str, stop: &CancellationToken) -> Result<SharedStore> {
    use sqlx::postgres::PgPoolOptions;
    use tower_sessions_sqlx_store::PostgresStore;

    let pool = PgPoolOptions::new().acquire_timeout(CONNECT).connect(url).await;
    let store = PostgresStore::new(pool.map_err(|error| failed(url, error))?);
    // Several nodes may come up at once, and PostgreSQL's `IF NOT EXISTS` is no lock.
    let mut migrated = store.migrate().await;
    for _ in 0..5 {
        if migrated.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        migrated = store.migrate().await;
    }
    migrated.map_err(|error| failed(url, error))?;
    delete_expired(store.clone(), stop);
    Ok(SharedStore::new(store))
}

/// Takes expired sessions out of a database once a minute, until the service stops.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn delete_expired(store: impl tower_sessions::session_store::ExpiredDeletion + Clone, stop: &CancellationToken) {
    let stop = stop.clone();
    tokio::spawn(async move {
        let mut every = tokio::time::interval(std::time::Duration::from_secs(60));
        while stop.run_until_cancelled(every.tick()).await.is_some() {
            if let Err(error) = store.delete_expired().await {
                tracing::warn!(%error, "expired sessions could not be deleted");
            }
        }
    });
}

#[cfg(feature = "redis")]
async fn redis(url: &str, _stop: &CancellationToken) -> Result<SharedStore> {
    use tower_sessions_redis_store::{RedisStore, fred::prelude::*};

    let config = Config::from_url(url).map_err(|error| failed(url, error))?;
    let client = Builder::from_config(config)
        .with_connection_config(|connection| connection.connection_timeout = CONNECT)
        .with_performance_config(|performance| performance.default_command_timeout = CONNECT)
        .set_policy(ReconnectPolicy::new_exponential(0, 100, 5_000, 2))
        .build()
        .map_err(|error| failed(url, error))?;
    match tokio::time::timeout(CONNECT, client.init()).await {
        Ok(Ok(_)) => Ok(SharedStore::new(RedisStore::new(client))),
        Ok(Err(error)) => Err(failed(url, error)),
        Err(_) => Err(failed(url, format!("no answer within {CONNECT:?}"))),
    }
}
