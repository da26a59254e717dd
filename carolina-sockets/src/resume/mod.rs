//! What is kept for clients that come back (rules R23 and R24): the events of each channel, and who may have them.
//!
//! The events that go to a channel's clients are numbered and kept in a [`Log`], each once, with whom it was for. A client that has asked for it is told
//! the number behind each event's arguments, and tells the last one when it comes back. All that concerns the order happens under the log's lock: a broadcast
//! is numbered, kept and put into the clients' buffers under it, and a client that has come back is given what it missed and made a recipient under it.
//! So nothing is left out and nothing comes twice.
//!
//! With a server between the nodes, that server numbers the events and keeps them, and each node has a replica ([`shared`], [`replica`]).
//!
//! - `log`: the log of a channel and its state; `entry`: what is in it
//! - `emit`: sending events, and numbering them where there is no server
//! - `subscriber`, `session`, `gap`: what a client has asked for, what is kept of it, what it is told
//! - `replay`, `leave`: a client resumes; its socket leaves
//! - `server`, `shared`, `replica`, `takeover`: with a server: its tasks, its entries, reading what is missing, sessions that move between nodes

mod emit;
mod entry;
mod gap;
mod leave;
mod log;
mod replay;
mod replica;
mod server;
mod session;
mod shared;
mod subscriber;
mod takeover;

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
    backplane::{BackplaneError, Bus, SharedLog},
    config::{ResumeChannels, ResumeConfig},
    engine::{EncodedPayload, Recipients},
};
pub(crate) use entry::EncodedEntry;
pub(crate) use gap::Gap;
use log::Epoch;
pub(crate) use log::Log;
pub use replay::Resumption;
pub(crate) use replay::{Replay, ReplayStatus};
use server::Server;
pub(crate) use server::{LogTarget, LoggedChannel, instances_of, logged_channels};
use session::Slots;
pub(crate) use session::{LeaveCause, Owner};
pub(crate) use subscriber::Subscriber;

/// The logs of all channels of a service.
pub(crate) struct Resumes {
    settings: ResumeConfig,
    /// The server between the nodes, if there is one.
    server: Option<Arc<Server>>,
    slots: Slots,
    /// What the epochs of all logs begin with: something else after each start.
    start: u64,
    /// How many logs there have been.
    count: AtomicU64,
    logs: Mutex<HashMap<String, Arc<Log>>>,
}

impl Resumes {
    /// At most so many clients are waited for.
    pub(crate) fn new(settings: ResumeConfig, bus: &Bus, most_waiting: usize) -> Self {
        let server = bus.shared_log().map(|log| Arc::new(Server::new(log, &settings)));
        Self {
            settings,
            server,
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
            Log::new(&self.settings, self.server.clone(), self.slots.clone(), epoch, path, of)
        };
        logs.entry(path.to_owned()).or_insert_with(new).clone()
    }

    /// Whether there is a log for this path of a template.
    pub(crate) fn has(&self, path: &str, of: &str) -> bool {
        self.logs.lock().get(path).is_some_and(|log| log.declared_path() == of)
    }

    /// The paths of a template's instances that have a log.
    pub(crate) fn instances(&self, of: &str) -> Vec<String> {
        let logs = self.logs.lock();
        logs.iter()
            .filter(|(path, log)| log.declared_path() == of && *path != of)
            .map(|(path, _)| path.clone())
            .collect()
    }

    /// The logs that the server between the nodes keeps, if there is one and any channel has a log.
    pub(crate) fn shared_log(&self) -> Option<&SharedLog> {
        self.server.as_ref().filter(|_| !self.logs.lock().is_empty()).map(|server| &server.log)
    }

    /// All logs, by their paths.
    fn all(&self) -> Vec<(String, Arc<Log>)> {
        self.logs.lock().iter().map(|(path, log)| (path.clone(), log.clone())).collect()
    }

    /// The log at a path, if there is one.
    pub(crate) fn at(&self, path: &str) -> Option<Arc<Log>> {
        self.logs.lock().get(path).cloned()
    }

    /// Sends an event to the clients of an instance that is on other nodes.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached.
    pub(crate) async fn emit_elsewhere(
        &self,
        path: &str,
        payload: &EncodedPayload,
        recipients: &Recipients,
    ) -> Result<(), BackplaneError> {
        let Some(server) = &self.server else { return Ok(()) };
        server
            .append(path, &EncodedEntry::for_recipients(payload, recipients, None, server.log.node()).encode())
            .await?;
        Ok(())
    }

    /// Removes what is too old, from now on, and follows the logs of the server between the nodes.
    pub(crate) fn start(self: &Arc<Self>, background: &Background) {
        if let Some(server) = self.server.as_ref().filter(|_| !self.logs.lock().is_empty()) {
            server.start(self, background);
        }
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
        for (path, log) in self.all() {
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

    /// Waits a moment until other nodes can resume this one's clients.
    pub(crate) async fn flush(&self) {
        if let Some(server) = &self.server {
            server.flush().await;
        }
    }
}
