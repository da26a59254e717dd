//! Logs when other nodes join or leave (rule R17).

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::Sockets;
use crate::telemetry::metric;

/// How often the nodes are counted.
const COUNT_INTERVAL: Duration = Duration::from_secs(2);

/// Starts counting the nodes, if there is a backplane.
pub(super) fn watch(sockets: &Sockets) {
    let inner = sockets.inner();
    let namespace = inner.namespaces.values().find_map(|namespace| namespace.core.namespace().ok());
    let Some(namespace) = namespace.filter(|_| inner.bus.has_backplane()) else { return };
    let (namespace, bus) = (namespace.clone(), inner.bus.clone());
    inner.background.spawn(async move {
        let mut every = tokio::time::interval(COUNT_INTERVAL);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before = None;
        loop {
            every.tick().await;
            // Nodes cannot be counted while the backplane is unavailable, which is logged elsewhere.
            let Ok(now) = namespace.nodes().await else { continue };
            metric::nodes(now);
            // Without the backplane nothing comes back, which is logged elsewhere.
            let _ = bus.measure_lag().await;
            match before.replace(now) {
                Some(before) if now < before => tracing::warn!(nodes = now, "a node has left: there were {before}"),
                Some(before) if now > before => tracing::info!(nodes = now, "a node has joined: there were {before}"),
                Some(_) => {}
                None => tracing::info!(nodes = now, "connected to the backplane"),
            }
        }
    });
}
