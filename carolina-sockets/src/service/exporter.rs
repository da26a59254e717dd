//! Serves the metrics to Prometheus.
//!
//! The library always records through the facade `metrics`; this installs a recorder and an endpoint if the setting
//! `metrics` is set.

use crate::{config::Config, error::Result};

/// The metrics endpoint. It ends when dropped.
pub(super) struct Exporter {
    #[cfg(feature = "prometheus")]
    address: std::net::SocketAddr,
    #[cfg(feature = "prometheus")]
    server: std::sync::Arc<super::listen::HttpServer<axum::Router>>,
}

#[cfg(not(feature = "prometheus"))]
impl Exporter {
    pub(super) async fn bind(config: &Config) -> Result<Option<Self>> {
        match &config.metrics {
            None => Ok(None),
            Some(_) => Err(crate::Error::Config(vec![
                "metrics: this program was built without it; enable the feature `prometheus` of carolina-sockets"
                    .to_owned(),
            ])),
        }
    }

    pub(super) fn announce(&self) {}
}

#[cfg(feature = "prometheus")]
mod prometheus {
    use axum::{Router, http::header::CONTENT_TYPE, routing::get};
    use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
    use tokio::net::TcpListener;

    use super::{super::listen::HttpServer, Config, Exporter, Result};
    use crate::{
        error::Error,
        guard::StreamGuard,
        telemetry::{
            histogram::{HISTOGRAMS, measure_if_recorded},
            metric::{ALL, Kind},
        },
    };

    /// How often what was recorded is added to the buckets.
    const UPKEEP: std::time::Duration = std::time::Duration::from_secs(5);

    impl Exporter {
        /// Listens and starts recording, if the configuration says so.
        ///
        /// # Errors
        ///
        /// [`Error::Io`] when it cannot listen, [`Error::Config`] if the application has installed its own recorder.
        pub(in super::super) async fn bind(config: &Config) -> Result<Option<Self>> {
            let Some(bind) = &config.metrics else { return Ok(None) };
            let failed = |error| Error::io(format!("cannot listen on {bind} (metrics)"), error);
            let listener = TcpListener::bind(bind).await.map_err(failed)?;
            let address = listener.local_addr().map_err(failed)?;
            let mut builder = PrometheusBuilder::new();
            for (name, _, buckets) in HISTOGRAMS {
                let set = builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), buckets);
                builder = set.map_err(|error| Error::Init(error.into()))?;
            }
            let handle = builder.install_recorder().map_err(|_| {
                Error::Config(vec![
                    "metrics: the application has installed a recorder of its own; leave the key out, or leave the recorder to the library"
                        .to_owned(),
                ])
            })?;
            for (kind, name, help) in ALL {
                match kind {
                    Kind::Counter => metrics::describe_counter!(name, help),
                    Kind::Gauge => metrics::describe_gauge!(name, help),
                }
            }
            for (name, help, _) in HISTOGRAMS {
                metrics::describe_histogram!(name, help);
            }
            measure_if_recorded();
            let upkeep = handle.clone();
            let page = move || {
                let text = handle.render();
                async { ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text) }
            };
            let router = Router::new().route("/metrics", get(page));
            let server = HttpServer::new(router, StreamGuard::for_metrics(config), &config.limits, None);
            let accepting = server.clone();
            server.tasks.spawn(async move { accepting.accept(listener, accepting.aborted()).await });
            // What is recorded is kept one by one until then, whether or not somebody asks for it.
            let aborted = server.aborted();
            server.tasks.spawn(async move {
                tokio::pin!(aborted);
                while tokio::time::timeout(UPKEEP, aborted.as_mut()).await.is_err() {
                    upkeep.run_upkeep();
                }
            });
            Ok(Some(Self { address, server }))
        }

        /// Prints the address.
        pub(in super::super) fn announce(&self) {
            println!("metrics on http://{}/metrics", self.address);
        }
    }

    impl Drop for Exporter {
        fn drop(&mut self) {
            self.server.abort();
        }
    }
}
