//! The figures of a node, which every page is shown again and again.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value as Json, json};
use tokio::time::MissedTickBehavior;

use super::Outbox;
use crate::{core::ChannelCore, engine::Engine, guard::Guard, telemetry::traffic};

/// How often the official server sends them. The page takes a server for gone after 10 seconds.
const INTERVAL: Duration = Duration::from_secs(2);

/// What the figures are made of.
pub(super) struct Stats {
    channels: Vec<Arc<ChannelCore>>,
    guard: Arc<Guard>,
    engine: Weak<Engine>,
    hostname: String,
    began: Instant,
    /// Beside host and process, tells services of one process from each other.
    number: u32,
}

impl Stats {
    pub(super) fn new(channels: Vec<Arc<ChannelCore>>, guard: Arc<Guard>, engine: Weak<Engine>) -> Self {
        Self { channels, guard, engine, hostname: hostname(), began: Instant::now(), number: rand::random() }
    }

    /// Shows them until the service ends.
    pub(super) async fn show(self, outbox: Outbox) {
        let mut every = tokio::time::interval(INTERVAL);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            outbox.show("server_stats", vec![self.now()]);
        }
    }

    fn now(&self) -> Json {
        let count = |core: &Arc<ChannelCore>| core.each().iter().map(|core| core.sockets_here()).sum::<usize>();
        let namespaces = self.channels.iter().map(|core| json!({ "name": core.path, "socketsCount": count(core) }));
        let pid = std::process::id();
        json!({
            "serverId": format!("{}#{pid}#{:08x}", self.hostname, self.number),
            "hostname": self.hostname,
            "pid": pid,
            "uptime": self.began.elapsed().as_secs_f64(),
            "clientsCount": self.guard.connections(),
            "pollingClientsCount": self.engine.upgrade().map_or(0, |engine| engine.polling_clients()),
            "aggregatedEvents": aggregated(),
            "namespaces": namespaces.collect::<Vec<_>>(),
        })
    }
}

/// What went over the connections since the last time.
fn aggregated() -> Vec<Json> {
    let sums = traffic::take();
    let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() * 1000;
    let all = [
        ("packetsIn", sums.packets_in),
        ("packetsOut", sums.packets_out),
        ("bytesIn", sums.bytes_in),
        ("bytesOut", sums.bytes_out),
        ("rawConnection", sums.opened),
        ("rawDisconnection", sums.closed),
    ];
    let some = all.into_iter().filter(|(_, count)| *count > 0);
    some.map(|(kind, count)| json!({ "timestamp": timestamp, "type": kind, "count": count })).collect()
}

fn hostname() -> String {
    let name =
        std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::fs::read_to_string("/etc/hostname"));
    let name = name.ok().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    name.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_else(|| "localhost".to_owned())
}
