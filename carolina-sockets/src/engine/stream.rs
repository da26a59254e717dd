//! Streams below a WebSocket.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::{client::ClientConnection, frames::Frames, rejoin::Rejoin};

/// The stream below a client's WebSocket. It ends when the connection is cut: socketioxide has no way to close a connection
/// whose buffers are full, but it does close one whose stream has ended.
///
/// The incoming frames are followed, to notice a client that joins a channel again; see [`super::rejoin`].
///
/// It reads large chunks, whatever the reader asks for: WebSocket connections have small buffers, since they keep them, and
/// a system call for each of those would cost more than handling the events does.
pub(super) struct ClientStream<S> {
    stream: S,
    client: Arc<ClientConnection>,
    frames: Frames,
    rejoin: Arc<Rejoin>,
    /// What was read and has not been asked for yet. Empty, it has no memory of its own.
    read_ahead: Bytes,
    /// What was read since the reader last yielded.
    since_yield: usize,
    /// Until when nothing is read, after too many refused events.
    backoff: Option<Pin<Box<Sleep>>>,
}

/// How much is read at once.
const CHUNK: usize = 32 * 1024;

/// After so many bytes the reader yields: a client that sends without end must not keep a thread to itself, and the writer of
/// its answers has to run before they fill the buffer. Large enough that answers are written together.
const YIELD_AFTER: usize = 64 * 1024;

/// What each frame counts beside its bytes.
const FRAME: usize = 512;

thread_local! {
    /// The buffer for reading: one for all connections of a thread, as it holds nothing from one read to the next.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK].into_boxed_slice());
}

impl<S> ClientStream<S> {
    /// `read` is what was read from the stream already.
    pub(super) fn new(stream: S, read: &[u8], client: Arc<ClientConnection>, rejoin: Arc<Rejoin>) -> Self {
        // A copy: even an empty slice would keep the buffer it is from, 8 KB, as long as the connection lives.
        let read_ahead = Bytes::copy_from_slice(read);
        let frames = Frames::default();
        let mut this = Self { stream, client, frames, rejoin, read_ahead, since_yield: 0, backoff: None };
        this.follow(read);
        this
    }

    /// Looks at what has come in.
    fn follow(&mut self, read: &[u8]) {
        let (client, rejoin) = (&self.client, &self.rejoin);
        let begun = self.frames.read(read, rejoin.is_any(), |packet| {
            if let Some(id) = client.id() {
                rejoin.arriving(id, packet);
            }
        });
        self.since_yield += read.len() + begun * FRAME;
    }
}

fn connection_cut() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the connection has been cut")
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.client.is_alive() {
            return Poll::Ready(Err(connection_cut()));
        }
        if let Some(time) = this.client.backoff() {
            this.backoff = Some(Box::pin(sleep(time)));
        }
        let read = this.poll_chunk(context, into)?;
        // The waker is registered before the flag is read once more, so that no cut goes unnoticed.
        if read.is_pending() && !this.client.poll_alive(context) {
            return Poll::Ready(Err(connection_cut()));
        }
        read.map(Ok)
    }
}

impl<S: AsyncRead + Unpin> ClientStream<S> {
    fn poll_chunk(&mut self, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> io::Result<Poll<()>> {
        if let Some(backoff) = &mut self.backoff {
            if backoff.as_mut().poll(context).is_pending() {
                return Ok(Poll::Pending);
            }
            self.backoff = None;
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
        if self.since_yield >= YIELD_AFTER {
            self.since_yield = 0;
            context.waker().wake_by_ref();
            return Ok(Poll::Pending);
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let mut chunk = ReadBuf::new(scratch);
            match Pin::new(&mut self.stream).poll_read(context, &mut chunk) {
                Poll::Ready(read) => read?,
                Poll::Pending => {
                    self.since_yield = 0;
                    return Ok(Poll::Pending);
                }
            }
            let read = chunk.filled();
            self.follow(read);
            let (now, later) = read.split_at(read.len().min(into.remaining()));
            into.put_slice(now);
            if !later.is_empty() {
                self.read_ahead = Bytes::copy_from_slice(later);
            }
            Ok(Poll::Ready(()))
        })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ClientStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if !this.client.is_alive() {
            return Poll::Ready(Err(connection_cut()));
        }
        let written = Pin::new(&mut this.stream).poll_write(context, data);
        // A client that reads nothing would otherwise hold the writer here for ever.
        if written.is_pending() && !this.client.poll_writable(context) {
            return Poll::Ready(Err(connection_cut()));
        }
        written
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

    fn stream(client: &Arc<ClientConnection>, read: &[u8]) -> (DuplexStream, ClientStream<DuplexStream>) {
        let (far, near) = duplex(1024 * 1024);
        (far, ClientStream::new(near, read, client.clone(), Arc::default()))
    }

    #[tokio::test]
    async fn what_was_read_before_comes_first() {
        let (mut client, mut stream) = stream(&ClientConnection::slow(), b"first ");
        client.write_all(b"second").await.unwrap();
        drop(client);
        let mut all = Vec::new();
        // Small reads, since the chunks it reads are larger than what it is asked for.
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

    #[tokio::test]
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
        assert!(stream.read(&mut buffer).now_or_never().is_none(), "not during the backoff");
        stream.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"event");
    }

    #[tokio::test]
    async fn a_cut_is_noticed_while_nothing_comes() {
        let connection = ClientConnection::slow();
        let (_client, mut stream) = stream(&connection, &[]);
        let reading = tokio::spawn(async move { stream.read(&mut [0]).await });
        tokio::task::yield_now().await;
        assert!(connection.cut());
        assert_eq!(reading.await.unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
