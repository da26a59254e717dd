//! Who a client is by its session: the way in unless the application has its own.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use serde_json::Value;
use tower_sessions::{
    Session, SessionStore,
    session::{Id, Record},
};

use super::{CookieKeys, Identify, Identity, Presented, WatchedStore, store::LIFETIME_KEY};
use crate::{
    error::EventError,
    extract::{Cookies, Handshake},
    guard::{Cause, refused},
};

/// Identifies clients by the session cookie, or by its value in `auth: { sessionId }` (rule R10).
#[derive(Clone)]
pub(crate) struct SessionIdentify {
    store: Arc<WatchedStore>,
    keys: Arc<CookieKeys>,
    /// Where a session's data names its user: `session.user_key`.
    user_key: Arc<str>,
    /// Whether the log has been told that sessions name their user by something that cannot.
    warned: Arc<AtomicBool>,
}

impl SessionIdentify {
    pub(crate) fn new(store: Arc<WatchedStore>, keys: Arc<CookieKeys>, user_key: &str) -> Self {
        Self { store, keys, user_key: user_key.into(), warned: Arc::default() }
    }

    pub(crate) fn store(&self) -> &Arc<WatchedStore> {
        &self.store
    }

    /// Who a session cookie's value belongs to. `None` for a value that was not sealed here, and for a session that is
    /// no more: the client learns no difference.
    ///
    /// # Errors
    ///
    /// `internal` when the store fails.
    pub(crate) async fn resolve(&self, value: &str) -> Result<Option<Identity>, EventError> {
        match self.keys.open(value) {
            Some(opened) => self.load(&opened.id).await,
            None => {
                refuse();
                Ok(None)
            }
        }
    }

    /// What the store says of a session now; `None` when it is no more.
    ///
    /// # Errors
    ///
    /// `internal` when the store fails. The session may live.
    pub(crate) async fn load(&self, id: &Id) -> Result<Option<Identity>, EventError> {
        match self.store.load(id).await {
            Ok(record) => Ok(record.map(|record| self.identity(record))),
            Err(error) => {
                metrics::counter!("carolina_sockets_session_store_errors_total").increment(1);
                Err(EventError::internal(format!("the session store failed: {error}")))
            }
        }
    }

    /// The session itself, as HTTP handlers have it; `None` for what cannot be a session's id.
    pub(crate) fn session(&self, id: &str) -> Option<Session> {
        id.parse().ok().map(|id| self.store.session(Some(id)))
    }

    /// The identity that a handshake claims: by `auth` if that holds, which a script has chosen, else by the cookie,
    /// which the browser adds by itself.
    async fn claimed(&self, auth: Option<&Value>, cookies: &Cookies) -> Result<Identity, EventError> {
        let claimed = match auth.and_then(|auth| auth.get("sessionId")) {
            // A script that found no cookie to read sends one of these.
            None | Some(Value::Null) => None,
            Some(Value::String(value)) if value.is_empty() => None,
            Some(Value::String(value)) => self.resolve(value).await?,
            Some(_) => {
                refuse();
                None
            }
        };
        if let Some(identity) = claimed {
            return Ok(identity);
        }
        match self.keys.find(cookies) {
            Presented::Nothing => Ok(Identity::anonymous()),
            Presented::Invalid => {
                refuse();
                Ok(Identity::anonymous())
            }
            Presented::Valid(opened) => Ok(self.load(&opened.id).await?.unwrap_or_default()),
        }
    }

    /// Who a session's record says it is.
    pub(crate) fn identity(&self, record: Record) -> Identity {
        let identity = Identity::anonymous().with_session(record.id.to_string()).with_expiry(record.expiry_date.into());
        let identity = match self.user(&record.data) {
            Some(user) => identity.with_user(user),
            None => identity,
        };
        identity.with_data(record.data.into_iter().filter(|(key, _)| key != LIFETIME_KEY).collect())
    }

    /// The user that a session names: a text or an integer. Anything else is nobody, because what is made up of it
    /// might be somebody else's key.
    fn user(&self, data: &HashMap<String, Value>) -> Option<String> {
        let found = match data.get(&*self.user_key)? {
            Value::String(user) => return Some(user.clone()),
            Value::Number(user) if user.is_i64() || user.is_u64() => return Some(user.to_string()),
            Value::Null => return None,
            Value::Number(_) => "a fraction",
            Value::Bool(_) => "a boolean",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                key = %self.user_key, found,
                "sessions name their user by what is neither a text nor an integer: they count as having none",
            );
        }
        None
    }
}

#[async_trait]
impl Identify for SessionIdentify {
    async fn identify(&self, handshake: &Handshake) -> Result<Identity, EventError> {
        // Any JSON may be in `auth`; what is no object claims no session.
        let auth = handshake.auth::<Value>().ok();
        self.claimed(auth.as_ref(), &handshake.cookies()).await
    }
}

fn refuse() {
    refused(Cause::InvalidSession, "a session value that this service has not sealed, or no longer knows the key of");
}
