use std::{collections::HashMap, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::Mutex;

use super::polling::PollingSession;
use crate::background::Background;

/// The sessions of polling clients, by the tokens that their requests name.
///
/// Only its client knows a token: unlike a socket id, which applications show to others, it authenticates a request. An
/// entry is removed with the stream above its session, or soon after, for what the client has not fetched.
pub(super) struct Sessions {
    by_token: Mutex<HashMap<String, Option<Arc<PollingSession>>>>,
    background: Background,
}

/// How long a client may still fetch what was written before its session ended.
const LINGER: Duration = Duration::from_secs(5);

/// Whom a token belongs to.
pub(super) enum Listed {
    Polling(Arc<PollingSession>),
    /// A client that has upgraded, and must not poll.
    Upgraded,
}

impl Sessions {
    pub(super) fn new(background: Background) -> Self {
        Self { by_token: Mutex::default(), background }
    }

    /// Adds a session and returns its token.
    pub(super) fn insert(&self, session: Arc<PollingSession>) -> String {
        let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>());
        self.by_token.lock().insert(token.clone(), Some(session));
        token
    }

    pub(super) fn get(&self, token: &str) -> Option<Listed> {
        self.by_token.lock().get(token).map(|session| session.clone().map_or(Listed::Upgraded, Listed::Polling))
    }

    /// Whether a client has not fetched all that it was sent.
    #[cfg(feature = "serve")]
    pub(super) fn has_unfetched(&self) -> bool {
        self.by_token.lock().values().flatten().any(|session| session.has_unfetched())
    }

    /// How many clients are polling.
    #[cfg(feature = "admin")]
    pub(super) fn polling(&self) -> usize {
        self.by_token.lock().values().flatten().count()
    }

    /// The client has upgraded. The token stays, since a late request is answered differently from one with an unknown
    /// token.
    pub(super) fn set_upgraded(&self, token: &str) {
        if let Some(session) = self.by_token.lock().get_mut(token) {
            *session = None;
        }
    }

    /// The session has ended. If it `lingers`, the client may still fetch for a while.
    pub(super) fn end(self: &Arc<Self>, token: String, lingers: bool) {
        if !lingers {
            self.by_token.lock().remove(&token);
            return;
        }
        let this = Arc::downgrade(self);
        self.background.spawn(async move {
            tokio::time::sleep(LINGER).await;
            if let Some(this) = this.upgrade() {
                this.by_token.lock().remove(&token);
            }
        });
    }
}
