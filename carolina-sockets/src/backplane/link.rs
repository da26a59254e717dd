//! The connection to the server between the nodes.

use futures_core::stream::BoxStream;

use super::BackplaneError;
use crate::{
    config::without_password,
    error::{Caused, Error, Result, Source, help_to_connect},
    telemetry::metric,
};

/// The connection to other nodes, shared by all namespaces.
#[derive(Clone)]
pub(crate) enum Link {
    /// There is none.
    None,
    #[cfg(feature = "redis")]
    Redis(super::redis::Redis),
    #[cfg(feature = "postgres")]
    Postgres(super::postgres::Postgres),
}

/// How long the server may take to be reached at start-up.
#[allow(dead_code, reason = "without features there is no server")]
pub(super) const CONNECT: std::time::Duration = std::time::Duration::from_secs(10);

/// Connects to a backplane by its URL. Messages are signed with the first secret, if there is one.
pub(crate) async fn connect(url: &str, prefix: &str, secrets: &[String]) -> Result<Link> {
    match url.split_once("://").map_or("", |(scheme, _)| scheme) {
        "redis" | "rediss" => redis(url, prefix, secrets).await,
        "postgres" | "postgresql" => postgres(url, prefix, secrets).await,
        "redis-cluster" | "rediss-cluster" | "redis-sentinel" | "rediss-sentinel" => Err(failed(
            url,
            "a cluster does not report the total number of subscribers of a channel, which is needed to count acknowledgements across nodes; use a single Redis, redis://… or rediss://…",
        )),
        _ => Err(failed(url, "there are redis://…, rediss://… and postgres://…")),
    }
}

/// The same for the server that `backplane.url` names.
pub(super) async fn connect_configured(url: &str, prefix: &str, secrets: &[String]) -> Result<Link> {
    let link = connect(url, prefix, secrets).await.map_err(|error| match error {
        Error::Backplane(reason) => {
            let help = help_to_connect(reason.as_ref(), "backplane.url");
            Error::backplane(Caused::new(format!("{reason}{help}"), reason))
        }
        other => other,
    })?;
    // From the start, so that an alert need not tell what has no value from what is away.
    metric::backplane_up(link.is_up());
    Ok(link)
}

#[cfg(feature = "redis")]
async fn redis(url: &str, prefix: &str, secrets: &[String]) -> Result<Link> {
    super::redis::Redis::open(url, prefix, secrets).await.map(Link::Redis).map_err(|reason| failed(url, reason))
}

#[cfg(not(feature = "redis"))]
async fn redis(url: &str, _prefix: &str, _secrets: &[String]) -> Result<Link> {
    Err(without_feature(url, "redis"))
}

#[cfg(feature = "postgres")]
async fn postgres(url: &str, prefix: &str, secrets: &[String]) -> Result<Link> {
    super::postgres::Postgres::connect(url, prefix, secrets)
        .await
        .map(Link::Postgres)
        .map_err(|reason| failed(url, reason))
}

#[cfg(not(feature = "postgres"))]
async fn postgres(url: &str, _prefix: &str, _secrets: &[String]) -> Result<Link> {
    Err(without_feature(url, "postgres"))
}

#[cfg(not(all(feature = "redis", feature = "postgres")))]
fn without_feature(url: &str, feature: &str) -> Error {
    failed(url, format!("this program was built without it; enable the feature `{feature}` of carolina-sockets"))
}

fn failed(url: &str, reason: impl Into<Source>) -> Error {
    let reason = reason.into();
    Error::backplane(Caused::new(format!("`{}`: {reason}", without_password(url)), reason))
}

impl Link {
    /// Whether there is a backplane.
    pub(super) fn is_some(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Whether the server is reached.
    pub(super) fn is_up(&self) -> bool {
        match self {
            Self::None => true,
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.is_up(),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.is_up(),
        }
    }

    /// The time of the server, if it tells.
    #[cfg(feature = "cli")]
    pub(super) async fn server_time(&self) -> Option<std::time::SystemTime> {
        match self {
            Self::None => None,
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.server_time().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.server_time().await,
        }
    }

    /// Sends a text to every node that listens to the control channel.
    pub(super) async fn publish(&self, text: String) -> std::result::Result<(), BackplaneError> {
        let _ = &text;
        match self {
            Self::None => Ok(()),
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.publish_control(text).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.publish_control(text).await,
        }
    }

    /// The messages of the control channel. The stream continues after outages.
    pub(super) async fn listen(&self) -> std::result::Result<BoxStream<'static, String>, BackplaneError> {
        match self {
            Self::None => Ok(Box::pin(futures_util::stream::empty())),
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.listen_control().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.listen_control().await,
        }
    }
}
