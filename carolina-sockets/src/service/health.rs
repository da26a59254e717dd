//! Whether the service runs and takes clients (rule R25).

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::{Instant, timeout};
use tower_sessions::{SessionStore, session::Id};

use super::Inner;
use crate::config::{HealthConfig, Requirement};

/// How long an answer of the session store counts, so that frequent questions cost it nothing.
const FRESH: Duration = Duration::from_secs(1);
/// How long the session store may take to answer.
const ANSWER: Duration = Duration::from_secs(2);

/// What is known of a service's readiness.
#[derive(Default)]
pub(super) struct Readiness {
    leaving: AtomicBool,
    /// Whether the session store has answered, and when.
    session: tokio::sync::Mutex<Option<(Instant, bool)>>,
    /// The reasons of the last question, to log changes.
    told: Mutex<Vec<&'static str>>,
}

impl Readiness {
    /// Not ready from now on.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    async fn session_answers(&self, store: &impl SessionStore) -> bool {
        // Under the lock, so that many questions at once are one to the store.
        let mut known = self.session.lock().await;
        if let Some((at, answers)) = *known
            && at.elapsed() < FRESH
        {
            return answers;
        }
        let answers = matches!(timeout(ANSWER, store.load(&Id::default())).await, Ok(Ok(_)));
        *known = Some((Instant::now(), answers));
        answers
    }
}

/// Why the service is not ready; empty when it is.
pub(super) async fn reasons(service: &Inner) -> Vec<&'static str> {
    let readiness = &service.readiness;
    let default = HealthConfig::default();
    let requires = &service.config.health.as_ref().unwrap_or(&default).requires;
    let mut reasons = Vec::new();
    if requires.contains(&Requirement::Backplane) && !service.bus.is_up() {
        reasons.push("the backplane is away");
    }
    if requires.contains(&Requirement::Session) {
        let store = service.services.identities.sessions().store();
        if !readiness.session_answers(&**store).await {
            reasons.push("the session store is away");
        }
    }
    // Last, since the others may take a while.
    if readiness.leaving.load(Ordering::Acquire) {
        reasons.insert(0, "the server is shutting down");
    }
    let before = std::mem::replace(&mut *readiness.told.lock(), reasons.clone());
    if before != reasons {
        match reasons[..] {
            [] => tracing::info!("ready again"),
            _ => tracing::warn!("not ready: {}", reasons.join(", ")),
        }
    }
    reasons
}

#[cfg(feature = "serve")]
pub(super) use endpoints::Health;

#[cfg(feature = "serve")]
mod endpoints {
    use std::{
        convert::Infallible,
        sync::Arc,
        task::{Context, Poll},
    };

    use axum::body::Body;
    use futures_core::future::BoxFuture;
    use http::{HeaderValue, Method, Request, Response, StatusCode, header};
    use serde_json::json;
    use tower_service::Service;

    use super::{super::Inner, reasons};

    /// Answers the paths of `[health]`, before the application sees the request.
    #[derive(Clone)]
    pub(in super::super) struct Health<A> {
        app: A,
        service: Arc<Inner>,
    }

    impl<A> Health<A> {
        pub(in super::super) fn new(app: A, service: Arc<Inner>) -> Self {
            Self { app, service }
        }
    }

    impl<A> Service<Request<Body>> for Health<A>
    where
        A: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
        A::Future: Send + 'static,
    {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

        fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            self.app.poll_ready(context)
        }

        fn call(&mut self, request: Request<Body>) -> Self::Future {
            let path = request.uri().path();
            let asks = matches!(*request.method(), Method::GET | Method::HEAD);
            match &self.service.config.health {
                Some(health) if asks && path == health.live => {
                    Box::pin(async { Ok(answer(StatusCode::OK, &json!({ "status": "live" }))) })
                }
                Some(health) if asks && path == health.ready => {
                    let service = self.service.clone();
                    Box::pin(async move { Ok(readiness(reasons(&service).await)) })
                }
                _ => Box::pin(self.app.call(request)),
            }
        }
    }

    fn readiness(reasons: Vec<&'static str>) -> Response<Body> {
        if reasons.is_empty() {
            return answer(StatusCode::OK, &json!({ "status": "ready" }));
        }
        answer(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "not ready", "reasons": reasons }))
    }

    fn answer(status: StatusCode, body: &serde_json::Value) -> Response<Body> {
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}
