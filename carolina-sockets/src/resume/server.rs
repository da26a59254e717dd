//! The tasks for the logs of the server between the nodes: reading those that this node is behind of, writing the sessions that have changed, and registering
//! the channels.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::StreamExt;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Notify, Semaphore, mpsc},
    time::Instant,
};

use super::{Log, Resumes};
use crate::{
    background::Background,
    backplane::{BackplaneError, Position, Retention, SaveSession, SharedLog},
    config::ResumeConfig,
    template::Template,
};

/// How many kilobytes may be on their way to the server.
const MAX_APPENDING_KILOBYTES: usize = 16 * 1024;
/// How many logs are read, and sessions written, at the same time.
const CONCURRENCY: usize = 64;
/// How often the connection to the server is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// How long the end of the service may wait until sessions are written.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);
/// The name of the list of channels that have logs.
const CHANNELS: &str = "channels";

/// The server between the nodes, as the logs of this node use it.
pub(super) struct Server {
    pub(super) log: SharedLog,
    pub(super) retention: Retention,
    /// In kilobytes.
    append_budget: Semaphore,
    /// The logs that are to be read.
    reads: mpsc::UnboundedSender<ScheduledRead>,
    read_queue: Mutex<Option<mpsc::UnboundedReceiver<ScheduledRead>>>,
    /// The sessions that are to be written, by path and `pid`.
    changed: Mutex<HashMap<(String, Arc<str>), ChangedSession>>,
    is_changed: Notify,
    /// Held while sessions are written, so that what is written of one stays in order.
    writing: tokio::sync::Mutex<()>,
}

/// A log that is to be read, and after which delay.
type ScheduledRead = (Weak<Log>, Duration);

/// A session that is to be written.
struct ChangedSession {
    log: Weak<Log>,
    claim: u64,
}

/// A channel that has a log, or a template whose instances have.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LoggedChannel {
    path: String,
    #[serde(flatten)]
    retention: Retention,
}

impl Server {
    pub(super) fn new(log: SharedLog, settings: &ResumeConfig) -> Self {
        let (reads, read_queue) = mpsc::unbounded_channel();
        let retention = Retention {
            events: settings.events as u64,
            bytes: settings.bytes,
            window: u64::try_from(settings.window.as_millis()).unwrap_or(u64::MAX).max(1),
        };
        Self {
            log,
            retention,
            append_budget: Semaphore::new(MAX_APPENDING_KILOBYTES),
            reads,
            read_queue: Mutex::new(Some(read_queue)),
            changed: Mutex::default(),
            is_changed: Notify::new(),
            writing: tokio::sync::Mutex::default(),
        }
    }

    /// Appends an entry; what waits is bounded.
    pub(super) async fn append(&self, path: &str, entry: &str) -> Result<Position, BackplaneError> {
        let kilobytes = u32::try_from((entry.len() / 1024 + 1).min(MAX_APPENDING_KILOBYTES)).unwrap_or(u32::MAX);
        let _permits = self.append_budget.acquire_many(kilobytes).await.map_err(BackplaneError::new)?;
        self.log.append(path, self.retention, entry).await
    }

    /// Has a log read after a delay.
    pub(super) fn schedule_read(&self, log: &Weak<Log>, delay: Duration) {
        // Nobody reads when the service ends.
        let _ = self.reads.send((log.clone(), delay));
    }

    /// Has a session written.
    pub(super) fn schedule_write(&self, log: &Log, pid: &Arc<str>, claim: u64) {
        let changed = ChangedSession { log: log.weak.clone(), claim };
        self.changed.lock().insert((log.path.clone(), pid.clone()), changed);
        self.is_changed.notify_one();
    }

    async fn run_reads(self: Arc<Self>) {
        let Some(read_queue) = self.read_queue.lock().take() else { return };
        let read_queue = futures_util::stream::unfold(read_queue, |mut read_queue| async {
            Some((read_queue.recv().await?, read_queue))
        });
        let read = async |(log, delay): ScheduledRead| {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            if let Some(log) = log.upgrade() {
                log.sync(&self).await;
            }
        };
        read_queue.for_each_concurrent(CONCURRENCY, read).await;
    }

    async fn run_writes(self: Arc<Self>) {
        loop {
            self.is_changed.notified().await;
            self.write_changed().await;
        }
    }

    /// Writes what has changed by now.
    async fn write_changed(&self) {
        let _guard = self.writing.lock().await;
        let changed = std::mem::take(&mut *self.changed.lock());
        let write = changed.into_iter().map(async |((path, pid), ChangedSession { log, claim })| {
            let Some(log) = log.upgrade() else { return };
            let Some((data, ttl)) = log.session_record(&pid) else { return };
            let save = SaveSession { path, pid: pid.to_string(), claim, data, ttl };
            match self.log.save_session(&save).await {
                Ok(true) => {}
                Ok(false) => log.drop_session(&pid, claim),
                // All are written again when the server is back.
                Err(error) => tracing::debug!(%error, "the session of a client that may come back was not written"),
            }
        });
        futures_util::stream::iter(write).for_each_concurrent(CONCURRENCY, |written| written).await;
    }

    /// Writes what has changed, before the service ends.
    pub(super) async fn flush(&self) {
        let _ = tokio::time::timeout(FLUSH_TIMEOUT, self.write_changed()).await;
    }

    /// Registers the channels that have logs, for some time.
    async fn register_channels(&self, logs: &[(String, Arc<Log>)], ttl: Duration) -> Result<(), BackplaneError> {
        let mut lists: HashMap<String, Vec<String>> = HashMap::new();
        for (path, log) in logs {
            if path == log.declared_path() {
                let channel = LoggedChannel { path: path.clone(), retention: self.retention };
                let text = serde_json::to_string(&channel).map_err(BackplaneError::new)?;
                lists.entry(CHANNELS.to_owned()).or_default().push(text);
            } else {
                lists.entry(instances(log.declared_path())).or_default().push(path.clone());
            }
        }
        for (list, names) in lists {
            self.log.register(&list, &names, ttl).await?;
        }
        Ok(())
    }

    /// Registers an instance of a template.
    pub(super) async fn register_instance(&self, log: &Log) {
        if log.path != log.declared_path() {
            let list = instances(log.declared_path());
            let paths = std::slice::from_ref(&log.path);
            if let Err(error) = self.log.register(&list, paths, self.registration_ttl()).await {
                tracing::debug!(%error, "an instance was not registered for other nodes");
            }
        }
    }

    fn registration_ttl(&self) -> Duration {
        Duration::from_millis(self.retention.window).saturating_mul(2).max(Duration::from_secs(60))
    }

    /// Compares the heads of the logs with those of this node, and so renews their time to live.
    async fn compare(&self, logs: &[(String, Arc<Log>)]) {
        let used: Vec<&(String, Arc<Log>)> = logs.iter().filter(|(_, log)| !log.is_unused()).collect();
        let paths: Vec<String> = used.iter().map(|(path, _)| path.clone()).collect();
        let Ok(heads) = self.log.heads(&paths, self.retention).await else { return };
        for ((_, log), head) in used.into_iter().zip(heads) {
            log.compare(head.as_ref().map(|(epoch, last)| (epoch.as_str(), *last)));
        }
    }

    async fn run(self: Arc<Self>, resumes: Weak<Resumes>) {
        let window = Duration::from_millis(self.retention.window);
        let compare_every = (window / 8).clamp(POLL_INTERVAL, Duration::from_secs(5));
        let write_every = (window / 4).max(POLL_INTERVAL);
        let (mut connects, mut compared, mut written) = (self.log.connects(), Instant::now(), Instant::now());
        let mut registered: Option<Instant> = None;
        loop {
            let Some(resumes) = resumes.upgrade() else { return };
            let logs = resumes.all();
            if registered.is_none_or(|registered| registered.elapsed() >= self.registration_ttl() / 4) {
                match self.register_channels(&logs, self.registration_ttl()).await {
                    Ok(()) => registered = Some(Instant::now()),
                    Err(error) => {
                        tracing::debug!(%error, "the channels that resume were not registered for other processes")
                    }
                }
            }
            let now = self.log.connects();
            if self.log.is_up() {
                let is_new = std::mem::replace(&mut connects, now) != now;
                for (_, log) in &logs {
                    log.catch_up(is_new);
                }
                if is_new {
                    registered = None;
                }
            }
            if compared.elapsed() >= compare_every {
                compared = Instant::now();
                self.compare(&logs).await;
            }
            if written.elapsed() >= write_every {
                written = Instant::now();
                logs.iter().for_each(|(_, log)| log.schedule_connected_writes());
            }
            drop((logs, resumes));
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    pub(super) fn start(self: &Arc<Self>, resumes: &Arc<Resumes>, background: &Background) {
        background.spawn(self.clone().run_reads());
        background.spawn(self.clone().run_writes());
        background.spawn(self.clone().run(Arc::downgrade(resumes)));
    }
}

/// The name of the list of a template's instances.
fn instances(of: &str) -> String {
    format!("instances:{of}")
}

/// The instances of a template that any node has.
///
/// # Errors
///
/// When the server does not tell.
pub(crate) async fn instances_of(log: &SharedLog, of: &str) -> Result<Vec<String>, BackplaneError> {
    log.registered(&instances(of)).await
}

/// The channels of all nodes that have a log.
///
/// # Errors
///
/// When the server does not tell.
pub(crate) async fn logged_channels(log: &SharedLog) -> Result<Vec<LoggedChannel>, BackplaneError> {
    let texts = log.registered(CHANNELS).await?;
    Ok(texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect())
}

impl LoggedChannel {
    /// What its logs keep.
    pub(crate) fn retention(&self) -> Retention {
        self.retention
    }

    /// Whether it is declared at this path.
    pub(crate) fn is_at(&self, path: &str) -> bool {
        self.path == path
    }

    /// The path of the log for what is sent to a path, if this channel has it. For a template there is one for each instance.
    pub(crate) fn log_of(&self, path: &str) -> Option<LogTarget> {
        let template = Template::parse(&self.path);
        match template {
            Some(_) if self.path == path => Some(LogTarget::Instances(self.path.clone())),
            Some(template) if template.matches(path) => Some(LogTarget::One(template.canonical(path).into_owned())),
            Some(_) => None,
            None => (self.path == path).then(|| LogTarget::One(self.path.clone())),
        }
    }
}

/// The logs for what is sent to a path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LogTarget {
    One(String),
    /// Of a template.
    Instances(String),
}
