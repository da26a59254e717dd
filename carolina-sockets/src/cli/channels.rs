use std::io::IsTerminal;

use serde_json::json;

use crate::{
    config::Reading,
    error::Result,
    plan::{MountPlan, Plan},
    registry::row::Options,
    service::Settings,
};

/// Lists what would be mounted with these settings.
pub(super) fn list(mut settings: Settings, json: bool) -> Result<String> {
    let reading = settings.config.take().map_or_else(Reading::system, Reading::of);
    // State is provided when the application serves; it is not checked here.
    let (_, plan) = settings.plan(reading, &|_| true)?;
    if json { Ok(as_json(&plan)) } else { Ok(as_table(&plan, std::io::stdout().is_terminal())) }
}

fn as_json(plan: &Plan) -> String {
    let channel = |mount: &MountPlan| {
        let handlers = mount.handlers.iter().map(|row| {
            json!({
                "on": row.on.words(),
                "method": row.method,
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
            "declared": mount.row.location.to_string(),
            "handlers": handlers.collect::<Vec<_>>(),
        })
    };
    let channels: Vec<_> = plan.mounts.iter().map(channel).collect();
    format!("{:#}", json!({ "use_sockets": plan.sockets_on, "channels": channels }))
}

fn as_table(plan: &Plan, colours: bool) -> String {
    let (bold, dim, plain) = if colours { ("\x1b[1m", "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
    if !plan.sockets_on {
        return "web sockets are off: declare a channel, add one under [channels], or set `use_sockets = true`"
            .to_owned();
    }
    let mut lines = Vec::new();
    for mount in &plan.mounts {
        let private = if mount.private { " private" } else { "" };
        lines.push(format!(
            "{bold}{}{plain}  {}{private}  {dim}{}{plain}",
            mount.path, mount.driver, mount.row.location
        ));
        let rows: Vec<[String; 3]> = mount
            .handlers
            .iter()
            .map(|row| [row.on.words().join(", "), options(&row.options), row.location.to_string()])
            .collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let (first, second) = (width(0), width(1));
        for [words, options, place] in &rows {
            lines.push(format!("    {words:first$}  {options:second$}  {dim}{place}{plain}"));
        }
    }
    lines.join("\n")
}

fn options(options: &Options) -> String {
    let mut texts = Vec::new();
    if options.concurrent {
        texts.push("concurrent".to_owned());
    }
    if let Some(timeout) = options.timeout {
        texts.push(format!("timeout {}", humantime::format_duration(timeout)));
    }
    if let Some(rate) = options.rate {
        texts.push(format!("rate {}/{}", rate.count, humantime::format_duration(rate.per)));
    }
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use crate::{Cli, Config, MainChannel, cli};

    fn listed(cli: Cli) -> String {
        super::list(cli.serve.settings, true).unwrap()
    }

    #[test]
    fn the_list_shows_what_these_settings_would_serve() {
        let picked = listed(cli().config(Config::default()).discover(false).mount::<MainChannel>("/picked"));
        assert!(picked.contains(r#""path": "/picked""#) && !picked.contains(r#""path": "/""#), "{picked}");
        let off = listed(cli().config(Config::default()).discover(false));
        assert!(off.contains(r#""use_sockets": false"#), "{off}");
    }
}
