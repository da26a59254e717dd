//! The settings of a service: from `config/web_sockets.toml` and the environment, or made in code.
//!
//! [`Config::load`], which [`serve`](fn@crate::serve) and [`Builder::build`](crate::Builder::build) call, reads the file
//! `config/web_sockets.toml` in the working directory, or the one that the variable `CAROLINA_CONFIG` names. Without a file the defaults
//! hold. Every key can also be set, or overridden, by a variable: `CAROLINA_`, and the key in capitals with `__` for the dot. Unknown keys
//! and bad values fail the start, all at once, each with its place and the nearest known name (rule R2).
//!
//! ```
//! use carolina_sockets::Config;
//!
//! let text = r#"
//! bind = "0.0.0.0:80"
//! origins = ["https://app.example"]
//!
//! [channels]
//! "/other" = { driver = "MyCustomChannel", private = true }
//!
//! [session]
//! secret = "the output of `openssl rand -base64 48`"
//!
//! [limits]
//! max_payload = "1MB"
//! handler_timeout = "1m 30s"
//! "#;
//! let config = Config::from_toml(text, "web_sockets.toml")?;
//! assert_eq!(config.limits.max_payload, 1_000_000); // bytes
//! # Ok::<(), carolina_sockets::Error>(())
//! ```
//!
//! # Keys
//!
//! | key | variable | value | default |
//! |---|---|---|---|
//! | `use_sockets` | `CAROLINA_USE_SOCKETS` | `true` or `false` | on when a channel is declared or configured |
//! | `bind` | `CAROLINA_BIND` | address and port | `"127.0.0.1:3000"` |
//! | `static_dir` | `CAROLINA_STATIC_DIR` | path of a folder | none |
//! | `metrics` | `CAROLINA_METRICS` | address and port | none |
//! | `contract_page` | `CAROLINA_CONTRACT_PAGE` | `true` or `false` | `false` |
//! | `origins` | `CAROLINA_ORIGINS` | list of origins | `[]` |
//! | `hosts` | `CAROLINA_HOSTS` | list of names, with or without a port | `[]` |
//! | `trusted_proxies` | `CAROLINA_TRUSTED_PROXIES` | list of addresses and networks | `[]` |
//! | `channels` | `CAROLINA_CHANNELS` | table: path to [`ChannelConfig`] | `{}` |
//! | `session.store` | `CAROLINA_SESSION__STORE` | `memory` or a URL | `"memory"` |
//! | `session.cookie` | `CAROLINA_SESSION__COOKIE` | name of a cookie | `"carolina.sid"` |
//! | `session.secret` | `CAROLINA_SESSION__SECRET` | text of at least 32 bytes, or a list of them | made at start |
//! | `session.user_key` | `CAROLINA_SESSION__USER_KEY` | key of the session's data | `"user_id"` |
//! | `session.ttl` | `CAROLINA_SESSION__TTL` | duration | `"7d"` |
//! | `session.recheck` | `CAROLINA_SESSION__RECHECK` | duration | `"60s"` |
//! | `session.secure` | `CAROLINA_SESSION__SECURE` | `true` or `false` | as the request came |
//! | `session.domain` | `CAROLINA_SESSION__DOMAIN` | domain | none |
//! | `session.path` | `CAROLINA_SESSION__PATH` | path of a URL | `"/"` |
//! | `session.same_site` | `CAROLINA_SESSION__SAME_SITE` | `strict`, `lax` or `none` | `"lax"` |
//! | `session.marker` | `CAROLINA_SESSION__MARKER` | `true` or `false` | `true` |
//! | `backplane.url` | `CAROLINA_BACKPLANE__URL` | URL | none |
//! | `backplane.prefix` | `CAROLINA_BACKPLANE__PREFIX` | letters, digits, `_` and `-` | `"carolina"` |
//! | `admin.user` | `CAROLINA_ADMIN__USER` | text | none |
//! | `admin.password` | `CAROLINA_ADMIN__PASSWORD` | hash of a password, by bcrypt or argon2 | none: there is no Admin UI |
//! | `admin.mode` | `CAROLINA_ADMIN__MODE` | `production` or `development` | `"production"` |
//! | `admin.files` | `CAROLINA_ADMIN__FILES` | path of a folder | none |
//! | `admin.page` | `CAROLINA_ADMIN__PAGE` | path of a URL | `"/admin-ui"` |
//! | `otlp.endpoint` | `CAROLINA_OTLP__ENDPOINT` | URL | none: no traces are sent |
//! | `otlp.service` | `CAROLINA_OTLP__SERVICE` | text | the name of the program |
//! | `publish.secret` | `CAROLINA_PUBLISH__SECRET` | text of at least 32 bytes, or a list of them | none: nothing is published |
//! | `publish.path` | `CAROLINA_PUBLISH__PATH` | path of a URL | `"/_carolina/emit"` |
//! | `publish.max_body` | `CAROLINA_PUBLISH__MAX_BODY` | size | `"1MB"` |
//! | `health` | `CAROLINA_HEALTH` | `true` or `false`, or the section below | `true` |
//! | `health.live` | `CAROLINA_HEALTH__LIVE` | path of a URL | `"/live"` |
//! | `health.ready` | `CAROLINA_HEALTH__READY` | path of a URL | `"/ready"` |
//! | `health.requires` | `CAROLINA_HEALTH__REQUIRES` | list of `backplane` and `session` | `["backplane", "session"]` |
//! | `drain.delay` | `CAROLINA_DRAIN__DELAY` | duration | `"0s"` |
//! | `drain.over` | `CAROLINA_DRAIN__OVER` | duration | `"0s"` |
//! | `tls.cert` | `CAROLINA_TLS__CERT` | path of a file | none |
//! | `tls.key` | `CAROLINA_TLS__KEY` | path of a file | none |
//! | `tls.hsts` | `CAROLINA_TLS__HSTS` | duration | none |
//! | `presence.linger` | `CAROLINA_PRESENCE__LINGER` | duration | `"3s"` |
//! | `presence.batch` | `CAROLINA_PRESENCE__BATCH` | duration | `"50ms"` |
//! | `presence.max_meta` | `CAROLINA_PRESENCE__MAX_META` | bytes per key and value | `4096` |
//! | `resume.channels` | `CAROLINA_RESUME__CHANNELS` | `"all"`, `"declared"` or `"none"` | `"declared"` |
//! | `resume.window` | `CAROLINA_RESUME__WINDOW` | duration | `"2m"` |
//! | `resume.events` | `CAROLINA_RESUME__EVENTS` | events per channel instance | `1000` |
//! | `resume.bytes` | `CAROLINA_RESUME__BYTES` | size per channel instance | `"1MB"` |
//! | `limits.max_payload` | `CAROLINA_LIMITS__MAX_PAYLOAD` | size | `"1MB"` |
//! | `limits.max_attachments` | `CAROLINA_LIMITS__MAX_ATTACHMENTS` | binary values per packet | `10` |
//! | `limits.mailbox` | `CAROLINA_LIMITS__MAILBOX` | events per socket and channel | `256` |
//! | `limits.mailbox_bytes` | `CAROLINA_LIMITS__MAILBOX_BYTES` | size, per connection | `"1MB"` |
//! | `limits.send_queue` | `CAROLINA_LIMITS__SEND_QUEUE` | packets per connection | `1024` |
//! | `limits.send_buffer` | `CAROLINA_LIMITS__SEND_BUFFER` | size, per connection | `"1MB"` |
//! | `limits.header_bytes` | `CAROLINA_LIMITS__HEADER_BYTES` | size | `"16kB"` |
//! | `limits.events_per_second` | `CAROLINA_LIMITS__EVENTS_PER_SECOND` | events per second and connection | `100` |
//! | `limits.connections` | `CAROLINA_LIMITS__CONNECTIONS` | connections per process | `100000` |
//! | `limits.connections_per_address` | `CAROLINA_LIMITS__CONNECTIONS_PER_ADDRESS` | connections per address and process | `1000` |
//! | `limits.channels_per_connection` | `CAROLINA_LIMITS__CHANNELS_PER_CONNECTION` | channels with parameters per connection | `100` |
//! | `limits.connect_timeout` | `CAROLINA_LIMITS__CONNECT_TIMEOUT` | duration | `"10s"` |
//! | `limits.body_timeout` | `CAROLINA_LIMITS__BODY_TIMEOUT` | duration | `"30s"` |
//! | `limits.handler_timeout` | `CAROLINA_LIMITS__HANDLER_TIMEOUT` | duration | `"30s"` |
//! | `limits.send_timeout` | `CAROLINA_LIMITS__SEND_TIMEOUT` | duration | `"5s"` |
//! | `limits.shutdown_timeout` | `CAROLINA_LIMITS__SHUTDOWN_TIMEOUT` | duration | `"10s"` |
//! | `transport.path` | `CAROLINA_TRANSPORT__PATH` | path of a URL | `"/socket.io"` |
//! | `transport.serve_client` | `CAROLINA_TRANSPORT__SERVE_CLIENT` | `true` or `false` | `false` |
//! | `transport.ping_interval` | `CAROLINA_TRANSPORT__PING_INTERVAL` | duration | `"25s"` |
//! | `transport.ping_timeout` | `CAROLINA_TRANSPORT__PING_TIMEOUT` | duration | `"20s"` |
//! | `transport.transports` | `CAROLINA_TRANSPORT__TRANSPORTS` | list of `polling` and `websocket` | `["polling", "websocket"]` |
//!
//! What each of them does is said at the fields of [`Config`], [`SessionConfig`], [`BackplaneConfig`], [`AdminConfig`], [`OtlpConfig`], [`PublishConfig`],
//! [`HealthConfig`], [`DrainConfig`], [`TlsConfig`], [`PresenceConfig`], [`Limits`] and [`TransportConfig`].
//!
//! # Values
//!
//! | value | written as |
//! |---|---|
//! | duration | text with units: `"500ms"`, `"5s"`, `"1m 30s"`, `"7d"`; more than zero (`drain`, `tls.hsts`: or zero), at most 100 years |
//! | size | bytes as a number, or text with a unit: `"100kB"` is 100,000 bytes, `"1MiB"` 1,048,576; at least 1 |
//! | number | `256`, `100_000`; at least 1 (`max_attachments`: 0), at most 100,000,000 |
//! | list | `["a", "b"]`; in a variable also `a, b` |
//! | table | as in the file; in `CAROLINA_CHANNELS` an inline table, whose entries replace the file's for the same paths |

mod check;
mod keys;
mod operations;
mod read;
mod redact;
mod source;
#[cfg(test)]
mod tests;
mod value;

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use ipnet::IpNet;

use crate::error::{Error, Result};
use source::{Place, Source};

pub(crate) use check::SHORTEST_SECRET;
pub use operations::{DrainConfig, HealthConfig, OtlpConfig, Requirement, TlsConfig};
pub(crate) use read::Reading;
pub(crate) use redact::without_password;

/// All settings. Every one has a default, so that an application without a configuration runs.
///
/// [`Config::load`] reads them from file and environment; see the [table of all keys](self#keys). Values that are set in code are
/// checked by the same rules when the service is built. In code:
///
/// ```
/// use carolina_sockets::Config;
///
/// let mut config = Config::default().bind("127.0.0.1:8080").channel("/other", "MyCustomChannel");
/// config.limits.mailbox = 64;
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Whether web sockets are on, whatever is declared (rule R4). Default `None`: they are when a channel is declared or configured.
    ///
    /// Key `use_sockets`, variable `CAROLINA_USE_SOCKETS`.
    pub use_sockets: Option<bool>,
    /// Where `serve()` listens: `address:port`; port 0 takes a free one. Default `127.0.0.1:3000`.
    ///
    /// Key `bind`, variable `CAROLINA_BIND`.
    pub bind: String,
    /// Folder of files for the browser, which `serve()` serves where no route answers. Hidden files (`.env`; not `.well-known`) and links out
    /// of the folder are not served. Default none.
    ///
    /// Key `static_dir`, variable `CAROLINA_STATIC_DIR`.
    pub static_dir: Option<PathBuf>,
    /// Where `serve()` answers `GET /metrics` for Prometheus: `address:port`. Needs the feature `prometheus`. The address should not be
    /// one that clients reach. Default none.
    ///
    /// Key `metrics`, variable `CAROLINA_METRICS`.
    pub metrics: Option<String>,
    /// Whether `GET /contract` is a page that shows what the channels take, answer and emit, private ones included, to everybody who can reach the
    /// server, and lets them try it (rule R22). Needs the feature `contract`. Default `false`.
    ///
    /// Key `contract_page`, variable `CAROLINA_CONTRACT_PAGE`.
    pub contract_page: bool,
    /// Origins whose pages may connect beside the server's own: scheme, host and port, as `https://app.example` (rule R14). `*` is refused.
    /// Default none.
    ///
    /// Key `origins`, variable `CAROLINA_ORIGINS`.
    pub origins: Vec<String>,
    /// The names that clients may connect to, with or without a port: `app.example` stands for any port, `app.example:8443` for that one. A
    /// handshake with another `Host` is refused, which stops pages whose own name is made to resolve to this server (DNS rebinding).
    /// Set it where being able to reach the server is a right by itself, as on a private network. Default none: any name, and the page's
    /// own origin is the server's if it equals the `Host`.
    ///
    /// Key `hosts`, variable `CAROLINA_HOSTS`.
    pub hosts: Vec<String>,
    /// Proxies whose headers `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host` are trusted: addresses, or networks such as
    /// `10.0.0.0/8`. A request for which one of them forwards no readable address is refused with status 400. Default none.
    ///
    /// Key `trusted_proxies`, variable `CAROLINA_TRUSTED_PROXIES`.
    pub trusted_proxies: Vec<IpNet>,
    /// Paths and the drivers that serve them (rule R2). Default none: what `#[channel("/path")]` declares holds.
    ///
    /// Section `[channels]`, variable `CAROLINA_CHANNELS`.
    pub channels: BTreeMap<String, ChannelConfig>,
    /// Sessions and their cookie: `[session]`.
    pub session: SessionConfig,
    /// What connects the nodes: `[backplane]`.
    pub backplane: BackplaneConfig,
    /// The official Admin UI: `[admin]`.
    pub admin: AdminConfig,
    /// Where traces are sent (rule R26): `[otlp]`.
    pub otlp: OtlpConfig,
    /// Emitting from programs in other languages: `[publish]`.
    pub publish: PublishConfig,
    /// What `serve()` answers balancers and orchestrators (rule R25): `[health]`, or `None` for `health = false`. Default: at `/live` and
    /// `/ready`.
    pub health: Option<HealthConfig>,
    /// How clients are sent away at shutdown (rule R25): `[drain]`.
    pub drain: DrainConfig,
    /// The certificate with which `serve()` serves https and wss (rule R28): `[tls]`. Default none: http and ws.
    pub tls: Option<TlsConfig>,
    /// Who is on a channel: `[presence]`.
    pub presence: PresenceConfig,
    /// Clients that come back: `[resume]`.
    pub resume: ResumeConfig,
    /// What a client may use: `[limits]`.
    pub limits: Limits,
    /// How clients connect: `[transport]`.
    pub transport: TransportConfig,
}

/// One entry of `[channels]`: `"/other" = { driver = "MyCustomChannel", private = true }` (rule R2).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChannelConfig {
    /// Name of the driver (the struct under `#[channel]`) that serves the path. Default `None`: the one that declares it. Key `driver`.
    pub driver: Option<String>,
    /// Whether the channel is private (rule R12). Default `None`: as the driver declares. Key `private`.
    pub private: Option<bool>,
    /// Whether the path is mounted. Default `true`. Key `enabled`.
    pub enabled: bool,
    place: Place,
}

/// `[session]`: who sockets belong to (rules R10, R11 and R13).
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct SessionConfig {
    /// Where sessions are kept: `memory`, `sqlite://…`, `redis://…` or `postgres://…`, each URL with the feature of that name. Default
    /// `memory`: in this process, until it ends.
    ///
    /// Key `session.store`, variable `CAROLINA_SESSION__STORE`.
    pub store: String,
    /// The cookie's name. Default `carolina.sid`.
    ///
    /// Key `session.cookie`, variable `CAROLINA_SESSION__COOKIE`.
    pub cookie: String,
    /// Secrets that encrypt the cookie, the newest first: the first encrypts, all of them decrypt, so that secrets can be rotated. At
    /// least 32 bytes each. Default none: one is made at start, with a warning; sessions then end with the process and are not
    /// known to other nodes.
    ///
    /// Key `session.secret`, variable `CAROLINA_SESSION__SECRET`.
    pub secret: Vec<String>,
    /// The key in a session's data whose value, a text or an integer, names its user. Default `user_id`.
    ///
    /// Key `session.user_key`, variable `CAROLINA_SESSION__USER_KEY`.
    pub user_key: String,
    /// How long a session lives after it was last used by HTTP; an open socket does not prolong it. Default 7 days.
    ///
    /// Key `session.ttl`, variable `CAROLINA_SESSION__TTL`.
    pub ttl: Duration,
    /// How often the session of a connected socket is read again, to notice changes by other programs. Default 60 s.
    ///
    /// Key `session.recheck`, variable `CAROLINA_SESSION__RECHECK`.
    pub recheck: Duration,
    /// Whether the cookie has the attribute `Secure`, so that browsers send it over TLS only. Default `None`: when the request came over TLS.
    ///
    /// Key `session.secure`, variable `CAROLINA_SESSION__SECURE`.
    pub secure: Option<bool>,
    /// The domain whose hosts all get the cookie: `example.com` for `app.example.com` as well. Default none: only the host
    /// that has set it.
    ///
    /// Key `session.domain`, variable `CAROLINA_SESSION__DOMAIN`.
    pub domain: Option<String>,
    /// Below which path of the host browsers send the cookie. Default `/`. Socket.IO's path, as browsers
    /// see it, must be below it.
    ///
    /// Key `session.path`, variable `CAROLINA_SESSION__PATH`.
    pub path: String,
    /// Whether browsers send the cookie with requests that pages of other sites make. Default `lax`.
    ///
    /// Key `session.same_site`, variable `CAROLINA_SESSION__SAME_SITE`.
    pub same_site: SameSite,
    /// Whether a second cookie, whose name has `.marker` added, tells scripts of the page that there is another session or another
    /// user, by a value from which nothing else can be learned. The front-end package needs it to notice a log-in. Default `true`.
    ///
    /// Key `session.marker`, variable `CAROLINA_SESSION__MARKER`.
    pub marker: bool,
}

/// With which requests a browser sends the session cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SameSite {
    /// With those of the site's own pages alone: not even when somebody follows a link to it.
    Strict,
    /// With those of the site's own pages, and when somebody follows a link to it.
    Lax,
    /// With all, those of other sites' pages included, as pages in frames of other sites need. It takes `secure = true`.
    None,
}

/// `[backplane]`: what connects the nodes (rules R16 and R17).
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct BackplaneConfig {
    /// The server that connects the nodes: `redis://…` or `postgres://…`, with the feature of that name. Default none: this process alone.
    ///
    /// Key `backplane.url`, variable `CAROLINA_BACKPLANE__URL`.
    pub url: Option<String>,
    /// What the names of the channels on that server begin with, so that several applications can share it: letters, digits, `_` and `-`.
    /// Default `carolina`.
    ///
    /// Key `backplane.prefix`, variable `CAROLINA_BACKPLANE__PREFIX`.
    pub prefix: String,
}

/// `[admin]`: the official [Admin UI](https://socket.io/docs/v4/admin-ui/) (rule R27). Needs the feature `admin`; `docs/admin.md` tells how to
/// set it up.
///
/// Whoever logs in there sees who is connected and may emit to everybody, disconnect everybody and put everybody into rooms. The
/// namespace is `/admin`, which no channel can have then. Without a password it does not exist.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct AdminConfig {
    /// Who may log in. Default none.
    ///
    /// Key `admin.user`, variable `CAROLINA_ADMIN__USER`.
    pub user: Option<String>,
    /// The hash of the password, by bcrypt (`htpasswd -nbB admin PASSWORD`, without `admin:`) or argon2 (`argon2 SALT -id -e`). Default none:
    /// there is no Admin UI.
    ///
    /// Key `admin.password`, variable `CAROLINA_ADMIN__PASSWORD`.
    pub password: Option<String>,
    /// What the Admin UI is told. Default [`Production`](AdminMode::Production).
    ///
    /// Key `admin.mode`, variable `CAROLINA_ADMIN__MODE`.
    pub mode: AdminMode,
    /// The folder `ui/dist` of the npm package `@socket.io/admin-ui`, if the page is to be served from here. Default none.
    ///
    /// Key `admin.files`, variable `CAROLINA_ADMIN__FILES`.
    pub files: Option<PathBuf>,
    /// Where the page is served, if there are [`files`](Self::files). Default `/admin-ui`.
    ///
    /// Key `admin.page`, variable `CAROLINA_ADMIN__PAGE`.
    pub page: String,
}

/// What the Admin UI is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AdminMode {
    /// How many clients, channels, packets and bytes there are.
    Production,
    /// Each socket, with its address and rooms, and each event that is sent or received, with its arguments. It costs as much as the
    /// events themselves.
    Development,
}

/// `[publish]`: an endpoint by which programs in other languages emit; `docs/publishing.md` has its requests.
///
/// Under `serve()` and [`Sockets::layer`](crate::Sockets::layer) alike, `POST` to its path takes a message, or a list of them, as JSON:
///
/// ```json
/// { "channel": "/news", "rooms": ["sports"], "users": [7], "except": { "sessions": [] },
///   "event": "headline", "arguments": ["it rains"], "idempotency_key": "4711" }
/// ```
///
/// A request is signed with the secret in two headers, `Carolina-Timestamp` (seconds since 1970, at most 5 minutes from the
/// server's clock) and `Carolina-Signature` (`sha256=` and the HMAC-SHA256, in hexadecimal, of the timestamp, a dot and the body).
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct PublishConfig {
    /// Secrets that requests may be signed with, so that they can be rotated. At least 32 bytes each, and none of those of the
    /// session. Default none: the endpoint does not exist.
    ///
    /// Key `publish.secret`, variable `CAROLINA_PUBLISH__SECRET`.
    pub secret: Vec<String>,
    /// Where it is. Default `/_carolina/emit`.
    ///
    /// Key `publish.path`, variable `CAROLINA_PUBLISH__PATH`.
    pub path: String,
    /// The largest body of a request, in bytes. At least 1. Default 1,000,000.
    ///
    /// Key `publish.max_body`, variable `CAROLINA_PUBLISH__MAX_BODY`.
    pub max_body: u64,
}

/// `[presence]`: who is on a channel that is declared with `presence` (rule R20).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PresenceConfig {
    /// How long a client that has lost its connection stays listed, so that one that comes back in that time has neither left nor joined.
    /// A channel's own `presence(linger = "15s")` replaces it. Default 3 s, within which the official client makes its first attempt.
    ///
    /// Key `presence.linger`, variable `CAROLINA_PRESENCE__LINGER`.
    pub linger: Duration,
    /// For how long joins and leaves are collected, to be sent together. Default 50 ms.
    ///
    /// Key `presence.batch`, variable `CAROLINA_PRESENCE__BATCH`.
    pub batch: Duration,
    /// How many bytes one entry may have: its key, and its value as JSON. Every node keeps the entries of all, and every client gets
    /// them. At least 1. Default 4096.
    ///
    /// Key `presence.max_meta`, variable `CAROLINA_PRESENCE__MAX_META`.
    pub max_meta: usize,
}

/// `[resume]`: what is kept for clients that come back (rule R23).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ResumeConfig {
    /// Which channels keep it. Default those declared with `resume`.
    ///
    /// Key `resume.channels`, variable `CAROLINA_RESUME__CHANNELS`.
    pub channels: ResumeChannels,
    /// How long after its connection was lost a client can resume. Default 2 minutes.
    ///
    /// Key `resume.window`, variable `CAROLINA_RESUME__WINDOW`.
    pub window: Duration,
    /// How many events are kept for each channel, of one with parameters for each instance. At least 1. Default 1000.
    ///
    /// Key `resume.events`, variable `CAROLINA_RESUME__EVENTS`.
    pub events: usize,
    /// How many bytes these events may have. At least 1. Default 1,000,000.
    ///
    /// Key `resume.bytes`, variable `CAROLINA_RESUME__BYTES`.
    pub bytes: u64,
}

/// Which channels let clients resume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResumeChannels {
    /// Every channel.
    All,
    /// Those declared with `resume`.
    #[default]
    Declared,
    /// No channel, whatever is declared.
    None,
}

/// `[limits]`: what a client may use (rule R14). All have safe defaults.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest packet, attachments included, in bytes; of a polling client also the largest body of a request. An event that is larger
    /// is answered with `payload_too_large`, and not kept. Each connection may make the server keep as much, so files and the like are
    /// better sent over HTTP, or in pieces. At least 1. Default 1,000,000.
    ///
    /// Key `limits.max_payload`, variable `CAROLINA_LIMITS__MAX_PAYLOAD`.
    pub max_payload: u64,
    /// How many binary attachments one packet may have. An event that has more is answered with `payload_too_large`. Default 10.
    ///
    /// Key `limits.max_attachments`, variable `CAROLINA_LIMITS__MAX_ATTACHMENTS`.
    pub max_attachments: usize,
    /// How many events of one socket on one channel may wait for their turn (rule R6). Those beyond are answered with `overloaded`.
    /// At least 1. Default 256.
    ///
    /// Key `limits.mailbox`, variable `CAROLINA_LIMITS__MAILBOX`.
    pub mailbox: usize,
    /// How many bytes of events of one connection may wait to be handled or be handled. An event that finds no room is answered with
    /// `overloaded`; a single event may be larger when there is no other, up to [`max_payload`](Self::max_payload). At least 1. Default 1,000,000.
    ///
    /// Key `limits.mailbox_bytes`, variable `CAROLINA_LIMITS__MAILBOX_BYTES`.
    pub mailbox_bytes: u64,
    /// How many packets may wait to be sent over one connection. What happens beyond is rule R9. At least 1. Default 1024.
    ///
    /// Key `limits.send_queue`, variable `CAROLINA_LIMITS__SEND_QUEUE`.
    pub send_queue: usize,
    /// How many bytes may wait to be sent over one connection; a single packet may be larger. A client that does not read is not read from
    /// either. At least 1. Default 1,000,000.
    ///
    /// Key `limits.send_buffer`, variable `CAROLINA_LIMITS__SEND_BUFFER`.
    pub send_buffer: u64,
    /// The largest handshake, in bytes: the path and headers of the request, and the `auth` payloads of all channels. At least 1. Default
    /// 16,000.
    ///
    /// Key `limits.header_bytes`, variable `CAROLINA_LIMITS__HEADER_BYTES`.
    pub header_bytes: u64,
    /// How many events per second one connection may send, on all channels together; as many may come at once. Those beyond are
    /// answered with `rate_limited`, and a client that goes on sending is read from more slowly. At least 1. Default 100.
    ///
    /// Key `limits.events_per_second`, variable `CAROLINA_LIMITS__EVENTS_PER_SECOND`.
    pub events_per_second: u32,
    /// How many connections one process accepts. `serve()` accepts twice as many TCP connections and 16 more, as a polling client has two
    /// at a time, but fewer than the files that the process may open. Those beyond get HTTP status 503. At least 1. Default 100,000.
    ///
    /// Key `limits.connections`, variable `CAROLINA_LIMITS__CONNECTIONS`.
    pub connections: usize,
    /// How many connections one process accepts from one address; an IPv6 network of 64 bits counts as one address, and one of 48 bits as
    /// four at most. `serve()` accepts twice as many TCP connections and 16 more of one address, unless it is a trusted proxy's.
    /// An application in another server has no such limit unless it is served with axum's `ConnectInfo`. At least 1. Default 1000.
    ///
    /// Key `limits.connections_per_address`, variable `CAROLINA_LIMITS__CONNECTIONS_PER_ADDRESS`.
    pub connections_per_address: usize,
    /// How many instances of channels with parameters, such as `/orders/42` of `/orders/{id}`, one connection may have open at a time. The
    /// next one is refused with `too_many_channels` (rule R19). At least 1. Default 100.
    ///
    /// Key `limits.channels_per_connection`, variable `CAROLINA_LIMITS__CHANNELS_PER_CONNECTION`.
    pub channels_per_connection: usize,
    /// How long a client may take to send a request's head, the first and any later one on an open connection, and to join a first
    /// channel after it has connected. Default 10 s.
    ///
    /// Key `limits.connect_timeout`, variable `CAROLINA_LIMITS__CONNECT_TIMEOUT`.
    pub connect_timeout: Duration,
    /// How long the body of a polling client's request may take to arrive; then it gets HTTP status 408. Under `serve()` also how long the
    /// body of any other request may be waited for in all, with a second more for each 500 bytes that have come, and how long a client
    /// may not read a response. Default 30 s.
    ///
    /// Key `limits.body_timeout`, variable `CAROLINA_LIMITS__BODY_TIMEOUT`.
    pub body_timeout: Duration,
    /// How long a handler may run, unless its option `timeout` says otherwise; the event is then answered with `timeout` (rule R7).
    /// Default 30 s.
    ///
    /// Key `limits.handler_timeout`, variable `CAROLINA_LIMITS__HANDLER_TIMEOUT`.
    pub handler_timeout: Duration,
    /// How long [`Socket::emit`](crate::Socket::emit) waits for room in the buffer of a client that does not read, before the socket is closed
    /// (rule R9). Default 5 s.
    ///
    /// Key `limits.send_timeout`, variable `CAROLINA_LIMITS__SEND_TIMEOUT`.
    pub send_timeout: Duration,
    /// How long running handlers may take to finish at shutdown; with `drain.over`, those of each client from its turn on. Default 10 s.
    ///
    /// Key `limits.shutdown_timeout`, variable `CAROLINA_LIMITS__SHUTDOWN_TIMEOUT`.
    pub shutdown_timeout: Duration,
}

/// `[transport]`: how clients connect.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TransportConfig {
    /// The path of the URL at which Socket.IO clients connect: their option `path`. Default `/socket.io`.
    ///
    /// Key `transport.path`, variable `CAROLINA_TRANSPORT__PATH`.
    pub path: String,
    /// Whether `{path}/client.js` is the official client's bundle, which defines `io`, for pages without a bundler:
    /// `<script src="/socket.io/client.js"></script>`. Default `false`.
    ///
    /// Key `transport.serve_client`, variable `CAROLINA_TRANSPORT__SERVE_CLIENT`.
    pub serve_client: bool,
    /// How often the server pings each client. Default 25 s.
    ///
    /// Key `transport.ping_interval`, variable `CAROLINA_TRANSPORT__PING_INTERVAL`.
    pub ping_interval: Duration,
    /// How long a client may take to answer a ping, before its connection is closed. Default 20 s.
    ///
    /// Key `transport.ping_timeout`, variable `CAROLINA_TRANSPORT__PING_TIMEOUT`.
    pub ping_timeout: Duration,
    /// The transports by which clients may connect. At least one. Default both.
    ///
    /// Key `transport.transports`, variable `CAROLINA_TRANSPORT__TRANSPORTS`.
    pub transports: Vec<Transport>,
}

/// How a client talks to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// HTTP long polling.
    Polling,
    /// A WebSocket.
    Websocket,
}

impl Config {
    /// Reads the configuration's file and the environment.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] with every mistake at once: each with file and line or the variable's name, the key, what is
    /// wrong with it and what would be right.
    pub fn load() -> Result<Self> {
        Reading::system().into_result()
    }

    /// Reads a configuration from TOML text alone; the environment is not read. `name` stands for the file's name in errors.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn from_toml(text: &str, name: &str) -> Result<Self> {
        read::read(&Source { file: Some((name.to_owned(), text.to_owned())), ..Source::default() }).into_result()
    }

    /// Switches web sockets on or off, whatever is declared (rule R4); see [`use_sockets`](Self#structfield.use_sockets).
    #[must_use]
    pub fn use_sockets(mut self, on: bool) -> Self {
        self.use_sockets = Some(on);
        self
    }

    /// Sets where `serve()` listens: [`bind`](Self#structfield.bind).
    #[must_use]
    pub fn bind(mut self, address: impl Into<String>) -> Self {
        self.bind = address.into();
        self
    }

    /// Adds an origin whose pages may connect, as `https://app.example` (rule R14): [`origins`](Self#structfield.origins).
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// Adds a secret of at least 32 bytes for the session cookie: [`session.secret`](SessionConfig#structfield.secret). The first one encrypts;
    /// those that are added after it decrypt cookies that were made with them.
    #[must_use]
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.session.secret.push(secret.into());
        self
    }

    /// Sets where sessions are kept: [`session.store`](SessionConfig#structfield.store).
    #[must_use]
    pub fn store(mut self, url: impl Into<String>) -> Self {
        self.session.store = url.into();
        self
    }

    /// Sets the server that connects the nodes (rule R16): [`backplane.url`](BackplaneConfig#structfield.url).
    #[must_use]
    pub fn backplane_url(mut self, url: impl Into<String>) -> Self {
        self.backplane.url = Some(url.into());
        self
    }

    /// Mounts a driver, by its name, at a path (rule R2). It replaces an earlier entry for that path.
    #[must_use]
    pub fn channel(mut self, path: impl Into<String>, driver: impl Into<String>) -> Self {
        let entry = ChannelConfig { driver: Some(driver.into()), ..ChannelConfig::default() };
        self.channels.insert(path.into(), entry);
        self
    }

    /// What is wrong with values that were set in code, by the rules for those of a file.
    pub(crate) fn problems(&self) -> Vec<String> {
        let told =
            |fault: check::Fault| format!("{}: {}: {}", fault.place.unwrap_or(Place::Code), fault.key, fault.problem);
        check::faults(self).into_iter().map(told).collect()
    }
}

impl ChannelConfig {
    /// Where the entry was made, for messages: a file and line, a variable, or code.
    pub(crate) fn place(&self) -> impl fmt::Display {
        &self.place
    }
}

impl PartialEq for ChannelConfig {
    /// Wherever they were made.
    fn eq(&self, other: &Self) -> bool {
        (&self.driver, self.private, self.enabled) == (&other.driver, other.private, other.enabled)
    }
}

impl std::str::FromStr for Config {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::from_toml(text, "configuration")
    }
}

impl Default for Config {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            use_sockets: None,
            bind: "127.0.0.1:3000".to_owned(),
            static_dir: None,
            metrics: None,
            contract_page: false,
            origins: Vec::new(),
            hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            channels: BTreeMap::new(),
            session: SessionConfig {
                store: "memory".to_owned(),
                cookie: "carolina.sid".to_owned(),
                secret: Vec::new(),
                user_key: "user_id".to_owned(),
                ttl: seconds(7 * 24 * 60 * 60),
                recheck: seconds(60),
                secure: None,
                domain: None,
                path: "/".to_owned(),
                same_site: SameSite::Lax,
                marker: true,
            },
            backplane: BackplaneConfig { url: None, prefix: "carolina".to_owned() },
            admin: AdminConfig {
                user: None,
                password: None,
                mode: AdminMode::Production,
                files: None,
                page: "/admin-ui".to_owned(),
            },
            otlp: OtlpConfig::default(),
            publish: PublishConfig { secret: Vec::new(), path: "/_carolina/emit".to_owned(), max_body: 1_000_000 },
            health: Some(HealthConfig::default()),
            drain: DrainConfig::default(),
            tls: None,
            presence: PresenceConfig { linger: seconds(3), batch: Duration::from_millis(50), max_meta: 4096 },
            resume: ResumeConfig {
                channels: ResumeChannels::Declared,
                window: seconds(120),
                events: 1000,
                bytes: 1_000_000,
            },
            limits: Limits {
                max_payload: 1_000_000,
                max_attachments: 10,
                mailbox: 256,
                mailbox_bytes: 1_000_000,
                send_queue: 1024,
                send_buffer: 1_000_000,
                header_bytes: 16_000,
                events_per_second: 100,
                connections: 100_000,
                connections_per_address: 1000,
                channels_per_connection: 100,
                connect_timeout: seconds(10),
                body_timeout: seconds(30),
                handler_timeout: seconds(30),
                send_timeout: seconds(5),
                shutdown_timeout: seconds(10),
            },
            transport: TransportConfig {
                path: "/socket.io".to_owned(),
                serve_client: false,
                ping_interval: seconds(25),
                ping_timeout: seconds(20),
                transports: vec![Transport::Polling, Transport::Websocket],
            },
        }
    }
}

impl Default for ChannelConfig {
    fn default() -> Self {
        Self { driver: None, private: None, enabled: true, place: Place::Code }
    }
}
