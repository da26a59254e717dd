//! Streams below a WebSocket.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use socketioxide_core::Sid;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::{Inner, frames::Frames, leaving::Leaving};
use crate::guard::Peer;

/// Whose stream it is.
pub(super) enum Line {
    Of(Arc<Peer>),
    /// A connection that began with polling and may not be on any channel yet.
    Unknown(Weak<Inner>, Sid),
}

impl Line {
    pub(super) fn unknown(sockets: &Arc<Inner>, sid: Sid) -> Self {
        match sockets.peer_of(sid) {
            Some(peer) => Self::Of(peer),
            None => Self::Unknown(Arc::downgrade(sockets), sid),
        }
    }

    /// The Engine.IO session, once it is known.
    fn sid(&self) -> Option<Sid> {
        match self {
            Self::Of(peer) => peer.sid(),
            Self::Unknown(_, sid) => Some(*sid),
        }
    }

    fn peer(&mut self) -> Option<&Arc<Peer>> {
        if let Self::Unknown(sockets, sid) = self {
            *self = Self::Of(sockets.upgrade()?.peer_of(*sid)?);
        }
        match self {
            Self::Of(peer) => Some(peer),
            Self::Unknown(..) => None,
        }
    }
}

/// A stream that ends when its connection is cut. socketioxide has no way to close a connection whose buffers are
/// full; an end of the stream is one.
///
/// What comes in is followed, for the sake of clients that join a channel again; see [`super::leaving`].
///
/// It reads in large pieces whatever the reader asks for: WebSocket connections have small buffers, since they keep
/// them, and a system call for each filling would cost more than handling the events does.
pub(super) struct Tap<S> {
    stream: S,
    line: Line,
    frames: Frames,
    leaving: Arc<Leaving>,
    /// What was read and not asked for yet; without memory of its own when that is nothing.
    ahead: Bytes,
    /// What was read since the reader last let others have their turn.
    taken: usize,
    /// Until when nothing is read, for a client that goes on in spite of refusals.
    rest: Option<Pin<Box<Sleep>>>,
}

/// How much is read at once.
const PIECE: usize = 32 * 1024;

/// Behind so much the reader lets others have a turn: a client that sends without end must not keep a thread to itself, and
/// the writer of its answers needs a turn before they fill the buffer. Large enough that answers are written together.
const TURN: usize = 64 * 1024;

/// What each frame counts beside its bytes.
const FRAME: usize = 512;

thread_local! {
    /// Where it is read to. One for all connections of a thread, as it holds nothing from one read to the next.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; PIECE].into_boxed_slice());
}

impl<S> Tap<S> {
    /// With what was read from the stream already.
    pub(super) fn new(stream: S, read: &[u8], line: Line, leaving: Arc<Leaving>) -> Self {
        // A copy: even an empty slice would keep the buffer it is from, 8 KB, as long as the connection lives.
        let ahead = Bytes::copy_from_slice(read);
        let mut tap = Self { stream, line, frames: Frames::default(), leaving, ahead, taken: 0, rest: None };
        tap.follow(read);
        tap
    }

    /// Looks at what has come in.
    fn follow(&mut self, read: &[u8]) {
        let (line, leaving) = (&self.line, &self.leaving);
        let begun = self.frames.read(read, leaving.is_any(), |packet| {
            if let Some(sid) = line.sid() {
                leaving.arriving(sid, packet);
            }
        });
        self.taken += read.len() + begun * FRAME;
    }
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the connection has been cut")
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let peer = this.line.peer();
        if peer.is_some_and(|peer| !peer.is_alive()) {
            return Poll::Ready(Err(cut()));
        }
        if let Some(time) = peer.and_then(|peer| peer.rest()) {
            this.rest = Some(Box::pin(sleep(time)));
        }
        let read = this.poll_piece(context, into)?;
        // Registered before it is asked once more, so that no cut goes unnoticed.
        if read.is_pending()
            && let Some(peer) = this.line.peer()
            && !peer.poll_alive(context)
        {
            return Poll::Ready(Err(cut()));
        }
        read.map(Ok)
    }
}

impl<S: AsyncRead + Unpin> Tap<S> {
    fn poll_piece(&mut self, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> io::Result<Poll<()>> {
        if let Some(rest) = &mut self.rest {
            if rest.as_mut().poll(context).is_pending() {
                return Ok(Poll::Pending);
            }
            self.rest = None;
        }
        if !self.ahead.is_empty() {
            let length = self.ahead.len().min(into.remaining());
            into.put_slice(&self.ahead[..length]);
            self.ahead.advance(length);
            if self.ahead.is_empty() {
                self.ahead = Bytes::new();
            }
            return Ok(Poll::Ready(()));
        }
        if self.taken >= TURN {
            self.taken = 0;
            context.waker().wake_by_ref();
            return Ok(Poll::Pending);
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let mut piece = ReadBuf::new(scratch);
            match Pin::new(&mut self.stream).poll_read(context, &mut piece) {
                Poll::Ready(read) => read?,
                Poll::Pending => {
                    self.taken = 0;
                    return Ok(Poll::Pending);
                }
            }
            let read = piece.filled();
            self.follow(read);
            let (now, later) = read.split_at(read.len().min(into.remaining()));
            into.put_slice(now);
            if !later.is_empty() {
                self.ahead = Bytes::copy_from_slice(later);
            }
            Ok(Poll::Ready(()))
        })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        match this.line.peer() {
            Some(peer) if !peer.is_alive() => Poll::Ready(Err(cut())),
            peer => match Pin::new(&mut this.stream).poll_write(context, data) {
                // A client that reads nothing would hold the writer here for ever.
                Poll::Pending if peer.is_some_and(|peer| !peer.poll_writable(context)) => Poll::Ready(Err(cut())),
                written => written,
            },
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    fn tap(peer: &Arc<Peer>, read: &[u8]) -> (DuplexStream, Tap<DuplexStream>) {
        let (client, server) = duplex(1024 * 1024);
        (client, Tap::new(server, read, Line::Of(peer.clone()), Arc::default()))
    }

    #[tokio::test]
    async fn what_was_read_before_comes_first() {
        let (mut client, mut tap) = tap(&Peer::slow(), b"first ");
        client.write_all(b"second").await.unwrap();
        drop(client);
        let mut all = Vec::new();
        // Small bites, since the pieces it reads are larger than what it is asked for.
        let mut bite = [0; 4];
        loop {
            match tap.read(&mut bite).await.unwrap() {
                0 => break,
                length => all.extend_from_slice(&bite[..length]),
            }
        }
        assert_eq!(all, b"first second");
    }

    #[tokio::test]
    async fn others_get_a_turn_while_a_client_sends_without_end() {
        let (mut client, mut tap) = tap(&Peer::slow(), &[]);
        client.write_all(&vec![0; 4 * TURN]).await.unwrap();
        let mut bite = vec![0; PIECE];
        let mut read = 0;
        while let Some(length) = tap.read(&mut bite).now_or_never() {
            read += length.unwrap();
        }
        assert!(read < 4 * TURN, "{read} bytes in one turn");
        assert!(tap.read(&mut bite).await.unwrap() > 0);
    }

    #[tokio::test]
    async fn r14_who_goes_on_in_spite_of_refusals_is_read_later() {
        let peer = Peer::slow();
        let (mut client, mut tap) = tap(&peer, &[]);
        client.write_all(b"event").await.unwrap();
        while peer.rest().is_none() {
            let _ = peer.admit_event();
        }
        for _ in 0..100 {
            let _ = peer.admit_event();
        }
        let mut bite = [0; 5];
        assert!(tap.read(&mut bite).now_or_never().is_none(), "not while it rests");
        tap.read_exact(&mut bite).await.unwrap();
        assert_eq!(&bite, b"event");
    }

    #[tokio::test]
    async fn a_cut_is_noticed_while_nothing_comes() {
        let peer = Peer::slow();
        let (_client, mut tap) = tap(&peer, &[]);
        let reading = tokio::spawn(async move { tap.read(&mut [0]).await });
        tokio::task::yield_now().await;
        assert!(peer.kill());
        assert_eq!(reading.await.unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
