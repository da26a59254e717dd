//! R25: the files in `deploy/` that a container is built and run by, as far as that goes without containers.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use carolina_sockets_tests::{nodes::Node, port::Port, program};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The instructions of the Dockerfile, those of each stage together.
fn stages() -> Vec<Vec<(String, String)>> {
    let text = read("deploy/Dockerfile");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let mut stages: Vec<Vec<(String, String)>> = Vec::new();
    for line in lines.join("\n").replace("\\\n", " ").lines().filter(|line| !line.trim().is_empty()) {
        let (word, rest) = line.split_once(' ').unwrap_or_else(|| panic!("no instruction: {line}"));
        if word == "FROM" {
            stages.push(Vec::new());
        }
        stages.last_mut().expect("FROM comes first").push((word.to_owned(), rest.trim().to_owned()));
    }
    stages
}

/// What an instruction says that is there once.
fn only<'a>(stage: &'a [(String, String)], word: &str) -> &'a str {
    let found: Vec<&str> = stage.iter().filter(|(other, _)| other == word).map(|(_, rest)| rest.as_str()).collect();
    assert_eq!(found.len(), 1, "{word}: {found:?}");
    found[0]
}

#[test]
fn r25_the_dockerfile_copies_what_is_there_and_does_not_run_as_root() {
    let stages = stages();
    let [build, run] = &stages[..] else { panic!("two stages: {stages:?}") };
    let from = only(build, "FROM");
    let workspace = read("Cargo.toml");
    let rust = workspace.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    assert!(
        from.starts_with(&format!("rust:{rust}-")) && from.ends_with(" AS build"),
        "{from}: rust-version is {rust}"
    );
    // The program is linked with the libraries of the first stage's Debian.
    let debian = from.trim_end_matches(" AS build").rsplit('-').next().unwrap();
    assert_eq!(only(run, "FROM"), format!("debian:{debian}-slim"));

    assert_eq!(only(build, "COPY"), ". .");
    let left_out = read("deploy/Dockerfile.dockerignore");
    for (path, is_left_out) in [("target", true), ("node_modules", true), ("Cargo.lock", false), ("README.md", false)] {
        assert_eq!(left_out.lines().any(|line| line.trim_start_matches("**/") == path), is_left_out, "{path}");
    }
    let made = only(build, "RUN");
    let copied: Vec<&str> = only(run, "COPY").split_whitespace().collect();
    let [from, built, program] = copied[..] else { panic!("{copied:?}") };
    assert_eq!(from, "--from=build");
    assert!(made.ends_with(&format!("cp \"target/release/$PACKAGE\" {built}")), "{made}");
    assert!(made.contains("cargo build --locked --release") && root().join("Cargo.lock").exists(), "{made}");
    assert_eq!(only(run, "ENTRYPOINT"), format!("[\"{program}\"]"));
    // The package that the comment names as an example has a program of its own name.
    let dockerfile = read("deploy/Dockerfile");
    let package = dockerfile.split("PACKAGE=").nth(1).unwrap().split_whitespace().next().unwrap();
    assert!(read(&format!("examples/{package}/Cargo.toml")).contains(&format!("name = \"{package}\"")));
    assert!(program::path(package).exists());

    let user = only(run, "USER").split(':').next().unwrap();
    assert!(user.parse::<u32>().is_ok_and(|id| id > 0), "{user}: Kubernetes can tell that only a number is not root");
    assert!(only(run, "RUN").contains(&format!("useradd --system --uid {user} ")), "the user is made");
    for (word, script) in stages.iter().flatten().filter(|(word, _)| word == "RUN") {
        let checked = Command::new("sh").args(["-n", "-c", script]).status().unwrap();
        assert!(checked.success(), "{word} {script}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r25_the_health_check_of_the_container_asks_the_program() {
    let stages = stages();
    let run = stages.last().unwrap();
    let (_, command) = only(run, "HEALTHCHECK").split_once("CMD ").expect("a command");
    let command: Vec<String> = serde_json::from_str(command).expect("a list, so that no shell is needed");
    let port = only(run, "EXPOSE");
    assert_eq!(only(run, "ENV"), format!("CAROLINA_BIND=0.0.0.0:{port}"));
    let ask = |of: u16| -> Output {
        let arguments = command[1..].iter().map(|argument| argument.replace(port, &of.to_string()));
        Command::new(&command[0]).args(arguments).output().unwrap()
    };
    let node = Node::alone();
    let healthy = ask(node.port());
    assert!(healthy.status.success(), "{healthy:?}");
    let nobody = Port::reserve();
    assert!(!ask(nobody.number()).status.success());
    let without = Node::alone_with(&[("CAROLINA_HEALTH", "false")]);
    assert!(!ask(without.port()).status.success(), "404");
}

#[tokio::test]
async fn r25_the_manifest_is_yaml_whose_parts_fit() {
    let file = root().join("deploy/kubernetes.yaml");
    let parsed = program::node("yaml.mjs", &[file.to_str().unwrap()]).await;
    let documents: Vec<Value> = serde_json::from_str(&parsed).unwrap();
    let of =
        |kind: &str| documents.iter().find(|document| document["kind"] == kind).unwrap_or_else(|| panic!("{kind}"));
    let (deployment, service, budget) = (of("Deployment"), of("Service"), of("PodDisruptionBudget"));
    let template = &deployment["spec"]["template"];
    let labels = &template["metadata"]["labels"];
    assert!(labels.is_object());
    assert_eq!(&deployment["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(&service["spec"]["selector"], labels);
    assert_eq!(&budget["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], 0, "a new node first");
    let container = &template["spec"]["containers"][0];
    let ports: Vec<&str> =
        container["ports"].as_array().unwrap().iter().map(|port| port["name"].as_str().unwrap()).collect();
    let health = carolina_sockets::Config::default().health.unwrap();
    for (probe, path) in
        [("startupProbe", &health.live), ("livenessProbe", &health.live), ("readinessProbe", &health.ready)]
    {
        let get = &container[probe]["httpGet"];
        assert_eq!(get["path"].as_str(), Some(path.as_str()), "{probe}");
        assert!(ports.contains(&get["port"].as_str().unwrap()), "{probe}: {get}");
    }
    // Kubernetes asks this often, and gives up on an answer after so many seconds.
    let probe = &container["readinessProbe"];
    let noticed = probe["failureThreshold"].as_u64().unwrap()
        * (probe["periodSeconds"].as_u64().unwrap() + probe["timeoutSeconds"].as_u64().unwrap());
    let setting = |name: &str| {
        let variables = container["env"].as_array().unwrap();
        let value = variables.iter().find(|variable| variable["name"] == name).unwrap_or_else(|| panic!("{name}"));
        value["value"].as_str().unwrap().trim_end_matches('s').parse().unwrap()
    };
    let (delay, over): (u64, u64) = (setting("CAROLINA_DRAIN__DELAY"), setting("CAROLINA_DRAIN__OVER"));
    assert!(noticed < delay, "it is not ready for {noticed} s before anybody knows");
    let limits = carolina_sockets::Config::default().limits;
    let grace = Duration::from_secs(template["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap());
    assert!(grace > Duration::from_secs(delay + over) + 2 * limits.shutdown_timeout, "{grace:?}");
    assert_eq!(template["spec"]["securityContext"]["runAsNonRoot"], true);
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
}

#[test]
fn r25_systemd_waits_for_the_whole_shutdown_and_allows_the_files_of_the_limits() {
    let unit = read("deploy/application.service");
    let value = |key: &str| {
        let line = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("{key}")).parse::<u64>().unwrap()
    };
    let limits = carolina_sockets::Config::default().limits;
    // Beside `drain`, which is what the rest is for.
    assert!(value("TimeoutStopSec") > 2 * limits.shutdown_timeout.as_secs());
    assert!(value("LimitNOFILE") as usize > 2 * limits.connections, "two for each client that polls");
    for line in ["Type=notify", "ExecReload=/bin/kill -HUP $MAINPID", "Requires=application.socket"] {
        assert!(unit.lines().any(|other| other == line), "{line}");
    }
}
