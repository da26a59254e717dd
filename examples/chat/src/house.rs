//! State shared by the channels: recent messages, moderators and banned users.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::{SystemTime, UNIX_EPOCH},
};

use carolina_sockets::{
    EventError,
    schemars::{self, JsonSchema},
};
use serde::Serialize;

/// The available rooms.
const ROOMS: [&str; 3] = ["lobby", "rust", "random"];

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
    /// A message with the current time, if the text can be one.
    pub(crate) fn new(to: &str, from: &str, text: &str) -> Result<Self, EventError> {
        let text = text.trim();
        match text.chars().count() {
            0 => return Err(EventError::new("empty", "write something")),
            1..=2000 => {}
            _ => return Err(EventError::new("too_long", "a message has at most 2000 characters")),
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Ok(Self { to: to.to_owned(), from: from.to_owned(), text: text.to_owned(), at })
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

    /// The names of the rooms.
    pub(crate) fn rooms(&self) -> &'static [&'static str] {
        &ROOMS
    }

    /// Whether a user may come in: an error for one who is banned.
    pub(crate) fn admit(&self, user: &str) -> Result<(), EventError> {
        match lock(&self.0.removed).contains(user) {
            true => Err(EventError::new("removed", "a moderator has removed you")),
            false => Ok(()),
        }
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
