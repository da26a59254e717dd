//! The figures of a running service, for Prometheus.

use carolina_sockets_tests::{
    program,
    wire::{RawSocket, get},
};
use tokio::process::Command;

/// The value of a metric on the page.
fn value(page: &str, metric: &str) -> Option<String> {
    page.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' ')).map(str::to_owned)
}

#[tokio::test]
async fn what_happens_is_counted_for_prometheus() {
    let mut command = Command::new(program::path("quickstart"));
    let mut server = program::start(command.env("CAROLINA_METRICS", "127.0.0.1:0")).await;
    let metrics = loop {
        let line = server.lines.next_line().await.unwrap().expect("it says where");
        if let Some(url) = line.strip_prefix("metrics on ") {
            break url.to_owned();
        }
    };

    let mut client = RawSocket::join(&server.url, "/custom").await;
    client.send(r#"42/custom,1["checkin",{"desk":"a"}]"#).await;
    client.expect("43/custom,1").await;
    client.send(r#"42/custom,2["no-such-event"]"#).await;
    client.expect("43/custom,2").await;

    let page = get(&metrics).await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.contains("# HELP carolina_sockets_events_total Events that clients have sent"), "{page}");
    for (metric, expected) in [
        ("carolina_sockets_connections", "1"),
        (r#"carolina_sockets_sockets{channel="/custom"}"#, "1"),
        ("carolina_sockets_events_total", "2"),
        (r#"carolina_sockets_failures_total{channel="/custom",code="unknown_event"}"#, "1"),
    ] {
        assert_eq!(value(&page, metric).as_deref(), Some(expected), "{metric} in {page}");
    }
    // Nothing else is there, and it is not where clients are.
    let other = get(&metrics.replace("/metrics", "/socket.io/")).await;
    assert!(other.starts_with("HTTP/1.1 404"), "{other}");
    let public = get(&format!("{}/metrics", server.url)).await;
    assert!(public.starts_with("HTTP/1.1 404"), "{public}");
}

#[tokio::test]
async fn a_service_that_cannot_show_its_figures_does_not_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (metrics, expected) in [
        (address.as_str(), "(metrics): Address already in use"),
        ("9464", "metrics: `9464` is not an address and port"),
    ] {
        let mut command = Command::new(program::path("quickstart"));
        command.env("CAROLINA_BIND", "127.0.0.1:0").env("CAROLINA_METRICS", metrics);
        let ended = tokio::time::timeout(carolina_sockets_tests::DEADLINE, command.output()).await;
        let ended = ended.expect("it ends").unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.code() == Some(1) && said.contains(expected), "{said}");
    }
}
