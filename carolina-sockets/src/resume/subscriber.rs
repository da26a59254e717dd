//! The sockets on a channel with a log, and what their clients have asked for.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use super::{Log, replay::Resumption};

/// A socket on a channel with a log, whether its client has asked to resume or not. Counted until it is dropped.
pub(crate) struct Subscriber {
    pub(crate) log: Arc<Log>,
    /// `None` for a client that is sent no offsets.
    pub(super) request: Option<ResumeRequest>,
    /// Set when it has entered.
    pub(super) pid: OnceLock<Arc<str>>,
    pub(super) resumed: OnceLock<Option<Resumption>>,
}

/// A client has asked to be sent offsets, and to resume if it presents a `pid`.
pub(super) struct ResumeRequest {
    /// That of the connection before.
    pub(super) pid: Option<String>,
    /// The last one that it was sent.
    pub(super) offset: Option<String>,
}

impl Subscriber {
    /// `auth` is the payload of its CONNECT.
    pub(crate) fn new(log: Arc<Log>, auth: Option<&str>) -> Self {
        let request = auth.and_then(ResumeRequest::read);
        log.counter(request.is_some()).fetch_add(1, Ordering::AcqRel);
        Self { log, request, pid: OnceLock::new(), resumed: OnceLock::new() }
    }

    /// Whether its client is sent offsets.
    pub(crate) fn wants_offsets(&self) -> bool {
        self.request.is_some()
    }

    /// What its client has resumed with, if it has.
    pub(crate) fn resumed(&self) -> Option<Resumption> {
        self.resumed.get().copied().flatten()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let counter: &AtomicUsize = self.log.counter(self.request.is_some());
        counter.fetch_sub(1, Ordering::AcqRel);
    }
}

impl ResumeRequest {
    /// `None` for a client that does not ask.
    fn read(auth: &str) -> Option<Self> {
        if !auth.contains("\"resume\"") && !auth.contains("\"pid\"") {
            return None;
        }
        let auth: serde_json::Value = serde_json::from_str(auth).ok()?;
        let text = |key: &str| auth.get(key).and_then(|value| value.as_str()).map(str::to_owned);
        let pid = text("pid");
        let is_asked = pid.is_some() || auth.get("resume").is_some_and(|resume| resume == true);
        is_asked.then(|| Self { pid, offset: text("offset") })
    }
}
