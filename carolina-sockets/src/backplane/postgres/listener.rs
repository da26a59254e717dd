use std::collections::HashMap;

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
pub(super) struct Listener(mpsc::Sender<Subscribe>);

/// A request to receive the notifications of channels.
struct Subscribe {
    channels: Vec<String>,
    to: mpsc::Sender<PgNotification>,
    done: oneshot::Sender<Result<(), sqlx::Error>>,
}

impl Listener {
    /// Takes a connection from the pool and keeps it.
    pub(super) async fn connect(pool: &PgPool, verifier: Verifier) -> Result<Self, sqlx::Error> {
        let listener = PgListener::connect_with(pool).await?;
        let (requests, received) = mpsc::channel(1);
        tokio::spawn(listen(listener, verifier, received));
        Ok(Self(requests))
    }

    /// Forwards the notifications of channels to `to`, until its receiver is dropped.
    pub(super) async fn listen(
        &self,
        channels: &[&str],
        to: mpsc::Sender<PgNotification>,
    ) -> Result<(), PostgresError> {
        let (done, answer) = oneshot::channel();
        let channels = channels.iter().map(|&channel| channel.to_owned()).collect();
        self.0.send(Subscribe { channels, to, done }).await.map_err(|_| PostgresError::ListenerEnded)?;
        Ok(answer.await.map_err(|_| PostgresError::ListenerEnded)??)
    }
}

async fn listen(mut listener: PgListener, verifier: Verifier, mut requests: mpsc::Receiver<Subscribe>) {
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
            received = listener.recv() => received,
        };
        match received {
            Ok(note) => forward(&verifier, &mut handlers, note.channel(), note.payload()),
            Err(_) => tokio::time::sleep(RETRY_DELAY).await,
        }
    }
}

async fn subscribe(
    listener: &mut PgListener,
    handlers: &mut HashMap<String, mpsc::Sender<PgNotification>>,
    request: Subscribe,
) {
    let Subscribe { channels, to, done } = request;
    let listens = listener.listen_all(channels.iter().map(String::as_str)).await;
    if listens.is_ok() {
        handlers.extend(channels.into_iter().map(|channel| (channel, to.clone())));
    }
    // A requester that no longer waits for the answer has dropped the receiver of notifications as well.
    let _ = done.send(listens);
}

fn forward(
    verifier: &Verifier,
    handlers: &mut HashMap<String, mpsc::Sender<PgNotification>>,
    channel: &str,
    payload: &str,
) {
    let payload = match verifier.open_text(channel, payload) {
        Ok(payload) => payload,
        Err(refusal) => return refusal.tell(channel),
    };
    let Some(to) = handlers.get(channel) else { return };
    let note = PgNotification { channel: channel.to_owned(), payload: payload.to_owned() };
    match to.try_send(note) {
        Ok(()) => {}
        Err(mpsc::error::TrySendError::Full(_)) => record_lost(&"messages of other nodes came too fast"),
        Err(mpsc::error::TrySendError::Closed(_)) => {
            handlers.remove(channel);
        }
    }
}
