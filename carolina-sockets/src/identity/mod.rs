//! Who a socket belongs to: its [`Identity`], how it is determined ([`Identify`]) and the rooms it implies.

mod cookie;
mod handshake;
mod identities;
#[cfg(feature = "jwt")]
mod jwt;
mod room;
mod session;
mod store;
mod user_key;

use std::{
    fmt,
    sync::{Arc, LazyLock},
    time::SystemTime,
};

pub use async_trait::async_trait;
use serde_json::{Map, Value};

pub(crate) use cookie::{CookieKeys, Presented};
pub use handshake::{Cookies, Handshake, Query};
pub(crate) use identities::Identities;
#[cfg(feature = "jwt")]
pub use jwt::{JwtBuilder, JwtIdentify, JwtKeys};
pub(crate) use room::{instead_of, is_reserved, mask_room, session_room, user_of_room, user_room};
pub(crate) use session::SessionIdentify;
pub(crate) use store::{Change, LIFETIME_KEY, NotifyingStore, RequestScope, SharedStore, Version};
pub use user_key::UserKey;

use crate::error::EventError;

/// Who a socket belongs to (rules R10 and R11): its session, the user that the session or token names, and their data.
///
/// ```
/// use carolina_sockets::Identity;
///
/// let ada = Identity::user(7).with_session("abc");
/// assert_eq!(ada.user_id(), Some("7"));
/// assert_eq!(ada.rooms(), ["session.abc", "user.7"]);
/// assert!(Identity::anonymous().is_anonymous());
/// ```
///
/// Cheap to clone. Two identities are equal when they are the same session and the same user, whatever data came
/// along and whenever they end. `Debug` masks the session id, since whoever knows it can address its owner's sockets.
#[derive(Clone)]
#[non_exhaustive]
pub struct Identity {
    session_id: Option<Arc<str>>,
    user_id: Option<Arc<str>>,
    data: Arc<Map<String, Value>>,
    expires_at: Option<SystemTime>,
}

/// The empty data of anonymous identities; shared, as most connections may be anonymous.
static EMPTY_DATA: LazyLock<Arc<Map<String, Value>>> = LazyLock::new(Arc::default);

impl Default for Identity {
    fn default() -> Self {
        Self { session_id: None, user_id: None, data: EMPTY_DATA.clone(), expires_at: None }
    }
}

impl Identity {
    /// No session and no user.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// A user, without a session.
    ///
    /// An empty key gives an anonymous identity, so that two users without a key never share a room.
    pub fn user(key: impl UserKey) -> Self {
        Self::anonymous().with_user(key)
    }

    /// Sets the user; an empty key removes it.
    #[must_use]
    pub fn with_user(mut self, key: impl UserKey) -> Self {
        let key = key.user_key();
        self.user_id = (!key.is_empty()).then(|| key.as_ref().into());
        self
    }

    /// Sets the id of the session. The socket will be in the room `session.{id}`.
    #[must_use]
    pub fn with_session(mut self, id: impl Into<Arc<str>>) -> Self {
        self.session_id = Some(id.into());
        self
    }

    /// Sets the application's data: what the session holds, or a token's claims.
    #[must_use]
    pub fn with_data(mut self, data: Map<String, Value>) -> Self {
        self.data = Arc::new(data);
        self
    }

    /// The same until this time. After it, the socket is treated as if its session had ended: it becomes anonymous, and leaves channels that
    /// it may no longer be on (rule R11). By default it does not end by itself.
    #[must_use]
    pub fn with_expiry(mut self, at: SystemTime) -> Self {
        self.expires_at = Some(at);
        self
    }

    /// The id of the session, if the socket came with one. Do not log it.
    pub fn session_id(&self) -> Option<&str> {
        self.session_id.as_deref()
    }

    /// The user's key, if there is a user.
    pub fn user_id(&self) -> Option<&str> {
        self.user_id.as_deref()
    }

    /// What the session holds, or a token's claims; empty for anonymous identities.
    pub fn data(&self) -> &Arc<Map<String, Value>> {
        &self.data
    }

    /// When this identity expires; `None` if it does not.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }

    /// Whether there is neither a session nor a user.
    pub fn is_anonymous(&self) -> bool {
        self.session_id.is_none() && self.user_id.is_none()
    }

    /// The rooms a socket is in by this identity (rule R11): `session.{id}` and `user.{user_id}`, if there is a session
    /// or a user. Do not log the first.
    pub fn rooms(&self) -> Vec<String> {
        self.session_id().map(session_room).into_iter().chain(self.user_id().map(user_room)).collect()
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.session_id == other.session_id && self.user_id == other.user_id
    }
}

impl Eq for Identity {}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("session_id", &self.session_id.as_ref().map(|_| "***"))
            .field("user_id", &self.user_id)
            .field("data", &format_args!("{} keys", self.data.len()))
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

/// Identifies a client by its handshake (rule R13).
///
/// It runs before `#[on(authorize)]` and `#[on(connect)]`. A client without credentials is
/// [anonymous](Identity::anonymous), which is not an error: the channel decides whether anonymous clients may join.
///
/// ```
/// use carolina_sockets::{EventError, Handshake, identity::{Identify, Identity, async_trait}};
///
/// /// Trusts a header that the company's own gateway sets.
/// struct Gateway;
///
/// #[async_trait]
/// impl Identify for Gateway {
///     async fn identify(&self, handshake: &Handshake) -> Result<Identity, EventError> {
///         let user = handshake.headers().get("x-employee").and_then(|value| value.to_str().ok());
///         Ok(user.map_or_else(Identity::anonymous, Identity::user))
///     }
/// }
/// ```
#[async_trait]
pub trait Identify: Send + Sync + 'static {
    /// Returns the client's identity.
    ///
    /// # Errors
    ///
    /// The client is refused with this error, as `connect_error`; it has joined no room and run no handler. An error
    /// converted by `?` reaches it as `internal`, with its text only in the log.
    async fn identify(&self, handshake: &Handshake) -> Result<Identity, EventError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r10_an_identity_prints_no_session_id() {
        let identity = Identity::user(7).with_session("c2VjcmV0LXNlc3Npb24");
        assert_eq!((identity.user_id(), identity.session_id()), (Some("7"), Some("c2VjcmV0LXNlc3Npb24")));
        let printed = format!("{identity:?}");
        assert!(!printed.contains("c2VjcmV0") && printed.contains("***"), "{printed}");
    }

    #[test]
    fn r11_an_identity_gives_the_rooms_of_its_session_and_its_user() {
        assert!(Identity::anonymous().rooms().is_empty());
        assert_eq!(Identity::user(7).with_session("abc").rooms(), ["session.abc", "user.7"]);
    }

    #[test]
    fn r11_identities_are_equal_by_who_they_are() {
        let ada = Identity::user("ada").with_session("abc");
        assert_eq!(ada, ada.clone().with_expiry(SystemTime::now()).with_data(Map::from_iter([("a".into(), 1.into())])));
        assert_ne!(ada, ada.clone().with_user("bob"));
        assert_ne!(ada, ada.clone().with_session("xyz"));
    }

    #[test]
    fn r10_an_empty_key_is_nobody() {
        assert_eq!(Identity::user(""), Identity::anonymous());
        assert!(Identity::user("").is_anonymous());
    }
}
