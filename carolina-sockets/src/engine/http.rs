//! The HTTP requests of Socket.IO clients, on their way to the engine.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use tower_service::Service;

use super::{Engine, client::ClientConnection, head::compact, socket::SocketId};
use crate::{
    guard::Refusal,
    telemetry::{Cause, refused},
};

/// How much of the answer to a request that opens a session is read: a packet with an id and four numbers.
const OPEN_PACKET: usize = 4096;

impl Engine {
    /// Answers a request of a Socket.IO client, within the limits.
    pub(crate) async fn answer(self: Arc<Self>, request: Request<Body>) -> Response<Body> {
        let (mut parts, body) = request.into_parts();
        let origin = match self.guard.check_origin(&parts) {
            Ok(origin) => origin,
            Err(refusal) => return refusal.into_response(),
        };
        let mut response = if parts.method == Method::OPTIONS {
            preflight()
        } else {
            match self.admit(&mut parts) {
                Ok(()) => self.pass_on(Request::from_parts(parts, body)).await,
                Err(refusal) => refusal.into_response(),
            }
        };
        if let Some(origin) = origin {
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        response.headers_mut().append(header::VARY, HeaderValue::from_static("Origin"));
        response
    }

    /// Counts a new connection; requests of an existing session pass.
    pub(super) fn admit(&self, parts: &mut Parts) -> Result<(), Refusal> {
        if query(&parts.uri, "sid").is_some() {
            return Ok(());
        }
        if self.is_draining() {
            let message = "the server is shutting down".to_owned();
            refused(Cause::Shutdown, &message);
            return Err(Refusal { status: StatusCode::SERVICE_UNAVAILABLE, code: "overloaded", message });
        }
        let address = self.guard.address(parts);
        let permit = self.guard.admit(address)?;
        let client = ClientConnection::new(address, self.config.limits.events_per_second, permit);
        parts.extensions.insert(Arc::new(client));
        Ok(())
    }

    async fn pass_on(self: Arc<Self>, request: Request<Body>) -> Response<Body> {
        if self.is_upgrade(&request) {
            return self.accept_websocket(request);
        }
        let request = match self.prepare_post(request).await {
            Ok(request) => request,
            Err(refusal) => return refusal.into_response(),
        };
        let (mut parts, body) = request.into_parts();
        let opened_by = parts.extensions.get::<Arc<ClientConnection>>().cloned();
        if opened_by.is_some() {
            compact(&mut parts);
        }
        let response = match self.service.clone().call(Request::from_parts(parts, body)).await {
            Ok(response) => response.map(Body::new),
            Err(never) => match never {},
        };
        match opened_by {
            Some(client) => self.register(&client, response).await,
            None => response,
        }
    }

    /// Notes the id of a session that was opened by polling, so that its further requests are known to be its own.
    async fn register(&self, client: &Arc<ClientConnection>, response: Response<Body>) -> Response<Body> {
        if response.status() != StatusCode::OK {
            return response;
        }
        let (parts, body) = response.into_parts();
        let Ok(body) = axum::body::to_bytes(body, OPEN_PACKET).await else {
            return status(StatusCode::INTERNAL_SERVER_ERROR);
        };
        if let Some(id) = opened_id(&body) {
            self.sessions.insert(id, client);
        }
        Response::from_parts(parts, Body::from(body))
    }

    /// Delays what a polling client sends after too many refused events, and notices when it joins a channel again that it
    /// was taken off.
    async fn prepare_post(&self, request: Request<Body>) -> Result<Request<Body>, Refusal> {
        let id = query(request.uri(), "sid").and_then(|id| id.parse::<SocketId>().ok());
        let Some(id) = id.filter(|_| *request.method() == Method::POST) else { return Ok(request) };
        let backoff: Option<Duration> = self.sessions.get(id).and_then(|client| client.backoff());
        if let Some(backoff) = backoff {
            tokio::time::sleep(backoff).await;
        }
        if !self.rejoin.contains(id) {
            return Ok(request);
        }
        let most = usize::try_from(self.config.limits.max_payload).unwrap_or(usize::MAX);
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, most).await.map_err(|_| Refusal {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            code: "payload_too_large",
            message: format!("a request has at most {most} bytes (limits.max_payload)"),
        })?;
        for packet in body.split(|byte| *byte == b'\x1e') {
            self.rejoin.arriving(id, packet);
        }
        Ok(Request::from_parts(parts, Body::from(body)))
    }
}

/// The session's id in an open packet: `0{"sid":"…",…}`, with a length before it in the older protocol.
fn opened_id(packet: &[u8]) -> Option<SocketId> {
    let text = std::str::from_utf8(packet).ok()?;
    let (_, rest) = text.split_once("\"sid\":\"")?;
    rest.split_once('"')?.0.parse().ok()
}

fn preflight() -> Response<Body> {
    let mut response = status(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, OPTIONS"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("content-type, authorization"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

/// A response without a body.
pub(crate) fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A parameter of a query, not decoded.
pub(super) fn query<'a>(uri: &'a http::Uri, name: &str) -> Option<&'a str> {
    let parameters = uri.query()?.split('&');
    parameters.filter_map(|parameter| parameter.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}
