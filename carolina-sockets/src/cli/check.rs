//! `check`: looks for what would go wrong in production, and says what to do about it.

mod ask;

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use tokio_util::sync::CancellationToken;

use crate::{
    backplane::BackplaneState,
    config::{Config, Reading},
    error::{Error, Result},
    guard::{most_connections, open_files},
    identity::SharedStore,
    service::{Builder, Serve, Settings, check_directory, tls_problems, traces_problem},
};

/// How far the clocks of two machines may differ; messages between nodes are refused from a minute on.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(20);

/// A secret with fewer different bytes is a word or a pattern.
const LEAST_DIFFERENT: usize = 10;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Ok,
    Warning,
    Error,
}

/// What was looked at, and what is wrong with it.
#[derive(Default)]
pub(super) struct Findings(Vec<(Level, String)>);

impl Findings {
    fn ok(&mut self, text: impl Into<String>) {
        self.0.push((Level::Ok, text.into()));
    }

    fn warning(&mut self, text: impl Into<String>) {
        self.0.push((Level::Warning, text.into()));
    }

    fn error(&mut self, text: impl Into<String>) {
        self.0.push((Level::Error, text.into()));
    }

    fn count(&self, level: Level) -> usize {
        self.0.iter().filter(|(of, _)| *of == level).count()
    }

    /// Whether a deployment should go on. With `strict`, warnings count as well.
    pub(super) fn into_result(self, strict: bool) -> Result {
        let (errors, warnings) = (self.count(Level::Error), self.count(Level::Warning));
        if errors == 0 && (warnings == 0 || !strict) {
            return Ok(());
        }
        let plural = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        Err(Error::Command(format!("check: {} and {}", plural(errors, "error"), plural(warnings, "warning"))))
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.0.iter().map(|(level, text)| {
            let level = match level {
                Level::Ok => "ok",
                Level::Warning => "warning",
                Level::Error => "error",
            };
            format!("{level:<8} {}", text.replace('\n', "\n         "))
        });
        f.write_str(&lines.collect::<Vec<_>>().join("\n"))
    }
}

/// Looks at everything.
pub(super) async fn check(serve: Serve) -> Findings {
    let mut findings = Findings::default();
    let mut settings = serve.settings;
    let reading = settings.config.take().map_or_else(Reading::system, Reading::of);
    let has_state = |of| settings.states.contains(of);
    let (mut config, plan) = match settings.plan(reading, &has_state) {
        Ok(planned) => planned,
        Err(Error::Config(problems) | Error::Startup(problems)) => {
            problems.into_iter().for_each(|problem| findings.error(problem));
            return findings;
        }
        Err(error) => {
            findings.error(error.to_string());
            return findings;
        }
    };
    match plan.sockets_on {
        true => findings.ok(format!("the configuration, and {} channels", plan.mounts.len())),
        false => findings
            .warning("web sockets are off: declare a channel, add one under [channels], or set `use_sockets = true`"),
    }
    drop(plan);
    secret(&config, &mut findings);
    files(&config, &mut findings);
    doors(&config, &mut findings);
    if serve.listener.is_none() {
        listening("bind", &config.bind, &mut findings).await;
    }
    metrics(&config, &mut findings).await;
    match traces_problem(&config).await {
        Some((true, problem)) => findings.error(problem),
        Some((false, problem)) => findings.warning(problem),
        None => {}
    }
    tls(&config, &mut findings);
    if let Some(Err(error)) = config.static_dir.as_deref().map(check_directory) {
        findings.error(error.to_string());
    }
    let own_store = settings.store.is_some();
    let reached = [session_store(&config, own_store, &mut findings).await, backplane(&config, &mut findings).await];
    if reached == [true; 2] {
        // The certificate has been looked at, and nobody else is to be reached.
        config.tls = None;
        config.metrics = None;
        run(settings, config, serve.router, &mut findings).await;
    }
    findings
}

fn secret(config: &Config, findings: &mut Findings) {
    let many = config.backplane.url.is_some();
    let kept = config.session.store != "memory";
    let make = "make one with `openssl rand -base64 48`, and set it as CAROLINA_SESSION__SECRET on every node";
    if config.session.secret.is_empty() {
        match (many, kept) {
            (true, _) => findings.error(format!(
                "session.secret is not set: each node makes its own, so a cookie holds on one node alone, and messages between nodes \
                 are not signed; {make}"
            )),
            (false, true) => {
                findings.error(format!("session.secret is not set: sessions are kept, and their cookies end with the process; {make}"));
            }
            (false, false) => findings.warning(format!("session.secret is not set: sessions end with the process; {make}")),
        }
        return;
    }
    for (number, secret) in config.session.secret.iter().enumerate() {
        let mut bytes: Vec<u8> = secret.bytes().collect();
        bytes.sort_unstable();
        bytes.dedup();
        if bytes.len() < LEAST_DIFFERENT {
            findings.error(format!("session.secret: secret number {} can be guessed; {make}", number + 1));
        }
    }
    findings.ok("session.secret");
}

fn files(config: &Config, findings: &mut Findings) {
    let wanted = config.limits.connections;
    match (open_files(), most_connections(config)) {
        (Some(files), most) if most < wanted => findings.warning(format!(
            "limits.connections is {wanted}, but the process may open {files} files, which is enough for {} clients that poll and {most} \
             others; raise it (`LimitNOFILE=` of systemd, `ulimit -n`), or lower limits.connections",
            most / 2
        )),
        (Some(files), _) => findings.ok(format!("{files} open files are enough for limits.connections = {wanted}")),
        (None, _) => findings.warning(
            "the limit of open files is not known here: it has to be more than twice limits.connections (`ulimit -n`)",
        ),
    }
}

/// Who may come in.
fn doors(config: &Config, findings: &mut Findings) {
    for net in config.trusted_proxies.iter().filter(|net| net.prefix_len() == 0) {
        findings.error(format!(
            "trusted_proxies: `{net}` is everybody, so each client may claim any address, and limits for an address are none; name \
             the proxies' own addresses"
        ));
    }
    let open =
        !config.bind.starts_with("127.") && !config.bind.starts_with("localhost") && !config.bind.starts_with("[::1]");
    if open && config.tls.is_none() && config.trusted_proxies.is_empty() {
        findings.warning(format!(
            "bind: {} is open to other machines without TLS: set [tls]; or, if a proxy is in front, name its address in trusted_proxies, \
             since otherwise all clients count as one address (limits.connections_per_address = {}) and cookies are not `Secure`",
            config.bind, config.limits.connections_per_address
        ));
    }
    for origin in config.origins.iter().filter(|origin| origin.starts_with("http://")) {
        let host = origin.trim_start_matches("http://");
        if !["localhost", "127.", "[::1]"].iter().any(|own| host.starts_with(own)) {
            findings.warning(format!(
                "origins: pages of `{origin}` come without TLS, so whoever is on their network can change them and use the session; serve \
                 them by https"
            ));
        }
    }
    if config.session.secure == Some(false) {
        findings.warning("session.secure is false: the session cookie is sent without TLS as well; leave the key out, or set it to true");
    }
}

async fn listening(key: &str, address: &str, findings: &mut Findings) {
    match tokio::net::TcpListener::bind(address).await {
        Ok(_) => findings.ok(format!("{address} can be listened on")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => findings.warning(format!(
            "{key}: something listens on {address} already: end it before this one starts, unless it is this application"
        )),
        Err(error) => findings.error(format!(
            "{key}: cannot listen on {address}: {error}; take an address of this machine, and a port from 1024 on or the right to lower ones"
        )),
    }
}

async fn metrics(config: &Config, findings: &mut Findings) {
    match &config.metrics {
        None => {}
        Some(_) if cfg!(not(feature = "prometheus")) => findings
            .error("metrics: this program was built without it; enable the feature `prometheus` of carolina-sockets"),
        Some(address) if *address == config.bind => findings.error(format!(
            "metrics: {address} is also `bind`, where clients come in: write another port, which they cannot reach"
        )),
        Some(address) => listening("metrics", address, findings).await,
    }
}

fn tls(config: &Config, findings: &mut Findings) {
    let Some(tls) = &config.tls else { return };
    let problems = tls_problems(config);
    if problems.is_empty() {
        findings.ok(format!("the certificate in `{}` and its key", tls.cert.display()));
    }
    for (is_error, problem) in problems {
        if is_error { findings.error(problem) } else { findings.warning(problem) }
    }
    #[cfg(unix)]
    if let Ok(file) = std::fs::metadata(&tls.key) {
        use std::os::unix::fs::PermissionsExt;
        if file.permissions().mode() & 0o004 != 0 {
            findings.warning(format!(
                "tls.key: every user of this machine may read `{0}`; `chmod o-r {0}`",
                tls.key.display()
            ));
        }
    }
}

async fn session_store(config: &Config, is_own: bool, findings: &mut Findings) -> bool {
    if is_own {
        findings.ok("the session store is the application's own, and is not looked at");
        return true;
    }
    if config.session.store == "memory" {
        match &config.backplane.url {
            Some(_) => findings.error(
                "session.store is memory: each node has sessions of its own, so who has logged in on one is unknown to the others; keep them \
                 where all nodes reach them, as session.store = \"redis://…\" or \"postgres://…\"",
            ),
            None => findings.warning(
                "session.store is memory: everybody is logged out by a restart; keep sessions as \"sqlite://…\", \"redis://…\" or \"postgres://…\"",
            ),
        }
    }
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    match SharedStore::connect(&config.session.store, &stop).await {
        Ok(_) => findings.ok("the session store answers"),
        Err(error) => {
            findings.error(error.to_string());
            return false;
        }
    }
    true
}

async fn backplane(config: &Config, findings: &mut Findings) -> bool {
    if config.backplane.url.is_none() {
        return true;
    }
    let bus = match BackplaneState::connect(config).await {
        Ok(state) => state.bus(),
        Err(error) => {
            findings.error(error.to_string());
            return false;
        }
    };
    findings.ok("the backplane answers");
    match bus.server_time().await {
        Some(there) => clock(SystemTime::now(), there, findings),
        None => findings
            .warning("the backplane does not tell the time: synchronize the nodes' clocks, as with systemd-timesyncd"),
    }
    true
}

fn clock(here: SystemTime, there: SystemTime, findings: &mut Findings) {
    let apart = here.duration_since(there).unwrap_or_else(|error| error.duration());
    if apart > CLOCK_TOLERANCE {
        findings.error(format!(
            "this machine's clock and that of the backplane differ by {} s: nodes refuse messages that are a minute old; synchronize both, \
             as with systemd-timesyncd or chrony",
            apart.as_secs()
        ));
    } else {
        findings.ok("the clock");
    }
}

/// Starts the service on a port of its own, and asks it what clients would.
async fn run(settings: Settings, config: Config, router: axum::Router, findings: &mut Findings) {
    let sockets = match Builder::from(settings).config(config.clone()).build().await {
        Ok(sockets) => sockets,
        Err(Error::Startup(problems)) => return problems.into_iter().for_each(|problem| findings.error(problem)),
        Err(error) => return findings.error(error.to_string()),
    };
    if let Err(error) = ask::itself(sockets, &config, router, findings).await {
        findings.error(format!("the service cannot be asked over the loopback address: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(look: impl FnOnce(&mut Findings)) -> String {
        let mut findings = Findings::default();
        look(&mut findings);
        findings.to_string()
    }

    #[test]
    fn clocks_may_differ_a_little() {
        let now = SystemTime::now();
        let apart = |seconds| told(|findings| clock(now, now + Duration::from_secs(seconds), findings));
        assert!(apart(5).starts_with("ok"), "{}", apart(5));
        assert!(apart(90).starts_with("error") && apart(90).contains("differ by 90 s"), "{}", apart(90));
        assert!(told(|findings| clock(now + Duration::from_secs(90), now, findings)).starts_with("error"));
    }

    #[test]
    fn warnings_fail_a_strict_check_alone() {
        let findings = |warnings: usize, errors: usize| {
            let mut findings = Findings::default();
            findings.ok("this");
            (0..warnings).for_each(|_| findings.warning("that"));
            (0..errors).for_each(|_| findings.error("other"));
            findings
        };
        assert!(findings(1, 0).into_result(false).is_ok());
        assert!(findings(0, 0).into_result(true).is_ok());
        let error = findings(1, 0).into_result(true).unwrap_err().to_string();
        assert_eq!(error, "check: 0 errors and 1 warning");
        assert!(findings(0, 1).into_result(false).is_err());
    }
}
