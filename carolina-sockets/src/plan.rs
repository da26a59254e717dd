//! Decides from the linked channels and the configuration what is mounted; reports every mistake at once (rules R1 to
//! R4).

mod table;
#[cfg(test)]
mod tests;

use std::{
    any::TypeId,
    collections::{BTreeMap, BTreeSet},
};

use futures_util::FutureExt;

use crate::{
    config::{ChannelConfig, Config},
    error::{Error, Result},
    extract::Needs,
    path,
    registry::{
        Driver, MainChannel, Registry, conflicts, handler_conflicts, name_conflict,
        row::{ChannelRow, GuardCall, GuardRow, HandlerRow, On},
    },
    suggest::did_you_mean,
    template::Template,
};

pub(crate) use table::Table;

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

/// What the builder adds to registry and configuration.
pub(crate) struct PlanOptions<'a> {
    /// Whether declared channels are mounted.
    pub(crate) discover: bool,
    /// Explicitly mounted channels: type, name and path.
    pub(crate) mounts: &'a [(TypeId, &'static str, String)],
    /// Whether the application has provided this state.
    pub(crate) has_state: &'a dyn Fn(TypeId) -> bool,
}

impl Plan {
    /// Declared paths come first; explicit mounts replace them; the configuration overrides both, since the operator
    /// decides what is mounted and who may join.
    pub(crate) fn make(registry: &Registry, config: &Config, options: &PlanOptions<'_>) -> Result<Self> {
        let mut making = PlanBuilder { registry, options, mounts: BTreeMap::new(), problems: Vec::new() };
        if options.discover {
            making.problems.extend(conflicts(registry));
            making.mount_declared();
        }
        making.mount_explicit();
        for (path, entry) in &config.channels {
            making.apply_entry(path, entry);
        }
        let needed = !making.mounts.is_empty() || config.channels.values().any(|entry| entry.enabled);
        let sockets_on = config.use_sockets.unwrap_or(needed);
        let disabled = config.channels.get("/").is_some_and(|entry| !entry.enabled);
        if sockets_on && options.discover && !disabled {
            making.main_channel();
        }
        making.handlers();
        let PlanBuilder { mounts, problems, .. } = making;
        if problems.is_empty() {
            Ok(Self { sockets_on, mounts: if sockets_on { mounts.into_values().collect() } else { Vec::new() } })
        } else {
            Err(Error::Startup(problems))
        }
    }
}

/// Collects mounts and problems.
struct PlanBuilder<'a> {
    registry: &'a Registry,
    options: &'a PlanOptions<'a>,
    mounts: BTreeMap<String, MountPlan>,
    problems: Vec<String>,
}

impl PlanBuilder<'_> {
    fn mount(&mut self, driver: &Driver, path: &str) {
        let mount = MountPlan {
            path: path.to_owned(),
            driver: driver.row.driver,
            private: driver.row.private,
            row: driver.row,
            handlers: driver.handlers.clone(),
        };
        self.mounts.insert(path.to_owned(), mount);
    }

    fn mount_declared(&mut self) {
        let registry = self.registry;
        for driver in &registry.drivers {
            let Some(path) = driver.row.path else { continue };
            // The macro has checked it, but a row can be written by hand or come from another version.
            match path::check_channel(path) {
                Ok(()) => self.mount(driver, path),
                Err(problem) => self.problems.push(format!(
                    "{}: `{}` is declared at {path:?}: {problem}",
                    driver.row.location, driver.row.driver
                )),
            }
        }
    }

    /// Explicitly mounted channels.
    fn mount_explicit(&mut self) {
        let (registry, options) = (self.registry, self.options);
        let mut picked: BTreeMap<&str, &str> = BTreeMap::new();
        for (of, name, path) in options.mounts {
            let call = format!("`mount::<{name}>({path:?})`");
            if let Err(problem) = path::check_channel(path) {
                self.problems.push(format!("{call}: {problem}"));
                continue;
            }
            if let Some(first) = picked.insert(path, name).filter(|first| first != name) {
                self.problems.push(format!("{call}: `{first}` is mounted there already; give one another path"));
            }
            match registry.by_type(*of) {
                Some(driver) => self.mount(driver, path),
                None => self.problems.push(format!("{call}: the driver is not linked; write `#[channel]` above it")),
            }
        }
    }

    /// An entry of `[channels]` (rule R2).
    fn apply_entry(&mut self, path: &str, entry: &ChannelConfig) {
        let registry = self.registry;
        let key = format!("{}: channels.{path:?}", entry.place());
        match &entry.driver {
            Some(name) => {
                let mut named = registry.by_name(name);
                let Some(driver) = named.next() else {
                    return self.problems.push(format!("{key}.driver: {}", self.unknown_driver(name)));
                };
                if let Some(second) = named.next() {
                    self.problem_once(name_conflict(driver.row, second.row));
                }
                self.mount(driver, path);
            }
            None if path == "/" => self.main_channel(),
            None if !self.mounts.contains_key(path) => {
                let near = did_you_mean(path, self.mounts.keys().map(String::as_str));
                return self.problems.push(format!(
                    "{key}: no channel declares this path{near} To mount one there, name its driver: {{ driver = \"…\" }}",
                    near = if near.is_empty() { "." } else { &near },
                ));
            }
            None => {}
        }
        if !entry.enabled {
            self.mounts.remove(path);
        } else if let (Some(mount), Some(private)) = (self.mounts.get_mut(path), entry.private) {
            mount.private = private;
        }
    }

    fn unknown_driver(&self, name: &str) -> String {
        let known: Vec<&str> = self.registry.drivers.iter().map(|driver| driver.row.driver).collect();
        let near = did_you_mean(name, known.iter().copied());
        format!(
            "there is no driver `{name}`; linked are {}{} A channel in another crate is linked by `use that_crate as _;`",
            known.join(", "),
            if near.is_empty() { "." } else { &near },
        )
    }

    /// The built-in driver serves `/` unless another one does (rule R3).
    fn main_channel(&mut self) {
        let registry = self.registry;
        if let Some(main) = registry.by_type(TypeId::of::<MainChannel>())
            && !self.mounts.contains_key("/")
        {
            self.mount(main, "/");
        }
    }

    /// Checks that the mounted handlers have the state they need (rule R1).
    fn handlers(&mut self) {
        let registry = self.registry;
        let mounted: Vec<TypeId> = self.mounts.values().map(|mount| (mount.row.channel)()).collect();
        let mut told = BTreeSet::new();
        self.parameters();
        for driver in mounted.into_iter().filter_map(|of| registry.by_type(of)) {
            handler_conflicts(driver).into_iter().for_each(|clash| self.problem_once(clash));
            for row in &driver.handlers {
                let mut needs = Needs::default();
                (row.needs)(&mut needs);
                let taker = format!("{}: `{}::{}`", row.location, row.driver, row.method);
                self.presence(&taker, &needs, row, driver.row);
                self.states(&taker, needs, &mut told);
                for guard in row.guards {
                    self.guard(&format!("{taker}, its guard `{}`", guard.name), guard, &mut told);
                }
            }
            for guard in driver.row.guards {
                let taker = format!("{}: `{}`, its guard `{}`", driver.row.location, driver.row.driver, guard.name);
                self.guard(&taker, guard, &mut told);
            }
        }
    }

    /// Checks that no path could be two templates' (rule R18), and that handlers take the parameters that there are.
    fn parameters(&mut self) {
        let mounts: Vec<MountPlan> = self.mounts.values().cloned().collect();
        let templates: Vec<(&MountPlan, Template)> =
            mounts.iter().filter_map(|mount| Some((mount, Template::parse(&mount.path)?))).collect();
        for (number, (one, template)) in templates.iter().enumerate() {
            for (other, _) in templates[..number].iter().filter(|(_, known)| known.overlaps(template)) {
                self.problems.push(format!(
                    "{}: `{}` at {:?}: there are paths that `{}` at {:?} matches as well ({}); give one of them another path",
                    one.row.location, one.driver, one.path, other.driver, other.path, other.row.location,
                ));
            }
        }
        for mount in &mounts {
            let template = Template::parse(&mount.path);
            let names = template.as_ref().map(Template::names).unwrap_or_default();
            for row in &mount.handlers {
                let mut needs = Needs::default();
                (row.needs)(&mut needs);
                for guard in row.guards.iter().chain(mount.row.guards) {
                    let _ = (guard.run)(GuardCall::Needs(&mut needs)).now_or_never();
                }
                for need in needs.paths {
                    let taker =
                        format!("{}: `{}::{}` takes `Path<{}>`", row.location, row.driver, row.method, need.name);
                    if names.is_empty() {
                        self.problem_once(format!(
                            "{taker}, and {:?}, where it is mounted, has no parameter: write one into the path, as `/orders/{{id}}`",
                            mount.path
                        ));
                    } else if let Err(fault) = (need.fits)(&names) {
                        self.problem_once(format!("{taker}, which is {fault}: {:?}", mount.path));
                    }
                }
            }
        }
    }

    /// Reports a handler of presence on a channel without it.
    fn presence(&mut self, taker: &str, needs: &Needs, handler: &HandlerRow, row: &ChannelRow) {
        if row.presence.is_some() {
            return;
        }
        let what = match needs.presence {
            _ if handler.on == On::Presence => "is `#[on(presence)]`".to_owned(),
            Some(name) => format!("takes `Presence<{name}>`"),
            None => return,
        };
        let path = row.path.map(|path| format!("{path:?}, ")).unwrap_or_default();
        self.problem_once(format!(
            "{taker} {what}, which the channel does not have: write `#[channel({path}presence)]` above `struct {}`",
            row.driver
        ));
    }

    fn guard(&mut self, taker: &str, guard: &GuardRow, told: &mut BTreeSet<(String, &'static str)>) {
        let mut needs = Needs::default();
        let _ = (guard.run)(GuardCall::Needs(&mut needs)).now_or_never();
        self.states(taker, needs, told);
    }

    /// Reports the states that are taken and that nobody provides.
    fn states(&mut self, taker: &str, needs: Needs, told: &mut BTreeSet<(String, &'static str)>) {
        for (of, name) in needs.states {
            if !(self.options.has_state)(of) && told.insert((taker.to_owned(), name)) {
                self.problems.push(format!(
                    "{taker} takes `State<{name}>`, which was not provided: call `.state(…)` with a value of that type"
                ));
            }
        }
    }

    /// Adds a problem unless it was already found, among all rows or at another path.
    fn problem_once(&mut self, problem: String) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}
