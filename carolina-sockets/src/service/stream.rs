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
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Inner, frames::Frames, leaving::Leaving};
use crate::guard::Peer;

/// A stream with what was read from it already.
pub(super) struct Rewound<S> {
    stream: S,
    read: Bytes,
}

impl<S> Rewound<S> {
    pub(super) fn new(stream: S, read: Bytes) -> Self {
        // Even an empty slice would keep the buffer it is from, 8 KB, as long as the connection lives.
        Self { stream, read: Bytes::copy_from_slice(&read) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, into);
        }
        let length = self.read.len().min(into.remaining());
        into.put_slice(&self.read[..length]);
        self.read.advance(length);
        if self.read.is_empty() {
            self.read = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

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
    /// What was read since the reader last rested.
    taken: usize,
}

/// How much is read at once.
///
/// Behind so much the reader rests: a client that sends without end must not keep a thread to itself, and the writer of
/// its answers needs a turn before they fill the buffer.
const PIECE: usize = 8 * 1024;

thread_local! {
    /// Where it is read to. One for all connections of a thread, as it holds nothing from one read to the next.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; PIECE].into_boxed_slice());
}

impl<S> Tap<S> {
    pub(super) fn new(stream: S, line: Line, leaving: Arc<Leaving>) -> Self {
        Self { stream, line, frames: Frames::default(), leaving, ahead: Bytes::new(), taken: 0 }
    }
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the connection has been cut")
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(peer) = this.line.peer()
            && !peer.poll_alive(context)
        {
            return Poll::Ready(Err(cut()));
        }
        if !this.ahead.is_empty() {
            let length = this.ahead.len().min(into.remaining());
            into.put_slice(&this.ahead[..length]);
            this.ahead.advance(length);
            if this.ahead.is_empty() {
                this.ahead = Bytes::new();
            }
            return Poll::Ready(Ok(()));
        }
        if this.taken >= PIECE {
            this.taken = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let mut piece = ReadBuf::new(scratch);
            if Pin::new(&mut this.stream).poll_read(context, &mut piece)?.is_pending() {
                this.taken = 0;
                return Poll::Pending;
            }
            let read = piece.filled();
            this.taken += read.len();
            let (line, leaving) = (&this.line, &this.leaving);
            this.frames.read(read, leaving.is_any(), |packet| {
                if let Some(sid) = line.sid() {
                    leaving.arriving(sid, packet);
                }
            });
            let (now, later) = read.split_at(read.len().min(into.remaining()));
            into.put_slice(now);
            if !later.is_empty() {
                this.ahead = Bytes::copy_from_slice(later);
            }
            Poll::Ready(Ok(()))
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
