//! The dashboard and the alert rules in `deploy/`, with a real Prometheus that scrapes a service (rule R26).

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use carolina_sockets_tests::{DEADLINE, port::Port, process::Folder, program, servers::Redis, wire::get};
use serde_json::Value;
use tokio::process::Command;

fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(file).canonicalize().expect("it is in deploy/")
}

/// The queries of the dashboard, as Grafana sends them.
fn dashboard() -> Vec<String> {
    let text = std::fs::read_to_string(deploy("grafana.json")).unwrap();
    let board: Value = serde_json::from_str(&text).expect("it is JSON");
    let panels = board["panels"].as_array().expect("it has panels");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("a panel has queries"));
    let queries: Vec<String> =
        targets.map(|target| target["expr"].as_str().unwrap().replace("$__rate_interval", "1m")).collect();
    assert!(queries.len() >= 14, "{queries:?}");
    queries
}

/// Asks Prometheus: the values of the series that it finds.
async fn query(prometheus: &str, query: &str) -> Vec<String> {
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let answer = get(&format!("{prometheus}/api/v1/query?query={encoded}")).await;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let body = &body[body.find('{').unwrap_or_default()..=body.rfind('}').unwrap_or_default()];
    let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{query}: {error} in {answer}"));
    assert_eq!(body["status"], "success", "{query}: {answer}");
    let series = body["data"]["result"].as_array().unwrap_or_else(|| panic!("{query}: {answer}"));
    series.iter().filter_map(|series| Some(series["value"][1].as_str()?.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn r26_each_query_of_the_dashboard_gives_numbers_and_each_alert_can_be_asked() {
    let redis = Redis::start();
    let mut command = Command::new(program::path("quickstart"));
    command.env("CAROLINA_METRICS", "127.0.0.1:0").env("CAROLINA_TRANSPORT__PING_INTERVAL", "300ms");
    command.env("CAROLINA_BACKPLANE__URL", redis.url()).env("CAROLINA_SESSION__SECRET", "s".repeat(32));
    let mut server = program::start(&mut command).await;
    let metrics = super::metrics::metrics_of(&mut server).await;
    let target = metrics.trim_start_matches("http://").trim_end_matches("/metrics");

    let folder = Folder::new();
    let rules = deploy("alerts.yaml");
    let config = format!(
        "global: {{ scrape_interval: 500ms, evaluation_interval: 500ms }}\nrule_files: ['{}']\nscrape_configs:\n- job_name: carolina\n  static_configs: [{{ targets: ['{target}'] }}]\n",
        rules.display(),
    );
    std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    let port = Port::reserve();
    let prometheus = format!("http://127.0.0.1:{}", port.number());
    let mut process = Command::new("prometheus");
    process.arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()));
    process.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
    process.arg(format!("--web.listen-address=127.0.0.1:{}", port.number())).arg("--log.level=error");
    let _process = process.kill_on_drop(true).spawn().expect("`prometheus` is installed: tests/setup does that");

    let wanted = dashboard();
    let mut missing = wanted.clone();
    let all = tokio::time::timeout(DEADLINE * 2, async {
        while tokio::net::TcpStream::connect(prometheus.trim_start_matches("http://")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // It answers 503 while it reads its own store.
        while !get(&format!("{prometheus}/-/ready")).await.starts_with("HTTP/1.1 200") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        while !missing.is_empty() {
            // Rates are of what happens between two scrapes.
            program::node("figures.mjs", &[&server.url, "websocket"]).await;
            let mut still = Vec::new();
            for wanted in missing.drain(..) {
                let values = query(&prometheus, &wanted).await;
                if !values.iter().any(|value| value.parse::<f64>().is_ok_and(f64::is_finite)) {
                    still.push(wanted);
                }
            }
            missing = still;
        }
    })
    .await;
    assert!(all.is_ok(), "no numbers from {missing:#?}");

    let alerts = std::fs::read_to_string(rules).unwrap();
    let alerts: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
    assert!(alerts.len() >= 10, "{alerts:?}");
    for alert in alerts {
        let alert = alert.trim_matches('\'');
        query(&prometheus, alert).await;
        // What it compares is a metric of the library, or Prometheus's own.
        assert!(alert.contains("carolina_sockets_") || alert.starts_with("up{"), "{alert}");
    }
    // Nothing is wrong here.
    let firing = query(&prometheus, r#"ALERTS{alertstate="firing"}"#).await;
    assert!(firing.is_empty(), "{firing:?}");
    let checked = Command::new("promtool").args(["check", "rules"]).arg(deploy("alerts.yaml")).output().await.unwrap();
    assert!(checked.status.success(), "{checked:?}");
}
