//! `/`: for all visitors, logged in or not: how many users are chatting.

use carolina_sockets::prelude::*;

use super::people::{People, Person};

/// Clients of `/`.
#[channel("/")]
#[derive(Debug, Default)]
pub(crate) struct Lobby;

#[channel]
impl Lobby {
    /// How many users are chatting, without their names.
    #[on("people")]
    async fn people(&self, sockets: Sockets) -> Result<usize, EventError> {
        Ok(sockets.of::<People>()?.presence().list::<Person>().await?.len())
    }
}
