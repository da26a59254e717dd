use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
#[cfg(any(test, feature = "testing"))]
use tokio::io::DuplexStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::polling::PollingSession;
use crate::guard::AcceptedStream;

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

impl Carrier {
    pub(super) fn is_polling(&self) -> bool {
        matches!(self, Self::Polling(_))
    }
}

impl AsyncRead for Carrier {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Polling(session) => session.poll_read(context, into).map(Ok),
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, into),
            Self::Upgraded(stream) => Pin::new(stream).poll_read(context, into),
            #[cfg(any(test, feature = "testing"))]
            Self::Memory(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Carrier {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Polling(session) => session.poll_write(context, data),
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, data),
            Self::Upgraded(stream) => Pin::new(stream).poll_write(context, data),
            #[cfg(any(test, feature = "testing"))]
            Self::Memory(stream) => Pin::new(stream).poll_write(context, data),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Polling(_) => Poll::Ready(Ok(())),
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Upgraded(stream) => Pin::new(stream).poll_flush(context),
            #[cfg(any(test, feature = "testing"))]
            Self::Memory(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Polling(_) => Poll::Ready(Ok(())),
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Upgraded(stream) => Pin::new(stream).poll_shutdown(context),
            #[cfg(any(test, feature = "testing"))]
            Self::Memory(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
