//! The rooms of an identity.

use std::borrow::Cow;

const SESSION: &str = "session.";
const USER: &str = "user.";

/// The room of a session's sockets.
pub(crate) fn session_room(id: &str) -> String {
    format!("{SESSION}{id}")
}

/// The room of a user's sockets.
pub(crate) fn user_room(key: &str) -> String {
    format!("{USER}{key}")
}

/// The user whose room this is.
pub(crate) fn user_of_room(room: &str) -> Option<&str> {
    room.strip_prefix(USER)
}

/// A room's name for logs, metrics and errors, with the session id masked.
pub(crate) fn mask_room(room: &str) -> Cow<'_, str> {
    match room.strip_prefix(SESSION) {
        Some(_) => "session.***".into(),
        None => room.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r11_session_rooms_are_masked_and_others_are_not() {
        assert_eq!(mask_room(&session_room("abc")), "session.***");
        assert_eq!(mask_room(&user_room("7")), "user.7");
        assert_eq!(mask_room("sessions"), "sessions");
    }
}
