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

/// The texts of the log at `warn` and `error`, with the places where they are written. What is a variable alone is left out.
fn warnings(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            warnings(&path, found);
            continue;
        }
        let source = fs::read_to_string(&path).unwrap_or_default();
        let calls = ["tracing::warn!(", "tracing::error!("].into_iter().flat_map(|call| source.split(call).skip(1));
        for call in calls {
            let call = call.split(");").next().unwrap();
            let text = call.split('"').nth(1).unwrap_or_default();
            if text.contains(' ') {
                found.push((path.display().to_string(), text.to_owned()));
            }
        }
    }
}

#[test]
fn the_runbook_has_each_warning_of_the_log() {
    let runbook = read("docs/production.md");
    let (_, runbook) = runbook.split_once("## Runbook: the log").expect("it has the log");
    let rows = runbook.lines().filter(|line| line.starts_with("| `"));
    let lines: Vec<Vec<&str>> = rows
        .flat_map(|row| row.split(" | ").next().unwrap().split('`').skip(1).step_by(2))
        .map(|line| line.split('…').map(str::trim).filter(|part| !part.is_empty()).collect())
        .filter(|parts: &Vec<&str>| !parts.is_empty())
        .collect();
    let mut found = Vec::new();
    warnings(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../carolina-sockets/src"), &mut found);
    assert!(found.len() > 40, "{found:#?}");
    let is_there =
        |text: &str| lines.iter().any(|parts| parts.iter().all(|part| text.contains(part.trim_end_matches(':'))));
    found.retain(|(_, text)| !is_there(text));
    assert!(found.is_empty(), "not in the runbook: {found:#?}");
}

#[test]
fn r25_the_manifest_names_what_the_program_has() {
    let manifest = read("deploy/kubernetes.yaml");
    let config = carolina_sockets::Config::default();
    let health = config.health.as_ref().unwrap();
    let lines: Vec<&str> = manifest.lines().map(str::trim).collect();
    let after =
        |key: &str| lines.iter().filter_map(|line| line.trim_start_matches("- ").strip_prefix(key)).collect::<Vec<_>>();
    assert_eq!(after("path: "), [&health.live, &health.live, &health.ready]);
    let keys = read("carolina-sockets/src/config/mod.rs");
    let variables: Vec<&str> = after("name: ").into_iter().filter(|name| name.starts_with("CAROLINA_")).collect();
    assert!(variables.len() >= 7, "{variables:?}");
    for variable in variables {
        assert!(keys.contains(&format!("| `{variable}` |")), "no key has the variable {variable}");
        let at = lines.iter().position(|line| line.ends_with(variable)).unwrap();
        // The ports are those that probes and the Service go to.
        if let Some(port) = lines[at + 1].strip_suffix('"').and_then(|value| value.strip_prefix("value: \"0.0.0.0:")) {
            assert!(after("containerPort: ").contains(&port), "{variable} is not a port of the container");
        }
    }
    for port in after("port: ").into_iter().chain(after("targetPort: ")).filter(|port| port.parse::<u16>().is_err()) {
        assert!(after("name: ").contains(&port), "no port is called {port}");
    }
    let seconds = |variable: &str| {
        let at = lines.iter().position(|line| line.ends_with(variable)).unwrap();
        lines[at + 1].trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().unwrap()
    };
    let grace: u64 = after("terminationGracePeriodSeconds: ")[0].parse().unwrap();
    let needed = seconds("CAROLINA_DRAIN__DELAY") + seconds("CAROLINA_DRAIN__OVER");
    assert!(grace > needed + 2 * config.limits.shutdown_timeout.as_secs(), "{grace} s are not enough");
    let dockerfile = read("deploy/Dockerfile");
    assert!(dockerfile.contains("ENV CAROLINA_BIND=0.0.0.0:3000") && dockerfile.contains("EXPOSE 3000"));
    assert!(dockerfile.contains("ENTRYPOINT [\""), "the program gets the signals itself");
}

#[test]
fn r27_the_pictures_of_the_admin_ui_are_there_and_small() {
    let chapter = read("docs/admin.md");
    let pictures: Vec<&str> =
        chapter.split("](").filter_map(|rest| rest.split_once(".png)")).map(|(name, _)| name).collect();
    assert_eq!(pictures.len(), 11, "{pictures:?}");
    for picture in pictures {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/{picture}.png"));
        let size = fs::metadata(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).len();
        assert!(size < 60_000, "{} has {size} bytes", path.display());
    }
}
