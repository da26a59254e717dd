//! The log of a channel: its entries and their numbers.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    fmt::Write,
    sync::{Arc, Weak, atomic::AtomicUsize},
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use super::{
    entry::{Audience, Entry, ReceivedEntry},
    server::Server,
    session::{Session, Slots},
    shared::{Deferred, Waiter},
};
use crate::{
    config::ResumeConfig,
    engine::{EncodedPayload, EngineNamespace, SocketId},
};

/// Numbers of events are comparable within one epoch of a log. Its name is a random number of the service's start and the log's number; or what the server
/// between the nodes has drawn.
pub(super) struct Epoch(String);

impl Epoch {
    /// How many digits the first part has.
    const START: usize = 16;

    pub(super) fn new(start: u64, log: u64) -> Self {
        Self(format!("{start:016x}{log:x}"))
    }

    /// That of a log of the server.
    pub(super) fn of_server(name: String) -> Self {
        Self(name)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether another one is of this start of the service.
    pub(super) fn is_of_this_start(&self, other: &str) -> bool {
        other.get(..Self::START) == self.0.get(..Self::START)
    }
}

/// The events of one channel, and the clients that may come back to it.
pub(crate) struct Log {
    pub(super) settings: ResumeConfig,
    pub(super) slots: Slots,
    pub(super) path: String,
    /// The path that the channel was declared with.
    declared_path: String,
    /// The server between the nodes, if there is one.
    pub(super) server: Option<Arc<Server>>,
    pub(super) weak: Weak<Log>,
    /// Notified when the log of the server has been read.
    pub(super) is_ready: Notify,
    pub(super) state: Mutex<State>,
    /// How many sockets are sent offsets, and how many are not.
    pub(super) with_offsets: AtomicUsize,
    pub(super) without_offsets: AtomicUsize,
}

pub(super) struct State {
    pub(super) epoch: Epoch,
    /// How many epochs there were before.
    pub(super) epoch_index: u64,
    pub(super) mode: Mode,
    pub(super) entries: VecDeque<Entry>,
    pub(super) bytes: usize,
    /// The number of the last event.
    pub(super) last: u64,
    /// Entries up to this number were trimmed: they are not kept any more.
    pub(super) trimmed: u64,
    /// Whether the last of them was trimmed for want of room, and not for its age.
    pub(super) overflowed: bool,
    /// The number of the last event whose offset all clients were sent, and the size of the events since.
    pub(super) checkpoint: u64,
    pub(super) bytes_since_checkpoint: usize,
    pub(super) sessions: HashMap<Arc<str>, Session>,
    /// The `pid`s of the sockets that are on the channel.
    pub(super) by_socket: HashMap<SocketId, Arc<str>>,
    /// To send offsets and gaps.
    pub(super) namespace: Option<EngineNamespace>,
    /// Entries that were received before their turn, by their numbers, with their times.
    pub(super) pending: BTreeMap<u64, (u64, ReceivedEntry)>,
    /// What was received before the log was read for the first time.
    pub(super) deferred: Vec<Deferred>,
    /// Who waits until an event is delivered.
    pub(super) waiting: HashMap<u64, Waiter>,
    /// How many clients have missed the latest events.
    pub(super) missed: VecDeque<(u64, usize)>,
    /// Entries that were read and whose notifications may still come: clients that have not asked for offsets have not got them.
    pub(super) expected: BTreeSet<u64>,
    /// The ids of the entries.
    pub(super) ids: HashSet<u64>,
    /// Whether the log of the server is being read, and whether it is to be read once more afterwards.
    pub(super) is_reading: bool,
    pub(super) read_again: bool,
    /// Whether it is about to get a new epoch.
    pub(super) is_renewing: bool,
    /// When this node last had all of it.
    pub(super) complete_at: SystemTime,
}

/// Where events are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Here: there is no server between nodes.
    SingleNode,
    /// In the server between the nodes, whose log has not been read yet.
    Opening,
    /// In the server.
    Shared,
    /// Here, since the server cannot be reached. Its log is missing so many events that were sent meanwhile.
    Offline { since: SystemTime, missing: u64 },
}

impl Log {
    pub(super) fn new(
        settings: &ResumeConfig,
        server: Option<Arc<Server>>,
        slots: Slots,
        epoch: Epoch,
        path: &str,
        declared_path: &str,
    ) -> Arc<Self> {
        let mode = if server.is_some() { Mode::Opening } else { Mode::SingleNode };
        Arc::new_cyclic(|weak| Self {
            settings: settings.clone(),
            slots,
            path: path.to_owned(),
            declared_path: declared_path.to_owned(),
            server,
            weak: weak.clone(),
            is_ready: Notify::new(),
            state: Mutex::new(State {
                epoch,
                epoch_index: 0,
                mode,
                entries: VecDeque::new(),
                bytes: 0,
                last: 0,
                trimmed: 0,
                overflowed: false,
                checkpoint: 0,
                bytes_since_checkpoint: 0,
                sessions: HashMap::new(),
                by_socket: HashMap::new(),
                namespace: None,
                pending: BTreeMap::new(),
                deferred: Vec::new(),
                waiting: HashMap::new(),
                missed: VecDeque::new(),
                expected: BTreeSet::new(),
                ids: HashSet::new(),
                is_reading: false,
                read_again: false,
                is_renewing: false,
                complete_at: SystemTime::now(),
            }),
            with_offsets: AtomicUsize::new(0),
            without_offsets: AtomicUsize::new(0),
        })
    }

    pub(super) fn declared_path(&self) -> &str {
        &self.declared_path
    }

    /// Counts the sockets that are sent offsets, or those that are not.
    pub(super) fn counter(&self, wants_offsets: bool) -> &AtomicUsize {
        if wants_offsets { &self.with_offsets } else { &self.without_offsets }
    }

    /// For how long a client is waited for.
    pub(crate) fn window(&self) -> Duration {
        self.settings.window
    }

    /// Stores the event with the last number.
    pub(super) fn store(
        &self,
        state: &mut State,
        payload: EncodedPayload,
        audience: Audience,
        id: u64,
        at: Instant,
        time: SystemTime,
    ) {
        let bytes = payload.bytes() + audience.bytes();
        state.entries.push_back(Entry { number: state.last, id, at, time, audience, payload, bytes });
        state.bytes += bytes;
        state.bytes_since_checkpoint += bytes;
        let most = usize::try_from(self.settings.bytes).unwrap_or(usize::MAX);
        while state.entries.len() > self.settings.events || state.bytes > most {
            state.trim_first(true);
        }
        let since_checkpoint = state.last.saturating_sub(state.checkpoint);
        if since_checkpoint >= (self.settings.events as u64 / 4).max(2) || state.bytes_since_checkpoint > most / 4 {
            self.send_checkpoint(state);
        }
    }

    /// Removes the entries that are too old and the sessions of clients that can no longer come back.
    pub(super) fn sweep(&self) {
        let window = self.settings.window;
        let expired = {
            let mut guard = self.state.lock();
            let state = &mut *guard;
            // A client that was cut just now may know a number that is half a window old.
            let oldest = window + window / 2;
            while state.entries.front().is_some_and(|entry| entry.at.elapsed() > oldest) {
                state.trim_first(false);
            }
            if state.entries.is_empty() {
                state.entries.shrink_to(16);
            }
            let expired = self.expire_sessions(state);
            let since_checkpoint = state.entries.partition_point(|entry| entry.number <= state.checkpoint);
            if state.entries.get(since_checkpoint).is_some_and(|entry| entry.at.elapsed() > window / 4) {
                self.send_checkpoint(state);
            }
            expired
        };
        expired.into_iter().for_each(|on_expiry| on_expiry());
    }

    /// Whether nobody may come back to it.
    pub(super) fn is_unused(&self) -> bool {
        self.state.lock().sessions.is_empty()
    }
}

impl State {
    /// Trims the first entry.
    fn trim_first(&mut self, overflowed: bool) {
        if let Some(first) = self.entries.pop_front() {
            self.bytes -= first.bytes;
            self.ids.remove(&first.id);
            (self.trimmed, self.overflowed) = (first.number, overflowed);
        }
    }

    pub(super) fn clear_entries(&mut self) {
        self.entries.clear();
        self.ids.clear();
        (self.bytes, self.bytes_since_checkpoint) = (0, 0);
    }

    /// The offset in the event that tells of a gap, with a zero before the number: a client that presents it has received that event.
    pub(super) fn gap_offset(&self, number: u64) -> String {
        format!("{}:0{number}", self.epoch.as_str())
    }

    pub(super) fn offset(&self, number: u64) -> String {
        let epoch = self.epoch.as_str();
        let mut offset = String::with_capacity(epoch.len() + 9);
        let _ = write!(offset, "{epoch}:{number}");
        offset
    }
}
