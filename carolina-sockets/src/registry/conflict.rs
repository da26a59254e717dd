//! Finds conflicts among the linked rows (rule R1). Every message names both locations.

use std::collections::BTreeMap;

use super::{
    Driver, MainChannel, Registry, channel_type,
    row::{ChannelRow, HandlerRow},
};

/// All conflicts.
pub(crate) fn conflicts(registry: &Registry) -> Vec<String> {
    let mut found = Vec::new();
    drivers(registry, &mut found);
    paths(registry, &mut found);
    for driver in &registry.drivers {
        found.extend(handler_conflicts(driver));
    }
    for stray in &registry.orphans {
        found.push(format!(
            "{}: `{}::{}` is a handler, but its struct is not a channel: write `#[channel]` above `struct {}`",
            stray.location, stray.driver, stray.method, stray.driver
        ));
    }
    found
}

fn drivers(registry: &Registry, found: &mut Vec<String>) {
    let mut by_name: BTreeMap<&str, &ChannelRow> = BTreeMap::new();
    for driver in &registry.drivers {
        if let Some(first) = by_name.insert(driver.row.driver, driver.row) {
            found.push(name_conflict(first, driver.row));
        }
    }
}

/// The message for two drivers with the same name.
pub(crate) fn name_conflict(first: &ChannelRow, second: &ChannelRow) -> String {
    let told = format!("two drivers are called `{}`: {} and {}", first.driver, first.location, second.location);
    let built_in = |row: &ChannelRow| (row.channel)() == channel_type::<MainChannel>();
    if built_in(first) || built_in(second) {
        format!(
            "{told}; that name is the built-in driver's, so rename yours; to serve `/` with it, write `#[channel(\"/\")]`"
        )
    } else {
        format!("{told}; rename one, as the configuration finds drivers by their names")
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

/// The messages for handlers of a driver with the same target.
pub(crate) fn handler_conflicts(driver: &Driver) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen: BTreeMap<String, &HandlerRow> = BTreeMap::new();
    for row in &driver.handlers {
        for what in row.on.words() {
            if let Some(first) = seen.insert(what.clone(), row) {
                found.push(format!(
                    "`{}` has two handlers for #[on({what})]: `{}` ({}) and `{}` ({})",
                    driver.row.driver, first.method, first.location, row.method, row.location
                ));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::row::On;
    use crate::registry::test_rows::{A, B, channel, handler};

    fn told(registry: Registry, expected: &[(&str, u32, u32)]) {
        let found = conflicts(&registry);
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (what, first, second) in expected {
            let places = [first, second].map(|line| format!("src/test_rows.rs:{line}"));
            let tells = |text: &&String| text.contains(what) && places.iter().all(|place| text.contains(place));
            assert!(found.iter().any(|text| tells(&text)), "{what}: {found:#?}");
        }
    }

    #[test]
    fn one_name_twice_and_thrice() {
        struct C;
        let rows = [channel::<A>("Twin", None, 1), channel::<B>("Twin", None, 2), channel::<C>("Twin", None, 3)];
        told(
            Registry::from_rows(rows, []),
            &[("two drivers are called `Twin`", 1, 2), ("two drivers are called `Twin`", 2, 3)],
        );
    }

    #[test]
    fn one_path_twice() {
        let rows = [channel::<A>("A", Some("/x"), 1), channel::<B>("B", Some("/x"), 2)];
        told(Registry::from_rows(rows, []), &[("two channels are at `/x`", 1, 2)]);
        let rows = [channel::<A>("A", Some("/x"), 1), channel::<B>("B", Some("/x/y"), 2)];
        told(Registry::from_rows(rows, []), &[]);
    }

    #[test]
    fn one_event_or_lifecycle_word_twice() {
        let rows = [channel::<A>("A", None, 1), channel::<B>("B", None, 2)];
        let handlers = [
            handler::<A>("A", On::Events(&["a", "b"]), 10),
            handler::<A>("A", On::Events(&["c", "b"]), 11),
            handler::<A>("A", On::Any, 12),
            handler::<A>("A", On::Events(&["any"]), 13),
            handler::<A>("A", On::Any, 14),
            handler::<A>("A", On::Init, 15),
            handler::<A>("A", On::Init, 16),
            // Another channel's.
            handler::<B>("B", On::Events(&["a"]), 20),
            handler::<B>("B", On::Any, 21),
        ];
        told(
            Registry::from_rows(rows, handlers),
            &[("#[on(\"b\")]", 10, 11), ("#[on(any)]", 12, 14), ("#[on(init)]", 15, 16)],
        );
    }

    #[test]
    fn a_handler_of_no_channel() {
        let registry = Registry::from_rows([], [handler::<A>("A", On::Any, 7)]);
        told(registry, &[("write `#[channel]` above `struct A`", 7, 7)]);
    }

    #[test]
    fn the_built_in_name_is_told_as_such() {
        let own = channel::<A>("MainChannel", None, 1);
        let linked = Registry::linked();
        let built_in = linked.by_name("MainChannel").next().unwrap().row;
        for (first, second) in [(own, built_in), (built_in, own)] {
            let told = name_conflict(first, second);
            assert!(told.contains("rename yours") && told.contains("src/test_rows.rs:1"), "{told}");
            assert!(told.contains("channel.rs:"), "{told}");
        }
    }
}
