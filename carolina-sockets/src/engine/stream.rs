use std::{
    cell::RefCell,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
#[cfg(any(test, feature = "testing"))]
use tokio::io::DuplexStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep, sleep_until},
};

use super::{
    DisconnectReason,
    blocked::Blocked,
    client::{ClientConnection, PacketKind},
    frames::{Frame, Frames, PREFIX_LENGTH, Seen, TEXT, push_frame},
    joins::CALL_TIME,
    polling::PollingSession,
    rejoin::{Rejoin, joined},
    sessions::Sessions,
};
use crate::{
    guard::{AcceptedStream, Permit},
    telemetry::{Cause, refused},
};

/// The transport below a client's stream.
pub(super) enum Carrier {
    /// HTTP requests, until the client upgrades.
    Polling(Arc<PollingSession>),
    /// The bare stream below a WebSocket.
    Tcp(AcceptedStream),
    /// hyper's upgraded connection, if the bare stream is not available.
    Upgraded(TokioIo<Upgraded>),
    /// A client in this process.
    #[cfg(any(test, feature = "testing"))]
    Memory(DuplexStream),
}

/// The stream over which the engine speaks WebSocket, with any transport below. It ends when `close_transport` is
/// called: socketioxide cannot close a connection whose buffers are full, but it does close one whose stream has ended.
///
/// - When a polling client upgrades, its WebSocket takes the place of the [`PollingSession`], between two frames.
/// - Incoming frames are inspected to detect a client that rejoins a channel; see [`super::rejoin`].
/// - The engine pings at once after opening. That first ping is answered here, so that the client gets its first ping
///   after the interval.
/// - A CONNECT that the engine would ignore is held back, or given to it again; see [`super::joins`].
/// - After the answer to a CONNECT, nothing is written for [`ANSWER_GAP`].
/// - It reads large chunks, whatever the caller's buffer size: WebSocket connections keep small buffers to save memory,
///   and a system call for each of those would cost more than handling the events.
/// - A write that makes no progress for `transport.ping_interval` and `ping_timeout` ends the connection: otherwise a
///   client that reads nothing would block the writer, and keep its queue, indefinitely.
pub(super) struct ClientStream {
    carrier: Carrier,
    client: Arc<ClientConnection>,
    frames: Frames,
    rejoin: Arc<Rejoin>,
    blocked: Arc<Blocked>,
    /// What was read and has not been asked for yet. Empty, it has no memory of its own.
    read_ahead: Bytes,
    /// Bytes to write before anything else. Empty except right after an upgrade.
    write_ahead: Bytes,
    first_ping: FirstPing,
    /// Bytes read since the reader last yielded.
    since_yield: usize,
    /// Holds back what was read, as it has a CONNECT too soon after an answer.
    held: Option<Pin<Box<Sleep>>>,
    /// When to look for packets that the engine has ignored.
    recheck: Option<Pin<Box<Sleep>>>,
    written: Written,
    /// Suspends reading after too many refused events.
    backoff: Option<Pin<Box<Sleep>>>,
    /// The deadline of a write that makes no progress.
    stalled: Option<Pin<Box<Sleep>>>,
    stall_timeout: Duration,
    /// The map that holds its polling session, and the token there.
    listed: Option<(Arc<Sessions>, String)>,
    /// Counts the connection until it is dropped.
    _permit: Permit,
}

/// The ping that the engine sends at once after opening.
enum FirstPing {
    /// It is still to come; with the number of bytes left of the frame being written.
    Expected {
        left: usize,
    },
    /// It was removed, and its answer is to be read at the next frame boundary.
    Taken,
    Done,
}

/// What has been written to the client.
#[derive(Default)]
struct Written {
    /// The last write ended within a frame.
    is_within_frame: bool,
    /// How many of the client's CONNECT packets have no answer yet.
    answers_due: usize,
    /// When the last of them was answered.
    answered: Option<Instant>,
    /// The end of the gap after that.
    gap: Option<Pin<Box<Sleep>>>,
}

/// Clients that take one message at a time, such as the protocol's test suites, lose what arrives in the same read as the
/// answer to their CONNECT. So the first event comes this much later, if the server sends it at once.
const ANSWER_GAP: Duration = Duration::from_millis(5);

/// How much is read at once.
const CHUNK: usize = 32 * 1024;

/// After this many bytes the reader yields: a client that sends continuously must not monopolize a thread, and the
/// writer has to run before answers fill the buffer. Large enough that answers are written in batches.
const YIELD_AFTER: usize = 64 * 1024;

/// What each frame counts in addition to its bytes.
const FRAME_COST: usize = 512;

/// How long a channel's path may be.
const MOST_PATH: usize = PREFIX_LENGTH - 3;

/// How long a client that joins and leaves too often is not read from, at most, for what it sent at once.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A ping as the engine writes it.
const PING: &[u8] = &[0x81, 1, b'2'];

/// A pong as a client sends it, masked by zeros.
const PONG: &[u8] = &[0x81, 0x81, 0, 0, 0, 0, b'3'];

thread_local! {
    /// The read buffer, shared by all connections of a thread, as it holds no data between reads.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK].into_boxed_slice());
}

/// The parts of a [`ClientStream`], apart from the transport.
pub(super) struct Connected {
    pub(super) client: Arc<ClientConnection>,
    pub(super) rejoin: Arc<Rejoin>,
    pub(super) blocked: Arc<Blocked>,
    pub(super) permit: Permit,
    /// How long a write may make no progress.
    pub(super) stall_timeout: Duration,
    /// Whether the engine pings the client: in Engine.IO 3 the client does.
    pub(super) is_pinged: bool,
    pub(super) listed: Option<(Arc<Sessions>, String)>,
}

impl ClientStream {
    /// `read` has the bytes already read from the stream.
    pub(super) fn new(carrier: Carrier, read: &[u8], connected: Connected) -> Self {
        let Connected { client, rejoin, blocked, permit, stall_timeout, is_pinged, listed } = connected;
        let mut this = Self {
            carrier,
            client,
            frames: Frames::default(),
            rejoin,
            blocked,
            // A copy: even an empty slice would keep the buffer it is from, 8 KB, as long as the connection lives.
            read_ahead: Bytes::copy_from_slice(read),
            write_ahead: Bytes::new(),
            first_ping: if is_pinged { FirstPing::Expected { left: 0 } } else { FirstPing::Done },
            since_yield: 0,
            held: None,
            recheck: None,
            written: Written::default(),
            backoff: None,
            stalled: None,
            stall_timeout,
            listed,
            _permit: permit,
        };
        this.inspect(read);
        this
    }

    /// Looks at what has come in: it is counted, and whoever joins a channel again is noticed.
    fn inspect(&mut self, read: &[u8]) {
        let (client, rejoin) = (&self.client, &self.rejoin);
        let mut pause = Duration::ZERO;
        let (mut connects, mut awaits) = (0, false);
        let begun = self.frames.read(read, |seen| {
            let packet = match seen {
                Seen::Beginning(packet) => packet,
                Seen::Connect(packet) => {
                    connects += 1;
                    if joined(packet).is_some_and(|path| rejoin.has_path(path)) {
                        client.joins.add(packet);
                        awaits = true;
                    }
                    return;
                }
            };
            if let Some(path) = left(packet) {
                client.joins.remove(path);
            }
            let kind = match packet {
                [b'4', b'0' | b'1', path @ ..] => {
                    if !is_short(path) {
                        refused(Cause::InvalidPacket, &format!("a channel's path of more than {MOST_PATH} bytes"));
                        client.close_with(DisconnectReason::InvalidPacket);
                    }
                    PacketKind::Membership
                }
                _ => PacketKind::Other,
            };
            if let Some(wait) = client.admit_packet(kind) {
                pause += wait;
            }
            if let Some(id) = client.id().filter(|_| rejoin.has_any()) {
                rejoin.packet_received(id, packet);
            }
        });
        self.written.answers_due += connects;
        if connects > 0 {
            self.held = client.joins.hold().map(|time| Box::pin(sleep(time)));
        }
        if awaits && self.recheck.is_none() {
            self.recheck = Some(Box::pin(sleep(CALL_TIME)));
        }
        if !pause.is_zero() {
            self.pause_reading(pause.min(LONGEST_PAUSE));
        }
        self.since_yield += read.len() + begun * FRAME_COST;
    }

    /// Reads nothing for so long, or until a pause that has begun is over, whichever is later.
    fn pause_reading(&mut self, time: Duration) {
        let until = Instant::now() + time;
        if self.backoff.as_ref().is_none_or(|backoff| backoff.deadline() < until) {
            self.backoff = Some(Box::pin(sleep_until(until)));
        }
    }

    /// Replaces the polling session by the client's WebSocket after an upgrade.
    fn switch_carrier(&mut self) {
        let Carrier::Polling(session) = &self.carrier else { return };
        let Some(upgraded) = session.take_upgrade() else { return };
        self.carrier = upgraded.carrier;
        self.write_ahead = upgraded.outgoing;
        self.client.set_websocket();
        if let Some((sessions, token)) = &self.listed {
            sessions.set_upgraded(token);
        }
        if !upgraded.incoming.is_empty() {
            self.inspect(&upgraded.incoming);
            self.read_ahead = [&self.read_ahead[..], &upgraded.incoming[..]].concat().into();
        }
    }

    fn poll_carrier_read(&mut self, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.carrier {
            Carrier::Polling(session) => session.poll_read(context, into).map(Ok),
            Carrier::Tcp(stream) => Pin::new(stream).poll_read(context, into),
            Carrier::Upgraded(stream) => Pin::new(stream).poll_read(context, into),
            #[cfg(any(test, feature = "testing"))]
            Carrier::Memory(stream) => Pin::new(stream).poll_read(context, into),
        }
    }

    fn poll_carrier_write(&mut self, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.carrier {
            Carrier::Polling(session) => session.poll_write(context, data),
            Carrier::Tcp(stream) => Pin::new(stream).poll_write(context, data),
            Carrier::Upgraded(stream) => Pin::new(stream).poll_write(context, data),
            #[cfg(any(test, feature = "testing"))]
            Carrier::Memory(stream) => Pin::new(stream).poll_write(context, data),
        }
    }

    fn poll_chunk(&mut self, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> io::Result<Poll<()>> {
        if let Some(backoff) = &mut self.backoff {
            if backoff.as_mut().poll(context).is_pending() {
                return Ok(Poll::Pending);
            }
            self.backoff = None;
        }
        if let Some(held) = &mut self.held {
            if held.as_mut().poll(context).is_pending() {
                return Ok(Poll::Pending);
            }
            // A connect handler may still run.
            self.held = self.client.joins.hold().map(|time| Box::pin(sleep(time)));
            if self.held.is_some() {
                context.waker().wake_by_ref();
                return Ok(Poll::Pending);
            }
        }
        // The reader writes as well: after an upgrade the engine may have nothing to write for a while.
        if let Poll::Ready(written) = self.poll_write_ahead(context) {
            written?;
        }
        if self.read_ahead.is_empty() && matches!(self.first_ping, FirstPing::Taken) && self.frames.is_at_boundary() {
            self.first_ping = FirstPing::Done;
            self.read_ahead = Bytes::from_static(PONG);
        }
        self.poll_recheck(context);
        if !self.read_ahead.is_empty() {
            let length = self.read_ahead.len().min(into.remaining());
            into.put_slice(&self.read_ahead[..length]);
            self.read_ahead.advance(length);
            if self.read_ahead.is_empty() {
                self.read_ahead = Bytes::new();
            }
            return Ok(Poll::Ready(()));
        }
        if self.since_yield >= YIELD_AFTER {
            self.since_yield = 0;
            context.waker().wake_by_ref();
            return Ok(Poll::Pending);
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let mut chunk = ReadBuf::new(scratch);
            match self.poll_carrier_read(context, &mut chunk) {
                Poll::Ready(read) => read?,
                Poll::Pending => {
                    self.since_yield = 0;
                    return Ok(Poll::Pending);
                }
            }
            let read = chunk.filled();
            self.inspect(read);
            if self.held.is_some() {
                self.read_ahead = Bytes::copy_from_slice(read);
                context.waker().wake_by_ref();
                return Ok(Poll::Pending);
            }
            let (now, later) = read.split_at(read.len().min(into.remaining()));
            into.put_slice(now);
            if !later.is_empty() {
                self.read_ahead = Bytes::copy_from_slice(later);
            }
            Ok(Poll::Ready(()))
        })
    }

    /// Has the engine read again what it has ignored.
    fn poll_recheck(&mut self, context: &mut Context<'_>) {
        let Some(recheck) = &mut self.recheck else { return };
        if recheck.as_mut().poll(context).is_pending() || !self.read_ahead.is_empty() || !self.frames.is_at_boundary() {
            return;
        }
        let Some((packets, next)) = self.client.joins.ignored() else {
            self.recheck = None;
            return;
        };
        if !packets.is_empty() {
            let mut again = BytesMut::new();
            for packet in packets {
                push_frame(&mut again, TEXT, Some([0; 4]), &packet);
            }
            self.read_ahead = again.freeze();
        }
        let mut recheck = Box::pin(sleep_until(next));
        // So that it wakes the reader.
        let _ = recheck.as_mut().poll(context);
        self.recheck = Some(recheck);
    }

    /// Whether nothing may be written yet, so soon after an answer to a CONNECT.
    fn is_in_gap(&mut self, context: &mut Context<'_>) -> bool {
        let Some(answered) = self.written.answered else { return false };
        let end = answered + ANSWER_GAP;
        if Instant::now() < end {
            let gap = self.written.gap.get_or_insert_with(|| Box::pin(sleep_until(end)));
            if gap.as_mut().poll(context).is_pending() {
                return true;
            }
        }
        self.written.answered = None;
        self.written.gap = None;
        false
    }

    /// Writes frame by frame as long as a client waits for the answer to a CONNECT.
    fn poll_write_answers(&mut self, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let is_polling = matches!(self.carrier, Carrier::Polling(_));
        let is_due = self.written.answers_due > 0 && !self.written.is_within_frame && !is_polling;
        let frame = if is_due { Frame::first(data) } else { None };
        let until = frame.as_ref().map_or(data.len(), Frame::len);
        let written = ready!(self.poll_carrier_write(context, &data[..until]))?;
        self.written.is_within_frame = written < until;
        if frame.is_some_and(|frame| matches!(frame.payload, [b'4', b'0' | b'4', ..])) && written == until {
            self.written.answers_due -= 1;
            // If there are more, the client does not take one message at a time.
            self.written.answered = (self.written.answers_due == 0).then(Instant::now);
        }
        Poll::Ready(Ok(written))
    }

    /// Writes first what an upgraded client had not fetched.
    fn poll_write_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Carrier::Polling(_) = self.carrier {
            self.switch_carrier();
        }
        if self.write_ahead.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !self.write_ahead.is_empty() {
            let ahead = self.write_ahead.clone();
            match ready!(self.poll_carrier_write(context, &ahead))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.write_ahead.advance(written),
            }
        }
        self.write_ahead = Bytes::new();
        Poll::Ready(Ok(()))
    }

    /// Until the engine's first ping, frames are written one by one, so that it can be removed.
    fn poll_write_opening(&mut self, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let FirstPing::Expected { left } = self.first_ping else { return self.poll_write_answers(context, data) };
        if left == 0 && data.starts_with(PING) {
            self.first_ping = FirstPing::Taken;
            self.client.wake_reader();
            return Poll::Ready(Ok(PING.len()));
        }
        let frame = match left {
            0 => Frame::first(data).map_or(data.len(), |frame| frame.len()),
            left => left.min(data.len()),
        };
        let written = ready!(self.poll_write_answers(context, &data[..frame]))?;
        self.first_ping = FirstPing::Expected { left: frame - written };
        Poll::Ready(Ok(written))
    }

    /// Fails a write that has made no progress for too long.
    fn watch_progress<T>(&mut self, context: &mut Context<'_>, progress: &Poll<io::Result<T>>) -> io::Result<()> {
        if progress.is_ready() {
            if self.stalled.take().is_some() {
                // The reader goes on.
                self.client.wake_reader();
            }
            return Ok(());
        }
        if self.client.block() {
            self.blocked.insert(&self.client);
        }
        // A connection that is cut is not waited for, either.
        let is_alive = self.client.poll_writable(context);
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(self.stall_timeout)));
        if is_alive && stalled.as_mut().poll(context).is_pending() {
            return Ok(());
        }
        self.client.close_transport();
        Err(connection_closed())
    }
}

/// The namespace that a DISCONNECT packet leaves.
fn left(packet: &[u8]) -> Option<&[u8]> {
    match packet.strip_prefix(b"41")? {
        [] => Some(b"/"),
        path => path.split(|byte| matches!(byte, b',' | b'?')).next(),
    }
}

/// Whether the path that a packet begins with, if it begins with one, is at an end here.
fn is_short(path: &[u8]) -> bool {
    path.first() != Some(&b'/') || path.len() <= MOST_PATH || path.iter().any(|byte| matches!(byte, b',' | b'?'))
}

fn connection_closed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the connection has been cut")
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        if let Carrier::Polling(session) = &self.carrier {
            session.end();
        }
        if let Some((sessions, token)) = self.listed.take() {
            sessions.remove(&token);
        }
        self.blocked.remove(&self.client);
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.client.is_alive() {
            return Poll::Ready(Err(connection_closed()));
        }
        if let Some(time) = this.client.backoff() {
            this.pause_reading(time);
        }
        // A client that does not read is not read from: what it sends would only make more to be sent.
        let read = if this.stalled.is_some() { Poll::Pending } else { this.poll_chunk(context, into)? };
        // The waker is registered before the flag is read once more, so that no cut goes unnoticed.
        if read.is_pending() && !this.client.poll_alive(context) {
            return Poll::Ready(Err(connection_closed()));
        }
        read.map(Ok)
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if !this.client.is_alive() {
            return Poll::Ready(Err(connection_closed()));
        }
        if this.is_in_gap(context) {
            return Poll::Pending;
        }
        let written = match this.poll_write_ahead(context) {
            Poll::Ready(Ok(())) => this.poll_write_opening(context, data),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        };
        this.watch_progress(context, &written)?;
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let flushed = match this.poll_write_ahead(context) {
            Poll::Ready(Ok(())) => match &mut this.carrier {
                Carrier::Polling(_) => Poll::Ready(Ok(())),
                Carrier::Tcp(stream) => Pin::new(stream).poll_flush(context),
                Carrier::Upgraded(stream) => Pin::new(stream).poll_flush(context),
                #[cfg(any(test, feature = "testing"))]
                Carrier::Memory(stream) => Pin::new(stream).poll_flush(context),
            },
            other => other,
        };
        this.watch_progress(context, &flushed)?;
        if flushed.is_ready() && this.client.unblock() {
            this.blocked.remove(&this.client);
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.carrier {
            Carrier::Polling(_) => Poll::Ready(Ok(())),
            Carrier::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Carrier::Upgraded(stream) => Pin::new(stream).poll_shutdown(context),
            #[cfg(any(test, feature = "testing"))]
            Carrier::Memory(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;
    use crate::guard::{Connections, Counted};

    fn stream(client: &Arc<ClientConnection>, read: &[u8]) -> (DuplexStream, ClientStream) {
        let (far, near) = duplex(1024 * 1024);
        (far, ClientStream::new(Carrier::Memory(near), read, connected(client)))
    }

    fn connected(client: &Arc<ClientConnection>) -> Connected {
        let Ok(permit) = Connections::new(Counted::Clients, 1, 1).admit(client.address()) else {
            unreachable!("the first of one")
        };
        Connected {
            client: client.clone(),
            rejoin: Arc::new(Rejoin::new(crate::background::Background::new(Default::default()))),
            blocked: Arc::default(),
            permit,
            stall_timeout: Duration::from_secs(45),
            is_pinged: true,
            listed: None,
        }
    }

    #[tokio::test]
    async fn the_first_ping_is_answered_here() {
        let (mut client, mut stream) = stream(&ClientConnection::slow(), &[]);
        let frames = [&[0x81, 2, b'0', b'{'][..], &[0x81, 3, b'4', b'0', b'!'], PING, &[0x81, 1, b'x'], PING].concat();
        stream.write_all(&frames).await.unwrap();
        let mut seen = vec![0; frames.len() - PING.len()];
        client.read_exact(&mut seen).await.unwrap();
        assert_eq!(seen, [&frames[..9], &frames[12..]].concat(), "all but the first ping");
        client.write_all(&[0x81, 0x81, 0, 0, 0, 0]).await.unwrap();
        let mut read = vec![0; PONG.len()];
        stream.read_exact(&mut read).await.unwrap();
        assert_eq!(read, PONG, "before what the client sends");
    }

    #[tokio::test(start_paused = true)]
    async fn r9_a_write_that_makes_no_progress_is_given_up() {
        let connection = ClientConnection::slow();
        let (_client, mut stream) = stream(&connection, &[]);
        let error = stream.write_all(&vec![0; 2 * 1024 * 1024]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        assert!(!connection.is_alive());
    }

    #[tokio::test]
    async fn what_was_read_before_comes_first() {
        let (mut client, mut stream) = stream(&ClientConnection::slow(), b"first ");
        client.write_all(b"second").await.unwrap();
        drop(client);
        let mut all = Vec::new();
        // Small reads, to test that a chunk is larger than the caller's buffer.
        let mut buffer = [0; 4];
        loop {
            match stream.read(&mut buffer).await.unwrap() {
                0 => break,
                length => all.extend_from_slice(&buffer[..length]),
            }
        }
        assert_eq!(all, b"first second");
    }

    #[tokio::test]
    async fn the_reader_yields_while_a_client_sends_without_end() {
        let (mut client, mut stream) = stream(&ClientConnection::slow(), &[]);
        client.write_all(&vec![0; 4 * YIELD_AFTER]).await.unwrap();
        let mut buffer = vec![0; CHUNK];
        let mut read = 0;
        while let Some(length) = stream.read(&mut buffer).now_or_never() {
            read += length.unwrap();
        }
        assert!(read < 4 * YIELD_AFTER, "{read} bytes without a yield");
        assert!(stream.read(&mut buffer).await.unwrap() > 0);
    }

    #[tokio::test(start_paused = true)]
    async fn r14_a_client_with_many_refused_events_is_read_later() {
        let connection = ClientConnection::slow();
        let (mut client, mut stream) = stream(&connection, &[]);
        client.write_all(b"event").await.unwrap();
        while connection.backoff().is_none() {
            let _ = connection.admit_event();
        }
        for _ in 0..100 {
            let _ = connection.admit_event();
        }
        let mut buffer = [0; 5];
        let began = tokio::time::Instant::now();
        assert!(stream.read(&mut buffer).now_or_never().is_none(), "not during the backoff");
        stream.read_exact(&mut buffer).await.unwrap();
        assert!(began.elapsed() > std::time::Duration::ZERO, "but when it is over");
        assert_eq!(&buffer, b"event");
    }

    #[tokio::test]
    async fn a_cut_is_noticed_while_nothing_comes() {
        let connection = ClientConnection::slow();
        let (_client, mut stream) = stream(&connection, &[]);
        let reading = tokio::spawn(async move { stream.read(&mut [0]).await });
        tokio::task::yield_now().await;
        assert!(connection.close_transport());
        assert_eq!(reading.await.unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
