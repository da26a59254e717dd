//! The table of settings: each key with how it is read and checked. Unknown keys, wrong types and bad values are
//! collected, so that all of them are told at once (rule R2).

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    ChannelConfig, Config,
    source::{PREFIX, Source, line},
    value::Value,
    without_password,
};
use crate::{
    error::{Error, Result},
    nearest::did_you_mean,
};

type Set = fn(&mut Config, &Value<'_>) -> std::result::Result<(), String>;

/// Every key but those below `channels`.
const KEYS: [(&str, Set); 32] = [
    ("use_sockets", |c, v| v.boolean().map(|value| c.use_sockets = Some(value))),
    ("bind", |c, v| v.text().map(|value| c.bind = value)),
    ("static_dir", |c, v| v.text().map(|value| c.static_dir = Some(value.into()))),
    ("origins", |c, v| v.list().map(|value| c.origins = value)),
    ("trusted_proxies", |c, v| v.networks().map(|value| c.trusted_proxies = value)),
    ("session.store", |c, v| v.text().map(|value| c.session.store = value)),
    ("session.cookie", |c, v| v.text().map(|value| c.session.cookie = value)),
    ("session.secret", |c, v| v.one_or_list().map(|value| c.session.secret = value)),
    ("session.user_key", |c, v| v.text().map(|value| c.session.user_key = value)),
    ("session.ttl", |c, v| v.duration().map(|value| c.session.ttl = value)),
    ("session.recheck", |c, v| v.duration().map(|value| c.session.recheck = value)),
    ("session.secure", |c, v| v.boolean().map(|value| c.session.secure = Some(value))),
    ("backplane.url", |c, v| v.text().map(|value| c.backplane.url = Some(value))),
    ("backplane.prefix", |c, v| v.text().map(|value| c.backplane.prefix = value)),
    ("limits.max_payload", |c, v| v.size().map(|value| c.limits.max_payload = value)),
    ("limits.max_attachments", |c, v| v.number().map(|value| c.limits.max_attachments = value)),
    ("limits.mailbox", |c, v| v.positive().map(|value| c.limits.mailbox = value)),
    ("limits.send_buffer", |c, v| v.positive().map(|value| c.limits.send_buffer = value)),
    ("limits.events_per_second", |c, v| v.positive().map(|value| c.limits.events_per_second = value)),
    ("limits.connections", |c, v| v.positive().map(|value| c.limits.connections = value)),
    ("limits.connections_per_address", |c, v| v.positive().map(|value| c.limits.connections_per_address = value)),
    ("limits.connect_timeout", |c, v| v.duration().map(|value| c.limits.connect_timeout = value)),
    ("limits.handler_timeout", |c, v| v.duration().map(|value| c.limits.handler_timeout = value)),
    ("limits.send_timeout", |c, v| v.duration().map(|value| c.limits.send_timeout = value)),
    ("limits.shutdown_timeout", |c, v| v.duration().map(|value| c.limits.shutdown_timeout = value)),
    ("transport.path", |c, v| v.text().map(|value| c.transport.path = value)),
    ("transport.ping_interval", |c, v| v.duration().map(|value| c.transport.ping_interval = value)),
    ("transport.ping_timeout", |c, v| v.duration().map(|value| c.transport.ping_timeout = value)),
    ("transport.transports", |c, v| v.transports().map(|value| c.transport.transports = value)),
    // The sections themselves, so that a value in their place is told apart from an unknown key.
    ("session", |_, _| Err("is a section: write [session] and its keys below".to_owned())),
    ("backplane", |_, _| Err("is a section: write [backplane] and its keys below".to_owned())),
    ("limits", |_, _| Err("is a section: write [limits] and its keys below".to_owned())),
];

const SECTIONS: [&str; 4] = ["session", "backplane", "limits", "transport"];
const CHANNEL_KEYS: [&str; 3] = ["driver", "private", "enabled"];

/// Where each key was set, for messages about its value.
struct Reading {
    config: Config,
    origins: Vec<(&'static str, String)>,
    problems: Vec<String>,
}

/// Reads a configuration; or tells every mistake in it.
pub(super) fn read(source: &Source) -> Result<Config> {
    let mut reading = Reading { config: Config::default(), origins: Vec::new(), problems: Vec::new() };
    if let Some((name, text)) = &source.file {
        reading.file(name, text);
    }
    for (name, value) in &source.variables {
        reading.variable(name, value);
    }
    let Reading { config, origins, mut problems } = reading;
    for (key, problem) in faults(&config) {
        let origin = origins.iter().rev().find(|(set, _)| *set == key);
        problems.push(match origin {
            Some((_, origin)) => format!("{origin}: {key}: {problem}"),
            None => format!("{key}: {problem}"),
        });
    }
    match problems.is_empty() {
        true => Ok(config),
        false => Err(Error::Config(problems)),
    }
}

/// What is wrong with the values of a configuration made in code.
pub(super) fn check(config: &Config) -> Vec<String> {
    faults(config).into_iter().map(|(key, problem)| format!("the configuration: {key}: {problem}")).collect()
}

impl Reading {
    fn file(&mut self, name: &str, text: &str) {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let at = error.span().map_or(1, |span| line(text, span.start));
            self.problems.push(format!("{name}:{at}: {}", error.message()));
        }
        for (key, value) in table.get_ref() {
            let place = |value: &Spanned<DeValue<'_>>| format!("{name}:{}", line(text, value.span().start));
            let section = key.get_ref().as_ref();
            match (section, value.get_ref()) {
                ("channels", DeValue::Table(channels)) => {
                    for (path, entry) in channels {
                        let origin = format!("{name}:{}", line(text, path.span().start));
                        self.channel(path.get_ref(), entry.get_ref(), origin);
                    }
                }
                (_, DeValue::Table(entries)) if SECTIONS.contains(&section) => {
                    for (key, value) in entries {
                        let full = format!("{section}.{}", key.get_ref());
                        self.set(&full, &Value::Toml(value.get_ref()), place(value));
                    }
                }
                ("channels", _) => {
                    self.problems.push(format!(
                        "{}: channels: is a section: write [channels] and one line per path",
                        place(value)
                    ));
                }
                _ => self.set(section, &Value::Toml(value.get_ref()), place(value)),
            }
        }
    }

    /// `CAROLINA_LIMITS__MAILBOX` is `limits.mailbox`.
    fn variable(&mut self, name: &str, value: &str) {
        let key = name.strip_prefix(PREFIX).unwrap_or(name).to_lowercase().replace("__", ".");
        if key == "channels" {
            return self.channels_variable(name, value);
        }
        self.set(&key, &Value::Text(value), name.to_owned());
    }

    /// Channels in a variable are an inline table: `{ "/other" = { driver = "MyCustomChannel" } }`.
    fn channels_variable(&mut self, name: &str, value: &str) {
        match DeValue::parse(value).map(Spanned::into_inner) {
            Ok(DeValue::Table(channels)) => {
                for (path, entry) in &channels {
                    self.channel(path.get_ref(), entry.get_ref(), name.to_owned());
                }
            }
            _ => self
                .problems
                .push(format!("{name}: is not a table such as {{ \"/other\" = {{ driver = \"MyCustomChannel\" }} }}")),
        }
    }

    fn set(&mut self, key: &str, value: &Value<'_>, origin: String) {
        let Some((key, set)) = KEYS.iter().find(|(known, _)| *known == key) else {
            // A nearest name within the section first, for that is where the eye is.
            let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
            let prefix = if section.is_empty() { String::new() } else { format!("{section}.") };
            let siblings = KEYS.iter().filter_map(|(known, _)| known.strip_prefix(prefix.as_str()));
            let near = did_you_mean(
                name,
                siblings
                    .filter(|known| !known.contains('.'))
                    .chain(section.is_empty().then_some("transport"))
                    .chain(section.is_empty().then_some("channels")),
            );
            self.problems.push(format!("{origin}: {key}: unknown key{near}"));
            return;
        };
        match set(&mut self.config, value) {
            Ok(()) => self.origins.push((key, origin)),
            Err(problem) => self.problems.push(format!("{origin}: {key}: {problem}")),
        }
    }

    fn channel(&mut self, path: &str, entry: &DeValue<'_>, origin: String) {
        let key = format!("channels.\"{path}\"");
        if !path.starts_with('/') {
            self.problems.push(format!("{origin}: {key}: a channel's path begins with `/`"));
        }
        let DeValue::Table(entries) = entry else {
            self.problems.push(format!("{origin}: {key}: is not a table such as {{ driver = \"MyCustomChannel\" }}"));
            return;
        };
        let mut channel = ChannelConfig { origin: origin.clone(), ..ChannelConfig::default() };
        for (name, value) in entries {
            let value = Value::Toml(value.get_ref());
            let set = match name.get_ref().as_ref() {
                "driver" => value.text().map(|value| channel.driver = Some(value)),
                "private" => value.boolean().map(|value| channel.private = Some(value)),
                "enabled" => value.boolean().map(|value| channel.enabled = value),
                unknown => Err(format!("unknown key{}", did_you_mean(unknown, CHANNEL_KEYS))),
            };
            if let Err(problem) = set {
                self.problems.push(format!("{origin}: {key}.{}: {problem}", name.get_ref()));
            }
        }
        self.config.channels.insert(path.to_owned(), channel);
    }
}

/// Values that are of the right type and still make no sense.
fn faults(config: &Config) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    if !is_address(&config.bind) {
        faults.push(("bind", format!("`{}` is not an address and port such as \"127.0.0.1:3000\"", config.bind)));
    }
    for origin in &config.origins {
        if origin == "*" {
            let reason =
                "`*` would let every site act with your users' cookies; name the origins, as \"https://app.example\"";
            faults.push(("origins", reason.to_owned()));
        } else if !is_origin(origin) {
            faults.push((
                "origins",
                format!("`{origin}` is not an origin such as \"https://app.example\", without a path"),
            ));
        }
    }
    if !config.transport.path.starts_with('/') || config.transport.path.contains(['?', '#', ' ']) {
        faults.push(("transport.path", format!("`{}` is not a path such as \"/socket.io\"", config.transport.path)));
    }
    let cookie = &config.session.cookie;
    if cookie.is_empty()
        || !cookie.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    {
        faults.push(("session.cookie", format!("`{cookie}` is not a cookie's name such as \"carolina.sid\"")));
    }
    for (number, secret) in config.session.secret.iter().enumerate() {
        if secret.len() < 32 {
            let message = format!(
                "secret number {} has {} bytes and needs at least 32; make one with `openssl rand -base64 48`",
                number + 1,
                secret.len()
            );
            faults.push(("session.secret", message));
        }
    }
    if !scheme_is(&config.session.store, &["sqlite", "redis", "rediss", "postgres", "postgresql"])
        && config.session.store != "memory"
    {
        let shown = without_password(&config.session.store);
        faults.push(("session.store", format!("`{shown}` is not \"memory\", sqlite://…, redis://… or postgres://…")));
    }
    if let Some(url) = config.backplane.url.as_deref()
        && !scheme_is(url, &["redis", "rediss", "postgres", "postgresql"])
    {
        faults.push(("backplane.url", format!("`{}` is not redis://… or postgres://…", without_password(url))));
    }
    let prefix = &config.backplane.prefix;
    if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-') {
        faults.push(("backplane.prefix", format!("`{prefix}` is not made of letters, digits, `_` and `-`")));
    }
    faults
}

fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

fn is_origin(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    !scheme.is_empty() && !rest.is_empty() && !rest.contains(['/', '?', '#', '@', ' ', '*'])
}

fn scheme_is(url: &str, known: &[&str]) -> bool {
    url.split_once("://").is_some_and(|(scheme, rest)| known.contains(&scheme) && !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Transport;

    fn from(text: &str, variables: &[(&str, &str)]) -> std::result::Result<Config, Vec<String>> {
        let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let source = Source { file: Some(("web.toml".to_owned(), text.to_owned())), variables: owned.collect() };
        read(&source).map_err(|error| match error {
            Error::Config(problems) => problems,
            other => vec![other.to_string()],
        })
    }

    #[test]
    fn every_key_of_a_full_file_is_read() {
        let config = from(
            r#"
use_sockets = true
bind = "0.0.0.0:80"
static_dir = "public"
origins = ["https://app.example"]
trusted_proxies = ["10.0.0.0/8", "127.0.0.1"]
[channels]
"/" = { driver = "MainChannel" }
"/other" = { driver = "MyCustomChannel", private = true }
"/gone" = { enabled = false }
[session]
store = "sqlite://sessions.db"
cookie = "sid"
secret = ["0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"]
user_key = "uid"
ttl = "7d"
recheck = "5s"
secure = true
[backplane]
url = "redis://127.0.0.1:6379"
prefix = "mine"
[limits]
max_payload = "1MB"
mailbox = 64
events_per_second = 10
connect_timeout = "3s"
[transport]
path = "/live"
transports = ["websocket"]
"#,
            &[],
        )
        .unwrap();
        assert_eq!(config.bind, "0.0.0.0:80");
        assert_eq!(config.trusted_proxies.len(), 2);
        assert_eq!(config.channels["/other"].private, Some(true));
        assert!(!config.channels["/gone"].enabled);
        assert_eq!(config.channels["/other"].origin, "web.toml:9");
        assert_eq!(config.session.secret.len(), 2);
        assert_eq!(config.limits.max_payload, 1_000_000);
        assert_eq!(config.limits.mailbox, 64);
        assert_eq!(config.session.ttl, Duration::from_secs(604_800));
        assert_eq!(config.transport.transports, [Transport::Websocket]);
    }

    #[test]
    fn variables_win_over_the_file() {
        let variables = [
            ("CAROLINA_BIND", "127.0.0.1:81"),
            ("CAROLINA_LIMITS__MAILBOX", "7"),
            ("CAROLINA_ORIGINS", "https://a.example, https://b.example"),
            ("CAROLINA_LIMITS__MAX_PAYLOAD", "2kB"),
            ("CAROLINA_CHANNELS", r#"{ "/x" = { driver = "X" } }"#),
            ("CAROLINA_USE_SOCKETS", "false"),
        ];
        let config = from("bind = \"127.0.0.1:80\"\n[limits]\nmailbox = 5", &variables).unwrap();
        assert_eq!(config.bind, "127.0.0.1:81");
        assert_eq!(config.limits.mailbox, 7);
        assert_eq!(config.origins.len(), 2);
        assert_eq!(config.limits.max_payload, 2000);
        assert_eq!(config.channels["/x"].driver.as_deref(), Some("X"));
        assert_eq!(config.use_sockets, Some(false));
    }

    #[test]
    fn mistakes_name_place_key_and_what_would_be_right() {
        for (text, expected) in [
            ("[limits]\nmailbx = 5", "web.toml:2: limits.mailbx: unknown key; did you mean `mailbox`?"),
            ("bnd = \"x\"", "web.toml:1: bnd: unknown key; did you mean `bind`?"),
            ("[limits]\nmailbox = 0", "web.toml:2: limits.mailbox: 0 would let nothing through"),
            ("[limits]\nmailbox = -1", "is not a whole number"),
            ("[limits]\nmailbox = \"many\"", "`many` is not a whole number"),
            ("[limits]\nsend_timeout = 5", "is not a duration such as"),
            ("[limits]\nmax_payload = \"big\"", "`big` is not a size such as"),
            ("bind = \"here\"", "web.toml:1: bind: `here` is not an address and port"),
            ("origins = [\"*\"]", "every site"),
            ("origins = [\"https://a.example/path\"]", "without a path"),
            ("[session]\nsecret = \"short\"", "at least 32; make one with"),
            ("[session]\nstore = \"mysql://x\"", "web.toml:2: session.store: `mysql://x`"),
            ("[backplane]\nurl = \"amqp://u:secret@x\"", "`amqp://u:***@x` is not"),
            ("[transport]\ntransports = [\"pooling\"]", "did you mean `polling`?"),
            ("[transport]\ntransports = []", "nobody can connect"),
            ("[channels]\nother = { driver = \"X\" }", "begins with `/`"),
            (
                "[channels]\n\"/x\" = { drivr = \"X\" }",
                "web.toml:2: channels.\"/x\".drivr: unknown key; did you mean `driver`?",
            ),
            ("[channels]\n\"/x\" = \"X\"", "is not a table"),
            ("limits = 5", "limits: is a section"),
            ("use_sockets = \"yes\"", "`true` or `false`"),
            ("a = = b", "web.toml:1: "),
            ("trusted_proxies = [\"proxy\"]", "no address or network"),
        ] {
            let problems = from(text, &[]).unwrap_err();
            assert!(problems.iter().any(|problem| problem.contains(expected)), "{text}: {problems:?}");
        }
        let problems = from("", &[("CAROLINA_LIMITS__MAILBX", "5")]).unwrap_err();
        assert_eq!(problems, ["CAROLINA_LIMITS__MAILBX: limits.mailbx: unknown key; did you mean `mailbox`?"]);
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let problems =
            from("bnd = 1\n[limits]\nmailbox = 0\n[session]\nsecret = \"short\"", &[("CAROLINA_X", "1")]).unwrap_err();
        assert_eq!(problems.len(), 4, "{problems:?}");
    }
}
