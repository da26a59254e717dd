//! The ping that the engine sends at once after opening. It is removed and answered here, so that the client gets its first
//! ping after the interval.

use std::{
    io,
    task::{Context, Poll, ready},
};

use super::{
    super::{carrier::Carrier, frames::Frame},
    answers::Writer,
};

/// A ping as the engine writes it.
pub(super) const PING: &[u8] = &[0x81, 1, b'2'];

/// A pong as a client sends it, masked by zeros.
pub(super) const PONG: &[u8] = &[0x81, 0x81, 0, 0, 0, 0, b'3'];

/// The engine's first ping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FirstPing {
    /// It is still to come; with the number of bytes left of the frame being written.
    Expected {
        left: usize,
    },
    /// It was removed, and its answer is to be read at the next frame boundary.
    Taken,
    Done,
}

impl FirstPing {
    /// Until the ping comes, frames are written one by one, so that it can be removed.
    pub(super) fn poll_write(
        &mut self,
        writer: &mut Writer,
        carrier: &mut Carrier,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self::Expected { left } = *self else { return writer.poll_write(carrier, context, data) };
        if left == 0 && data.starts_with(PING) {
            *self = Self::Taken;
            return Poll::Ready(Ok(PING.len()));
        }
        let frame = match left {
            0 => Frame::first(data).map_or(data.len(), |frame| frame.len()),
            left => left.min(data.len()),
        };
        let written = ready!(writer.poll_write(carrier, context, &data[..frame]))?;
        *self = Self::Expected { left: frame - written };
        Poll::Ready(Ok(written))
    }

    /// Whether its answer is to be read now.
    pub(super) fn take_pong(&mut self) -> bool {
        let is_taken = *self == Self::Taken;
        if is_taken {
            *self = Self::Done;
        }
        is_taken
    }
}
