//! The HTTP requests of Socket.IO clients: the connection they belong to, and what polling clients send and fetch.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use serde_json::json;

use super::{
    DisconnectReason, Engine,
    carrier::Carrier,
    client::{ClientConnection, head_bytes},
    excess::Excess,
    head::compact,
    polling::{PollError, PollingSession, PostError, PostedBody},
    sessions::Listed,
    upgrade::{Admitted, Opening},
};
use crate::{
    config::Transport,
    error::code,
    guard::Refusal,
    telemetry::{Cause, refused},
};

/// The protocol's error codes for invalid requests.
#[derive(Clone, Copy)]
enum BadRequest {
    UnknownTransport = 0,
    UnknownSession = 1,
    Method = 2,
    Invalid = 3,
    Version = 5,
}

impl BadRequest {
    fn into_response(self) -> Response<Body> {
        let message = match self {
            Self::UnknownTransport => "Transport unknown",
            Self::UnknownSession => "Session ID unknown",
            Self::Method => "Bad handshake method",
            Self::Invalid => "Bad request",
            Self::Version => "Unsupported protocol version",
        };
        let body = json!({ "code": self as u8, "message": message }).to_string();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

impl Engine {
    /// Answers a request of a Socket.IO client, if its origin is allowed.
    pub(crate) async fn answer(self: Arc<Self>, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let origin = match self.guard.check_origin(&parts) {
            Ok(origin) => origin,
            // Its page may read why, and nothing else: without credentials, and from no other response.
            Err(refusal) => {
                let mut response = refusal.into_response();
                response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
                return response;
            }
        };
        let mut response = if parts.method == Method::OPTIONS {
            preflight()
        } else {
            self.answer_client(Request::from_parts(parts, body)).await
        };
        if let Some(origin) = origin {
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        response.headers_mut().append(header::VARY, HeaderValue::from_static("Origin"));
        response
    }

    /// Opens a session, or does what a request of one asks for.
    async fn answer_client(self: Arc<Self>, request: Request<Body>) -> Response<Body> {
        let uri = request.uri();
        let legacy = match query(uri, "EIO") {
            Some("4") => false,
            Some("3") if cfg!(feature = "legacy-clients") => true,
            _ => return BadRequest::Version.into_response(),
        };
        let transport = match query(uri, "transport") {
            Some("polling") => Transport::Polling,
            Some("websocket") => Transport::Websocket,
            _ => return BadRequest::UnknownTransport.into_response(),
        };
        if !self.config.transport.transports.contains(&transport) {
            return BadRequest::UnknownTransport.into_response();
        }
        let session = match query(uri, "sid") {
            None => None,
            Some(token) => match self.sessions.get(token) {
                Some(session) => Some(session),
                None => return BadRequest::UnknownSession.into_response(),
            },
        };
        match (transport, session, request.method()) {
            (Transport::Websocket, None, &Method::GET) => {
                let engine = self.clone();
                self.accept_websocket(request, |parts| {
                    engine.count_client(parts, Transport::Websocket, legacy).map(Opening::Session)
                })
            }
            (Transport::Websocket, Some(Listed::Polling(session)), &Method::GET) => {
                self.accept_websocket(request, |_| Ok(session.begin_probe().map_or(Opening::Refused, Opening::Upgrade)))
            }
            (Transport::Websocket, Some(Listed::Upgraded), &Method::GET) => {
                self.accept_websocket(request, |_| Ok(Opening::Refused))
            }
            (Transport::Polling, None, &Method::GET) => self.open_polling(request.into_parts().0, legacy),
            (Transport::Polling, Some(Listed::Polling(session)), &Method::GET) => self.poll(&session).await,
            (Transport::Polling, Some(Listed::Polling(session)), &Method::POST) => self.post(&session, request).await,
            (_, None, _) => BadRequest::Method.into_response(),
            _ => BadRequest::Invalid.into_response(),
        }
    }

    /// Counts a new client, within the limits.
    pub(super) fn count_client(
        &self,
        mut parts: Parts,
        transport: Transport,
        legacy: bool,
    ) -> Result<Admitted, Refusal> {
        if self.is_draining() {
            let message = "the server is shutting down".to_owned();
            refused(Cause::Shutdown, &message);
            return Err(Refusal { status: StatusCode::SERVICE_UNAVAILABLE, code: code::SHUTTING_DOWN, message });
        }
        compact(&mut parts);
        let (bytes, most) = (head_bytes(&parts), self.config.limits.header_bytes);
        if bytes as u64 > most {
            let message = format!("a handshake's headers have {bytes} bytes, of {most} allowed (limits.header_bytes)");
            refused(Cause::HeaderBytes, &message);
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            return Err(Refusal { status, code: code::PAYLOAD_TOO_LARGE, message });
        }
        let address = self.guard.address(&parts)?;
        let permit = self.guard.count_connection(address)?;
        // Nobody asks for them later.
        // Not cleared: that would keep the map.
        parts.extensions = http::Extensions::new();
        let client = ClientConnection::new(address, parts, transport, &self.config.limits);
        Ok(Admitted { client: Arc::new(client), permit, legacy })
    }

    fn open_polling(&self, parts: Parts, legacy: bool) -> Response<Body> {
        let admitted = match self.count_client(parts, Transport::Polling, legacy) {
            Ok(admitted) => admitted,
            Err(refusal) => return refusal.into_response(),
        };
        let transport = &self.config.transport;
        let silence = transport.ping_interval + transport.ping_timeout;
        let session = Arc::new(PollingSession::new(admitted.client.clone(), legacy, (!legacy).then_some(silence)));
        let token = self.sessions.insert(session.clone());
        let listed = Some((self.sessions.clone(), token.clone()));
        self.serve(Carrier::Polling(session), &[], admitted, listed);
        let may_upgrade = transport.transports.contains(&Transport::Websocket);
        let open = json!({
            "sid": token,
            "upgrades": if may_upgrade { &["websocket"][..] } else { &[] },
            "pingInterval": u64::try_from(transport.ping_interval.as_millis()).unwrap_or(u64::MAX),
            "pingTimeout": u64::try_from(transport.ping_timeout.as_millis()).unwrap_or(u64::MAX),
            "maxPayload": self.config.limits.max_payload,
        });
        let open = format!("0{open}");
        body(if legacy { format!("{}:{open}", open.len()).into_bytes() } else { open.into_bytes() })
    }

    async fn poll(&self, session: &PollingSession) -> Response<Body> {
        let most = usize::try_from(self.config.limits.max_payload).unwrap_or(usize::MAX);
        match session.fetch(most).await {
            Ok(packets) => body(packets),
            Err(PollError::Overlap | PollError::Upgraded) => BadRequest::Invalid.into_response(),
            Err(PollError::Ended) => BadRequest::UnknownSession.into_response(),
        }
    }

    async fn post(&self, session: &PollingSession, request: Request<Body>) -> Response<Body> {
        let most = usize::try_from(self.config.limits.max_payload).unwrap_or(usize::MAX);
        let (parts, posted) = request.into_parts();
        // A client sends one body after the other. With concurrent bodies the server's memory would not be bounded.
        let Ok(_turn) = session.posting.try_lock() else {
            return BadRequest::Invalid.into_response();
        };
        let timeout = self.config.limits.body_timeout;
        let refusal = |status, code, message| Refusal { status, code, message }.into_response();
        let reading = PostedBody::new(most, session.is_legacy()).read(posted);
        let posted = match tokio::time::timeout(timeout, reading).await {
            Ok(Ok(Ok(posted))) => posted,
            Ok(Ok(Err(bytes))) => {
                let excess = Excess::bytes(bytes, self.config.limits.max_payload);
                let message = format!("a body with {}", excess.message());
                refused(excess.limit.cause(), &format!("{message}, from {}", session.address()));
                session.close_with(DisconnectReason::PayloadTooLarge);
                return refusal(StatusCode::PAYLOAD_TOO_LARGE, code::PAYLOAD_TOO_LARGE, message);
            }
            Ok(Err(error)) => return refusal(StatusCode::REQUEST_TIMEOUT, "timeout", error.to_string()),
            Err(_) => {
                let message = format!("the request's body did not come within {timeout:?} (limits.body_timeout)");
                refused(Cause::SlowBody, &message);
                return refusal(StatusCode::REQUEST_TIMEOUT, code::TIMEOUT, message);
            }
        };
        match session.post(posted, parts.headers.get(header::CONTENT_TYPE)).await {
            Ok(()) => body(b"ok".to_vec()),
            Err(PostError::Invalid | PostError::Upgraded) => BadRequest::Invalid.into_response(),
            Err(PostError::Ended) => BadRequest::UnknownSession.into_response(),
        }
    }
}

/// A body of packets.
fn body(packets: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(packets));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=UTF-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
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
pub(super) fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A parameter of a query, not decoded.
fn query<'a>(uri: &'a http::Uri, name: &str) -> Option<&'a str> {
    let parameters = uri.query()?.split('&');
    parameters.filter_map(|parameter| parameter.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}
