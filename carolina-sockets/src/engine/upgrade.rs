//! How a WebSocket reaches socketioxide: as the bare stream below the HTTP connection, where that can be had.
//!
//! hyper's upgraded connection keeps 10 KB as long as it lives, so the stream is taken out of it together with what was
//! read already. In a foreign server whose stream is of another type, the upgraded connection itself is used. Either way it
//! goes through a [`ClientStream`], by which a connection can be cut.

use std::sync::Arc;

use axum::body::Body;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tower_service::Service;

use super::{
    Engine,
    client::ClientConnection,
    head::compact,
    http::{query, status},
    socket::SocketId,
    stream::ClientStream,
};
use crate::config::Transport;
#[cfg(feature = "testing")]
use crate::guard::Refusal;

impl Engine {
    /// Whether a request opens a WebSocket that the engine will take. All others are answered by the engine, which says
    /// what is wrong with them.
    pub(super) fn is_upgrade(&self, request: &Request<Body>) -> bool {
        let uri = request.uri();
        let version = query(uri, "EIO");
        let protocol = version == Some("4") || cfg!(feature = "legacy-clients") && version == Some("3");
        let known = request.extensions().get::<Arc<ClientConnection>>().is_some() || self.client_of(uri).is_some();
        *request.method() == Method::GET
            && protocol
            && known
            && query(uri, "transport") == Some("websocket")
            && self.config.transport.transports.contains(&Transport::Websocket)
    }

    /// The connection of the session that a request names.
    fn client_of(&self, uri: &http::Uri) -> Option<Arc<ClientConnection>> {
        self.sessions.get(query(uri, "sid")?.parse::<SocketId>().ok()?)
    }

    /// Answers `101` and hands the stream over once the answer is written.
    pub(super) fn accept_websocket(self: Arc<Self>, mut request: Request<Body>) -> Response<Body> {
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
        // Not among the tracked tasks: a shutdown need not wait for a client to finish its handshake.
        tokio::spawn(async move {
            match upgrade.await {
                Ok(upgraded) => self.hand_over(upgraded, parts),
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

    fn hand_over(&self, upgraded: Upgraded, parts: Parts) {
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(bare) => self.serve_stream(bare.io.into_inner(), &bare.read_buf, parts),
            Err(upgraded) => self.serve_stream(TokioIo::new(upgraded), &[], parts),
        }
    }

    /// Gives the engine a stream whose handshake is answered. `read` is what was read from it already.
    fn serve_stream<S>(&self, stream: S, read: &[u8], parts: Parts)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let opened_by = parts.extensions.get::<Arc<ClientConnection>>().cloned();
        let Some(client) = opened_by.or_else(|| self.client_of(&parts.uri)) else {
            return tracing::debug!("the session of a WebSocket has ended");
        };
        let request = Request::from_parts(parts, ());
        // Boxed, since the engine's futures hold several places for it.
        let stream = Box::new(ClientStream::new(stream, read, client, self.rejoin.clone()));
        // The engine spawns its work itself; the future is ready at once.
        let mut service = self.service.clone();
        let served =
            Service::<(Box<ClientStream<S>>, Request<()>)>::call(&mut service, (stream, request)).now_or_never();
        if let Some(Err(error)) = served {
            tracing::debug!(%error, "the engine refused a WebSocket");
        }
    }

    /// Opens a connection over a stream in this process, within the same limits as one from the network.
    #[cfg(feature = "testing")]
    pub(crate) fn connect_in_memory<S>(&self, stream: S, mut parts: Parts) -> Result<(), Refusal>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.guard.check_origin(&parts)?;
        self.admit(&mut parts)?;
        self.serve_stream(stream, &[], parts);
        Ok(())
    }
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
