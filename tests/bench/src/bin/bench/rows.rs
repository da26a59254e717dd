//! What of the measurements is shown, and what is to be reached.

use crate::{server::Server, summary::Summary};

/// How a figure is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Count,
    Microseconds,
    Kilobytes,
    Percent,
    Ratio,
}

impl Unit {
    pub(crate) fn write(self, value: f64) -> String {
        match self {
            Self::Count => grouped(value),
            Self::Microseconds if value >= 10_000.0 => format!("{:.0} ms", value / 1e3),
            Self::Microseconds if value >= 1000.0 => format!("{:.1} ms", value / 1e3),
            Self::Microseconds if value >= 20.0 => format!("{value:.0} µs"),
            Self::Microseconds => format!("{value:.2} µs"),
            Self::Kilobytes => format!("{:.1} KB", value / 1e3),
            Self::Percent => format!("{value:.1} %"),
            Self::Ratio => format!("{value:.2}"),
        }
    }
}

/// A whole number with a comma at each thousand.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What carolina-sockets has to reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// At least this many times the other's figure.
    AtLeast(f64, Server),
    /// At most this many times the other's figure.
    AtMost(f64, Server),
    /// At most this, whatever others do.
    NoMoreThan(f64),
}

impl Goal {
    /// The goal in words.
    pub(crate) fn write(self) -> String {
        match self {
            Self::AtLeast(ratio, server) => format!("≥ {} × {}", short(ratio), server.name()),
            Self::AtMost(ratio, server) => format!("≤ {} × {}", short(ratio), server.name()),
            Self::NoMoreThan(0.0) => "0".to_owned(),
            Self::NoMoreThan(most) => format!("≤ {}", short(most)),
        }
    }

    /// Whether it is reached, if that can be told.
    pub(crate) fn reached(self, row: &Row, summary: &Summary) -> Option<bool> {
        let own = row.value(summary, Server::Carolina)?;
        Some(match self {
            Self::AtLeast(ratio, server) => own >= ratio * row.value(summary, server)?,
            Self::AtMost(ratio, server) => own <= ratio * row.value(summary, server)?,
            Self::NoMoreThan(most) => own <= most,
        })
    }
}

fn short(number: f64) -> String {
    match number {
        twelfth if (twelfth - 1.0 / 12.0).abs() < 1e-9 => "1/12".to_owned(),
        number => format!("{number}"),
    }
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) label: &'static str,
    pub(crate) workload: &'static str,
    pub(crate) metric: &'static str,
    pub(crate) unit: Unit,
    pub(crate) goals: &'static [Goal],
    /// The heading in the plot, if it is shown there.
    pub(crate) plot: Option<&'static str>,
}

impl Row {
    const fn new(label: &'static str, workload: &'static str, metric: &'static str, unit: Unit) -> Self {
        Self { label, workload, metric, unit, goals: &[], plot: None }
    }

    const fn goals(mut self, goals: &'static [Goal]) -> Self {
        self.goals = goals;
        self
    }

    const fn plot(mut self, heading: &'static str) -> Self {
        self.plot = Some(heading);
        self
    }

    pub(crate) fn value(&self, summary: &Summary, server: Server) -> Option<f64> {
        summary.get(self.workload, server, self.metric)
    }
}

use Goal::{AtLeast, AtMost, NoMoreThan};
use Server::{Node, Raw};
use Unit::{Count, Kilobytes, Microseconds, Percent, Ratio};

const NONE: &[Goal] = &[NoMoreThan(0.0)];

pub(crate) const ROWS: &[Row] = &[
    Row::new("echo 64 B, 100 × 8: msg/s", "echo_64", "messages_per_second", Count)
        .goals(&[AtLeast(1.6, Raw)])
        .plot("echo 64 B, 100 clients × 8: messages per second"),
    Row::new("the same: p50", "echo_64", "p50_us", Microseconds),
    Row::new("the same: p99", "echo_64", "p99_us", Microseconds)
        .goals(&[AtMost(1.0 / 12.0, Raw)])
        .plot("the same: 99 % answered within (less is better)"),
    Row::new("the same: CPU per message", "echo_64", "cpu_us_per_message", Microseconds),
    Row::new("echo 4 KiB, 100 × 8: msg/s", "echo_4k", "messages_per_second", Count)
        .goals(&[AtLeast(1.2, Raw)])
        .plot("echo 4 KiB, 100 clients × 8: messages per second"),
    Row::new("the same: p99", "echo_4k", "p99_us", Microseconds),
    Row::new("echo 64 B, 10 × 1: msg/s", "echo_10x1", "messages_per_second", Count).goals(&[AtLeast(1.0, Raw)]),
    Row::new("the same: p99", "echo_10x1", "p99_us", Microseconds).goals(&[AtMost(1.0, Raw)]),
    Row::new("echo 64 B, 1,000 a second: p50", "paced", "p50_us", Microseconds),
    Row::new("the same: p99", "paced", "p99_us", Microseconds),
    Row::new("the same: CPU per message", "paced", "cpu_us_per_message", Microseconds),
    Row::new("broadcast to 1,000, window 1: deliveries/s", "broadcast_1", "messages_per_second", Count),
    Row::new("broadcast to 1,000, window 8: deliveries/s", "broadcast_8", "messages_per_second", Count)
        .goals(&[AtLeast(1.0, Raw)])
        .plot("broadcast to 1,000 clients: deliveries per second"),
    Row::new("the same: out of order", "broadcast_8", "out_of_order", Count).goals(NONE),
    Row::new("the same, raw with TCP_NODELAY too: deliveries/s", "broadcast_8_nodelay", "messages_per_second", Count),
    Row::new("broadcast to 1,000 rooms: deliveries/s", "rooms", "messages_per_second", Count),
    Row::new("the same: out of order", "rooms", "out_of_order", Count).goals(NONE),
    Row::new("broadcast past capacity: delivered", "overload", "delivered_percent", Percent),
    Row::new("the same: missed, and told", "overload", "told_missed_percent", Percent),
    Row::new("the same: missed, and not told", "overload", "untold_percent", Percent).goals(NONE),
    Row::new("the same: delivered on time", "overload", "on_time_percent", Percent),
    Row::new("connections per second", "connect", "connects_per_second", Count)
        .goals(&[AtLeast(1.0, Raw)])
        .plot("connections per second"),
    Row::new("memory per idle connection, 20 events", "memory", "first_bytes_per_connection", Kilobytes)
        .goals(&[AtMost(0.5, Raw), AtMost(0.9, Node)])
        .plot("memory per idle connection (less is better)"),
    Row::new("the same: second round", "memory", "second_bytes_per_connection", Kilobytes).goals(&[AtMost(0.5, Raw)]),
    Row::new("the same: last round ÷ second", "memory", "last_to_second", Ratio).goals(&[NoMoreThan(1.05)]),
    Row::new("the same: kept when all have left", "memory", "last_kept_bytes_per_connection", Kilobytes),
    Row::new("echo on a channel with a parameter ÷ without", "parameters", "echo_per_second_ratio", Ratio),
    Row::new("memory per socket, 10,000 instances ÷ one channel", "parameters", "bytes_per_socket_ratio", Ratio)
        .goals(&[NoMoreThan(1.1)]),
    Row::new("memory after a million paths ÷ after a thousand", "parameters", "paths_last_to_first", Ratio)
        .goals(&[NoMoreThan(1.05)]),
    Row::new("10,000 join a list of who is there: joins/s", "presence", "joins_per_second", Count),
    Row::new(
        "the same: bytes that each is sent per join, at last ÷ at first",
        "presence",
        "bytes_per_join_ratio",
        Ratio,
    )
    .goals(&[NoMoreThan(1.1)]),
    Row::new("one more joins: until 10,000 know, p50", "presence", "join_seen_by_all_p50_us", Microseconds),
    Row::new("events overtaken, 2 in flight", "order_2", "overtaken_percent", Percent).goals(NONE),
    Row::new("events overtaken, 8 in flight", "order_8", "overtaken_percent", Percent).goals(NONE),
    Row::new("events overtaken, 64 in flight", "order_64", "overtaken_percent", Percent).goals(NONE),
    Row::new("answers lost, 20 × 1,000 in flight", "in_flight", "lost_answers", Count).goals(NONE),
    Row::new("the same: answers that are errors", "in_flight", "wrong_answers", Count).goals(NONE),
    Row::new("p99 of others, calm", "flood", "calm_p99_us", Microseconds),
    Row::new("p99 of others, while one client floods", "flood", "flooded_p99_us", Microseconds),
    Row::new("the same: flooded ÷ calm", "flood", "p99_ratio", Ratio).goals(&[NoMoreThan(2.0)]),
    Row::new("the same, with limits that let the flood in", "flood_raised", "p99_ratio", Ratio),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::WORKLOADS;

    #[test]
    fn rows_show_workloads_that_exist() {
        for row in ROWS {
            assert!(WORKLOADS.iter().any(|workload| workload.name == row.workload), "{}", row.workload);
        }
    }

    #[test]
    fn writes_figures_as_people_read_them() {
        assert_eq!(Unit::Count.write(1_234_567.4), "1,234,567");
        assert_eq!(Unit::Count.write(999.0), "999");
        assert_eq!(Unit::Microseconds.write(66_700.0), "67 ms");
        assert_eq!(Unit::Microseconds.write(171.2), "171 µs");
        assert_eq!(Unit::Microseconds.write(2.25), "2.25 µs");
        assert_eq!(Unit::Kilobytes.write(30_540.0), "30.5 KB");
        assert_eq!(AtMost(1.0 / 12.0, Raw).write(), "≤ 1/12 × raw");
    }
}
