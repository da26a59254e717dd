/// One room or several: `"news"`, a `String`, an array, a slice or a `Vec` of either.
///
/// A room exists while it has members; any text is a name. Names that begin with `session.` and `user.` are the
/// library's own.
pub trait Rooms {
    /// The rooms' names.
    fn into_rooms(self) -> Vec<String>;
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
