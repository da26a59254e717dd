//! When a client is not read from, and when the engine is given a packet again.

use std::{pin::Pin, task::Context, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::super::joins::{CALL_TIME, Joins};

/// How long a client that joins and leaves too often is not read from, at most, for what it sent at once.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Usually there is none.
#[derive(Default)]
pub(super) struct Pauses {
    /// Holds back what was read, as it has a CONNECT too soon after an answer.
    held: Option<Pin<Box<Sleep>>>,
    /// When to look for packets that the engine has ignored.
    recheck: Option<Pin<Box<Sleep>>>,
    /// Suspends reading after too many refused events or joins.
    backoff: Option<Pin<Box<Sleep>>>,
}

impl Pauses {
    /// Reads nothing for so long, or until a pause that has begun is over, whichever is later.
    pub(super) fn pause(&mut self, time: Duration) {
        let until = Instant::now() + time.min(LONGEST_PAUSE);
        if self.backoff.as_ref().is_none_or(|backoff| backoff.deadline() < until) {
            self.backoff = Some(Box::pin(sleep_until(until)));
        }
    }

    /// What was read has a CONNECT, and may have to wait.
    pub(super) fn hold(&mut self, joins: &Joins) {
        self.held = joins.hold().map(|time| Box::pin(sleep(time)));
    }

    pub(super) fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// The engine may ignore what it is about to read.
    pub(super) fn watch(&mut self) {
        self.recheck.get_or_insert_with(|| Box::pin(sleep(CALL_TIME)));
    }

    /// Whether to read nothing for now.
    pub(super) fn is_pausing(&mut self, joins: &Joins, context: &mut Context<'_>) -> bool {
        if let Some(backoff) = &mut self.backoff {
            if backoff.as_mut().poll(context).is_pending() {
                return true;
            }
            self.backoff = None;
        }
        if let Some(held) = &mut self.held {
            if held.as_mut().poll(context).is_pending() {
                return true;
            }
            // A connect handler may still run.
            self.hold(joins);
            if self.is_held() {
                context.waker().wake_by_ref();
                return true;
            }
        }
        false
    }

    /// What the engine has ignored, to be read again. Asked between two of the client's frames.
    pub(super) fn ignored(&mut self, joins: &Joins, context: &mut Context<'_>) -> Vec<Bytes> {
        let Some(recheck) = &mut self.recheck else { return Vec::new() };
        if recheck.as_mut().poll(context).is_pending() {
            return Vec::new();
        }
        let Some((packets, next)) = joins.ignored() else {
            self.recheck = None;
            return Vec::new();
        };
        let mut recheck = Box::pin(sleep_until(next));
        // So that it wakes the reader.
        let _ = recheck.as_mut().poll(context);
        self.recheck = Some(recheck);
        packets
    }
}
