//! What the documents say, compared with the code.

use std::{collections::BTreeSet, fs, path::Path};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_chapter_on_running_lists_every_metric() {
    let source = read("carolina-sockets/src/telemetry/metric.rs");
    let named: BTreeSet<&str> = source.split('"').filter(|text| text.starts_with("carolina_sockets_")).collect();
    let chapter = read("docs/running.md");
    let rows = chapter.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name);
    let listed: BTreeSet<&str> = rows.filter(|name| name.starts_with("carolina_sockets_")).collect();
    assert!(!named.is_empty());
    assert_eq!(named, listed);
}
