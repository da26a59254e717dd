//! Events per time, counted with `governor`.

use std::{num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::Clock,
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};

/// `rate = "20/s"`: how many per how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many; never 0.
    pub count: u32,
    /// Per how long; never zero.
    pub per: Duration,
}

/// The clock that takes the least time to read.
#[cfg(not(feature = "testing"))]
mod clock {
    use std::sync::LazyLock;

    pub(super) use governor::clock::QuantaInstant as Moment;
    use governor::clock::{Clock, QuantaClock};

    /// Created once: creating a clock executes `cpuid`, which takes 20 µs on a virtual machine.
    static CLOCK: LazyLock<QuantaClock> = LazyLock::new(QuantaClock::default);

    pub(super) fn now() -> Moment {
        CLOCK.now()
    }
}

/// tokio's clock, which tests can pause and advance.
#[cfg(feature = "testing")]
mod clock {
    use std::sync::LazyLock;

    pub(super) use governor::nanos::Nanos as Moment;
    use tokio::time::Instant;

    /// From the system's clock, so that no runtime's clock is behind it: one that was advanced is ahead for itself alone.
    static START: LazyLock<Instant> = LazyLock::new(|| Instant::from_std(std::time::Instant::now()));

    pub(super) fn now() -> Moment {
        let start = *START;
        Instant::now().saturating_duration_since(start).into()
    }
}

/// The one clock. Limiters hold this instead of a copy, which would add 40 bytes to each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SharedClock;

impl Clock for SharedClock {
    type Instant = clock::Moment;

    fn now(&self) -> Self::Instant {
        clock::now()
    }
}

/// A rate limiter without keys.
pub(crate) type Limiter = RateLimiter<NotKeyed, InMemoryState, SharedClock, NoOpMiddleware<clock::Moment>>;

/// Allows `count` at once, and as many again per `per`.
pub(crate) fn limiter(rate: Rate) -> Limiter {
    let count = NonZeroU32::new(rate.count).unwrap_or(NonZeroU32::MIN);
    let each = (rate.per / count.get()).max(Duration::from_nanos(1));
    // `with_period` refuses a period of zero only, which the line above excludes.
    let quota = Quota::with_period(each).unwrap_or_else(|| Quota::per_second(count));
    RateLimiter::direct_with_clock(quota.allow_burst(count), SharedClock)
}

/// Counts one event; the error is the number of milliseconds until the next one is allowed.
pub(crate) fn check(limiter: &Limiter) -> Result<(), u64> {
    limiter.check().map_err(|not_until| {
        let wait = not_until.wait_time_from(limiter.clock().now());
        u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_the_next_is_told_when_to_come() {
        let limiter = limiter(Rate { count: 3, per: Duration::from_secs(60) });
        for _ in 0..3 {
            assert_eq!(check(&limiter), Ok(()));
        }
        let retry_after = check(&limiter).unwrap_err();
        assert!((15_000..=20_001).contains(&retry_after), "{retry_after}");
    }
}
