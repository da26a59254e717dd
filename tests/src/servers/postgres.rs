use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    port::Port,
    process::{Folder, Process, wait_for},
};

/// `postgres`.
#[derive(Debug)]
pub struct Postgres {
    process: Option<Process>,
    port: Port,
    folder: Folder,
    binaries: PathBuf,
}

impl Postgres {
    /// Starts one.
    pub fn start() -> Self {
        let folder = Folder::new();
        let binaries = binaries();
        let data = folder.path().join("data");
        if is_root() {
            // PostgreSQL does not run as root; Debian's package has made a user for it.
            let owned = Command::new("chown").arg("postgres").arg(folder.path()).status();
            assert!(owned.is_ok_and(|status| status.success()), "chown postgres");
        }
        let made = as_postgres(&binaries.join("initdb"))
            .args(["--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8", "-D"])
            .arg(&data)
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .status();
        assert!(made.is_ok_and(|status| status.success()), "initdb");
        let mut postgres = Self { process: None, port: Port::reserve(), folder, binaries };
        postgres.run();
        postgres
    }

    pub(super) fn run(&mut self) {
        let mut command = as_postgres(&self.binaries.join("postgres"));
        command
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .args(["-p", &self.port.number().to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k"])
            .arg(self.folder.path())
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut process = Process::start(&mut command);
        process.wait_for_port(self.port.number(), "postgres");
        self.process = Some(process);
        wait_for("postgres is ready", || {
            let answer = Command::new(self.binaries.join("pg_isready"))
                .args(["-h", "127.0.0.1", "-p", &self.port.number().to_string()])
                .stdout(Stdio::null())
                .status();
            answer.is_ok_and(|status| status.success())
        });
    }

    pub(super) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.end("INT");
        }
    }

    /// Executes a statement.
    pub fn execute(&self, statement: &str) {
        let ran = Command::new(self.binaries.join("psql"))
            .args(["--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--dbname", &self.url(), "--command", statement])
            .stdout(Stdio::null())
            .status();
        assert!(ran.is_ok_and(|status| status.success()), "{statement}");
    }

    /// How many connections its clients have, apart from the one that asks.
    pub fn connections(&self) -> usize {
        let count = "SELECT count(*) - 1 FROM pg_stat_activity WHERE backend_type = 'client backend'";
        let output = Command::new(self.binaries.join("psql"))
            .args([
                "--quiet",
                "--no-psqlrc",
                "--tuples-only",
                "--no-align",
                "--dbname",
                &self.url(),
                "--command",
                count,
            ])
            .output()
            .expect("psql runs");
        String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number")
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port.number())
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

fn as_postgres(program: &Path) -> Command {
    match is_root() {
        false => Command::new(program),
        true => {
            // It replaces itself by the program, so that the process is the server's.
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
            command
        }
    }
}

/// The newest installed version's programs.
fn binaries() -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.filter_map(|entry| entry.ok().map(|entry| entry.path().join("bin"))).collect())
        .unwrap_or_default();
    versions.sort();
    let found = versions.into_iter().rev().find(|folder| folder.join("initdb").exists());
    found.expect("PostgreSQL is not installed: apt-get install postgresql")
}
