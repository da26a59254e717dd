//! What the documents say, compared with the code.

use std::{collections::BTreeSet, fs, path::Path};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_chapter_on_running_lists_every_metric() {
    let of = |file: &str| read(&format!("carolina-sockets/src/telemetry/{file}.rs"));
    let source = [of("metric"), of("histogram")].concat();
    let named: BTreeSet<&str> = source.split('"').filter(|text| text.starts_with("carolina_sockets_")).collect();
    let chapter = read("docs/running.md");
    let rows = chapter.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name);
    let listed: BTreeSet<&str> = rows.filter(|name| name.starts_with("carolina_sockets_")).collect();
    assert!(!named.is_empty());
    assert_eq!(named, listed);
}

#[test]
fn the_runbook_says_what_to_do_for_every_metric_and_cause() {
    let runbook = read("docs/production.md");
    let metrics = read("carolina-sockets/src/telemetry/metric.rs");
    let causes = read("carolina-sockets/src/telemetry/throttled.rs");
    let metrics = metrics.split('"').filter(|text| text.starts_with("carolina_sockets_"));
    // Those that are counted by metrics of their own.
    let own = ["missed", "lost"];
    let causes =
        causes.lines().filter_map(|line| line.trim().strip_prefix("Self::")?.split_once("=> \"")?.1.split('"').next());
    let mut known = 0;
    for name in metrics.chain(causes.filter(|cause| !own.contains(cause))) {
        let row = runbook.lines().find(|line| line.starts_with(&format!("| `{name}` | ")));
        let cells =
            row.map_or(0, |row| row.split(" | ").filter(|cell| cell.trim_matches(['|', ' ']).len() > 3).count());
        assert_eq!(cells, 3, "`{name}`: {row:?}");
        known += 1;
    }
    assert!(known > 30, "{known}");
}
