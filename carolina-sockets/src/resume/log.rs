use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    fmt::Write,
    sync::{Arc, Weak, atomic::AtomicUsize, atomic::Ordering},
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use super::{
    entry::{Arrived, Audience, Entry},
    server::Server,
    session::{Asking, Away, Cut, Epoch, Gap, Late, Owner, Place, Reason, Resumption, Session, Slots},
    shared::{Early, Waiter},
};
use crate::{
    config::ResumeConfig,
    engine::{EncodedPayload, EngineNamespace, EngineSocket, NoArguments, Recipients, SendError, SocketId},
    telemetry::metric,
};

/// The room of sockets that are sent offsets.
pub(super) const WITH: &str = "\0resume";
/// The room of sockets that are not, or not yet.
const WITHOUT: &str = "\0plain";

/// The event that tells a client an offset, and nothing else.
const OFFSET: &str = "carolina:offset";
/// The event that tells a client what it has missed for good.
pub(super) const GAP: &str = "carolina:gap";

/// The events of one channel, and the clients that may come back to it.
pub(crate) struct Log {
    pub(super) settings: ResumeConfig,
    slots: Slots,
    pub(super) path: String,
    /// The path that the channel was declared with.
    of: String,
    /// The server between the nodes, if there is one.
    pub(super) server: Option<Arc<Server>>,
    pub(super) me: Weak<Log>,
    /// Told when the log of the server has been read for the first time.
    pub(super) is_ready: Notify,
    pub(super) state: Mutex<State>,
    /// How many sockets are sent offsets, and how many are not.
    with: AtomicUsize,
    without: AtomicUsize,
}

pub(super) struct State {
    pub(super) epoch: Epoch,
    /// How many epochs there have been.
    pub(super) turn: u64,
    pub(super) mode: Mode,
    pub(super) entries: VecDeque<Entry>,
    pub(super) bytes: usize,
    /// The number of the last event.
    pub(super) last: u64,
    /// Events up to this number are not kept any more.
    pub(super) removed: u64,
    /// Whether the last of them was removed for want of room, and not for its age.
    pub(super) overflowed: bool,
    /// The number that clients were last told, whatever else they got, and what has come since.
    pub(super) marked: u64,
    pub(super) unmarked_bytes: usize,
    pub(super) sessions: HashMap<Arc<str>, Session>,
    /// The `pid`s of the sockets that are on the channel.
    pub(super) by_socket: HashMap<SocketId, Arc<str>>,
    /// To tell an offset when there is nothing else to send.
    pub(super) namespace: Option<EngineNamespace>,
    /// What has come before its turn, by its number.
    pub(super) pending: BTreeMap<u64, (u64, Arrived)>,
    /// What has come before the log was read.
    pub(super) early: Vec<Early>,
    /// Who waits until an event is delivered.
    pub(super) waiting: HashMap<u64, Waiter>,
    /// How many clients have missed the latest events.
    pub(super) missed: VecDeque<(u64, usize)>,
    /// What was read and may still come: clients that did not ask have not got it.
    pub(super) unseen: BTreeSet<u64>,
    /// The ids of the entries.
    pub(super) ids: HashSet<u64>,
    /// Whether the log of the server is about to be read, and whether it is to be read once more then.
    pub(super) is_copying: bool,
    pub(super) copy_again: bool,
    /// Whether it is about to get a new epoch.
    pub(super) is_renewing: bool,
    /// When what this node has of it was complete.
    pub(super) known: SystemTime,
}

/// Where events get their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// There is this node alone.
    Alone,
    /// In the server between the nodes, whose log has not been read yet.
    Opening,
    /// In the server.
    Shared,
    /// Here, since the server is away. The log of the server lacks so many events that were sent meanwhile.
    Away { since: SystemTime, lost: u64 },
}

/// How far a client that comes in has been given what it is to have.
pub(crate) struct Progress {
    pid: Arc<str>,
    owner: Owner,
    /// The node that it was on.
    node: u64,
    /// Which of the log's epochs the position is in.
    turn: u64,
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
    pub(super) fn new(
        settings: &ResumeConfig,
        server: Option<Arc<Server>>,
        slots: Slots,
        epoch: Epoch,
        path: &str,
        of: &str,
    ) -> Arc<Self> {
        let mode = if server.is_some() { Mode::Opening } else { Mode::Alone };
        Arc::new_cyclic(|me| Self {
            settings: settings.clone(),
            slots,
            path: path.to_owned(),
            of: of.to_owned(),
            server,
            me: me.clone(),
            is_ready: Notify::new(),
            state: Mutex::new(State {
                epoch,
                turn: 0,
                mode,
                entries: VecDeque::new(),
                bytes: 0,
                last: 0,
                removed: 0,
                overflowed: false,
                marked: 0,
                unmarked_bytes: 0,
                sessions: HashMap::new(),
                by_socket: HashMap::new(),
                namespace: None,
                pending: BTreeMap::new(),
                early: Vec::new(),
                waiting: HashMap::new(),
                missed: VecDeque::new(),
                unseen: BTreeSet::new(),
                ids: HashSet::new(),
                is_copying: false,
                copy_again: false,
                is_renewing: false,
                known: SystemTime::now(),
            }),
            with: AtomicUsize::new(0),
            without: AtomicUsize::new(0),
        })
    }

    pub(super) fn of(&self) -> &str {
        &self.of
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
        if let Mode::Away { lost, .. } = &mut state.mode {
            *lost += u64::from(!recipients.is_local());
        }
        if state.sessions.is_empty() && self.with.load(Ordering::Acquire) == 0 {
            return namespace.emit_here(payload, recipients);
        }
        let longer = payload.with_last(&state.offset(state.last + 1));
        let but = recipients.left_out().and_then(|socket| state.by_socket.get(&socket).cloned());
        let missed = self.send(&state, namespace, payload, &longer, recipients);
        self.keep(&mut state, longer, Audience::of(recipients, but));
        missed
    }

    /// Sends an event to this node's clients: with the offset to those that have asked. Returns how many of the others have missed it.
    pub(super) fn send(
        &self,
        state: &State,
        namespace: &EngineNamespace,
        payload: &EncodedPayload,
        longer: &EncodedPayload,
        recipients: &Recipients,
    ) -> usize {
        let missed = self.send_plain(namespace, payload, recipients);
        if !state.by_socket.is_empty() {
            let mut with = recipients.clone();
            with.exclude_rooms(vec![WITHOUT.to_owned()]);
            let missed = namespace.emit_here(longer, &with);
            if missed > 0 {
                cut(state, namespace, &with, missed);
            }
        }
        missed
    }

    /// Sends an event to those of this node's clients that have not asked for offsets. Returns how many have missed it.
    pub(super) fn send_plain(
        &self,
        namespace: &EngineNamespace,
        payload: &EncodedPayload,
        recipients: &Recipients,
    ) -> usize {
        match self.without.load(Ordering::Acquire) {
            0 => 0,
            _ => {
                let mut without = recipients.clone();
                without.exclude_rooms(vec![WITH.to_owned()]);
                namespace.emit_here(payload, &without)
            }
        }
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
        let longer = payload.with_last(&state.offset(state.last + 1));
        namespace.emit_to_one(raw, &longer)?;
        self.keep(&mut state, longer, Audience::One(pid.clone()));
        Ok(())
    }

    fn keep(&self, state: &mut State, payload: EncodedPayload, audience: Audience) {
        state.last += 1;
        self.keep_since(state, payload, audience, 0, Instant::now(), SystemTime::now());
    }

    /// The same for the event with the last number, which was sent at another time.
    pub(super) fn keep_since(
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
        state.unmarked_bytes += bytes;
        let most = usize::try_from(self.settings.bytes).unwrap_or(usize::MAX);
        while state.entries.len() > self.settings.events || state.bytes > most {
            state.remove_first(true);
        }
        // A client that gets few of a channel's events has to know a number that is not too old.
        let unmarked = state.last.saturating_sub(state.marked);
        if unmarked >= (self.settings.events as u64 / 4).max(2) || state.unmarked_bytes > most / 4 {
            self.mark(state);
        }
    }

    /// Tells all clients the number of the last event.
    fn mark(&self, state: &mut State) {
        if state.mode == Mode::Opening {
            return;
        }
        state.marked = state.last;
        state.unmarked_bytes = 0;
        if let Some(namespace) = state.namespace.clone()
            && let Ok(event) = EncodedPayload::event(OFFSET, &NoArguments)
        {
            let mut with = Recipients::all();
            with.exclude_rooms(vec![WITHOUT.to_owned()]);
            // Who has no room for it gets another one later.
            namespace.emit_here(&event.with_last(&state.offset(state.last)), &with);
        }
    }

    /// Decides whether a client resumes. What it is to have is given by [`step`](Self::step). `refused` is why the server between the nodes does not give it,
    /// if it does not.
    pub(crate) fn begin(
        &self,
        namespace: &EngineNamespace,
        asking: &Asking,
        raw: &EngineSocket,
        owner: Owner,
        refused: Option<Gap>,
    ) -> Option<Progress> {
        let asks = asking.asks.as_ref()?;
        let mut guard = self.state.lock();
        let state = &mut *guard;
        state.namespace.get_or_insert_with(|| namespace.clone());
        let found = asks.pid.as_deref().map(|pid| match refused {
            Some(gap) => Err(gap),
            None => self.find(state, pid, asks.offset.as_deref(), &owner),
        });
        let node = self.node();
        let on = |back| Place::On { id: raw.id(), raw: raw.downgrade(), back };
        let progress = match found {
            Some(Ok(progress)) => {
                if let Some(session) = state.sessions.get_mut(&progress.pid) {
                    let back = match std::mem::replace(&mut session.place, on(None)) {
                        Place::Away(away) | Place::On { back: Some(away), .. } => away,
                        Place::On { .. } | Place::Refused { .. } => Away {
                            since: Instant::now(),
                            time: SystemTime::now(),
                            rooms: progress.rooms.clone(),
                            late: None,
                            slot: None,
                        },
                    };
                    session.place = on(Some(back));
                }
                if let Some(former) = progress.former {
                    state.by_socket.remove(&former);
                }
                // A connection has one socket at most on a channel.
                Progress { former: progress.former.filter(|former| *former != raw.id()), ..progress }
            }
            other => {
                let gap = other.and_then(Result::err);
                // What its client knows from before is smaller, so that it is seen whether it has heard of the gap.
                state.last += u64::from(gap.is_some() && state.mode != Mode::Shared);
                let pid: Arc<str> = format!("{:032x}", rand::random::<u128>()).into();
                let (start, turn) = (state.last, state.turn);
                let session = Session { owner: owner.clone(), start, gap, place: on(None), turn, claim: 0, node };
                state.sessions.insert(pid.clone(), session);
                Progress {
                    pid,
                    owner,
                    node,
                    turn,
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
    fn find(&self, state: &State, pid: &str, offset: Option<&str>, owner: &Owner) -> Result<Progress, Gap> {
        let (epoch, number) = match offset.map(|offset| offset.split_once(':')) {
            None => (state.epoch.as_str(), None),
            Some(Some((epoch, number))) => (epoch, number.parse::<u64>().ok()),
            Some(None) => ("", None),
        };
        // As in the offset of a gap.
        let has_heard = offset.is_some_and(|offset| offset.contains(":0") && !offset.ends_with(":0"));
        let gap = Gap::new;
        let Some((pid, session)) = state.sessions.get_key_value(pid) else {
            // It may have come to an instance whose log has gone meanwhile.
            let is_known = match state.mode {
                Mode::Shared => epoch == state.epoch.as_str(),
                _ => state.epoch.is_of_this_start(epoch),
            };
            let is_away = matches!(state.mode, Mode::Away { .. });
            let elsewhere = if is_away { Reason::Node } else { Reason::Epoch };
            return Err(gap(if is_known { Reason::Expired } else { elsewhere }, None));
        };
        // To another, nothing is told of it, not even since when.
        if session.owner != *owner {
            return Err(gap(Reason::Identity, None));
        }
        let (since, rooms, former) = match &session.place {
            Place::Refused { time, .. } => return Err(gap(Reason::Identity, Some(*time))),
            Place::Away(away) if away.since.elapsed() > self.settings.window => {
                return Err(gap(Reason::Expired, Some(away.time)));
            }
            Place::Away(away) => (away.time, away.rooms.clone(), None),
            Place::On { id, back: Some(away), .. } => (away.time, away.rooms.clone(), Some(*id)),
            Place::On { id, raw, back: None } => {
                // One that is just leaving has no rooms any more.
                let rooms = raw.upgrade().map(|raw| raw.rooms()).filter(|rooms| rooms.iter().any(|room| room == WITH));
                let Some(rooms) = rooms else { return Err(gap(Reason::Expired, Some(SystemTime::now()))) };
                (SystemTime::now(), own_rooms(rooms), Some(*id))
            }
        };
        // Its connection was cut between the answer and the gap.
        let is_before = |number: u64| {
            // Where numbers are made here, the client's first one is greater than all that it can know.
            number < session.start || (number == session.start && !has_heard && state.mode == Mode::Shared)
        };
        if let Some(untold) = session.gap.filter(|_| number.is_none_or(is_before)) {
            return Err(untold);
        }
        let position = match (offset, number) {
            (None, _) if session.turn == state.turn => session.start,
            // What was sent before it came is not for it.
            (Some(_), Some(number)) if epoch == state.epoch.as_str() && number <= state.last => {
                number.max(session.start)
            }
            _ => return Err(gap(Reason::Epoch, Some(since))),
        };
        if position < state.removed {
            let known = state.entries.front().map(|first| first.time).filter(|_| !state.overflowed);
            let reason = if state.overflowed { Reason::Overflow } else { Reason::Expired };
            return Err(gap(reason, Some(known.unwrap_or(since).min(since))));
        }
        Ok(Progress {
            pid: pid.clone(),
            owner: owner.clone(),
            node: session.node,
            turn: state.turn,
            position,
            rooms,
            events: 0,
            since: Some(since),
            gap: None,
            is_answered: false,
            former,
        })
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
        // It may have logged out or in meanwhile.
        let is_owner = state.sessions.get(&progress.pid).is_some_and(|session| session.owner == progress.owner);
        if progress.position < state.removed || progress.turn != state.turn || !is_owner {
            return Step::Failed;
        }
        let first = state.entries.partition_point(|entry| entry.number <= progress.position);
        for entry in state.entries.iter().skip(first) {
            if entry.audience.has(&progress.pid, &progress.rooms, progress.node) {
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
        let offset = match &progress.gap {
            Some(_) => state.gap_offset(state.last),
            None => state.offset(state.last),
        };
        if let Err(error) = namespace.emit_to_one(raw, &event.with_last(&offset)) {
            return failed(error);
        }
        let _ = asking.resumed.set(progress.since.map(|since| Resumption { since, events: progress.events }));
        let rooms = progress.rooms.iter().cloned().collect();
        if !enter(rooms, &|| raw.leave(vec![WITHOUT.to_owned()])) {
            return Step::Left;
        }
        state.by_socket.insert(raw.id(), progress.pid.clone());
        if let Some(session) = state.sessions.get_mut(&progress.pid)
            && let Place::On { back, .. } = &mut session.place
        {
            *back = None;
            session.node = self.node();
        }
        self.touch(&state, &progress.pid);
        Step::Done
    }

    /// A socket has left before it was in, so that [`leave`](Self::leave) may not have known it.
    pub(crate) fn abandon(&self, asking: &Asking, id: SocketId) {
        self.leave(asking, id, Cut::Lost { rooms: Vec::new(), late: None });
    }

    /// The owner of a socket's `pid` is another now.
    pub(crate) fn set_owner(&self, asking: &Asking, owner: Owner) {
        let Some(pid) = asking.pid.get() else { return };
        let mut state = self.state.lock();
        if let Some(session) = state.sessions.get_mut(pid) {
            session.owner = owner;
            self.touch(&state, pid);
        }
    }

    /// The socket is in other rooms now.
    pub(crate) fn rooms_changed(&self, asking: &Asking) {
        if let (Some(pid), Some(_)) = (asking.pid.get(), &self.server) {
            self.touch(&self.state.lock(), pid);
        }
    }

    /// A socket has left. Nothing happens if its client has come back already, on another one.
    pub(crate) fn leave(&self, asking: &Asking, id: SocketId, cut: Cut) {
        let Some(pid) = asking.pid.get() else { return };
        let late = self.left(&mut self.state.lock(), pid, id, cut);
        if let Some(late) = late {
            late();
        }
    }

    /// Returns what is to be done for a client that cannot come back.
    fn left(&self, state: &mut State, pid: &Arc<str>, id: SocketId, cut: Cut) -> Option<Late> {
        if state.by_socket.get(&id) == Some(pid) {
            state.by_socket.remove(&id);
        }
        let session = state.sessions.get_mut(pid)?;
        let Place::On { id: on, back, .. } = &mut session.place else { return None };
        if *on != id {
            // The former socket of a client that has come back already; it may be cut before it is in.
            if let (Cut::Lost { late, .. }, Some(back)) = (cut, back) {
                back.late = late;
            }
            return None;
        }
        let back = back.take();
        let (since, time) = (Instant::now(), SystemTime::now());
        let (place, late) = match (cut, back) {
            // It was not in yet, and may come back to what it had.
            (Cut::Lost { .. }, Some(mut away)) => {
                away.slot = away.slot.or_else(|| self.slots.take());
                match away.slot {
                    Some(_) => (Some(Place::Away(away)), None),
                    None => (None, away.late),
                }
            }
            (Cut::Lost { rooms, late }, None) => match self.slots.take() {
                Some(slot) => {
                    let rooms = own_rooms(rooms);
                    (Some(Place::Away(Away { since, time, rooms, late, slot: Some(slot) })), None)
                }
                None => (None, late),
            },
            (Cut::Left, back) => (None, back.and_then(|away| away.late)),
            (Cut::Refused, back) => {
                let place = self.slots.take().map(|slot| Place::Refused { since, time, _slot: slot });
                (place, back.and_then(|away| away.late))
            }
        };
        self.touch(state, pid);
        match (place, state.sessions.get_mut(pid)) {
            (Some(place), Some(session)) => session.place = place,
            // Whoever presents its `pid` is told that it is too late.
            _ => drop(state.sessions.remove(pid)),
        }
        late
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
                state.remove_first(false);
            }
            if state.entries.is_empty() {
                state.entries.shrink_to(16);
            }
            state.sessions.retain(|_, session| match &mut session.place {
                Place::Away(away) if away.since.elapsed() > window => {
                    late.extend(away.late.take());
                    false
                }
                Place::Refused { since, .. } => since.elapsed() <= window,
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
            places.filter_map(|place| if let Place::Away(away) = place { away.late.take() } else { None }).collect()
        };
        late.into_iter().for_each(|late| late());
    }
}

impl State {
    /// Removes the first entry.
    fn remove_first(&mut self, overflowed: bool) {
        if let Some(first) = self.entries.pop_front() {
            self.bytes -= first.bytes;
            self.ids.remove(&first.id);
            (self.removed, self.overflowed) = (first.number, overflowed);
        }
    }

    pub(super) fn clear_entries(&mut self) {
        self.entries.clear();
        self.ids.clear();
        (self.bytes, self.unmarked_bytes) = (0, 0);
    }

    /// The same in the event that tells of a gap: who presents it has heard of that.
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

/// Without the engine's own, which say how a socket was served and not what it was for.
pub(super) fn own_rooms(rooms: Vec<String>) -> HashSet<String> {
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
    // The engine does not tell who they are: those that do not read, and those whose buffers are full at this moment. What is sent to learn that is no
    // text, which the official client would take for an offset.
    let probe = EncodedPayload::event(OFFSET, &0);
    let is_full = |socket: &&EngineSocket| {
        let is_refused = |probe| matches!(namespace.emit_to_one(socket, probe), Err(SendError::Full));
        socket.is_blocked() || probe.as_ref().is_ok_and(is_refused)
    };
    let full: Vec<&EngineSocket> = sockets.iter().filter(is_full).collect();
    if full.len() >= missed {
        full.into_iter().for_each(EngineSocket::cut);
    } else {
        tracing::debug!(
            missed,
            clients = sockets.len(),
            "closed the connections of all, since some have missed an event"
        );
        sockets.iter().for_each(EngineSocket::cut);
    }
}
