//! The table of settings: each key with its reader; and suggestions for mistyped keys.

use super::{Config, HealthConfig, TlsConfig, source::PREFIX, value::Value};
use crate::suggest::{did_you_mean, nearest};

type Set = fn(&mut Config, &Value<'_>) -> Result<(), String>;

/// Every key but those below `channels`.
pub(super) const KEYS: [(&str, Set); 67] = [
    ("use_sockets", |c, v| v.boolean().map(|value| c.use_sockets = Some(value))),
    ("bind", |c, v| v.text().map(|value| c.bind = value)),
    ("static_dir", |c, v| v.text().map(|value| c.static_dir = Some(value.into()))),
    ("metrics", |c, v| v.text().map(|value| c.metrics = Some(value))),
    ("contract_page", |c, v| v.boolean().map(|value| c.contract_page = value)),
    ("origins", |c, v| v.list().map(|value| c.origins = value)),
    ("hosts", |c, v| v.list().map(|value| c.hosts = value)),
    ("trusted_proxies", |c, v| v.networks().map(|value| c.trusted_proxies = value)),
    ("session.store", |c, v| v.text().map(|value| c.session.store = value)),
    ("session.cookie", |c, v| v.text().map(|value| c.session.cookie = value)),
    ("session.secret", |c, v| v.secrets().map(|value| c.session.secret = value)),
    ("session.user_key", |c, v| v.text().map(|value| c.session.user_key = value)),
    ("session.ttl", |c, v| v.duration().map(|value| c.session.ttl = value)),
    ("session.recheck", |c, v| v.duration().map(|value| c.session.recheck = value)),
    ("session.secure", |c, v| v.boolean().map(|value| c.session.secure = Some(value))),
    ("session.domain", |c, v| v.text().map(|value| c.session.domain = Some(value))),
    ("session.path", |c, v| v.text().map(|value| c.session.path = value)),
    ("session.same_site", |c, v| v.same_site().map(|value| c.session.same_site = value)),
    ("session.marker", |c, v| v.boolean().map(|value| c.session.marker = value)),
    ("backplane.url", |c, v| v.text().map(|value| c.backplane.url = Some(value))),
    ("backplane.prefix", |c, v| v.text().map(|value| c.backplane.prefix = value)),
    ("admin.user", |c, v| v.text().map(|value| c.admin.user = Some(value))),
    ("admin.password", |c, v| v.text().map(|value| c.admin.password = Some(value))),
    ("admin.mode", |c, v| v.admin_mode().map(|value| c.admin.mode = value)),
    ("admin.files", |c, v| v.text().map(|value| c.admin.files = Some(value.into()))),
    ("admin.page", |c, v| v.text().map(|value| c.admin.page = value)),
    ("otlp.endpoint", |c, v| v.text().map(|value| c.otlp.endpoint = Some(value))),
    ("otlp.service", |c, v| v.text().map(|value| c.otlp.service = Some(value))),
    ("publish.secret", |c, v| v.secrets().map(|value| c.publish.secret = value)),
    ("publish.path", |c, v| v.text().map(|value| c.publish.path = value)),
    ("publish.max_body", |c, v| v.size().map(|value| c.publish.max_body = value)),
    ("health.live", |c, v| v.text().map(|value| health(c).live = value)),
    ("health.ready", |c, v| v.text().map(|value| health(c).ready = value)),
    ("health.requires", |c, v| v.requirements().map(|value| health(c).requires = value)),
    ("drain.delay", |c, v| v.duration().map(|value| c.drain.delay = value)),
    ("drain.over", |c, v| v.duration().map(|value| c.drain.over = value)),
    ("tls.cert", |c, v| v.text().map(|value| tls(c).cert = value.into())),
    ("tls.key", |c, v| v.text().map(|value| tls(c).key = value.into())),
    ("tls.hsts", |c, v| v.duration().map(|value| tls(c).hsts = Some(value))),
    ("presence.linger", |c, v| v.duration().map(|value| c.presence.linger = value)),
    ("presence.batch", |c, v| v.duration().map(|value| c.presence.batch = value)),
    ("presence.max_meta", |c, v| v.number().map(|value| c.presence.max_meta = value)),
    ("resume.channels", |c, v| v.resume_channels().map(|value| c.resume.channels = value)),
    ("resume.window", |c, v| v.duration().map(|value| c.resume.window = value)),
    ("resume.events", |c, v| v.number().map(|value| c.resume.events = value)),
    ("resume.bytes", |c, v| v.size().map(|value| c.resume.bytes = value)),
    ("limits.max_payload", |c, v| v.size().map(|value| c.limits.max_payload = value)),
    ("limits.max_attachments", |c, v| v.number().map(|value| c.limits.max_attachments = value)),
    ("limits.mailbox", |c, v| v.number().map(|value| c.limits.mailbox = value)),
    ("limits.mailbox_bytes", |c, v| v.size().map(|value| c.limits.mailbox_bytes = value)),
    ("limits.send_queue", |c, v| v.number().map(|value| c.limits.send_queue = value)),
    ("limits.send_buffer", |c, v| v.size().map(|value| c.limits.send_buffer = value)),
    ("limits.header_bytes", |c, v| v.size().map(|value| c.limits.header_bytes = value)),
    ("limits.events_per_second", |c, v| v.number().map(|value| c.limits.events_per_second = value)),
    ("limits.connections", |c, v| v.number().map(|value| c.limits.connections = value)),
    ("limits.connections_per_address", |c, v| v.number().map(|value| c.limits.connections_per_address = value)),
    ("limits.channels_per_connection", |c, v| v.number().map(|value| c.limits.channels_per_connection = value)),
    ("limits.connect_timeout", |c, v| v.duration().map(|value| c.limits.connect_timeout = value)),
    ("limits.body_timeout", |c, v| v.duration().map(|value| c.limits.body_timeout = value)),
    ("limits.handler_timeout", |c, v| v.duration().map(|value| c.limits.handler_timeout = value)),
    ("limits.send_timeout", |c, v| v.duration().map(|value| c.limits.send_timeout = value)),
    ("limits.shutdown_timeout", |c, v| v.duration().map(|value| c.limits.shutdown_timeout = value)),
    ("transport.path", |c, v| v.text().map(|value| c.transport.path = value)),
    ("transport.ping_interval", |c, v| v.duration().map(|value| c.transport.ping_interval = value)),
    ("transport.ping_timeout", |c, v| v.duration().map(|value| c.transport.ping_timeout = value)),
    ("transport.serve_client", |c, v| v.boolean().map(|value| c.transport.serve_client = value)),
    ("transport.transports", |c, v| v.transports().map(|value| c.transport.transports = value)),
];

/// Sections that are also switched on and off, by their names.
pub(super) const SWITCHES: [(&str, Set); 1] =
    [("health", |c, v| v.boolean().map(|on| c.health = on.then(|| c.health.take().unwrap_or_default())))];

fn health(config: &mut Config) -> &mut HealthConfig {
    config.health.get_or_insert_default()
}

fn tls(config: &mut Config) -> &mut TlsConfig {
    config.tls.get_or_insert_default()
}

/// The sections, except `channels`, whose keys are the application's paths.
pub(super) const SECTIONS: [&str; 12] = [
    "session",
    "backplane",
    "admin",
    "otlp",
    "publish",
    "presence",
    "resume",
    "health",
    "drain",
    "tls",
    "limits",
    "transport",
];

/// The section that maps paths to drivers.
pub(super) const CHANNELS: &str = "channels";

/// The keys of one entry of `[channels]`.
pub(super) const CHANNEL_KEYS: [&str; 3] = ["driver", "private", "enabled"];

/// A suggestion for an unknown key of the file, to be appended to a message: the same key in another section, a similar
/// key in this section, a similar key in another.
pub(super) fn suggest(key: &str) -> String {
    let (section, name) = split(key);
    let near = did_you_mean(name, siblings(section));
    match (known_as(name), near.is_empty()) {
        (Some(elsewhere), near) if near || split(elsewhere).1 == name => match split(elsewhere) {
            ("", name) => format!("; `{name}` belongs at the top of the file, before the first [section]"),
            (section, name) => format!("; `{name}` belongs in [{section}]"),
        },
        _ => near,
    }
}

/// The same for a variable; with the whole name if the section differs.
pub(super) fn suggest_for_variable(variable: &str, key: &str) -> String {
    let (section, name) = split(key);
    let siblings = did_you_mean(name, siblings(section));
    if !siblings.is_empty() && (!section.is_empty() || SECTIONS.contains(&name)) {
        return siblings;
    }
    // Without the prefix, which would make every name look near.
    let known: Vec<String> = KEYS.iter().map(|(key, _)| variable_of(key)).chain([variable_of(CHANNELS)]).collect();
    let bare = |name: &str| name.strip_prefix(PREFIX).map(str::to_owned).unwrap_or_default();
    let bare_known: Vec<String> = known.iter().map(|name| bare(name)).collect();
    let near = nearest(&bare(variable), bare_known.iter().map(String::as_str));
    near.map(|near| format!("; did you mean `{PREFIX}{near}`?")).unwrap_or_default()
}

/// The variable that sets a key: `CAROLINA_LIMITS__MAILBOX` for `limits.mailbox`.
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

fn split(key: &str) -> (&str, &str) {
    key.split_once('.').unwrap_or(("", key))
}

/// The keys of a section; at the top level also the sections.
fn siblings(section: &str) -> impl Iterator<Item = &'static str> {
    let keys = KEYS.iter().filter(move |(key, _)| split(key).0 == section).map(|(key, _)| split(key).1);
    let sections = SECTIONS.into_iter().chain([CHANNELS]);
    keys.chain(sections.filter(move |_| section.is_empty()))
}

/// The full key for a name that is known in another section.
fn known_as(name: &str) -> Option<&'static str> {
    let near = nearest(name, KEYS.iter().map(|(key, _)| split(key).1))?;
    KEYS.iter().map(|(key, _)| *key).find(|key| split(key).1 == near)
}
