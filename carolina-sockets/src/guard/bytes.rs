use std::sync::atomic::{AtomicUsize, Ordering};

/// How many bytes one connection may make the server keep for one purpose.
#[derive(Debug)]
pub(crate) struct ByteBudget {
    used: AtomicUsize,
    most: usize,
}

impl ByteBudget {
    pub(crate) fn new(most: u64) -> Self {
        Self { used: AtomicUsize::new(0), most: usize::try_from(most).unwrap_or(usize::MAX) }
    }

    /// Whether so many bytes more fit. What is larger than the whole budget fits when nothing else is kept.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let used = self.used.load(Ordering::Relaxed);
        used == 0 || used.saturating_add(bytes) <= self.most
    }

    /// Adds so many bytes if [there is room](Self::has_room).
    pub(crate) fn reserve(&self, bytes: usize) -> bool {
        let add = |used: usize| {
            let sum = used.saturating_add(bytes);
            (used == 0 || sum <= self.most).then_some(sum)
        };
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }

    /// Adds so many bytes, unless they exceed the budget.
    pub(crate) fn try_add(&self, bytes: usize) -> bool {
        let add = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.most);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives so many bytes back. They may have been [cleared](Self::clear) meanwhile.
    pub(crate) fn subtract(&self, bytes: usize) {
        let rest = |used: usize| Some(used.saturating_sub(bytes));
        // Never refused.
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest);
    }

    pub(crate) fn clear(&self) {
        self.used.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r14_bytes_are_counted_and_given_back() {
        let budget = ByteBudget::new(100);
        assert!(budget.has_room(1000), "one that is larger passes alone");
        assert!(!budget.try_add(1000));
        budget.add(60);
        assert!(budget.has_room(40));
        assert!(!budget.has_room(41));
        budget.subtract(60);
        budget.add(101);
        assert!(!budget.has_room(0));
        budget.clear();
        budget.subtract(60);
        assert!(budget.reserve(1000), "one that is larger passes alone");
        assert!(!budget.reserve(1));
        budget.subtract(1000);
        assert!(budget.try_add(100));
    }
}
