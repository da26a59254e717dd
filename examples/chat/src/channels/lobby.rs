//! `/`: for all visitors, logged in or not: how many users are chatting.

use carolina_sockets::prelude::*;

/// Clients of `/`.
#[channel("/")]
#[emits("people", usize)]
#[derive(Debug, Default)]
pub(crate) struct Lobby;

#[channel]
impl Lobby {
    #[on(connect)]
    async fn connect(&self, socket: Socket, sockets: Sockets) -> Result<(), EventError> {
        let users = sockets.channel("/chat")?.online_users().await?;
        socket.emit("people", users.len()).await?;
        Ok(())
    }
}

/// Sends the number of chatting users to everyone.
pub(crate) async fn tell_count(count: usize) {
    if let Ok(lobby) = carolina_sockets::try_sockets().and_then(|sockets| sockets.of::<Lobby>()) {
        let _ = lobby.emit("people", count).await;
    }
}
