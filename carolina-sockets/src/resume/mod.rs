//! What is kept for clients that come back (rules R23 and R24): the events of each channel, and who may have them.
//!
//! The events that go to a channel's clients are numbered and kept in a [`Log`], each once, with whom it was for. A client that has asked for it is told
//! the number behind each event's arguments, and tells the last one when it comes back. All that concerns the order happens under the log's lock: a broadcast
//! is numbered, kept and put into the clients' buffers under it, and a client that has come back is given what it missed and made a recipient under it.
//! So nothing is left out and nothing comes twice.
//!
//! Each node has a log of its own. What is emitted on another node is sent to this one by the control channel, and gets its number here.

mod entry;
mod log;
mod session;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;

use crate::{
    background::Background,
    config::{ResumeChannels, ResumeConfig},
};
pub(crate) use log::{Log, Progress, Step};
pub use session::Resumption;
pub(crate) use session::{Asking, Cut, Owner};
use session::{Epoch, Slots};

/// The logs of all channels of a service.
pub(crate) struct Resumes {
    settings: ResumeConfig,
    /// Whether a client may come from another node.
    has_nodes: bool,
    slots: Slots,
    /// What the epochs of all logs begin with: something else after each start.
    start: u64,
    /// How many logs there have been.
    count: AtomicU64,
    logs: Mutex<HashMap<String, Arc<Log>>>,
}

impl Resumes {
    /// At most so many clients are waited for.
    pub(crate) fn new(settings: ResumeConfig, has_nodes: bool, most_waiting: usize) -> Self {
        Self {
            settings,
            has_nodes,
            slots: Slots::new(most_waiting),
            start: rand::random(),
            count: AtomicU64::new(0),
            logs: Mutex::default(),
        }
    }

    /// Whether a channel keeps a log, which may be declared to.
    pub(crate) fn is_on(&self, is_declared: bool) -> bool {
        match self.settings.channels {
            ResumeChannels::All => true,
            ResumeChannels::Declared => is_declared,
            ResumeChannels::None => false,
        }
    }

    /// The log of the channel at this path, which was declared with the path `of`: that of its template, or the same.
    pub(crate) fn log(&self, path: &str, of: &str) -> Arc<Log> {
        let mut logs = self.logs.lock();
        let new = || {
            let epoch = Epoch::new(self.start, self.count.fetch_add(1, Ordering::Relaxed));
            Arc::new(Log::new(&self.settings, self.has_nodes, self.slots.clone(), epoch, of))
        };
        logs.entry(path.to_owned()).or_insert_with(new).clone()
    }

    /// Whether there is a log for this path of a template.
    pub(crate) fn has(&self, path: &str, of: &str) -> bool {
        self.logs.lock().get(path).is_some_and(|log| log.of() == of)
    }

    /// The paths of a template's instances that have a log.
    pub(crate) fn instances(&self, of: &str) -> Vec<String> {
        let logs = self.logs.lock();
        logs.iter().filter(|(path, log)| log.of() == of && *path != of).map(|(path, _)| path.clone()).collect()
    }

    /// Removes what is too old, from now on.
    pub(crate) fn start(self: &Arc<Self>, background: &Background) {
        let every = (self.settings.window / 8).clamp(Duration::from_millis(20), Duration::from_secs(5));
        let resumes = Arc::downgrade(self);
        background.spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                let Some(resumes) = resumes.upgrade() else { return };
                resumes.sweep();
            }
        });
    }

    fn sweep(&self) {
        let logs: Vec<(String, Arc<Log>)> =
            self.logs.lock().iter().map(|(path, log)| (path.clone(), log.clone())).collect();
        for (path, log) in logs {
            log.sweep();
            let mut logs = self.logs.lock();
            // Besides this list and this function, nobody has it.
            if log.is_unused() && Arc::strong_count(&log) == 2 {
                logs.remove(&path);
            }
        }
    }

    /// The service ends: nobody is waited for any more.
    pub(crate) fn end(&self) {
        let logs: Vec<Arc<Log>> = self.logs.lock().values().cloned().collect();
        logs.iter().for_each(|log| log.end());
    }
}
