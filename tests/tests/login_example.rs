//! `examples/login`, driven as its users would.

use std::{path::Path, time::Duration};

use carolina_sockets_tests::program;
use tokio::process::Command;

#[tokio::test]
async fn the_login_example_lets_in_tells_and_lets_out() {
    let mut server = program::start(&mut Command::new(program::path("login"))).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e");
    let ran = Command::new("node").args(["login.mjs", &server.url]).current_dir(folder).kill_on_drop(true).output();
    let ran = tokio::time::timeout(Duration::from_secs(60), ran).await.unwrap().unwrap();
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{out}\n{err}");
    server.process.kill().await.unwrap();
}
