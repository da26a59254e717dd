use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    sync::OnceCell,
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::Inner;
use crate::{
    core::{SocketState, end},
    engine::{ClientConnection, DisconnectReason, SocketId},
};

/// How long closing the connections may take, after the handlers have finished or timed out.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How often it is asked whether a client's handlers have finished.
const POLL: Duration = Duration::from_millis(5);

/// How long the last packets of a client have to be written, before its connection is closed.
const FLUSH: Duration = Duration::from_millis(100);

/// How long clients that poll have to fetch what they were told last.
#[cfg(feature = "serve")]
const FETCH: Duration = Duration::from_secs(1);

/// The steps of a shutdown that are done once, whoever asks for them.
#[derive(Default)]
pub(super) struct Ending {
    left: OnceCell<()>,
    sent_away: OnceCell<()>,
}

/// Shuts a service down in order: not ready, no new clients, the clients one after another, then all that is left.
pub(super) async fn shutdown(service: &Arc<Inner>) {
    leave(service).await;
    send_away(service).await;
    finish(service).await;
}

#[cfg(feature = "serve")]
impl Inner {
    /// The first step of a shutdown.
    pub(super) async fn leave(&self) {
        leave(self).await;
    }

    /// The second one.
    pub(super) async fn send_away(self: &Arc<Self>) {
        send_away(self).await;
    }

    /// After the last one: waits until clients that were between two polls have fetched what they were told, for a while.
    pub(super) async fn fetched(&self) {
        let Some(engine) = &self.engine else { return };
        let fetched = async {
            while engine.has_unfetched() {
                sleep(POLL).await;
            }
        };
        let _ = timeout(FETCH, fetched).await;
    }
}

/// Is not ready any more, and goes on for `drain.delay`, until the balancer has noticed.
async fn leave(service: &Inner) {
    let leave = async {
        service.readiness.leave();
        let delay = service.config.drain.delay;
        tracing::info!(connections = service.guard.connections(), ?delay, "shutting down");
        if !delay.is_zero() {
            sleep(delay).await;
        }
    };
    service.ending.left.get_or_init(|| leave).await;
}

/// Refuses new clients, and closes those that there are one after another, over the time `drain.over`.
async fn send_away(service: &Arc<Inner>) {
    service.closed_to_clients.store(true, Ordering::Release);
    let over = service.config.drain.over;
    if over.is_zero() {
        return;
    }
    let send_away = async {
        let clients = clients(service);
        let count = u32::try_from(clients.len()).unwrap_or(u32::MAX).max(1);
        tracing::info!(clients = clients.len(), ?over, "closing the clients, one after another");
        let (began, mut leaving) = (Instant::now(), JoinSet::new());
        for (number, (id, client)) in (0_u32..).zip(clients) {
            sleep_until(began + over.mul_f64(f64::from(number) / f64::from(count))).await;
            leaving.spawn(close_client(service.clone(), id, client));
            while leaving.try_join_next().is_some() {}
        }
        leaving.join_all().await;
    };
    service.ending.sent_away.get_or_init(|| send_away).await;
}

/// Every client that is on a channel, in no order. From now on the roster knows what each is on.
fn clients(service: &Inner) -> HashMap<SocketId, Arc<ClientConnection>> {
    let roster = &service.services.roster;
    roster.begin();
    let sockets = service.namespaces.values().flat_map(|namespace| namespace.core.sockets());
    let enter = |socket: Arc<SocketState>| {
        roster.add(&socket);
        (socket.id, socket.client.clone())
    };
    sockets.map(enter).collect()
}

/// Lets a client's handlers finish, tells it, and closes its connection.
async fn close_client(service: Arc<Inner>, id: SocketId, client: Arc<ClientConnection>) {
    client.leave();
    let limit = service.config.limits.shutdown_timeout;
    let idle = async {
        while client.is_alive() && !service.services.roster.of(id).iter().all(|socket| socket.is_idle()) {
            sleep(POLL).await;
        }
    };
    if timeout(limit, idle).await.is_err() {
        tracing::warn!(socket = %id, ?limit, "a client's handlers did not finish in time and are left behind");
    }
    let told = end_all(service.services.roster.of(id));
    if told > 0 && client.is_alive() {
        sleep(FLUSH).await;
    }
    if let Some(engine) = &service.engine {
        engine.close_client(&client);
    }
}

/// Ends sockets, which tells their clients. Returns how many there were.
fn end_all(sockets: impl IntoIterator<Item = Arc<SocketState>>) -> usize {
    let mut told = 0;
    for socket in sockets {
        if let Some(raw) = socket.raw() {
            end(&socket, &raw, DisconnectReason::ServerShutdown);
            told += 1;
        }
    }
    told
}

/// Refuses events, waits for handlers, closes the connections that are left.
async fn finish(service: &Arc<Inner>) {
    if service.draining.swap(true, Ordering::AcqRel) {
        return service.stop.cancelled().await;
    }
    let limit = service.config.limits.shutdown_timeout;
    let began = Instant::now();
    service.tasks.close();
    if timeout(limit, service.tasks.wait()).await.is_err() {
        tracing::warn!(handlers = service.tasks.len(), ?limit, "handlers did not finish in time and are left behind");
    }
    // socketioxide drops its namespaces, with the disconnect handlers, before it closes them.
    let told = end_all(service.namespaces.values().flat_map(|namespace| namespace.core.sockets()));
    service.services.resumes.end();
    service.services.resumes.flush().await;
    service.services.presences.end().await;
    let left = limit.saturating_sub(began.elapsed()).max(Duration::from_millis(100));
    let _ = timeout(left, service.tasks.wait()).await;
    if told > 0 {
        sleep(FLUSH).await;
    }
    if let Some(engine) = &service.engine {
        // Clients that do not read are not waited for; their connections close with the process.
        let _ = timeout(CLOSE_TIMEOUT, engine.close()).await;
    }
    service.background.end().await;
}
