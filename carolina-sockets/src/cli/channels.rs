use std::{io::IsTerminal, time::Duration};

use serde_json::{Value, json};

use crate::{
    config::{Config, Reading, Transport},
    error::Result,
    guard::Rate,
    plan::{MountPlan, Plan},
    registry::row::{GuardRow, HandlerRow, On},
    service::Settings,
};

/// Lists what would be mounted with these settings.
pub(super) fn list(mut settings: Settings, json: bool) -> Result<String> {
    let reading = settings.config.take().map_or_else(Reading::system, Reading::of);
    // State is provided when the application serves; it is not checked here.
    let (config, plan) = settings.plan(reading, &|_| true)?;
    if json { Ok(as_json(&plan, &config)) } else { Ok(as_table(&plan, &config, std::io::stdout().is_terminal())) }
}

/// The limits that hold for every channel, by their keys.
fn limits(config: &Config) -> [(&'static str, Value); 14] {
    let limits = &config.limits;
    let time = |time: Duration| json!(humantime::format_duration(time).to_string());
    [
        ("connections", json!(limits.connections)),
        ("connections_per_address", json!(limits.connections_per_address)),
        ("events_per_second", json!(limits.events_per_second)),
        ("max_payload", json!(limits.max_payload)),
        ("max_attachments", json!(limits.max_attachments)),
        ("mailbox", json!(limits.mailbox)),
        ("mailbox_bytes", json!(limits.mailbox_bytes)),
        ("send_queue", json!(limits.send_queue)),
        ("send_buffer", json!(limits.send_buffer)),
        ("header_bytes", json!(limits.header_bytes)),
        ("connect_timeout", time(limits.connect_timeout)),
        ("handler_timeout", time(limits.handler_timeout)),
        ("send_timeout", time(limits.send_timeout)),
        ("shutdown_timeout", time(limits.shutdown_timeout)),
    ]
}

/// Where clients come in, and which: the key with its value.
fn doors(config: &Config) -> Vec<(&'static str, Value)> {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let transports: Vec<&str> = config
        .transport
        .transports
        .iter()
        .map(|transport| match transport {
            Transport::Polling => "polling",
            Transport::Websocket => "websocket",
        })
        .collect();
    let proxies: Vec<String> = config.trusted_proxies.iter().map(ToString::to_string).collect();
    let mut doors = vec![
        ("sockets", json!(format!("{scheme}://{}{}", config.bind, config.transport.path))),
        ("transports", json!(transports)),
        ("origins", json!(config.origins)),
        ("hosts", json!(config.hosts)),
        ("trusted_proxies", json!(proxies)),
    ];
    if let Some(health) = &config.health {
        doors.push(("health", json!([health.live, health.ready])));
    }
    if !config.publish.secret.is_empty() {
        doors.push(("publish", json!(config.publish.path)));
    }
    if let Some(metrics) = &config.metrics {
        doors.push(("metrics", json!(format!("http://{metrics}/metrics"))));
    }
    doors
}

fn object(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    Value::Object(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn as_json(plan: &Plan, config: &Config) -> String {
    let channel = |mount: &MountPlan| {
        let handlers = mount.handlers.iter().map(|row| {
            json!({
                "on": names(row.on),
                "kind": kind(row.on),
                "method": row.method,
                "guards": guards(row.guards),
                "concurrent": row.options.concurrent,
                "timeout_ms": row.options.timeout.map(|timeout| timeout.as_millis() as u64),
                "rate": row.options.rate.map(|rate| json!({ "count": rate.count, "per_ms": rate.per.as_millis() as u64 })),
                "declared": row.location.to_string(),
            })
        });
        json!({
            "path": mount.path,
            "driver": mount.driver,
            "private": mount.private,
            "presence": mount.row.presence.is_some(),
            "resume": mount.row.resume.is_some(),
            "guards": guards(mount.row.guards),
            "declared": mount.row.location.to_string(),
            "handlers": handlers.collect::<Vec<_>>(),
        })
    };
    let channels: Vec<_> = plan.mounts.iter().map(channel).collect();
    let (limits, doors) = (object(limits(config)), object(doors(config)));
    let all = json!({ "use_sockets": plan.sockets_on, "channels": channels, "limits": limits, "doors": doors });
    format!("{all:#}")
}

fn as_table(plan: &Plan, config: &Config, colours: bool) -> String {
    let (bold, dim, plain) = if colours { ("\x1b[1m", "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
    if !plan.sockets_on {
        return "web sockets are off: declare a channel, add one under [channels], or set `use_sockets = true`"
            .to_owned();
    }
    let mut lines = Vec::new();
    for mount in &plan.mounts {
        let words = [
            (" private", mount.private),
            (" presence", mount.row.presence.is_some()),
            (" resume", mount.row.resume.is_some()),
        ];
        let words: String = words.iter().filter(|(_, is_there)| *is_there).map(|(word, _)| *word).collect();
        let guards: String = guards(mount.row.guards).iter().map(|guard| format!(" guard {guard}")).collect();
        lines.push(format!(
            "{bold}{}{plain}  {}{words}{guards}  {dim}{}{plain}",
            mount.path, mount.driver, mount.row.location
        ));
        let rows: Vec<[String; 3]> = mount
            .handlers
            .iter()
            .map(|row| [row.on.words().join(", "), options(row), row.location.to_string()])
            .collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let (first, second) = (width(0), width(1));
        for [words, options, place] in &rows {
            lines.push(format!("    {words:first$}  {options:second$}  {dim}{place}{plain}"));
        }
    }
    for (title, entries) in [("limits", limits(config).to_vec()), ("doors", doors(config))] {
        lines.push(format!("{bold}{title}{plain}"));
        let width = entries.iter().map(|(key, _)| key.len()).max().unwrap_or_default();
        lines.extend(entries.iter().map(|(key, value)| format!("    {key:width$}  {}", shown(value))));
    }
    lines.join("\n")
}

/// A value without the marks of JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Names of events as they are, in place of the attribute's strings.
fn names(on: On) -> Vec<String> {
    match on {
        On::Events(events) => events.iter().map(ToString::to_string).collect(),
        other => other.words(),
    }
}

/// What a handler is for. An event may have any name, `any` as well.
fn kind(on: On) -> &'static str {
    match on {
        On::Events(_) => "events",
        On::Any => "any",
        On::Authorize => "authorize",
        On::Connect => "connect",
        On::Disconnect => "disconnect",
        On::Presence => "presence",
        On::Init => "init",
    }
}

/// The guards' paths, as they are written in Rust.
fn guards(rows: &[GuardRow]) -> Vec<&'static str> {
    rows.iter().map(|row| row.name).collect()
}

fn options(row: &HandlerRow) -> String {
    let options = &row.options;
    let mut texts = Vec::new();
    if options.concurrent {
        texts.push("concurrent".to_owned());
    }
    if let Some(timeout) = options.timeout {
        texts.push(format!("timeout {}", humantime::format_duration(timeout)));
    }
    if let Some(rate) = options.rate {
        texts.push(format!("rate {}", shown_rate(rate)));
    }
    texts.extend(guards(row.guards).iter().map(|guard| format!("guard {guard}")));
    texts.join(", ")
}

/// A rate as it is written: `2/s`.
fn shown_rate(rate: Rate) -> String {
    let per = humantime::format_duration(rate.per).to_string();
    let unit = per.strip_prefix('1').filter(|unit| unit.chars().all(char::is_alphabetic));
    format!("{}/{}", rate.count, unit.unwrap_or(&per))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Rate, shown_rate};
    use crate::{Cli, Config, EventError, MainChannel, channel, cli, on};

    fn is_open() -> Result<(), EventError> {
        Ok(())
    }

    #[channel(guard = is_open)]
    #[derive(Default)]
    struct Guarded;

    #[channel]
    impl Guarded {
        #[on("whoami", "any", rate = "2/s", guard = Self::is_known)]
        fn whoami(&self) {}

        #[on(any)]
        fn other(&self) {}

        fn is_known() -> Result<(), EventError> {
            Ok(())
        }
    }

    fn listed(cli: Cli) -> String {
        super::list(cli.serve.settings, true).unwrap()
    }

    #[test]
    fn rates_are_listed_as_they_are_written() {
        let second = Duration::from_secs(1);
        for (count, per, written) in [
            (2, second, "2/s"),
            (20, 60 * second, "20/m"),
            (1, 3600 * second, "1/h"),
            (5, 10 * second, "5/10s"),
            (5, second / 10, "5/100ms"),
        ] {
            assert_eq!(shown_rate(Rate { count, per }), written);
        }
    }

    #[test]
    fn guards_and_names_are_listed_as_they_are_written() {
        let list = |json| {
            let cli = cli().config(Config::default()).discover(false).mount::<Guarded>("/guarded");
            super::list(cli.serve.settings, json).unwrap()
        };
        let listed: serde_json::Value = serde_json::from_str(&list(true)).unwrap();
        let channel = &listed["channels"][0];
        assert_eq!(channel["guards"], serde_json::json!(["is_open"]), "{channel}");
        let (named, other) = (&channel["handlers"][0], &channel["handlers"][1]);
        assert_eq!(named["on"], serde_json::json!(["whoami", "any"]), "{channel}");
        assert_eq!((&named["kind"], &other["kind"]), (&"events".into(), &"any".into()), "{channel}");
        assert_eq!(named["guards"], serde_json::json!(["Self::is_known"]), "{channel}");
        let table = list(false);
        assert!(table.contains("/guarded  Guarded guard is_open"), "{table}");
        assert!(table.contains("rate 2/s, guard Self::is_known"), "{table}");
    }

    #[test]
    fn the_list_shows_what_these_settings_would_serve() {
        let picked = listed(cli().config(Config::default()).discover(false).mount::<MainChannel>("/picked"));
        assert!(picked.contains(r#""path": "/picked""#) && !picked.contains(r#""path": "/""#), "{picked}");
        let off = listed(cli().config(Config::default()).discover(false));
        assert!(off.contains(r#""use_sockets": false"#), "{off}");
    }

    #[test]
    fn the_list_shows_limits_and_doors() {
        let config = Config::default().origin("https://app.example").bind("127.0.0.1:80");
        let shown = |json| {
            let cli = cli().config(config.clone()).discover(false).mount::<MainChannel>("/");
            super::list(cli.serve.settings, json).unwrap()
        };
        let json: serde_json::Value = serde_json::from_str(&shown(true)).unwrap();
        assert_eq!(json["limits"]["events_per_second"], 100, "{json}");
        assert_eq!(json["limits"]["handler_timeout"], "30s", "{json}");
        assert_eq!(json["doors"]["origins"][0], "https://app.example", "{json}");
        assert_eq!(json["doors"]["sockets"], "http://127.0.0.1:80/socket.io", "{json}");
        let text = shown(false);
        assert!(text.contains("\ndoors\n") && text.contains("events_per_second"), "{text}");
        assert!(text.lines().any(|line| line.contains("origins") && line.ends_with("https://app.example")), "{text}");
    }
}
