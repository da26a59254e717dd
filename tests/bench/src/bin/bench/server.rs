//! The servers under measurement, each started afresh in a process of its own.

use std::{
    fs,
    io::Read,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use carolina_bench::Metrics;
use clap::ValueEnum;

use crate::workload::{Limits, Workload};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Server {
    /// An application of carolina-sockets
    Carolina,
    /// socketioxide with a closure for each event
    Raw,
    /// Node.js socket.io
    Node,
    /// A WebSocket server that cuts text apart
    Limit,
}

/// Where the two processes of a measurement run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    pub(crate) server: usize,
    pub(crate) generator: usize,
}

const NODE_FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/node");

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(20);
/// How long one measurement may take.
const LONGEST: Duration = Duration::from_secs(300);

/// A program of this package, which lies beside the one that runs.
fn program(name: &str) -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    ensure!(path.exists(), "{} is missing: `cargo build --release --package carolina-bench` makes it", path.display());
    Ok(path)
}

/// A command that runs on one core only.
fn on_core(core: usize, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.arg("--cpu-list").arg(core.to_string()).arg(program).stdin(Stdio::null());
    command
}

impl Server {
    pub(crate) const ALL: [Self; 4] = [Self::Carolina, Self::Raw, Self::Node, Self::Limit];

    /// The name in the results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Carolina => "carolina",
            Self::Raw => "raw",
            Self::Node => "node",
            Self::Limit => "limit",
        }
    }

    /// Whether all is there that it needs.
    pub(crate) fn check(self) -> Result<()> {
        match self {
            Self::Node => ensure!(
                Path::new(NODE_FOLDER).join("node_modules/socket.io").exists(),
                "socket.io is not installed: `npm ci` in {NODE_FOLDER} does it"
            ),
            _ => drop(program(&format!("bench-{}", self.name()))?),
        }
        program("bench-load").map(drop)
    }

    fn command(self, address: SocketAddr, workload: &Workload, core: usize) -> Result<Command> {
        Ok(match self {
            Self::Node => {
                let mut command = on_core(core, "node");
                command.arg("server.mjs").arg(address.to_string()).current_dir(NODE_FOLDER);
                command
            }
            Self::Raw | Self::Limit => {
                let mut command = on_core(core, program(&format!("bench-{}", self.name()))?);
                command.arg(address.to_string());
                if self == Self::Raw {
                    command.args(workload.raw);
                }
                command
            }
            Self::Carolina => {
                let mut command = on_core(core, program("bench-carolina")?);
                for (name, _) in std::env::vars_os() {
                    if name.to_string_lossy().starts_with("CAROLINA_") {
                        command.env_remove(name);
                    }
                }
                command.env("CAROLINA_BIND", address.to_string()).env("RUST_LOG", "warn");
                command.env("CAROLINA_SESSION__SECRET", "not a secret: nobody logs in while it is measured");
                if workload.limits == Limits::Raised {
                    command.env("CAROLINA_LIMITS__EVENTS_PER_SECOND", "100000000");
                    command.env("CAROLINA_LIMITS__CHANNELS_PER_CONNECTION", "1000");
                    command.env("CAROLINA_LIMITS__MAILBOX", "4096");
                    command.env("CAROLINA_LIMITS__CONNECTIONS_PER_ADDRESS", "100000");
                }
                command
            }
        })
    }

    /// Starts it, lets the load generator do a workload, and ends it.
    pub(crate) fn measure(self, workload: &Workload, quick: bool, cores: Cores, output: &Path) -> Result<Metrics> {
        let running = Running::start(self, workload, cores.server, output)?;
        let mut generator = on_core(cores.generator, program("bench-load")?);
        generator.arg("--server").arg(running.address.to_string());
        generator.arg("--process").arg(running.child.id().to_string());
        generator.args(workload.arguments(quick)).env("RUST_BACKTRACE", "0");
        let mut generator = Ended(generator.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?);
        let deadline = Instant::now() + LONGEST;
        let status = loop {
            match generator.0.try_wait()? {
                Some(status) => break status,
                None if Instant::now() > deadline => bail!("not done after {} s", LONGEST.as_secs()),
                None => sleep(Duration::from_millis(20)),
            }
        };
        let (mut found, mut said) = (String::new(), String::new());
        // Both are short: they fit into the pipes, so that reading them only now holds nothing up.
        generator.0.stdout.take().context("no output")?.read_to_string(&mut found)?;
        generator.0.stderr.take().context("no errors")?.read_to_string(&mut said)?;
        ensure!(status.success(), "{} (the server's log: {})", said.trim(), running.log.display());
        serde_json::from_str(&found).with_context(|| format!("the load generator said {found:?}"))
    }
}

/// A process that does not outlive the value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Running {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Running {
    fn start(server: Server, workload: &Workload, core: usize, output: &Path) -> Result<Self> {
        // A free port, given back: nobody else is given it that soon.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let log = output.join(format!("server-{}.log", server.name()));
        let file = fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = server.command(address, workload, core)?;
        let child = command.stdout(file.try_clone()?).stderr(file).spawn().context("cannot start `taskset`")?;
        let mut running = Self { child, address, log };
        let deadline = Instant::now() + START;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = running.child.try_wait()? {
                bail!("the server ended at its start, {status}: see {}", running.log.display());
            }
            ensure!(Instant::now() < deadline, "the server does not listen: see {}", running.log.display());
            sleep(Duration::from_millis(20));
        }
        Ok(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
