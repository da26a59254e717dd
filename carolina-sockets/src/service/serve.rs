use std::{
    fmt,
    future::IntoFuture,
    io::Write,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::Router;
use futures_core::future::BoxFuture;
use tokio::{net::TcpListener, time::Instant};
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
    health::Health,
    listen::HttpServer,
    reload::{Hangups, reload},
    set_global,
    settings::{Settings, serve_setters, setters},
    signals::stop_signal,
    static_files::static_files,
    systemd,
    tls::Tls,
    traces::Traces,
};
use crate::{
    config::Reading,
    error::{Error, Result},
    guard::StreamGuard,
};

/// Runs a service: `carolina_sockets::serve().await`.
///
/// It loads the configuration, finds the linked channels and listens. On SIGTERM or ctrl-c it shuts down, as
/// [`Sockets::shutdown`](crate::Sockets::shutdown) says, and returns; a second signal during that time ends the process at once, with
/// code 143 or 130. It sets the global [`sockets`](crate::sockets), and, unless the application has set one, a `tracing`
/// subscriber that writes to standard error by the variable `RUST_LOG` (default `info`).
///
/// With the feature `systemd` it takes the socket that systemd has opened for it in place of `bind`, and tells systemd when it is ready
/// and when it ends. SIGHUP has it read its certificate (`tls`), `origins` and `hosts` again, unless it was started from a terminal.
///
/// `GET /live` is answered while the process runs, and `GET /ready` with 503 in place of 200 while it takes no clients (rule R25):
/// see [`HealthConfig`](crate::config::HealthConfig).
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
        let is_read = self.settings.config.is_none();
        // Read before the log can be written, since it says where traces go; told after that.
        let (mut reading, told) = match self.settings.config.take() {
            Some(config) => (Reading::of(config), None),
            None => Reading::system_untold(),
        };
        let traces = Traces::start(&reading.config).unwrap_or_else(|problem| {
            reading.problems.push(problem);
            None
        });
        start_log(traces.as_ref());
        if let Some(told) = told {
            tracing::info!("{told}");
        }
        let served = self.serve(reading, is_read).await;
        if let Some(traces) = traces {
            traces.end().await;
        }
        served
    }

    async fn serve(self, mut reading: Reading, is_read: bool) -> Result {
        if let Some(Err(error)) = reading.config.static_dir.as_deref().map(check_directory) {
            reading.problems.push(error.to_string());
        }
        let tls = Tls::load(&reading.config).unwrap_or_else(|problem| {
            reading.problems.push(problem);
            None
        });
        if !reading.problems.is_empty() {
            // It fails, before it touches anything, and reports them with those of the channels.
            return Builder::from(self.settings).build_with(reading).await.map(|_| ());
        }
        let config = reading.config;
        let mut router = self.router;
        if let Some(directory) = &config.static_dir {
            router = router.fallback_service(static_files(directory));
        }
        // Bind first: a second instance must fail before it touches stores and backplanes.
        let listening = match (self.listener, systemd::listener()?) {
            (Some(listener), _) => Listening { listener, is_inherited: false, tls },
            (None, Some(listener)) => Listening { listener, is_inherited: true, tls },
            (None, None) => {
                let listener = TcpListener::bind(&config.bind).await;
                let listener =
                    listener.map_err(|error| Error::io(format!("cannot listen on {}", config.bind), error))?;
                Listening { listener, is_inherited: false, tls }
            }
        };
        // Before any metric is recorded.
        let exporter = Exporter::bind(&config).await?;
        let sockets = Builder::from(self.settings).config(config).build().await?;
        set_global(&sockets)?;
        let url = listening.url()?;
        // From here on, signals do what they should, which whoever reads the line relies on.
        let (stop, hangups) = (stop_signal(), Hangups::listen());
        sockets.inner().background.spawn(reload(hangups, sockets.clone(), listening.tls.clone(), is_read));
        // Whoever reads it may have gone, which is no reason to end.
        let _ = writeln!(std::io::stdout(), "listening on {url}\n{}", sockets.table());
        if let Some(exporter) = &exporter {
            exporter.announce();
        }
        systemd::ready(&url);
        let stop = async {
            stop.await;
            systemd::stopping();
        };
        run(sockets, router, listening, stop).await
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
fn start_log(traces: Option<&Traces>) {
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
    let set = tracing_subscriber::registry().with(log.with_filter(filter)).with(traces.map(Traces::layer)).try_init();
    if set.is_err() && traces.is_some() {
        tracing::warn!(
            "no traces are sent: the application has a `tracing` subscriber of its own, which takes a layer of tracing-opentelemetry (otlp)"
        );
    }
    if let (Ok(()), Some(error)) = (set, mistake) {
        tracing::warn!("RUST_LOG is `{wanted}`: {error}; write it as `info,carolina_sockets=debug`. Logging at `info`");
    }
}

pub(crate) fn check_directory(directory: &std::path::Path) -> Result {
    let what = || {
        let directory = directory.display();
        format!(
            "cannot serve files from `{directory}` (static_dir): name a folder that exists, from that in which the server runs"
        )
    };
    let found = std::fs::metadata(directory).map_err(|error| Error::io(what(), error))?;
    if found.is_dir() {
        Ok(())
    } else {
        Err(Error::io(what(), std::io::Error::new(std::io::ErrorKind::NotADirectory, "it is not a directory")))
    }
}

/// How long connections have, at the least, to send their last responses.
const LEAST_CLOSING: Duration = Duration::from_millis(100);

/// Where connections come in.
pub(crate) struct Listening {
    listener: TcpListener,
    /// It stays open in the process that has opened it: connections wait there for the next one to serve them.
    is_inherited: bool,
    tls: Option<Arc<Tls>>,
}

impl Listening {
    /// A listener of this process's own, with the certificate that the configuration names.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when the certificate cannot be used.
    #[cfg(any(feature = "cli", feature = "testing"))]
    pub(crate) fn new(listener: TcpListener, config: &crate::config::Config) -> Result<Self> {
        let tls = Tls::load(config).map_err(|problem| Error::Config(vec![problem]))?;
        Ok(Self { listener, is_inherited: false, tls })
    }

    /// Where clients find it.
    pub(crate) fn url(&self) -> Result<String> {
        let address = self.listener.local_addr().map_err(|error| Error::io("cannot listen", error))?;
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        Ok(format!("{scheme}://{address}"))
    }
}

/// Accepts connections until `stop`, then shuts the service down.
pub(crate) async fn run(
    sockets: Sockets,
    router: Router,
    listening: Listening,
    stop: impl Future<Output = ()>,
) -> Result {
    let Listening { listener, is_inherited, tls } = listening;
    let app = sockets.layer().layer(router.layer(sockets.session_layer()));
    let app = Health::new(app, sockets.inner().clone());
    let limits = &sockets.config().limits;
    let turns = sockets.inner().engine.as_ref().map(|engine| engine.turns()).unwrap_or_default();
    let server = HttpServer::new(app, StreamGuard::new(sockets.config(), turns), limits, tls.clone());
    if let Some(tls) = tls {
        sockets.inner().background.spawn(tls.watch());
    }
    let began = OnceLock::new();
    let ending = async {
        stop.await;
        sockets.inner().leave().await;
        if !is_inherited {
            // Clients that poll need new TCP connections until they know of the end; new clients are refused.
            sockets.inner().send_away().await;
            began.get_or_init(Instant::now);
            sockets.shutdown().await;
            sockets.inner().fetched().await;
        }
    };
    server.accept(listener, ending).await;
    if is_inherited {
        sockets.inner().send_away().await;
    }
    server.close();
    let began = *began.get_or_init(Instant::now);
    if is_inherited {
        sockets.shutdown().await;
    }
    server.closed(limits.shutdown_timeout.saturating_sub(began.elapsed()).max(LEAST_CLOSING)).await;
    Ok(())
}
