//! Sessions for HTTP handlers.
//!
//! [`Session`] is the extractor of `tower-sessions`. Under the [`SessionLayer`] that `serve()` puts over its router, a
//! handler that inserts the user into it has logged the user in, on the sockets of that session too; one that calls
//! [`Session::flush`] has logged them out (rule R11).
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
    sync::Arc,
    task::{Context, Poll},
};

use cookie::{Cookie, SameSite};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use ipnet::IpNet;
use tower_layer::Layer;
use tower_service::Service;
pub use tower_sessions::Session;
use tower_sessions::{Expiry, SessionManagerLayer, service::PrivateCookie};

use crate::{
    config::SessionConfig,
    guard,
    identity::{CookieKeys, WatchedStore},
    private::BoxFuture,
};

/// The session layer of a service; see [`Sockets::session_layer`](crate::Sockets::session_layer).
///
/// The cookie is encrypted, HttpOnly, SameSite=Lax, for the whole site, and Secure when the request came by TLS or
/// `session.secure` says so. A session lives for `session.ttl` after it was last used; handlers that read it late in its
/// life prolong it. Cookies that were sealed with an older key of `session.secret` are replaced.
#[derive(Clone)]
pub struct SessionLayer {
    store: WatchedStore,
    settings: Arc<Settings>,
}

struct Settings {
    keys: CookieKeys,
    expiry: Expiry,
    /// `None`: as the request came.
    secure: Option<bool>,
    trusted_proxies: Vec<IpNet>,
}

impl SessionLayer {
    pub(crate) fn new(
        store: WatchedStore,
        keys: CookieKeys,
        config: &SessionConfig,
        trusted_proxies: &[IpNet],
    ) -> Self {
        let ttl = time::Duration::try_from(config.ttl).unwrap_or(time::Duration::MAX);
        let settings = Settings {
            keys,
            expiry: Expiry::OnInactivity(ttl),
            secure: config.secure,
            trusted_proxies: trusted_proxies.to_vec(),
        };
        Self { store, settings: Arc::new(settings) }
    }

    fn manager(&self, secure: bool) -> SessionManagerLayer<WatchedStore, PrivateCookie> {
        SessionManagerLayer::new(self.store.clone())
            .with_name(self.settings.keys.name().to_owned())
            .with_http_only(true)
            .with_same_site(SameSite::Lax)
            .with_path("/")
            .with_secure(secure)
            .with_expiry(self.settings.expiry)
            .with_private(self.settings.keys.newest().clone())
    }
}

impl fmt::Debug for SessionLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionLayer")
    }
}

type Managed<S> = <SessionManagerLayer<WatchedStore, PrivateCookie> as Layer<Prolong<S>>>::Service;

/// What [`SessionLayer`] makes of another service.
#[derive(Clone)]
pub struct SessionService<S> {
    layer: SessionLayer,
    plain: Managed<S>,
    secure: Managed<S>,
}

impl<S> fmt::Debug for SessionService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionService")
    }
}

impl<S: Clone> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> SessionService<S> {
        let inner = Prolong { inner, expiry: self.settings.expiry };
        SessionService {
            layer: self.clone(),
            plain: self.manager(false).layer(inner.clone()),
            secure: self.manager(true).layer(inner),
        }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SessionService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    ReqBody: Send + 'static,
    ResBody: Default + Send + 'static,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<ResBody>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        match self.plain.poll_ready(context) {
            Poll::Ready(Ok(())) => self.secure.poll_ready(context),
            other => other,
        }
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let settings = self.layer.settings.clone();
        let (mut parts, body) = request.into_parts();
        let secure = settings.secure.unwrap_or_else(|| guard::is_secure(&parts, &settings.trusted_proxies));
        let renewed = settings.renew(&mut parts.headers);
        let request = Request::from_parts(parts, body);
        let response = match secure {
            true => self.secure.call(request),
            false => self.plain.call(request),
        };
        let store = self.layer.store.clone();
        Box::pin(async move {
            let mut response = store.visited(response).await?;
            if let Some(value) = renewed {
                settings.replace(&value, secure, response.headers_mut());
            }
            Ok(response)
        })
    }
}

impl Settings {
    /// Seals the cookie of a request with the newest key, if it was sealed with an older one, and returns its new
    /// value.
    fn renew(&self, headers: &mut HeaderMap) -> Option<String> {
        let cookies = crate::extract::Cookies::of(headers);
        let (id, old) = self.keys.open_with_key(cookies.get(self.keys.name())?)?;
        if !old {
            return None;
        }
        let value = self.keys.seal(id);
        let others = cookies.iter().filter(|(name, _)| *name != self.keys.name());
        let mut line: Vec<String> =
            others.map(|(name, value)| Cookie::new(name.to_owned(), value.to_owned()).encoded().to_string()).collect();
        line.push(Cookie::new(self.keys.name().to_owned(), value.clone()).encoded().to_string());
        headers.insert(header::COOKIE, HeaderValue::from_str(&line.join("; ")).ok()?);
        Some(value)
    }

    /// Sends the renewed cookie, unless the response sets it anyway.
    fn replace(&self, value: &str, secure: bool, headers: &mut HeaderMap) {
        let prefix = format!("{}=", self.keys.name());
        let lines = headers.get_all(header::SET_COOKIE).into_iter();
        if lines.filter_map(|line| line.to_str().ok()).any(|line| line.starts_with(&prefix)) {
            return;
        }
        let mut cookie = Cookie::build((self.keys.name().to_owned(), value.to_owned()))
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(secure)
            .path("/");
        if let Expiry::OnInactivity(ttl) = self.expiry {
            cookie = cookie.max_age(ttl);
        }
        if let Ok(line) = HeaderValue::from_str(&cookie.build().encoded().to_string()) {
            headers.append(header::SET_COOKIE, line);
        }
    }
}

/// Prolongs a session that a handler has read late in its life.
#[derive(Clone, Debug)]
pub struct Prolong<S> {
    inner: S,
    expiry: Expiry,
}

impl<S, ReqBody> Service<Request<ReqBody>> for Prolong<S>
where
    S: Service<Request<ReqBody>> + Clone + Send + 'static,
    S::Future: Send,
    S::Response: Send,
    S::Error: Send,
    ReqBody: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let session = request.extensions().get::<Session>().cloned();
        let expiry = self.expiry;
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = response.await?;
            if let Some(session) = session.filter(|session| session.id().is_some() && WatchedStore::is_stale()) {
                // Which marks it as changed, so that it is saved.
                session.set_expiry(Some(expiry));
            }
            Ok(response)
        })
    }
}
