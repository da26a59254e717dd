use crate::{
    error::{Error, Result},
    identity::{instead_of, is_reserved, mask_room},
};

/// One room or several: `"news"`, a `String`, an array, a slice or a `Vec` of either.
///
/// Rooms are made by joining them and vanish with their last member; any text is a name, but for the library's own:
/// those that begin with `session.`, `user.` or a NUL character are refused wherever an application names a room, with
/// [`Error::ReservedRoom`] (rule R30). A user's sockets are reached by `emit_to_user`, `to_user` and `except_user`, a
/// session's likewise.
pub trait Rooms {
    /// The names of the rooms.
    fn into_rooms(self) -> Vec<String>;
}

/// The rooms' names, unless one of them is the library's own.
pub(crate) fn checked(rooms: impl Rooms) -> Result<Vec<String>> {
    let rooms = rooms.into_rooms();
    match rooms.iter().find(|room| is_reserved(room)) {
        Some(room) => {
            let instead = instead_of(room);
            Err(Error::ReservedRoom { room: mask_room(room).escape_debug().to_string(), instead })
        }
        None => Ok(rooms),
    }
}

impl Rooms for &str {
    fn into_rooms(self) -> Vec<String> {
        vec![self.to_owned()]
    }
}

impl Rooms for String {
    fn into_rooms(self) -> Vec<String> {
        vec![self]
    }
}

impl Rooms for &String {
    fn into_rooms(self) -> Vec<String> {
        vec![self.clone()]
    }
}

impl Rooms for std::borrow::Cow<'_, str> {
    fn into_rooms(self) -> Vec<String> {
        vec![self.into_owned()]
    }
}

impl<R: Into<String>> Rooms for Vec<R> {
    fn into_rooms(self) -> Vec<String> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<R: Into<String>, const N: usize> Rooms for [R; N] {
    fn into_rooms(self) -> Vec<String> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<R: AsRef<str>> Rooms for &[R] {
    fn into_rooms(self) -> Vec<String> {
        self.iter().map(|room| room.as_ref().to_owned()).collect()
    }
}

impl<R: AsRef<str>> Rooms for &Vec<R> {
    fn into_rooms(self) -> Vec<String> {
        self.as_slice().into_rooms()
    }
}
