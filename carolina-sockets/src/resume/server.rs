//! What this node does with the logs of the server between the nodes: reads those that it is behind of, and writes which clients are here.

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
    backplane::{At, BackplaneError, Bounds, Save, SharedLog},
    config::ResumeConfig,
    template::Template,
};

/// How many kilobytes may wait to be appended.
const ROOM: usize = 16 * 1024;
/// How many logs are read, and clients written, at once.
const AT_ONCE: usize = 64;
/// How often it is looked whether the server was away.
const TICK: Duration = Duration::from_millis(250);
/// How long the end of the service may wait until clients are written.
const END: Duration = Duration::from_secs(1);
/// The list of channels that have logs.
const CHANNELS: &str = "channels";

/// The server between the nodes, as the logs of this node use it.
pub(super) struct Server {
    pub(super) log: SharedLog,
    pub(super) bounds: Bounds,
    /// Kilobytes that may be on their way.
    room: Semaphore,
    /// Logs that are to be read.
    wanted: mpsc::UnboundedSender<Wanted>,
    queue: Mutex<Option<mpsc::UnboundedReceiver<Wanted>>>,
    /// Clients that are to be written, by path and `pid`.
    changed: Mutex<HashMap<(String, Arc<str>), Changed>>,
    is_changed: Notify,
    /// One after another, so that what is written of a client stays in order.
    writing: tokio::sync::Mutex<()>,
}

/// A log that is to be read, and how long later.
type Wanted = (Weak<Log>, Duration);

/// A client that is to be written.
struct Changed {
    log: Weak<Log>,
    claim: u64,
}

/// A channel that has a log, or a template whose instances have.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Channel {
    path: String,
    #[serde(flatten)]
    bounds: Bounds,
}

impl Server {
    pub(super) fn new(log: SharedLog, settings: &ResumeConfig) -> Self {
        let (wanted, queue) = mpsc::unbounded_channel();
        let bounds = Bounds {
            events: settings.events as u64,
            bytes: settings.bytes,
            window: u64::try_from(settings.window.as_millis()).unwrap_or(u64::MAX).max(1),
        };
        Self {
            log,
            bounds,
            room: Semaphore::new(ROOM),
            wanted,
            queue: Mutex::new(Some(queue)),
            changed: Mutex::default(),
            is_changed: Notify::new(),
            writing: tokio::sync::Mutex::default(),
        }
    }

    /// Appends an entry; what waits is bounded.
    pub(super) async fn append(&self, path: &str, entry: &str) -> Result<At, BackplaneError> {
        let kilobytes = u32::try_from((entry.len() / 1024 + 1).min(ROOM)).unwrap_or(u32::MAX);
        let _room = self.room.acquire_many(kilobytes).await.map_err(BackplaneError::new)?;
        self.log.append(path, self.bounds, entry).await
    }

    /// Has a log read, after some time.
    pub(super) fn want(&self, log: &Weak<Log>, later: Duration) {
        // Nobody reads when the service ends.
        let _ = self.wanted.send((log.clone(), later));
    }

    /// Has a client written.
    pub(super) fn changed(&self, log: &Log, pid: &Arc<str>, claim: u64) {
        let changed = Changed { log: log.me.clone(), claim };
        self.changed.lock().insert((log.path.clone(), pid.clone()), changed);
        self.is_changed.notify_one();
    }

    async fn read_wanted(self: Arc<Self>) {
        let Some(queue) = self.queue.lock().take() else { return };
        let queue = futures_util::stream::unfold(queue, |mut queue| async { Some((queue.recv().await?, queue)) });
        let read = async |(log, later): Wanted| {
            if !later.is_zero() {
                tokio::time::sleep(later).await;
            }
            if let Some(log) = log.upgrade() {
                log.copy(&self).await;
            }
        };
        queue.for_each_concurrent(AT_ONCE, read).await;
    }

    async fn write_changed(self: Arc<Self>) {
        loop {
            self.is_changed.notified().await;
            self.write_all().await;
        }
    }

    /// Writes what has changed by now.
    async fn write_all(&self) {
        let _turn = self.writing.lock().await;
        let changed = std::mem::take(&mut *self.changed.lock());
        let write = changed.into_iter().map(async |((path, pid), Changed { log, claim })| {
            let Some(log) = log.upgrade() else { return };
            let Some((data, keep)) = log.record(&pid) else { return };
            let save = Save { path, pid: pid.to_string(), claim, data, keep };
            match self.log.save(&save).await {
                Ok(true) => {}
                Ok(false) => log.lose(&pid, claim),
                // All are written again when the server is back.
                Err(error) => tracing::debug!(%error, "a client that may come back was not written"),
            }
        });
        futures_util::stream::iter(write).for_each_concurrent(AT_ONCE, |written| written).await;
    }

    /// Writes what has changed, before the service ends.
    pub(super) async fn flush(&self) {
        let _ = tokio::time::timeout(END, self.write_all()).await;
    }

    /// Tells which channels have logs, for some time.
    async fn tell_channels(&self, logs: &[(String, Arc<Log>)], keep: Duration) -> Result<(), BackplaneError> {
        let mut lists: HashMap<String, Vec<String>> = HashMap::new();
        for (path, log) in logs {
            if path == log.of() {
                let channel = Channel { path: path.clone(), bounds: self.bounds };
                let text = serde_json::to_string(&channel).map_err(BackplaneError::new)?;
                lists.entry(CHANNELS.to_owned()).or_default().push(text);
            } else {
                lists.entry(instances(log.of())).or_default().push(path.clone());
            }
        }
        for (list, names) in lists {
            self.log.note(&list, &names, keep).await?;
        }
        Ok(())
    }

    /// Tells that there is an instance.
    pub(super) async fn tell_instance(&self, log: &Log) {
        if log.path != log.of() {
            let told = self.log.note(&instances(log.of()), std::slice::from_ref(&log.path), self.keep()).await;
            if let Err(error) = told {
                tracing::debug!(%error, "an instance was not told to other nodes");
            }
        }
    }

    fn keep(&self) -> Duration {
        Duration::from_millis(self.bounds.window).saturating_mul(2).max(Duration::from_secs(60))
    }

    /// Looks whether this node is behind of any log, which keeps the server from forgetting it.
    async fn compare(&self, logs: &[(String, Arc<Log>)]) {
        let used: Vec<&(String, Arc<Log>)> = logs.iter().filter(|(_, log)| !log.is_unused()).collect();
        let paths: Vec<String> = used.iter().map(|(path, _)| path.clone()).collect();
        let Ok(heads) = self.log.heads(&paths, self.bounds).await else { return };
        for ((_, log), head) in used.into_iter().zip(heads) {
            log.compare(head.as_ref().map(|(epoch, last)| (epoch.as_str(), *last)));
        }
    }

    async fn tick(self: Arc<Self>, resumes: Weak<Resumes>) {
        let window = Duration::from_millis(self.bounds.window);
        let compare_every = (window / 8).clamp(TICK, Duration::from_secs(5));
        let write_every = (window / 4).max(TICK);
        let (mut connects, mut compared, mut written) = (self.log.connects(), Instant::now(), Instant::now());
        let mut told: Option<Instant> = None;
        loop {
            let Some(resumes) = resumes.upgrade() else { return };
            let logs = resumes.all();
            if told.is_none_or(|told| told.elapsed() >= self.keep() / 4) {
                match self.tell_channels(&logs, self.keep()).await {
                    Ok(()) => told = Some(Instant::now()),
                    Err(error) => tracing::debug!(%error, "other processes were not told which channels resume"),
                }
            }
            let now = self.log.connects();
            if self.log.is_up() {
                let is_new = std::mem::replace(&mut connects, now) != now;
                for (_, log) in &logs {
                    log.catch_up(is_new);
                }
                if is_new {
                    told = None;
                }
            }
            if compared.elapsed() >= compare_every {
                compared = Instant::now();
                self.compare(&logs).await;
            }
            if written.elapsed() >= write_every {
                written = Instant::now();
                logs.iter().for_each(|(_, log)| log.touch_all());
            }
            drop((logs, resumes));
            tokio::time::sleep(TICK).await;
        }
    }

    pub(super) fn start(self: &Arc<Self>, resumes: &Arc<Resumes>, background: &Background) {
        background.spawn(self.clone().read_wanted());
        background.spawn(self.clone().write_changed());
        background.spawn(self.clone().tick(Arc::downgrade(resumes)));
    }
}

/// The list of a template's instances.
fn instances(of: &str) -> String {
    format!("instances:{of}")
}

/// The instances of a template that any node has.
///
/// # Errors
///
/// When the server does not tell.
pub(crate) async fn instances_of(log: &SharedLog, of: &str) -> Result<Vec<String>, BackplaneError> {
    log.noted(&instances(of)).await
}

/// The channels of all nodes that have a log.
///
/// # Errors
///
/// When the server does not tell.
pub(crate) async fn channels(log: &SharedLog) -> Result<Vec<Channel>, BackplaneError> {
    let texts = log.noted(CHANNELS).await?;
    Ok(texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect())
}

impl Channel {
    /// What its logs keep.
    pub(crate) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Whether it is declared at this path.
    pub(crate) fn is_at(&self, path: &str) -> bool {
        self.path == path
    }

    /// The path of the log for what is sent to a path, if this channel has it. For a template there is one for each instance.
    pub(crate) fn log_of(&self, path: &str) -> Option<To> {
        let template = Template::parse(&self.path);
        match template {
            Some(_) if self.path == path => Some(To::Instances(self.path.clone())),
            Some(template) if template.matches(path) => Some(To::One(template.canonical(path).into_owned())),
            Some(_) => None,
            None => (self.path == path).then(|| To::One(self.path.clone())),
        }
    }
}

/// The logs for what is sent to a path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum To {
    One(String),
    /// Of a template.
    Instances(String),
}
