//! What is written around the answers to CONNECT packets.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::AsyncWrite,
    time::{Instant, Sleep, sleep_until},
};

use super::super::{carrier::Carrier, frames::Frame};

/// Clients that take one message at a time, such as the protocol's test suites, lose what arrives in the same read as the
/// answer to their CONNECT. So the first event comes this much later, if the server sends it at once.
const ANSWER_GAP: Duration = Duration::from_millis(5);

/// Writes to a client, with a gap after the answer to a CONNECT.
#[derive(Default)]
pub(super) struct Writer {
    /// The last write ended within a frame.
    is_within_frame: bool,
    /// How many of the client's CONNECT packets have no answer yet.
    answers_due: usize,
    /// When the last of them was answered.
    answered: Option<Instant>,
    /// The end of the gap after that.
    gap: Option<Pin<Box<Sleep>>>,
}

impl Writer {
    /// The client has sent so many CONNECT packets.
    pub(super) fn expect_answers(&mut self, count: usize) {
        self.answers_due += count;
    }

    /// Whether the last write ended between two frames.
    pub(super) fn is_at_boundary(&self) -> bool {
        !self.is_within_frame
    }

    /// Whether nothing may be written yet, so soon after an answer.
    pub(super) fn is_in_gap(&mut self, context: &mut Context<'_>) -> bool {
        let Some(answered) = self.answered else { return false };
        let end = answered + ANSWER_GAP;
        if Instant::now() < end {
            let gap = self.gap.get_or_insert_with(|| Box::pin(sleep_until(end)));
            if gap.as_mut().poll(context).is_pending() {
                return true;
            }
        }
        self.answered = None;
        self.gap = None;
        false
    }

    /// Writes frame by frame as long as a client waits for an answer.
    pub(super) fn poll_write(
        &mut self,
        carrier: &mut Carrier,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let is_due = self.answers_due > 0 && !self.is_within_frame && !carrier.is_polling();
        let frame = if is_due { Frame::first(data) } else { None };
        let until = frame.as_ref().map_or(data.len(), Frame::len);
        let written = ready!(Pin::new(carrier).poll_write(context, &data[..until]))?;
        self.is_within_frame = written < until;
        if frame.is_some_and(|frame| matches!(frame.payload, [b'4', b'0' | b'4', ..])) && written == until {
            self.answers_due -= 1;
            // If there are more, the client does not take one message at a time.
            self.answered = (self.answers_due == 0).then(Instant::now);
        }
        Poll::Ready(Ok(written))
    }
}
