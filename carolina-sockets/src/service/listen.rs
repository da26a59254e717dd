//! Serves HTTP on a port, within limits on what connections may cost.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{body::Body, extract::ConnectInfo};
use futures_core::future::BoxFuture;
use http::{HeaderValue, Request, Response, header};
use hyper::body::{Body as _, Incoming};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_service::Service;

use super::{body::PacedBody, tls::Tls};
use crate::{
    config::Limits,
    guard::{AcceptedStream, OverTls, StreamGuard},
    telemetry::{Cause, refused},
};

/// How long nothing is accepted after that has failed.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a new connection is not closed for having no request.
const FIRST_REQUEST: Duration = Duration::from_millis(250);

/// The memory that a connection may take for a request's head, unless `limits.header_bytes` is more.
const HEAD_BYTES: usize = 64 * 1024;

/// An HTTP/1.1 server, with or without TLS.
pub(super) struct HttpServer<A> {
    app: A,
    guard: StreamGuard,
    tls: Option<Arc<Tls>>,
    /// How long a client may take to send its request's head, the first and any later one.
    header_timeout: Duration,
    body_timeout: Duration,
    head_bytes: usize,
    /// The connections, and the loop that accepts them if it was spawned.
    pub(super) tasks: TaskTracker,
    /// Ends connections after the response they are at.
    closing: CancellationToken,
    /// Ends them at once.
    closed: CancellationToken,
}

impl<A> HttpServer<A>
where
    A: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    A::Future: Send + 'static,
{
    pub(super) fn new(app: A, guard: StreamGuard, limits: &Limits, tls: Option<Arc<Tls>>) -> Arc<Self> {
        Arc::new(Self {
            app,
            guard,
            tls,
            header_timeout: limits.connect_timeout,
            body_timeout: limits.body_timeout,
            head_bytes: usize::try_from(limits.header_bytes).unwrap_or(usize::MAX).max(HEAD_BYTES),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            closed: CancellationToken::new(),
        })
    }

    /// Accepts connections until `stop`.
    pub(super) async fn accept(self: &Arc<Self>, listener: TcpListener, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut stop => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, from)) => self.serve_stream(stream, from),
                Err(error) if is_of_connection(&error) => {}
                Err(error) => {
                    // Most likely out of file descriptors. New connections wait in the backlog until some are free.
                    refused(Cause::Connections, &format!("cannot accept: {error}"));
                    tokio::select! {
                        () = &mut stop => return,
                        () = tokio::time::sleep(PAUSE) => {}
                    }
                }
            }
        }
    }

    /// Serves a connection, if the limits allow one more.
    fn serve_stream(self: &Arc<Self>, stream: TcpStream, from: SocketAddr) {
        // Events are small and should be sent without delay.
        let _ = stream.set_nodelay(true);
        if let Some(stream) = self.guard.accept(stream, from, self.tls.is_some()) {
            let closed = self.closed.clone();
            self.tasks.spawn(closed.run_until_cancelled_owned(self.clone().connection(stream, from)));
        }
    }

    async fn connection(self: Arc<Self>, stream: AcceptedStream, from: SocketAddr) {
        let opened = Instant::now();
        let mut over_tls = None;
        let stream = match &self.tls {
            None => stream,
            Some(tls) => {
                over_tls = Some(tls.hsts());
                // Boxed, so that the connection does not keep room for it.
                let handshake = Box::pin(tls.handshake(stream, from, self.header_timeout));
                match handshake.await {
                    Some(stream) => stream,
                    None => return,
                }
            }
        };
        let app = Requests { app: self.app.clone(), from, body_timeout: self.body_timeout, over_tls };
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout)
            .max_buf_size(self.head_bytes)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app))
            .with_upgrades();
        tokio::pin!(connection);
        let closing = async {
            self.closing.cancelled().await;
            // Its first request may be on the way.
            tokio::time::sleep_until(opened + FIRST_REQUEST).await;
        };
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = closing => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%from, %error, "a connection ended early");
        }
    }
}

impl<A> HttpServer<A> {
    /// Closes connections that have no request, and the others after their response.
    pub(super) fn close(&self) {
        self.closing.cancel();
    }

    /// Waits for the connections to end, and ends those that have not by then.
    pub(super) async fn closed(&self, within: Duration) {
        self.tasks.close();
        let _ = tokio::time::timeout(within, self.tasks.wait()).await;
        self.closed.cancel();
        self.tasks.wait().await;
    }

    /// Ends everything at once.
    #[cfg(feature = "prometheus")]
    pub(super) fn abort(&self) {
        self.closed.cancel();
    }

    /// Cancelled when everything is to end at once.
    #[cfg(feature = "prometheus")]
    pub(super) fn aborted(&self) -> impl Future<Output = ()> + use<A> {
        self.closed.clone().cancelled_owned()
    }
}

/// Whether accepting failed for this one connection, which its client has given up.
fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Adds the client's address to every request of a connection, and deadlines to its body.
#[derive(Clone)]
struct Requests<A> {
    app: A,
    from: SocketAddr,
    body_timeout: Duration,
    /// Set if the connection is, with the value of `Strict-Transport-Security`, if there is one.
    over_tls: Option<Option<HeaderValue>>,
}

impl<A> Service<Request<Incoming>> for Requests<A>
where
    A: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    A::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        self.app.poll_ready(context)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let mut request = request.map(|body| {
            if body.is_end_stream() { Body::empty() } else { Body::new(PacedBody::new(body, self.body_timeout)) }
        });
        request.extensions_mut().insert(ConnectInfo(self.from));
        let Some(hsts) = self.over_tls.clone() else { return Box::pin(self.app.call(request)) };
        request.extensions_mut().insert(OverTls);
        let response = self.app.call(request);
        Box::pin(async move {
            let mut response = response.await?;
            if let Some(hsts) = hsts {
                response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, hsts);
            }
            Ok(response)
        })
    }
}
