//! The quickstart as it is documented, and what it says when it cannot start.

use std::{path::Path, time::Duration};

use carolina_sockets_tests::{DEADLINE, program};
use tokio::process::Command;

#[tokio::test]
async fn the_quickstart_serves_its_client_and_ends_in_order() {
    let mut server = program::start(&mut Command::new(program::path("quickstart"))).await;
    let mut table = String::new();
    while let Some(line) = server.lines.next_line().await.unwrap() {
        table.push_str(&line);
        if line.contains("/custom") {
            break;
        }
    }
    assert!(table.contains("MainChannel") && table.contains("MyCustomChannel") && table.contains("checkin"), "{table}");

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/quickstart");
    let ran = Command::new("node").args(["client.mjs", &server.url]).current_dir(folder).output();
    let ran = tokio::time::timeout(Duration::from_secs(30), ran).await.unwrap().unwrap();
    let out = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && out.contains("acknowledged: { number: 1 }"), "{out}");

    let id = server.process.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    let status = tokio::time::timeout(DEADLINE, server.process.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn start_up_mistakes_are_one_clear_message_and_exit_code_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = taken.local_addr().unwrap().to_string();
    for (variables, expected) in [
        (vec![("CAROLINA_BIND", bind.as_str())], "cannot listen on 127.0.0.1:"),
        (vec![("CAROLINA_BIND", "nowhere")], "CAROLINA_BIND: bind: `nowhere` is not an address and port"),
        (vec![("CAROLINA_CONFIG", "/nonexistent.toml")], "cannot read `/nonexistent.toml`"),
        (vec![("CAROLINA_STATIC_DIR", "/nonexistent")], "cannot serve files from `/nonexistent`"),
        (vec![("CAROLINA_LIMITS__MAILBX", "1")], "did you mean `mailbox`?"),
        (vec![("CAROLINA_SESSION__STORE", "mysql://u:secret@h/d")], "`mysql://u:***@h/d`"),
    ] {
        let ran = Command::new(program::path("quickstart")).envs(variables).kill_on_drop(true).output();
        let ran = tokio::time::timeout(DEADLINE, ran).await.unwrap().unwrap();
        let err = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(1), "{err}");
        let message = err.lines().find(|line| line.starts_with("Error: ")).unwrap_or_default();
        assert!(message.contains(expected), "{err}");
        assert!(!err.contains("secret@"), "{err}");
    }
}
