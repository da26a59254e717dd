//! Who is on one channel: the entries of all nodes, and what this node's clients have been told of them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use serde::{Serialize, Serializer, ser::SerializeMap};
use tokio::time::Instant;

use super::{DIFF, Enrich, Meta, STATE};
use crate::{
    engine::{EncodedPayload, EngineNamespace, EngineSocket, SendError, WeakEngineSocket},
    telemetry::{Cause, undelivered},
};

/// Who holds an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// A socket of this node, or the application in its place.
    Socket(usize),
    /// A socket of the node that owns the entry.
    Remote,
    /// Nobody: its client has lost the connection, and may come back until then.
    Nobody(Instant),
}

impl Holder {
    pub(super) fn is_nobody(self) -> bool {
        matches!(self, Self::Nobody(_))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The node that owns it.
    pub(super) owner: u64,
    pub(super) reference: Arc<str>,
    pub(super) meta: Arc<Meta>,
    pub(super) holder: Holder,
}

/// A client that is told of changes.
struct Viewer {
    raw: WeakEngineSocket,
    /// Whether it has been told the state, and every change since.
    is_current: bool,
}

/// What `#[on(presence)]` adds to the keys, while there are clients to tell.
#[derive(Default)]
struct Enriched {
    /// `None` where the channel has no such handler.
    by: Option<Enrich>,
    known: HashMap<String, Arc<Meta>>,
    /// The keys to ask for next; they are told with what is known then.
    wanted: BTreeSet<String>,
    /// Those that are being asked for.
    asked: BTreeSet<String>,
    /// Whether the first client waits for the state.
    is_first_waiting: bool,
}

impl Enriched {
    fn lacks(&self, key: &str) -> bool {
        self.by.is_some() && !self.known.contains_key(key)
    }

    fn has_next(&self) -> bool {
        self.asked.is_empty() && !self.wanted.is_empty()
    }
}

/// Each owned by a socket: removed with its socket, its node, or when its time is over.
#[derive(Default)]
pub(super) struct Room {
    pub(super) entries: BTreeMap<String, Vec<Entry>>,
    /// The keys of this node's sockets, and of what the application itself has tracked.
    pub(super) tracked: HashMap<usize, String>,
    /// What stands for a socket where the application has tracked a key itself.
    pub(super) by_application: HashMap<String, usize>,
    viewers: HashMap<usize, Viewer>,
    /// What the viewers have been told.
    told: BTreeMap<String, Vec<Shown>>,
    /// The keys whose entries may differ from that.
    changed: BTreeSet<String>,
    /// [`told`](Self::told) as an event, until it changes.
    state: Option<EncodedPayload>,
    namespace: Option<EngineNamespace>,
    enriched: Enriched,
    /// Whether it was removed from the map of rooms.
    pub(super) is_gone: bool,
}

impl Room {
    /// Whether nothing is to be kept.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.viewers.is_empty()
    }

    pub(super) fn entry(&mut self, key: &str, owner: u64, reference: &str) -> Option<&mut Entry> {
        self.entries.get_mut(key)?.iter_mut().find(|entry| entry.owner == owner && *entry.reference == *reference)
    }

    /// The entry of one of this node's sockets, and its key.
    pub(super) fn entry_of(&mut self, socket: usize) -> Option<(&str, &mut Entry)> {
        let key = self.tracked.get(&socket)?;
        let entry = self.entries.get_mut(key)?.iter_mut().find(|entry| entry.holder == Holder::Socket(socket))?;
        Some((key, entry))
    }

    /// Adds an entry, in place of the one of the same owner and reference.
    pub(super) fn put(&mut self, key: &str, entry: Entry) {
        self.touch(key);
        match self.entry(key, entry.owner, &entry.reference) {
            Some(known) => *known = entry,
            None => self.entries.entry(key.to_owned()).or_default().push(entry),
        }
    }

    /// Removes an entry.
    pub(super) fn remove(&mut self, key: &str, owner: u64, reference: &str) -> Option<Entry> {
        let entries = self.entries.get_mut(key)?;
        let at = entries.iter().position(|entry| entry.owner == owner && *entry.reference == *reference)?;
        let removed = entries.remove(at);
        if entries.is_empty() {
            self.entries.remove(key);
        }
        self.touch(key);
        Some(removed)
    }

    /// Removes the entries of which the function says so.
    pub(super) fn remove_where(&mut self, mut is_over: impl FnMut(&str, &Entry) -> bool) {
        let mut touched = Vec::new();
        self.entries.retain(|key, entries| {
            let before = entries.len();
            entries.retain(|entry| !is_over(key, entry));
            if entries.len() != before {
                touched.push(key.clone());
            }
            !entries.is_empty()
        });
        touched.iter().for_each(|key| self.touch(key));
    }

    /// The entry of a key that its client has left behind: best one with the same value.
    pub(super) fn left_behind(&self, key: &str, meta: &Meta) -> Option<Entry> {
        let mut waiting = self.entries.get(key)?.iter().filter(|entry| entry.holder.is_nobody());
        waiting.clone().find(|entry| *entry.meta == *meta).or_else(|| waiting.next()).cloned()
    }

    /// A key whose entries may have changed.
    pub(super) fn touch(&mut self, key: &str) {
        let is_awaited = self.enriched.wanted.contains(key) || self.enriched.asked.contains(key);
        if !self.viewers.is_empty() && !is_awaited && !self.changed.contains(key) {
            self.changed.insert(key.to_owned());
        }
    }

    /// Adds a client and tells it the state.
    pub(super) fn enter(
        &mut self,
        socket: usize,
        raw: &EngineSocket,
        namespace: &EngineNamespace,
        enrich: Option<&Enrich>,
    ) {
        if self.viewers.is_empty() {
            self.namespace = Some(namespace.clone());
            self.state = None;
            self.enriched.by = enrich.cloned();
            let (lacking, complete): (Vec<_>, Vec<_>) =
                self.entries.iter().partition(|(key, _)| self.enriched.lacks(key));
            self.told = complete.into_iter().map(|(key, entries)| (key.clone(), shown(entries))).collect();
            self.changed = lacking.into_iter().map(|(key, _)| key.clone()).collect();
            self.enriched.is_first_waiting = !self.changed.is_empty();
        }
        self.viewers.insert(socket, Viewer { raw: raw.downgrade(), is_current: false });
        self.tell_state();
    }

    pub(super) fn is_viewer(&self, socket: usize) -> bool {
        self.viewers.contains_key(&socket)
    }

    /// Whether clients are to be told of something.
    pub(super) fn has_news(&self) -> bool {
        let is_behind = || self.viewers.values().any(|viewer| !viewer.is_current);
        !self.changed.is_empty() || self.enriched.has_next() || (!self.enriched.is_first_waiting && is_behind())
    }

    /// The keys that `#[on(presence)]` is to be asked for now, and whom to ask.
    pub(super) fn ask(&mut self) -> Option<(Enrich, Vec<String>)> {
        let enrich = self.enriched.by.clone()?;
        let is_lacking = |key: &String| self.entries.contains_key(key) && self.enriched.lacks(key);
        let lacking: Vec<String> = self.changed.iter().filter(|key| is_lacking(key)).cloned().collect();
        for key in lacking {
            self.changed.remove(&key);
            self.enriched.wanted.insert(key);
        }
        if !self.enriched.has_next() {
            // Those that the first client waits for may have gone.
            self.enriched.is_first_waiting &= !self.enriched.asked.is_empty();
            return None;
        }
        self.enriched.asked = std::mem::take(&mut self.enriched.wanted);
        Some((enrich, self.enriched.asked.iter().cloned().collect()))
    }

    /// What was asked for has come. A key of which nothing has come is told without.
    pub(super) fn answered(&mut self, mut found: HashMap<String, Meta>) {
        let asked = std::mem::take(&mut self.enriched.asked);
        self.enriched.is_first_waiting = false;
        if self.viewers.is_empty() {
            return;
        }
        for key in asked {
            if self.entries.contains_key(&key) {
                let extra = found.remove(&key).unwrap_or_default();
                self.enriched.known.insert(key.clone(), Arc::new(extra));
            }
            self.changed.insert(key);
        }
    }

    pub(super) fn leave(&mut self, socket: usize) {
        self.viewers.remove(&socket);
        if self.viewers.is_empty() {
            self.namespace = None;
            self.told.clear();
            self.changed.clear();
            self.state = None;
            self.enriched.known.clear();
            self.enriched.wanted.clear();
        }
    }

    /// Tells clients the state that have not been told it, or have missed a change.
    fn tell_state(&mut self) {
        if self.enriched.is_first_waiting || self.viewers.values().all(|viewer| viewer.is_current) {
            return;
        }
        let Some(namespace) = &self.namespace else { return };
        if self.state.is_none() {
            self.state = EncodedPayload::event(STATE, &Listed(&self.told, &self.enriched.known)).ok();
        }
        let Some(state) = &self.state else { return };
        for viewer in self.viewers.values_mut().filter(|viewer| !viewer.is_current) {
            let sent = viewer.raw.upgrade().map(|raw| namespace.emit_to_one(&raw, state));
            viewer.is_current = !matches!(sent, Some(Err(SendError::Full)));
        }
    }

    /// Tells the clients what has changed. `false` if a client has no room for it, and has to be told later.
    pub(super) fn tell(&mut self, path: &str) -> bool {
        let (mut joins, mut leaves) = (BTreeMap::new(), BTreeMap::new());
        let mut gone = Vec::new();
        for key in std::mem::take(&mut self.changed) {
            let now = self.entries.get(&key).map(|entries| shown(entries)).unwrap_or_default();
            let before = self.told.get(&key).map(Vec::as_slice).unwrap_or_default();
            let new: Vec<_> = now.iter().filter(|one| !before.contains(one)).cloned().collect();
            let old: Vec<_> = before.iter().filter(|one| !now.contains(one)).cloned().collect();
            if !new.is_empty() {
                joins.insert(key.clone(), new);
            }
            if !old.is_empty() {
                leaves.insert(key.clone(), old);
            }
            if now.is_empty() {
                self.told.remove(&key);
                gone.push(key);
            } else {
                self.told.insert(key, now);
            }
        }
        if !joins.is_empty() || !leaves.is_empty() {
            self.state = None;
            let known = &self.enriched.known;
            let diff = Diff { joins: Listed(&joins, known), leaves: Listed(&leaves, known) };
            if let (Some(namespace), Ok(diff)) = (&self.namespace, EncodedPayload::event(DIFF, &diff)) {
                let mut missed = 0;
                for viewer in self.viewers.values_mut().filter(|viewer| viewer.is_current) {
                    let Some(raw) = viewer.raw.upgrade() else { continue };
                    if matches!(namespace.emit_to_one(&raw, &diff), Err(SendError::Full)) {
                        viewer.is_current = false;
                        missed += 1;
                    }
                }
                if missed > 0 {
                    let text = format!(
                        "`{DIFF}` on `{path}` missed clients whose buffers are full ({missed} of them); they get `{STATE}` later"
                    );
                    undelivered(Cause::Missed, &text);
                }
            }
        }
        gone.iter().for_each(|key| drop(self.enriched.known.remove(key)));
        self.tell_state();
        self.viewers.values().all(|viewer| viewer.is_current)
    }

    /// The list, each entry once. An entry that is handed from one node to another belongs to both for a moment.
    pub(super) fn list(&self) -> Vec<(String, Vec<Arc<Meta>>)> {
        let metas = |entries: &Vec<Entry>| shown(entries).into_iter().map(|shown| shown.meta).collect();
        self.entries.iter().map(|(key, entries)| (key.clone(), metas(entries))).collect()
    }
}

/// For how long an entry still waits for its client.
pub(super) fn remaining(holder: Holder) -> Option<Duration> {
    match holder {
        Holder::Nobody(until) => Some(until.saturating_duration_since(Instant::now())),
        Holder::Socket(_) | Holder::Remote => None,
    }
}

/// What clients see of an entry.
#[derive(Clone, Debug)]
struct Shown {
    reference: Arc<str>,
    meta: Arc<Meta>,
}

impl PartialEq for Shown {
    /// A changed value has another reference.
    fn eq(&self, other: &Self) -> bool {
        self.reference == other.reference
    }
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.meta.len() + 1))?;
        map.serialize_entry("ref", &*self.reference)?;
        for (name, value) in &*self.meta {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// The entries of a key, each once, in a stable order.
fn shown(entries: &[Entry]) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::with_capacity(entries.len());
    for Entry { reference, meta, .. } in entries {
        if !shown.iter().any(|known| known.reference == *reference) {
            shown.push(Shown { reference: reference.clone(), meta: meta.clone() });
        }
    }
    shown
}

/// `{ key: { metas: […] } }`, with what `#[on(presence)]` adds beside `metas`.
struct Listed<'a>(&'a BTreeMap<String, Vec<Shown>>, &'a HashMap<String, Arc<Meta>>);

impl Serialize for Listed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Metas<'a> {
            metas: &'a [Shown],
            #[serde(flatten)]
            extra: Option<&'a Meta>,
        }
        let extra = |key| self.1.get(key).map(|extra| &**extra);
        serializer.collect_map(self.0.iter().map(|(key, metas)| (key, Metas { metas, extra: extra(key) })))
    }
}

#[derive(Serialize)]
struct Diff<'a> {
    joins: Listed<'a>,
    leaves: Listed<'a>,
}
