use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Uri, request::Parts};

/// Takes a request's head out of the buffer it was read into. Its parts live as long as the connection that it opens, and
/// every one of them keeps the whole buffer, 8 KB, as long as it lives itself.
pub(super) fn compact(parts: &mut Parts) {
    let uri = parts.uri.to_string();
    let length = uri.len() + parts.headers.values().map(HeaderValue::len).sum::<usize>();
    let mut text = Vec::with_capacity(length);
    text.extend_from_slice(uri.as_bytes());
    for value in parts.headers.values() {
        text.extend_from_slice(value.as_bytes());
    }
    let text = Bytes::from(text);
    // What was sound before is sound as a copy; should it be otherwise, the original stays.
    let Ok(own) = Uri::from_maybe_shared(text.slice(..uri.len())) else { return };
    let mut headers = HeaderMap::with_capacity(parts.headers.len());
    let mut begin = uri.len();
    for (name, value) in &parts.headers {
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
}
