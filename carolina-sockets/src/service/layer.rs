use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{BoxError, body::Body, extract::FromRequestParts};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use tower_layer::Layer;
use tower_service::Service;

use super::{Inner, Sockets, compact::compact, upgrade};
use crate::{
    guard::{Cause, Peer, Refusal, refused},
    private::BoxFuture,
};

/// The tower layer of a service; see [`Sockets::layer`](super::Sockets::layer).
#[derive(Clone)]
pub struct SocketsLayer(Arc<Inner>);

/// What [`SocketsLayer`] makes of another service.
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
        if self.sockets.engine.is_some() && is_below(request.uri().path(), &self.sockets.config.transport.path) {
            let sockets = self.sockets.clone();
            return Box::pin(async move { Ok(answer(&sockets, request.map(Body::new)).await) });
        }
        request.extensions_mut().insert(Sockets::from(self.sockets.clone()));
        let response = self.inner.call(request);
        Box::pin(async move { Ok(response.await?.map(Body::new)) })
    }
}

/// The service, in the routes that it serves or that are below its [`layer`](Sockets::layer): `async fn notify(sockets:
/// Sockets)`. Unlike [`sockets()`](crate::sockets) it is there in embedded services and in tests too.
///
/// # Errors
///
/// 500 where no such layer is above the route.
impl<S: Sync> FromRequestParts<S> for Sockets {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut http::request::Parts, _: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            tracing::error!("a route asks for `Sockets`, and there is no `Sockets::layer()` above it");
            (StatusCode::INTERNAL_SERVER_ERROR, "internal")
        })
    }
}

fn is_below(path: &str, base: &str) -> bool {
    path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || base.ends_with('/'))
}

/// Answers a request of a Socket.IO client: through the doors, then to the engine.
async fn answer(sockets: &Arc<Inner>, request: Request<Body>) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let origin = match sockets.guard.check_origin(&parts) {
        Ok(origin) => origin,
        Err(refusal) => return refusal.into_response(),
    };
    let mut response = match parts.method {
        Method::OPTIONS => preflight(),
        _ => match admit(sockets, &mut parts) {
            Ok(()) => engine(sockets, Request::from_parts(parts, body)).await,
            Err(refusal) => refusal.into_response(),
        },
    };
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, http::HeaderValue::from_static("true"));
    }
    response.headers_mut().append(header::VARY, http::HeaderValue::from_static("Origin"));
    response
}

/// Counts a new connection in; requests of one that exists pass.
pub(super) fn admit(sockets: &Inner, parts: &mut http::request::Parts) -> Result<(), Refusal> {
    if query(&parts.uri, "sid").is_some() {
        return Ok(());
    }
    if sockets.is_draining() {
        let message = "the server is shutting down".to_owned();
        refused(Cause::Shutdown, &message);
        return Err(Refusal { status: StatusCode::SERVICE_UNAVAILABLE, code: "overloaded", message });
    }
    let peer = sockets.guard.admit(parts)?;
    parts.extensions.insert(peer);
    Ok(())
}

async fn engine(sockets: &Arc<Inner>, request: Request<Body>) -> Response<Body> {
    let Some(engine) = &sockets.engine else { return status(StatusCode::NOT_FOUND) };
    if upgrade::is_wanted(&request, &sockets.config) {
        return upgrade::accept(sockets.clone(), engine.service.clone(), request);
    }
    let request = match posted(sockets, request).await {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(),
    };
    let (mut parts, body) = request.into_parts();
    if parts.extensions.get::<Arc<Peer>>().is_some() {
        compact(&mut parts);
    }
    let request = Request::from_parts(parts, body);
    match Service::call(&mut engine.service.clone(), request).await {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    }
}

/// What a polling client sends: it waits if its client goes on in spite of refusals, and is looked through if that may be
/// joining a channel again that it was taken off.
async fn posted(sockets: &Inner, request: Request<Body>) -> Result<Request<Body>, Refusal> {
    let sid = query(request.uri(), "sid").and_then(|sid| sid.parse().ok());
    let Some(sid) = sid.filter(|_| *request.method() == Method::POST) else { return Ok(request) };
    if let Some(time) = sockets.peer_of(sid).and_then(|peer| peer.rest()) {
        tokio::time::sleep(time).await;
    }
    if !sockets.leaving.contains(sid) {
        return Ok(request);
    }
    let most = usize::try_from(sockets.config.limits.max_payload).unwrap_or(usize::MAX);
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, most).await.map_err(|_| Refusal {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        code: "payload_too_large",
        message: format!("a request has at most {most} bytes (limits.max_payload)"),
    })?;
    for packet in body.split(|byte| *byte == b'\x1e') {
        sockets.leaving.arriving(sid, packet);
    }
    Ok(Request::from_parts(parts, Body::from(body)))
}

fn preflight() -> Response<Body> {
    let mut response = status(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, http::HeaderValue::from_static("GET, POST, OPTIONS"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, http::HeaderValue::from_static("content-type, authorization"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, http::HeaderValue::from_static("600"));
    response
}

pub(super) fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

impl Refusal {
    fn into_response(self) -> Response<Body> {
        let body = serde_json::json!({ "code": self.code, "message": self.message }).to_string();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        response
    }
}

/// A parameter of a query, as it stands there.
pub(super) fn query<'a>(uri: &'a http::Uri, name: &str) -> Option<&'a str> {
    let parameters = uri.query()?.split('&');
    parameters.filter_map(|parameter| parameter.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}
