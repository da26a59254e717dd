//! Clients that cost much take turns.
//!
//! tokio polls its sockets and timers when no task is ready, or after some dozen tasks. Many clients that send as fast as they
//! can keep so many tasks ready that everybody else waits for all of them. So whoever costs much goes on only when everything
//! that was ready has run and the sockets have been polled, and one such client for each thread at a time: a request of HTTP, a
//! client that joins a channel, one that has sent much, and one whose connection has ended.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::{runtime::Handle, task::yield_now, time::timeout};

/// After this time the next ones are called in any case: tokio would wait for as long as a handler blocks its thread.
const MAX_WAIT: Duration = Duration::from_millis(2);

/// Those of one service.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    /// One entry for each connection at most. Those of connections that have ended are called as well.
    turns: VecDeque<Arc<Called>>,
    /// Whether a task calls them.
    is_served: bool,
}

#[derive(Default)]
struct Called {
    is_called: AtomicBool,
    waker: AtomicWaker,
}

impl Turns {
    /// The next turn of a client, in the order of asking.
    pub(crate) fn next(&self) -> Turn {
        let turn = Arc::<Called>::default();
        let mut waiting = self.0.lock();
        waiting.turns.push_back(turn.clone());
        let was_served = std::mem::replace(&mut waiting.is_served, true);
        // A runtime that has ended drops the task at once, which takes the lock.
        drop(waiting);
        if !was_served {
            tokio::spawn(Serving { turns: self.clone(), is_done: false }.call_all());
        }
        Turn(turn)
    }
}

/// The task that calls them. Should its runtime end before it has called all, the next that asks starts another one.
struct Serving {
    turns: Turns,
    is_done: bool,
}

impl Serving {
    async fn call_all(mut self) {
        let threads = Handle::current().metrics().num_workers();
        while !self.is_done {
            // tokio resumes it once no other task of its thread is ready, or when it has polled its sockets.
            let _ = timeout(MAX_WAIT, yield_now()).await;
            // Other threads take those that this one does not come to.
            for _ in 0..threads {
                self.call_next();
            }
        }
    }

    fn call_next(&mut self) {
        if self.is_done {
            return;
        }
        let mut waiting = self.turns.0.lock();
        let next = waiting.turns.pop_front();
        waiting.is_served = next.is_some();
        drop(waiting);
        match next {
            Some(next) => {
                next.is_called.store(true, Ordering::Release);
                next.waker.wake();
            }
            None => self.is_done = true,
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if !self.is_done {
            self.turns.0.lock().is_served = false;
        }
    }
}

/// One that a client waits for: ready from when the client is called.
pub(crate) struct Turn(Arc<Called>);

impl Future for Turn {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.waker.register(context.waker());
        if self.0.is_called.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn a_runtime_that_has_ended_leaves_turns_to_the_next() {
        let turns = Turns::default();
        let (asked, is_asked) = std::sync::mpsc::channel();
        std::thread::spawn({
            let turns = turns.clone();
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                let handle = runtime.handle().clone();
                drop(runtime);
                let _entered = handle.enter();
                drop(turns.next());
                asked.send(()).unwrap();
            }
        });
        is_asked.recv_timeout(Duration::from_secs(10)).expect("it does not wait for itself");
        assert!(!turns.0.lock().is_served);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_client_that_blocks_its_thread_does_not_keep_others_from_their_turns() {
        let turns = Turns::default();
        let (called, all) = std::sync::mpsc::channel();
        let (blocking, others) = (turns.next(), (0..10).map(|_| turns.next()).collect::<Vec<_>>());
        for turn in others {
            let called = called.clone();
            tokio::spawn(async move {
                turn.await;
                called.send(()).unwrap();
            });
        }
        let blocks = tokio::spawn(async move {
            blocking.await;
            (0..10).all(|_| all.recv_timeout(Duration::from_secs(10)).is_ok())
        });
        assert!(blocks.await.unwrap(), "all others had their turns meanwhile");
    }

    #[tokio::test]
    async fn all_that_is_ready_runs_between_two_turns() {
        let turns = Turns::default();
        let (others, order) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let clients: Vec<_> = (0..3)
            .map(|number| {
                let (turn, others, order) = (turns.next(), others.clone(), order.clone());
                tokio::spawn(async move {
                    turn.await;
                    order.lock().push((number, others.load(Ordering::Relaxed)));
                    for _ in 0..100 {
                        let others = others.clone();
                        tokio::spawn(async move { others.fetch_add(1, Ordering::Relaxed) });
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        assert_eq!(*order.lock(), [(0, 0), (1, 100), (2, 200)]);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_client_that_has_gone() {
        let turns = Turns::default();
        drop(turns.next());
        let next = turns.next();
        next.await;
        while turns.0.lock().is_served {
            yield_now().await;
        }
        let again = turns.next();
        again.await;
    }
}
