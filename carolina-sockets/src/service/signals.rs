//! The signals by which a process is told to end.

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for SIGTERM or ctrl-c, which are listened for from the call on. After the first, another one ends the process at once.
#[cfg(unix)]
pub(super) fn stop_signal() -> impl Future<Output = ()> {
    let mut signals = Signals {
        interrupt: listen(SignalKind::interrupt(), "ctrl-c"),
        terminate: listen(SignalKind::terminate(), "SIGTERM"),
    };
    async move {
        signals.next().await;
        // The same listeners, so that no signal is missed in between.
        tokio::spawn(async move {
            let number = signals.next().await;
            end_at_once(number);
        });
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
}

#[cfg(unix)]
impl Signals {
    /// The number of the next signal.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            Some(()) = async { self.interrupt.as_mut()?.recv().await } => 2,
            Some(()) = async { self.terminate.as_mut()?.recv().await } => 15,
            else => std::future::pending().await,
        }
    }
}

#[cfg(unix)]
pub(super) fn listen(kind: SignalKind, name: &str) -> Option<Signal> {
    match signal(kind) {
        Ok(signal) => Some(signal),
        Err(error) => {
            tracing::error!(%error, "cannot listen for {name}");
            None
        }
    }
}

/// Waits for ctrl-c. From then on, another one ends the process at once.
#[cfg(not(unix))]
pub(super) async fn stop_signal() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::error!(%error, "cannot listen for ctrl-c");
        std::future::pending::<()>().await;
    }
    tokio::spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            end_at_once(2);
        }
    });
}

fn end_at_once(number: i32) -> ! {
    tracing::warn!("a second signal during the shutdown: ended at once");
    // As shells report a process that a signal has ended.
    std::process::exit(128 + number);
}
