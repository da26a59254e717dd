//! Who runs where: the server alone on the first core, everybody else on the others, and the attackers after the clients
//! that are measured. Without `taskset` and `chrt`, or with a single core, all run anywhere.

use std::process::{Command, Stdio};

/// This program once more, as the server.
pub(crate) fn server() -> Command {
    on("0")
}

/// This program once more, as clients.
pub(crate) fn clients() -> Command {
    on(&format!("1-{}", count().saturating_sub(1)))
}

/// This process, which attacks, runs apart from the server from now on, and after the clients that are measured.
pub(crate) fn attack() {
    give_way(std::process::id(), &format!("1-{}", count().saturating_sub(1)));
}

/// A process runs on these cores from now on, when nobody else does.
pub(crate) fn give_way(process: u32, cores: &str) {
    let process = process.to_string();
    if count() > 1 {
        quietly(Command::new("taskset").args(["--all-tasks", "--cpu-list", "--pid", cores, &process]));
    }
    // Nice is not enough: newer kernels let whoever runs finish its slice of some milliseconds.
    quietly(Command::new("chrt").args(["--all-tasks", "--idle", "--pid", "0", &process]));
}

fn on(cores: &str) -> Command {
    let program = std::env::current_exe().expect("the path of this program");
    if count() == 1 || !quietly(Command::new("taskset").arg("--version")) {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", cores]).arg(program);
    command
}

fn count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Whether it succeeded.
fn quietly(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
