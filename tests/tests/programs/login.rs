//! `examples/login`, driven as its users would.

use carolina_sockets_tests::program;
use tokio::process::Command;

#[tokio::test]
async fn the_login_example_lets_in_tells_and_lets_out() {
    let mut server = program::start(&mut Command::new(program::path("login"))).await;
    program::node("login.mjs", &[&server.url]).await;
    server.process.kill().await.unwrap();
}
