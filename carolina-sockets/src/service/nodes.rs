//! Notices when other nodes come and go (rule R17).

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::Sockets;
use crate::telemetry::metric;

/// How often they are counted.
const COUNT_INTERVAL: Duration = Duration::from_secs(2);

/// Begins to count them, if there can be any.
pub(super) fn watch(sockets: &Sockets) {
    let inner = sockets.inner();
    let namespace = inner.namespaces.values().find_map(|namespace| namespace.core.namespace().ok());
    let Some(namespace) = namespace.filter(|_| inner.bus.has_backplane()) else { return };
    let (namespace, stop) = (namespace.clone(), inner.stop.clone());
    // Not among the tracked tasks, which a shutdown waits for: this one goes on until then.
    tokio::spawn(async move {
        let mut every = tokio::time::interval(COUNT_INTERVAL);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before = None;
        while stop.run_until_cancelled(every.tick()).await.is_some() {
            // While the backplane is away nodes cannot be counted, which is logged elsewhere.
            let Ok(now) = namespace.nodes().await else { continue };
            metric::nodes(now);
            match before.replace(now) {
                Some(before) if now < before => tracing::warn!(nodes = now, "a node has gone: there were {before}"),
                Some(before) if now > before => tracing::info!(nodes = now, "a node has joined: there were {before}"),
                Some(_) => {}
                None => tracing::info!(nodes = now, "on the backplane"),
            }
        }
    });
}
