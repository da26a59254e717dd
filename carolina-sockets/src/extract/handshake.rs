use super::{EventContext, FromEvent};
use crate::{error::EventError, identity::Handshake};

impl FromEvent for Handshake {
    async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
        let socket = &context.socket;
        Ok(Self::new(socket.client.clone(), socket.auth.clone()))
    }
}
