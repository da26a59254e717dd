//! R16: the rules hold unchanged with each backplane, and channels are as many as one likes.

use carolina_sockets::{Config, channel};
use carolina_sockets_tests::{
    again, by_hand,
    servers::{Postgres, Redis},
    start,
};

/// What is not for a backplane: processes that have none, and a clock that stands still while its server answers.
const SKIPPED: [&str; 2] = ["cross_site", "timeouts::"];

#[tokio::test]
async fn r16_the_rules_hold_over_redis() {
    let redis = Redis::start();
    again::over(&redis.url(), &SKIPPED).await;
}

#[tokio::test]
async fn r16_the_rules_hold_over_postgres() {
    let postgres = Postgres::start();
    again::over(&postgres.url(), &SKIPPED).await;
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

/// A client on one node that is removed from its channel on another one.
async fn removed_elsewhere(url: &str) {
    let node = async || {
        let mut config = Config::default();
        config.backplane.url = Some(url.to_owned());
        start(by_hand().config(config).mount::<Many>("/many")).await
    };
    let (here, there) = (node().await, node().await);
    let (mut near, mut far) = (here.connect("/many").await.unwrap(), there.connect("/many").await.unwrap());
    here.sockets().channel("/many").unwrap().disconnect().await.unwrap();
    for client in [&mut near, &mut far] {
        assert_eq!(client.expect::<serde_json::Value>("carolina:closed").await.unwrap()["code"], "removed");
        client.expect_disconnect().await.unwrap();
    }
}

#[tokio::test]
async fn r17_who_is_removed_by_another_node_is_told_why_over_redis() {
    let redis = Redis::start();
    removed_elsewhere(&redis.url()).await;
}

#[tokio::test]
async fn r17_who_is_removed_by_another_node_is_told_why_over_postgres() {
    let postgres = Postgres::start();
    removed_elsewhere(&postgres.url()).await;
}
