//! From what is linked and what is configured to what is mounted; or every mistake at once (rules R1 to R4).

use std::{any::TypeId, collections::BTreeMap, fmt};

use crate::{
    channel::MainChannel,
    config::{ChannelConfig, Config},
    error::{Error, Result},
    extract::Needs,
    nearest::did_you_mean,
    private::Channel,
    registry::{
        Driver, Registry, clashes,
        row::{ChannelRow, HandlerRow, On},
    },
};

/// What is to be mounted.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) sockets_on: bool,
    pub(crate) mounts: Vec<MountPlan>,
}

/// One driver at one path.
#[derive(Clone, Debug)]
pub(crate) struct MountPlan {
    pub(crate) path: String,
    pub(crate) driver: &'static str,
    pub(crate) private: bool,
    pub(crate) row: &'static ChannelRow,
    pub(crate) handlers: Vec<&'static HandlerRow>,
}

/// What the builder knows beside registry and configuration.
pub(crate) struct PlanOptions<'a> {
    /// Whether declared channels are mounted.
    pub(crate) discover: bool,
    /// Channels picked by hand: type, name and path.
    pub(crate) mounts: &'a [(TypeId, &'static str, String)],
    /// Whether the application provided this state.
    pub(crate) has_state: &'a dyn Fn(TypeId) -> bool,
}

impl Plan {
    pub(crate) fn make(registry: &Registry, config: &Config, options: &PlanOptions<'_>) -> Result<Self> {
        let mut problems = match options.discover {
            true => clashes(registry),
            // A program's other channels are not this service's concern; those that are mounted are checked below.
            false => Vec::new(),
        };
        let mut mounts = BTreeMap::new();
        if options.discover {
            for driver in &registry.drivers {
                if let Some(path) = driver.row.path {
                    mounts.insert(path.to_owned(), mount(driver, path));
                }
            }
        }
        for (path, entry) in &config.channels {
            configured(registry, path, entry, &mut mounts, &mut problems);
        }
        for (of, name, path) in options.mounts {
            picked(registry, *of, name, path, &mut mounts, &mut problems);
        }
        let sockets_on = config
            .use_sockets
            .unwrap_or_else(|| !mounts.is_empty() || config.channels.values().any(|entry| entry.enabled));
        if sockets_on && options.discover {
            let disabled = config.channels.get("/").is_some_and(|entry| !entry.enabled);
            let main = registry.by_type(TypeId::of::<MainChannel>()).filter(|_| !disabled);
            if let Some(main) = main {
                mounts.entry("/".to_owned()).or_insert_with(|| mount(main, "/"));
            }
        }
        states(mounts.values(), options, &mut problems);
        match problems.is_empty() {
            true => {
                Ok(Self { sockets_on, mounts: if sockets_on { mounts.into_values().collect() } else { Vec::new() } })
            }
            false => Err(Error::Startup(problems)),
        }
    }
}

fn mount(driver: &Driver, path: &str) -> MountPlan {
    MountPlan {
        path: path.to_owned(),
        driver: driver.row.driver,
        private: driver.row.private,
        row: driver.row,
        handlers: driver.handlers.clone(),
    }
}

/// An entry of `[channels]` (rule R2).
fn configured(
    registry: &Registry,
    path: &str,
    entry: &ChannelConfig,
    mounts: &mut BTreeMap<String, MountPlan>,
    problems: &mut Vec<String>,
) {
    let key = format!("{}: channels.\"{path}\"", entry.place());
    if !path.starts_with('/') {
        return problems.push(format!("{key}: a channel's path begins with `/`"));
    }
    if let Some(name) = &entry.driver {
        let Some(driver) = registry.by_name(name) else {
            let known: Vec<&str> = registry.drivers.iter().map(|driver| driver.row.driver).collect();
            return problems.push(format!(
                "{key}.driver: there is no driver `{name}`{}; linked are {}. A channel in another crate is linked by `use that_crate as _;`",
                did_you_mean(name, known.iter().copied()),
                known.join(", "),
            ));
        };
        mounts.insert(path.to_owned(), mount(driver, path));
    }
    if !entry.enabled {
        mounts.remove(path);
        return;
    }
    match (mounts.get_mut(path), entry.private) {
        (Some(mount), Some(private)) => mount.private = private,
        (Some(_), None) => {}
        (None, _) if path == "/" => {
            if let Some(main) = registry.by_name(MainChannel::DRIVER) {
                let main = MountPlan { private: entry.private.unwrap_or_default(), ..mount(main, path) };
                mounts.insert(path.to_owned(), main);
            }
        }
        (None, _) => {
            problems.push(format!("{key}: no channel declares this path; name its driver: {{ driver = \"…\" }}"))
        }
    }
}

/// A channel picked by hand.
fn picked(
    registry: &Registry,
    of: TypeId,
    name: &str,
    path: &str,
    mounts: &mut BTreeMap<String, MountPlan>,
    problems: &mut Vec<String>,
) {
    if !path.starts_with('/') {
        return problems.push(format!("`mount::<{name}>(\"{path}\")`: a channel's path begins with `/`"));
    }
    // The type is a channel, so its row is linked.
    let Some(driver) = registry.by_type(of) else {
        return problems.push(format!("`mount::<{name}>(\"{path}\")`: the driver is not linked"));
    };
    mounts.insert(path.to_owned(), mount(driver, path));
}

/// Handlers whose state nobody provided (rule R1).
fn states<'a>(mounts: impl Iterator<Item = &'a MountPlan>, options: &PlanOptions<'_>, problems: &mut Vec<String>) {
    let mut told = std::collections::BTreeSet::new();
    for mount in mounts {
        for row in &mount.handlers {
            let mut needs = Needs::default();
            (row.needs)(&mut needs);
            for (of, name) in needs.states {
                if !(options.has_state)(of) && told.insert((row.location, name)) {
                    problems.push(format!(
                        "{}: `{}::{}` takes `State<{name}>`, which nobody provided: call `.state(…)` with a value of that type",
                        row.location, row.driver, row.method
                    ));
                }
            }
        }
    }
}

/// The channels as a table for people.
pub(crate) struct Table<'a>(pub(crate) Vec<&'a MountPlan>);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("web sockets are off");
        }
        let rows: Vec<[String; 3]> = std::iter::once(["channel", "driver", "events"].map(str::to_owned))
            .chain(self.0.iter().map(|mount| {
                let path = match mount.private {
                    true => format!("{} (private)", mount.path),
                    false => mount.path.clone(),
                };
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
    match names.is_empty() {
        true => "-".to_owned(),
        false => names.join(", "),
    }
}
