//! Sends traces to a collector by OTLP over HTTP (rule R26).
//!
//! The library always describes its spans through the facade `tracing`; this adds a layer to the subscriber of `serve()` if a
//! collector is configured.

use crate::config::Config;

/// The traces that are sent.
#[derive(Debug)]
pub(super) struct Traces {
    #[cfg(feature = "otlp")]
    provider: opentelemetry_sdk::trace::SdkTracerProvider,
}

#[cfg(not(feature = "otlp"))]
impl Traces {
    pub(super) fn start(config: &Config) -> std::result::Result<Option<Self>, String> {
        match &config.otlp.endpoint {
            None => Ok(None),
            Some(_) => {
                Err("otlp.endpoint: this program was built without it; enable the feature `otlp` of carolina-sockets"
                    .to_owned())
            }
        }
    }

    pub(super) fn layer(&self) -> tracing_subscriber::layer::Identity {
        tracing_subscriber::layer::Identity::new()
    }

    pub(super) async fn end(self) {}
}

#[cfg(feature = "otlp")]
mod otlp {
    use std::{env, time::Duration};

    use async_trait::async_trait;
    use bytes::Bytes;
    use http::{Request, Response, Uri, header::HOST};
    use http_body_util::{BodyExt, Full, Limited};
    use hyper_util::rt::TokioIo;
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_http::{HttpClient, HttpError};
    use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
    use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
    use tokio::{net::TcpStream, runtime::Handle};
    use tracing::{Level, Subscriber, level_filters::LevelFilter};
    use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

    use super::{Config, Traces};

    /// The variables that name a collector, the first of which that is set counts.
    const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
    /// The same for how long it may take, in milliseconds.
    const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
    /// How long the last spans may take at the end.
    const LAST: Duration = Duration::from_secs(5);
    /// The most that is read of what the collector answers.
    const MAX_ANSWER: usize = 64 * 1024;

    impl Traces {
        /// Begins to collect, if the configuration or the environment names a collector.
        ///
        /// # Errors
        ///
        /// What is wrong with the settings.
        pub(in super::super) fn start(config: &Config) -> Result<Option<Self>, String> {
            let is_off = variable("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true"))
                || variable("OTEL_TRACES_EXPORTER").is_some_and(|text| text == "none");
            let named = ENDPOINTS.iter().find_map(|name| Some((*name, variable(name)?)));
            if is_off || named.is_none() && config.otlp.endpoint.is_none() {
                return Ok(None);
            }
            let mut builder = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
            match (&named, &config.otlp.endpoint) {
                (Some((name, url)), _) => {
                    let url = url.parse::<Uri>().ok();
                    if url.and_then(|url| url.scheme_str().map(|scheme| scheme == "http")) != Some(true) {
                        return Err(format!(
                            "{name} is not a URL that begins with `http://`: name a collector in your own network, such as `http://127.0.0.1:4318`, which sends on by TLS"
                        ));
                    }
                }
                (None, Some(url)) => {
                    builder = builder.with_endpoint(format!("{}/v1/traces", url.trim_end_matches('/')))
                }
                (None, None) => {}
            }
            let exporter = builder.with_http_client(Client::new()).build();
            let exporter = exporter.map_err(|error| format!("otlp: {error}"))?;
            let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource(config));
            Ok(Some(Self { provider: provider.build() }))
        }

        /// What takes the spans: this library's, and those of the application at `INFO`.
        pub(in super::super) fn layer<S>(&self) -> impl Layer<S> + use<S>
        where
            S: Subscriber + for<'a> LookupSpan<'a>,
        {
            let taken = filter_fn(|about| {
                *about.level() <= Level::INFO || about.is_span() && about.target().starts_with("carolina_sockets")
            });
            tracing_opentelemetry::layer()
                .with_tracer(self.provider.tracer("carolina-sockets"))
                .with_location(false)
                .with_threads(false)
                .with_filter(taken.with_max_level_hint(LevelFilter::DEBUG))
        }

        /// Sends what is left.
        pub(in super::super) async fn end(self) {
            let ended = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(LAST)).await;
            if let Ok(Err(error)) = ended {
                tracing::warn!(%error, "the last traces were not sent: is the collector up? (otlp.endpoint)");
            }
        }
    }

    /// What the traces are of.
    fn resource(config: &Config) -> Resource {
        let resource = Resource::builder();
        let is_named = variable("OTEL_SERVICE_NAME").is_some()
            || variable("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|text| text.contains("service.name="));
        if is_named {
            return resource.build();
        }
        let program = || {
            let path = env::current_exe().ok()?;
            Some(path.file_stem()?.to_string_lossy().into_owned())
        };
        let name = config.otlp.service.clone().or_else(program);
        resource.with_service_name(name.unwrap_or_else(|| "carolina-sockets".to_owned())).build()
    }

    fn variable(name: &str) -> Option<String> {
        env::var(name).ok().filter(|value| !value.is_empty())
    }

    /// Sends each batch over a connection of its own: there is one in some seconds.
    #[derive(Debug)]
    struct Client {
        /// Batches are sent from a thread without a runtime.
        runtime: Handle,
        timeout: Duration,
    }

    impl Client {
        fn new() -> Self {
            let timeout = TIMEOUTS.iter().find_map(|name| variable(name)?.parse().ok());
            Self { runtime: Handle::current(), timeout: Duration::from_millis(timeout.unwrap_or(10_000)) }
        }
    }

    #[async_trait]
    impl HttpClient for Client {
        async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
            let timeout = self.timeout;
            self.runtime.spawn(async move { tokio::time::timeout(timeout, send(request)).await? }).await?
        }
    }

    async fn send(mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let url = request.uri().clone();
        let host = url.host().ok_or("the collector's URL has no host")?;
        let port = url.port_u16().unwrap_or(80);
        let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        request.headers_mut().insert(HOST, format!("{host}:{port}").parse()?);
        *request.uri_mut() = url.path_and_query().map_or("/", |path| path.as_str()).parse()?;
        let (parts, body) = sender.send_request(request.map(Full::new)).await?.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }
}
