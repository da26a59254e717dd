use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use socketioxide::socket::Sid;

/// The id of a socket: 16 characters out of letters, digits, `-` and `_`, as the client's `socket.id`.
///
/// One client has the same id on every channel that it joins over one connection, and a new one after a reconnect. An id is no secret: it
/// may be shown to other clients.
///
/// It is written and read as text, by [`Display`](fmt::Display) and [`FromStr`] as well as by `serde`:
///
/// ```
/// use carolina_sockets::SocketId;
///
/// let id: SocketId = "AA9AAA0AAzAAAAHs".parse()?;
/// assert_eq!(id.to_string(), "AA9AAA0AAzAAAAHs");
/// assert!("no id".parse::<SocketId>().is_err());
/// # Ok::<(), carolina_sockets::InvalidSocketId>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SocketId(Sid);

impl SocketId {
    pub(super) fn new(id: Sid) -> Self {
        Self(id)
    }

    /// The id as the engine has it.
    pub(super) fn raw(self) -> Sid {
        self.0
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text that [`SocketId`] was to be read from is not the id of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a socket: an id has 16 characters out of letters, digits, `-` and `_`")]
#[non_exhaustive]
pub struct InvalidSocketId;

impl FromStr for SocketId {
    type Err = InvalidSocketId;

    fn from_str(text: &str) -> Result<Self, InvalidSocketId> {
        text.parse().map(Self).map_err(|_| InvalidSocketId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_and_read_as_text() {
        let id = SocketId::new(Sid::new());
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.as_str(), format!("{id:?}"));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<SocketId>(&json).unwrap(), id);
    }

    #[test]
    fn r15_what_is_no_id_is_refused() {
        for text in ["", "short", "AA9AAA0AAzAAAAH", "AA9AAA0AAzAAAAHss", "AA9AAA0AAzAAAAH!", "äääääääää"] {
            assert_eq!(text.parse::<SocketId>(), Err(InvalidSocketId), "{text}");
        }
    }
}
