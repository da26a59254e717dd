//! R14: how many clients, events and bytes.

use std::{net::IpAddr, time::Instant};

use axum::body::Body;
use carolina_sockets::{
    Config, Data, channel, on,
    testing::{ClientError, TestService},
};
use carolina_sockets_tests::{DEADLINE, by_hand, start};
use http::{Request, StatusCode};

#[channel]
#[derive(Default)]
struct Open;

#[channel]
impl Open {
    #[on("echo")]
    fn echo(&self, Data(value): Data<serde_json::Value>) -> serde_json::Value {
        value
    }

    #[on("binary")]
    fn binary(&self, Data(parts): Data<Vec<bytes::Bytes>>) -> usize {
        parts.len()
    }
}

async fn service(config: Config) -> TestService {
    start(by_hand().config(config).mount::<Open>("/open")).await
}

#[tokio::test]
async fn r14_connections_are_limited_in_all_and_per_address() {
    let mut config = Config::default();
    config.limits.connections = 3;
    config.limits.connections_per_address = 2;
    config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    let service = service(config).await;
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let first = service.connect("/open").await.unwrap();
    let _second = service.connect("/open").await.unwrap();
    let refused = service.connect("/open").await.unwrap_err();
    assert!(
        matches!(&refused, ClientError::Refused { code, message } if code == "overloaded" && message.contains("limits.connections_per_address")),
        "{refused}"
    );
    // Behind a proxy that is trusted, it is the address that the proxy tells; what others write does not count.
    let behind = |proxy: &str, told: &str| service.client().address(address(proxy)).header("x-forwarded-for", told);
    let _third = behind("10.1.1.1", "127.0.0.1, 203.0.113.9").connect("/open").await.unwrap();
    let full = behind("198.51.100.1", "203.0.113.7").connect("/open").await.unwrap_err();
    assert!(full.to_string().contains("limits.connections)"), "{full}");
    let polling = Request::get("/socket.io/?EIO=4&transport=polling").body(Body::empty()).unwrap();
    assert_eq!(service.http(polling).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    // A place is free again when its holder has gone.
    drop(first);
    carolina_sockets_tests::until("a place is free", || service.sockets().connections() < 3).await;
    let via_proxy = behind("10.1.1.1", "127.0.0.1").connect("/open").await;
    via_proxy.expect("one of two places of 127.0.0.1 is free");
}

#[tokio::test]
async fn r14_events_per_second_are_limited_per_connection() {
    let mut config = Config::default();
    config.limits.events_per_second = 5;
    let service = service(config).await;
    let mut client = service.connect("/open").await.unwrap();
    let mut other = service.connect("/open").await.unwrap();
    let began = Instant::now();
    let sent: Vec<i64> = (0..20).map(|number| client.send_request("echo", number).unwrap()).collect();
    let mut limited = 0;
    for ack in sent {
        if let Err(error) = client.answer::<u32>(ack).await {
            assert_eq!(error.code(), "rate_limited");
            assert!(error.details().unwrap()["retry_after_ms"].as_u64().unwrap() <= 1_000);
            limited += 1;
        }
    }
    // Five at once, and five more for each second that it took.
    let more = (began.elapsed().as_secs_f64() * 5.0).ceil() as u32;
    assert!((15_u32.saturating_sub(more)..=15).contains(&limited), "{limited}, and {more} more were due");
    assert_eq!(other.request::<u8>("echo", 1).await.unwrap(), 1);
    // Room comes with time.
    let again = async { while client.request::<u8>("echo", 1).await.is_err() {} };
    tokio::time::timeout(DEADLINE, again).await.unwrap();
}

#[tokio::test]
async fn r14_payloads_and_attachments_are_limited() {
    let mut config = Config::default();
    config.limits.max_payload = 2_000;
    config.limits.max_attachments = 2;
    let service = service(config).await;
    let bytes = |length: usize| bytes::Bytes::from(vec![1; length]);
    let mut client = service.connect("/open").await.unwrap();
    client.request::<serde_json::Value>("echo", "x".repeat(1_500)).await.unwrap();
    assert_eq!(client.request::<usize>("binary", vec![bytes(10), bytes(10)]).await.unwrap(), 2);
    for parts in [vec![bytes(10), bytes(10), bytes(10)], vec![bytes(1_500), bytes(1_500)], vec![bytes(3_000)]] {
        assert_eq!(client.request::<usize>("binary", parts).await.unwrap_err().code(), "payload_too_large");
    }
    let error = client.request::<serde_json::Value>("echo", "x".repeat(3_000)).await.unwrap_err();
    assert_eq!(error.code(), "payload_too_large");
    client.request::<u8>("echo", 1).await.unwrap();
}
