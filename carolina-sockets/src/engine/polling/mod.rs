//! A client's session while it polls.
//!
//! The engine only ever sees WebSockets: what a client posts becomes the frames that it would have sent, and the frames
//! that the engine writes wait here until the client fetches them. So packets take the same path with both transports;
//! when the client upgrades, its WebSocket replaces this session below the same stream.

mod body;
mod packets;

use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::{io::ReadBuf, sync::Notify, time::Instant};

use super::{
    DisconnectReason,
    carrier::Carrier,
    client::ClientConnection,
    frames::{BINARY, Frame, TEXT, push_frame},
};
pub(super) use body::PostedBody;
#[cfg(test)]
pub(super) use packets::frames;
use packets::{CLOSE_FRAME, Outgoing, SEPARATOR, legacy};

/// How many bytes may wait to be fetched before the engine has to wait. The engine's own queue has a separate limit.
const MOST_OUTGOING: usize = 64 * 1024;

/// While a WebSocket is being tried, a poll that has nothing to fetch ends after this, so that the client can stop polling.
const PROBE_POLL: Duration = Duration::from_millis(100);

/// The same once the WebSocket has been answered: if the client has switched without waiting for the answer, the poll is
/// refused in place of answered.
const SWITCH_POLL: Duration = Duration::from_millis(20);

/// How long a body that ends the session waits for a poll that the client sent at the same time.
const CLOSING_POLL: Duration = Duration::from_millis(20);

/// A polling client, between its requests and the stream that the engine reads.
pub(super) struct PollingSession {
    client: Arc<ClientConnection>,
    /// Engine.IO 3 in place of 4.
    legacy: bool,
    /// How long the client may send nothing: it answers every ping.
    silence: Option<Duration>,
    state: Mutex<State>,
    /// Notified when there is something to fetch, or the session has ended or upgraded. Only one request waits at a
    /// time.
    fetchable: Notify,
    /// Notified when the engine has read what was posted, or the session has ended.
    consumed: Notify,
    /// Notified when a poll begins to wait.
    poll_began: Notify,
    /// One body is read at a time.
    pub(super) posting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// Frames that the engine has not read yet.
    incoming: BytesMut,
    /// Messages that the client has not fetched yet.
    outgoing: VecDeque<Outgoing>,
    outgoing_bytes: usize,
    /// A poll waits for something to fetch.
    has_poll: bool,
    /// A WebSocket is being tried.
    is_probed: bool,
    upgrade: Upgrade,
    /// When the client last posted, or opened the session.
    heard: Option<Instant>,
    /// The client has ended the session.
    is_closing: bool,
    has_ended: bool,
}

#[derive(Default)]
enum Upgrade {
    #[default]
    None,
    /// The upgraded WebSocket, with the bytes already read from it, until the stream takes it.
    Ready(Carrier, Bytes),
    Done,
}

/// What a stream takes over when its client has upgraded.
pub(super) struct Upgraded {
    pub(super) carrier: Carrier,
    /// Frames that the engine has not read yet.
    pub(super) incoming: Bytes,
    /// Frames that the client has not fetched.
    pub(super) outgoing: Bytes,
}

/// Why a poll returns no packets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PollError {
    /// Another poll was waiting, so the session has been closed.
    Overlap,
    /// The client has upgraded.
    Upgraded,
    /// The session has ended.
    Ended,
}

/// Why a body is not accepted; the first reason also closes the session.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PostError {
    Invalid,
    Upgraded,
    Ended,
}

impl PollingSession {
    pub(super) fn new(client: Arc<ClientConnection>, legacy: bool, silence: Option<Duration>) -> Self {
        Self {
            client,
            legacy,
            silence,
            state: Mutex::new(State { heard: Some(Instant::now()), ..State::default() }),
            fetchable: Notify::new(),
            consumed: Notify::new(),
            poll_began: Notify::new(),
            posting: tokio::sync::Mutex::default(),
        }
    }

    /// Whether the client has not fetched all that it was sent.
    #[cfg(feature = "serve")]
    pub(super) fn has_unfetched(&self) -> bool {
        !self.state.lock().outgoing.is_empty()
    }

    /// Engine.IO 3 in place of 4.
    pub(super) fn is_legacy(&self) -> bool {
        self.legacy
    }

    /// The client's address.
    pub(super) fn address(&self) -> std::net::IpAddr {
        self.client.address()
    }

    /// Closes the session.
    pub(super) fn close_with(&self, reason: DisconnectReason) {
        self.client.close_with(reason);
    }

    // What the client's requests do.

    /// Waits for packets to fetch, and returns a body of at most about `most` bytes.
    pub(super) async fn fetch(&self, most: usize) -> Result<Vec<u8>, PollError> {
        let (_waiting, began_probed) = self.begin_poll()?;
        let mut until = Instant::now() + PROBE_POLL;
        loop {
            let is_probed = {
                let mut state = self.state.lock();
                let body = self.take_body(&mut state, most);
                if !body.is_empty() {
                    self.client.wake_writer();
                    return Ok(body);
                }
                let is_upgraded = !matches!(state.upgrade, Upgrade::None);
                if is_upgraded && !state.has_ended && began_probed {
                    // The client had opened its WebSocket and did not wait for this poll before it switched.
                    return Err(PollError::Upgraded);
                }
                if state.has_ended && !state.is_closing {
                    return Ok(Outgoing::CLOSE.encode(self.legacy));
                }
                if is_upgraded || (state.is_probed && until <= Instant::now()) {
                    return Ok(Outgoing::NOOP.encode(self.legacy));
                }
                state.is_probed
            };
            if is_probed {
                if tokio::time::timeout_at(until, self.fetchable.notified()).await.is_ok() {
                    until = until.min(Instant::now() + SWITCH_POLL);
                }
            } else {
                self.fetchable.notified().await;
                // If the client waits for this poll, to switch, it need not wait longer.
                until = Instant::now();
            }
        }
    }

    /// Also tells whether a WebSocket is being tried.
    fn begin_poll(&self) -> Result<(WaitingPoll<'_>, bool), PollError> {
        let mut state = self.state.lock();
        if state.has_ended && (state.outgoing.is_empty() || state.has_poll) {
            return Err(PollError::Ended);
        }
        if !state.has_ended && !matches!(state.upgrade, Upgrade::None) {
            return Err(PollError::Upgraded);
        }
        if self.is_silent(&state) {
            // The engine's timer is due as well. It may be late, the client must not be.
            drop(state);
            self.client.close_with(DisconnectReason::HeartbeatTimeout);
            return Err(PollError::Ended);
        }
        if state.has_poll {
            // The other request answers with a close packet.
            push_outgoing(&mut state, Outgoing::CLOSE);
            drop(state);
            self.client.close_with(DisconnectReason::MultipleHttpPolling);
            self.fetchable.notify_one();
            return Err(PollError::Overlap);
        }
        state.has_poll = true;
        self.poll_began.notify_waiters();
        Ok((WaitingPoll(self), state.is_probed))
    }

    fn is_silent(&self, state: &State) -> bool {
        self.silence.zip(state.heard).is_some_and(|(silence, heard)| heard.elapsed() >= silence)
    }

    fn take_body(&self, state: &mut State, most: usize) -> Vec<u8> {
        let mut body = Vec::new();
        while let Some(next) = state.outgoing.front() {
            // Official clients deliver messages a tick later than they close: a packet that closes the session comes alone.
            if !body.is_empty() && (next.is_close() || body.len() + next.encoded_len() >= most) {
                break;
            }
            if !body.is_empty() && !self.legacy {
                body.push(SEPARATOR);
            }
            body.extend(next.encode(self.legacy));
            state.outgoing_bytes -= next.len();
            state.outgoing.pop_front();
        }
        body
    }

    /// Passes a body's packets on to the engine, and returns when it has read them.
    pub(super) async fn post(&self, body: Bytes, content_type: Option<&http::HeaderValue>) -> Result<(), PostError> {
        let is_last = !self.legacy && body.split(|byte| *byte == SEPARATOR).next_back() == Some(b"1");
        let frames = if self.legacy { legacy::frames(body, content_type).await } else { packets::frames(&body) };
        let Some(frames) = frames else {
            self.client.close_with(DisconnectReason::InvalidPacket);
            return Err(PostError::Invalid);
        };
        let is_closing = is_last || self.legacy && frames.ends_with(CLOSE_FRAME);
        // What an earlier request left, should its client have dropped it, is read first: there is never more than one body.
        self.wait_until_read().await;
        if is_closing {
            // So that the poll, which may have been overtaken, is answered in place of refused.
            let poll_began = self.poll_began.notified();
            if !self.state.lock().has_poll {
                let _ = tokio::time::timeout(CLOSING_POLL, poll_began).await;
            }
        }
        {
            let mut state = self.state.lock();
            if state.has_ended {
                return Err(PostError::Ended);
            }
            if !matches!(state.upgrade, Upgrade::None) {
                return Err(PostError::Upgraded);
            }
            state.heard = Some(Instant::now());
            state.is_closing |= is_closing;
            state.incoming.extend_from_slice(&frames);
        }
        self.client.wake_reader();
        self.wait_until_read().await;
        Ok(())
    }

    /// Waits until the engine has read what was posted.
    async fn wait_until_read(&self) {
        loop {
            let consumed = self.consumed.notified();
            {
                let state = self.state.lock();
                // Once upgraded, the stream has taken what was left.
                if state.incoming.is_empty() || state.has_ended || !matches!(state.upgrade, Upgrade::None) {
                    return;
                }
            }
            consumed.await;
        }
    }

    /// Begins an upgrade, one at a time. If the guard is dropped, the client continues polling.
    pub(super) fn begin_probe(self: &Arc<Self>) -> Option<Probe> {
        let mut state = self.state.lock();
        if state.is_probed || state.has_ended || !matches!(state.upgrade, Upgrade::None) {
            return None;
        }
        state.is_probed = true;
        Some(Probe(self.clone()))
    }

    // What the stream above does.

    pub(super) fn poll_read(&self, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.incoming.is_empty() {
            // The waker is registered under the lock under which frames are added.
            self.client.poll_alive(context);
            return Poll::Pending;
        }
        let length = state.incoming.len().min(into.remaining());
        into.put_slice(&state.incoming[..length]);
        state.incoming.advance(length);
        if state.incoming.is_empty() {
            state.incoming = BytesMut::new();
            self.consumed.notify_waiters();
        }
        Poll::Ready(())
    }

    /// Takes whole frames, as the engine writes them.
    pub(super) fn poll_write(&self, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.state.lock();
        if state.outgoing_bytes >= MOST_OUTGOING {
            self.client.poll_writable(context);
            return Poll::Pending;
        }
        let mut taken = 0;
        while let Some(frame) = Frame::first(&data[taken..]) {
            taken += frame.len();
            match frame.opcode {
                // The answer to the request that opened the session has told what the engine's open packet does.
                TEXT if frame.payload.first() == Some(&b'0') => {}
                TEXT => push_outgoing(&mut state, Outgoing::Text(Bytes::copy_from_slice(frame.payload))),
                BINARY => push_outgoing(&mut state, Outgoing::Binary(Bytes::copy_from_slice(frame.payload))),
                _ => {}
            }
        }
        self.fetchable.notify_one();
        if taken == 0 {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "part of a frame")));
        }
        Poll::Ready(Ok(taken))
    }

    /// The WebSocket that replaces the session after an upgrade. Returned once.
    pub(super) fn take_upgrade(&self) -> Option<Upgraded> {
        let mut state = self.state.lock();
        if !matches!(state.upgrade, Upgrade::Ready(..)) {
            return None;
        }
        let Upgrade::Ready(carrier, read) = std::mem::replace(&mut state.upgrade, Upgrade::Done) else { return None };
        let mut outgoing = BytesMut::new();
        for message in state.outgoing.drain(..) {
            match message {
                Outgoing::Text(text) => push_frame(&mut outgoing, TEXT, None, &text),
                Outgoing::Binary(data) => push_frame(&mut outgoing, BINARY, None, &data),
            }
        }
        state.outgoing_bytes = 0;
        state.incoming.extend_from_slice(&read);
        let incoming = std::mem::take(&mut state.incoming).freeze();
        drop(state);
        self.consumed.notify_waiters();
        Some(Upgraded { carrier, incoming, outgoing: outgoing.freeze() })
    }

    /// The stream above has been dropped. `true` when the client may still fetch what was written before, and then a packet
    /// that closes the session.
    pub(super) fn end(&self) -> bool {
        use DisconnectReason::{HeartbeatTimeout, InvalidPacket, MultipleHttpPolling};
        let mut state = self.state.lock();
        state.has_ended = true;
        state.incoming = BytesMut::new();
        let is_client_s =
            matches!(self.client.close_reason(), Some(HeartbeatTimeout | InvalidPacket | MultipleHttpPolling));
        let lingers = !state.is_closing
            && !is_client_s
            && !self.is_silent(&state)
            && matches!(state.upgrade, Upgrade::None)
            && state.outgoing.iter().any(Outgoing::is_message);
        state.upgrade = Upgrade::Done;
        if lingers {
            // The engine has written it if it closed the session in order.
            if !state.outgoing.back().is_some_and(Outgoing::is_close) {
                push_outgoing(&mut state, Outgoing::CLOSE);
            }
        } else if !state.has_poll {
            state.outgoing.clear();
        }
        drop(state);
        self.fetchable.notify_one();
        self.consumed.notify_waiters();
        lingers
    }
}

fn push_outgoing(state: &mut State, message: Outgoing) {
    state.outgoing_bytes += message.len();
    state.outgoing.push_back(message);
}

/// A poll that waits for packets.
struct WaitingPoll<'a>(&'a PollingSession);

impl Drop for WaitingPoll<'_> {
    fn drop(&mut self) {
        self.0.state.lock().has_poll = false;
    }
}

/// A WebSocket that is being tried.
pub(super) struct Probe(Arc<PollingSession>);

impl Probe {
    /// The client has got an answer over the WebSocket: a poll that waits ends soon, so that the client can switch.
    pub(super) fn answered(&self) {
        self.0.fetchable.notify_one();
    }

    /// The client has switched. `false` when the session has ended meanwhile.
    pub(super) fn upgrade(self, carrier: Carrier, read: Bytes) -> bool {
        let session = &self.0;
        {
            let mut state = session.state.lock();
            if state.has_ended {
                return false;
            }
            state.upgrade = Upgrade::Ready(carrier, read);
        }
        session.fetchable.notify_one();
        session.client.wake_reader();
        session.client.wake_writer();
        true
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.state.lock().is_probed = false;
    }
}
