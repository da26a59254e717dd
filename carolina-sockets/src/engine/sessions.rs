use std::{collections::HashMap, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::Mutex;

use super::polling::PollingSession;

/// The sessions of polling clients, by the tokens that their requests name.
///
/// Only its client knows a token: unlike a socket id, which applications show to others, it authenticates a request. An
/// entry is removed with the stream above its session.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<String, Option<Arc<PollingSession>>>>);

/// Whom a token belongs to.
pub(super) enum Listed {
    Polling(Arc<PollingSession>),
    /// A client that has upgraded, and must not poll.
    Upgraded,
}

impl Sessions {
    /// Adds a session and returns its token.
    pub(super) fn insert(&self, session: Arc<PollingSession>) -> String {
        let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>());
        self.0.lock().insert(token.clone(), Some(session));
        token
    }

    pub(super) fn get(&self, token: &str) -> Option<Listed> {
        self.0.lock().get(token).map(|session| session.clone().map_or(Listed::Upgraded, Listed::Polling))
    }

    /// The client has upgraded. The token stays, since a late request is answered differently from one with an unknown
    /// token.
    pub(super) fn set_upgraded(&self, token: &str) {
        if let Some(session) = self.0.lock().get_mut(token) {
            *session = None;
        }
    }

    pub(super) fn remove(&self, token: &str) {
        self.0.lock().remove(token);
    }
}
