//! Balancers in front of nodes, configured as the documentation says.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::SystemTime,
};

use crate::{
    port::Port,
    process::{Folder, Process, wait_for},
};

/// A configuration of the documentation.
fn documented(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// HAProxy in front of nodes.
#[derive(Debug)]
pub struct Balancer {
    _process: Process,
    port: Port,
    _folder: Folder,
    log: Arc<Mutex<Vec<(SystemTime, String)>>>,
}

impl Balancer {
    /// Starts one, with the configuration of the documentation, in front of nodes on these ports.
    pub fn start(ports: &[u16]) -> Self {
        // A test's machine may allow few open files.
        Self::start_for(ports, 1000)
    }

    /// The same for at most so many connections.
    pub fn start_for(ports: &[u16], connections: usize) -> Self {
        let folder = Folder::new();
        let port = Port::reserve();
        let nodes: Vec<String> = ports
            .iter()
            .enumerate()
            .map(|(number, port)| format!("    server node{number} 127.0.0.1:{port} cookie node{number} check"))
            .collect();
        let config: Vec<String> = documented("haproxy.cfg")
            .lines()
            .filter(|line| !line.trim_start().starts_with("server "))
            .map(|line| line.replace("maxconn 200000", &format!("maxconn {connections}")))
            .map(|line| line.replace("*:80", &format!("127.0.0.1:{}", port.number())))
            .chain(nodes)
            .collect();
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, config.join("\n") + "\n").expect("a configuration");
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(&file).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = Process::start(&mut command);
        let lines = BufReader::new(process.errors()).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let written = log.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                written.lock().expect("a log").push((SystemTime::now(), line));
            }
        });
        process.wait_for_port(port.number(), "haproxy");
        Self { _process: process, port, _folder: folder, log }
    }

    /// Waits until it has noticed, since then, that this node is `UP` or `DOWN`, and returns when that was.
    pub fn noticed(&self, node: usize, state: &str, since: SystemTime) -> SystemTime {
        let line = format!("Server nodes/node{node} is {state}");
        let mut noticed = None;
        wait_for(&line, || {
            let log = self.log.lock().expect("a log");
            noticed = log.iter().find(|(at, text)| *at >= since && text.contains(&line)).map(|(at, _)| *at);
            noticed.is_some()
        });
        noticed.expect("it was waited for")
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number())
    }
}

/// nginx in front of nodes.
#[derive(Debug)]
pub struct Nginx {
    _process: Process,
    port: Port,
    _folder: Folder,
}

impl Nginx {
    /// Starts one, with the configuration of the documentation, in front of nodes on these ports.
    pub fn start(ports: &[u16]) -> Self {
        let folder = Folder::new();
        let port = Port::reserve();
        let nodes: String = ports.iter().map(|port| format!("    server 127.0.0.1:{port};\n")).collect();
        let site: String = documented("nginx.conf")
            .lines()
            .filter(|line| !line.trim_start().starts_with("server 10."))
            .map(|line| line.replace("listen 80;", &format!("listen 127.0.0.1:{};", port.number())) + "\n")
            .map(|line| if line.starts_with("upstream") { line + &nodes } else { line })
            .collect();
        let at = folder.path().display();
        // Its own folders are the administrator's.
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|what| format!("{what}_temp_path {at}/{what};\n"))
            .concat();
        let config = format!(
            "daemon off;\nmaster_process off;\npid {at}/pid;\nerror_log {at}/log;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{site}}}\n"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, config).expect("a configuration");
        let log = folder.path().join("log");
        let mut process =
            Process::start(Command::new("nginx").arg("-e").arg(log).arg("-p").arg(folder.path()).arg("-c").arg(&file));
        process.wait_for_port(port.number(), "nginx");
        Self { _process: process, port, _folder: folder }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number())
    }
}
