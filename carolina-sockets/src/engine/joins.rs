//! CONNECT packets that the engine would ignore.
//!
//! socketioxide answers a CONNECT, calls the connect handler, and only then takes the client off the list of those that are
//! being let in. Until then it ignores another CONNECT for the same namespace, and the client may be faster: it leaves at
//! once and joins again, or tries again after a refusal. So a CONNECT is held back for a moment after the last answer.
//!
//! Nothing tells when the engine is done with an answer, and its thread may have been suspended just then. So a CONNECT is
//! also kept until the namespace's middleware has been called for it, which the engine does at once if at all; if it has
//! not after a long time, the engine is given the packet again.

use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::rejoin::joined;

/// How long after an answer a CONNECT is held back. The engine needs less than a microsecond.
pub(super) const HOLD: Duration = Duration::from_millis(2);

/// After how long the engine has ignored a CONNECT. Doubled with each attempt.
pub(super) const CALL_TIME: Duration = Duration::from_millis(250);

/// How often the engine is given a CONNECT again. It rightly ignores that of a client that is on the channel already.
const ATTEMPTS: u32 = 3;

/// How many bytes of packets are kept for one client.
const MOST_BYTES: usize = 64 * 1024;

/// One client's, on all namespaces.
#[derive(Default)]
pub(super) struct Joins(Mutex<State>);

#[derive(Default)]
struct State {
    /// What the engine is about to read, or has ignored.
    sent: Vec<Join>,
    /// How many connect handlers have not returned.
    connecting: usize,
    answered: Option<Instant>,
}

struct Join {
    packet: Bytes,
    /// When the engine has ignored it.
    due: Instant,
    attempts: u32,
}

impl Joins {
    /// The engine is about to read a CONNECT. Of each namespace the last one is kept, and of all so many bytes as are allowed
    /// at most: a packet beyond is not given to the engine again.
    pub(super) fn add(&self, packet: &[u8]) {
        let due = Instant::now() + CALL_TIME;
        let sent = &mut self.0.lock().sent;
        sent.retain(|join| joined(&join.packet) != joined(packet));
        if sent.iter().map(|join| join.packet.len()).sum::<usize>() + packet.len() <= MOST_BYTES {
            sent.push(Join { packet: Bytes::copy_from_slice(packet), due, attempts: 0 });
        }
    }

    /// The namespace's middleware has been called, or the client has left.
    pub(super) fn remove(&self, path: &[u8]) {
        let joins = &mut self.0.lock().sent;
        joins.retain(|join| joined(&join.packet) != Some(path));
        if joins.is_empty() {
            // Most clients join once.
            *joins = Vec::new();
        }
    }

    /// What has been ignored, to be given to the engine again; and when to look again. `None` if nothing is awaited.
    pub(super) fn ignored(&self) -> Option<(Vec<Bytes>, Instant)> {
        let joins = &mut self.0.lock().sent;
        let now = Instant::now();
        let mut again = Vec::new();
        for join in joins.iter_mut().filter(|join| join.due <= now) {
            join.attempts += 1;
            join.due = now + CALL_TIME * 2_u32.pow(join.attempts);
            if join.attempts <= ATTEMPTS {
                again.push(join.packet.clone());
            }
        }
        joins.retain(|join| join.attempts <= ATTEMPTS);
        let next = joins.iter().map(|join| join.due).min()?;
        Some((again, next))
    }

    /// The middleware returns: the engine is about to answer, and to call the connect handler if the client is let in.
    pub(super) fn answering(&self, is_let_in: bool) {
        let mut state = self.0.lock();
        state.connecting += usize::from(is_let_in);
        state.answered = Some(Instant::now());
    }

    /// The connect handler has returned.
    pub(super) fn connected(&self) {
        let mut state = self.0.lock();
        state.connecting = state.connecting.saturating_sub(1);
        state.answered = Some(Instant::now());
    }

    /// How long to hold back a CONNECT.
    pub(super) fn hold(&self) -> Option<Duration> {
        let mut state = self.0.lock();
        if state.connecting > 0 {
            return Some(HOLD);
        }
        let left = HOLD.checked_sub(state.answered?.elapsed()).filter(|left| !left.is_zero());
        if left.is_none() {
            state.answered = None;
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connect_is_repeated_until_it_is_begun_and_not_for_ever() {
        let joins = Joins::default();
        joins.add(b"40/chat,{\"a\":1}");
        tokio::time::advance(CALL_TIME / 2).await;
        joins.add(b"40{\"b\":1}");
        let (again, next) = joins.ignored().unwrap();
        assert_eq!((again.len(), next), (0, Instant::now() + CALL_TIME / 2));
        tokio::time::advance(CALL_TIME / 2).await;
        assert_eq!(joins.ignored().unwrap().0, [&b"40/chat,{\"a\":1}"[..]]);
        joins.remove(b"/");
        let mut attempts = 1;
        while let Some((again, next)) = joins.ignored() {
            attempts += again.len();
            tokio::time::sleep_until(next).await;
        }
        assert_eq!(attempts, ATTEMPTS as usize);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connect_is_held_until_a_moment_after_the_last_answer() {
        let joins = Joins::default();
        assert_eq!(joins.hold(), None);
        joins.answering(false);
        assert_eq!(joins.hold(), Some(HOLD));
        tokio::time::advance(HOLD).await;
        assert_eq!(joins.hold(), None);
        joins.answering(true);
        tokio::time::advance(100 * HOLD).await;
        assert_eq!(joins.hold(), Some(HOLD), "the connect handler runs");
        joins.connected();
        assert_eq!(joins.hold(), Some(HOLD));
        tokio::time::advance(HOLD).await;
        assert_eq!(joins.hold(), None);
    }

    #[tokio::test]
    async fn r15_what_is_kept_of_joins_is_bounded() {
        let joins = Joins::default();
        for number in 0..1000 {
            joins.add(format!("40/chat,{{\"a\":{number}}}").as_bytes());
        }
        assert_eq!(joins.0.lock().sent.len(), 1, "one for each namespace");
        for number in 0..100 {
            joins.add(format!("40/{number},{}", "x".repeat(10_000)).as_bytes());
        }
        let kept = joins.0.lock().sent.iter().map(|join| join.packet.len()).sum::<usize>();
        assert!(kept <= MOST_BYTES, "{kept} bytes");
    }
}
