//! `examples/login`, driven as its users would.

use std::{path::Path, process::Stdio, time::Duration};

use carolina_sockets_tests::nodes::program;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

#[tokio::test]
async fn the_login_example_lets_in_tells_and_lets_out() {
    let mut server = Command::new(program("login"))
        .env("CAROLINA_BIND", "127.0.0.1:0")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let first = lines.next_line().await.unwrap().unwrap();
    let url = first.strip_prefix("listening on ").unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e");
    let ran = Command::new("node").args(["login.mjs", url]).current_dir(folder).kill_on_drop(true).output();
    let ran = tokio::time::timeout(Duration::from_secs(60), ran).await.unwrap().unwrap();
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{out}\n{err}");
    server.kill().await.unwrap();
}
