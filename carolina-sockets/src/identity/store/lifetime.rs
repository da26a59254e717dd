//! How long a session lives.

use time::{Duration, OffsetDateTime};
use tower_sessions::{Expiry, session::Record};

/// Where a session's data keeps the lifetime that a handler gave it by `Session::set_expiry`. `tower-sessions` itself
/// forgets it with the request, and the next change would bring `session.ttl` back.
pub(crate) const LIFETIME_KEY: &str = "carolina.expiry";

/// `session.ttl`, unless a session has a lifetime of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    ttl: Duration,
}

impl Lifetime {
    pub(crate) fn new(ttl: std::time::Duration) -> Self {
        // Longer than a browser keeps any cookie, and far from where dates overflow.
        Self { ttl: Duration::try_from(ttl).unwrap_or(Duration::MAX).min(Duration::days(36_500)) }
    }

    /// What a session has that nobody gave a lifetime of its own.
    pub(crate) fn default_expiry(self) -> Expiry {
        Expiry::OnInactivity(self.ttl)
    }

    /// The lifetime of this session.
    pub(crate) fn of(self, record: &Record) -> Expiry {
        let own = record.data.get(LIFETIME_KEY).and_then(|value| serde_json::from_value(value.clone()).ok());
        own.unwrap_or_else(|| self.default_expiry())
    }

    /// When a session with this lifetime ends that is in use now.
    pub(crate) fn end(self, expiry: Expiry) -> OffsetDateTime {
        match expiry {
            Expiry::OnInactivity(after) => OffsetDateTime::now_utc().saturating_add(after),
            Expiry::AtDateTime(end) => end,
            // The browser decides; `ttl` bounds it should it never say.
            Expiry::OnSessionEnd => OffsetDateTime::now_utc().saturating_add(self.ttl),
        }
    }

    /// Whether a session in use has come so far that it should be prolonged: a tenth of its time is over. More often
    /// would be a write to the store for every request.
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
