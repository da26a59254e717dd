//! The service's means of identifying clients.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{CookieKeys, Handshake, Identify, Identity, NotifyingStore, SessionIdentify, SharedStore};
use crate::{
    config::Config,
    error::{EventError, Result},
};

/// Identifies sockets: by the session, or by the application's own [`Identify`].
pub(crate) struct Identities {
    /// The application's own [`Identify`], which replaces the session.
    custom: Option<Arc<dyn Identify>>,
    sessions: SessionIdentify,
    keys: Arc<CookieKeys>,
    recheck: Duration,
}

impl Identities {
    pub(crate) async fn connect(
        config: &Config,
        custom: Option<Arc<dyn Identify>>,
        store: Option<SharedStore>,
        stop: &CancellationToken,
    ) -> Result<Self> {
        let session = &config.session;
        let store = match store {
            Some(store) => store,
            None => SharedStore::connect(&session.store, stop).await?,
        };
        let keys = Arc::new(CookieKeys::new(&session.cookie, &session.secret));
        let store = Arc::new(NotifyingStore::new(store, session.ttl));
        let sessions = SessionIdentify::new(store, keys.clone(), &session.user_key);
        Ok(Self { custom, sessions, keys, recheck: session.recheck })
    }

    /// Counts changes, to detect a change that happens while a client is being admitted.
    pub(crate) fn generation(&self) -> u64 {
        self.sessions.store().generation()
    }

    /// Whether the application has its own [`Identify`].
    pub(crate) fn is_custom(&self) -> bool {
        self.custom.is_some()
    }

    pub(crate) fn sessions(&self) -> &SessionIdentify {
        &self.sessions
    }

    /// How often a connected socket's session is read again.
    pub(crate) fn recheck(&self) -> Duration {
        self.recheck
    }

    /// The keys of the session cookies.
    pub(crate) fn cookie_keys(&self) -> &Arc<CookieKeys> {
        &self.keys
    }

    /// A session as HTTP handlers know it.
    pub(crate) fn session(&self, id: &str) -> Option<tower_sessions::Session> {
        self.sessions.session(id)
    }

    /// Who a client is, by its handshake (rule R10).
    pub(crate) async fn identify(&self, handshake: &Handshake) -> Result<Identity, EventError> {
        match &self.custom {
            Some(custom) => custom.identify(handshake).await,
            None => self.sessions.identify(handshake).await,
        }
    }

    /// Identifies a connected socket again by its handshake, if the application has its own [`Identify`].
    pub(crate) async fn identify_again(&self, handshake: &Handshake) -> Result<Identity, EventError> {
        match self.identify(handshake).await {
            // For example an expired token: the client is now anonymous.
            Err(error) if !error.is_hidden() => Ok(Identity::anonymous()),
            identified => identified,
        }
    }
}

impl std::fmt::Debug for Identities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identities").field("custom", &self.custom.is_some()).finish_non_exhaustive()
    }
}
