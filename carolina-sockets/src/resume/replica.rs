//! How this node's replica of a log follows the log of the server: reading what it lacks, new epochs, and outages of the server.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{
    Log,
    gap::{GAP_EVENT, Gap, GapReason, millis, time},
    log::{Epoch, Mode, State},
    server::Server,
    session::ConnectionState,
    shared::{DELIVERY_TIMEOUT, Deferred},
};
use crate::{
    backplane::{ReadRequest, ReadResponse, StoredEntry},
    engine::{EncodedPayload, EngineNamespace},
    telemetry::{Cause, metric, refused},
};

/// How long to wait for a notification that others have overtaken, before the log is read.
pub(super) const REORDER_DELAY: Duration = Duration::from_millis(20);
/// How long ago an entry may have been appended whose notification still comes.
const IN_FLIGHT_MILLIS: u64 = 10_000;

impl Log {
    /// The namespace is registered: has the log of the server read, before clients come.
    pub(crate) fn open(&self, namespace: &EngineNamespace) {
        self.state.lock().namespace.get_or_insert_with(|| namespace.clone());
        if let Some(server) = self.server.as_ref().filter(|_| !self.path.contains('{')) {
            self.schedule_read(&mut self.state.lock(), server, Duration::ZERO);
        }
    }

    /// Has the log of the server read after a delay, or once more when it is being read.
    pub(super) fn schedule_read(&self, state: &mut State, server: &Server, delay: Duration) {
        if std::mem::replace(&mut state.is_reading, true) {
            state.read_again = true;
        } else {
            server.schedule_read(&self.weak, delay);
        }
    }

    /// The log of the server was read, or could not be.
    fn finish_read(&self, state: &mut State) {
        state.is_reading = false;
        if std::mem::take(&mut state.read_again)
            && let Some(server) = &self.server
        {
            self.schedule_read(state, server, REORDER_DELAY);
        }
    }

    /// Reads what this node lacks of the log of the server, and applies it.
    pub(super) async fn sync(&self, server: &Server) {
        let (epoch, last, missing, since) = {
            let mut state = self.state.lock();
            let (missing, since) = match state.mode {
                Mode::Offline { missing, since } => (missing, since),
                _ => (0, SystemTime::now()),
            };
            state.is_renewing = missing > 0;
            (state.epoch.as_str().to_owned(), state.last, missing, millis(since))
        };
        let renew = (missing > 0).then_some(since);
        let request = ReadRequest { path: &self.path, retention: server.retention, epoch: &epoch, after: last, renew };
        match server.log.read(request).await {
            Ok(response) => {
                let is_first = self.apply_read(response, missing);
                if is_first {
                    server.register_instance(self).await;
                }
            }
            Err(error) => {
                tracing::debug!(%error, path = self.path, "the log of the server was not read");
                let is_opening = {
                    let mut state = self.state.lock();
                    (state.is_reading, state.read_again) = (false, false);
                    state.mode == Mode::Opening
                };
                if is_opening {
                    self.go_offline(0);
                }
            }
        }
        self.state.lock().is_renewing = false;
        self.is_ready.notify_waiters();
    }

    /// Applies what was read. The log of the server was missing so many events when it was asked. Returns whether it was the first time.
    fn apply_read(&self, mut response: ReadResponse, was_missing: u64) -> bool {
        if let Some(server) = &self.server {
            // Entries that are too old are trimmed only when something is appended.
            let is_old = |entry: &StoredEntry| entry.time.saturating_add(server.retention.max_age()) < response.now;
            let old = response.entries.iter().take_while(|entry| is_old(entry)).count();
            if let Some(last) = response.entries.drain(..old).next_back() {
                (response.trimmed, response.overflowed) = (last.number, false);
            }
        }
        let mut guard = self.state.lock();
        let state = &mut *guard;
        self.finish_read(state);
        let was = state.mode;
        let is_same = response.epoch == state.epoch.as_str();
        match was {
            Mode::SingleNode => return false,
            Mode::Shared if is_same => self.apply_entries(state, response.entries, response.last, response.trimmed),
            Mode::Shared => {
                // Nothing is missing up to the last event of this node, unless another node has sent events that are in no log.
                let since = response.since.map_or(state.complete_at, |since| state.complete_at.min(time(since)));
                self.begin_epoch(state, response.epoch, response.trimmed, GapReason::Epoch, since);
                self.apply_entries(state, response.entries, response.last, response.trimmed);
            }
            Mode::Offline { missing, .. } if missing != was_missing => {
                // An event was sent meanwhile that the new epoch does not cover.
                if let Some(server) = &self.server {
                    self.schedule_read(state, server, Duration::ZERO);
                }
                return false;
            }
            Mode::Offline { since, .. } => {
                let renewed = was_missing > 0;
                let after = if renewed { response.trimmed } else { response.last };
                self.begin_epoch(state, response.epoch, after, GapReason::Epoch, since);
                if renewed {
                    self.apply_entries(state, response.entries, response.last, response.trimmed);
                } else {
                    self.load_entries(state, response.entries, response.trimmed, response.overflowed);
                }
            }
            Mode::Opening => {
                (state.epoch, state.mode) = (Epoch::of_server(response.epoch), Mode::Shared);
                (state.last, state.checkpoint, state.complete_at) = (response.last, response.last, SystemTime::now());
                state.epoch_index += 1;
                let recent =
                    response.entries.iter().filter(|entry| entry.time.saturating_add(IN_FLIGHT_MILLIS) >= response.now);
                state.expected = recent.map(|entry| entry.number).collect();
                self.load_entries(state, response.entries, response.trimmed, response.overflowed);
            }
        }
        if was != Mode::Shared {
            let deferred = std::mem::take(&mut state.deferred);
            drop(guard);
            for Deferred { position, received, waiter } in deferred {
                self.accept(position, received, waiter);
            }
        }
        was == Mode::Opening
    }

    /// Stores entries that no client of this node waits for.
    fn load_entries(&self, state: &mut State, entries: Vec<StoredEntry>, trimmed: u64, overflowed: bool) {
        (state.trimmed, state.overflowed) = (trimmed, overflowed);
        let mut next = trimmed + 1;
        for StoredEntry { number, time, entry } in entries {
            if number != next {
                state.clear_entries();
                (state.trimmed, state.overflowed) = (number - 1, true);
            }
            next = number + 1;
            match self.decode(&entry) {
                Ok(received) => {
                    let payload_with_offset = received.payload.with_last(&state.offset(number));
                    let last = std::mem::replace(&mut state.last, number);
                    state.ids.insert(received.id);
                    self.store_received(state, time, received, payload_with_offset);
                    state.last = last;
                }
                Err(reason) => {
                    refused(Cause::BackplanePacket, &format!("an entry of the log of `{}`: {reason}", self.path));
                    state.clear_entries();
                    (state.trimmed, state.overflowed) = (number, true);
                }
            }
        }
        // What cannot be read at the end.
        if next <= state.last {
            state.clear_entries();
            (state.trimmed, state.overflowed) = (state.last, true);
        }
    }

    /// Delivers entries that were read before their notifications came.
    fn apply_entries(&self, state: &mut State, entries: Vec<StoredEntry>, last: u64, trimmed: u64) {
        for StoredEntry { number, time, entry } in entries {
            if number <= state.last {
                continue;
            }
            match self.decode(&entry) {
                Ok(received) => drop(state.pending.entry(number).or_insert((time, received))),
                Err(reason) => {
                    refused(Cause::BackplanePacket, &format!("an entry of the log of `{}`: {reason}", self.path));
                }
            }
        }
        self.deliver_pending(state);
        // What the server does not have any more.
        let end = last.max(trimmed);
        while state.last < end {
            let next = state.pending.keys().next().map_or(end, |next| (next - 1).min(end));
            self.skip_to(state, next);
            self.deliver_pending(state);
        }
        if !state.pending.is_empty()
            && let Some(server) = &self.server
        {
            self.schedule_read(state, server, REORDER_DELAY);
        }
    }

    /// Goes on behind this number: the events up to it are lost.
    fn skip_to(&self, state: &mut State, to: u64) {
        let since = state.complete_at;
        state.clear_entries();
        (state.last, state.trimmed, state.overflowed) = (to, to, true);
        self.send_gap(state, GapReason::Overflow, since);
    }

    /// The log of the server has another epoch: the offsets that clients know are not valid any more.
    fn begin_epoch(&self, state: &mut State, epoch: String, last: u64, reason: GapReason, since: SystemTime) {
        state.clear_entries();
        state.pending.clear();
        state.waiting.clear();
        state.expected.clear();
        state.missed.clear();
        (state.epoch, state.mode) = (Epoch::of_server(epoch), Mode::Shared);
        (state.last, state.trimmed, state.overflowed, state.checkpoint) = (last, last, false, last);
        state.complete_at = SystemTime::now();
        state.epoch_index += 1;
        self.send_gap(state, reason, since);
        self.schedule_all_writes(state);
    }

    /// Tells the clients that are connected of a gap.
    fn send_gap(&self, state: &mut State, reason: GapReason, since: SystemTime) {
        let gap = Gap::new(reason, Some(since));
        let offset = state.gap_offset(state.last);
        let (Some(namespace), Ok(event)) = (state.namespace.clone(), EncodedPayload::event(GAP_EVENT, &gap)) else {
            return;
        };
        let event = event.with_last(&offset);
        let (last, epoch_index) = (state.last, state.epoch_index);
        for (pid, session) in &mut state.sessions {
            let ConnectionState::Connected { id, raw, resuming: None } = &session.connection else { continue };
            let Some(raw) = raw.upgrade().filter(|_| state.by_socket.get(id) == Some(pid)) else { continue };
            (session.start, session.gap, session.epoch_index) = (last, Some(gap), epoch_index);
            metric::resumed(reason.label());
            if namespace.emit_to_one(&raw, &event).is_err() {
                raw.cut();
            }
        }
    }

    /// From now on events are numbered here. The log of the server is missing so many of them already.
    pub(super) fn go_offline(&self, more: u64) {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        match &mut state.mode {
            Mode::SingleNode => {}
            Mode::Offline { missing, .. } => *missing += more,
            Mode::Opening | Mode::Shared => {
                state.mode = Mode::Offline { since: state.complete_at, missing: more };
                state.epoch = Epoch::new(rand::random(), 0);
                state.epoch_index += 1;
                state.clear_entries();
                state.pending.clear();
                state.waiting.clear();
                (state.last, state.trimmed, state.checkpoint) = (0, 0, 0);
                let epoch_index = state.epoch_index;
                for session in state.sessions.values_mut() {
                    if let ConnectionState::Connected { resuming: None, .. } = session.connection {
                        (session.start, session.gap, session.epoch_index) = (0, None, epoch_index);
                    }
                }
                let deferred = std::mem::take(&mut state.deferred);
                drop(guard);
                // An emit that waits for one of them numbers its event here then.
                drop(deferred);
                self.is_ready.notify_waiters();
            }
        }
    }

    /// The server is reached, after another connection if `is_new`.
    pub(super) fn catch_up(&self, is_new: bool) {
        let Some(server) = self.server.as_ref().filter(|_| !self.path.contains('{')) else { return };
        let mut state = self.state.lock();
        if is_new || matches!(state.mode, Mode::Offline { .. } | Mode::Opening) {
            self.schedule_read(&mut state, server, Duration::ZERO);
        }
        if is_new {
            self.schedule_all_writes(&state);
        }
    }

    /// Reads the log if the server has more of it than this node.
    pub(super) fn compare(&self, head: Option<(&str, u64)>) {
        let Some(server) = &self.server else { return };
        let mut state = self.state.lock();
        if state.mode == Mode::Shared && head != Some((state.epoch.as_str(), state.last)) {
            self.schedule_read(&mut state, server, REORDER_DELAY);
        }
    }

    /// Waits while the log of the server gets a new epoch, which is to cover whatever was sent here alone.
    pub(super) async fn wait_renewed(&self) {
        let until = Instant::now() + DELIVERY_TIMEOUT;
        loop {
            let ready = self.is_ready.notified();
            tokio::pin!(ready);
            ready.as_mut().enable();
            if !self.state.lock().is_renewing || tokio::time::timeout_at(until, ready).await.is_err() {
                return;
            }
        }
    }

    /// Waits until the log has been read.
    pub(super) async fn wait_open(&self) {
        let until = Instant::now() + DELIVERY_TIMEOUT;
        loop {
            let ready = self.is_ready.notified();
            tokio::pin!(ready);
            ready.as_mut().enable();
            if self.state.lock().mode != Mode::Opening {
                return;
            }
            if tokio::time::timeout_at(until, ready).await.is_err() {
                return self.go_offline(0);
            }
        }
    }
}
