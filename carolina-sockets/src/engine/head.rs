use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Uri,
    header::{CONNECTION, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE},
    request::Parts,
};

/// Headers that describe the stream and not the client. The engine would keep 100 bytes for each.
const STREAM_HEADERS: [HeaderName; 5] =
    [CONNECTION, UPGRADE, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, SEC_WEBSOCKET_EXTENSIONS];

/// Copies a request's head out of the buffer it was read into: the engine keeps the head for the life of the
/// connection, and each part of it would keep the whole 8 KB buffer alive. The headers of the stream are dropped.
pub(super) fn compact(parts: &mut Parts) {
    let kept = || parts.headers.iter().filter(|(name, _)| !STREAM_HEADERS.contains(name));
    let uri = parts.uri.to_string();
    let length = uri.len() + kept().map(|(_, value)| value.len()).sum::<usize>();
    let mut text = Vec::with_capacity(length);
    text.extend_from_slice(uri.as_bytes());
    for (_, value) in kept() {
        text.extend_from_slice(value.as_bytes());
    }
    let text = Bytes::from(text);
    // A copy of a valid URI and of valid values is valid; otherwise the original stays.
    let Ok(own) = Uri::from_maybe_shared(text.slice(..uri.len())) else { return };
    let mut headers = HeaderMap::with_capacity(kept().count());
    let mut begin = uri.len();
    for (name, value) in kept() {
        let end = begin + value.len();
        let Ok(mut copy) = HeaderValue::from_maybe_shared(text.slice(begin..end)) else { return };
        copy.set_sensitive(value.is_sensitive());
        headers.append(name.clone(), copy);
        begin = end;
    }
    parts.uri = own;
    parts.headers = headers;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compacted_head_says_the_same() {
        let request = http::Request::get("/socket.io/?EIO=4&transport=websocket&q=%C3%A9")
            .header("host", "app.example")
            .header("cookie", "a=b")
            .header("cookie", "c=d")
            .header("x-custom", HeaderValue::from_bytes(b"\xff opaque").unwrap())
            .header("empty", "");
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let before = parts.clone();
        compact(&mut parts);
        assert_eq!((parts.uri, parts.headers), (before.uri, before.headers));
    }

    #[test]
    fn headers_of_the_stream_are_left_out() {
        let request = http::Request::get("/socket.io/?EIO=4&transport=websocket")
            .header("host", "app.example")
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-extensions", "permessage-deflate")
            .header("origin", "https://app.example");
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        compact(&mut parts);
        let names: Vec<_> = parts.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["host", "origin"]);
    }
}
