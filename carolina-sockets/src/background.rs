//! Tasks that a service runs until it ends, apart from handlers, which a shutdown waits for.

use std::{future::Future, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long tasks may take to notice that the service has ended.
const END: Duration = Duration::from_secs(1);

/// A service's own tasks. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Background {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Background {
    /// They end when the token is cancelled.
    pub(crate) fn new(stop: CancellationToken) -> Self {
        Self { tasks: TaskTracker::new(), stop }
    }

    /// Runs a task until it is done or the service has ended.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(self.stop.clone().run_until_cancelled_owned(task));
    }

    /// Ends all of them.
    pub(crate) async fn end(&self) {
        self.stop.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(END, self.tasks.wait()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_tasks_end_with_the_service() {
        let background = Background::new(CancellationToken::new());
        background.spawn(std::future::pending());
        background.spawn(async {});
        background.end().await;
        assert!(background.tasks.is_empty());
    }
}
