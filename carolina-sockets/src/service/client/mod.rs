//! The official client's bundle, for pages without a bundler: `{transport.path}/client.js`, if `transport.serve_client` is set.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};

use crate::config::TransportConfig;

/// The file of the npm package `socket.io-client`, unchanged; its licence is beside it.
const BUNDLE: &[u8] = include_bytes!("socket.io.min.js");

/// Changes with the bundle: the version of the package.
const ETAG: &str = "\"socket.io-client-4.8.4\"";

/// The bundle's text, for a page that has it inside.
#[cfg(feature = "contract")]
pub(super) fn text() -> std::borrow::Cow<'static, str> {
    String::from_utf8_lossy(BUNDLE)
}

/// Answers a request for the bundle; `None` for any other request.
pub(super) fn answer<B>(request: &Request<B>, transport: &TransportConfig) -> Option<Response<Body>> {
    if !transport.serve_client || !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let path = request.uri().path().strip_prefix(transport.path.trim_end_matches('/'))?;
    if path != "/client.js" {
        return None;
    }
    let known = request.headers().get_all(header::IF_NONE_MATCH).into_iter().any(|tags| {
        tags.to_str()
            .is_ok_and(|tags| tags.split(',').any(|tag| matches!(tag.trim().trim_start_matches("W/"), ETAG | "*")))
    });
    let body = if known { Body::empty() } else { Body::from(Bytes::from_static(BUNDLE)) };
    let mut response = Response::new(body);
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(header::ETAG, HeaderValue::from_static(ETAG));
    // Kept, and asked for again at each load, so that an update of the library is an update of the page.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, no-cache"));
    if !known {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, path: &str, tag: Option<&str>, on: bool) -> Option<Response<Body>> {
        let transport = TransportConfig { serve_client: on, ..crate::Config::default().transport };
        let mut request = Request::builder().method(method).uri(path);
        if let Some(tag) = tag {
            request = request.header(header::IF_NONE_MATCH, tag);
        }
        answer(&request.body(()).unwrap(), &transport)
    }

    #[tokio::test]
    async fn the_bundle_is_served_if_asked_for_and_kept_until_it_changes() {
        let path = "/socket.io/client.js";
        assert!(asked(Method::GET, path, None, false).is_none());
        for (method, path) in [(Method::GET, "/client.js"), (Method::GET, "/socket.io/"), (Method::POST, path)] {
            assert!(asked(method, path, None, true).is_none(), "{path}");
        }
        let response = asked(Method::GET, path, None, true).unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
        let tag = response.headers()[header::ETAG].to_str().unwrap().to_owned();
        let body = axum::body::to_bytes(response.into_body(), 1_000_000).await.unwrap();
        assert_eq!(body, BUNDLE);
        for tags in [tag.clone(), format!("\"old\", W/{tag}"), "*".to_owned()] {
            let response = asked(Method::GET, path, Some(&tags), true).unwrap();
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{tags}");
            assert!(axum::body::to_bytes(response.into_body(), 1).await.unwrap().is_empty());
        }
        assert_eq!(asked(Method::GET, path, Some("\"old\""), true).unwrap().status(), StatusCode::OK);
    }

    #[test]
    fn the_tag_is_that_of_the_bundle() {
        let banner = String::from_utf8_lossy(&BUNDLE[..200]).into_owned();
        let version = ETAG.trim_matches('"').strip_prefix("socket.io-client-").unwrap();
        assert!(banner.contains(&format!("Socket.IO v{version}\n")) && banner.contains("MIT License"), "{banner}");
    }
}
