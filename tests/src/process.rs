//! Processes that a test starts and ends.

use std::{
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdout, Command},
    time::{Duration, Instant},
};

use crate::DEADLINE;

/// A folder that goes away with the test.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A new one.
    pub fn new() -> Self {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("carolina-tests-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A process that ends with the test.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts it.
    pub fn start(command: &mut Command) -> Self {
        let what = format!("{command:?}");
        Self(command.spawn().unwrap_or_else(|error| panic!("{what}: {error}; is it installed?")))
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// What it prints, when its standard output is piped. It is there once.
    pub fn output(&mut self) -> ChildStdout {
        self.0.stdout.take().expect("its output is piped, and not taken yet")
    }

    /// The same of its standard error.
    pub fn errors(&mut self) -> ChildStderr {
        self.0.stderr.take().expect("its standard error is piped, and not taken yet")
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -{name}");
    }

    /// Sends it a signal that asks it to end, and waits.
    pub fn end(&mut self, signal: &str) {
        self.signal(signal);
        wait_for("its end", || self.0.try_wait().expect("its status").is_some());
    }

    /// Waits until it takes connections at a port.
    pub(crate) fn wait_for_port(&mut self, port: u16, what: &str) {
        wait_for(&format!("{what} at port {port}"), || {
            if let Some(status) = self.0.try_wait().expect("its status") {
                panic!("{what} has ended: {status}");
            }
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until something holds of another process, or fails the test.
pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + 2 * DEADLINE;
    while !holds() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
