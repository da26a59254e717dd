//! The events of namespace `/` that every server answers, 20 of them.
//!
//! | event | argument | does | acknowledges with |
//! |---|---|---|---|
//! | `echo` | text | nothing | the text |
//! | `numbered` | number | counts these events | how many were handled before this one |
//! | `join` | number | joins room `room-{number}` | the number |
//! | `broadcast` | [`News`] | emits it as `news` to everybody | how many clients it could not reach, as far as the server knows |
//! | `publish` | [`News`] | emits it as `news` to `room-0` to `room-999` in one go | the same |
//! | those of [`OTHERS`] | text | nothing | the text |

use serde::{Deserialize, Serialize};

/// What is broadcast.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct News {
    /// Its place in the order, from 0.
    pub number: u64,
    /// What it says.
    pub text: String,
}

/// How many rooms `publish` emits to.
pub const ROOMS: usize = 1000;

/// The name of a room.
pub fn room(number: usize) -> String {
    format!("room-{number}")
}

/// Declared and hardly ever sent, as most events of an application are.
pub const OTHERS: [&str; 15] = [
    "typing", "read", "edit", "delete", "react", "pin", "unpin", "mute", "unmute", "invite", "accept", "decline",
    "search", "profile", "status",
];
