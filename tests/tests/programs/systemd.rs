//! R25: a process that systemd starts, with a socket that outlives it.

use std::{
    net::TcpListener,
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
};

use carolina_sockets_tests::{DEADLINE, nodes, process::Folder, program};

/// As systemd starts a service that has a socket: it is the process's third file, and two variables say so.
fn start(listener: &TcpListener, notify: &Path) -> Child {
    let inherited = OwnedFd::from(listener.try_clone().unwrap());
    Command::new("sh")
        .args(["-c", "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\""])
        .arg(program::path("test-node"))
        .env("NOTIFY_SOCKET", notify)
        // Nobody listens there.
        .env("CAROLINA_BIND", "192.0.2.1:1")
        .stdin(Stdio::from(inherited))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits for what systemd is told.
fn expect(told: &UnixDatagram, state: &str) {
    let mut text = [0; 4096];
    loop {
        let length = told.recv(&mut text).unwrap_or_else(|error| panic!("`{state}` is not told: {error}"));
        if String::from_utf8_lossy(&text[..length]).lines().any(|line| line == state) {
            return;
        }
    }
}

#[test]
fn r25_a_restart_by_systemd_refuses_nobody() {
    let folder = Folder::new();
    let notify = folder.path().join("notify");
    let told = UnixDatagram::bind(&notify).unwrap();
    told.set_read_timeout(Some(DEADLINE)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut service = start(&listener, &notify);
    expect(&told, "READY=1");
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (stop, answered) = (stop.clone(), answered.clone());
            std::thread::spawn(move || {
                while !stop.load(SeqCst) {
                    // It panics when it is refused, or its connection is closed without an answer.
                    assert_eq!(nodes::http(port, "GET", "/live", None, None).status, 200);
                    answered.fetch_add(1, SeqCst);
                }
            })
        })
        .collect();
    for _ in 0..3 {
        let before = answered.load(SeqCst);
        while answered.load(SeqCst) < before + 50 {
            std::thread::yield_now();
        }
        assert!(Command::new("kill").args(["-TERM", &service.id().to_string()]).status().unwrap().success());
        expect(&told, "STOPPING=1");
        assert!(service.wait().unwrap().success());
        service = start(&listener, &notify);
        expect(&told, "READY=1");
    }
    stop.store(true, SeqCst);
    for client in clients {
        client.join().expect("every request is answered");
    }
    service.kill().unwrap();
    service.wait().unwrap();
}

#[test]
fn r25_the_units_are_what_systemd_takes() {
    let folder = Folder::new();
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    for unit in ["application.service", "application.socket"] {
        let text = std::fs::read_to_string(deploy.join(unit)).unwrap();
        // The program has to be there.
        let text = text.replace("ExecStart=/usr/local/bin/application", "ExecStart=/bin/true");
        std::fs::write(folder.path().join(unit), text).unwrap();
    }
    let mut verify = Command::new("systemd-analyze");
    verify.arg("verify").args(["application.service", "application.socket"].map(|unit| folder.path().join(unit)));
    let verified = verify.output().expect("`systemd-analyze` is installed: tests/setup does that");
    let told = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && !told.contains("application."), "{told}");
}
