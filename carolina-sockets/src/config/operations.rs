//! The settings of those who run a service: health, deploys and TLS.

use std::{path::PathBuf, time::Duration};

use super::{
    Config,
    check::{MAX_DURATION, ensure},
};

/// `[health]`: what a balancer or an orchestrator asks `serve()` (rule R25). `health = false` switches it off.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HealthConfig {
    /// The path that is answered with 200 while the process runs. Default `/live`.
    ///
    /// Key `health.live`, variable `CAROLINA_HEALTH__LIVE`.
    pub live: String,
    /// The path that is answered with 200 while the service takes clients, and with 503 otherwise. Default `/ready`.
    ///
    /// Key `health.ready`, variable `CAROLINA_HEALTH__READY`.
    pub ready: String,
    /// Without which servers the service is not ready, if it is configured to use them. Default both. Leave one out if a balancer
    /// should rather keep sending clients to nodes that have lost it: all nodes lose it at once.
    ///
    /// Key `health.requires`, variable `CAROLINA_HEALTH__REQUIRES`.
    pub requires: Vec<Requirement>,
}

/// A server that a service may need to be ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Requirement {
    /// That of `backplane.url`.
    Backplane,
    /// That of `session.store`.
    Session,
}

/// `[drain]`: how clients are sent to other nodes at shutdown (rule R25).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DrainConfig {
    /// How long the service goes on taking clients after it was asked to end and is no longer ready: at least as long as the
    /// balancer takes to notice. Default 0.
    ///
    /// Key `drain.delay`, variable `CAROLINA_DRAIN__DELAY`.
    pub delay: Duration,
    /// The time over which the clients are then closed, in equal parts, so that they do not all connect to the other nodes at
    /// once. Default 0: all together.
    ///
    /// Key `drain.over`, variable `CAROLINA_DRAIN__OVER`.
    pub over: Duration,
}

/// `[tls]`: the certificate with which `serve()` serves https and wss (rule R28).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TlsConfig {
    /// The file of the certificate and those between it and the authority's, in PEM format. It is read anew when it changes and on
    /// SIGHUP.
    ///
    /// Key `tls.cert`, variable `CAROLINA_TLS__CERT`.
    pub cert: PathBuf,
    /// The file of its private key, in PEM format: PKCS #8, PKCS #1 or SEC 1, not encrypted. It is read anew with the certificate.
    ///
    /// Key `tls.key`, variable `CAROLINA_TLS__KEY`.
    pub key: PathBuf,
    /// For how long browsers that have seen a response are to use https alone for this host: the header `Strict-Transport-Security`.
    /// Default none: there is no such header.
    ///
    /// Key `tls.hsts`, variable `CAROLINA_TLS__HSTS`.
    pub hsts: Option<Duration>,
}

/// `[otlp]`: the collector that `serve()` sends traces to (rule R26), with the feature `otlp`.
///
/// OpenTelemetry's own variables hold as well: `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME` and
/// `OTEL_RESOURCE_ATTRIBUTES` come before these keys, and `OTEL_TRACES_SAMPLER`, `OTEL_EXPORTER_OTLP_HEADERS`,
/// `OTEL_EXPORTER_OTLP_CERTIFICATE`, `OTEL_BSP_…` and `OTEL_SDK_DISABLED` say the rest.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct OtlpConfig {
    /// The collector's URL, for OTLP over HTTP, such as `http://127.0.0.1:4318`; traces go to `/v1/traces` below it. With `https://` its
    /// certificate is checked by the system's authorities, or those in the file that `OTEL_EXPORTER_OTLP_CERTIFICATE` names.
    /// Default none: no traces are sent, unless the environment names a collector.
    ///
    /// Key `otlp.endpoint`, variable `CAROLINA_OTLP__ENDPOINT`.
    pub endpoint: Option<String>,
    /// The name of the service in traces. Default: the name of the program.
    ///
    /// Key `otlp.service`, variable `CAROLINA_OTLP__SERVICE`.
    pub service: Option<String>,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            live: "/live".to_owned(),
            ready: "/ready".to_owned(),
            requires: vec![Requirement::Backplane, Requirement::Session],
        }
    }
}

impl Default for DrainConfig {
    fn default() -> Self {
        Self { delay: Duration::ZERO, over: Duration::ZERO }
    }
}

/// Checks these settings; `check` takes each key with its problem, if there is one.
pub(super) fn check(config: &Config, check: &mut impl FnMut(&str, Result<(), String>)) {
    let (health, drain, tls) = (config.health.as_ref(), &config.drain, config.tls.as_ref());
    let transport = config.transport.path.as_str();
    if let Some(health) = health {
        let paths = [("health.live", &health.live), ("health.ready", &health.ready)];
        for (key, path) in paths {
            check(key, crate::path::check(path));
            check(
                key,
                ensure(transport == "/" || !is_below(path, transport), || {
                    format!(
                        "`{path}` is below `{transport}`, which Socket.IO answers (transport.path): write another path"
                    )
                }),
            );
        }
        check(
            "health.ready",
            ensure(health.live != health.ready, || {
                format!("`{}` is also health.live: write another path", health.ready)
            }),
        );
    }
    let is_url = config.otlp.endpoint.as_ref().is_none_or(|url| {
        url.parse::<http::Uri>()
            .is_ok_and(|url| matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some())
    });
    check(
        "otlp.endpoint",
        ensure(is_url, || {
            "is not a URL that begins with `http://` or `https://`: write that of the collector, such as \"http://127.0.0.1:4318\""
                .to_owned()
        }),
    );
    let hsts = tls.and_then(|tls| tls.hsts).unwrap_or_default();
    for (key, value) in [("drain.delay", drain.delay), ("drain.over", drain.over), ("tls.hsts", hsts)] {
        check(
            key,
            ensure(value <= MAX_DURATION, || "is longer than a hundred years; write at most \"36500d\"".to_owned()),
        );
    }
    if let Some(tls) = tls {
        for (key, path, other) in [("tls.cert", &tls.cert, "key"), ("tls.key", &tls.key, "cert")] {
            check(
                key,
                ensure(!path.as_os_str().is_empty(), || {
                    format!("is missing: a certificate and its key are two files, write it beside `{other}` in [tls]")
                }),
            );
        }
    }
}

impl Config {
    /// The sections and keys in which two configurations differ.
    #[cfg(feature = "serve")]
    pub(crate) fn differences(&self, other: &Self) -> Vec<&'static str> {
        let all = [
            ("use_sockets", self.use_sockets != other.use_sockets),
            ("bind", self.bind != other.bind),
            ("static_dir", self.static_dir != other.static_dir),
            ("metrics", self.metrics != other.metrics),
            ("origins", self.origins != other.origins),
            ("hosts", self.hosts != other.hosts),
            ("trusted_proxies", self.trusted_proxies != other.trusted_proxies),
            ("[channels]", self.channels != other.channels),
            ("[session]", self.session != other.session),
            ("[backplane]", self.backplane != other.backplane),
            ("[otlp]", self.otlp != other.otlp),
            ("[publish]", self.publish != other.publish),
            ("[health]", self.health != other.health),
            ("[drain]", self.drain != other.drain),
            ("[tls]", self.tls != other.tls),
            ("[limits]", self.limits != other.limits),
            ("[transport]", self.transport != other.transport),
        ];
        all.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }
}

fn is_below(path: &str, base: &str) -> bool {
    let base = base.trim_end_matches('/');
    path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
