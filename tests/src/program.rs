//! Programs of this workspace, run as their users would.

use std::{path::PathBuf, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::DEADLINE;

/// Another program of this workspace, built beforehand.
pub fn path(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this program's path");
    let deps = test.ancestors().find(|folder| folder.ends_with("deps")).expect("tests lie in `deps`");
    let program = deps.with_file_name(name);
    assert!(program.exists(), "`cargo build --workspace --all-features` comes first; `make test` does it");
    program
}

/// An application that listens.
#[derive(Debug)]
pub struct Application {
    /// Killed when this is dropped.
    pub process: Child,
    /// Where it listens.
    pub url: String,
    /// What it prints behind the line that says so.
    pub lines: Lines<BufReader<ChildStdout>>,
}

/// Starts an application on a free port, and waits until it says where it listens.
pub async fn start(command: &mut Command) -> Application {
    command.env("CAROLINA_BIND", "127.0.0.1:0").stdout(Stdio::piped()).kill_on_drop(true);
    let mut process = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut lines = BufReader::new(process.stdout.take().expect("its output is piped")).lines();
    let first = tokio::time::timeout(DEADLINE, lines.next_line()).await.expect("it starts in time");
    let first = first.expect("its output is text").expect("it says something");
    let url = first.strip_prefix("listening on ").unwrap_or_else(|| panic!("it says `{first}`")).to_owned();
    Application { process, url, lines }
}
