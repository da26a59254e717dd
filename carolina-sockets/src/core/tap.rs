//! What is emitted to several clients at once, recorded for tests.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// How many are kept; a test that emits more and looks at none loses the oldest.
const MOST: usize = 4096;

/// An emit.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) path: String,
    pub(crate) event: String,
    pub(crate) to: Vec<String>,
    pub(crate) except: Vec<String>,
    /// The packet's payload, and its attachments in base64.
    pub(crate) payload: (String, Vec<String>),
}

/// The record of emits. It is empty until a test asks for it.
#[derive(Default)]
pub(crate) struct Tap {
    on: AtomicBool,
    recorded: Mutex<VecDeque<Recorded>>,
    added: Notify,
}

impl Tap {
    pub(crate) fn start(&self) {
        self.on.store(true, Ordering::Release);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    pub(crate) fn add(&self, emit: Recorded) {
        let mut recorded = self.recorded.lock();
        if recorded.len() == MOST {
            recorded.pop_front();
        }
        recorded.push_back(emit);
        self.added.notify_waiters();
    }

    /// Takes the first emit of an event on a channel out of the record; waits for it.
    pub(crate) async fn take(&self, path: &str, event: &str) -> Recorded {
        loop {
            let added = self.added.notified();
            tokio::pin!(added);
            // Before the look, so that none is missed behind it.
            added.as_mut().enable();
            let found = {
                let mut recorded = self.recorded.lock();
                let at = recorded.iter().position(|emit| emit.path == path && emit.event == event);
                at.and_then(|at| recorded.remove(at))
            };
            match found {
                Some(emit) => return emit,
                None => added.await,
            }
        }
    }

    /// Channels and events of what is in the record.
    pub(crate) fn kept(&self) -> Vec<(String, String)> {
        self.recorded.lock().iter().map(|emit| (emit.path.clone(), emit.event.clone())).collect()
    }
}
