use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    port::Port,
    process::{Folder, Process},
};

/// `redis-server`.
#[derive(Debug)]
pub struct Redis {
    process: Option<Process>,
    port: Port,
    folder: Folder,
    password: Option<&'static str>,
    tls: bool,
}

impl Redis {
    /// Starts one.
    pub fn start() -> Self {
        Self::start_as(None, false)
    }

    /// Starts one that asks for a password.
    pub fn start_with_password(password: &'static str) -> Self {
        Self::start_as(Some(password), false)
    }

    /// Starts one that speaks TLS, with a certificate by [`authority`](Self::authority).
    pub fn start_with_tls() -> Self {
        Self::start_as(None, true)
    }

    fn start_as(password: Option<&'static str>, tls: bool) -> Self {
        let mut redis = Self { process: None, port: Port::reserve(), folder: Folder::new(), password, tls };
        redis.run();
        redis
    }

    /// The file with the certificate of the authority that has signed that of the servers.
    pub fn authority() -> PathBuf {
        certificate("ca.pem")
    }

    /// Stops it from running, without ending its connections.
    pub fn pause(&self) {
        self.process.as_ref().expect("a server that runs").signal("STOP");
    }

    /// Lets it run again.
    pub fn resume(&self) {
        self.process.as_ref().expect("a server that runs").signal("CONT");
    }

    pub(super) fn run(&mut self) {
        let mut command = Command::new("redis-server");
        let port = self.port().to_string();
        if self.tls {
            command.args(["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"]);
            command.arg("--tls-cert-file").arg(certificate("server.pem"));
            command.arg("--tls-key-file").arg(certificate("server.key"));
            command.arg("--tls-ca-cert-file").arg(certificate("ca.pem"));
        } else {
            command.args(["--port", &port]);
        }
        command
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
            .arg(self.folder.path())
            .stdout(Stdio::null());
        if let Some(password) = self.password {
            command.args(["--requirepass", password]);
        }
        let mut process = Process::start(&mut command);
        process.wait_for_port(self.port(), "redis-server");
        self.process = Some(process);
    }

    pub(super) fn stop(&mut self) {
        self.process = None;
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", if self.tls { "rediss" } else { "redis" }, self.port())
    }
}

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("certificates").join(name)
}
