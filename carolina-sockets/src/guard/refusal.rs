use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};

/// Why a request is refused, before it reaches the engine.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    /// The HTTP response: `{ "code", "message" }`.
    pub(crate) fn into_response(self) -> Response<Body> {
        let body = serde_json::json!({ "code": self.code, "message": self.message }).to_string();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}
