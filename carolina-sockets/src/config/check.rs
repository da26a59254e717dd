//! Checks values that have the right type but are invalid, whether from a file, a variable or code.

use std::{net::SocketAddr, time::Duration};

use super::{Config, SameSite, SessionConfig, operations, redact::without_password, source::Place};
use crate::path;

/// What is wrong with the value of a key.
pub(super) struct Fault {
    pub(super) key: String,
    /// Where it was set, for keys that record it.
    pub(super) place: Option<Place>,
    pub(super) problem: String,
}

/// An upper bound for durations; beyond it, dates and timers overflow.
pub(super) const MAX_DURATION: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
/// An upper bound for counts; beyond it, queues cannot be allocated.
const MAX_COUNT: usize = 100_000_000;

/// All invalid values of a configuration.
pub(super) fn faults(config: &Config) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut check = |key: &str, problem: Result<(), String>| {
        if let Err(problem) = problem {
            faults.push(Fault { key: key.to_owned(), place: None, problem });
        }
    };
    check("bind", bind(&config.bind));
    check("metrics", config.metrics.as_deref().map_or(Ok(()), bind));
    let static_dir = config.static_dir.as_ref().is_none_or(|path| !path.as_os_str().is_empty());
    check("static_dir", ensure(static_dir, || "names no folder; leave the key out for none".to_owned()));
    config.origins.iter().for_each(|text| check("origins", origin(text)));
    config.hosts.iter().for_each(|text| check("hosts", host(text)));

    let session = &config.session;
    let stores = ["sqlite", "redis", "rediss", "postgres", "postgresql"];
    let store = session.store == "memory" || has_scheme(&session.store, &stores);
    check("session.store", ensure(store, || not(&session.store, "\"memory\", sqlite://…, redis://… or postgres://…")));
    check("session.cookie", cookie(&session.cookie));
    check("session.cookie", prefix(session));
    check("session.domain", session.domain.as_deref().map_or(Ok(()), domain));
    check("session.path", cookie_path(&session.path));
    let crosses = session.same_site == SameSite::None && session.secure != Some(true);
    check(
        "session.same_site",
        ensure(!crosses, || {
            "browsers take a cookie with `SameSite=None` by TLS alone: write `secure = true` in [session] as well"
                .to_owned()
        }),
    );
    for (index, text) in session.secret.iter().enumerate() {
        check("session.secret", secret(index + 1, text));
    }
    let user_key = !session.user_key.is_empty();
    check("session.user_key", ensure(user_key, || "names no key of a session's data, such as \"user_id\"".to_owned()));

    if let Some(url) = &config.backplane.url {
        let known = has_scheme(url, &["redis", "rediss", "postgres", "postgresql"]);
        check("backplane.url", ensure(known, || not(url, "redis://… or postgres://…")));
    }
    let prefix = &config.backplane.prefix;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let named = !prefix.is_empty() && prefix.bytes().all(plain);
    check("backplane.prefix", ensure(named, || not(prefix, "made of letters, digits, `_` and `-`")));

    let admin = &config.admin;
    let alone = |is_alone: bool, other: &str| {
        ensure(!is_alone, || format!("nobody can log in without `{other}`: write it as well, or leave out both"))
    };
    let has_user = admin.user.as_ref().is_some_and(|user| !user.is_empty());
    check("admin.user", alone(admin.user.is_some() && admin.password.is_none(), "password"));
    check("admin.password", alone(admin.password.is_some() && !has_user, "user"));
    check("admin.password", admin.password.as_deref().map_or(Ok(()), password_hash));
    check("admin.page", path::check(&admin.page));
    let taken = || "the page would be in the place of everything; write a path such as \"/admin-ui\"".to_owned();
    check("admin.page", ensure(admin.page != "/", taken));

    let publish = &config.publish;
    for (index, text) in publish.secret.iter().enumerate() {
        check("publish.secret", secret(index + 1, text));
    }
    let shared = publish.secret.iter().any(|secret| session.secret.contains(secret));
    let forge = "is also session.secret, with which its holders could make session cookies; make another one with \
                 `openssl rand -base64 48`";
    check("publish.secret", ensure(!shared, || forge.to_owned()));
    check("publish.path", path::check(&publish.path));
    let (transport, path) = (config.transport.path.trim_end_matches('/'), publish.path.as_str());
    let below = path.strip_prefix(transport).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let taken = || format!("`{path}` is taken by Socket.IO (transport.path): write a path that is not below it");
    check("publish.path", ensure(publish.secret.is_empty() || !below, taken));
    operations::check(config, &mut check);

    let limits = &config.limits;
    for (key, value) in [
        ("publish.max_body", config.publish.max_body),
        ("resume.bytes", config.resume.bytes),
        ("limits.max_payload", limits.max_payload),
        ("limits.mailbox_bytes", limits.mailbox_bytes),
        ("limits.send_buffer", limits.send_buffer),
        ("limits.header_bytes", limits.header_bytes),
    ] {
        check(key, ensure(value > 0, zero_limit));
    }
    check("limits.events_per_second", ensure(limits.events_per_second > 0, zero_limit));
    for (key, value, least) in [
        ("limits.max_attachments", limits.max_attachments, 0),
        ("presence.max_meta", config.presence.max_meta, 1),
        ("resume.events", config.resume.events, 1),
        ("limits.mailbox", limits.mailbox, 1),
        ("limits.send_queue", limits.send_queue, 1),
        ("limits.connections", limits.connections, 1),
        ("limits.connections_per_address", limits.connections_per_address, 1),
        ("limits.channels_per_connection", limits.channels_per_connection, 1),
    ] {
        check(key, ensure(value >= least, zero_limit));
        check(
            key,
            ensure(value <= MAX_COUNT, || format!("{value} is more than {MAX_COUNT}, the largest that makes sense")),
        );
    }
    for (key, value) in [
        ("session.ttl", session.ttl),
        ("session.recheck", session.recheck),
        ("presence.linger", config.presence.linger),
        ("presence.batch", config.presence.batch),
        ("resume.window", config.resume.window),
        ("limits.connect_timeout", limits.connect_timeout),
        ("limits.body_timeout", limits.body_timeout),
        ("limits.handler_timeout", limits.handler_timeout),
        ("limits.send_timeout", limits.send_timeout),
        ("limits.shutdown_timeout", limits.shutdown_timeout),
        ("transport.ping_interval", config.transport.ping_interval),
        ("transport.ping_timeout", config.transport.ping_timeout),
    ] {
        check(
            key,
            ensure(!value.is_zero(), || "0 is no time to do anything; write a duration such as \"10s\"".to_owned()),
        );
        check(
            key,
            ensure(value <= MAX_DURATION, || "is longer than a hundred years; write at most \"36500d\"".to_owned()),
        );
    }
    check("transport.path", path::check(&config.transport.path));
    let connects = !config.transport.transports.is_empty();
    let nobody = "without a transport nobody can connect; write [\"polling\", \"websocket\"]";
    check("transport.transports", ensure(connects, || nobody.to_owned()));

    for (path, entry) in &config.channels {
        if let Err(problem) = path::check_channel(path) {
            let key = format!("channels.{path:?}");
            faults.push(Fault { key, place: Some(entry.place.clone()), problem });
        }
    }
    faults
}

pub(super) fn ensure(sound: bool, problem: impl FnOnce() -> String) -> Result<(), String> {
    if sound { Ok(()) } else { Err(problem()) }
}

fn not(text: &str, expected: &str) -> String {
    format!("`{}` is not {expected}", without_password(text))
}

fn zero_limit() -> String {
    "0 would let nothing through; write at least 1".to_owned()
}

fn bind(text: &str) -> Result<(), String> {
    if text.parse::<SocketAddr>().is_ok() {
        return Ok(());
    }
    let problem = |help: String| Err(format!("`{text}` is not an address and port such as \"127.0.0.1:3000\"{help}"));
    if text.parse::<std::net::IpAddr>().is_ok() {
        let address = if text.contains(':') { format!("[{text}]") } else { text.to_owned() };
        return problem(format!("; the port is missing: write \"{address}:3000\""));
    }
    match text.rsplit_once(':') {
        _ if text.contains('/') => problem("; leave out the scheme and the path".to_owned()),
        Some(("", port)) => problem(format!("; for all addresses write \"0.0.0.0:{port}\" or \"[::]:{port}\"")),
        Some((_, port)) if port.parse::<u16>().is_err() => problem("; a port is a number up to 65535".to_owned()),
        Some((host, _)) if host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) => Ok(()),
        _ => problem(String::new()),
    }
}

fn origin(text: &str) -> Result<(), String> {
    if text == "*" {
        let reason =
            "`*` would let every site act with your users' cookies; name the origins, as \"https://app.example\"";
        return Err(reason.to_owned());
    }
    let problem = |help: String| Err(format!("`{text}` is not an origin such as \"https://app.example\"{help}"));
    let Ok(uri) = text.parse::<http::Uri>() else { return problem(String::new()) };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return problem("; it begins with a scheme and `://`".to_owned());
    };
    if text.contains(['@', '*']) {
        return problem(", with the one host it means and nothing before it".to_owned());
    }
    let after_host = authority.as_str().rsplit(']').next().unwrap_or_default();
    if after_host.contains(':') && authority.port_u16().is_none() {
        return problem("; a port is a number up to 65535".to_owned());
    }
    // A browser sends no path, not even `/`, so such an origin would never match.
    if text.len() == scheme.len() + "://".len() + authority.as_str().len() {
        Ok(())
    } else {
        problem(format!(", without a path: write \"{scheme}://{authority}\""))
    }
}

fn host(text: &str) -> Result<(), String> {
    let problem = |help: String| Err(format!("`{text}` is not a host such as \"app.example\"{help}"));
    if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return problem(format!(": write \"[{text}]\""));
    }
    if let Some((_, rest)) = text.split_once("://") {
        let authority = rest.split('/').next().unwrap_or_default();
        return problem(format!(", without a scheme: write \"{authority}\""));
    }
    let Ok(authority) = text.parse::<http::uri::Authority>() else { return problem(String::new()) };
    if text.contains(['@', '*']) {
        return problem(", with the one host it means and nothing before it".to_owned());
    }
    let after_host = text.rsplit(']').next().unwrap_or_default();
    if after_host.contains(':') && authority.port_u16().is_none() {
        return problem("; a port is a number up to 65535".to_owned());
    }
    Ok(())
}

fn cookie(name: &str) -> Result<(), String> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    ensure(!name.is_empty() && name.bytes().all(token), || {
        format!("`{name}` is not a cookie's name such as \"carolina.sid\": no spaces, `=`, `;` or `,`")
    })
}

/// What browsers ask of a cookie with a name that begins with `__Host-` or `__Secure-`; they drop one that has less.
fn prefix(session: &SessionConfig) -> Result<(), String> {
    let begins =
        |prefix: &str| session.cookie.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let host = begins("__Host-");
    let mut wanted = Vec::new();
    if (host || begins("__Secure-")) && session.secure != Some(true) {
        wanted.push("write `secure = true`");
    }
    if host && session.path != "/" {
        wanted.push("leave out `path`");
    }
    if host && session.domain.is_some() {
        wanted.push("leave out `domain`");
    }
    ensure(wanted.is_empty(), || {
        format!(
            "browsers drop a cookie named `{}` as it is set here: {} in [session]",
            session.cookie,
            wanted.join(" and ")
        )
    })
}

fn domain(text: &str) -> Result<(), String> {
    let label = |label: &str| {
        let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        plain && !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-')
    };
    // Browsers ignore a dot in front, and take no address.
    let name = text.strip_prefix('.').unwrap_or(text);
    let address = name.parse::<std::net::IpAddr>().is_ok();
    ensure(!address && name.len() <= 253 && name.split('.').all(label), || {
        format!(
            "`{text}` is not a domain such as \"example.com\"; leave the key out for the one host that sets the cookie"
        )
    })
}

fn cookie_path(path: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b';' && byte != b',';
    ensure(path.starts_with('/') && path.bytes().all(plain), || not(path, "a path such as \"/\""))
}

/// The bytes of a secret, at least.
pub(crate) const SHORTEST_SECRET: usize = 32;

fn secret(number: usize, text: &str) -> Result<(), String> {
    ensure(text.len() >= SHORTEST_SECRET, || {
        format!(
            "secret number {number} has {} bytes and needs at least {SHORTEST_SECRET}; make one with `openssl rand -base64 48`",
            text.len()
        )
    })
}

/// A hash by bcrypt or argon2, as it is usually written.
fn password_hash(text: &str) -> Result<(), String> {
    let is_bcrypt = ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| text.starts_with(prefix)) && text.len() == 60;
    let is_argon2 = text.starts_with("$argon2") && text.split('$').count() >= 5;
    // The text itself is not shown: it may be the password.
    ensure(is_bcrypt || is_argon2, || {
        "is not a hash by bcrypt or argon2; make one with `htpasswd -nbB admin PASSWORD`, and leave out `admin:`"
            .to_owned()
    })
}

fn has_scheme(url: &str, known: &[&str]) -> bool {
    url.split_once("://").is_some_and(|(scheme, rest)| known.contains(&scheme) && !rest.is_empty())
}
