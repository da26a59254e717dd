use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt::Write,
    sync::{Arc, atomic::AtomicUsize, atomic::Ordering},
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    entry::{Audience, Entry},
    session::{Asking, Cut, Gap, Owner, Place, Reason, Resumption, Session},
};
use crate::{
    config::ResumeConfig,
    engine::{EncodedPayload, EngineNamespace, EngineSocket, NoArguments, Recipients, SendError, SocketId},
    telemetry::metric,
};

/// The room of sockets that are sent offsets.
const WITH: &str = "\0resume";
/// The room of sockets that are not, or not yet.
const WITHOUT: &str = "\0plain";

/// The event that tells a client an offset, and nothing else.
const OFFSET: &str = "carolina:offset";
/// The event that tells a client what it has missed for good.
const GAP: &str = "carolina:gap";

/// The events of one channel, and the clients that may come back to it.
pub(crate) struct Log {
    settings: ResumeConfig,
    has_nodes: bool,
    most_waiting: usize,
    /// What numbers are counted in: another one after each start.
    epoch: String,
    state: Mutex<State>,
    /// How many sockets are sent offsets, and how many are not.
    with: AtomicUsize,
    without: AtomicUsize,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
    /// The number of the last event.
    last: u64,
    /// Events up to this number are not kept any more.
    removed: u64,
    /// Whether the last of them was removed for want of room, and not for its age.
    overflowed: bool,
    /// The number that clients were last told, whatever else they got, and what has come since.
    marked: u64,
    unmarked_bytes: usize,
    sessions: HashMap<Arc<str>, Session>,
    /// The `pid`s of the sockets that are on the channel.
    by_socket: HashMap<SocketId, Arc<str>>,
    /// How many clients are away.
    away: usize,
    /// To tell an offset when there is nothing else to send.
    namespace: Option<EngineNamespace>,
}

/// How far a client that comes in has been given what it is to have.
pub(crate) struct Progress {
    pid: Arc<str>,
    /// The last event that it was given or need not be.
    position: u64,
    rooms: HashSet<String>,
    events: usize,
    since: Option<SystemTime>,
    gap: Option<Gap>,
    is_answered: bool,
    /// Its former socket, if that is still there.
    pub(crate) former: Option<SocketId>,
}

/// Whether a client is in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Done,
    /// Its buffer has no room at present.
    Full,
    /// It has left meanwhile.
    Left,
    /// It cannot be let in.
    Failed,
}

impl Log {
    pub(super) fn new(settings: &ResumeConfig, has_nodes: bool, most_waiting: usize) -> Self {
        Self {
            settings: settings.clone(),
            has_nodes,
            most_waiting,
            epoch: format!("{:016x}", rand::random::<u64>()),
            state: Mutex::default(),
            with: AtomicUsize::new(0),
            without: AtomicUsize::new(0),
        }
    }

    pub(super) fn counter(&self, asks: bool) -> &AtomicUsize {
        if asks { &self.with } else { &self.without }
    }

    /// For how long a client is waited for.
    pub(crate) fn window(&self) -> Duration {
        self.settings.window
    }

    /// A socket comes in: until it has entered, no broadcast reaches it if its client has asked for offsets.
    pub(crate) fn prepare(asking: &Asking, raw: &EngineSocket) {
        if asking.asks() {
            raw.join(vec![WITHOUT.to_owned(), WITH.to_owned()]);
        } else {
            raw.join(vec![WITHOUT.to_owned()]);
        }
    }

    /// Sends an event to this node's clients and keeps it. Returns how many clients missed it that cannot resume.
    pub(crate) fn broadcast(
        &self,
        namespace: &EngineNamespace,
        payload: &EncodedPayload,
        recipients: &Recipients,
    ) -> usize {
        let mut state = self.state.lock();
        if state.sessions.is_empty() && self.with.load(Ordering::Acquire) == 0 {
            return namespace.emit_here(payload, recipients);
        }
        let number = state.last + 1;
        let longer = payload.with_last(&self.offset(number));
        let but = recipients.left_out().and_then(|socket| state.by_socket.get(&socket).cloned());
        let missed = match self.without.load(Ordering::Acquire) {
            0 => 0,
            _ => {
                let mut without = recipients.clone();
                without.exclude_rooms(vec![WITH.to_owned()]);
                namespace.emit_here(payload, &without)
            }
        };
        if !state.by_socket.is_empty() {
            let mut with = recipients.clone();
            with.exclude_rooms(vec![WITHOUT.to_owned()]);
            let missed = namespace.emit_here(&longer, &with);
            if missed > 0 {
                cut(&state, namespace, &with, missed);
            }
        }
        self.keep(&mut state, longer, Audience::of(recipients, but));
        missed
    }

    /// Sends an event to one client that has asked for offsets, and keeps it if there was room.
    pub(crate) fn emit_to_one(
        &self,
        namespace: &EngineNamespace,
        asking: &Asking,
        raw: &EngineSocket,
        payload: &EncodedPayload,
    ) -> Result<(), SendError> {
        let Some(pid) = asking.pid.get() else { return Err(SendError::Closed) };
        let mut state = self.state.lock();
        if state.by_socket.get(&raw.id()) != Some(pid) || !raw.is_connected() {
            return Err(SendError::Closed);
        }
        let longer = payload.with_last(&self.offset(state.last + 1));
        namespace.emit_to_one(raw, &longer)?;
        self.keep(&mut state, longer, Audience::One(pid.clone()));
        Ok(())
    }

    fn offset(&self, number: u64) -> String {
        let mut offset = String::with_capacity(self.epoch.len() + 8);
        let _ = write!(offset, "{}:{number}", self.epoch);
        offset
    }

    fn keep(&self, state: &mut State, payload: EncodedPayload, audience: Audience) {
        state.last += 1;
        let bytes = payload.bytes() + audience.bytes();
        let (at, time) = (Instant::now(), SystemTime::now());
        state.entries.push_back(Arc::new(Entry { number: state.last, at, time, audience, payload, bytes }));
        state.bytes += bytes;
        state.unmarked_bytes += bytes;
        let most = usize::try_from(self.settings.bytes).unwrap_or(usize::MAX);
        while state.entries.len() > self.settings.events || state.bytes > most {
            let Some(first) = state.entries.pop_front() else { break };
            state.bytes -= first.bytes;
            (state.removed, state.overflowed) = (first.number, true);
        }
        // A client that gets few of a channel's events has to know a number that is not too old.
        let unmarked = state.last - state.marked;
        if unmarked >= (self.settings.events as u64 / 4).max(2) || state.unmarked_bytes > most / 4 {
            self.mark(state);
        }
    }

    /// Tells all clients the number of the last event.
    fn mark(&self, state: &mut State) {
        state.marked = state.last;
        state.unmarked_bytes = 0;
        if let Some(namespace) = state.namespace.clone()
            && let Ok(event) = EncodedPayload::event(OFFSET, &NoArguments)
        {
            let mut with = Recipients::all();
            with.exclude_rooms(vec![WITHOUT.to_owned()]);
            // Who has no room for it gets another one later.
            namespace.emit_here(&event.with_last(&self.offset(state.last)), &with);
        }
    }

    /// Decides whether a client resumes. What it is to have is given by [`step`](Self::step).
    pub(crate) fn begin(
        &self,
        namespace: &EngineNamespace,
        asking: &Asking,
        raw: &EngineSocket,
        owner: Owner,
    ) -> Option<Progress> {
        let asks = asking.asks.as_ref()?;
        let mut guard = self.state.lock();
        let state = &mut *guard;
        state.namespace.get_or_insert_with(|| namespace.clone());
        let found = asks.pid.as_deref().map(|pid| self.find(state, pid, asks.offset.as_deref(), &owner));
        let place = Place::On { id: raw.id(), raw: raw.downgrade() };
        let progress = match found {
            Some(Ok((pid, position, since, rooms, former))) => {
                if let Some(session) = state.sessions.get_mut(&pid) {
                    if matches!(session.place, Place::Away { .. }) {
                        state.away -= 1;
                    }
                    (session.place, session.owner) = (place, owner);
                }
                if let Some(former) = former {
                    state.by_socket.remove(&former);
                }
                Progress { pid, position, rooms, events: 0, since: Some(since), gap: None, is_answered: false, former }
            }
            other => {
                let gap = other.and_then(Result::err);
                let pid: Arc<str> = format!("{:032x}", rand::random::<u128>()).into();
                state.sessions.insert(pid.clone(), Session { owner, start: state.last, gap, place });
                Progress {
                    pid,
                    position: state.last,
                    rooms: HashSet::new(),
                    events: 0,
                    since: None,
                    gap,
                    is_answered: false,
                    former: None,
                }
            }
        };
        let _ = asking.pid.set(progress.pid.clone());
        if let Some(reason) = progress.gap.map(|gap| gap.reason.label()).or(progress.since.map(|_| "resumed")) {
            metric::resumed(reason);
        }
        Some(progress)
    }

    /// The client that has presented a `pid`.
    #[expect(clippy::type_complexity, reason = "the parts of a progress")]
    fn find(
        &self,
        state: &State,
        pid: &str,
        offset: Option<&str>,
        owner: &Owner,
    ) -> Result<(Arc<str>, u64, SystemTime, HashSet<String>, Option<SocketId>), Gap> {
        let (epoch, number) = match offset.map(|offset| offset.split_once(':')) {
            None => (self.epoch.as_str(), None),
            Some(Some((epoch, number))) => (epoch, number.parse::<u64>().ok()),
            Some(None) => ("", None),
        };
        let gap = |reason, since: Option<SystemTime>| {
            let since = since.and_then(|since| since.duration_since(SystemTime::UNIX_EPOCH).ok());
            Gap { reason, since: since.and_then(|since| u64::try_from(since.as_millis()).ok()) }
        };
        let Some((pid, session)) = state.sessions.get_key_value(pid) else {
            let is_known = epoch == self.epoch;
            let elsewhere = if self.has_nodes { Reason::Node } else { Reason::Epoch };
            return Err(gap(if is_known { Reason::Expired } else { elsewhere }, None));
        };
        // To another, nothing is told of it, not even since when.
        if session.owner != *owner {
            return Err(gap(Reason::Identity, None));
        }
        let (since, rooms, former) = match &session.place {
            Place::Ended { time, reason, .. } => return Err(gap(*reason, Some(*time))),
            Place::Away { since, time, .. } if since.elapsed() > self.settings.window => {
                return Err(gap(Reason::Expired, Some(*time)));
            }
            Place::Away { time, rooms, .. } => (*time, rooms.clone(), None),
            Place::On { id, raw } => {
                let rooms = raw.upgrade().map(|raw| raw.rooms()).unwrap_or_default();
                (SystemTime::now(), own_rooms(rooms), Some(*id))
            }
        };
        // Its connection was cut between the answer and the gap.
        if let Some(untold) = session.gap.filter(|_| number.is_none_or(|number| number < session.start)) {
            return Err(untold);
        }
        let position = match (offset, number) {
            (None, _) => session.start,
            (Some(_), Some(number)) if epoch == self.epoch && number <= state.last => number,
            _ => return Err(gap(Reason::Epoch, Some(since))),
        };
        if position < state.removed {
            let known = state.entries.front().map(|first| first.time).filter(|_| !state.overflowed);
            let reason = if state.overflowed { Reason::Overflow } else { Reason::Expired };
            return Err(gap(reason, Some(known.unwrap_or(since).min(since))));
        }
        Ok((pid.clone(), position, since, rooms, former))
    }

    /// Gives a client what it has missed, in order, then the answer to its CONNECT, and makes it a recipient of what follows. `enter` puts it into rooms;
    /// `false` if it has left.
    pub(crate) fn step(
        &self,
        namespace: &EngineNamespace,
        asking: &Asking,
        raw: &EngineSocket,
        progress: &mut Progress,
        enter: impl FnOnce(Vec<String>, &dyn Fn()) -> bool,
    ) -> Step {
        let mut state = self.state.lock();
        let failed = |error| match error {
            SendError::Full => Step::Full,
            SendError::Closed | SendError::Serialize(_) => Step::Failed,
        };
        if progress.position < state.removed {
            return Step::Failed;
        }
        let first = state.entries.partition_point(|entry| entry.number <= progress.position);
        for entry in state.entries.iter().skip(first) {
            if entry.audience.has(&progress.pid, &progress.rooms) {
                if let Err(error) = namespace.emit_to_one(raw, &entry.payload) {
                    return failed(error);
                }
                progress.events += 1;
            }
            progress.position = entry.number;
        }
        if !progress.is_answered {
            if let Err(error) = namespace.answer_connect(raw, &progress.pid) {
                return failed(error);
            }
            progress.is_answered = true;
        }
        let event = match &progress.gap {
            Some(gap) => EncodedPayload::event(GAP, gap),
            None => EncodedPayload::event(OFFSET, &NoArguments),
        };
        let Ok(event) = event else { return Step::Failed };
        if let Err(error) = namespace.emit_to_one(raw, &event.with_last(&self.offset(state.last))) {
            return failed(error);
        }
        let _ = asking.resumed.set(progress.since.map(|since| Resumption { since, events: progress.events }));
        let rooms = progress.rooms.iter().cloned().collect();
        if !enter(rooms, &|| raw.leave(vec![WITHOUT.to_owned()])) {
            return Step::Left;
        }
        state.by_socket.insert(raw.id(), progress.pid.clone());
        Step::Done
    }

    /// A socket has left before it was in, so that [`leave`](Self::leave) may not have known it.
    pub(crate) fn abandon(&self, asking: &Asking, id: SocketId) {
        self.leave(asking, id, Cut::Left);
    }

    /// The owner of a socket's `pid` is another now.
    pub(crate) fn set_owner(&self, asking: &Asking, owner: Owner) {
        if let Some(pid) = asking.pid.get()
            && let Some(session) = self.state.lock().sessions.get_mut(pid)
        {
            session.owner = owner;
        }
    }

    /// A socket has left. Nothing happens if its client has come back already, on another one.
    pub(crate) fn leave(&self, asking: &Asking, id: SocketId, cut: Cut) {
        let Some(pid) = asking.pid.get() else { return };
        let mut guard = self.state.lock();
        let state = &mut *guard;
        state.by_socket.remove(&id);
        let Some(session) = state.sessions.get_mut(pid) else { return };
        if !matches!(&session.place, Place::On { id: on, .. } if *on == id) {
            return;
        }
        let (since, time) = (Instant::now(), SystemTime::now());
        session.place = match cut {
            Cut::Lost { rooms, late } if state.away < self.most_waiting => {
                state.away += 1;
                Place::Away { since, time, rooms: own_rooms(rooms), late }
            }
            Cut::Lost { late, .. } => {
                state.sessions.remove(pid);
                drop(guard);
                return late.map_or((), |late| late());
            }
            Cut::Left => Place::Ended { since, time, reason: Reason::Expired },
            Cut::Refused => Place::Ended { since, time, reason: Reason::Identity },
        };
    }

    /// Removes what is too old.
    pub(super) fn sweep(&self) {
        let window = self.settings.window;
        let mut late = Vec::new();
        {
            let mut guard = self.state.lock();
            let state = &mut *guard;
            // Who was cut just now knows a number that may be half a window old.
            let oldest = window + window / 2;
            while state.entries.front().is_some_and(|entry| entry.at.elapsed() > oldest) {
                if let Some(first) = state.entries.pop_front() {
                    state.bytes -= first.bytes;
                    (state.removed, state.overflowed) = (first.number, false);
                }
            }
            if state.entries.is_empty() {
                state.entries.shrink_to(16);
            }
            let away = &mut state.away;
            state.sessions.retain(|_, session| match &mut session.place {
                Place::Away { since, late: run, .. } if since.elapsed() > window => {
                    *away -= 1;
                    late.extend(run.take());
                    false
                }
                Place::Ended { since, .. } => since.elapsed() <= window,
                _ => true,
            });
            let unmarked = state.entries.partition_point(|entry| entry.number <= state.marked);
            if state.entries.get(unmarked).is_some_and(|entry| entry.at.elapsed() > window / 4) {
                self.mark(state);
            }
        }
        late.into_iter().for_each(|late| late());
    }

    /// Whether nobody may come back to it.
    pub(super) fn is_unused(&self) -> bool {
        self.state.lock().sessions.is_empty()
    }

    /// Nobody is waited for any more.
    pub(super) fn end(&self) {
        let late: Vec<_> = {
            let mut state = self.state.lock();
            let places = state.sessions.values_mut().map(|session| &mut session.place);
            places.filter_map(|place| if let Place::Away { late, .. } = place { late.take() } else { None }).collect()
        };
        late.into_iter().for_each(|late| late());
    }
}

/// Without the engine's own, which say how a socket was served and not what it was for.
fn own_rooms(rooms: Vec<String>) -> HashSet<String> {
    rooms.into_iter().filter(|room| !room.starts_with('\0')).collect()
}

/// Closes the connections of clients that have missed an event, so that they come back and get it.
fn cut(state: &State, namespace: &EngineNamespace, recipients: &Recipients, missed: usize) {
    let sockets: Vec<EngineSocket> = namespace
        .local_sockets(recipients)
        .into_iter()
        .filter_map(|id| match &state.sessions.get(state.by_socket.get(&id)?)?.place {
            Place::On { raw, .. } => raw.upgrade(),
            _ => None,
        })
        .collect();
    let blocked: Vec<&EngineSocket> = sockets.iter().filter(|socket| socket.is_blocked()).collect();
    // The engine does not tell who they are. Usually it is those that do not read.
    if blocked.len() >= missed {
        blocked.into_iter().for_each(EngineSocket::cut);
    } else {
        sockets.iter().for_each(EngineSocket::cut);
    }
}
