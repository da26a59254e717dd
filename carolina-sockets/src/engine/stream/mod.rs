//! The stream over which the engine speaks WebSocket.

mod answers;
mod closing;
mod inspect;
mod opening;
mod pauses;

use std::{
    cell::Cell,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::{
    blocked::Blocked,
    carrier::Carrier,
    client::ClientConnection,
    frames::{Frame, TEXT, push_frame},
    incoming::Incoming,
    rejoin::Rejoin,
    sessions::Sessions,
    translate::{Outgoing, Translated, Translator},
};
use crate::{
    guard::{Permit, Turn, Turns},
    telemetry::{histogram, traffic},
};
use answers::Writer;
use closing::Closing;
use opening::{FirstPing, PING, PONG};
use pauses::Pauses;

/// The stream over which the engine speaks WebSocket, with any transport below. It ends when `close_transport` is
/// called: socketioxide cannot close a connection whose buffers are full, but it does close one whose stream has ended.
///
/// - When a polling client upgrades, its WebSocket takes the place of the [polling session](super::polling), between two
///   frames.
/// - Incoming frames are inspected to detect a client that rejoins a channel; see [`super::rejoin`]. What exceeds a limit is
///   kept from the engine; see [`super::excess`].
/// - The engine pings at once after opening. That first ping is answered here; see [`opening`].
/// - A CONNECT that the engine would ignore is held back, or given to it again; see [`super::joins`].
/// - After the answer to a CONNECT, nothing is written for a moment; see [`answers`].
/// - It reads large chunks, whatever the caller's buffer size: WebSocket connections keep small buffers to save memory,
///   and a system call for each of those would cost more than handling the events.
/// - A write that makes no progress for `transport.ping_interval` and `ping_timeout` ends the connection: otherwise a
///   client that reads nothing would block the writer, and keep its queue, indefinitely.
pub(super) struct ClientStream {
    carrier: Carrier,
    client: Arc<ClientConnection>,
    incoming: Incoming,
    rejoin: Arc<Rejoin>,
    blocked: Arc<Blocked>,
    /// Rewrites packets of channels with parameters; `None` if the service has none.
    translator: Option<Box<Translator>>,
    /// What was read and has not been asked for yet. Empty, it has no memory of its own.
    read_ahead: Bytes,
    /// Bytes to write before anything else, and to flush. `None` except right after an upgrade.
    write_ahead: Option<Bytes>,
    first_ping: FirstPing,
    /// Bytes read since the client had its last turn, and more for each packet.
    since_turn: usize,
    /// How much is read at once.
    chunk: usize,
    turns: Turns,
    /// What it waits for, having sent much, or something that costs much.
    turn: Option<Turn>,
    /// How the connection has ended. The engine learns it at the client's turn: many that end at once must not delay those
    /// who stay.
    ended: Option<io::Result<()>>,
    pauses: Pauses,
    writer: Writer,
    /// Set when the client is told why its connection ends.
    closing: Option<Box<Closing>>,
    /// The deadline of a write that makes no progress.
    stalled: Option<Pin<Box<Sleep>>>,
    stall_timeout: Duration,
    /// The map that holds its polling session, and the token there.
    listed: Option<(Arc<Sessions>, String)>,
    /// When the ping was written that the client has not answered, if that is measured.
    pinged: Option<Instant>,
    /// Counts the connection until it is dropped.
    _permit: Permit,
}

/// How much is read at once.
const CHUNK: usize = 32 * 1024;

/// How much is read as long as a client sends many packets at once: they cost more than their bytes.
const SMALL_CHUNK: usize = 4 * 1024;

/// How much is read at first, and as long as a client joins channels, which costs most.
const SMALLEST_CHUNK: usize = 512;

/// After this many bytes, and what packets cost beside, the reader waits for its next [turn](crate::guard::Turns): a client
/// that sends continuously must not monopolize a thread, and the writer has to run before answers fill the buffer. Large
/// enough that answers are written in batches.
const TURN: usize = 64 * 1024;

/// A client that has sent less than this, and nothing more for now, begins anew.
const LITTLE: usize = 16 * 1024;

thread_local! {
    /// The read buffer, shared by all connections of a thread, as it holds no data between reads.
    static SCRATCH: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// The parts of a [`ClientStream`], apart from the transport.
pub(super) struct Connected {
    pub(super) client: Arc<ClientConnection>,
    pub(super) rejoin: Arc<Rejoin>,
    pub(super) blocked: Arc<Blocked>,
    pub(super) turns: Turns,
    pub(super) translator: Option<Box<Translator>>,
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
        let Connected { client, rejoin, blocked, turns, translator, permit, stall_timeout, is_pinged, listed } =
            connected;
        let mut this = Self {
            carrier,
            incoming: Incoming::new(client.message_limits()),
            client,
            rejoin,
            blocked,
            translator,
            read_ahead: Bytes::new(),
            write_ahead: None,
            first_ping: if is_pinged { FirstPing::Expected { left: 0 } } else { FirstPing::Done },
            // Many that come at once and send much take turns early.
            since_turn: TURN - LITTLE,
            chunk: SMALLEST_CHUNK,
            turns,
            turn: None,
            ended: None,
            pauses: Pauses::default(),
            writer: Writer::default(),
            closing: None,
            stalled: None,
            stall_timeout,
            listed,
            pinged: None,
            _permit: permit,
        };
        traffic::opened();
        if !read.is_empty() {
            this.read_ahead(read);
        }
        this
    }

    /// Keeps what has come in for the engine to read later.
    fn read_ahead(&mut self, read: &[u8]) {
        let replaced = self.inspect(read);
        let read = replaced.as_deref().unwrap_or(read);
        let translated = self.translate(read, false);
        let read = translated.of(read);
        // A copy: even an empty slice would keep the buffer it is from, 8 KB, as long as the connection lives.
        self.read_ahead = Bytes::from([&self.read_ahead[..], read].concat());
    }

    /// Rewrites what the engine is to read. `is_idle` when it has read and handled whatever came before.
    fn translate(&mut self, read: &[u8], is_idle: bool) -> Translated {
        match &mut self.translator {
            None => Translated::From(0),
            Some(translator) => translator.read(&self.client, read, is_idle),
        }
    }

    /// Whether to wait for the namespace of a template, which the client is about to join.
    fn poll_translator(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.read_ahead.is_empty()
            && let Some(translator) = self.translator.as_mut().filter(|translator| translator.is_waiting())
        {
            // Registered before it is looked for, so that no wake is missed.
            self.client.poll_alive(context);
            match translator.poll_joined(&self.client) {
                Some(translated) => self.read_ahead = translated,
                None => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }

    /// Replaces the polling session by the client's WebSocket after an upgrade.
    fn switch_carrier(&mut self) {
        let Carrier::Polling(session) = &self.carrier else { return };
        let Some(upgraded) = session.take_upgrade() else { return };
        self.carrier = upgraded.carrier;
        let ahead = [&upgraded.outgoing[..], self.write_ahead.as_deref().unwrap_or_default()].concat();
        self.write_ahead = Some(Bytes::from(ahead)).filter(|ahead| !ahead.is_empty());
        self.client.set_websocket();
        if let Some((sessions, token)) = &self.listed {
            sessions.set_upgraded(token);
        }
        if !upgraded.incoming.is_empty() {
            self.read_ahead(&upgraded.incoming);
        }
    }

    fn poll_chunk(&mut self, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> io::Result<Poll<()>> {
        if self.pauses.is_pausing(&self.client.joins, context) {
            return Ok(Poll::Pending);
        }
        // The reader writes as well: after an upgrade the engine may have nothing to write for a while.
        if let Poll::Ready(written) = self.poll_write_ahead(context) {
            written?;
        }
        loop {
            if self.closing.is_some() {
                return self.poll_closing(context);
            }
            if self.poll_translator(context).is_pending() {
                return Ok(Poll::Pending);
            }
            if self.read_ahead.is_empty() && self.incoming.is_at_boundary() {
                if self.first_ping.take_pong() {
                    self.read_ahead = Bytes::from_static(PONG);
                } else {
                    self.read_ignored(context);
                }
            }
            if self.since_turn >= TURN {
                self.since_turn = 0;
                self.turn = Some(self.turns.next());
            }
            if let Some(turn) = &mut self.turn {
                if Pin::new(turn).poll(context).is_pending() {
                    return Ok(Poll::Pending);
                }
                self.turn = None;
            }
            if let Some(ended) = self.ended.take() {
                return ended.map(Poll::Ready);
            }
            if !self.read_ahead.is_empty() {
                let length = self.read_ahead.len().min(into.remaining());
                into.put_slice(&self.read_ahead[..length]);
                self.read_ahead.advance(length);
                if self.read_ahead.is_empty() {
                    self.read_ahead = Bytes::new();
                }
                return Ok(Poll::Ready(()));
            }
            // Taken, as handlers may run meanwhile.
            let mut scratch = SCRATCH.take().unwrap_or_else(|| vec![0; CHUNK].into_boxed_slice());
            let read = self.poll_read_chunk(context, &mut scratch, into);
            SCRATCH.set(Some(scratch));
            if let Some(read) = read? {
                return Ok(read);
            }
        }
    }

    /// Reads from the transport. `None` when the engine gets none of it, or not yet.
    fn poll_read_chunk(
        &mut self,
        context: &mut Context<'_>,
        scratch: &mut [u8],
        into: &mut ReadBuf<'_>,
    ) -> io::Result<Option<Poll<()>>> {
        let mut chunk = ReadBuf::new(&mut scratch[..self.chunk]);
        let result = match Pin::new(&mut self.carrier).poll_read(context, &mut chunk) {
            Poll::Pending => {
                if self.since_turn < LITTLE {
                    self.since_turn = 0;
                }
                return Ok(Some(Poll::Pending));
            }
            Poll::Ready(result) => result,
        };
        let read = chunk.filled();
        if result.is_err() || read.is_empty() {
            self.ended = Some(result);
            self.turn = Some(self.turns.next());
            return Ok(None);
        }
        histogram::received(read.len());
        let awaits_attachments = self.incoming.awaits_attachments();
        let replaced = self.inspect(read);
        let read = replaced.as_deref().unwrap_or(read);
        let is_held = self.pauses.is_held() || self.turn.is_some();
        // The engine reads on when it has handled what it was given.
        let read = match self.translate(read, !is_held && !awaits_attachments) {
            // The writer runs before more is read.
            Translated::From(at) if at > 0 && at == read.len() => {
                context.waker().wake_by_ref();
                return Ok(Some(Poll::Pending));
            }
            Translated::From(at) => &read[at..],
            Translated::Changed(changed) => {
                self.read_ahead = if changed.is_empty() { Bytes::new() } else { changed.freeze() };
                if is_held {
                    context.waker().wake_by_ref();
                }
                return Ok(is_held.then_some(Poll::Pending));
            }
        };
        if is_held {
            self.read_ahead = Bytes::copy_from_slice(read);
            context.waker().wake_by_ref();
            return Ok(Some(Poll::Pending));
        }
        if read.is_empty() {
            return Ok(None);
        }
        let (now, later) = read.split_at(read.len().min(into.remaining()));
        into.put_slice(now);
        if !later.is_empty() {
            self.read_ahead = Bytes::copy_from_slice(later);
        }
        Ok(Some(Poll::Ready(())))
    }

    /// Has the engine read again what it has ignored.
    fn read_ignored(&mut self, context: &mut Context<'_>) {
        let packets = self.pauses.ignored(&self.client.joins, context);
        if !packets.is_empty() {
            let mut again = BytesMut::new();
            for packet in packets {
                push_frame(&mut again, TEXT, Some([0; 4]), &packet);
            }
            self.read_ahead = again.freeze();
        }
    }

    /// Closes the connection once the client knows why.
    fn poll_closing(&mut self, context: &mut Context<'_>) -> io::Result<Poll<()>> {
        let Some(closing) = &mut self.closing else { return Ok(Poll::Pending) };
        if closing.poll(&mut self.carrier, self.writer.is_at_boundary(), context).is_pending() {
            return Ok(Poll::Pending);
        }
        self.client.close_transport();
        Err(connection_closed())
    }

    /// Writes first what an upgraded client had not fetched.
    fn poll_write_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.carrier.is_polling() {
            self.switch_carrier();
        }
        let Some(ahead) = &mut self.write_ahead else { return Poll::Ready(Ok(())) };
        while !ahead.is_empty() {
            match ready!(Pin::new(&mut self.carrier).poll_write(context, ahead))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => {
                    histogram::sent(written);
                    ahead.advance(written);
                }
            }
        }
        // The engine may have nothing to write and flush for a while.
        ready!(Pin::new(&mut self.carrier).poll_flush(context))?;
        self.write_ahead = None;
        Poll::Ready(Ok(()))
    }

    /// Writes what the engine sends. Once the client is being told why its connection ends, nothing follows.
    fn poll_write_frames(&mut self, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_write_ahead(context))?;
        if self.closing.is_some() && self.writer.is_at_boundary() {
            return Poll::Ready(Ok(data.len()));
        }
        let data = match self.rewrite(data) {
            Rewritten::Same => data,
            Rewritten::Frame(length) => &data[..length],
            Rewritten::Replaced(length, by) => {
                self.write_ahead = by;
                // What is left of it is written before anything else.
                if let Poll::Ready(written) = self.poll_write_ahead(context) {
                    written?;
                }
                return Poll::Ready(Ok(length));
            }
        };
        let was_between = self.writer.is_at_boundary();
        let is_ping = was_between && data.starts_with(PING) && histogram::is_recorded();
        let was = self.first_ping;
        let written = self.first_ping.poll_write(&mut self.writer, &mut self.carrier, context, data);
        if self.first_ping == FirstPing::Taken && was != FirstPing::Taken || self.closing.is_some() {
            // To read the answer, or to write the close frame.
            self.client.wake_reader();
        }
        if let Poll::Ready(Ok(bytes)) = written {
            histogram::sent(bytes);
            // Of what begins within a frame, the frames cannot be told.
            traffic::sent(|| if was_between { count_frames(&data[..bytes]) } else { 0 }, bytes);
            if is_ping && was == FirstPing::Done {
                self.pinged = Some(Instant::now());
            }
        }
        written
    }

    /// Looks at the next frame that the engine writes, where it may have to be rewritten.
    fn rewrite(&mut self, data: &[u8]) -> Rewritten {
        let withheld = self.client.withheld();
        let is_withholding = withheld.has_any();
        let translator = self.translator.as_mut().filter(|translator| translator.is_writing_watched(&self.client));
        if translator.is_none() && !is_withholding {
            return Rewritten::Same;
        }
        if let Some(left) = self.writer.left_of_frame() {
            return Rewritten::Frame(left.min(data.len()));
        }
        let Some(frame) = Frame::first(data) else { return Rewritten::Same };
        if is_withholding && frame.opcode == TEXT && withheld.take(frame.payload) {
            return Rewritten::Replaced(frame.len(), None);
        }
        let Some(translator) = translator else { return Rewritten::Frame(frame.len()) };
        match translator.write(&self.client, frame.opcode, frame.payload) {
            Outgoing::Keep => Rewritten::Frame(frame.len()),
            Outgoing::Drop => Rewritten::Replaced(frame.len(), None),
            Outgoing::Replace(by) => {
                self.writer.count_answer(frame.payload, &self.carrier);
                Rewritten::Replaced(frame.len(), Some(by))
            }
        }
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

/// What is written in the place of what the engine writes.
enum Rewritten {
    Same,
    /// So many bytes of it, as they are.
    Frame(usize),
    /// Something else, or nothing, for so many bytes.
    Replaced(usize, Option<Bytes>),
}

/// How many frames are whole in these bytes.
fn count_frames(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let Some(frame) = Frame::first(bytes) {
        count += 1;
        bytes = &bytes[frame.len()..];
    }
    count
}

fn connection_closed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the connection has been cut")
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        let lingers = if let Carrier::Polling(session) = &self.carrier { session.end() } else { false };
        if let Some((sessions, token)) = self.listed.take() {
            sessions.end(token, lingers);
        }
        self.blocked.remove(&self.client);
        traffic::closed();
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.client.is_alive() {
            return Poll::Ready(Err(connection_closed()));
        }
        if let Some(time) = this.client.backoff() {
            this.pauses.pause(time);
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
        if this.writer.is_in_gap(context) {
            return Poll::Pending;
        }
        let written = this.poll_write_frames(context, data);
        this.watch_progress(context, &written)?;
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let flushed = match this.poll_write_ahead(context) {
            Poll::Ready(Ok(())) => Pin::new(&mut this.carrier).poll_flush(context),
            other => other,
        };
        this.watch_progress(context, &flushed)?;
        if flushed.is_ready() && this.client.unblock() {
            this.blocked.remove(&this.client);
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.carrier).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::guard::{Connections, Counted};

    fn stream(client: &Arc<ClientConnection>, read: &[u8]) -> (DuplexStream, ClientStream) {
        let (far, near) = duplex(1024 * 1024);
        (far, ClientStream::new(Carrier::Memory(near), read, connected(client)))
    }

    fn connected(client: &Arc<ClientConnection>) -> Connected {
        let Ok(permit) = Connections::new(Counted::Clients, 1, 1).acquire(client.address()) else {
            unreachable!("the first of one")
        };
        Connected {
            client: client.clone(),
            rejoin: Arc::new(Rejoin::new(crate::background::Background::new(Default::default()))),
            blocked: Arc::default(),
            turns: Turns::default(),
            translator: None,
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
        client.write_all(&vec![0; 4 * TURN]).await.unwrap();
        let mut buffer = vec![0; CHUNK];
        let mut read = 0;
        while let Some(length) = stream.read(&mut buffer).now_or_never() {
            read += length.unwrap();
        }
        assert!(read < 4 * TURN, "{read} bytes without a yield");
        assert!(stream.read(&mut buffer).await.unwrap() > 0);
    }

    #[tokio::test]
    async fn a_client_joins_and_ends_at_its_turn() {
        let (mut client, mut stream) = stream(&ClientConnection::slow(), &[]);
        let connect = [0x81, 0x82, 0, 0, 0, 0, b'4', b'0'];
        client.write_all(&connect).await.unwrap();
        let mut read = [0; 8];
        assert!(stream.read(&mut read).now_or_never().is_none(), "before its turn");
        stream.read_exact(&mut read).await.unwrap();
        assert_eq!(read, connect);
        drop(client);
        assert!(stream.read(&mut read).now_or_never().is_none(), "before its turn");
        assert_eq!(stream.read(&mut read).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_large_message_is_there_as_a_whole_at_its_clients_turn() {
        let (mut client, mut stream) = stream(&ClientConnection::slow(), &[]);
        let mut message = BytesMut::new();
        push_frame(&mut message, TEXT, Some([0; 4]), format!("42[\"{}\"]", "x".repeat(20_000)).as_bytes());
        let mut read = vec![0; message.len()];
        // The first bytes of a client have a turn anyway.
        client.write_all(&message).await.unwrap();
        stream.read_exact(&mut read).await.unwrap();
        let (beginning, end) = message.split_at(message.len() - 1);
        client.write_all(beginning).await.unwrap();
        let seen = stream.read_exact(&mut read[..beginning.len()]).now_or_never();
        seen.expect("this takes no turn").unwrap();
        client.write_all(end).await.unwrap();
        assert!(stream.read(&mut read).now_or_never().is_none(), "before its turn");
        assert_eq!(stream.read(&mut read).await.unwrap(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn r14_a_client_with_many_refused_events_is_read_later() {
        let connection = ClientConnection::slow();
        let (mut client, mut stream) = stream(&connection, &[]);
        client.write_all(b"event").await.unwrap();
        while connection.backoff().is_none() {
            let _ = connection.count_event();
        }
        for _ in 0..100 {
            let _ = connection.count_event();
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
