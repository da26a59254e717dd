use std::{fmt, net::IpAddr, sync::Arc};

use http::HeaderMap;
use serde::de::DeserializeOwned;

use crate::{
    config::Transport,
    engine::{Auth, ClientConnection, from_text},
    error::{EventError, Result},
    telemetry::trace::Traceparent,
};

/// What the client sent when it connected: headers, query, cookies, its address and the `auth` payload.
///
/// Headers and query are those of the request that opened the connection; `auth` is what the client sent to join this channel. It is an extractor,
/// and what [`Identify`](crate::Identify) reads.
///
/// ```
/// use carolina_sockets::prelude::*;
///
/// #[derive(Deserialize)]
/// struct Ticket {
///     ticket: String,
/// }
///
/// #[channel("/show")]
/// #[derive(Default)]
/// struct Show;
///
/// #[channel]
/// impl Show {
///     /// `io("/show", { auth: { ticket: "A-17" } })`
///     #[on(authorize)]
///     async fn authorize(&self, handshake: Handshake) -> Result<(), EventError> {
///         let Ticket { ticket } = handshake.auth()?; // `invalid_payload` without one
///         if !ticket.starts_with("A-") {
///             return Err(EventError::new("forbidden", "the ticket is for another show"));
///         }
///         Ok(())
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Handshake {
    client: Arc<ClientConnection>,
    auth: Option<Auth>,
}

impl Handshake {
    pub(crate) fn new(client: Arc<ClientConnection>, auth: Option<Auth>) -> Self {
        Self { client, auth }
    }

    /// The `auth` payload, which official clients send with `io(url, { auth: … })`. Without one, `{}` is read.
    ///
    /// # Errors
    ///
    /// `invalid_payload` with the JSON path when the payload does not deserialize into `T`.
    pub fn auth<T: DeserializeOwned>(&self) -> Result<T, EventError> {
        from_text(self.auth.as_deref().unwrap_or("{}"))
    }

    /// The headers of the request that opened the connection, without those that open a WebSocket (`Connection`,
    /// `Upgrade`, `Sec-WebSocket-…`).
    pub fn headers(&self) -> &HeaderMap {
        &self.client.request().headers
    }

    /// The query of the request that opened the connection; Engine.IO's own parameters are among it.
    pub fn query(&self) -> Query {
        let text = self.client.request().uri.query().unwrap_or_default();
        Query(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// The cookies of the request that opened the connection.
    pub fn cookies(&self) -> Cookies {
        Cookies::of(self.headers())
    }

    /// The client's address; behind a proxy that `trusted_proxies` names, the one in that proxy's `X-Forwarded-For`. In an embedded service
    /// that is not served with axum's `ConnectInfo` it is unspecified (`0.0.0.0`).
    pub fn remote_address(&self) -> IpAddr {
        self.client.address()
    }

    /// A value kept for all channels of the connection.
    /// The client's span: of what it sent to join the channel, or else of the request that opened the connection.
    pub(crate) fn traceparent(&self) -> Option<Traceparent> {
        #[derive(serde::Deserialize)]
        struct Traced {
            traceparent: String,
        }
        let sent = self.auth::<Traced>().ok().and_then(|traced| Traceparent::parse(traced.traceparent.as_bytes()));
        sent.or_else(|| Traceparent::parse(self.headers().get("traceparent")?.as_bytes()))
    }

    pub(super) fn kept<T: Default + Send + Sync + 'static>(&self) -> Option<&T> {
        self.client.kept()
    }

    /// The current transport: a connection usually begins with polling and is then upgraded.
    pub fn transport(&self) -> Transport {
        self.client.transport()
    }
}

impl fmt::Debug for Handshake {
    /// Without headers, cookies and `auth`, which hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("remote_address", &self.remote_address())
            .field("transport", &self.transport())
            .finish_non_exhaustive()
    }
}

/// The parameters of a request's query, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// The first parameter of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All parameters, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// The cookies of a request, percent-decoded.
#[derive(Clone, Default)]
pub struct Cookies(Vec<(String, String)>);

impl Cookies {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(http::header::COOKIE).into_iter();
        let cookies = values.flat_map(|value| {
            // Another application's cookie that is not ASCII must not hide the other cookies.
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            cookie::Cookie::split_parse_encoded(value).filter_map(|cookie| {
                let cookie = cookie.ok()?;
                Some((cookie.name().to_owned(), cookie.value().to_owned()))
            })
        });
        Self(cookies.collect())
    }

    /// The first cookie of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All cookies, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl fmt::Debug for Cookies {
    /// Names only: values are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}
