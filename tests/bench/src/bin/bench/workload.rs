//! What is measured.

use carolina_bench::Metrics;

use crate::server::Server;

/// The limits that a carolina-sockets server runs with. They are all on; the load is what no single client should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limits {
    /// Raised, so that they do not refuse the load.
    Raised,
    /// As they are by default.
    Default,
}

/// One thing to measure.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Arguments of the load generator.
    pub(crate) full: &'static [&'static str],
    /// The same for the short form, if it is part of that.
    pub(crate) quick: Option<&'static [&'static str]>,
    pub(crate) limits: Limits,
    /// Further arguments of the raw server.
    pub(crate) raw: &'static [&'static str],
    /// Servers that cannot do it.
    pub(crate) not_by: &'static [Server],
    /// What is shown while measuring.
    brief: &'static [&'static str],
}

impl Workload {
    /// The arguments of the load generator.
    pub(crate) fn arguments(&self, quick: bool) -> &'static [&'static str] {
        self.quick.filter(|_| quick).unwrap_or(self.full)
    }

    /// The gist of a measurement.
    pub(crate) fn brief(&self, metrics: &Metrics) -> String {
        let gist = self.brief.iter().filter_map(|name| Some(format!("{name} {:.1}", metrics.get(*name)?)));
        gist.collect::<Vec<_>>().join(", ")
    }
}

const ECHO: &[&str] = &["messages_per_second", "p50_us", "p99_us", "lost_answers", "server_cpu_share"];
const BROADCAST: &[&str] = &["messages_per_second", "out_of_order", "stalled", "server_cpu_share"];
const ORDER: &[&str] = &["overtaken_percent", "lost_answers"];
const FLOOD: &[&str] = &["calm_p99_us", "flooded_p99_us", "p99_ratio", "flooder_closed"];

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "echo_64",
        about: "events of 64 B with acknowledgement, 100 clients with 8 in flight",
        full: &["echo", "--clients", "100", "--in-flight", "8", "--bytes", "64"],
        quick: Some(&["echo", "--clients", "100", "--in-flight", "8", "--bytes", "64", "--seconds", "2"]),
        limits: Limits::Raised,
        raw: &[],
        not_by: &[],
        brief: ECHO,
    },
    Workload {
        name: "echo_4k",
        about: "the same with 4 KiB",
        full: &["echo", "--clients", "100", "--in-flight", "8", "--bytes", "4096"],
        quick: Some(&["echo", "--clients", "100", "--in-flight", "8", "--bytes", "4096", "--seconds", "2"]),
        limits: Limits::Raised,
        raw: &[],
        not_by: &[],
        brief: ECHO,
    },
    Workload {
        name: "echo_10x1",
        about: "events of 64 B with acknowledgement, 10 clients with 1 in flight",
        full: &["echo", "--clients", "10", "--in-flight", "1", "--bytes", "64"],
        quick: Some(&["echo", "--clients", "10", "--in-flight", "1", "--bytes", "64", "--seconds", "2"]),
        limits: Limits::Raised,
        raw: &[],
        not_by: &[],
        brief: ECHO,
    },
    Workload {
        name: "paced",
        about: "the same from 50 clients with 20 events a second each: a server with time to spare",
        full: &["paced"],
        quick: None,
        limits: Limits::Default,
        raw: &[],
        not_by: &[],
        brief: &["p50_us", "p99_us", "cpu_us_per_message"],
    },
    Workload {
        name: "broadcast_1",
        about: "events emitted to 1,000 clients, the next when the last has reached all",
        full: &["broadcast", "--in-flight", "1"],
        quick: None,
        limits: Limits::Raised,
        raw: &[],
        not_by: &[],
        brief: BROADCAST,
    },
    Workload {
        name: "broadcast_8",
        about: "the same, 8 at a time",
        full: &["broadcast", "--in-flight", "8"],
        quick: Some(&["broadcast", "--in-flight", "8", "--seconds", "2"]),
        limits: Limits::Raised,
        raw: &[],
        not_by: &[],
        brief: BROADCAST,
    },
    Workload {
        name: "broadcast_8_nodelay",
        about: "the same, raw socketioxide with TCP_NODELAY as the others have it",
        full: &["broadcast", "--in-flight", "8"],
        quick: None,
        limits: Limits::Raised,
        raw: &["--nodelay"],
        not_by: &[Server::Node, Server::Limit],
        brief: BROADCAST,
    },
    Workload {
        name: "rooms",
        about: "events emitted to 1,000 rooms with a client in each, 8 at a time",
        full: &["broadcast", "--in-flight", "8", "--rooms"],
        quick: None,
        limits: Limits::Raised,
        raw: &[],
        not_by: &[Server::Limit],
        brief: BROADCAST,
    },
    Workload {
        name: "overload",
        about: "5,000 broadcasts a second to 1,000 clients: more than can be sent",
        full: &["overload", "--per-second", "5000", "--seconds", "1"],
        quick: Some(&["overload", "--per-second", "5000", "--seconds", "0.5"]),
        limits: Limits::Raised,
        raw: &[],
        not_by: &[],
        brief: &["on_time_percent", "delivered_percent", "told_missed_percent", "untold"],
    },
    Workload {
        name: "connect",
        about: "connections, 64 being made at a time",
        full: &["connect", "--count", "5000"],
        quick: Some(&["connect", "--count", "3000"]),
        limits: Limits::Raised,
        raw: &[],
        not_by: &[],
        brief: &["connects_per_second", "cpu_us_per_connect"],
    },
    Workload {
        name: "memory",
        about: "10,000 idle connections on which 20 events are declared, ten times",
        full: &["memory", "--connections", "10000", "--rounds", "10"],
        quick: Some(&["memory", "--connections", "3000", "--rounds", "3"]),
        limits: Limits::Raised,
        raw: &[],
        not_by: &[],
        brief: &["first_bytes_per_connection", "second_bytes_per_connection", "last_to_second"],
    },
    Workload {
        name: "parameters",
        about: "a channel with parameters beside one without: echo, 10,000 instances, a million paths opened and left",
        full: &["parameters"],
        quick: Some(&["parameters", "--paths", "50000", "--instances", "2000", "--seconds", "0.5"]),
        limits: Limits::Raised,
        raw: &[],
        not_by: &[Server::Raw, Server::Node, Server::Limit],
        brief: &["echo_per_second_ratio", "bytes_per_socket_ratio", "paths_last_to_first"],
    },
    Workload {
        name: "presence",
        about: "10,000 clients join one channel that lists who is there",
        full: &["presence"],
        quick: Some(&["presence", "--clients", "1000", "--more", "20"]),
        limits: Limits::Raised,
        raw: &[],
        not_by: &[Server::Raw, Server::Node, Server::Limit],
        brief: &["storm_seconds", "bytes_per_join_at_first", "bytes_per_join_at_last", "join_seen_by_all_p50_us"],
    },
    Workload {
        name: "order_2",
        about: "numbered events of one client, 2 in flight",
        full: &["order", "--in-flight", "2"],
        quick: None,
        limits: Limits::Raised,
        raw: &[],
        not_by: &[],
        brief: ORDER,
    },
    Workload {
        name: "order_8",
        about: "the same, 8 in flight",
        full: &["order", "--in-flight", "8"],
        quick: None,
        limits: Limits::Raised,
        raw: &[],
        not_by: &[],
        brief: ORDER,
    },
    Workload {
        name: "order_64",
        about: "the same, 64 in flight",
        full: &["order", "--in-flight", "64"],
        quick: Some(&["order", "--in-flight", "64"]),
        limits: Limits::Raised,
        raw: &[],
        not_by: &[],
        brief: ORDER,
    },
    Workload {
        name: "in_flight",
        about: "1,000 events in flight on each of 20 connections",
        full: &["echo", "--clients", "20", "--in-flight", "1000", "--seconds", "3"],
        quick: Some(&["echo", "--clients", "20", "--in-flight", "1000", "--seconds", "1"]),
        limits: Limits::Raised,
        raw: &[],
        not_by: &[],
        brief: &["messages_per_second", "lost_answers", "wrong_answers"],
    },
    Workload {
        name: "flood",
        about: "what 50 paced clients notice of one that sends all it can; default limits",
        full: &["flood"],
        quick: Some(&["flood", "--seconds", "2"]),
        limits: Limits::Default,
        raw: &[],
        not_by: &[],
        brief: FLOOD,
    },
    Workload {
        name: "flood_raised",
        about: "the same with limits that let the flood in",
        full: &["flood"],
        quick: None,
        limits: Limits::Raised,
        raw: &[],
        not_by: &[Server::Raw, Server::Node, Server::Limit],
        brief: FLOOD,
    },
];

#[cfg(test)]
mod tests {
    use super::WORKLOADS;

    #[test]
    fn names_are_used_once() {
        let mut names: Vec<_> = WORKLOADS.iter().map(|workload| workload.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), WORKLOADS.len());
    }
}
