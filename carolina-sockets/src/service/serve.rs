use std::{fmt, future::IntoFuture, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use futures_core::future::BoxFuture;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::net::{TcpListener, TcpStream};
use tower_layer::Layer;
use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::{
    Builder, Sockets,
    exporter::Exporter,
    set_global,
    settings::{Settings, serve_setters, setters},
};
use crate::{
    config::Config,
    error::{Error, Result},
    telemetry::{Cause, refused},
};

/// Runs a service: `carolina_sockets::serve().await`.
///
/// It loads the configuration, finds the linked channels and listens. On SIGTERM or ctrl-c it shuts down: it stops
/// accepting connections, lets running handlers finish within `limits.shutdown_timeout`, closes the connections and
/// returns. It sets the global [`sockets`](crate::sockets), and, unless the application has set one, a `tracing`
/// subscriber that writes to standard error by the variable `RUST_LOG` (default `info`).
///
/// # Errors
///
/// When awaited: whatever [`Builder::build`] returns, [`Error::Io`] when it cannot listen or read its files, and
/// [`Error::AlreadyRunning`] in a process that has served before. A `main` that returns it prints one clear message and
/// exits with code 1.
pub fn serve() -> Serve {
    Serve { settings: Settings::default(), router: Router::new(), listener: None }
}

/// Returned by [`serve`]; configure it further and await it.
#[must_use = "nothing is served until this is awaited"]
pub struct Serve {
    pub(crate) settings: Settings,
    pub(crate) router: Router,
    pub(crate) listener: Option<TcpListener>,
}

setters!(Serve, settings);
serve_setters!(Serve);

impl Serve {
    async fn run(mut self) -> Result {
        start_log();
        let config = match self.settings.config.take() {
            Some(config) => config,
            None => Config::load()?,
        };
        let mut router = self.router;
        if let Some(directory) = &config.static_dir {
            check_directory(directory)?;
            router = router.fallback_service(tower_http::services::ServeDir::new(directory));
        }
        // Bind first: a second instance must fail before it touches stores and backplanes.
        let listener = match self.listener {
            Some(listener) => listener,
            None => TcpListener::bind(&config.bind)
                .await
                .map_err(|error| Error::io(format!("cannot listen on {}", config.bind), error))?,
        };
        // Before any metric is recorded.
        let exporter = Exporter::bind(&config).await?;
        let sockets = Builder::from(self.settings).config(config).build().await?;
        set_global(&sockets)?;
        let address = listener.local_addr().map_err(|error| Error::io("cannot listen", error))?;
        println!("listening on http://{address}\n{}", sockets.table());
        if let Some(exporter) = &exporter {
            exporter.announce();
        }
        run(sockets, router, listener, stop_signal()).await
    }
}

impl IntoFuture for Serve {
    type Output = Result;
    type IntoFuture = BoxFuture<'static, Result>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Serve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Logs to standard error at the level of `RUST_LOG`, by default `info`.
fn start_log() {
    let wanted = std::env::var("RUST_LOG").unwrap_or_default();
    let wanted = if wanted.trim().is_empty() { "info" } else { wanted.trim() };
    let (filter, mistake) = match wanted.parse::<Targets>() {
        Ok(filter) => (filter, None),
        Err(error) => (Targets::new().with_default(LevelFilter::INFO), Some(error)),
    };
    let log = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_writer(std::io::stderr);
    // A subscriber that the application has installed is kept.
    let set = tracing_subscriber::registry().with(log.with_filter(filter)).try_init();
    if let (Ok(()), Some(error)) = (set, mistake) {
        tracing::warn!("RUST_LOG is `{wanted}`: {error}; write it as `info,carolina_sockets=debug`. Logging at `info`");
    }
}

fn check_directory(directory: &std::path::Path) -> Result {
    let what = || format!("cannot serve files from `{}` (static_dir)", directory.display());
    let found = std::fs::metadata(directory).map_err(|error| Error::io(what(), error))?;
    if found.is_dir() {
        Ok(())
    } else {
        Err(Error::io(what(), std::io::Error::new(std::io::ErrorKind::NotADirectory, "it is not a directory")))
    }
}

async fn stop_signal() {
    let interrupt = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "cannot listen for ctrl-c");
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => tokio::select! {
                () = interrupt => {}
                _ = terminate.recv() => {}
            },
            Err(error) => {
                tracing::error!(%error, "cannot listen for SIGTERM");
                interrupt.await;
            }
        }
    }
    #[cfg(not(unix))]
    interrupt.await;
}

/// Accepts connections until `stop`, then shuts the service down.
pub(crate) async fn run(
    sockets: Sockets,
    router: Router,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> Result {
    let app = sockets.layer().layer(router.layer(sockets.session_layer()));
    let limits = &sockets.config().limits;
    let server = Arc::new(Server {
        app,
        header_timeout: limits.connect_timeout,
        closing: tokio_util::sync::CancellationToken::new(),
    });
    tokio::pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    tokio::spawn(server.clone().connection(stream, from));
                }
                Err(error) => {
                    // Most likely out of file descriptors: wait for other connections to close.
                    refused(Cause::Connections, &format!("cannot accept: {error}"));
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
    drop(listener);
    server.closing.cancel();
    sockets.shutdown().await;
    Ok(())
}

struct Server {
    app: super::SocketsService<Router>,
    /// How long a client may take to send its request's head.
    header_timeout: Duration,
    closing: tokio_util::sync::CancellationToken,
}

impl Server {
    async fn connection(self: Arc<Self>, stream: TcpStream, from: SocketAddr) {
        // Events are small and should be sent without delay.
        let _ = stream.set_nodelay(true);
        let app = FromAddress { app: self.app.clone(), from };
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app))
            .with_upgrades();
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = self.closing.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%from, %error, "a connection ended early");
        }
    }
}

/// Adds the client's address to every request of a connection.
#[derive(Clone)]
struct FromAddress {
    app: super::SocketsService<Router>,
    from: SocketAddr,
}

impl tower_service::Service<http::Request<hyper::body::Incoming>> for FromAddress {
    type Response = http::Response<axum::body::Body>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<'static, std::result::Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<std::result::Result<(), Self::Error>> {
        // axum's router is always ready.
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<hyper::body::Incoming>) -> Self::Future {
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(ConnectInfo(self.from));
        self.app.call(request)
    }
}
