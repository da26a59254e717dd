//! Connects to the store that `session.store` names.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use tower_sessions::session_store::ExpiredDeletion;

use super::{SharedStore, memory::MemoryStore};
use crate::{
    config::without_password,
    error::{Caused, Error, Result, Source, help_to_connect},
};

/// How long a server may take to be reached at start-up.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
const CONNECT: Duration = Duration::from_secs(10);

/// How often expired sessions are deleted. They are treated as ended at once; this only frees their space.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

impl SharedStore {
    /// Connects to the store that `session.store` names and checks that it answers. Its background tasks end with
    /// `stop`.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] with the URL, its password hidden: when the URL names no known store, or the store is not
    /// compiled in, or cannot be opened or reached.
    pub(crate) async fn connect(url: &str, stop: &CancellationToken) -> Result<Self> {
        match url.split_once("://").map_or(url, |(scheme, _)| scheme) {
            "memory" => Ok(with_sweep(MemoryStore::default(), stop)),
            "sqlite" => sqlite(url, stop).await,
            "postgres" | "postgresql" => postgres(url, stop).await,
            "redis" | "rediss" => redis(url).await,
            _ => Err(failed(url, "there are memory, sqlite://…, redis://… and postgres://…")),
        }
    }
}

fn failed(url: &str, reason: impl Into<Source>) -> Error {
    let reason = reason.into();
    let help = help_to_connect(reason.as_ref(), "session.store");
    Error::store(Caused::new(format!("`{}`: {reason}{help}", without_password(url)), reason))
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
async fn redis(url: &str) -> Result<SharedStore> {
    Err(without_feature(url, "redis"))
}

#[cfg(feature = "sqlite")]
async fn sqlite(url: &str, stop: &CancellationToken) -> Result<SharedStore> {
    use std::str::FromStr;

    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
    use tower_sessions_sqlx_store::SqliteStore;

    let options = SqliteConnectOptions::from_str(url).map_err(|error| failed(url, error))?;
    make_folder(options.get_filename()).map_err(|error| failed(url, error))?;
    let options = options.create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePoolOptions::new().acquire_timeout(CONNECT).connect_with(options).await;
    let store = SqliteStore::new(pool.map_err(|error| failed(url, error))?);
    store.migrate().await.map_err(|error| failed(url, error))?;
    Ok(with_sweep(store, stop))
}

/// Makes the folder of a database's file. A database in memory has a name without a folder.
#[cfg(feature = "sqlite")]
fn make_folder(file: &std::path::Path) -> std::result::Result<(), String> {
    match file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => std::fs::create_dir_all(folder)
            .map_err(|error| format!("cannot make the folder `{}`: {error}", folder.display())),
        None => Ok(()),
    }
}

#[cfg(feature = "postgres")]
async fn postgres(url: &str, stop: &CancellationToken) -> Result<SharedStore> {
    use std::str::FromStr;

    use sqlx::{
        ConnectOptions, Connection,
        postgres::{PgConnectOptions, PgPoolOptions},
    };
    use tower_sessions_sqlx_store::PostgresStore;

    let options = PgConnectOptions::from_str(url).map_err(|error| failed(url, error))?;
    // A pool would retry until its timeout and then hide the cause.
    match tokio::time::timeout(CONNECT, options.connect()).await {
        Ok(Ok(connection)) => connection.close().await.map_err(|error| failed(url, error))?,
        Ok(Err(error)) => return Err(failed(url, error)),
        Err(elapsed) => return Err(failed(url, Caused::new(format!("no answer within {CONNECT:?}"), elapsed))),
    }
    let store = PostgresStore::new(PgPoolOptions::new().acquire_timeout(CONNECT).connect_lazy_with(options));
    // Several nodes may start at the same time, and PostgreSQL's `IF NOT EXISTS` takes no lock. A migration that meets the
    // schema of another node's leaves creating the table to that node, so it runs a second time to make sure of the table.
    let mut migrated = 0;
    for attempt in 1.. {
        match store.migrate().await {
            Ok(()) if migrated == 1 => break,
            Ok(()) => migrated += 1,
            Err(error) if attempt > 5 => return Err(failed(url, error)),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    Ok(with_sweep(store, stop))
}

/// A store whose expired sessions are deleted from time to time, until the service stops.
fn with_sweep(store: impl ExpiredDeletion, stop: &CancellationToken) -> SharedStore {
    let store = Arc::new(store);
    let (swept, stop) = (store.clone(), stop.clone());
    tokio::spawn(async move {
        let mut every = tokio::time::interval(SWEEP_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(every.tick()).await.is_some() {
            if let Err(error) = swept.delete_expired().await {
                tracing::warn!(%error, "expired sessions could not be deleted; they are ignored, but take up space");
            }
        }
    });
    SharedStore(store)
}

#[cfg(feature = "redis")]
async fn redis(url: &str) -> Result<SharedStore> {
    let connected = tokio::time::timeout(CONNECT, super::redis::Redis::connect(url, CONNECT)).await;
    match connected {
        Ok(Ok(store)) => Ok(SharedStore::new(store)),
        Ok(Err(error)) => Err(failed(url, error)),
        Err(elapsed) => Err(failed(url, Caused::new(format!("no answer within {CONNECT:?}"), elapsed))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn r15_a_store_that_does_not_exist_is_refused_with_those_that_do() {
        let stop = CancellationToken::new();
        let error = SharedStore::connect("mongodb://ada:secret@host", &stop).await.unwrap_err().to_string();
        assert!(error.contains("mongodb://ada:***@host") && error.contains("sqlite://"), "{error}");
        assert!(SharedStore::connect("memory", &stop).await.is_ok());
    }

    #[cfg(feature = "sqlite")]
    #[tokio::test]
    async fn r13_the_folder_of_a_sqlite_file_is_made() {
        let root = std::env::temp_dir().join(format!("sqlite-folder-{:016x}", rand::random::<u64>()));
        let stop = CancellationToken::new();
        let url = format!("sqlite://{}/data/more/sessions.db", root.display());
        SharedStore::connect(&url, &stop).await.unwrap();
        assert!(root.join("data/more/sessions.db").is_file());
        std::fs::write(root.join("file"), "").unwrap();
        let url = format!("sqlite://{}/file/sessions.db", root.display());
        let error = SharedStore::connect(&url, &stop).await.unwrap_err().to_string();
        assert!(error.contains("cannot make the folder") && error.contains("/file`"), "{error}");
        SharedStore::connect("sqlite://:memory:", &stop).await.unwrap();
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[cfg(not(feature = "sqlite"))]
    #[tokio::test]
    async fn r15_a_store_that_is_not_compiled_in_names_its_feature() {
        let error =
            SharedStore::connect("sqlite://sessions.db", &CancellationToken::new()).await.unwrap_err().to_string();
        assert!(error.contains("the feature `sqlite`"), "{error}");
    }
}
