use std::{collections::HashMap, sync::OnceLock, time::Duration};

use futures_core::future::BoxFuture;
use futures_util::FutureExt;

use crate::{
    config::Limits,
    core::{AnyChannel, EventFuture},
    error::EventError,
    extract::{EventContext, InitContext, Needs, PathNeed},
    guard::Rate,
    registry::row::{Call, ErasedChannel, Extras, GuardCall, GuardRow, HandlerRow, On},
    telemetry::histogram::Histogram,
};

/// A channel's handlers, found by event.
pub(crate) struct HandlerTable {
    handlers: Vec<Handler>,
    /// The keys are the application's own names, so the hash need not resist attacks.
    by_event: HashMap<&'static str, usize, foldhash::fast::RandomState>,
    any: Option<usize>,
    authorize: Option<usize>,
    connect: Option<usize>,
    disconnect: Option<usize>,
    pub(super) presence: Option<PresenceHandler>,
    /// What the handlers and guards take of the path's parameters.
    paths: Vec<PathNeed>,
    /// Whether the channel is private (rule R12).
    pub(super) private: bool,
    /// The channel whose methods the handlers are.
    channel: OnceLock<ErasedChannel>,
}

/// A handler of the table.
pub(crate) struct Handler {
    pub(super) index: usize,
    pub(super) timeout: Duration,
    /// Runs outside the socket's order.
    pub(super) concurrent: bool,
    /// Which of a socket's limiters counts its events.
    pub(super) limiter: Option<usize>,
    /// What runs before it: the channel's guards, then its own.
    pub(super) guards: Box<[GuardRow]>,
    /// The method's name, for the metrics.
    pub(super) method: &'static str,
    /// How long it runs.
    pub(super) time: Histogram,
    pub(super) call: for<'a> fn(&'a AnyChannel, &'a mut EventContext) -> EventFuture<'a>,
}

/// `#[on(presence)]`.
pub(super) struct PresenceHandler {
    pub(super) timeout: Duration,
    pub(super) method: &'static str,
    pub(super) call: for<'a> fn(&'a AnyChannel, InitContext) -> BoxFuture<'a, Result<Extras, EventError>>,
}

impl HandlerTable {
    /// The table for these rows, and the rates of those that have one.
    pub(crate) fn new(
        rows: &[&'static HandlerRow],
        guards: &[GuardRow],
        private: bool,
        limits: &Limits,
    ) -> (Self, Vec<Rate>) {
        let mut table = Self {
            handlers: Vec::with_capacity(rows.len()),
            by_event: HashMap::default(),
            any: None,
            authorize: None,
            connect: None,
            disconnect: None,
            presence: None,
            paths: Vec::new(),
            private,
            channel: OnceLock::new(),
        };
        for need in path_needs(rows, guards) {
            // Two that read alike are one.
            if !table.paths.iter().any(|known| known.taken == need.taken) {
                table.paths.push(need);
            }
        }
        let mut rates = Vec::new();
        for row in rows {
            if let Call::Presence(call) = row.call {
                let timeout = row.options.timeout.unwrap_or(limits.handler_timeout);
                table.presence = Some(PresenceHandler { timeout, method: row.method, call });
            }
            let Call::Event(call) = row.call else { continue };
            let index = table.handlers.len();
            match row.on {
                On::Events(names) => table.by_event.extend(names.iter().map(|name| (*name, index))),
                On::Any => table.any = Some(index),
                On::Authorize => table.authorize = Some(index),
                On::Connect => table.connect = Some(index),
                On::Disconnect => table.disconnect = Some(index),
                On::Presence | On::Init => continue,
            }
            let limiter = row.options.rate.map(|rate| {
                rates.push(rate);
                rates.len() - 1
            });
            let timeout = row.options.timeout.unwrap_or(limits.handler_timeout);
            let guards: Box<[GuardRow]> = match row.on {
                On::Events(_) | On::Any => guards.iter().chain(row.guards).copied().collect(),
                _ => Box::default(),
            };
            let concurrent = row.options.concurrent;
            let (method, time) = (row.method, Histogram::default());
            table.handlers.push(Handler { index, timeout, concurrent, limiter, guards, method, time, call });
        }
        (table, rates)
    }

    /// What an instance's parameters have to read as.
    pub(crate) fn paths(&self) -> &[PathNeed] {
        &self.paths
    }

    /// The handler for an event: the one that names it, else `#[on(any)]`.
    pub(super) fn find(&self, event: &str) -> Option<&Handler> {
        self.by_event.get(event).copied().or(self.any).map(|index| &self.handlers[index])
    }

    /// Whether it is `#[on(any)]`, whose events are named by clients.
    pub(super) fn is_any(&self, index: usize) -> bool {
        self.any == Some(index)
    }

    pub(super) fn get(&self, index: usize) -> &Handler {
        &self.handlers[index]
    }

    pub(super) fn authorize(&self) -> Option<&Handler> {
        self.authorize.map(|index| &self.handlers[index])
    }

    pub(super) fn connect(&self) -> Option<&Handler> {
        self.connect.map(|index| &self.handlers[index])
    }

    pub(super) fn disconnect(&self) -> Option<&Handler> {
        self.disconnect.map(|index| &self.handlers[index])
    }

    pub(super) fn channel(&self) -> Option<&AnyChannel> {
        self.channel.get().map(|channel| &**channel)
    }

    /// The channel is built once, after its table: its `#[on(init)]` may take the service, which contains the table.
    pub(crate) fn set_channel(&self, channel: ErasedChannel) {
        let _ = self.channel.set(channel);
    }
}

/// What handlers and guards take of the path's parameters.
fn path_needs(rows: &[&'static HandlerRow], guards: &[GuardRow]) -> Vec<PathNeed> {
    let mut needs = Needs::default();
    for row in rows {
        (row.needs)(&mut needs);
    }
    for guard in guards.iter().chain(rows.iter().flat_map(|row| row.guards)) {
        let _ = (guard.run)(GuardCall::Needs(&mut needs)).now_or_never();
    }
    needs.paths
}
