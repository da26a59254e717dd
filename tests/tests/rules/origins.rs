//! R14: pages of other origins.

use axum::body::Body;
use carolina_sockets::{Config, channel};
use carolina_sockets_tests::{by_hand, nodes::Node, program, start};
use http::{Method, Request, Response, StatusCode, header};

#[channel]
#[derive(Default)]
struct Page;

fn polling(headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::get("/socket.io/?EIO=4&transport=polling").header(header::HOST, "app.example");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

fn websocket(headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = polling(headers);
    *request.uri_mut() = "/socket.io/?EIO=4&transport=websocket".parse().unwrap();
    for (name, value) in [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request
}

async fn text(response: Response<Body>) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 100_000).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn r14_pages_of_other_origins_are_refused_on_both_transports() {
    let mut config = Config::default();
    config.origins = vec!["https://friend.example".to_owned()];
    let service = start(by_hand().config(config).mount::<Page>("/page")).await;
    for (origin, allowed) in [
        ("https://app.example", true),
        ("http://app.example", true),
        ("https://friend.example", true),
        ("https://evil.example", false),
        ("http://friend.example", false),
        ("null", false),
    ] {
        for request in [polling(&[("origin", origin)]), websocket(&[("origin", origin)])] {
            let what = format!("{origin} {}", request.uri());
            let response = service.http(request).await;
            let named = response.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN).cloned();
            match allowed {
                true => {
                    assert!([StatusCode::OK, StatusCode::SWITCHING_PROTOCOLS].contains(&response.status()), "{what}");
                    assert_eq!(named.unwrap(), origin, "{what}");
                }
                false => {
                    assert_eq!(response.status(), StatusCode::FORBIDDEN, "{what}");
                    // Its page may read why, and send no cookies.
                    assert_eq!(named.unwrap(), "*", "{what}");
                    assert!(!response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS), "{what}");
                    let text = text(response).await;
                    assert!(text.contains("\"forbidden\"") && text.contains(origin), "{what}: {text}");
                }
            }
        }
    }
    // Without an origin no browser's script is behind it; a foreign page's image is.
    assert_eq!(service.http(polling(&[])).await.status(), StatusCode::OK);
    assert_eq!(service.http(polling(&[("sec-fetch-site", "cross-site")])).await.status(), StatusCode::FORBIDDEN);
    // Preflights.
    for (origin, status) in
        [("https://friend.example", StatusCode::NO_CONTENT), ("https://evil.example", StatusCode::FORBIDDEN)]
    {
        let mut request = polling(&[("origin", origin), ("access-control-request-method", "POST")]);
        *request.method_mut() = Method::OPTIONS;
        let response = service.http(request).await;
        assert_eq!(response.status(), status);
        assert_eq!(
            response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_METHODS),
            status == StatusCode::NO_CONTENT
        );
    }
    let refused = service.client().header("origin", "https://evil.example").connect("/page").await.unwrap_err();
    assert_eq!(refused.code(), "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn r14_a_cross_site_page_cannot_connect() {
    // The same program twice, at two addresses that are two sites to a browser.
    let application = Node::alone();
    let other = Node::alone();
    let other = other.url().replace("127.0.0.1", "localhost");
    program::node("cross-site.mjs", &[&application.url(), &other]).await;
}
