//! Counts instructions under callgrind, which do not depend on what else a machine is doing.
//!
//! Each scenario runs twice, with few and with many repetitions; the difference is what one more of them costs.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

/// What is counted, the program that does it, and how often in either run.
const SCENARIOS: [(&str, &str, &[&str], u64, u64); 6] = [
    ("one event, there and back, 1 event declared", "bench-dispatch", &["narrow"], 1_000, 21_000),
    ("one event, there and back, 1,000 events declared", "bench-dispatch", &["wide"], 1_000, 21_000),
    ("start-up with 1 channel", "bench-start-1", &[], 1, 5),
    ("start-up with 10 channels", "bench-start-10", &[], 1, 5),
    ("start-up with 100 channels", "bench-start-100", &[], 1, 5),
    ("start-up with 1,000 channels", "bench-start-1000", &[], 1, 5),
];

fn main() -> ExitCode {
    carolina_bench_micro::report(count_all())
}

fn count_all() -> Result<()> {
    println!("| | instructions |\n|---|--:|");
    for (about, program, arguments, few, many) in SCENARIOS {
        let more = count(program, arguments, many)?.saturating_sub(count(program, arguments, few)?);
        println!("| {about} | {} |", more / (many - few));
    }
    Ok(())
}

/// The instructions of a whole run.
fn count(program: &str, arguments: &[&str], times: u64) -> Result<u64> {
    let path = std::env::current_exe()?.with_file_name(program);
    ensure!(
        path.exists(),
        "{} is missing: `cargo build --release --package carolina-bench-micro` makes it",
        path.display()
    );
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(path)
        .args(arguments)
        .arg(times.to_string())
        .output()
        .context("cannot start valgrind: is it installed?")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} failed under valgrind: {}", said.trim());
    let collected =
        said.lines().find_map(|line| line.split_once("Collected : ")).context("valgrind counted nothing")?;
    collected.1.trim().parse().context("valgrind's count is no number")
}
