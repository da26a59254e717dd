use std::collections::HashMap;

use socketioxide_postgres::drivers::Notification;
use sqlx::{PgPool, postgres::PgListener};
use tokio::sync::{mpsc, oneshot};

use super::{MAGIC, PostgresError, RETRY};
use crate::{
    backplane::lost,
    guard::{Cause, refused},
};

/// One notification.
pub(crate) struct Note {
    pub(super) channel: String,
    pub(super) payload: String,
}

impl Notification for Note {
    fn channel(&self) -> &str {
        &self.channel
    }

    fn payload(&self) -> &str {
        &self.payload
    }
}

/// The one connection that listens for all namespaces: with one for each, the channels of an application would be
/// limited by the server's connections.
#[derive(Clone)]
pub(super) struct Ear(mpsc::Sender<Wish>);

/// Somebody who wants to hear of channels.
struct Wish {
    channels: Vec<String>,
    to: mpsc::Sender<Note>,
    done: oneshot::Sender<Result<(), sqlx::Error>>,
}

impl Ear {
    /// It takes a connection of the pool for as long as it is there.
    pub(super) async fn open(pool: &PgPool) -> Result<Self, sqlx::Error> {
        let listener = PgListener::connect_with(pool).await?;
        let (wishes, wished) = mpsc::channel(1);
        tokio::spawn(listen(listener, wished));
        Ok(Self(wishes))
    }

    /// Has what is notified on channels handed on, until its receiver is dropped.
    pub(super) async fn listen(&self, channels: &[&str], to: mpsc::Sender<Note>) -> Result<(), PostgresError> {
        let ended = || PostgresError("the connection that listens has ended".to_owned());
        let (done, answer) = oneshot::channel();
        let channels = channels.iter().map(|&channel| channel.to_owned()).collect();
        self.0.send(Wish { channels, to, done }).await.map_err(|_| ended())?;
        Ok(answer.await.map_err(|_| ended())??)
    }
}

async fn listen(mut listener: PgListener, mut wished: mpsc::Receiver<Wish>) {
    let mut handlers = HashMap::new();
    loop {
        // It connects and listens again by itself, but does not wait between two attempts.
        let received = tokio::select! {
            wish = wished.recv() => match wish {
                Some(wish) => {
                    fulfil(&mut listener, &mut handlers, wish).await;
                    continue;
                }
                None => return,
            },
            received = listener.recv() => received,
        };
        match received {
            Ok(note) => hand_on(&mut handlers, note.channel(), note.payload()),
            Err(_) => tokio::time::sleep(RETRY).await,
        }
    }
}

async fn fulfil(listener: &mut PgListener, handlers: &mut HashMap<String, mpsc::Sender<Note>>, wish: Wish) {
    let Wish { channels, to, done } = wish;
    let listens = listener.listen_all(channels.iter().map(String::as_str)).await;
    if listens.is_ok() {
        handlers.extend(channels.into_iter().map(|channel| (channel, to.clone())));
    }
    // Who does not wait for the answer any more has dropped the receiver of notes as well.
    let _ = done.send(listens);
}

fn hand_on(handlers: &mut HashMap<String, mpsc::Sender<Note>>, channel: &str, payload: &str) {
    let Some(payload) = payload.strip_prefix(MAGIC) else {
        return refused(Cause::Backplane, &format!("a message on `{channel}` that comes from no node"));
    };
    let Some(to) = handlers.get(channel) else { return };
    let note = Note { channel: channel.to_owned(), payload: payload.to_owned() };
    match to.try_send(note) {
        Ok(()) => {}
        Err(mpsc::error::TrySendError::Full(_)) => lost(&"messages of other nodes came too fast"),
        Err(mpsc::error::TrySendError::Closed(_)) => {
            handlers.remove(channel);
        }
    }
}
