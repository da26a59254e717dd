//! Events that go on while a test does something to the nodes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::nodes::{Node, emit};

/// A node that emits `n` with 0, 1, 2… steadily, on a thread of its own: nothing that a test does holds them up.
#[derive(Debug)]
pub struct Numbers {
    count: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Duration>,
}

impl Numbers {
    /// Starts them.
    pub fn of(node: &Node) -> Self {
        let (count, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (port, counted, stopped) = (node.port(), count.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut slowest = Duration::ZERO;
            while !stopped.load(Relaxed) {
                let began = Instant::now();
                emit(port, json!({ "event": "n", "data": counted.load(Relaxed) }));
                slowest = slowest.max(began.elapsed());
                counted.fetch_add(1, Relaxed);
                // Their pace; nothing waits for it.
                std::thread::sleep(Duration::from_millis(5));
            }
            slowest
        });
        Self { count, stop, thread }
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    /// Waits for some more of them.
    pub async fn more(&self, by: u64) {
        let enough = self.count() + by;
        crate::until("the numbers go on", || self.count() >= enough).await;
    }

    /// Ends them. Returns the last, and how long the slowest took to emit.
    pub fn stop(self) -> (u64, Duration) {
        self.stop.store(true, Relaxed);
        let slowest = self.thread.join().expect("every number is emitted");
        (self.count.load(Relaxed) - 1, slowest)
    }
}
