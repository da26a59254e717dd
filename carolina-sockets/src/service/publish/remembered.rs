use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

/// How many keys are remembered, and for how long.
const MOST: usize = 10_000;
const LIFETIME: Duration = Duration::from_secs(10 * 60);

/// The keys of messages that were published: the newest 10,000 of the last ten minutes.
#[derive(Default)]
pub(super) struct Remembered {
    keys: HashSet<String>,
    /// In the order in which they were added.
    order: VecDeque<(Instant, String)>,
}

impl Remembered {
    pub(super) fn contains(&mut self, key: &str) -> bool {
        self.forget();
        self.keys.contains(key)
    }

    pub(super) fn add(&mut self, key: String) {
        if self.keys.insert(key.clone()) {
            self.order.push_back((Instant::now(), key));
        }
        self.forget();
    }

    fn forget(&mut self) {
        while self.order.len() > MOST || self.order.front().is_some_and(|(since, _)| since.elapsed() > LIFETIME) {
            if let Some((_, key)) = self.order.pop_front() {
                self.keys.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn keys_are_forgotten_after_their_time_and_beyond_their_number() {
        let mut remembered = Remembered::default();
        remembered.add("old".to_owned());
        tokio::time::advance(LIFETIME - Duration::from_secs(1)).await;
        remembered.add("new".to_owned());
        assert!(remembered.contains("old"));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(!remembered.contains("old") && remembered.contains("new"));
        for number in 0..MOST {
            remembered.add(number.to_string());
        }
        assert!(!remembered.contains("new") && remembered.contains("0"));
        assert_eq!((remembered.keys.len(), remembered.order.len()), (MOST, MOST));
    }
}
