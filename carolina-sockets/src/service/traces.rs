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
    #[cfg(all(feature = "otlp", feature = "cli"))]
    collector: otlp::Collector,
}

/// What is wrong with the collector that a configuration names, and whether the service would not start.
#[cfg(feature = "cli")]
pub(crate) async fn problem(config: &Config) -> Option<(bool, String)> {
    match Traces::start(config) {
        Err(problem) => Some((true, problem)),
        Ok(None) => None,
        #[cfg(feature = "otlp")]
        Ok(Some(traces)) => traces.collector.problem().await.map(|problem| (false, problem)),
        #[cfg(not(feature = "otlp"))]
        Ok(Some(_)) => None,
    }
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
    use std::{
        env,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        time::Duration,
    };

    use async_trait::async_trait;
    use bytes::Bytes;
    use http::{Request, Response, Uri, header::HOST};
    use http_body_util::{BodyExt, Full, Limited};
    use hyper_util::rt::TokioIo;
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_http::{HttpClient, HttpError};
    use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
    use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
    use rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    };
    use tokio::{
        io::{AsyncRead, AsyncWrite},
        net::TcpStream,
        runtime::Handle,
    };
    use tokio_rustls::TlsConnector;
    use tracing::{Level, Subscriber, level_filters::LevelFilter};
    use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

    use super::{Config, Traces};

    /// The variables that name a collector, the first of which that is set counts.
    const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
    /// The same for how long it may take, in milliseconds.
    const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
    /// The same for a file with the certificates of the authorities that the collector's may be signed by, instead of the system's.
    const CERTIFICATES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];
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
            if is_off {
                return Ok(None);
            }
            let mut builder = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
            let url = match (&named, &config.otlp.endpoint) {
                (Some((_, url)), _) => url,
                (None, Some(url)) => {
                    builder = builder.with_endpoint(format!("{}/v1/traces", url.trim_end_matches('/')));
                    url
                }
                (None, None) => return Ok(None),
            };
            let parsed = url.parse::<Uri>().ok().filter(|url| url.host().is_some());
            let collector = match parsed {
                Some(url) if url.scheme_str() == Some("http") => Collector { url, tls: None },
                Some(url) if url.scheme_str() == Some("https") => Collector { url, tls: Some(connector()?) },
                _ => {
                    let name = named.as_ref().map_or("otlp.endpoint", |(name, _)| name);
                    return Err(format!(
                        "{name} is not a URL that begins with `http://` or `https://`: write that of the collector, such as `http://127.0.0.1:4318`"
                    ));
                }
            };
            let exporter = builder.with_http_client(Client::new(collector.clone())).build();
            let exporter = exporter.map_err(|error| format!("otlp: {error}"))?;
            let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource(config));
            Ok(Some(Self {
                provider: provider.build(),
                #[cfg(feature = "cli")]
                collector,
            }))
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

    /// What connects to a collector by TLS.
    ///
    /// # Errors
    ///
    /// When it is not known which certificates to trust.
    fn connector() -> Result<TlsConnector, String> {
        let named = CERTIFICATES.iter().find_map(|name| Some((*name, variable(name)?)));
        let certificates: Vec<CertificateDer<'static>> = match &named {
            Some((name, file)) => {
                let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
                read.map_err(|error| format!("{name}: `{file}` is not a PEM file of certificates: {error}"))?
            }
            None => rustls_native_certs::load_native_certs().certs,
        };
        let mut roots = RootCertStore::empty();
        if roots.add_parsable_certificates(certificates).0 == 0 {
            return Err(match named {
                Some((name, file)) => format!("{name}: `{file}` holds no certificate"),
                None => {
                    "otlp: there are no certificates of authorities on this system to check the collector's by: install them \
                     (`ca-certificates`), or name a file of them in OTEL_EXPORTER_OTLP_CERTIFICATE"
                        .to_owned()
                }
            });
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().map_err(|error| format!("otlp: {error}"))?;
        Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()).into())
    }

    /// Where traces are sent.
    #[derive(Clone)]
    pub(super) struct Collector {
        url: Uri,
        /// Set if the URL begins with `https://`.
        tls: Option<TlsConnector>,
    }

    impl std::fmt::Debug for Collector {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_tuple("Collector").field(&self.url).finish()
        }
    }

    impl Collector {
        fn host(&self) -> &str {
            self.url.host().unwrap_or_default()
        }

        fn port(&self) -> u16 {
            self.url.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 })
        }

        async fn connect(&self) -> Result<Box<dyn Stream>, HttpError> {
            let host = self.host().trim_matches(['[', ']']);
            let stream = TcpStream::connect((host, self.port())).await?;
            Ok(match &self.tls {
                None => Box::new(stream),
                Some(tls) => Box::new(tls.connect(ServerName::try_from(host.to_owned())?, stream).await?),
            })
        }

        async fn send(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
            let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
            *request.uri_mut() = path.parse()?;
            request.headers_mut().insert(HOST, format!("{}:{}", self.host(), self.port()).parse()?);
            let stream = TokioIo::new(self.connect().await?);
            let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
            tokio::spawn(connection);
            let (parts, body) = sender.send_request(request.map(Full::new)).await?.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        }

        /// Why it cannot be connected to, if that is so.
        #[cfg(feature = "cli")]
        pub(super) async fn problem(&self) -> Option<String> {
            let why = match tokio::time::timeout(LAST, self.connect()).await {
                Ok(Ok(_)) => return None,
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {LAST:?}"),
            };
            Some(format!(
                "otlp.endpoint: the collector at {} cannot be reached, so traces are lost: {why}; start it, or correct the URL",
                self.url
            ))
        }
    }

    /// What a request is sent over.
    trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

    impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

    /// Sends each batch over a connection of its own: there is one in some seconds.
    #[derive(Debug)]
    struct Client {
        /// Batches are sent from a thread without a runtime.
        runtime: Handle,
        timeout: Duration,
        collector: Collector,
        /// Whether the last batch was not sent.
        failing: AtomicBool,
    }

    impl Client {
        fn new(collector: Collector) -> Self {
            let timeout = TIMEOUTS.iter().find_map(|name| variable(name)?.parse().ok());
            Self {
                runtime: Handle::current(),
                timeout: Duration::from_millis(timeout.unwrap_or(10_000)),
                collector,
                failing: AtomicBool::new(false),
            }
        }
    }

    #[async_trait]
    impl HttpClient for Client {
        async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
            let (timeout, collector) = (self.timeout, self.collector.clone());
            let sent = async move { tokio::time::timeout(timeout, collector.send(request)).await? };
            let sent: Result<_, HttpError> = self.runtime.spawn(sent).await?;
            // The exporter does not say why.
            match (&sent, self.failing.swap(sent.is_err(), Ordering::Relaxed)) {
                (Err(error), false) => {
                    tracing::warn!(%error, collector = %self.collector.url, "traces do not reach the collector, and are lost (otlp.endpoint)");
                }
                (Ok(_), true) => tracing::info!(collector = %self.collector.url, "traces reach the collector again"),
                _ => {}
            }
            sent
        }
    }
}
