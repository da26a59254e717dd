//! Checks the messages of other nodes before the adapter gets them, which would log each one that it cannot read.

use std::{
    collections::HashMap,
    fmt,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};
use socketioxide_core::{
    Sid, Uid,
    adapter::remote_packet::{RequestIn, Response},
};

use super::Namespace;
use crate::backplane::packet::check_request;

/// Checks a message on one of a namespace's channels.
pub(super) fn check(namespace: &Namespace, channel: &str, data: &[u8]) -> Result<(), String> {
    if channel.starts_with(&*namespace.responses) {
        let response: Result<(Sid, Response<IgnoredAny>), _> = rmp_serde::from_slice(data);
        let (id, _) = response.map_err(|error| format!("a response that cannot be read: {error}"))?;
        return match namespace.requests.is_open(&id) {
            true => Ok(()),
            false => Err("a response that nobody waits for".to_owned()),
        };
    }
    let request: RequestIn =
        rmp_serde::from_slice(data).map_err(|error| format!("a request that cannot be read: {error}"))?;
    check_request(&request, &namespace.path)
}

/// The requests of a namespace that are to be answered.
pub(super) struct Requests {
    /// Until when.
    open: Mutex<HashMap<Sid, Instant>>,
    /// How long answers take to a request that says nothing else.
    usual: Duration,
}

impl Requests {
    pub(super) fn new(usual: Duration) -> Self {
        Self { open: Mutex::default(), usual }
    }

    /// Notes a request that is about to be sent.
    pub(super) fn note(&self, request: &[u8]) {
        let Ok(Head { id, answered: true }) = rmp_serde::from_slice(request) else { return };
        let own: Option<RequestIn> = rmp_serde::from_slice(request).ok();
        let timeout =
            own.and_then(|request| request.ack_timeout).map_or(self.usual, |own| own.saturating_add(self.usual));
        let now = Instant::now();
        let mut open = self.open.lock();
        open.retain(|_, until| *until > now);
        if let Some(until) = now.checked_add(timeout) {
            open.insert(id, until);
        }
    }

    fn is_open(&self, id: &Sid) -> bool {
        self.open.lock().get(id).is_some_and(|until| *until > Instant::now())
    }
}

/// The beginning of a request: broadcasts without acknowledgements, which are most, are not read further.
struct Head {
    id: Sid,
    answered: bool,
}

impl<'de> Deserialize<'de> for Head {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(HeadVisitor)
    }
}

struct HeadVisitor;

impl<'de> Visitor<'de> for HeadVisitor {
    type Value = Head;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Head, A::Error> {
        let missing = || A::Error::custom("a request that is too short");
        sequence.next_element::<Uid>()?.ok_or_else(missing)?;
        let id = sequence.next_element()?.ok_or_else(missing)?;
        let kind: u8 = sequence.next_element()?.ok_or_else(missing)?;
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        // Broadcasts with acknowledgements, rooms and sockets.
        Ok(Head { id, answered: matches!(kind, 1 | 3 | 6) })
    }
}

#[cfg(test)]
mod tests {
    use socketioxide_core::adapter::{
        BroadcastOptions,
        remote_packet::{RequestOut, RequestTypeOut},
    };

    use super::*;

    #[test]
    fn requests_that_are_answered_are_noted() {
        let requests = Requests::new(Duration::from_secs(5));
        let options = BroadcastOptions::default();
        let note = |kind| {
            let request = RequestOut::new(Uid::new(), kind, &options);
            requests.note(&rmp_serde::to_vec(&request).unwrap());
            requests.is_open(&request.id)
        };
        assert!(note(RequestTypeOut::AllRooms));
        assert!(note(RequestTypeOut::FetchSockets));
        assert!(!note(RequestTypeOut::DisconnectSockets));
        assert!(!requests.is_open(&Sid::new()));
        requests.note(b"garbage");
    }
}
