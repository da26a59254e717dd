//! An application's commands and signals, and what it says when it cannot start.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use carolina_sockets_tests::{DEADLINE, process::Folder, program, until, wire::RawSocket};
use tokio::{
    io::{AsyncReadExt, BufReader},
    process::Command,
};

/// Runs a program to its end; the result is its code and what it prints to standard error.
async fn run(command: &mut Command) -> (Option<i32>, String) {
    let ran = tokio::time::timeout(DEADLINE, command.kill_on_drop(true).output()).await.expect("it ends").unwrap();
    (ran.status.code(), String::from_utf8_lossy(&ran.stderr).into_owned())
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_error() {
    let mut chat = Command::new(program::path("chat"));
    let chat = chat.args(["channels", "--json"]).stdout(Stdio::piped());
    let mut chat = chat.stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    // Closed before anything is printed.
    drop(chat.stdout.take());
    let mut told = String::new();
    BufReader::new(chat.stderr.take().unwrap()).read_to_string(&mut told).await.unwrap();
    let status = tokio::time::timeout(DEADLINE, chat.wait()).await.unwrap().unwrap();
    assert!(status.success() && !told.contains("panicked"), "{status}: {told}");
}

#[tokio::test]
async fn the_version_is_the_applications() {
    let ran = Command::new(program::path("chat")).arg("--version").output().await.unwrap();
    let out = String::from_utf8_lossy(&ran.stdout).into_owned();
    let version = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/chat/Cargo.toml")).unwrap();
    assert!(version.contains("version.workspace = true") && ran.status.success(), "{out}");
    assert_eq!(out.trim(), format!("chat {}", env!("CARGO_PKG_VERSION")));
}

#[cfg(unix)]
#[tokio::test]
async fn r25_a_second_signal_ends_at_once() {
    for (first, second, code) in [("-INT", "-INT", 130), ("-TERM", "-TERM", 143), ("-TERM", "-INT", 130)] {
        ends_at_once(first, second, code).await;
    }
}

#[cfg(unix)]
async fn ends_at_once(first: &str, second: &str, code: i32) {
    let log = Folder::new();
    let log = log.path().join("log");
    let mut command = Command::new(program::path("test-node"));
    command.env("CAROLINA_LIMITS__SHUTDOWN_TIMEOUT", "10m").env("CAROLINA_LIMITS__HANDLER_TIMEOUT", "10m");
    command.env("RUST_LOG", "info").stderr(std::fs::File::create(&log).unwrap());
    let mut server = program::start(&mut command).await;
    let mut socket = RawSocket::join(&server.url, "/lab").await;
    // A handler that the shutdown waits for.
    socket.send("42/lab,[\"never\"]").await;
    socket.send("42/lab,1[\"echo\",1]").await;
    let id = server.process.id().unwrap().to_string();
    let kill = async |signal: &str| {
        assert!(Command::new("kill").args([signal, id.as_str()]).status().await.unwrap().success())
    };
    kill(first).await;
    let logged = || std::fs::read_to_string(&log).unwrap_or_default();
    until("the shutdown begins", || logged().contains("shutting down")).await;
    assert!(server.process.try_wait().unwrap().is_none(), "it waits for the handler");
    let began = Instant::now();
    kill(second).await;
    let status = tokio::time::timeout(DEADLINE, server.process.wait()).await.expect("it ends").unwrap();
    assert_eq!(status.code(), Some(code));
    assert!(began.elapsed() < Duration::from_secs(5) && logged().contains("ended at once"), "{}", logged());
}

#[tokio::test]
async fn what_is_refused_for_its_rate_is_logged_with_channel_event_and_address() {
    let log = Folder::new();
    let log = log.path().join("log");
    let mut command = Command::new(program::path("test-node"));
    command.env("CAROLINA_LIMITS__EVENTS_PER_SECOND", "1").env("RUST_LOG", "info");
    let server = program::start(command.stderr(std::fs::File::create(&log).unwrap())).await;
    let mut socket = RawSocket::join(&server.url, "/lab").await;
    for _ in 0..3 {
        socket.send("42/lab,[\"echo\",1]").await;
    }
    let told = "the event `echo` on `/lab` from 127.0.0.1: more than limits.events_per_second = 1";
    until("it is logged", || std::fs::read_to_string(&log).unwrap_or_default().contains(told)).await;
}

#[tokio::test]
async fn all_mistakes_are_told_at_once() {
    let folder = Folder::new();
    let file = folder.path().join("web.toml");
    let text = "[limits]\nmailbx = 5\n[channels]\n\"/a\" = { driver = \"Lbb\" }\n\"/b\" = { drver = \"Lab\" }\n";
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(program::path("test-node"));
    command.env("CAROLINA_CONFIG", &file).env("CAROLINA_FOO", "1").env("CAROLINA_STATIC_DIR", "/nonexistent");
    let (code, told) = run(&mut command).await;
    assert_eq!(code, Some(1), "{told}");
    for expected in [
        "limits.mailbx: unknown key; did you mean `mailbox`?",
        "there is no driver `Lbb`",
        "did you mean `Lab`?",
        "unknown key; did you mean `driver`?",
        "CAROLINA_FOO: foo: unknown key; variables that begin with `CAROLINA_` are settings",
        "cannot serve files from `/nonexistent`",
        "5 problems:",
    ] {
        assert!(told.contains(expected), "`{expected}` is missing: {told}");
    }
    assert!(!told.contains("CAROLINA_BIND"), "{told}");
}

#[tokio::test]
async fn a_server_that_is_away_is_told_by_its_address_and_what_to_do() {
    let closed = carolina_sockets_tests::port::Port::reserve();
    for scheme in ["redis", "postgres"] {
        let (url, shown) = (
            format!("{scheme}://me:hidden@127.0.0.1:{}/0", closed.number()),
            format!("`{scheme}://me:***@127.0.0.1:{}/0`", closed.number()),
        );
        for (variable, key) in
            [("CAROLINA_BACKPLANE__URL", "backplane.url"), ("CAROLINA_SESSION__STORE", "session.store")]
        {
            let mut command = Command::new(program::path("test-node"));
            let (code, told) = run(command.env(variable, &url).env("CAROLINA_BIND", "127.0.0.1:0")).await;
            assert_eq!(code, Some(1), "{told}");
            let help = format!("; start that server, or correct {key} ({variable})");
            assert!(told.contains(&shown) && told.contains(&help) && !told.contains("hidden"), "{told}");
        }
    }
}
