//! The rooms of an identity.

use std::borrow::Cow;

const SESSION: &str = "session.";
const USER: &str = "user.";
/// What the names of the engine's own rooms begin with.
const INTERNAL: &str = "\0";

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

/// Whether a room is the library's own: the sockets in it follow from who they belong to, or from how they are doing.
pub(crate) fn is_reserved(room: &str) -> bool {
    [SESSION, USER, INTERNAL].into_iter().any(|prefix| room.starts_with(prefix))
}

/// What to write where an application named a room of the library's own.
pub(crate) fn instead_of(room: &str) -> &'static str {
    if room.starts_with(USER) {
        "to reach a user's sockets write `emit_to_user`, `to_user` or `except_user`; call a room of your own otherwise"
    } else if room.starts_with(SESSION) {
        "to reach a session's sockets write `emit_to_session`, `to_session` or `except_session`; call a room of your own otherwise"
    } else {
        "names that begin with a NUL character are the library's; call a room of your own otherwise"
    }
}

/// A room's name as logs, metrics and errors may show it: whoever reads a session's id may act as its owner.
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

    #[test]
    fn r30_the_librarys_own_rooms_are_told_from_others() {
        for room in [session_room("abc"), user_room("7"), user_room(""), "\0left".to_owned()] {
            assert!(is_reserved(&room), "{room:?}");
        }
        for room in ["", "user", "users.7", "sessions", "room.user.7", "User.7", " user.7"] {
            assert!(!is_reserved(room), "{room:?}");
        }
    }
}
