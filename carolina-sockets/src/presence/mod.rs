//! Who is on a channel (rule R20): the entries of all nodes.
//!
//! Each entry is owned by the node whose socket it belongs to, and ends with that socket. Nodes tell each other what has changed in numbered
//! messages of the control channel. A node that misses one asks the sender for all its entries, and so does one that has just started. The clients
//! of a node are told the difference between what they were told before and what is known now, once per `presence.batch`, so that they end
//! up with the same list whatever order the messages of several nodes arrive in.

mod nodes;
mod room;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_core::future::BoxFuture;
use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior},
};

use crate::{
    background::Background,
    backplane::{Bus, PresenceChange, PresenceEntry, PresenceNews},
    config::PresenceConfig,
    engine::{EngineNamespace, EngineSocket},
    error::{Error, EventError, Result},
    telemetry::{Cause, undelivered},
};
use nodes::{BEAT, Outbox, Remotes};
use room::{Entry, Holder, Room, remaining};

/// The event with the whole list.
const STATE: &str = "presence_state";
/// The event with what has changed.
const DIFF: &str = "presence_diff";

/// How many entries one message between nodes has.
const PER_MESSAGE: usize = 200;

/// How long a node that starts waits for the entries of the others.
const START: Duration = Duration::from_secs(2);
/// How long it waits at least, since the backplane may not count all of them at once.
const START_AT_LEAST: Duration = Duration::from_millis(300);

/// What an application shows of an entry: a JSON object.
pub(crate) type Meta = serde_json::Map<String, Value>;

/// What `#[on(presence)]` adds to keys: fields beside `metas`.
pub(crate) type Enrich = Arc<dyn Fn(Vec<String>) -> BoxFuture<'static, HashMap<String, Meta>> + Send + Sync>;

/// Somebody who is on a channel (rule R20); see [`Presence::list`](crate::Presence::list) and
/// [`ChannelPresence::list`](crate::ChannelPresence::list).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Present<T> {
    /// Who it is: what was given to [`Presence::track`](crate::Presence::track).
    pub key: String,
    /// What was tracked, once for each socket: several tabs or devices of one user are several.
    pub metas: Vec<T>,
}

/// The presence of all channels of a service. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Presences(Arc<Shared>);

struct Shared {
    node: u64,
    bus: Bus,
    settings: PresenceConfig,
    /// How many entries may wait for clients to come back to this node.
    most_waiting: usize,
    /// By path; of an instance, its own. A room is removed when nobody is on the channel and nobody is listed.
    rooms: Mutex<HashMap<String, Arc<Mutex<Room>>>>,
    /// The paths of rooms with something to tell their clients; emptied at each batch.
    news: Mutex<HashSet<String>>,
    outbox: Mutex<Outbox>,
    remotes: Mutex<Remotes>,
    /// When entries are to be removed that wait for clients to come back; each is taken out at its time.
    waiting: Mutex<BTreeMap<(Instant, u64), Waiting>>,
    counter: AtomicU64,
    wake: Notify,
}

/// An entry that waits for its client.
struct Waiting {
    path: String,
    key: String,
    owner: u64,
    reference: Arc<str>,
}

impl Presences {
    pub(crate) fn new(bus: Bus, settings: PresenceConfig, most_waiting: usize) -> Self {
        Self(Arc::new(Shared {
            node: bus.node(),
            bus,
            settings,
            most_waiting,
            rooms: Mutex::default(),
            news: Mutex::default(),
            outbox: Mutex::default(),
            remotes: Mutex::default(),
            waiting: Mutex::default(),
            counter: AtomicU64::new(0),
            wake: Notify::new(),
        }))
    }

    /// For how long entries wait for their clients where a channel does not say.
    pub(crate) fn linger(&self) -> Duration {
        self.0.settings.linger
    }

    /// Tells a client of a channel who is there, and from now on what changes. Called once for each socket, before it handles anything.
    pub(crate) fn enter(
        &self,
        path: &str,
        socket: usize,
        raw: &EngineSocket,
        namespace: &EngineNamespace,
        enrich: Option<&Enrich>,
    ) {
        self.0.with_new_room(path, |room| room.enter(socket, raw, namespace, enrich));
    }

    /// A socket has left its channel. Its entry waits for this time for the client to come back, if there is a time.
    pub(crate) fn leave(&self, path: &str, socket: usize, linger: Option<Duration>) {
        let shared = &self.0;
        shared.with_room(path, |room| {
            room.leave(socket);
            let linger = linger.filter(|_| shared.waiting.lock().len() < shared.most_waiting);
            match (linger, room.entry_of(socket)) {
                (Some(linger), Some((key, entry))) => {
                    let until = Instant::now() + linger;
                    entry.holder = Holder::Nobody(until);
                    let (key, entry) = (key.to_owned(), entry.clone());
                    shared.wait(path, &key, &entry, until);
                    shared.send_later([put(path, &key, &entry)]);
                    room.tracked.remove(&socket);
                }
                _ => shared.untrack(room, path, socket),
            }
        });
    }

    /// Lists a socket under a key. In place of what it was listed as before; a key that its client has left behind is taken over.
    ///
    /// # Errors
    ///
    /// [`Error::Presence`] when the socket is not on the channel, or the entry is too large.
    pub(crate) fn track(&self, path: &str, socket: usize, key: &str, meta: Meta) -> Result {
        let shared = &self.0;
        shared.check(path, key, &meta)?;
        shared.with_new_room(path, |room| {
            if !room.is_viewer(socket) {
                return Err(not_on_channel(path));
            }
            match room.tracked.get(&socket) {
                Some(known) if known == key => shared.replace(room, path, socket, meta),
                _ => {
                    shared.untrack(room, path, socket);
                    shared.add(room, path, socket, key, meta, true);
                }
            }
            Ok(())
        })
    }

    /// Lists a key for which no socket stands, until it is untracked or the node ends. In place of what this node's application has listed it as
    /// before.
    ///
    /// # Errors
    ///
    /// [`Error::Presence`] when the entry is too large.
    pub(crate) fn track_outside(&self, path: &str, key: &str, meta: Meta) -> Result {
        let shared = &self.0;
        shared.check(path, key, &meta)?;
        shared.with_new_room(path, |room| match room.by_application.get(key) {
            Some(known) => {
                let known = *known;
                shared.replace(room, path, known, meta);
            }
            None => {
                // Odd, as no socket's place in memory is.
                let number = shared.counter.fetch_add(1, Ordering::Relaxed);
                let id = usize::try_from(number).unwrap_or(usize::MAX).wrapping_mul(2) | 1;
                room.by_application.insert(key.to_owned(), id);
                shared.add(room, path, id, key, meta, false);
            }
        });
        Ok(())
    }

    /// Changes what is shown of a key that this node's application has listed.
    ///
    /// # Errors
    ///
    /// [`Error::Presence`] when it has not, or the entry is too large; what `change` fails with.
    pub(crate) fn update_outside(&self, path: &str, key: &str, change: impl FnOnce(&Meta) -> Result<Meta>) -> Result {
        let id = self.0.with_room(path, |room| room.by_application.get(key).copied()).flatten();
        let not_tracked =
            || refused(path, format!("`{key}` is not tracked from outside on this node: call `track` before"));
        self.update(path, id.ok_or_else(not_tracked)?, change)
    }

    /// Takes a key off the list that this node's application has listed.
    pub(crate) fn untrack_outside(&self, path: &str, key: &str) {
        self.0.with_room(path, |room| {
            if let Some(id) = room.by_application.remove(key) {
                self.0.untrack(room, path, id);
            }
        });
    }

    /// Changes what is shown of a socket.
    ///
    /// # Errors
    ///
    /// [`Error::Presence`] when the socket is not listed, or the entry is too large; what `change` fails with.
    pub(crate) fn update(&self, path: &str, socket: usize, change: impl FnOnce(&Meta) -> Result<Meta>) -> Result {
        let shared = &self.0;
        let changed = shared.with_room(path, |room| {
            let (key, entry) = room.entry_of(socket)?;
            let key = key.to_owned();
            Some(change(&entry.meta).and_then(|meta| {
                shared.check(path, &key, &meta)?;
                shared.replace(room, path, socket, meta);
                Ok(())
            }))
        });
        let not_tracked = "the socket is not tracked: call `track` before, in `#[on(connect)]` for example";
        changed.flatten().unwrap_or_else(|| Err(refused(path, not_tracked)))
    }

    /// Takes a socket off the list.
    pub(crate) fn untrack(&self, path: &str, socket: usize) {
        self.0.with_room(path, |room| self.0.untrack(room, path, socket));
    }

    /// Takes a socket off the list if it is listed under this key.
    pub(crate) fn untrack_key(&self, path: &str, socket: usize, key: &str) {
        self.0.with_room(path, |room| {
            if room.tracked.get(&socket).is_some_and(|known| known == key) {
                self.0.untrack(room, path, socket);
            }
        });
    }

    /// Who is on a channel, on all nodes, by key.
    ///
    /// # Errors
    ///
    /// [`Error::Presence`] when what was tracked does not read as a `T`.
    pub(crate) fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<Present<T>>> {
        read_list(path, self.0.with_room(path, |room| room.list()).unwrap_or_default())
    }

    /// The same on all channels at certain paths together.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub(crate) fn list_where<T: DeserializeOwned>(&self, is_meant: impl Fn(&str) -> bool) -> Result<Vec<Present<T>>> {
        let mut all: BTreeMap<String, Present<T>> = BTreeMap::new();
        let paths: Vec<String> = self.0.rooms.lock().keys().filter(|path| is_meant(path)).cloned().collect();
        for path in paths {
            for Present { key, metas } in self.list(&path)? {
                let known = all.entry(key.clone()).or_insert_with(|| Present { key, metas: Vec::new() });
                known.metas.extend(metas);
            }
        }
        Ok(all.into_values().collect())
    }

    /// Starts telling clients and nodes, and waits for the entries of the other nodes. `namespace` is that of a channel with presence.
    pub(crate) async fn start(&self, background: &Background, namespace: EngineNamespace) {
        let shared = self.0.clone();
        background.spawn({
            let namespace = namespace.clone();
            async move { shared.run(&namespace).await }
        });
        let shared = &self.0;
        if !shared.bus.has_backplane() {
            return;
        }
        shared.send(PresenceNews::Ask { of: None }).await;
        let began = Instant::now();
        while began.elapsed() < START {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let others = namespace.nodes().await.map_or(0, |nodes| usize::from(nodes.saturating_sub(1)));
            if began.elapsed() >= START_AT_LEAST && shared.remotes.lock().complete() >= others {
                return;
            }
        }
        tracing::warn!("not all other nodes have told within {START:?} who is on their channels");
    }

    /// Tells the other nodes that this one ends, and that its clients may come to them.
    pub(crate) async fn end(&self) {
        if self.0.bus.has_backplane() {
            self.0.send_changes().await;
            self.0.send(PresenceNews::Bye).await;
        }
    }

    /// Handles what another node tells.
    pub(crate) async fn handle(&self, from: u64, news: PresenceNews) {
        let shared = &self.0;
        let mut ask = false;
        match news {
            PresenceNews::Changes { number, changes } => {
                let is_next = {
                    let mut remotes = shared.remotes.lock();
                    let remote = remotes.heard(from);
                    let is_next = remote.is_next(number);
                    ask = remote.should_ask();
                    is_next
                };
                if is_next {
                    changes.into_iter().for_each(|change| shared.apply(from, change));
                }
            }
            PresenceNews::Beat { number } => {
                let mut remotes = shared.remotes.lock();
                let remote = remotes.heard(from);
                remote.beats(number);
                ask = remote.should_ask();
            }
            PresenceNews::Ask { of } => {
                ask = shared.remotes.lock().heard(from).should_ask();
                if of.is_none_or(|of| of == shared.node) {
                    shared.outbox.lock().is_asked = true;
                    shared.wake.notify_one();
                }
            }
            PresenceNews::All { number, entries, first, last } => {
                let all = shared.remotes.lock().heard(from).part(number, entries, first, last);
                if let Some(all) = all {
                    shared.replace_all(from, all);
                }
            }
            PresenceNews::Bye => {
                shared.remotes.lock().by_id.remove(&from);
                shared.remove_node(from);
            }
        }
        if ask {
            shared.send(PresenceNews::Ask { of: Some(from) }).await;
        }
    }
}

impl Shared {
    /// Does something with the room of a channel that somebody is listed on, or a client of this node is on.
    fn with_room<R>(&self, path: &str, act: impl FnOnce(&mut Room) -> R) -> Option<R> {
        let room = self.rooms.lock().get(path).cloned()?;
        let mut room = room.lock();
        let result = (!room.is_gone).then(|| act(&mut room));
        self.settle(path, &mut room);
        result
    }

    /// The same, with an empty room where there is none.
    fn with_new_room<R>(&self, path: &str, act: impl FnOnce(&mut Room) -> R) -> R {
        loop {
            let room = self.rooms.lock().entry(path.to_owned()).or_default().clone();
            let mut room = room.lock();
            if !room.is_gone {
                let result = act(&mut room);
                self.settle(path, &mut room);
                return result;
            }
        }
    }

    /// Notes what is to be told, and removes an empty room.
    fn settle(&self, path: &str, room: &mut Room) {
        if room.is_empty() && !room.is_gone {
            room.is_gone = true;
            self.rooms.lock().remove(path);
        } else if room.has_news() && self.news.lock().insert(path.to_owned()) {
            self.wake.notify_one();
        }
    }

    fn each_room(&self, mut act: impl FnMut(&str, &mut Room)) {
        let paths: Vec<String> = self.rooms.lock().keys().cloned().collect();
        for path in paths {
            self.with_room(&path, |room| act(&path, room));
        }
    }

    fn check(&self, path: &str, key: &str, meta: &Meta) -> Result {
        let bytes = key.len() + serde_json::to_string(meta).map_or(0, |text| text.len());
        let most = self.settings.max_meta;
        if bytes > most {
            let reason = format!(
                "key and value have {bytes} bytes, and may have {most} (presence.max_meta): keep what is large elsewhere, and track its id"
            );
            return Err(refused(path, reason));
        }
        Ok(())
    }

    /// Adds the entry of a socket that has none. One that comes back takes over what its client has left behind.
    fn add(&self, room: &mut Room, path: &str, socket: usize, key: &str, meta: Meta, comes_back: bool) {
        let before = room.left_behind(key, &meta).filter(|_| comes_back);
        let mut reference = new_reference();
        let mut changes = Vec::new();
        if let Some(before) = before {
            room.remove(key, before.owner, &before.reference);
            let (path, key, old) = (path.to_owned(), key.to_owned(), before.reference.to_string());
            if *before.meta == meta {
                // For clients, nothing has happened.
                reference = before.reference;
            }
            if before.owner != self.node {
                changes.push(PresenceChange::Take { owner: before.owner, path, key, reference: old });
            } else if *old != *reference {
                changes.push(PresenceChange::Remove { path, key, reference: old });
            }
        }
        let entry = Entry { owner: self.node, reference, meta: Arc::new(meta), holder: Holder::Socket(socket) };
        changes.insert(0, put(path, key, &entry));
        room.put(key, entry);
        room.tracked.insert(socket, key.to_owned());
        self.send_later(changes);
    }

    /// Replaces the value of a socket's entry. For clients the old one leaves and a new one joins.
    fn replace(&self, room: &mut Room, path: &str, socket: usize, meta: Meta) {
        let Some((key, entry)) = room.entry_of(socket) else { return };
        if *entry.meta == meta {
            return;
        }
        entry.meta = Arc::new(meta);
        let key = key.to_owned();
        self.renew(room, path, socket, &key);
    }

    /// Gives a socket's entry another reference.
    fn renew(&self, room: &mut Room, path: &str, socket: usize, key: &str) {
        let Some((_, entry)) = room.entry_of(socket) else { return };
        let old = std::mem::replace(&mut entry.reference, new_reference());
        let change = put(path, key, entry);
        room.touch(key);
        let (path, key, reference) = (path.to_owned(), key.to_owned(), old.to_string());
        self.send_later([change, PresenceChange::Remove { path, key, reference }]);
    }

    fn untrack(&self, room: &mut Room, path: &str, socket: usize) {
        let Some((key, entry)) = room.entry_of(socket) else { return };
        let (key, reference) = (key.to_owned(), entry.reference.clone());
        room.remove(&key, self.node, &reference);
        room.tracked.remove(&socket);
        let reference = reference.to_string();
        self.send_later([PresenceChange::Remove { path: path.to_owned(), key, reference }]);
    }

    /// Removes the entry at a time, unless its client has come back.
    fn wait(&self, path: &str, key: &str, entry: &Entry, until: Instant) {
        let waiting = Waiting {
            path: path.to_owned(),
            key: key.to_owned(),
            owner: entry.owner,
            reference: entry.reference.clone(),
        };
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        self.waiting.lock().insert((until, number), waiting);
        self.wake.notify_one();
    }

    fn send_later(&self, changes: impl IntoIterator<Item = PresenceChange>) {
        if self.bus.has_backplane() {
            self.outbox.lock().changes.extend(changes);
            self.wake.notify_one();
        }
    }

    /// Applies a change of another node's.
    fn apply(&self, from: u64, change: PresenceChange) {
        match change {
            PresenceChange::Put(entry) => self.put(from, entry),
            PresenceChange::Remove { path, key, reference } => {
                self.with_room(&path, |room| room.remove(&key, from, &reference));
            }
            PresenceChange::Take { owner, path, key, reference } => {
                self.with_room(&path, |room| {
                    if room.entry(&key, owner, &reference).is_some_and(|entry| entry.holder.is_nobody()) {
                        room.remove(&key, owner, &reference);
                        if owner == self.node {
                            self.send_later([PresenceChange::Remove { path: path.clone(), key, reference }]);
                        }
                    }
                });
            }
        }
    }

    /// Adds an entry that another node has told of.
    fn put(&self, from: u64, entry: PresenceEntry) {
        let PresenceEntry { path, key, reference, meta, linger, owner } = entry;
        let is_left_behind = owner.is_some();
        let owner = owner.unwrap_or(from);
        if is_left_behind && (owner == self.node || self.remotes.lock().by_id.contains_key(&owner)) {
            return;
        }
        let until = linger.map(|millis| Instant::now() + Duration::from_millis(millis));
        let holder = until.map_or(Holder::Remote, Holder::Nobody);
        self.with_new_room(&path, |room| {
            if is_left_behind && room.entry(&key, owner, &reference).is_some() {
                return;
            }
            // Two nodes have taken over the same entry: one of them gives its own another reference.
            let own = room.entry(&key, self.node, &reference).map(|entry| entry.holder);
            if let Some(Holder::Socket(socket)) = own
                && self.node < owner
                && !holder.is_nobody()
            {
                self.renew(room, &path, socket, &key);
            }
            let entry = Entry { owner, reference: reference.into(), meta: Arc::new(meta), holder };
            if let Some(until) = until {
                self.wait(&path, &key, &entry, until);
            }
            room.put(&key, entry);
        });
    }

    /// Replaces everything that is known of another node.
    fn replace_all(&self, from: u64, entries: Vec<PresenceEntry>) {
        let own = entries.iter().filter(|entry| entry.owner.is_none());
        let known: HashSet<(String, String)> = own.map(|entry| (entry.path.clone(), entry.reference.clone())).collect();
        entries.into_iter().for_each(|entry| self.put(from, entry));
        self.each_room(|path, room| {
            room.remove_where(|_, entry| {
                entry.owner == from && !known.contains(&(path.to_owned(), entry.reference.to_string()))
            });
        });
    }

    /// Removes the entries of a node that has ended, but for those that wait for clients to come back.
    fn remove_node(&self, node: u64) {
        self.each_room(|_, room| room.remove_where(|_, entry| entry.owner == node && !entry.holder.is_nobody()));
    }

    /// The service's own task: tells clients and nodes what has changed, and removes what nobody has come back for.
    async fn run(self: &Arc<Self>, namespace: &EngineNamespace) {
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let has_others = self.bus.has_backplane();
        loop {
            let due = self.waiting.lock().first_key_value().map(|((due, _), _)| *due);
            let is_over = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.wake.notified() => tokio::time::sleep(self.settings.batch).await,
                () = is_over => {}
                _ = beat.tick(), if has_others => self.beat(namespace).await,
            }
            self.remove_overdue();
            let paths = std::mem::take(&mut *self.news.lock());
            for path in paths {
                self.enrich(&path);
                // What a client has no room for is told with the next batch.
                self.with_room(&path, |room| room.tell(&path));
            }
            if has_others {
                self.send_changes().await;
                if std::mem::take(&mut self.outbox.lock().is_asked) {
                    self.send_all().await;
                }
            }
        }
    }

    /// Asks the channel for what it adds to the keys that are to be told. Those are told when it has answered; others do not wait.
    fn enrich(self: &Arc<Self>, path: &str) {
        let Some((enrich, keys)) = self.with_room(path, Room::ask).flatten() else { return };
        let (shared, path) = (self.clone(), path.to_owned());
        tokio::spawn(async move {
            let found = enrich(keys).await;
            shared.with_room(&path, |room| room.answered(found));
        });
    }

    fn remove_overdue(&self) {
        let now = Instant::now();
        loop {
            let Waiting { path, key, owner, reference } = {
                let mut waiting = self.waiting.lock();
                match waiting.first_entry() {
                    Some(first) if first.key().0 <= now => first.remove(),
                    _ => return,
                }
            };
            self.with_room(&path, |room| {
                let is_over = room
                    .entry(&key, owner, &reference)
                    .is_some_and(|entry| matches!(entry.holder, Holder::Nobody(until) if until <= now));
                if is_over {
                    room.remove(&key, owner, &reference);
                    if owner == self.node {
                        let (path, reference) = (path.clone(), reference.to_string());
                        self.send_later([PresenceChange::Remove { path, key, reference }]);
                    }
                }
            });
        }
    }

    async fn beat(&self, namespace: &EngineNamespace) {
        let number = self.outbox.lock().number;
        if !self.send(PresenceNews::Beat { number }).await {
            return self.remotes.lock().forgive();
        }
        let counted = namespace.nodes().await.ok().map(|nodes| usize::from(nodes.saturating_sub(1)));
        let silent = {
            let mut remotes = self.remotes.lock();
            let silent = remotes.silent(counted);
            silent.iter().for_each(|node| drop(remotes.by_id.remove(node)));
            silent
        };
        for node in silent {
            tracing::warn!("a node has died: the clients that it told of are no longer listed as present");
            self.remove_node(node);
        }
    }

    async fn send_changes(&self) {
        let changes = std::mem::take(&mut self.outbox.lock().changes);
        let mut changes = changes.into_iter().peekable();
        while changes.peek().is_some() {
            let number = {
                let mut outbox = self.outbox.lock();
                outbox.number += 1;
                outbox.number
            };
            // Nodes that miss it notice it by the next number.
            let changes = changes.by_ref().take(PER_MESSAGE).collect();
            self.send(PresenceNews::Changes { number, changes }).await;
        }
    }

    /// Sends all entries of this node, and those that nodes which have ended have left behind.
    async fn send_all(&self) {
        let number = self.outbox.lock().number;
        let others: HashSet<u64> = self.remotes.lock().by_id.keys().copied().collect();
        let mut entries = Vec::new();
        self.each_room(|path, room| {
            for (key, all) in &room.entries {
                for entry in all {
                    let is_own = entry.owner == self.node;
                    if is_own || (entry.holder.is_nobody() && !others.contains(&entry.owner)) {
                        let owner = (!is_own).then_some(entry.owner);
                        entries.push(PresenceEntry { owner, ..written(path, key, entry) });
                    }
                }
            }
        });
        let parts = entries.len().div_ceil(PER_MESSAGE).max(1);
        let mut entries = entries.into_iter();
        for part in 0..parts {
            let entries = entries.by_ref().take(PER_MESSAGE).collect();
            let (first, last) = (part == 0, part + 1 == parts);
            self.send(PresenceNews::All { number, entries, first, last }).await;
        }
    }

    /// Whether it could be sent.
    async fn send(&self, news: PresenceNews) -> bool {
        let sent = self.bus.publish_presence(news).await;
        if let Err(error) = &sent {
            undelivered(Cause::Backplane, &format!("other nodes could not be told who is present: {error}"));
        }
        sent.is_ok()
    }
}

fn written(path: &str, key: &str, entry: &Entry) -> PresenceEntry {
    PresenceEntry {
        path: path.to_owned(),
        key: key.to_owned(),
        reference: entry.reference.to_string(),
        meta: (*entry.meta).clone(),
        linger: remaining(entry.holder).map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        owner: None,
    }
}

fn put(path: &str, key: &str, entry: &Entry) -> PresenceChange {
    PresenceChange::Put(written(path, key, entry))
}

fn new_reference() -> Arc<str> {
    format!("{:016x}", rand::random::<u64>()).into()
}

fn refused(path: &str, reason: impl Into<String>) -> Error {
    Error::Presence { path: path.to_owned(), reason: reason.into() }
}

fn not_on_channel(path: &str) -> Error {
    refused(path, "the socket is not on the channel: it has left, or `#[on(authorize)]` has not let it in yet")
}

/// Writes what an application tracks as a JSON object.
///
/// # Errors
///
/// [`Error::Presence`] when it is not one.
pub(crate) fn write<T: Serialize>(path: &str, value: &T) -> Result<Meta> {
    match serde_json::to_value(value) {
        Ok(Value::Object(meta)) if meta.contains_key("ref") => Err(refused(
            path,
            "the field `ref` is the library's own: give it another name, as by `#[serde(rename = \"…\")]`",
        )),
        Ok(Value::Object(meta)) => Ok(meta),
        Ok(Value::Null) => Ok(Meta::new()),
        Ok(_) => Err(refused(path, "what is tracked is not an object with fields: put it into a struct")),
        Err(error) => Err(refused(path, format!("what is tracked does not serialize: {error}"))),
    }
}

/// Writes what `#[on(presence)]` adds to a key as a JSON object.
///
/// # Errors
///
/// Why it is none.
pub(crate) fn write_extra<T: Serialize>(value: &T) -> std::result::Result<Meta, EventError> {
    match serde_json::to_value(value)? {
        Value::Object(extra) if extra.contains_key("metas") => Err(EventError::internal(
            "the field `metas` is the library's own: give it another name, as by `#[serde(rename = \"…\")]`",
        )),
        Value::Object(extra) => Ok(extra),
        _ => {
            Err(EventError::internal("what `#[on(presence)]` adds is not an object with fields: put it into a struct"))
        }
    }
}

fn read_list<T: DeserializeOwned>(path: &str, list: Vec<(String, Vec<Arc<Meta>>)>) -> Result<Vec<Present<T>>> {
    let read = |(key, metas): (String, Vec<Arc<Meta>>)| {
        let metas = metas.iter().map(|meta| read(path, meta)).collect::<Result<_>>()?;
        Ok(Present { key, metas })
    };
    list.into_iter().map(read).collect()
}

/// Reads what an application has tracked.
///
/// # Errors
///
/// [`Error::Presence`] when it does not read as a `T`.
pub(crate) fn read<T: DeserializeOwned>(path: &str, meta: &Meta) -> Result<T> {
    let whole = serde_json::from_value(Value::Object(meta.clone()));
    let value = whole.or_else(|error| if meta.is_empty() { serde_json::from_value(Value::Null) } else { Err(error) });
    value.map_err(|error| {
        let expected = std::any::type_name::<T>();
        refused(path, format!("what was tracked does not read as `{expected}`: {error}"))
    })
}
