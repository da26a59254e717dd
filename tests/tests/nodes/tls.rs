//! R16: a backplane over TLS.

use carolina_sockets::Emitter;
use carolina_sockets_tests::{nodes::Node, servers::Redis, wire::RawSocket};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn r16_redis_over_tls() {
    let redis = Redis::start_with_tls();
    let authority = Redis::authority();
    let [a, b] = std::array::from_fn(|_| {
        Node::start_with(&redis.url(), &[("SSL_CERT_FILE", authority.to_str().expect("a path in UTF-8"))])
    });
    let cookie = a.login("ada");
    let mut socket = RawSocket::join_with(&b.url(), "/open", Some(&cookie)).await;
    socket.send("42/open,1[\"whoami\"]").await;
    socket.expect("43/open,1[\"ada\"]").await;
    a.emit(json!({ "event": "n", "data": 1 }));
    socket.expect("42/open,[\"n\",1]").await;
    // By an authority that this process does not know.
    let error = Emitter::connect(&redis.url()).await.unwrap_err().to_string();
    assert!(error.contains("certificate") && error.lines().count() == 1, "{error}");
}
