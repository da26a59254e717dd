//! A log whose events are numbered by the server between the nodes.
//!
//! Each node has a copy of it, and delivers an event when that comes from the server, in the order of the numbers: what is missing is read. While the server is
//! away, events are numbered here, in an epoch of their own, and reach this node's clients alone. When it is back, the log of the server gets a new epoch, so
//! that nobody takes what was sent meanwhile for nothing.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{sync::oneshot, time::Instant};

use super::{
    Log,
    copy::OVERTAKEN,
    entry::{Arrived, Audience, Written},
    log::{Mode, State},
    server::Server,
    session::{Asking, Place, time},
};
use crate::{
    backplane::{At, News, record_lost},
    engine::{EncodedPayload, EngineNamespace, EngineSocket, Recipients, SendError},
    telemetry::{Cause, metric, refused, undelivered},
};

/// How long an emit waits until its event has come back, and a client until the log has been read.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// What waits for an event to be delivered: it is told how many clients have missed it.
pub(super) type Waiter = oneshot::Sender<usize>;

/// What has come before the log was read.
pub(super) struct Early {
    pub(super) at: At,
    pub(super) arrived: Arrived,
    pub(super) waiter: Option<Waiter>,
}

impl Log {
    /// Whether the server between the nodes numbers its events.
    pub(crate) fn is_shared(&self) -> bool {
        self.server.is_some()
    }

    /// This process, for the server.
    pub(super) fn node(&self) -> u64 {
        self.server.as_ref().map_or(0, |server| server.log.node())
    }

    /// The namespace is there: the log of the server is read, for whoever comes.
    pub(crate) fn open(&self, namespace: &EngineNamespace) {
        self.state.lock().namespace.get_or_insert_with(|| namespace.clone());
        if let Some(server) = self.server.as_ref().filter(|_| !self.path.contains('{')) {
            self.want_copy(&mut self.state.lock(), server, Duration::ZERO);
        }
    }

    pub(super) fn want_copy(&self, state: &mut State, server: &Server, later: Duration) {
        if std::mem::replace(&mut state.is_copying, true) {
            state.copy_again = true;
        } else {
            server.want(&self.me, later);
        }
    }

    /// The log of the server was read, or could not be.
    pub(super) fn end_copy(&self, state: &mut State) {
        state.is_copying = false;
        if std::mem::take(&mut state.copy_again)
            && let Some(server) = &self.server
        {
            self.want_copy(state, server, OVERTAKEN);
        }
    }

    /// Sends an event to the clients of all nodes, and keeps it. Returns how many clients of this node missed it that cannot resume.
    pub(crate) async fn emit(
        &self,
        namespace: &EngineNamespace,
        payload: &EncodedPayload,
        recipients: &Recipients,
    ) -> usize {
        let Some(server) = &self.server else { return self.broadcast(namespace, payload, recipients) };
        self.renewed().await;
        let written = {
            let state = self.state.lock();
            let but = recipients.left_out().and_then(|socket| state.by_socket.get(&socket)).map(|pid| pid.to_string());
            (!matches!(state.mode, Mode::Away { .. })).then(|| Written::of(payload, recipients, but, server.log.node()))
        };
        let missed = match written {
            Some(written) => self.append(server, written).await,
            None => {
                if !recipients.is_local() {
                    record_lost(&"the log of the backplane's server is away");
                }
                None
            }
        };
        missed.unwrap_or_else(|| self.broadcast(namespace, payload, recipients))
    }

    /// Sends an event to one client that has asked for offsets, and keeps it.
    ///
    /// # Errors
    ///
    /// When it has left.
    pub(crate) async fn emit_to(
        &self,
        namespace: &EngineNamespace,
        asking: &Asking,
        raw: &EngineSocket,
        payload: &EncodedPayload,
    ) -> Result<(), SendError> {
        let (Some(server), Some(pid)) = (&self.server, asking.pid.get()) else {
            return self.emit_to_one(namespace, asking, raw, payload);
        };
        self.renewed().await;
        if !matches!(self.state.lock().mode, Mode::Away { .. })
            && self.append(server, Written::for_one(payload, pid)).await.is_some()
        {
            return Ok(());
        }
        self.emit_to_one(namespace, asking, raw, payload)
    }

    /// Whether a client takes more at present.
    ///
    /// # Errors
    ///
    /// When it does not, or has left.
    pub(crate) fn check_room(&self, asking: &Asking, raw: &EngineSocket) -> Result<(), SendError> {
        if self.state.lock().by_socket.get(&raw.id()) != asking.pid.get() || !raw.is_connected() {
            return Err(SendError::Closed);
        }
        if raw.is_blocked() { Err(SendError::Full) } else { Ok(()) }
    }

    /// Appends an event to the log of the server, and waits until it has come back. `None` if events are numbered here.
    async fn append(&self, server: &Server, written: Written) -> Option<usize> {
        let at = match server.append(&self.path, &written.text()).await {
            Ok(at) => at,
            Err(error) => {
                record_lost(&error);
                self.go_away(0);
                return None;
            }
        };
        let (waiter, delivered) = oneshot::channel();
        let arrived = written.into_arrived().ok()?;
        if !self.arrive(at, arrived, Some(waiter)) {
            return None;
        }
        match tokio::time::timeout(PATIENCE, delivered).await {
            Ok(Ok(missed)) => Some(missed),
            // The server went away before it had come.
            _ => (!matches!(self.state.lock().mode, Mode::Away { .. })).then_some(0),
        }
    }

    /// Sends an event to this node's clients that is not in the log. Those that have asked get it with the last offset.
    pub(crate) fn pass_on(
        &self,
        namespace: &EngineNamespace,
        payload: &EncodedPayload,
        recipients: &Recipients,
    ) -> usize {
        let state = self.state.lock();
        let longer = payload.with_last(&state.offset(state.last));
        self.send(&state, namespace, payload, &longer, recipients)
    }

    /// Takes what the server tells.
    pub(crate) fn hear(&self, news: News) {
        let News { path, at, entry } = news;
        {
            let mut state = self.state.lock();
            let is_known = state.mode == Mode::Shared
                && state.epoch.as_str() == at.epoch
                && at.number <= state.last
                && !state.unseen.contains(&at.number);
            if is_known || matches!(state.mode, Mode::Alone | Mode::Away { .. }) {
                return;
            }
            let Some(server) = &self.server else { return };
            if entry.is_none() {
                if at.number == 0 && at.epoch == state.epoch.as_str() {
                    return;
                }
                return self.want_copy(&mut state, server, Duration::ZERO);
            }
        }
        match entry.as_deref().map(|entry| self.read(entry)) {
            Some(Ok(arrived)) => drop(self.arrive(at, arrived, None)),
            Some(Err(reason)) => refused(Cause::BackplanePacket, &format!("an entry of the log of `{path}`: {reason}")),
            None => {}
        }
    }

    /// Reads an entry, unless it is older than any that is kept.
    pub(super) fn read(&self, entry: &str) -> Result<Arrived, String> {
        Written::read(entry, self.settings.window + self.settings.window / 2)
    }

    /// An event has come. `false` if events are numbered here.
    pub(super) fn arrive(&self, at: At, arrived: Arrived, waiter: Option<Waiter>) -> bool {
        let Some(server) = &self.server else { return false };
        let mut guard = self.state.lock();
        let state = &mut *guard;
        match state.mode {
            Mode::Alone | Mode::Away { .. } => return false,
            Mode::Opening => {
                if state.early.len() <= self.settings.events {
                    state.early.push(Early { at, arrived, waiter });
                }
                return true;
            }
            Mode::Shared => {}
        }
        if at.epoch != state.epoch.as_str() {
            self.want_copy(state, server, Duration::ZERO);
            return true;
        }
        let number = at.number;
        if number <= state.last {
            if state.unseen.remove(&number)
                && let (Some(recipients), Some(namespace)) = (arrived.recipients(), state.namespace.clone())
                && self.is_here(&arrived.audience)
            {
                let missed = self.send_plain(&namespace, &arrived.payload, &recipients);
                self.count(state, number, missed);
            }
            if let Some(waiter) = waiter {
                let missed = state.missed.iter().find(|(of, _)| *of == number).map_or(0, |(_, missed)| *missed);
                // It may have given up.
                let _ = waiter.send(missed);
            }
            return true;
        }
        if let Some(waiter) = waiter {
            state.waiting.insert(number, waiter);
        }
        state.pending.entry(number).or_insert((at.time, arrived));
        self.deliver_pending(state);
        if !state.pending.is_empty() {
            if state.pending.len() > self.settings.events {
                state.pending.clear();
            }
            self.want_copy(state, server, OVERTAKEN);
        }
        true
    }

    /// Whether an event is for clients of this node.
    fn is_here(&self, audience: &Audience) -> bool {
        !matches!(audience, Audience::Rooms { node: Some(node), .. } if *node != self.node())
    }

    pub(super) fn deliver_pending(&self, state: &mut State) {
        while let Some((time, arrived)) = state.pending.remove(&(state.last + 1)) {
            self.deliver(state, time, arrived);
        }
        let last = state.last;
        state.pending.retain(|number, _| *number > last);
    }

    /// Sends this node's clients the next event, and keeps it.
    fn deliver(&self, state: &mut State, sent: u64, arrived: Arrived) {
        state.last += 1;
        state.known = time(sent);
        let number = state.last;
        let longer = arrived.payload.with_last(&state.offset(number));
        let mut missed = 0;
        if !state.ids.insert(arrived.id) {
            refused(Cause::BackplanePacket, &format!("an entry of the log of `{}` that is there twice", self.path));
        } else {
            if let Some(namespace) = state.namespace.clone().filter(|_| self.is_here(&arrived.audience)) {
                match (&arrived.audience, arrived.recipients()) {
                    (Audience::One(pid), _) => self.deliver_to_one(state, &namespace, pid, &longer),
                    (_, Some(recipients)) => {
                        missed = self.send(state, &namespace, &arrived.payload, &longer, &recipients);
                    }
                    (_, None) => {}
                }
            }
            self.keep_arrived(state, sent, arrived, longer);
        }
        self.count(state, number, missed);
        if let Some(waiter) = state.waiting.remove(&number) {
            // It may have given up.
            let _ = waiter.send(missed);
        }
    }

    pub(super) fn keep_arrived(&self, state: &mut State, sent: u64, arrived: Arrived, longer: EncodedPayload) {
        let sent = time(sent);
        let ago = SystemTime::now().duration_since(sent).unwrap_or_default();
        let at = Instant::now().checked_sub(ago).unwrap_or_else(Instant::now);
        self.keep_since(state, longer, arrived.audience, arrived.id, at, sent);
    }

    fn deliver_to_one(&self, state: &State, namespace: &EngineNamespace, pid: &Arc<str>, event: &EncodedPayload) {
        let Some(Place::On { id, raw, back: None }) = state.sessions.get(pid).map(|session| &session.place) else {
            return;
        };
        if state.by_socket.get(id) == Some(pid)
            && let Some(raw) = raw.upgrade()
            && matches!(namespace.emit_to_one(&raw, event), Err(SendError::Full))
        {
            // It gets it when it comes back.
            raw.cut();
        }
    }

    /// Counts the clients that have missed an event, for whoever asks later too.
    fn count(&self, state: &mut State, number: u64, missed: usize) {
        if missed == 0 {
            return;
        }
        metric::missed(self.of(), missed);
        let of = self.of();
        undelivered(
            Cause::Missed,
            &format!("an event on `{of}` missed clients whose buffers are full ({missed} of them)"),
        );
        state.missed.push_back((number, missed));
        if state.missed.len() > 64 {
            state.missed.pop_front();
        }
    }
}
