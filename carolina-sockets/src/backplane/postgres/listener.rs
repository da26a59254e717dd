use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use socketioxide_postgres::drivers::Notification;
use sqlx::{PgPool, postgres::PgListener};
use tokio::sync::{mpsc, oneshot};

use super::{PostgresError, RETRY_DELAY};
use crate::backplane::{record_lost, signature::Verifier};

/// One notification.
pub(crate) struct PgNotification {
    pub(super) channel: String,
    pub(super) payload: String,
}

impl Notification for PgNotification {
    fn channel(&self) -> &str {
        &self.channel
    }

    fn payload(&self) -> &str {
        &self.payload
    }
}

/// The single connection that listens for all namespaces: with one each, the server's connection limit would bound the
/// number of channels.
#[derive(Clone)]
pub(super) struct Listener {
    requests: mpsc::Sender<Subscribe>,
    /// How often it was connected: notifications in between are lost.
    pub(super) connects: Arc<AtomicU64>,
}

/// A request to receive the notifications of channels.
struct Subscribe {
    channels: Vec<String>,
    to: Handler,
    done: oneshot::Sender<Result<(), sqlx::Error>>,
}

/// Who gets notifications.
#[derive(Clone)]
struct Handler {
    to: mpsc::Sender<PgNotification>,
    /// Whether they are messages with a signature, which is checked here.
    is_signed: bool,
}

impl Listener {
    /// Takes a connection from the pool and keeps it.
    pub(super) async fn connect(pool: &PgPool, verifier: Verifier) -> Result<Self, sqlx::Error> {
        let listener = PgListener::connect_with(pool).await?;
        let (requests, received) = mpsc::channel(1);
        let connects = Arc::new(AtomicU64::new(1));
        tokio::spawn(listen(listener, verifier, received, connects.clone()));
        Ok(Self { requests, connects })
    }

    /// Forwards the notifications of channels to `to`, until its receiver is dropped.
    pub(super) async fn listen(
        &self,
        channels: &[&str],
        to: mpsc::Sender<PgNotification>,
    ) -> Result<(), PostgresError> {
        self.subscribe(channels, Handler { to, is_signed: true }).await
    }

    /// The same for notifications of whose payload a part is signed.
    pub(super) async fn listen_unsigned(
        &self,
        channel: &str,
        to: mpsc::Sender<PgNotification>,
    ) -> Result<(), PostgresError> {
        self.subscribe(&[channel], Handler { to, is_signed: false }).await
    }

    async fn subscribe(&self, channels: &[&str], to: Handler) -> Result<(), PostgresError> {
        let (done, answer) = oneshot::channel();
        let channels = channels.iter().map(|&channel| channel.to_owned()).collect();
        self.requests.send(Subscribe { channels, to, done }).await.map_err(|_| PostgresError::ListenerEnded)?;
        Ok(answer.await.map_err(|_| PostgresError::ListenerEnded)??)
    }
}

async fn listen(
    mut listener: PgListener,
    verifier: Verifier,
    mut requests: mpsc::Receiver<Subscribe>,
    connects: Arc<AtomicU64>,
) {
    let mut handlers = HashMap::new();
    loop {
        // It reconnects and listens again by itself, but without a delay between attempts.
        let received = tokio::select! {
            request = requests.recv() => match request {
                Some(request) => {
                    subscribe(&mut listener, &mut handlers, request).await;
                    continue;
                }
                None => return,
            },
            received = listener.try_recv() => received,
        };
        match received {
            Ok(None) => drop(connects.fetch_add(1, Ordering::AcqRel)),
            Ok(Some(note)) => forward(&verifier, &mut handlers, note.channel(), note.payload()),
            Err(_) => tokio::time::sleep(RETRY_DELAY).await,
        }
    }
}

async fn subscribe(listener: &mut PgListener, handlers: &mut HashMap<String, Handler>, request: Subscribe) {
    let Subscribe { channels, to, done } = request;
    let listens = listener.listen_all(channels.iter().map(String::as_str)).await;
    if listens.is_ok() {
        handlers.extend(channels.into_iter().map(|channel| (channel, to.clone())));
    }
    // A requester that no longer waits for the answer has dropped the receiver of notifications as well.
    let _ = done.send(listens);
}

fn forward(verifier: &Verifier, handlers: &mut HashMap<String, Handler>, channel: &str, payload: &str) {
    let is_signed = handlers.get(channel).is_none_or(|handler| handler.is_signed);
    let payload = match is_signed.then(|| verifier.open_text(channel, payload)) {
        None => payload,
        Some(Ok(payload)) => payload,
        Some(Err(refusal)) => return refusal.tell(channel),
    };
    let Some(Handler { to, .. }) = handlers.get(channel) else { return };
    let note = PgNotification { channel: channel.to_owned(), payload: payload.to_owned() };
    match to.try_send(note) {
        Ok(()) => {}
        Err(mpsc::error::TrySendError::Full(_)) => record_lost(&"messages of other nodes came too fast"),
        Err(mpsc::error::TrySendError::Closed(_)) => {
            handlers.remove(channel);
        }
    }
}
