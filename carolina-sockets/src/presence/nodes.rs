//! What this node tells the others of its entries, and what it knows of theirs.

use std::collections::HashMap;

use tokio::time::{Duration, Instant};

use crate::backplane::{PresenceChange, PresenceEntry};

/// How often a node says that it is alive: as often as the backplane's own adapters.
pub(super) const BEAT: Duration = Duration::from_secs(2);
/// After this time a node that is not heard of may have died.
pub(super) const SILENCE: Duration = Duration::from_secs(7);
/// After this time it has, whatever the backplane counts: that counts nodes without presence too.
pub(super) const LONG_SILENCE: Duration = Duration::from_secs(21);

/// What is to be sent to the other nodes.
#[derive(Default)]
pub(super) struct Outbox {
    pub(super) number: u64,
    pub(super) changes: Vec<PresenceChange>,
    /// Whether another node asks for all entries.
    pub(super) is_asked: bool,
}

/// Another node.
pub(super) struct Remote {
    pub(super) heard: Instant,
    /// The number of the latest changes that were applied.
    number: u64,
    /// Whether all its entries up to there are known.
    is_complete: bool,
    asked: Option<Instant>,
    /// All its entries, as far as they have arrived.
    arriving: Option<Vec<PresenceEntry>>,
}

/// The other nodes, by their ids. A node is added by its first message and removed when it ends or has died.
#[derive(Default)]
pub(super) struct Remotes {
    pub(super) by_id: HashMap<u64, Remote>,
}

impl Remotes {
    /// A node has sent something.
    pub(super) fn heard(&mut self, node: u64) -> &mut Remote {
        let remote = self.by_id.entry(node).or_insert_with(|| Remote {
            heard: Instant::now(),
            number: 0,
            is_complete: false,
            asked: None,
            arriving: None,
        });
        remote.heard = Instant::now();
        remote
    }

    /// After a time in which nothing could arrive, every node has time to be heard of.
    pub(super) fn forgive(&mut self) {
        self.by_id.values_mut().for_each(|remote| remote.heard = Instant::now());
    }

    /// How many nodes' entries are known.
    pub(super) fn complete(&self) -> usize {
        self.by_id.values().filter(|remote| remote.is_complete).count()
    }

    /// The nodes that have been silent for too long. `counted` is how many other nodes the backplane counts, if it does.
    pub(super) fn silent(&self, counted: Option<usize>) -> Vec<u64> {
        let now = Instant::now();
        let silence = |remote: &Remote| now.saturating_duration_since(remote.heard);
        // Without the backplane nobody can be heard of.
        let Some(counted) = counted else { return Vec::new() };
        let most = if counted < self.by_id.len() { SILENCE } else { LONG_SILENCE };
        self.by_id.iter().filter(|(_, remote)| silence(remote) > most).map(|(node, _)| *node).collect()
    }
}

impl Remote {
    /// Whether the changes with this number are the next ones to be applied.
    pub(super) fn is_next(&mut self, number: u64) -> bool {
        if !self.is_complete || number <= self.number {
            return false;
        }
        self.is_complete = number == self.number + 1;
        self.number = if self.is_complete { number } else { self.number };
        self.is_complete
    }

    /// Compares the number of its latest changes with those that have arrived.
    pub(super) fn beats(&mut self, number: u64) {
        self.is_complete &= number <= self.number;
    }

    /// Whether it is to be asked for its entries, as some are not known.
    pub(super) fn should_ask(&mut self) -> bool {
        let now = Instant::now();
        let waits = self.asked.is_some_and(|asked| now.saturating_duration_since(asked) < BEAT);
        if self.is_complete || waits {
            return false;
        }
        self.asked = Some(now);
        true
    }

    /// A part of all its entries. Returns them when the last one has arrived.
    pub(super) fn part(
        &mut self,
        number: u64,
        entries: Vec<PresenceEntry>,
        first: bool,
        last: bool,
    ) -> Option<Vec<PresenceEntry>> {
        if self.is_complete {
            return None;
        }
        if first {
            self.arriving = Some(Vec::new());
        }
        self.arriving.as_mut()?.extend(entries);
        if !last {
            return None;
        }
        self.number = number;
        self.is_complete = true;
        self.asked = None;
        self.arriving.take()
    }
}
