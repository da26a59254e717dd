//! R16: the rules hold unchanged with each backplane. The test programs of the rules run once more, their services connected
//! to a real server.

use std::{path::PathBuf, time::Duration};

use carolina_sockets::{Config, channel};
use carolina_sockets_tests::{
    by_hand,
    servers::{Postgres, Redis},
    start,
};
use tokio::process::Command;

/// The newest program of this name among the built tests.
fn test_program(name: &str) -> PathBuf {
    let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let programs = std::fs::read_dir(folder).unwrap().filter_map(|entry| {
        let path = entry.ok()?.path();
        let file = path.file_name()?.to_str()?;
        let hash = file.strip_prefix(name)?.strip_prefix('-')?;
        let program = hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        program.then(|| (path.metadata().and_then(|data| data.modified()).ok(), path.clone()))
    });
    programs.max().unwrap_or_else(|| panic!("the tests `{name}` are not built; `cargo test --workspace` builds them")).1
}

async fn the_rules_hold(url: &str) {
    for name in ["registration", "events", "sending", "malformed", "sessions", "doors"] {
        let ran = Command::new(test_program(name))
            .args(["--test-threads=2", "--skip", "cross_site"])
            .env("CAROLINA_TESTING_BACKPLANE", url)
            .env("RUST_BACKTRACE", "0")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .kill_on_drop(true)
            .output();
        let ran = tokio::time::timeout(Duration::from_secs(300), ran).await.unwrap().unwrap();
        let out = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success(), "{name}:\n{out}\n{}", String::from_utf8_lossy(&ran.stderr));
    }
}

#[tokio::test]
async fn r16_the_rules_hold_over_redis() {
    let redis = Redis::start();
    the_rules_hold(&redis.url()).await;
}

#[tokio::test]
async fn r16_the_rules_hold_over_postgres() {
    let postgres = Postgres::start();
    the_rules_hold(&postgres.url()).await;
}

#[channel("/many")]
#[derive(Default)]
struct Many;

#[channel]
impl Many {}

/// Two nodes with more channels than a connection pool has connections.
async fn many_channels(url: &str) {
    let paths: Vec<String> = (0..30).map(|number| format!("/many/{number}")).collect();
    let node = async || {
        let mut config = Config::default();
        config.backplane.url = Some(url.to_owned());
        start(paths.iter().fold(by_hand().config(config), |builder, path| builder.mount::<Many>(path))).await
    };
    let (here, there) = (node().await, node().await);
    for path in &paths {
        let mut client = there.connect(path).await.unwrap();
        here.sockets().channel(path).unwrap().emit("news", path).await.unwrap();
        assert_eq!(&client.expect::<String>("news").await.unwrap(), path);
    }
}

#[tokio::test]
async fn r16_many_channels_over_redis() {
    let redis = Redis::start();
    many_channels(&redis.url()).await;
}

#[tokio::test]
async fn r16_many_channels_over_postgres() {
    let postgres = Postgres::start();
    many_channels(&postgres.url()).await;
}
