//! Many clients.

use std::{cell::Cell, net::IpAddr, rc::Rc};

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use crate::{Target, client::Client};

/// How many connections are being made at a time.
pub(crate) const AT_A_TIME: usize = 64;

/// The first port that clients come from when their address is given.
const FIRST_PORT: u16 = 10_000;

/// Connects this many clients, from this address if one is given.
pub(crate) async fn connect(target: Target, count: usize, from: Option<IpAddr>) -> Result<Vec<Client>> {
    let left = Rc::new(Cell::new(count));
    let port = Rc::new(Cell::new(FIRST_PORT));
    let mut workers = JoinSet::new();
    for _ in 0..AT_A_TIME.min(count) {
        let (left, port) = (left.clone(), port.clone());
        workers.spawn_local(async move {
            let mut clients = Vec::new();
            while left.get() > 0 {
                left.set(left.get() - 1);
                clients.push(match from {
                    Some(from) => Client::connect_from(target.address, from, &port).await?,
                    None => Client::connect(target.address).await?,
                });
            }
            std::io::Result::Ok(clients)
        });
    }
    let mut clients = Vec::with_capacity(count);
    while let Some(done) = workers.join_next().await {
        clients.extend(done?.with_context(|| format!("connecting {count} clients"))?);
    }
    Ok(clients)
}

/// Connects this many clients, and waits until each has had an event answered.
pub(crate) async fn ready(target: Target, count: usize) -> Result<Vec<Client>> {
    let mut workers = JoinSet::new();
    for mut client in connect(target, count, None).await? {
        workers.spawn_local(async move { client.ready().await.map(|()| client) });
    }
    let mut clients = Vec::with_capacity(count);
    while let Some(done) = workers.join_next().await {
        clients.push(done?.context("waiting for a first answer")?);
    }
    Ok(clients)
}
