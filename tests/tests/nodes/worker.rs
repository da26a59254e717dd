//! `examples/worker`, beside a node.

use carolina_sockets_tests::{
    nodes::{Node, SECRET},
    program,
    servers::Redis,
    wire::RawSocket,
};
use tokio::process::Command;

#[tokio::test]
async fn r16_the_worker_example_reaches_a_user() {
    let redis = Redis::start();
    // Its channel is `/`.
    let node = Node::start(&redis.url());
    let ada = node.login("ada");
    let mut tab = RawSocket::join_with(&node.url(), "/", Some(&ada)).await;
    let ran = Command::new(program::path("worker"))
        .args(["ada", &redis.url()])
        .env("CAROLINA_SESSION__SECRET", SECRET)
        .output()
        .await
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    tab.expect("42[\"report-ready\",1048575]").await;
    let ran =
        Command::new(program::path("worker")).env_remove("CAROLINA_BACKPLANE__URL").arg("ada").output().await.unwrap();
    assert_eq!(ran.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("CAROLINA_BACKPLANE__URL"));
}
