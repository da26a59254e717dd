//! Nodes as processes of their own, and plain HTTP to them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    sync::mpsc,
    time::SystemTime,
};

use serde_json::Value;

use crate::{
    DEADLINE,
    port::Port,
    process::{Folder, Process},
    program,
};

/// What all nodes of a test encrypt cookies and sign messages with.
pub const SECRET: &str = "for tests alone and long enough for that";

/// A running `test-node`.
#[derive(Debug)]
pub struct Node {
    process: Process,
    port: Port,
    log: Folder,
    variables: Vec<(String, String)>,
}

impl Node {
    /// Starts a node on a backplane, whose server keeps the sessions too.
    pub fn start(backplane: &str) -> Self {
        Self::start_with(backplane, &[])
    }

    /// The same with further settings.
    pub fn start_with(backplane: &str, variables: &[(&str, &str)]) -> Self {
        let mut all = vec![
            ("CAROLINA_BACKPLANE__URL".to_owned(), backplane.to_owned()),
            ("CAROLINA_SESSION__STORE".to_owned(), backplane.to_owned()),
            ("CAROLINA_SESSION__SECRET".to_owned(), SECRET.to_owned()),
            ("CAROLINA_LIMITS__SHUTDOWN_TIMEOUT".to_owned(), "5s".to_owned()),
            ("CAROLINA_LIMITS__SEND_QUEUE".to_owned(), "100000".to_owned()),
        ];
        all.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Self::new(all)
    }

    /// Starts a node on a backplane, without a secret.
    pub fn start_without_secret(backplane: &str) -> Self {
        Self::new(vec![("CAROLINA_BACKPLANE__URL".to_owned(), backplane.to_owned())])
    }

    /// Starts a node without a backplane.
    pub fn alone() -> Self {
        Self::new(Vec::new())
    }

    /// The same with further settings.
    pub fn alone_with(variables: &[(&str, &str)]) -> Self {
        Self::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    fn new(variables: Vec<(String, String)>) -> Self {
        let (port, log) = (Port::reserve(), Folder::new());
        Self { process: Self::run(&port, &log, &variables), port, log, variables }
    }

    fn run(port: &Port, log: &Folder, variables: &[(String, String)]) -> Process {
        let log = log.path().join("log");
        let file = std::fs::File::create(&log).expect("a log file");
        let mut command = Command::new(program::path("test-node"));
        command
            .env("CAROLINA_BIND", format!("127.0.0.1:{}", port.number()))
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .env("RUST_LOG", "info")
            .stdout(Stdio::piped())
            .stderr(file);
        let mut process = Process::start(&mut command);
        let lines = BufReader::new(process.output()).lines();
        let (listens, told) = mpsc::channel();
        // It goes on reading to the end, so that the node can go on printing.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line.starts_with("listening on ") {
                    let _ = listens.send(());
                }
            }
        });
        if let Err(error) = told.recv_timeout(DEADLINE) {
            panic!("the node does not listen: {error}: {}", std::fs::read_to_string(&log).unwrap_or_default());
        }
        process
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log.path().join("log")).unwrap_or_default()
    }

    /// When it has logged a line with this text.
    pub fn logged_at(&self, text: &str) -> SystemTime {
        let log = self.log();
        let line = log.lines().find(|line| line.contains(text));
        let time = line.and_then(|line| line.split_whitespace().next());
        let time = time.unwrap_or_else(|| panic!("no line with `{text}`: {log}"));
        humantime::parse_rfc3339(time).unwrap_or_else(|error| panic!("{time}: {error}"))
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Asks it to end, and waits.
    pub fn end(&mut self) {
        self.process.end("TERM");
    }

    /// Asks it to end, waits, and starts it again on the same port.
    pub fn restart(&mut self) {
        self.process.end("TERM");
        self.start_again();
    }

    /// Starts it again after [`kill`](Self::kill).
    pub fn start_again(&mut self) {
        self.process = Self::run(&self.port, &self.log, &self.variables);
    }

    /// Sends a request, and returns the response's status, cookie and body.
    pub fn http(&self, method: &str, path: &str, cookie: Option<&str>, body: Option<Value>) -> Response {
        http(self.port(), method, path, cookie, body)
    }

    /// Logs a user in and returns the cookie.
    pub fn login(&self, user: &str) -> String {
        let response = self.http("POST", &format!("/login?user={user}"), None, None);
        assert_eq!(response.status, 200, "{}", response.body);
        response.cookie.expect("a cookie")
    }

    /// Has the node emit.
    pub fn emit(&self, what: Value) {
        emit(self.port(), what);
    }
}

/// Has the node at a port emit.
pub fn emit(port: u16, what: Value) {
    let response = http(port, "POST", "/emit", None, Some(what));
    assert_eq!(response.status, 200, "{}", response.body);
}

/// A response, as far as tests look at it.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The cookie it sets, as it is to be sent back.
    pub cookie: Option<String>,
    /// The body.
    pub body: String,
}

/// Sends a request to a port of the loopback address.
pub fn http(port: u16, method: &str, path: &str, cookie: Option<&str>, body: Option<Value>) -> Response {
    send(port, method, path, cookie, &body.map(|body| body.to_string()).unwrap_or_default())
}

/// The same with any text for a body.
pub fn send(port: u16, method: &str, path: &str, cookie: Option<&str>, body: &str) -> Response {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the node listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let cookie = cookie.map(|cookie| format!("cookie: {cookie}\r\n")).unwrap_or_default();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n{cookie}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("the node reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the node answers");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let header =
        |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned());
    Response {
        status: head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default(),
        cookie: header("set-cookie:").and_then(|cookie| cookie.split(';').next().map(str::to_owned)),
        body: body.to_owned(),
    }
}
