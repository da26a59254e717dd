//! `/moderators`: for moderators, who may ban users.

use carolina_sockets::prelude::*;

use crate::house::House;

/// Clients of `/moderators`.
#[channel("/moderators", private)]
#[emits("removed", Vec<String>)]
#[derive(Debug)]
pub(crate) struct Moderators {
    house: State<House>,
}

#[channel]
impl Moderators {
    #[on(init)]
    fn new(house: State<House>) -> Self {
        Self { house }
    }

    #[on(authorize)]
    fn authorize(&self, user: Option<User>) -> bool {
        user.is_some_and(|user| self.house.is_moderator(user.id()))
    }

    #[on(connect)]
    async fn connect(&self, socket: Socket) -> Result<(), EventError> {
        socket.emit("removed", self.house.removed()).await?;
        Ok(())
    }

    /// Disconnects a user from every channel and bans them.
    #[on("remove")]
    async fn remove(&self, socket: Socket, sockets: Sockets, Data(user): Data<String>) -> Result<(), EventError> {
        if self.house.is_moderator(&user) {
            return Err(EventError::new("moderator", "a moderator cannot be removed"));
        }
        self.house.set_removed(&user, true);
        sockets.disconnect_user(&user).await?;
        self.tell(&socket).await
    }

    /// Lets a banned user in again.
    #[on("readmit")]
    async fn readmit(&self, socket: Socket, Data(user): Data<String>) -> Result<(), EventError> {
        self.house.set_removed(&user, false);
        self.tell(&socket).await
    }

    async fn tell(&self, socket: &Socket) -> Result<(), EventError> {
        socket.channel_handle().emit("removed", self.house.removed()).await?;
        Ok(())
    }
}
