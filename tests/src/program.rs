//! Programs of this workspace, run as their users would.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Stdio,
    sync::OnceLock,
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::DEADLINE;

/// How `make test` builds the workspace, so that there is nothing left to do after it.
const BUILD: [&str; 7] = [
    "build",
    "--workspace",
    "--exclude=carolina-bench-micro",
    "--all-features",
    "--bins",
    "--message-format=json-render-diagnostics",
    "--quiet",
];

/// A program of this workspace, as Cargo has built it from the sources that are there now.
pub fn path(name: &str) -> PathBuf {
    static BUILT: OnceLock<HashMap<String, PathBuf>> = OnceLock::new();
    let built = BUILT.get_or_init(build);
    built.get(name).unwrap_or_else(|| panic!("no program of this workspace is called `{name}`")).clone()
}

fn build() -> HashMap<String, PathBuf> {
    let mut cargo = std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(BUILD).args((!cfg!(debug_assertions)).then_some("--release"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::inherit());
    // What Cargo has told this test of its package is not meant for build scripts of others, which would run again.
    let of_this_package = |name: &str| {
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_EXE_"].iter().any(|of| name.starts_with(of))
            || name == "CARGO_CRATE_NAME"
    };
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(of_this_package) {
            cargo.env_remove(name);
        }
    }
    let built = cargo.output().unwrap_or_else(|error| panic!("{cargo:?}: {error}"));
    assert!(built.status.success(), "{cargo:?} failed");
    let programs = String::from_utf8_lossy(&built.stdout).into_owned();
    programs
        .lines()
        .filter_map(|line| {
            let message: Value = serde_json::from_str(line).ok()?;
            let program = message["executable"].as_str()?;
            Some((message["target"]["name"].as_str()?.to_owned(), program.into()))
        })
        .collect()
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

/// A file with a certificate, or a key.
pub fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("certificates").join(name)
}

/// The folder of the clients in JavaScript.
pub fn e2e() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e");
    assert!(folder.join("node_modules").exists(), "run `npm ci` in tests/e2e first, or `make test`, which does");
    folder
}

/// Runs one of these clients to its end, and returns what it prints. It trusts the certificate of [`with_tls`](crate::with_tls).
pub async fn node(script: &str, arguments: &[&str]) -> String {
    let mut command = Command::new("node");
    command.arg(script).args(arguments).current_dir(e2e()).env("NODE_EXTRA_CA_CERTS", certificate("ca.pem"));
    let ran = command.kill_on_drop(true).output();
    let ran =
        tokio::time::timeout(Duration::from_secs(120), ran).await.expect("within two minutes").expect("node runs");
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{script} {arguments:?}:\n{out}\n{err}");
    out.into_owned()
}

/// One of these clients, which answers each line that it is sent by a line. Killed when this is dropped.
#[derive(Debug)]
pub struct Script {
    _process: Child,
    requests: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Script {
    /// Starts one: the script's name, and its arguments.
    pub fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new("node");
        command.args(arguments).current_dir(e2e()).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().expect("node runs");
        let (requests, answers) = (process.stdin.take().expect("piped"), process.stdout.take().expect("piped"));
        Self { _process: process, requests, answers: BufReader::new(answers).lines() }
    }

    /// Sends a line, and returns the answer; `None` when there is none within this time.
    pub async fn ask(&mut self, line: &str, within: Duration) -> Option<String> {
        self.requests.write_all(format!("{line}\n").as_bytes()).await.expect("the script runs");
        let answer = tokio::time::timeout(within, self.answers.next_line()).await.ok()?;
        Some(answer.expect("text").expect("the script runs"))
    }
}
