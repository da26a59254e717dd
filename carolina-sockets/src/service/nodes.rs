//! Notices when other nodes come and go (rule R17).

use std::{sync::Arc, time::Duration};

use socketioxide_core::adapter::CoreAdapter;
use tokio::time::MissedTickBehavior;

use super::Sockets;

/// How often they are counted.
const EVERY: Duration = Duration::from_secs(2);

/// Begins to count them, if there can be any.
pub(super) fn watch(sockets: &Sockets) {
    let inner = sockets.inner();
    let backplane = inner.mounts.values().find_map(|mount| mount.backplane());
    let Some(backplane) = backplane.filter(|_| inner.bus.has_others()) else { return };
    let (backplane, stop) = (Arc::downgrade(&backplane), inner.stop.clone());
    tokio::spawn(async move {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before = None;
        while stop.run_until_cancelled(every.tick()).await.is_some() {
            let Some(backplane) = backplane.upgrade() else { return };
            // While the backplane is away nobody can be counted, which is told elsewhere.
            let Ok(now) = backplane.server_count().await else { continue };
            metrics::gauge!("carolina_sockets_nodes").set(f64::from(now));
            match before.replace(now) {
                Some(before) if now < before => tracing::warn!(nodes = now, "a node has gone: there were {before}"),
                Some(before) if now > before => tracing::info!(nodes = now, "a node has joined: there were {before}"),
                Some(_) => {}
                None => tracing::info!(nodes = now, "on the backplane"),
            }
        }
    });
}
