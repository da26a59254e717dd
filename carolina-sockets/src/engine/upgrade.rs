//! How a WebSocket is handed to the engine: as the bare stream below the HTTP connection, where possible.
//!
//! hyper's upgraded connection keeps a 10 KB buffer, so the stream is taken out of it together with the bytes already
//! read. In another server, whose stream has a different type, the upgraded connection itself is used.
//!
//! A WebSocket that names a polling session is first tried: the client pings over it, gets an answer, and then
//! switches. If any step fails, only the WebSocket is closed; the client continues polling.

use std::{io, sync::Arc, time::Duration};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::{HeaderValue, Request, Response, StatusCode, header, request::Parts};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tower_service::Service;

use super::{
    Engine,
    carrier::Carrier,
    client::ClientConnection,
    frames::{TEXT, push_frame},
    http::status,
    polling::Probe,
    sessions::Sessions,
    stream::{ClientStream, Connected},
};
#[cfg(feature = "testing")]
use crate::config::Transport;
use crate::guard::{AcceptedStream, Permit, Refusal};

/// How long a client may take to read the response that opens a WebSocket, and then to switch to it if it has been polling.
const OPENING_TIMEOUT: Duration = Duration::from_secs(10);

/// An admitted client, to be handed to the engine.
pub(super) struct Admitted {
    pub(super) client: Arc<ClientConnection>,
    pub(super) permit: Permit,
    /// Engine.IO 3 in place of 4.
    pub(super) legacy: bool,
}

/// What a WebSocket is opened for.
pub(super) enum Opening {
    /// A session of its own.
    Session(Admitted),
    /// A session that has been polling.
    Upgrade(Probe),
    /// Nothing: the session has upgraded, or is about to. The WebSocket is closed at once, as the protocol asks for.
    Refused,
}

impl Engine {
    /// Responds with `101` and hands the stream over once the response is written.
    pub(super) fn accept_websocket(
        self: Arc<Self>,
        mut request: Request<Body>,
        open: impl FnOnce(Parts) -> Result<Opening, Refusal>,
    ) -> Response<Body> {
        let Ok(response) = create_response_with_body(&request, Body::empty) else {
            let mut response = status(StatusCode::UPGRADE_REQUIRED);
            response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            return response;
        };
        let upgrade = hyper::upgrade::on(&mut request);
        let opening = match open(request.into_parts().0) {
            Ok(opening) => opening,
            Err(refusal) => return refusal.into_response(),
        };
        let background = self.background.clone();
        // A shutdown does not wait for a client to finish its handshake.
        background.spawn(self.hand_over(upgrade, opening));
        response
    }

    async fn hand_over(self: Arc<Self>, upgrade: OnUpgrade, opening: Opening) {
        let upgraded = match tokio::time::timeout(OPENING_TIMEOUT, upgrade).await {
            Ok(Ok(upgraded)) => upgraded,
            Ok(Err(error)) => return tracing::debug!(%error, "a WebSocket was not upgraded"),
            Err(_) => return tracing::debug!("a client did not read the answer that opens its WebSocket"),
        };
        let (carrier, read) = bare(upgraded);
        match opening {
            Opening::Session(admitted) => self.serve(carrier, &read, admitted, None),
            Opening::Refused => tracing::debug!("a second WebSocket for a session is closed"),
            Opening::Upgrade(probe) => {
                let upgraded = tokio::time::timeout(OPENING_TIMEOUT, try_websocket(carrier, read.into(), probe)).await;
                match upgraded {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::debug!(%error, "a client goes on polling: its WebSocket failed"),
                    Err(_) => tracing::debug!("a client goes on polling: it did not finish its upgrade in time"),
                }
            }
        }
    }

    /// Gives the engine a client's stream. `read` has the bytes already read from it.
    pub(super) fn serve(
        &self,
        carrier: Carrier,
        read: &[u8],
        admitted: Admitted,
        listed: Option<(Arc<Sessions>, String)>,
    ) {
        let Admitted { client, permit, legacy } = admitted;
        // All that the engine needs to know of the request; the rest is the client's.
        let uri = if legacy { "/?EIO=3&transport=websocket" } else { "/?EIO=4&transport=websocket" };
        let mut request = Request::new(());
        *request.uri_mut() = http::Uri::from_static(uri);
        request.extensions_mut().insert(client.clone());
        let transport = &self.config.transport;
        let connected = Connected {
            client,
            rejoin: self.rejoin.clone(),
            blocked: self.blocked.clone(),
            turns: self.turns.clone(),
            translator: self.templates.translator(),
            permit,
            stall_timeout: transport.ping_interval + transport.ping_timeout,
            is_pinged: !legacy,
            listed,
        };
        // Boxed, since the engine's futures reserve space for it several times.
        let stream = Box::new(ClientStream::new(carrier, read, connected));
        // The engine spawns its own tasks, so the future is ready at once.
        let mut service = self.service.clone();
        let served = Service::<(Box<ClientStream>, Request<()>)>::call(&mut service, (stream, request)).now_or_never();
        if let Some(Err(error)) = served {
            tracing::debug!(%error, "the engine refused a stream");
        }
    }

    /// Opens a connection over a stream in this process, within the same limits as one from the network.
    #[cfg(feature = "testing")]
    pub(crate) fn connect_in_memory(&self, stream: tokio::io::DuplexStream, parts: Parts) -> Result<(), Refusal> {
        self.guard.check_origin(&parts)?;
        let admitted = self.count_client(parts, Transport::Websocket, false)?;
        self.serve(Carrier::Memory(stream), &[], admitted, None);
        Ok(())
    }
}

/// The bare stream below an upgraded connection, if available, and the bytes already read from it.
fn bare(upgraded: Upgraded) -> (Carrier, Vec<u8>) {
    let upgraded = match upgraded.downcast::<TokioIo<AcceptedStream>>() {
        Ok(bare) => return (Carrier::Tcp(bare.io.into_inner().upgraded()), bare.read_buf.to_vec()),
        Err(upgraded) => upgraded,
    };
    match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(bare) => (Carrier::Tcp(bare.io.into_inner().into()), bare.read_buf.to_vec()),
        Err(upgraded) => (Carrier::Upgraded(TokioIo::new(upgraded)), Vec::new()),
    }
}

/// Answers the client's ping over its WebSocket, waits for it to switch, and replaces the polling session by the
/// WebSocket.
async fn try_websocket(mut carrier: Carrier, mut read: Bytes, probe: Probe) -> io::Result<()> {
    expect_packet(&mut carrier, &mut read, b"2probe").await?;
    let mut answer = BytesMut::new();
    push_frame(&mut answer, TEXT, None, b"3probe");
    carrier.write_all(&answer).await?;
    carrier.flush().await?;
    probe.answered();
    expect_packet(&mut carrier, &mut read, b"5").await?;
    if !probe.upgrade(carrier, read) {
        return Err(io::Error::new(io::ErrorKind::NotConnected, "the session has ended"));
    }
    Ok(())
}

/// Reads exactly one frame, which has to be this packet.
async fn expect_packet(carrier: &mut Carrier, read: &mut Bytes, packet: &[u8]) -> io::Result<()> {
    let mut head = [0; 6];
    read_exact(carrier, read, &mut head).await?;
    // A whole text message, masked, of that length.
    let expected = [0x80 | TEXT, 0x80 | u8::try_from(packet.len()).unwrap_or(u8::MAX)];
    let mut payload = vec![0; packet.len()];
    if head[..2] == expected {
        read_exact(carrier, read, &mut payload).await?;
        payload.iter_mut().zip(head[2..].iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    }
    if payload != packet {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not the packet that comes next in an upgrade"));
    }
    Ok(())
}

/// Reads from what was read ahead, then from the stream.
async fn read_exact(carrier: &mut Carrier, read: &mut Bytes, into: &mut [u8]) -> io::Result<()> {
    let ahead = read.split_to(read.len().min(into.len()));
    into[..ahead.len()].copy_from_slice(&ahead);
    carrier.read_exact(&mut into[ahead.len()..]).await.map(|_| ())
}
