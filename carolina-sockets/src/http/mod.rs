//! Sessions for HTTP handlers.
//!
//! [`Session`] is the session of `tower-sessions`, with all its methods. Under the [`SessionLayer`] that `serve()` puts over its router, a
//! handler that inserts the user into it has logged the user in, on the sockets of that session too; one that calls
//! [`flush`](tower_sessions::Session::flush) has logged them out (rule R11).
//!
//! ```
//! use axum::{Form, Router, response::Redirect, routing::post};
//! use carolina_sockets::http::Session;
//!
//! #[derive(serde::Deserialize)]
//! struct Login { name: String }
//!
//! async fn login(session: Session, Form(login): Form<Login>) -> Redirect {
//!     // Whoever knew the session before the log-in does not know it after.
//!     let _ = session.cycle_id().await;
//!     let _ = session.insert("user_id", &login.name).await;
//!     Redirect::to("/")
//! }
//!
//! async fn logout(session: Session) -> Redirect {
//!     let _ = session.flush().await;
//!     Redirect::to("/")
//! }
//!
//! let routes: Router = Router::new().route("/login", post(login)).route("/logout", post(logout));
//! ```

use std::{
    fmt,
    future::Future,
    ops::Deref,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::extract::FromRequestParts;
use cookie::Cookie;
use http::{HeaderValue, Request, Response, StatusCode, header::SET_COOKIE};
use ipnet::IpNet;
use time::{Duration, OffsetDateTime};
use tower_layer::Layer;
use tower_service::Service;
use tower_sessions::{Expiry, session::Id};

pub use crate::guard::OverTls;

use crate::{
    config::{Config, SameSite, SessionConfig},
    error::code,
    guard,
    identity::{CookieKeys, LIFETIME_KEY, NotifyingStore, Presented, RequestScope},
};

/// The session of a request, as an argument of axum's handlers, or the one behind a socket, as an argument of `#[on]` handlers: a
/// [`tower_sessions::Session`], with its methods `get`, `insert`, `remove`, `cycle_id`, `flush` and so on.
///
/// # Errors
///
/// As an argument of a route: 500 if the route is not below [`Sockets::session_layer`](crate::Sockets::session_layer).
#[derive(Clone, Debug)]
pub struct Session(tower_sessions::Session);

impl Deref for Session {
    type Target = tower_sessions::Session;

    fn deref(&self) -> &tower_sessions::Session {
        &self.0
    }
}

impl From<tower_sessions::Session> for Session {
    fn from(session: tower_sessions::Session) -> Self {
        Self(session)
    }
}

impl From<Session> for tower_sessions::Session {
    fn from(session: Session) -> Self {
        session.0
    }
}

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut http::request::Parts, _: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get::<tower_sessions::Session>().cloned().map(Self).ok_or_else(|| {
            tracing::error!(
                "the route for {} asks for `Session`, and there is no `Sockets::session_layer()` above it",
                parts.uri.path()
            );
            (StatusCode::INTERNAL_SERVER_ERROR, code::INTERNAL)
        })
    }
}

/// The session layer: gives handlers their [`Session`], and browsers the cookie that belongs to it.
///
/// `serve()` puts it over the application's router. For an embedded service, `Sockets::session_layer()` returns it.
///
/// - The cookie holds nothing but the session's id, encrypted, with `HttpOnly`, and with `SameSite=Lax` and `Path=/`
///   unless `session.same_site`, `session.path` and `session.domain` say otherwise.
/// - With it comes a second cookie, the marker, whose name has `.marker` added. Scripts of the page can read it, and learn
///   from it that there is another session or another user, but not which. `session.marker = false` leaves it out.
/// - It has `Secure` as `session.secure` says. Without that setting, it has it if the request came by TLS: a trusted
///   proxy says so, or the request is HTTP/2 with the scheme `https`, or an HTTP/1.1 server that ends TLS itself has
///   put [`OverTls`] into the request's extensions, as the layer `axum::Extension(OverTls)` around this one does.
/// - A session is created, and its cookie set, once a handler inserts something.
/// - `session.ttl` counts from the last use: a request whose handler reads the session prolongs it once a tenth of the
///   time has passed. `Session::set_expiry` gives a session its own lifetime, which is kept.
/// - A cookie that an older key of `session.secret` has sealed is accepted, and renewed when its session is used.
/// - When the answer is a server error (5xx), changes to the session are dropped.
#[derive(Clone)]
pub struct SessionLayer(Arc<Settings>);

struct Settings {
    store: Arc<NotifyingStore>,
    keys: Arc<CookieKeys>,
    session: SessionConfig,
    trusted_proxies: Vec<IpNet>,
}

impl SessionLayer {
    pub(crate) fn new(store: Arc<NotifyingStore>, keys: Arc<CookieKeys>, config: &Config) -> Self {
        Self(Arc::new(Settings {
            store,
            keys,
            session: config.session.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
        }))
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> SessionService<S> {
        SessionService { inner, settings: self.0.clone() }
    }
}

impl fmt::Debug for SessionLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer").field("cookie", &self.0.keys.name()).finish_non_exhaustive()
    }
}

/// The service that [`SessionLayer`] produces.
#[derive(Clone)]
pub struct SessionService<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S: fmt::Debug> fmt::Debug for SessionService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, Body, Answer> Service<Request<Body>> for SessionService<S>
where
    S: Service<Request<Body>, Response = Response<Answer>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    Body: Send + 'static,
    Answer: Default + Send,
{
    type Response = Response<Answer>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let clone = self.inner.clone();
        // The service that was polled ready has to be the one that is called.
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let settings = self.settings.clone();
        let (mut parts, body) = request.into_parts();
        let presented = settings.keys.find(&parts.headers);
        let secure = settings.session.secure.unwrap_or_else(|| guard::is_secure(&parts, &settings.trusted_proxies));
        let id = match presented {
            Presented::Valid(opened) => Some(opened.id),
            Presented::Nothing | Presented::Invalid => None,
        };
        let session = settings.store.session(id);
        parts.extensions.insert(session.clone());
        let request = Request::from_parts(parts, body);
        let scope = settings.store.request();
        Box::pin(scope.clone().run(async move {
            let mut response = inner.call(request).await?;
            let commit = SessionCommit { settings: &settings, session: &session, scope: &scope, presented, secure };
            match commit.finish(response.status()).await {
                Ok(cookies) => {
                    for cookie in cookies {
                        response.headers_mut().append(SET_COOKIE, cookie);
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "a session could not be saved");
                    response = Response::default();
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                }
            }
            Ok(response)
        }))
    }
}

/// One request's session, after the handler has finished.
struct SessionCommit<'a> {
    settings: &'a Settings,
    session: &'a tower_sessions::Session,
    scope: &'a RequestScope,
    presented: Presented,
    secure: bool,
}

impl SessionCommit<'_> {
    /// Saves the session if it was changed, or prolongs it if it was used. Returns the cookies to set.
    async fn finish(&self, status: StatusCode) -> Result<Vec<HeaderValue>, tower_sessions::session::Error> {
        if self.session.is_empty().await {
            // Logged out, or the cookie's session no longer exists.
            return Ok(if matches!(self.presented, Presented::Valid(_)) { self.removal() } else { Vec::new() });
        }
        if self.session.is_modified() {
            return if status.is_server_error() { Ok(Vec::new()) } else { self.save().await };
        }
        Ok(self.renew().await)
    }

    async fn save(&self) -> Result<Vec<HeaderValue>, tower_sessions::session::Error> {
        let lifetime = self.settings.store.lifetime();
        let given = self.session.expiry().filter(|expiry| *expiry != lifetime.default_expiry());
        if let Some(expiry) = given {
            self.session.insert(LIFETIME_KEY, expiry).await?;
        }
        let expiry = match self.session.get(LIFETIME_KEY).await {
            Ok(Some(kept)) => kept,
            _ => lifetime.default_expiry(),
        };
        self.session.save().await?;
        let id = self.session.id().expect("a session that was saved has an id");
        Ok(self.cookies(id, expiry, lifetime.end(expiry)).await)
    }

    /// A session that was read but not changed is prolonged when due. Its cookie is renewed then, or if an older key
    /// had sealed it. Responses that did not use the session set no cookie, since they may be cached.
    async fn renew(&self) -> Vec<HeaderValue> {
        let Presented::Valid(opened) = self.presented else { return Vec::new() };
        let Some(read) = self.scope.loaded(opened.id) else { return Vec::new() };
        if self.settings.store.lifetime().is_due(read.expiry, read.ends) {
            match self.settings.store.prolong(&opened.id).await {
                Ok(Some(ends)) => return self.cookies(opened.id, read.expiry, ends).await,
                Ok(None) => return Vec::new(),
                Err(error) => tracing::warn!(%error, "a session in use could not be prolonged"),
            }
        }
        if opened.outdated { self.cookies(opened.id, read.expiry, read.ends).await } else { Vec::new() }
    }

    /// The session's cookie and its marker.
    async fn cookies(&self, id: Id, expiry: Expiry, ends: OffsetDateTime) -> Vec<HeaderValue> {
        let keys = &self.settings.keys;
        let mut cookies = vec![self.blank(keys.seal(id))];
        if self.settings.session.marker {
            cookies.push(self.marker(keys.marker(id, self.user().await.as_deref())));
        }
        if expiry != Expiry::OnSessionEnd {
            let left = ends - OffsetDateTime::now_utc();
            // Rounded up, so that a full `ttl` gives its exact number of seconds.
            let seconds = left.whole_seconds() + i64::from(left.subsec_nanoseconds() > 0);
            cookies.iter_mut().for_each(|cookie| cookie.set_max_age(Duration::seconds(seconds.max(0))));
        }
        cookies.iter().map(header).collect()
    }

    fn removal(&self) -> Vec<HeaderValue> {
        let mut cookies = vec![self.blank(String::new())];
        if self.settings.session.marker {
            cookies.push(self.marker(String::new()));
        }
        cookies.iter_mut().for_each(Cookie::make_removal);
        cookies.iter().map(header).collect()
    }

    /// The user that the session names.
    async fn user(&self) -> Option<String> {
        let value: serde_json::Value = self.session.get(&self.settings.session.user_key).await.ok().flatten()?;
        (value.is_string() || value.is_number()).then(|| value.to_string())
    }

    /// The cookie that tells scripts of another session or user.
    fn marker(&self, value: String) -> Cookie<'_> {
        let mut cookie = self.blank(value);
        cookie.set_name(self.settings.keys.marker_name());
        cookie.set_http_only(false);
        cookie
    }

    fn blank(&self, value: String) -> Cookie<'_> {
        let session = &self.settings.session;
        let mut cookie = Cookie::build((self.settings.keys.name(), value))
            .http_only(true)
            .same_site(match session.same_site {
                SameSite::Strict => cookie::SameSite::Strict,
                SameSite::Lax => cookie::SameSite::Lax,
                SameSite::None => cookie::SameSite::None,
            })
            .secure(self.secure)
            .path(&session.path)
            .build();
        if let Some(domain) = &session.domain {
            cookie.set_domain(domain);
        }
        cookie
    }
}

fn header(cookie: &Cookie<'_>) -> HeaderValue {
    HeaderValue::try_from(cookie.to_string())
        .expect("the configuration has checked name, domain and path, and base64 is plain ASCII")
}

#[cfg(test)]
mod tests;
