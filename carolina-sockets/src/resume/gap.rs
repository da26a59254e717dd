//! What a client is told when it cannot be given all that it missed (rule R24).

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// The event that tells a client of a gap.
pub(super) const GAP_EVENT: &str = "carolina:gap";

/// Why a client could not resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum GapReason {
    /// It came too late, or had left by itself.
    Expired,
    /// It has missed more than is kept.
    Overflow,
    /// The server has been started again.
    Epoch,
    /// It is not who it was.
    Identity,
    /// It was on another node.
    Node,
}

impl GapReason {
    /// Its name in the metrics.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Overflow => "overflow",
            Self::Epoch => "epoch",
            Self::Identity => "identity",
            Self::Node => "node",
        }
    }
}

/// The argument of the event that tells a client of a gap.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Gap {
    pub(super) reason: GapReason,
    /// In milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<u64>,
}

impl Gap {
    pub(super) fn new(reason: GapReason, since: Option<SystemTime>) -> Self {
        Self { reason, since: since.map(millis) }
    }
}

/// A time in milliseconds since 1970.
pub(super) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The time that [`millis`] has written.
pub(super) fn time(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(SystemTime::UNIX_EPOCH)
}
