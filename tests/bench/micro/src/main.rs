//! Counts instructions under callgrind, which do not depend on what else a machine is doing: `bench-count`.
//!
//! Each scenario runs twice, with few and with many repetitions; the difference is what one more of them costs.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use carolina_bench_micro::{Dispatch, Events, start_up};

/// A scenario: its name, what is counted, and how often it is done in either run.
const SCENARIOS: [(&str, &str, u64, u64); 6] = [
    ("dispatch-1", "one event, there and back, 1 event declared", 200, 1200),
    ("dispatch-1000", "one event, there and back, 1,000 events declared", 200, 1200),
    ("start-1", "start-up with 1 channel", 1, 3),
    ("start-10", "start-up with 10 channels", 1, 3),
    ("start-100", "start-up with 100 channels", 1, 3),
    ("start-1000", "start-up with 1,000 channels", 1, 3),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match &arguments[..] {
        [] => count_all(),
        [scenario, times] => run(scenario, times),
        _ => Err(anyhow::anyhow!("usage: bench-count, or bench-count SCENARIO TIMES to run one uncounted")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-count: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(scenario: &str, times: &str) -> Result<()> {
    let times: u64 = times.parse().with_context(|| format!("TIMES is a number, not `{times}`"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match scenario.split_once('-') {
            Some(("dispatch", events @ ("1" | "1000"))) => {
                let events = if events == "1" { Events::One } else { Events::Thousand };
                let mut dispatch = Dispatch::start(events).await?;
                for _ in 0..times {
                    dispatch.request().await?;
                }
            }
            Some(("start", channels)) => {
                let channels = channels.parse().with_context(|| format!("`{channels}` is no number of channels"))?;
                for _ in 0..times {
                    drop(start_up(channels).await?);
                }
            }
            _ => bail!("there is no scenario `{scenario}`"),
        }
        Ok(())
    })
}

fn count_all() -> Result<()> {
    println!("| | instructions |\n|---|--:|");
    for (scenario, about, few, many) in SCENARIOS {
        let more = count(scenario, many)?.saturating_sub(count(scenario, few)?);
        println!("| {about} | {} |", more / (many - few));
    }
    Ok(())
}

/// The instructions of a whole run.
fn count(scenario: &str, times: u64) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args([scenario, &times.to_string()])
        .output()
        .context("cannot start valgrind: is it installed?")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{scenario} failed under valgrind: {}", said.trim());
    let collected =
        said.lines().find_map(|line| line.split_once("Collected : ")).context("valgrind counted nothing")?;
    collected.1.trim().parse().context("valgrind's count is no number")
}
