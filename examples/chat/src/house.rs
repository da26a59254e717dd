//! State shared by the channels: recent messages, moderators and banned users.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::{SystemTime, UNIX_EPOCH},
};

use carolina_sockets::schemars::{self, JsonSchema};
use serde::Serialize;

/// How many messages of a room are kept.
const KEPT: usize = 50;

/// A message, in a room or to one user.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Message {
    /// The room, or the user it is for.
    pub to: String,
    /// The sender.
    pub from: String,
    /// The text.
    pub text: String,
    /// When, in milliseconds since 1970.
    pub at: u64,
}

impl Message {
    /// A message with the current time.
    pub(crate) fn new(to: &str, from: &str, text: &str) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Self { to: to.to_owned(), from: from.to_owned(), text: text.to_owned(), at }
    }
}

/// The shared state. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct House(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    moderators: HashSet<String>,
    removed: Mutex<HashSet<String>>,
    said: Mutex<HashMap<String, VecDeque<Message>>>,
}

impl Default for House {
    /// The moderators are those that `CHAT_MODERATORS` names, separated by commas; `admin` without it.
    fn default() -> Self {
        let names = std::env::var("CHAT_MODERATORS").unwrap_or_else(|_| "admin".to_owned());
        let moderators = names.split(',').map(|name| name.trim().to_owned()).collect();
        Self(Arc::new(Inner { moderators, removed: Mutex::default(), said: Mutex::default() }))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic happens under these locks")
}

impl House {
    /// Whether a user is a moderator.
    pub(crate) fn is_moderator(&self, user: &str) -> bool {
        self.0.moderators.contains(user)
    }

    /// Whether a user is banned.
    pub(crate) fn is_removed(&self, user: &str) -> bool {
        lock(&self.0.removed).contains(user)
    }

    /// Bans or unbans a user.
    pub(crate) fn set_removed(&self, user: &str, removed: bool) {
        match removed {
            true => lock(&self.0.removed).insert(user.to_owned()),
            false => lock(&self.0.removed).remove(user),
        };
    }

    /// All banned users.
    pub(crate) fn removed(&self) -> Vec<String> {
        let mut users: Vec<String> = lock(&self.0.removed).iter().cloned().collect();
        users.sort();
        users
    }

    /// Stores a message of a room.
    pub(crate) fn keep(&self, message: Message) {
        let mut said = lock(&self.0.said);
        let room = said.entry(message.to.clone()).or_default();
        room.push_back(message);
        if room.len() > KEPT {
            room.pop_front();
        }
    }

    /// The recent messages of a room.
    pub(crate) fn said(&self, room: &str) -> Vec<Message> {
        lock(&self.0.said).get(room).map(|room| room.iter().cloned().collect()).unwrap_or_default()
    }
}
