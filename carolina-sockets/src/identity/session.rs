//! Identifies clients by their session: the default, unless the application has its own [`Identify`].

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use http::HeaderMap;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tower_sessions::{
    Session, SessionStore,
    session::{Id, Record},
};

use super::{CookieKeys, Handshake, Identify, Identity, NotifyingStore, Presented, Version, store::LIFETIME_KEY};
use crate::{
    error::EventError,
    telemetry::{Cause, metric, refused},
};

/// How long a session that was read for a connection serves the connection's further channels, in case it changes past the
/// service.
const FRESH: Duration = Duration::from_secs(2);

/// The largest session that is kept for a connection's further channels, in bytes, roughly.
const KEPT_BYTES: usize = 16 * 1024;

/// What is remembered of a connection's handshake, so that a client that joins many channels, or one again and again, costs
/// one look into the store.
#[derive(Default)]
struct Remembered {
    /// What its cookies are, which does not change.
    cookie: OnceLock<Presented>,
    /// The session that was read last. Whoever reads one holds the lock, so that channels joined at once wait for the first.
    session: Mutex<Option<Kept>>,
}

/// A session as it was read from the store.
struct Kept {
    id: Id,
    version: Version,
    at: Instant,
    /// `None` for one that is no more.
    identity: Option<Identity>,
}

impl Kept {
    /// Whether the store would say the same.
    fn holds(&self, id: &Id, version: Version) -> bool {
        let ends = self.identity.as_ref().and_then(Identity::expires_at);
        self.id == *id
            && self.version == version
            && self.at.elapsed() < FRESH
            && ends.is_none_or(|ends| ends > SystemTime::now())
    }
}

/// Identifies clients by the session cookie, or by its value in `auth: { sessionId }` (rule R10).
#[derive(Clone)]
pub(crate) struct SessionIdentify {
    store: Arc<NotifyingStore>,
    keys: Arc<CookieKeys>,
    /// Where a session's data names its user: `session.user_key`.
    user_key: Arc<str>,
    /// Whether the warning about an invalid user key has been logged.
    warned: Arc<AtomicBool>,
}

impl SessionIdentify {
    pub(crate) fn new(store: Arc<NotifyingStore>, keys: Arc<CookieKeys>, user_key: &str) -> Self {
        Self { store, keys, user_key: user_key.into(), warned: Arc::default() }
    }

    pub(crate) fn store(&self) -> &Arc<NotifyingStore> {
        &self.store
    }

    /// The identity of a session cookie's value. `None` for a value that was not sealed here and for a session that no
    /// longer exists: the client cannot distinguish them.
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

    /// The current identity of a session in the store; `None` if it no longer exists.
    ///
    /// # Errors
    ///
    /// `internal` when the store fails; the session may still exist.
    pub(crate) async fn load(&self, id: &Id) -> Result<Option<Identity>, EventError> {
        match self.store.load(id).await {
            Ok(record) => Ok(record.map(|record| self.identity(record))),
            Err(error) => {
                metric::session_store_error();
                Err(EventError::internal(format!("the session store failed: {error}")))
            }
        }
    }

    /// The session itself, as HTTP handlers have it; `None` for a text that is not a session id.
    pub(crate) fn session(&self, id: &str) -> Option<Session> {
        id.parse().ok().map(|id| self.store.session(Some(id)))
    }

    /// The same as [`load`](Self::load), for a connection that may have asked before.
    async fn load_once(&self, id: &Id, remembered: &Remembered) -> Result<Option<Identity>, EventError> {
        let mut kept = remembered.session.lock().await;
        let version = self.store.version(id);
        if let Some(kept) = kept.as_ref().filter(|kept| kept.holds(id, version)) {
            return Ok(kept.identity.clone());
        }
        *kept = None;
        let at = Instant::now();
        let identity = self.load(id).await?;
        let size = identity.as_ref().map_or(0, |identity| object_size(identity.data()));
        if size <= KEPT_BYTES {
            *kept = Some(Kept { id: *id, version, at, identity: identity.clone() });
        }
        Ok(identity)
    }

    /// The identity that a handshake claims: by `auth` if that holds, which a script has chosen, else by the cookie,
    /// which the browser adds by itself.
    async fn claimed(
        &self,
        auth: Option<&Value>,
        headers: &HeaderMap,
        remembered: &Remembered,
    ) -> Result<Identity, EventError> {
        let claimed = match auth.and_then(|auth| auth.get("sessionId")) {
            // Sent by a script that found no cookie.
            None | Some(Value::Null) => None,
            Some(Value::String(value)) if value.is_empty() => None,
            Some(Value::String(value)) => match self.keys.open(value) {
                Some(opened) => self.load_once(&opened.id, remembered).await?,
                None => {
                    refuse();
                    None
                }
            },
            Some(_) => {
                refuse();
                None
            }
        };
        if let Some(identity) = claimed {
            return Ok(identity);
        }
        let presented = remembered.cookie.get_or_init(|| {
            let presented = self.keys.find(headers);
            if presented == Presented::Invalid {
                refuse();
            }
            presented
        });
        match presented {
            Presented::Nothing | Presented::Invalid => Ok(Identity::anonymous()),
            Presented::Valid(opened) => Ok(self.load_once(&opened.id, remembered).await?.unwrap_or_default()),
        }
    }

    /// The identity in a session's record.
    pub(crate) fn identity(&self, record: Record) -> Identity {
        let identity = Identity::anonymous().with_session(record.id.to_string()).with_expiry(record.expiry_date.into());
        let identity = match self.user(&record.data) {
            Some(user) => identity.with_user(user),
            None => identity,
        };
        identity.with_data(record.data.into_iter().filter(|(key, _)| key != LIFETIME_KEY).collect())
    }

    /// The user that a session names: a text or an integer. Anything else names no user, because its text form could be
    /// another user's key.
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
                "sessions whose user key is neither a text nor an integer are treated as having no user",
            );
        }
        None
    }
}

#[async_trait]
impl Identify for SessionIdentify {
    async fn identify(&self, handshake: &Handshake) -> Result<Identity, EventError> {
        // `auth` can be any JSON; only an object can name a session.
        let auth = handshake.auth::<Value>().ok();
        let remembered = handshake.kept::<Remembered>();
        let unshared = Remembered::default();
        self.claimed(auth.as_ref(), handshake.headers(), remembered.unwrap_or(&unshared)).await
    }
}

/// How much memory an object takes, roughly.
fn object_size(object: &serde_json::Map<String, Value>) -> usize {
    object.iter().map(|(key, value)| key.len() + value_size(value)).sum()
}

fn value_size(value: &Value) -> usize {
    let inside = match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(value_size).sum(),
        Value::Object(object) => object_size(object),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    inside + size_of::<Value>()
}

fn refuse() {
    refused(Cause::InvalidSession, "a session value that this service has not sealed, or no longer knows the key of");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::identity::SharedStore;

    const SECRET: &str = "a secret that nobody has seen up to now!";

    fn service() -> (SessionIdentify, Arc<NotifyingStore>, Arc<CookieKeys>) {
        let store = SharedStore::new(tower_sessions::MemoryStore::default());
        let store = Arc::new(NotifyingStore::new(store, Duration::from_secs(100)));
        let keys = Arc::new(CookieKeys::new("sid", &[SECRET.to_owned()]));
        (SessionIdentify::new(store.clone(), keys.clone(), "user_id"), store, keys)
    }

    async fn log_in(store: &Arc<NotifyingStore>, user: Value) -> Id {
        let session = store.session(None);
        session.insert_value("user_id", user).await.unwrap();
        session.save().await.unwrap();
        session.id().unwrap()
    }

    fn cookies(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::header::COOKIE, format!("a=b; sid={value}").parse().unwrap())])
    }

    impl SessionIdentify {
        /// What a handshake claims that is the first of its connection.
        async fn first(&self, auth: Option<&Value>, headers: &HeaderMap) -> Result<Identity, EventError> {
            self.claimed(auth, headers, &Remembered::default()).await
        }
    }

    #[tokio::test]
    async fn r10_a_client_is_known_by_its_cookie_or_by_auth() {
        let (identify, store, keys) = service();
        let (ada, bob) = (log_in(&store, json!("ada")).await, log_in(&store, json!(7)).await);
        let none = HeaderMap::new();
        let by_cookie = identify.first(None, &cookies(&keys.seal(ada))).await.unwrap();
        assert_eq!(by_cookie, Identity::user("ada").with_session(ada.to_string()));
        assert!(by_cookie.expires_at().is_some());
        assert_eq!(by_cookie.data().get("user_id"), Some(&json!("ada")));
        let auth = json!({ "sessionId": keys.seal(bob) });
        let by_auth = Identity::user(7).with_session(bob.to_string());
        assert_eq!(identify.first(Some(&auth), &none).await.unwrap(), by_auth);
        assert_eq!(identify.first(Some(&auth), &cookies(&keys.seal(ada))).await.unwrap(), by_auth);
        for absent in [json!({}), json!({ "sessionId": null }), json!({ "sessionId": "" }), json!("text"), json!([1])] {
            assert_eq!(identify.first(Some(&absent), &none).await.unwrap(), Identity::anonymous());
            assert_eq!(identify.first(Some(&absent), &cookies(&keys.seal(ada))).await.unwrap(), by_cookie);
        }
        assert_eq!(identify.resolve(&keys.seal(bob)).await.unwrap(), Some(by_auth));
    }

    #[tokio::test]
    async fn r10_by_no_way_in_anybody_becomes_somebody_else() {
        let (identify, store, keys) = service();
        let ada = log_in(&store, json!("ada")).await;
        let sealed = keys.seal(ada);
        let ended = log_in(&store, json!("bob")).await;
        store.delete(&ended).await.unwrap();
        let foreign = CookieKeys::new("sid", &["another secret, of another application".to_owned()]);
        let values = [
            ada.to_string(),
            keys.seal(ended),
            keys.seal(Id::default()),
            foreign.seal(ada),
            sealed[..40].to_owned(),
            format!("{sealed}{sealed}"),
            sealed.repeat(10_000),
            "ada".to_owned(),
        ];
        for value in values {
            let auth = json!({ "sessionId": value });
            let none = Identity::anonymous();
            assert_eq!(identify.first(None, &cookies(&value)).await.unwrap(), none, "{value:.80}");
            assert_eq!(identify.first(Some(&auth), &HeaderMap::new()).await.unwrap(), none, "{value:.80}");
            assert_eq!(identify.resolve(&value).await.unwrap(), None, "{value:.80}");
        }
        for value in [json!(7), json!(true), json!(["a"]), json!({ "id": ada.to_string() }), json!([sealed])] {
            let auth = json!({ "sessionId": value });
            assert_eq!(identify.first(Some(&auth), &HeaderMap::new()).await.unwrap(), Identity::anonymous());
        }
    }

    #[tokio::test]
    async fn r11_what_a_connection_remembers_is_never_older_than_the_last_change() {
        let (identify, store, keys) = service();
        let (ada, bob) = (log_in(&store, json!("ada")).await, log_in(&store, json!("bob")).await);
        let (headers, remembered) = (cookies(&keys.seal(ada)), Remembered::default());
        let user = async |auth: Option<&Value>| {
            let identity = identify.claimed(auth, &headers, &remembered).await.unwrap();
            identity.user_id().map(str::to_owned)
        };
        let auth = json!({ "sessionId": keys.seal(bob) });
        for _ in 0..2 {
            assert_eq!(user(None).await.as_deref(), Some("ada"));
            assert_eq!(user(Some(&auth)).await.as_deref(), Some("bob"));
        }
        assert_eq!(user(None).await.as_deref(), Some("ada"));
        let session = store.session(Some(ada));
        session.insert("user_id", "eve").await.unwrap();
        session.save().await.unwrap();
        assert_eq!(user(None).await.as_deref(), Some("eve"));
        store.delete(&ada).await.unwrap();
        assert_eq!(user(None).await, None);
    }

    #[tokio::test]
    async fn r15_a_large_session_is_not_kept_for_a_connection() {
        let (identify, store, keys) = service();
        for (notes, kept) in [("x".repeat(100), true), ("x".repeat(KEPT_BYTES), false)] {
            let id = log_in(&store, json!("ada")).await;
            let session = store.session(Some(id));
            session.insert("notes", notes).await.unwrap();
            session.save().await.unwrap();
            let remembered = Remembered::default();
            identify.claimed(None, &cookies(&keys.seal(id)), &remembered).await.unwrap();
            assert_eq!(remembered.session.lock().await.is_some(), kept);
        }
    }

    #[tokio::test]
    async fn r10_only_texts_and_integers_name_a_user() {
        let (identify, store, _) = service();
        let user = async |value: Value| {
            let id = log_in(&store, value).await;
            identify.load(&id).await.unwrap().unwrap().user_id().map(str::to_owned)
        };
        assert_eq!(user(json!("ada")).await.as_deref(), Some("ada"));
        assert_eq!(user(json!(7)).await.as_deref(), Some("7"));
        assert_eq!(user(json!(-7)).await.as_deref(), Some("-7"));
        assert_eq!(user(json!(u64::MAX)).await.as_deref(), Some("18446744073709551615"));
        for nobody in
            [json!(null), json!(""), json!(1.0), json!(1e300), json!(true), json!(["ada"]), json!({ "id": 7 })]
        {
            assert_eq!(user(nobody.clone()).await, None, "{nobody}");
        }
    }
}
