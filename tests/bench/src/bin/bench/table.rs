//! The table, in Markdown.

use std::{fmt::Write, fs, process::Command};

use crate::{
    rows::{Goal, ROWS, Row},
    server::Server,
    summary::Summary,
};

/// What a program prints first, or a dash.
fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success());
    let line = output.and_then(|output| String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned));
    line.unwrap_or_else(|| "–".to_owned())
}

/// When, where and with what.
fn circumstances(summary: &Summary) -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("–");
    let count = processors.lines().filter(|line| line.starts_with("processor")).count();
    format!(
        "{}, {count} cores ({}), server and generator on one each; medians of {}; {}, Node {}; carolina-sockets at {}.",
        first_line("date", &["-u", "+%Y-%m-%d"]),
        model.trim_start_matches([' ', '\t', ':']),
        summary.runs,
        first_line("rustc", &["--version"]),
        first_line("node", &["--version"]),
        first_line("git", &["describe", "--always", "--dirty"]),
    )
}

pub(crate) fn markdown(summary: &Summary) -> String {
    let mut text = circumstances(summary);
    text.push_str("\n\n| | carolina | raw | Node | limit | ÷ raw | ÷ Node | to reach | |\n");
    text.push_str("|---|--:|--:|--:|--:|--:|--:|---|---|\n");
    for row in ROWS {
        if Server::ALL.iter().any(|server| row.value(summary, *server).is_some()) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}", line(row, summary));
        }
    }
    let unsure = disturbed(summary);
    if !unsure.is_empty() {
        let _ = writeln!(
            text,
            "\nNot trustworthy, since the server did not have its core to itself: {}.",
            unsure.join(", ")
        );
    }
    text
}

fn line(row: &Row, summary: &Summary) -> String {
    let value = |server| row.value(summary, server).map_or_else(String::new, |value| row.unit.write(value));
    let ratio = |server| match (row.value(summary, Server::Carolina), row.value(summary, server)) {
        (Some(own), Some(other)) if other > 0.0 && own > 0.0 => format!("{:.2}", own / other),
        _ => String::new(),
    };
    let goals: Vec<String> = row.goals.iter().map(|goal| goal.write()).collect();
    let [carolina, raw, node, limit] = Server::ALL.map(value);
    format!(
        "| {} | {carolina} | {raw} | {node} | {limit} | {} | {} | {} | {} |",
        row.label,
        ratio(Server::Raw),
        ratio(Server::Node),
        goals.join(", "),
        verdict(row.goals, row, summary)
    )
}

fn verdict(goals: &[Goal], row: &Row, summary: &Summary) -> &'static str {
    let reached: Vec<bool> = goals.iter().filter_map(|goal| goal.reached(row, summary)).collect();
    match reached {
        none if none.is_empty() => "",
        all if all.iter().all(|reached| *reached) => "✓",
        _ => "✗",
    }
}

/// Measurements in which the server should have used its core up, and could not.
fn disturbed(summary: &Summary) -> Vec<String> {
    let mut found = Vec::new();
    for workload in ["echo_64", "echo_4k", "broadcast_8", "rooms"] {
        for server in Server::ALL {
            let generator = summary.get(workload, server, "generator_cpu_share").unwrap_or(0.0);
            let share = summary.get(workload, server, "server_cpu_share");
            if let Some(share) = share.filter(|share| *share < 0.93) {
                let why = if generator > 0.93 { "the generator was the slower one" } else { "others ran on it" };
                found.push(format!("{workload} of {} ({:.0} % of its core, {why})", server.name(), share * 100.0));
            }
        }
    }
    found
}
