//! The way of a WebSocket to socketioxide: as the bare stream below the HTTP connection, where that can be had.
//!
//! hyper's upgraded connection keeps 10 KB for itself as long as it lives, so the stream is taken out of it
//! together with what was already read. In a foreign server whose stream is of another type the upgraded connection
//! itself serves. Either way it goes through a [`Tap`], by which a connection can be cut.

use std::sync::Arc;

use axum::body::Body;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use socketioxide_core::Sid;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tower_service::Service;

use super::{
    Inner,
    compact::compact,
    engine::EngineService,
    layer::{query, status},
    stream::{Line, Tap},
};
use crate::{
    config::{Config, Transport},
    guard::Peer,
};

/// Whether a request opens a WebSocket that the engine will take. All others are answered by the engine, which says
/// what is wrong with them.
pub(super) fn is_wanted(request: &Request<Body>, config: &Config) -> bool {
    let uri = request.uri();
    let version = query(uri, "EIO");
    let protocol = version == Some("4") || cfg!(feature = "legacy-clients") && version == Some("3");
    let known = query(uri, "sid").is_none_or(|sid| sid.parse::<Sid>().is_ok());
    *request.method() == Method::GET
        && protocol
        && known
        && query(uri, "transport") == Some("websocket")
        && config.transport.transports.contains(&Transport::Websocket)
}

/// Answers `101` and hands the stream over once the answer is written.
pub(super) fn accept(sockets: Arc<Inner>, engine: EngineService, mut request: Request<Body>) -> Response<Body> {
    let headers = request.headers();
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| is_websocket(headers)) else {
        let mut response = status(StatusCode::UPGRADE_REQUIRED);
        response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return response;
    };
    // The accept key is base64, which is always a header value.
    let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) else {
        return status(StatusCode::BAD_REQUEST);
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let (mut parts, _) = request.into_parts();
    compact(&mut parts);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => hand_over(&sockets, engine, upgraded, parts),
            Err(error) => tracing::debug!(%error, "a WebSocket was not upgraded"),
        }
    });
    let mut response = status(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    response
}

fn is_websocket(headers: &HeaderMap) -> bool {
    let lists = |name, token: &str| {
        let lines = headers.get_all(name).into_iter().filter_map(|line: &HeaderValue| line.to_str().ok());
        lines.flat_map(|line| line.split(',')).any(|word| word.trim().eq_ignore_ascii_case(token))
    };
    lists(header::UPGRADE, "websocket")
        && lists(header::CONNECTION, "upgrade")
        && headers.get(header::SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13")
}

fn hand_over(sockets: &Arc<Inner>, engine: EngineService, upgraded: Upgraded, parts: Parts) {
    match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(bare) => open(sockets, engine, bare.io.into_inner(), &bare.read_buf, parts),
        Err(upgraded) => open(sockets, engine, TokioIo::new(upgraded), &[], parts),
    }
}

/// Gives a stream to the engine, and what was read from it already. The handshake's answer has been sent.
pub(crate) fn open<S>(sockets: &Arc<Inner>, mut engine: EngineService, stream: S, read: &[u8], parts: Parts)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let line = match parts.extensions.get::<Arc<Peer>>() {
        Some(peer) => Line::Of(peer.clone()),
        None => match query(&parts.uri, "sid").and_then(|sid| sid.parse().ok()) {
            Some(sid) => Line::unknown(sockets, sid),
            None => return tracing::debug!("a WebSocket without a peer"),
        },
    };
    let request = Request::from_parts(parts, ());
    // Boxed, since the engine's futures hold several places for it.
    let tap = Box::new(Tap::new(stream, read, line, sockets.leaving.clone()));
    // The engine spawns its work itself; the future is ready at once.
    let opened = Service::<(Box<Tap<S>>, Request<()>)>::call(&mut engine, (tap, request)).now_or_never();
    if let Some(Err(error)) = opened {
        tracing::debug!(%error, "the engine refused a WebSocket");
    }
}
