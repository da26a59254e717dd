//! R14: whose address counts behind a proxy, and which hosts a server answers to.

use axum::body::Body;
use carolina_sockets::{
    Config, channel,
    testing::{ClientError, TestService},
};
use carolina_sockets_tests::{by_hand, start};
use http::{Request, StatusCode};
use tower_layer::Layer;
use tower_service::Service;

#[channel]
#[derive(Default)]
struct Open;

async fn service(config: Config) -> TestService {
    start(by_hand().config(config).mount::<Open>("/open")).await
}

fn code(error: ClientError) -> String {
    error.code().to_owned()
}

#[tokio::test]
async fn r14_an_unreadable_forwarded_address_is_refused() {
    let mut config = Config::default();
    config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    config.limits.connections_per_address = 1;
    let service = service(config).await;
    let from = |proxy: &str, forwarded: &str| {
        service.client().address(proxy.parse().unwrap()).header("x-forwarded-for", forwarded)
    };
    // The proxy's own address would stand for all its clients; the entry before it is the client's to choose.
    for unreadable in ["unknown", "203.0.113.1, _hidden", ""] {
        let refused = from("10.0.0.1", unreadable).connect("/open").await.unwrap_err();
        assert_eq!(code(refused), "bad_request", "{unreadable}");
    }
    // Every form of one address counts for that address.
    let _first = from("10.0.0.1", "[2001:db8::7]:4711").connect("/open").await.unwrap();
    for same in ["2001:db8::7", "[2001:db8::8]", "2001:db8::9"] {
        let refused = from("10.0.0.2", same).connect("/open").await.unwrap_err();
        assert_eq!(code(refused), "overloaded", "{same}");
    }
    // What others than proxies write does not matter.
    from("198.51.100.1", "unknown").connect("/open").await.unwrap();
}

#[tokio::test]
async fn r14_without_addresses_there_is_no_limit_for_one() {
    let mut config = Config::default();
    config.limits.connections_per_address = 1;
    config.limits.connections = 3;
    let service = start(by_hand().config(config).mount::<Open>("/open")).await;
    // As a server does that is not served with `ConnectInfo`.
    let mut app = service.sockets().layer().layer(axum::Router::new());
    let mut open = async || {
        let request = Request::get("/socket.io/?EIO=4&transport=polling").body(Body::empty()).unwrap();
        app.call(request).await.unwrap().status()
    };
    for number in 0..3 {
        assert_eq!(open().await, StatusCode::OK, "client {number}");
    }
    assert_eq!(open().await, StatusCode::SERVICE_UNAVAILABLE, "the limit for all holds");
}

#[tokio::test]
async fn r14_a_48_of_ipv6_has_the_connections_of_a_few_addresses() {
    let mut config = Config::default();
    config.limits.connections_per_address = 2;
    let service = service(config).await;
    let mut held = Vec::new();
    for subnet in 0..8 {
        let address = format!("2001:db8:7:{subnet}::1").parse().unwrap();
        held.push(service.client().address(address).connect("/open").await.unwrap());
    }
    let from = |address: &str| service.client().address(address.parse().unwrap());
    let refused = from("2001:db8:7:ffff::1").connect("/open").await.unwrap_err();
    assert!(refused.to_string().contains("this network (a /48)"), "{refused}");
    from("2001:db8:8::1").connect("/open").await.unwrap();
}

#[tokio::test]
async fn r14_a_page_that_rebinds_its_name_to_the_server_is_refused() {
    let ask = async |service: &TestService, transport: &str, host: &str| {
        let request = Request::get(format!("/socket.io/?EIO=4&transport={transport}"))
            .header("host", host)
            .header("origin", format!("http://{host}"))
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        service.http(request.body(Body::empty()).unwrap()).await.status()
    };
    let mut config = Config::default();
    config.hosts = vec!["app.example".to_owned(), "127.0.0.1:3000".to_owned()];
    let named = service(config).await;
    for (transport, opens) in [("polling", StatusCode::OK), ("websocket", StatusCode::SWITCHING_PROTOCOLS)] {
        for host in ["app.example", "app.example:8443", "127.0.0.1:3000"] {
            assert_eq!(ask(&named, transport, host).await, opens, "{host}");
        }
        for host in ["evil.example", "evil.example:3000", "127.0.0.1:3001"] {
            assert_eq!(ask(&named, transport, host).await, StatusCode::FORBIDDEN, "{host}");
        }
    }
    // Test clients use the first of the names.
    named.connect("/open").await.unwrap();
}
