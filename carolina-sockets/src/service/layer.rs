use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use axum::{
    BoxError,
    body::Body,
    extract::{FromRequestParts, MatchedPath, NestedPath},
};
use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Request, Response, StatusCode};
use tower_layer::Layer;
use tower_service::Service;

use super::{Inner, Sockets, client};
use crate::error::code;

/// The tower layer of a service; see [`Sockets::layer`](super::Sockets::layer).
#[derive(Clone)]
pub struct SocketsLayer(Arc<Inner>);

/// What [`SocketsLayer`] makes of another service: requests below `transport.path` are answered as Socket.IO, those
/// to `publish.path` emit if `publish.secret` is set, all others are passed on.
#[derive(Clone)]
pub struct SocketsService<S> {
    sockets: Arc<Inner>,
    inner: S,
}

impl SocketsLayer {
    pub(super) fn new(sockets: Arc<Inner>) -> Self {
        Self(sockets)
    }
}

impl fmt::Debug for SocketsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SocketsLayer")
    }
}

impl<S> fmt::Debug for SocketsService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SocketsService")
    }
}

impl<S> Layer<S> for SocketsLayer {
    type Service = SocketsService<S>;

    fn layer(&self, inner: S) -> SocketsService<S> {
        SocketsService { sockets: self.0.clone(), inner }
    }
}

impl<S> SocketsService<S> {
    /// Warns, once, when this is a layer of routes below `Router::nest`, which passes it no request of Socket.IO.
    fn warn_if_nested<B>(&self, request: &Request<B>) {
        let extensions = request.extensions();
        let (Some(prefix), Some(_)) = (extensions.get::<NestedPath>(), extensions.get::<MatchedPath>()) else { return };
        // Whoever has got a request of Socket.IO is reached, as a router that is nested as a service.
        if self.sockets.engine.is_none() || self.sockets.reached.swap(true, Ordering::Relaxed) {
            return;
        }
        let (prefix, path) = (prefix.as_str(), &self.sockets.config.transport.path);
        tracing::warn!(
            "`Sockets::layer()` is below `nest({prefix:?})`. A layer of a nested router gets the requests of that router's routes \
             only, and none for {prefix}{path}/: put the layer on the outer router, or nest by `nest_service`"
        );
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SocketsService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Future: Send + 'static,
    ReqBody: http_body::Body<Data = Bytes> + Send + 'static,
    ReqBody::Error: Into<BoxError>,
    ResBody: http_body::Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let transport = &self.sockets.config.transport;
        if let Some(engine) = &self.sockets.engine
            && is_below(request.uri().path(), &transport.path)
        {
            self.sockets.reached.store(true, Ordering::Relaxed);
            if let Some(bundle) = client::answer(&request, transport) {
                return Box::pin(async { Ok(bundle) });
            }
            let engine = engine.clone();
            return Box::pin(async move { Ok(engine.answer(request.map(Body::new)).await) });
        }
        if let Some(page) = self.sockets.contract_page.answer(&request) {
            return Box::pin(async { Ok(page) });
        }
        let sockets = Sockets::from(self.sockets.clone());
        if self.sockets.publisher.as_ref().is_some_and(|publisher| publisher.is_at(request.uri().path())) {
            return Box::pin(async move { Ok(sockets.publish(request.map(Body::new)).await) });
        }
        if let Some(page) = super::admin::page(&self.sockets, &request) {
            return Box::pin(async move { Ok(page.await) });
        }
        self.warn_if_nested(&request);
        request.extensions_mut().insert(sockets);
        let response = self.inner.call(request);
        Box::pin(async move { Ok(response.await?.map(Body::new)) })
    }
}

/// The service, in the routes that it serves or that are below its [`layer`](Sockets::layer): `async fn notify(sockets:
/// Sockets)`. Unlike [`sockets()`](crate::sockets) it also works in embedded services and in tests.
///
/// # Errors
///
/// 500 if the route is not below that layer.
impl<S: Sync> FromRequestParts<S> for Sockets {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut http::request::Parts, _: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            tracing::error!(
                "the route for {} asks for `Sockets`, and there is no `Sockets::layer()` above it",
                parts.uri.path()
            );
            (StatusCode::INTERNAL_SERVER_ERROR, code::INTERNAL)
        })
    }
}

fn is_below(path: &str, base: &str) -> bool {
    path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || base.ends_with('/'))
}
