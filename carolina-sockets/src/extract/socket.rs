use super::{EventContext, FromEvent, Trigger};
use crate::{
    engine::DisconnectReason,
    error::{EventError, Result},
    socket::Socket,
};

impl FromEvent for Socket {
    async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
        let socket = Self::new(context.socket.clone(), context.raw.clone());
        Ok(match &context.trigger {
            Trigger::Disconnect { left, .. } => socket.that_left(left.clone()),
            _ => socket,
        })
    }
}

impl FromEvent for DisconnectReason {
    async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
        match &context.trigger {
            Trigger::Disconnect { reason, .. } => Ok(*reason),
            _ => Err(context.not_here("DisconnectReason")),
        }
    }
}
