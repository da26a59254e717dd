//! Real servers for tests: each on a free port of the loopback address, with its data in a folder of its own, ended by
//! its id when the test ends.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

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

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("its address").port()
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

    /// Asks it to end, and waits.
    pub fn terminate(&mut self) {
        self.signal("TERM");
        let until = Instant::now() + Duration::from_secs(30);
        while self.0.try_wait().expect("its status").is_none() {
            assert!(Instant::now() < until, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn wait_for_port(port: u16, what: &str) {
    let until = Instant::now() + Duration::from_secs(30);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "{what} does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A server between nodes.
#[derive(Debug)]
pub enum Server {
    /// A Redis.
    Redis(Redis),
    /// A PostgreSQL.
    Postgres(Postgres),
}

impl Server {
    /// Its URL.
    pub fn url(&self) -> String {
        match self {
            Self::Redis(redis) => redis.url(),
            Self::Postgres(postgres) => postgres.url(),
        }
    }

    /// Stops it; its data stay.
    pub fn stop(&mut self) {
        match self {
            Self::Redis(redis) => redis.process = None,
            Self::Postgres(postgres) => {
                if let Some(process) = &mut postgres.process {
                    process.signal("INT");
                    process.terminate_quietly();
                }
                postgres.process = None;
            }
        }
    }

    /// Starts it again.
    pub fn start_again(&mut self) {
        match self {
            Self::Redis(redis) => redis.run(),
            Self::Postgres(postgres) => postgres.run(),
        }
    }
}

impl Process {
    fn terminate_quietly(&mut self) {
        let until = Instant::now() + Duration::from_secs(20);
        while self.0.try_wait().is_ok_and(|status| status.is_none()) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// `redis-server`.
#[derive(Debug)]
pub struct Redis {
    process: Option<Process>,
    port: u16,
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
        let mut redis = Self { process: None, port: free_port(), folder: Folder::new(), password, tls };
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

    fn run(&mut self) {
        let mut command = Command::new("redis-server");
        if self.tls {
            command.args(["--port", "0", "--tls-port", &self.port.to_string(), "--tls-auth-clients", "no"]);
            command.arg("--tls-cert-file").arg(certificate("server.pem"));
            command.arg("--tls-key-file").arg(certificate("server.key"));
            command.arg("--tls-ca-cert-file").arg(certificate("ca.pem"));
        } else {
            command.args(["--port", &self.port.to_string()]);
        }
        command
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
            .arg(self.folder.path())
            .stdout(Stdio::null());
        if let Some(password) = self.password {
            command.args(["--requirepass", password]);
        }
        self.process = Some(Process::start(&mut command));
        wait_for_port(self.port, "redis-server");
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", if self.tls { "rediss" } else { "redis" }, self.port)
    }
}

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("certificates").join(name)
}

/// A way to a port that can be cut, and opened again.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    to: u16,
    open: Option<tokio_util::sync::CancellationToken>,
}

impl Relay {
    /// Opens one.
    pub fn start(to: u16) -> Self {
        let mut relay = Self { port: free_port(), to, open: None };
        relay.open();
        relay
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts it: all connections end, and no new one is taken.
    pub fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.cancel();
        }
    }

    /// Opens it again.
    pub fn open(&mut self) {
        let open = tokio_util::sync::CancellationToken::new();
        let (closed, port, to) = (open.clone(), self.port, self.to);
        self.open = Some(open);
        tokio::spawn(async move {
            // The port may be held for a moment by the connections that have just ended.
            let listener = loop {
                match tokio::net::TcpListener::bind(("127.0.0.1", port)).await {
                    Ok(listener) => break listener,
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            };
            while let Some(Ok((mut near, _))) = closed.run_until_cancelled(listener.accept()).await {
                let closed = closed.clone();
                tokio::spawn(async move {
                    if let Ok(mut far) = tokio::net::TcpStream::connect(("127.0.0.1", to)).await {
                        let _ = closed.run_until_cancelled(tokio::io::copy_bidirectional(&mut near, &mut far)).await;
                    }
                });
            }
        });
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.close();
    }
}

/// `postgres`.
#[derive(Debug)]
pub struct Postgres {
    process: Option<Process>,
    port: u16,
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
        let mut postgres = Self { process: None, port: free_port(), folder, binaries };
        postgres.run();
        postgres
    }

    fn run(&mut self) {
        let mut command = as_postgres(&self.binaries.join("postgres"));
        command
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k"])
            .arg(self.folder.path())
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.process = Some(Process::start(&mut command));
        wait_for_port(self.port, "postgres");
        let until = Instant::now() + Duration::from_secs(30);
        let ready = || {
            let answer = Command::new(self.binaries.join("pg_isready"))
                .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
                .stdout(Stdio::null())
                .status();
            answer.is_ok_and(|status| status.success())
        };
        while !ready() {
            assert!(Instant::now() < until, "postgres is not ready");
            std::thread::sleep(Duration::from_millis(50));
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

    /// Its URL.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
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

/// A configuration of the documentation.
fn documented(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// HAProxy in front of nodes.
#[derive(Debug)]
pub struct Balancer {
    _process: Process,
    port: u16,
    _folder: Folder,
}

impl Balancer {
    /// Starts one, with the configuration of the documentation, in front of nodes on these ports.
    pub fn start(ports: &[u16]) -> Self {
        let folder = Folder::new();
        let port = free_port();
        let nodes: Vec<String> = ports
            .iter()
            .enumerate()
            .map(|(number, port)| format!("    server node{number} 127.0.0.1:{port} cookie node{number} check"))
            .collect();
        let config: Vec<String> = documented("haproxy.cfg")
            .lines()
            .filter(|line| !line.trim_start().starts_with("server "))
            // A test's machine may allow fewer open files.
            .map(|line| line.replace("maxconn 200000", "maxconn 1000"))
            .map(|line| line.replace("*:80", &format!("127.0.0.1:{port}")))
            .chain(nodes)
            .collect();
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, config.join("\n") + "\n").expect("a configuration");
        let process = Process::start(Command::new("haproxy").arg("-db").arg("-f").arg(&file).stdout(Stdio::null()));
        wait_for_port(port, "haproxy");
        Self { _process: process, port, _folder: folder }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// nginx in front of nodes.
#[derive(Debug)]
pub struct Nginx {
    _process: Process,
    port: u16,
    _folder: Folder,
}

impl Nginx {
    /// Starts one, with the configuration of the documentation, in front of nodes on these ports.
    pub fn start(ports: &[u16]) -> Self {
        let folder = Folder::new();
        let port = free_port();
        let nodes: String = ports.iter().map(|port| format!("    server 127.0.0.1:{port};\n")).collect();
        let site: String = documented("nginx.conf")
            .lines()
            .filter(|line| !line.trim_start().starts_with("server 10."))
            .map(|line| line.replace("listen 80;", &format!("listen 127.0.0.1:{port};")) + "\n")
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
        let process =
            Process::start(Command::new("nginx").arg("-e").arg(log).arg("-p").arg(folder.path()).arg("-c").arg(&file));
        wait_for_port(port, "nginx");
        Self { _process: process, port, _folder: folder }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
