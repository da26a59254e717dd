use std::fmt;

use super::MountPlan;
use crate::registry::row::{HandlerRow, On};

/// The channels as a human-readable table.
pub(crate) struct Table<'a>(pub(crate) Vec<&'a MountPlan>);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("web sockets are off");
        }
        let rows: Vec<[String; 3]> = std::iter::once(["channel", "driver", "events"].map(str::to_owned))
            .chain(self.0.iter().map(|mount| {
                let path = if mount.private { format!("{} (private)", mount.path) } else { mount.path.clone() };
                [path, mount.driver.to_owned(), events(&mount.handlers)]
            }))
            .collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let (first, second) = (width(0), width(1));
        let lines: Vec<String> =
            rows.iter().map(|[path, driver, events]| format!("  {path:first$}  {driver:second$}  {events}")).collect();
        f.write_str(&lines.join("\n"))
    }
}

fn events(handlers: &[&'static HandlerRow]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for row in handlers {
        match row.on {
            On::Events(events) => names.extend(events),
            On::Any => names.push("(any other)"),
            _ => {}
        }
    }
    if names.is_empty() { "-".to_owned() } else { names.join(", ") }
}
