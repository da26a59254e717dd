//! What collides among the linked rows (rule R1). Every clash names both sides.

use std::collections::BTreeMap;

use super::{
    Registry,
    row::{ChannelRow, HandlerRow, On},
};

/// Every clash there is.
pub(crate) fn clashes(registry: &Registry) -> Vec<String> {
    let mut found = Vec::new();
    drivers(registry, &mut found);
    paths(registry, &mut found);
    for driver in &registry.drivers {
        handlers(driver.row.driver, &driver.handlers, &mut found);
    }
    for stray in &registry.strays {
        found.push(format!(
            "{}: `{}::{}` is a handler, but its struct is no channel: write `#[channel]` above `struct {}`",
            stray.location, stray.driver, stray.method, stray.driver
        ));
    }
    found
}

fn drivers(registry: &Registry, found: &mut Vec<String>) {
    let mut by_name: BTreeMap<&str, &ChannelRow> = BTreeMap::new();
    for driver in &registry.drivers {
        let row = driver.row;
        if let Some(first) = by_name.insert(row.driver, row) {
            found.push(format!(
                "two drivers are called `{}`: {} and {}; rename one, as the configuration finds drivers by their names",
                row.driver, first.location, row.location
            ));
        }
    }
}

fn paths(registry: &Registry, found: &mut Vec<String>) {
    let mut by_path: BTreeMap<&str, &ChannelRow> = BTreeMap::new();
    for driver in &registry.drivers {
        let row = driver.row;
        let Some(path) = row.path else { continue };
        if let Some(first) = by_path.insert(path, row) {
            found.push(format!(
                "two channels are at `{path}`: `{}` ({}) and `{}` ({}); give one another path",
                first.driver, first.location, row.driver, row.location
            ));
        }
    }
}

fn handlers(driver: &str, rows: &[&'static HandlerRow], found: &mut Vec<String>) {
    let mut seen: BTreeMap<String, &HandlerRow> = BTreeMap::new();
    for row in rows {
        let what: Vec<String> = match row.on {
            On::Events(names) => names.iter().map(|name| format!("\"{name}\"")).collect(),
            On::Any => vec!["any".to_owned()],
            On::Authorize => vec!["authorize".to_owned()],
            On::Connect => vec!["connect".to_owned()],
            On::Disconnect => vec!["disconnect".to_owned()],
            On::Init => vec!["init".to_owned()],
        };
        for what in what {
            if let Some(first) = seen.insert(what.clone(), row) {
                found.push(format!(
                    "`{driver}` has two handlers for #[on({what})]: `{}` ({}) and `{}` ({})",
                    first.method, first.location, row.method, row.location
                ));
            }
        }
    }
}
