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
    /// Bytes left of the frame that the last write ended within.
    left: usize,
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
        self.left == 0
    }

    /// How many bytes are left of the frame that the last write ended within.
    pub(super) fn left_of_frame(&self) -> Option<usize> {
        Some(self.left).filter(|left| *left > 0)
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
        let is_due = self.answers_due > 0 && self.left == 0 && !carrier.is_polling();
        let frame = if is_due { Frame::first(data) } else { None };
        let until = frame.as_ref().map_or(data.len(), Frame::len);
        let written = ready!(Pin::new(&mut *carrier).poll_write(context, &data[..until]))?;
        self.left = left_of_frame(&data[..until], self.left, written);
        if let Some(frame) = frame.filter(|_| written == until) {
            self.count_answer(frame.payload, carrier);
        }
        Poll::Ready(Ok(written))
    }

    /// Counts a frame that has been written, if it is an answer that a client waits for.
    pub(super) fn count_answer(&mut self, payload: &[u8], carrier: &Carrier) {
        if self.answers_due > 0 && !carrier.is_polling() && matches!(payload, [b'4', b'0' | b'4', ..]) {
            self.answers_due -= 1;
            // If there are more, the client does not take one message at a time.
            self.answered = (self.answers_due == 0).then(Instant::now);
        }
    }
}

/// How many bytes are left of the frame that a write of so many bytes ends within. `left` bytes at the beginning belong to one
/// that was begun before.
fn left_of_frame(data: &[u8], left: usize, written: usize) -> usize {
    if written == data.len() {
        return left.saturating_sub(written);
    }
    let mut end = left;
    while end < written {
        end = data.get(end..).and_then(Frame::first).map_or(data.len().max(written), |frame| end + frame.len());
    }
    end - written
}
