//! The figures of a running service, for Prometheus.

use carolina_sockets_tests::{
    program,
    servers::Redis,
    wire::{RawSocket, get},
};
use tokio::process::Command;

/// The value of a metric on the page.
fn value(page: &str, metric: &str) -> Option<String> {
    page.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' ')).map(str::to_owned)
}

/// Where a server says that its figures are.
pub(super) async fn metrics_of(server: &mut program::Application) -> String {
    loop {
        let line = server.lines.next_line().await.unwrap().expect("it says where");
        if let Some(url) = line.strip_prefix("metrics on ") {
            break url.to_owned();
        }
    }
}

/// The page, once this metric has at least such a value.
async fn page_with(metrics: &str, metric: &str, least: f64) -> String {
    let waited = tokio::time::timeout(carolina_sockets_tests::DEADLINE, async {
        loop {
            let page = get(metrics).await;
            if value(&page, metric).is_some_and(|value| value.parse::<f64>().unwrap() >= least) {
                break page;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    match waited.await {
        Ok(page) => page,
        Err(_) => panic!("waited in vain for {metric} of {least}:\n{}", get(metrics).await),
    }
}

#[tokio::test]
async fn what_happens_is_counted_for_prometheus() {
    let mut command = Command::new(program::path("quickstart"));
    let mut server = program::start(command.env("CAROLINA_METRICS", "127.0.0.1:0")).await;
    let metrics = metrics_of(&mut server).await;

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

#[tokio::test]
async fn r26_times_and_sizes_are_measured_in_buckets() {
    let redis = Redis::start();
    let mut command = Command::new(program::path("quickstart"));
    command.env("CAROLINA_METRICS", "127.0.0.1:0").env("CAROLINA_TRANSPORT__PING_INTERVAL", "300ms");
    command.env("CAROLINA_BACKPLANE__URL", redis.url()).env("CAROLINA_SESSION__SECRET", "s".repeat(32));
    let mut server = program::start(&mut command).await;
    let metrics = metrics_of(&mut server).await;
    for transport in ["websocket", "polling"] {
        program::node("figures.mjs", &[&server.url, transport]).await;
    }

    let left = r#"carolina_sockets_disconnects_total{channel="/custom",reason="client_left"}"#;
    page_with(&metrics, left, 2.0).await;
    let page = page_with(&metrics, "carolina_sockets_backplane_lag_seconds_count", 1.0).await;
    for (metric, least) in [
        (r#"carolina_sockets_handler_seconds_count{channel="/custom",handler="checkin"}"#, 8.0),
        (r#"carolina_sockets_handler_seconds_bucket{channel="/custom",handler="checkin",le="30"}"#, 8.0),
        (r#"carolina_sockets_mailbox_seconds_count{channel="/custom"}"#, 8.0),
        // Of each client two.
        ("carolina_sockets_ping_seconds_count", 4.0),
        // Eight events of more than 20 bytes.
        ("carolina_sockets_received_bytes_sum", 160.0),
        ("carolina_sockets_sent_bytes_sum", 160.0),
    ] {
        let found = value(&page, metric).and_then(|value| value.parse::<f64>().ok());
        assert!(found.is_some_and(|value| value >= least), "{metric} is {found:?}, not {least}, in {page}");
    }
    let handled = value(&page, r#"carolina_sockets_handler_seconds_count{channel="/custom",handler="checkin"}"#);
    assert_eq!(handled.as_deref(), Some("8"), "each event once");
    for name in ["handler_seconds", "mailbox_seconds", "ping_seconds", "received_bytes", "backplane_lag_seconds"] {
        assert!(page.contains(&format!("# TYPE carolina_sockets_{name} histogram")), "{name} in {page}");
    }
}
