//! Closing a WebSocket with a reason that the client can read.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::super::{
    carrier::Carrier,
    frames::{CLOSE, push_frame},
};

/// How long a client may take to close the connection once it has been told to.
const CLOSING_TIME: Duration = Duration::from_secs(5);

/// How many bytes a control frame can have.
const LONGEST_CONTROL: usize = 125;

/// A WebSocket that is being closed. What the client still sends is read, and dropped: if the connection ended with bytes
/// unread, the client might not get the close frame.
pub(super) struct Closing {
    frame: Bytes,
    is_shut_down: bool,
    until: Pin<Box<Sleep>>,
}

impl Closing {
    /// With a status code and a reason.
    pub(super) fn new(code: u16, reason: &str) -> Self {
        let mut payload = code.to_be_bytes().to_vec();
        payload.extend(reason.bytes().take(LONGEST_CONTROL - payload.len()));
        let mut frame = BytesMut::new();
        push_frame(&mut frame, CLOSE, None, &payload);
        Self { frame: frame.freeze(), is_shut_down: false, until: Box::pin(sleep(CLOSING_TIME)) }
    }

    /// Goes on; ready when the connection has ended, or has to. The frame is written between two others.
    pub(super) fn poll(&mut self, carrier: &mut Carrier, may_write: bool, context: &mut Context<'_>) -> Poll<()> {
        if self.until.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        if may_write && !self.is_shut_down && self.poll_write(carrier, context).is_err() {
            return Poll::Ready(());
        }
        let mut dropped = [0; 4096];
        // As much as is there, and no more at a time than leaves others their turn.
        for _ in 0..16 {
            let mut dropped = ReadBuf::new(&mut dropped);
            match Pin::new(&mut *carrier).poll_read(context, &mut dropped) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !dropped.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_write(&mut self, carrier: &mut Carrier, context: &mut Context<'_>) -> std::io::Result<()> {
        while !self.frame.is_empty() {
            match Pin::new(&mut *carrier).poll_write(context, &self.frame)? {
                Poll::Pending => return Ok(()),
                Poll::Ready(0) => return Err(std::io::ErrorKind::WriteZero.into()),
                Poll::Ready(written) => self.frame.advance(written),
            }
        }
        if Pin::new(&mut *carrier).poll_flush(context)?.is_ready() {
            self.is_shut_down = Pin::new(&mut *carrier).poll_shutdown(context)?.is_ready();
        }
        Ok(())
    }
}
