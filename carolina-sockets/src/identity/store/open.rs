//! From `session.store` to a store.

use std::{sync::Arc, time::Duration};

use tokio::task::AbortHandle;
use tower_sessions::ExpiredDeletion;

use super::{SharedStore, memory::MemoryStore};
use crate::error::{Error, Result};

/// How often expired sessions are deleted. They count as ended from their very second; this is to free their room.
const SWEEP_EVERY: Duration = Duration::from_secs(300);

/// The kinds of store, by the scheme of their URL.
const KINDS: &str = "`memory`, `sqlite://path`, `redis://host` or `postgres://host/database`";

impl SharedStore {
    /// Opens the store that `session.store` names, and tries whether it answers.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for a URL that names no store or one whose feature is not compiled in, [`Error::Store`] when
    /// it cannot be opened or reached. Neither tells a password.
    pub(crate) async fn open(url: &str) -> Result<Self> {
        match url.split_once(':').map_or(url, |(scheme, _)| scheme) {
            "memory" => Ok(Self::swept(MemoryStore::default())),
            _ => Err(Error::Config(vec![format!(
                "session.store: `{}` names no store; it may be {KINDS}",
                hide_password(url)
            )])),
        }
    }

    /// A store that leaves it to others to delete what has expired.
    fn swept(store: impl ExpiredDeletion) -> Self {
        let store = Arc::new(store);
        let sweeper = Arc::new(Sweeper::start(store.clone()));
        Self { store, _sweeper: Some(sweeper) }
    }
}

/// Deletes expired sessions from time to time, for as long as it lives.
pub(super) struct Sweeper(AbortHandle);

impl Sweeper {
    fn start<S: ExpiredDeletion>(store: Arc<S>) -> Self {
        let sweep = async move {
            let mut turns = tokio::time::interval(SWEEP_EVERY);
            turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                turns.tick().await;
                if let Err(error) = store.delete_expired().await {
                    tracing::warn!(%error, "expired sessions could not be deleted; they do not count, but take up room");
                }
            }
        };
        Self(tokio::spawn(sweep).abort_handle())
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A URL as errors may show it.
fn hide_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // A password may hold unescaped `/` or `@`: the last `@` of all ends it.
    match rest.rfind('@') {
        Some(at) => {
            let user = rest[..at].split(':').next().unwrap_or_default();
            let user = if user.len() < at { format!("{user}:***") } else { user.to_owned() };
            format!("{scheme}://{user}@{}", hide_query(&rest[at + 1..]))
        }
        None => format!("{scheme}://{}{}", &rest[..end], hide_query(&rest[end..])),
    }
}

/// PostgreSQL reads a password from the query, too.
fn hide_query(rest: &str) -> String {
    match rest.find("password=") {
        Some(at) => format!("{}password=***", &rest[..at]),
        None => rest.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r15_passwords_are_hidden_in_urls() {
        let cases = [
            ("memory", "memory"),
            ("redis://127.0.0.1:6379/1", "redis://127.0.0.1:6379/1"),
            ("redis://:secret@host:6379", "redis://:***@host:6379"),
            ("postgres://ada:secret@host/db", "postgres://ada:***@host/db"),
            ("postgres://ada@host/db", "postgres://ada@host/db"),
            ("postgres://ada:s@cr/et@host/db", "postgres://ada:***@host/db"),
            ("postgres://host/db?password=secret&user=ada", "postgres://host/db?password=***"),
        ];
        for (url, shown) in cases {
            assert_eq!(hide_password(url), shown);
        }
    }

    #[tokio::test]
    async fn r15_a_store_that_does_not_exist_is_refused_with_those_that_do() {
        let error = SharedStore::open("mongodb://ada:secret@host").await.unwrap_err().to_string();
        assert!(error.contains("mongodb://ada:***@host") && error.contains("sqlite://"), "{error}");
        assert!(SharedStore::open("memory").await.is_ok());
    }
}
