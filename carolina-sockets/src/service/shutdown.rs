use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::Inner;
use crate::{core::end, engine::DisconnectReason};

/// How long closing the connections may take, after the handlers have finished or timed out.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Shuts a service down in order: refuses clients and events, waits for handlers, closes the connections.
pub(super) async fn shutdown(sockets: &Arc<Inner>) {
    if sockets.draining.swap(true, Ordering::AcqRel) {
        return sockets.stop.cancelled().await;
    }
    let limit = sockets.config.limits.shutdown_timeout;
    let began = Instant::now();
    tracing::info!(connections = sockets.guard.connections(), "shutting down");
    sockets.tasks.close();
    if tokio::time::timeout(limit, sockets.tasks.wait()).await.is_err() {
        tracing::warn!(handlers = sockets.tasks.len(), ?limit, "handlers did not finish in time and are left behind");
    }
    // socketioxide drops its namespaces, with the disconnect handlers, before it closes them.
    for socket in sockets.namespaces.values().flat_map(|namespace| namespace.core.sockets()) {
        if let Some(raw) = socket.raw() {
            end(&socket, &raw, DisconnectReason::ServerShutdown);
        }
    }
    let left = limit.saturating_sub(began.elapsed()).max(Duration::from_millis(100));
    let _ = tokio::time::timeout(left, sockets.tasks.wait()).await;
    if let Some(engine) = &sockets.engine {
        // Clients that do not read are not waited for; their connections close with the process.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, engine.close()).await;
    }
    sockets.background.end().await;
}
