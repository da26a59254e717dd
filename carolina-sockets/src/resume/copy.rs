//! How a node keeps its copy of a log like the one of the server: what it lacks, other epochs, and the server's absence.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{
    Log,
    log::{GAP, Mode, State},
    server::Server,
    session::{Epoch, Gap, Place, Reason, millis, time},
    shared::{Early, PATIENCE},
};
use crate::{
    backplane::{Copied, ReadRequest, Stored},
    engine::EncodedPayload,
    telemetry::{Cause, metric, refused},
};

/// How long a missing event may take to come by itself.
pub(super) const OVERTAKEN: Duration = Duration::from_millis(20);
/// How long ago an event may have been appended that still comes.
const UNDER_WAY: u64 = 10_000;

impl Log {
    /// Reads what this node lacks of the log of the server.
    pub(super) async fn copy(&self, server: &Server) {
        let (epoch, last, lost, since) = {
            let mut state = self.state.lock();
            let (lost, since) = match state.mode {
                Mode::Away { lost, since } => (lost, since),
                _ => (0, SystemTime::now()),
            };
            state.is_renewing = lost > 0;
            (state.epoch.as_str().to_owned(), state.last, lost, millis(since))
        };
        let renew = (lost > 0).then_some(since);
        let request = ReadRequest { path: &self.path, bounds: server.bounds, epoch: &epoch, after: last, renew };
        match server.log.copy(request).await {
            Ok(copied) => {
                let is_first = self.copied(copied, lost);
                if is_first {
                    server.tell_instance(self).await;
                }
            }
            Err(error) => {
                tracing::debug!(%error, path = self.path, "the log of the server was not read");
                let is_opening = {
                    let mut state = self.state.lock();
                    (state.is_copying, state.copy_again) = (false, false);
                    state.mode == Mode::Opening
                };
                if is_opening {
                    self.go_away(0);
                }
            }
        }
        self.state.lock().is_renewing = false;
        self.is_ready.notify_waiters();
    }

    /// Applies what was read, when the log of the server lacked so many events. Returns whether it was the first time.
    fn copied(&self, mut copied: Copied, lacked: u64) -> bool {
        if let Some(server) = &self.server {
            // They are there until something is appended.
            let is_old = |entry: &Stored| entry.time.saturating_add(server.bounds.age()) < copied.now;
            let old = copied.entries.iter().take_while(|entry| is_old(entry)).count();
            if let Some(last) = copied.entries.drain(..old).next_back() {
                (copied.removed, copied.overflowed) = (last.number, false);
            }
        }
        let mut guard = self.state.lock();
        let state = &mut *guard;
        self.end_copy(state);
        let was = state.mode;
        let is_same = copied.epoch == state.epoch.as_str();
        match was {
            Mode::Alone => return false,
            Mode::Shared if is_same => self.go_on(state, copied.entries, copied.last, copied.removed),
            Mode::Shared => {
                // What this node has got last is not missing, unless another one knows of something that is.
                let since = copied.since.map_or(state.known, |since| state.known.min(time(since)));
                self.begin_epoch(state, copied.epoch, copied.removed, Reason::Epoch, since);
                self.go_on(state, copied.entries, copied.last, copied.removed);
            }
            Mode::Away { lost, .. } if lost != lacked => {
                // One has been added that the new epoch does not cover.
                if let Some(server) = &self.server {
                    self.want_copy(state, server, Duration::ZERO);
                }
                return false;
            }
            Mode::Away { since, .. } => {
                let renewed = lacked > 0;
                let known = if renewed { copied.removed } else { copied.last };
                self.begin_epoch(state, copied.epoch, known, Reason::Epoch, since);
                if renewed {
                    self.go_on(state, copied.entries, copied.last, copied.removed);
                } else {
                    self.keep_read(state, copied.entries, copied.removed, copied.overflowed);
                }
            }
            Mode::Opening => {
                (state.epoch, state.mode) = (Epoch::of_server(copied.epoch), Mode::Shared);
                (state.last, state.marked, state.known) = (copied.last, copied.last, SystemTime::now());
                state.turn += 1;
                let recent = copied.entries.iter().filter(|entry| entry.time.saturating_add(UNDER_WAY) >= copied.now);
                state.unseen = recent.map(|entry| entry.number).collect();
                self.keep_read(state, copied.entries, copied.removed, copied.overflowed);
            }
        }
        if was != Mode::Shared {
            let early = std::mem::take(&mut state.early);
            drop(guard);
            for Early { at, arrived, waiter } in early {
                self.arrive(at, arrived, waiter);
            }
        }
        was == Mode::Opening
    }

    /// Keeps entries that no client of this node waits for.
    fn keep_read(&self, state: &mut State, entries: Vec<Stored>, removed: u64, overflowed: bool) {
        (state.removed, state.overflowed) = (removed, overflowed);
        let mut next = removed + 1;
        for Stored { number, time, entry } in entries {
            if number != next {
                state.clear_entries();
                (state.removed, state.overflowed) = (number - 1, true);
            }
            next = number + 1;
            match self.read(&entry) {
                Ok(arrived) => {
                    let longer = arrived.payload.with_last(&state.offset(number));
                    let last = std::mem::replace(&mut state.last, number);
                    state.ids.insert(arrived.id);
                    self.keep_arrived(state, time, arrived, longer);
                    state.last = last;
                }
                Err(reason) => {
                    refused(Cause::BackplanePacket, &format!("an entry of the log of `{}`: {reason}", self.path));
                    state.clear_entries();
                    (state.removed, state.overflowed) = (number, true);
                }
            }
        }
        // What cannot be read at the end.
        if next <= state.last {
            state.clear_entries();
            (state.removed, state.overflowed) = (state.last, true);
        }
    }

    /// Delivers what was read and has not come.
    fn go_on(&self, state: &mut State, entries: Vec<Stored>, last: u64, removed: u64) {
        for Stored { number, time, entry } in entries {
            if number <= state.last {
                continue;
            }
            match self.read(&entry) {
                Ok(arrived) => drop(state.pending.entry(number).or_insert((time, arrived))),
                Err(reason) => {
                    refused(Cause::BackplanePacket, &format!("an entry of the log of `{}`: {reason}", self.path));
                }
            }
        }
        self.deliver_pending(state);
        // What the server has no more.
        let end = last.max(removed);
        while state.last < end {
            let next = state.pending.keys().next().map_or(end, |next| (next - 1).min(end));
            self.skip(state, next);
            self.deliver_pending(state);
        }
        if !state.pending.is_empty()
            && let Some(server) = &self.server
        {
            self.want_copy(state, server, OVERTAKEN);
        }
    }

    /// Events up to this number are lost.
    fn skip(&self, state: &mut State, to: u64) {
        let since = state.known;
        state.clear_entries();
        (state.last, state.removed, state.overflowed) = (to, to, true);
        self.tell_gap(state, Reason::Overflow, since);
    }

    /// The log of the server has another epoch: what clients know is worth nothing any more.
    fn begin_epoch(&self, state: &mut State, epoch: String, last: u64, reason: Reason, since: SystemTime) {
        state.clear_entries();
        state.pending.clear();
        state.waiting.clear();
        state.unseen.clear();
        state.missed.clear();
        (state.epoch, state.mode) = (Epoch::of_server(epoch), Mode::Shared);
        (state.last, state.removed, state.overflowed, state.marked) = (last, last, false, last);
        state.known = SystemTime::now();
        state.turn += 1;
        self.tell_gap(state, reason, since);
        self.touch_every(state);
    }

    /// Tells the clients that are here of a gap.
    fn tell_gap(&self, state: &mut State, reason: Reason, since: SystemTime) {
        let gap = Gap::new(reason, Some(since));
        let offset = state.gap_offset(state.last);
        let (Some(namespace), Ok(event)) = (state.namespace.clone(), EncodedPayload::event(GAP, &gap)) else { return };
        let event = event.with_last(&offset);
        let (last, turn) = (state.last, state.turn);
        for (pid, session) in &mut state.sessions {
            let Place::On { id, raw, back: None } = &session.place else { continue };
            let Some(raw) = raw.upgrade().filter(|_| state.by_socket.get(id) == Some(pid)) else { continue };
            (session.start, session.gap, session.turn) = (last, Some(gap), turn);
            metric::resumed(reason.label());
            if namespace.emit_to_one(&raw, &event).is_err() {
                raw.cut();
            }
        }
    }

    /// From now on events are numbered here. The log of the server lacks so many of them already.
    pub(super) fn go_away(&self, more: u64) {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        match &mut state.mode {
            Mode::Alone => {}
            Mode::Away { lost, .. } => *lost += more,
            Mode::Opening | Mode::Shared => {
                state.mode = Mode::Away { since: state.known, lost: more };
                state.epoch = Epoch::new(rand::random(), 0);
                state.turn += 1;
                state.clear_entries();
                state.pending.clear();
                state.waiting.clear();
                (state.last, state.removed, state.marked) = (0, 0, 0);
                let turn = state.turn;
                for session in state.sessions.values_mut() {
                    if let Place::On { back: None, .. } = session.place {
                        (session.start, session.gap, session.turn) = (0, None, turn);
                    }
                }
                let early = std::mem::take(&mut state.early);
                drop(guard);
                // Those that wait for their own are told to send it here.
                drop(early);
                self.is_ready.notify_waiters();
            }
        }
    }

    /// The server is reached, after another connection if `is_new`.
    pub(super) fn catch_up(&self, is_new: bool) {
        let Some(server) = self.server.as_ref().filter(|_| !self.path.contains('{')) else { return };
        let mut state = self.state.lock();
        if is_new || matches!(state.mode, Mode::Away { .. } | Mode::Opening) {
            self.want_copy(&mut state, server, Duration::ZERO);
        }
        if is_new {
            self.touch_every(&state);
        }
    }

    /// Reads the log if the server has more of it than this node.
    pub(super) fn compare(&self, head: Option<(&str, u64)>) {
        let Some(server) = &self.server else { return };
        let mut state = self.state.lock();
        if state.mode == Mode::Shared && head != Some((state.epoch.as_str(), state.last)) {
            self.want_copy(&mut state, server, OVERTAKEN);
        }
    }

    /// Waits while the log of the server gets a new epoch, which is to cover whatever was sent here alone.
    pub(super) async fn renewed(&self) {
        let until = Instant::now() + PATIENCE;
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
    pub(super) async fn ready(&self) {
        let until = Instant::now() + PATIENCE;
        loop {
            let ready = self.is_ready.notified();
            tokio::pin!(ready);
            ready.as_mut().enable();
            if self.state.lock().mode != Mode::Opening {
                return;
            }
            if tokio::time::timeout_at(until, ready).await.is_err() {
                return self.go_away(0);
            }
        }
    }
}
