//! The endpoint by which programs in other languages emit: `POST /_carolina/emit`, off until `publish.secret` is set.

mod payload;
mod remembered;
mod signature;

use std::time::Duration;

use axum::body::Body;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::Sockets;
use crate::{
    backplane::Message,
    channel::Delivery,
    config::{Config, PublishConfig},
    error::{Error, code},
    extract::Args,
    telemetry::{Cause, refused},
};
use payload::{Emit, Mistake, Sent};
use remembered::Remembered;
use signature::Keys;

/// What the endpoint keeps between requests.
pub(super) struct Publisher {
    path: String,
    max_body: u64,
    body_timeout: Duration,
    keys: Keys,
    remembered: parking_lot::Mutex<Remembered>,
    /// Messages with a key are sent one after another, so that the second of two with the same key knows of the first.
    turn: Mutex<()>,
}

/// What was done with the messages of a request.
#[derive(Default)]
struct Done {
    emitted: usize,
    repeated: usize,
    missed: usize,
}

impl Sockets {
    /// Answers a request to `publish.path`.
    pub(super) async fn publish(&self, request: Request<Body>) -> Response<Body> {
        match &self.inner().publisher {
            Some(publisher) => publisher.answer(self, request).await,
            None => respond(StatusCode::NOT_FOUND, &Value::Null),
        }
    }
}

impl Publisher {
    /// `None` without a secret.
    pub(super) fn new(config: &Config) -> Option<Self> {
        let PublishConfig { secret, path, max_body } = &config.publish;
        (!secret.is_empty()).then(|| Self {
            path: path.clone(),
            max_body: *max_body,
            body_timeout: config.limits.body_timeout,
            keys: Keys::new(secret),
            remembered: parking_lot::Mutex::default(),
            turn: Mutex::default(),
        })
    }

    /// Whether a request is for this endpoint.
    pub(super) fn is_at(&self, path: &str) -> bool {
        path == self.path
    }

    /// Remembers keys that another node has used.
    pub(super) fn remember(&self, keys: Vec<String>) {
        let mut remembered = self.remembered.lock();
        keys.into_iter().for_each(|key| remembered.add(key));
    }

    /// Checks a request and emits what it asks for.
    async fn answer(&self, sockets: &Sockets, request: Request<Body>) -> Response<Body> {
        match self.accept(sockets, request).await {
            Ok(done) => respond(
                StatusCode::OK,
                &json!({ "emitted": done.emitted, "repeated": done.repeated, "missed": done.missed }),
            ),
            Err(refusal) => {
                refused(Cause::Publish, &format!("a request to publish: {}", refusal.message));
                refusal.into_response()
            }
        }
    }

    async fn accept(&self, sockets: &Sockets, request: Request<Body>) -> Result<Done, Refusal> {
        let (parts, body) = request.into_parts();
        if parts.method != Method::POST {
            let message = format!("{} is not served here: POST the messages", parts.method);
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, code::BAD_REQUEST, message));
        }
        let unauthenticated = |message| Refusal::new(StatusCode::UNAUTHORIZED, code::UNAUTHENTICATED, message);
        // Before the body is read, so that it takes a recent timestamp to have the server keep one.
        let signed = signature::read(&parts.headers).map_err(unauthenticated)?;
        let body = self.body(&parts.headers, body).await?;
        self.keys.check(&signed, &body).map_err(unauthenticated)?;
        if sockets.is_draining() {
            let message = "the server is shutting down: send it again, to another node or in a moment".to_owned();
            return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, code::SHUTTING_DOWN, message));
        }
        let emits = payload::read(sockets, &body).map_err(Refusal::of_payload)?;
        self.emit_all(sockets, emits).await
    }

    async fn body(&self, headers: &http::HeaderMap, body: Body) -> Result<Vec<u8>, Refusal> {
        let too_large = || {
            let message = format!(
                "the body is larger than {} bytes (publish.max_body): send the messages in several requests, or large \
                 data by HTTP and only where it is found here",
                self.max_body
            );
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, code::PAYLOAD_TOO_LARGE, message)
        };
        let told = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if told.is_some_and(|bytes| bytes > self.max_body) {
            return Err(too_large());
        }
        let limited = Limited::new(body, usize::try_from(self.max_body).unwrap_or(usize::MAX));
        match tokio::time::timeout(self.body_timeout, limited.collect()).await {
            Ok(Ok(collected)) => Ok(collected.to_bytes().into()),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
            Ok(Err(error)) => {
                let message = format!("the body could not be read: {error}");
                Err(Refusal::new(StatusCode::BAD_REQUEST, code::BAD_REQUEST, message))
            }
            Err(_) => {
                let message = format!("the body took longer than {:?} (limits.body_timeout)", self.body_timeout);
                Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, code::TIMEOUT, message))
            }
        }
    }

    async fn emit_all(&self, sockets: &Sockets, emits: Vec<Emit>) -> Result<Done, Refusal> {
        let _turn = if emits.iter().any(|emit| emit.key.is_some()) { Some(self.turn.lock().await) } else { None };
        let (mut done, mut used) = (Done::default(), Vec::new());
        let mut failed = None;
        for emit in emits {
            if emit.key.as_ref().is_some_and(|key| self.remembered.lock().contains(key)) {
                done.repeated += 1;
                continue;
            }
            match send(&emit).await {
                Ok(delivery) => {
                    done.emitted += 1;
                    done.missed += delivery.missed();
                    if let Some(key) = emit.key {
                        self.remembered.lock().add(key.clone());
                        used.push(key);
                    }
                }
                Err(error) => {
                    failed = Some(Refusal::of_emit(error, emit.index, &done));
                    break;
                }
            }
        }
        if !used.is_empty()
            && let Err(error) = sockets.inner().bus.publish(Message::Published { keys: used }).await
        {
            tracing::warn!(%error, "other nodes were not told which messages were published");
        }
        failed.map_or(Ok(done), Err)
    }
}

async fn send(emit: &Emit) -> crate::Result<Delivery> {
    let arguments: Vec<Sent<'_>> = emit.arguments.iter().map(Sent).collect();
    match &emit.to {
        Some(to) => to.emit(&emit.event, Args(arguments)).await,
        // Rooms were named, and there are none of them.
        None => Ok(Delivery::default()),
    }
}

/// Why a request is refused.
struct Refusal {
    status: StatusCode,
    message: String,
    body: Value,
}

impl Refusal {
    fn new(status: StatusCode, code: &str, message: String) -> Self {
        let body = json!({ "code": code, "message": message });
        Self { status, message, body }
    }

    /// The first mistake, and under `errors` all of them if there are several.
    fn of_payload(mistakes: Vec<Mistake>) -> Self {
        let bodies: Vec<Value> = mistakes.iter().map(Mistake::body).collect();
        let mut body = bodies.first().cloned().unwrap_or_default();
        let message = mistakes.first().map(Mistake::to_string).unwrap_or_default();
        if bodies.len() > 1 {
            body["errors"] = bodies.into();
        }
        Self { status: StatusCode::BAD_REQUEST, message, body }
    }

    /// A message that could not be sent, after others of its batch that were.
    fn of_emit(error: Error, index: Option<usize>, done: &Done) -> Self {
        let (status, code, message) = match &error {
            Error::Backplane(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                code::UNAVAILABLE,
                format!("{error}. Clients of this node may have got it, those of others have not: send it again"),
            ),
            Error::SocketsOff | Error::Closed => {
                (StatusCode::SERVICE_UNAVAILABLE, code::UNAVAILABLE, error.to_string())
            }
            _ => (StatusCode::BAD_REQUEST, code::INVALID_PAYLOAD, error.to_string()),
        };
        let mut body = json!({ "code": code, "message": message, "emitted": done.emitted, "repeated": done.repeated });
        if let Some(index) = index {
            body["index"] = index.into();
        }
        Self { status, message, body }
    }

    fn into_response(self) -> Response<Body> {
        let mut response = respond(self.status, &self.body);
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

fn respond(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
