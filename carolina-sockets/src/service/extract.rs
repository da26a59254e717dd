//! [`Sockets`] as an argument of handlers and of `#[on(init)]`.

use std::sync::Weak;

use super::{Inner, Sockets};
use crate::{
    core::States,
    error::{Error, EventError, Result},
    extract::{EventContext, FromEvent, FromInit, InitContext},
};

/// The service as a state of its handlers. Weak, as it must not keep itself alive.
pub(super) struct ServiceRef(pub(super) Weak<Inner>);

fn service(states: &States) -> Option<Sockets> {
    states.get::<ServiceRef>()?.0.upgrade().map(Sockets::from)
}

impl FromEvent for Sockets {
    async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
        service(&context.socket.channel.services.states)
            .ok_or_else(|| EventError::internal("the service has been dropped"))
    }
}

impl FromInit for Sockets {
    fn from_init(context: &InitContext) -> Result<Self> {
        service(&context.states).ok_or(Error::NotRunning)
    }
}
