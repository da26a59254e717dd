//! The lifetime of sessions.

use time::{Duration, OffsetDateTime};
use tower_sessions::{Expiry, session::Record};

/// The key in a session's data for the lifetime that a handler set with `Session::set_expiry`. `tower-sessions` forgets
/// it after the request, and the next change would restore `session.ttl`.
pub(crate) const LIFETIME_KEY: &str = "carolina.expiry";

/// Computes expiry dates: by `session.ttl`, unless a session has its own lifetime.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    ttl: Duration,
}

impl Lifetime {
    pub(crate) fn new(ttl: std::time::Duration) -> Self {
        // Longer than a browser keeps any cookie, and within the range of dates.
        Self { ttl: Duration::try_from(ttl).unwrap_or(Duration::MAX).min(Duration::days(36_500)) }
    }

    /// The lifetime of a session without one of its own.
    pub(crate) fn default_expiry(self) -> Expiry {
        Expiry::OnInactivity(self.ttl)
    }

    /// The lifetime of this session.
    pub(crate) fn of(self, record: &Record) -> Expiry {
        let own = record.data.get(LIFETIME_KEY).and_then(|value| serde_json::from_value(value.clone()).ok());
        own.unwrap_or_else(|| self.default_expiry())
    }

    /// When a session with this lifetime ends if it is used now.
    pub(crate) fn end(self, expiry: Expiry) -> OffsetDateTime {
        match expiry {
            Expiry::OnInactivity(after) => OffsetDateTime::now_utc().saturating_add(after),
            Expiry::AtDateTime(end) => end,
            // The browser decides; `ttl` is the upper bound.
            Expiry::OnSessionEnd => OffsetDateTime::now_utc().saturating_add(self.ttl),
        }
    }

    /// Whether a session in use should be prolonged: a tenth of its time has passed. Prolonging more often would write
    /// to the store for every request.
    pub(crate) fn is_due(self, expiry: Expiry, ends: OffsetDateTime) -> bool {
        let whole = match expiry {
            Expiry::OnInactivity(after) => after,
            Expiry::OnSessionEnd => self.ttl,
            Expiry::AtDateTime(_) => return false,
        };
        ends - OffsetDateTime::now_utc() < whole * 9 / 10
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r11_a_session_is_prolonged_once_a_tenth_of_its_time_is_over() {
        let lifetime = Lifetime::new(std::time::Duration::from_secs(1000));
        let expiry = lifetime.default_expiry();
        let ends_in = |seconds| OffsetDateTime::now_utc() + Duration::seconds(seconds);
        assert!(!lifetime.is_due(expiry, ends_in(950)));
        assert!(lifetime.is_due(expiry, ends_in(850)));
        assert!(!lifetime.is_due(Expiry::AtDateTime(ends_in(1)), ends_in(1)));
    }

    #[test]
    fn r15_an_endless_lifetime_is_cut_to_a_date_that_exists() {
        let lifetime = Lifetime::new(std::time::Duration::MAX);
        assert!(lifetime.end(lifetime.default_expiry()) > OffsetDateTime::now_utc());
    }
}
