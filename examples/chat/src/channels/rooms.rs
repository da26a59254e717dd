//! `/rooms/{room}`: what is said in a room, who is in it and who is typing. For those who are logged in.

use carolina_sockets::prelude::*;

use crate::house::{House, Message};

/// Clients of a room.
#[channel("/rooms/{room}", private, presence)]
#[emits("history", Vec<Message>)]
#[emits("said", Message)]
#[derive(Debug)]
pub(crate) struct Rooms {
    house: State<House>,
}

/// What is shown of each client in a room.
#[derive(Serialize, Deserialize)]
struct Viewer {
    typing: bool,
}

#[channel]
impl Rooms {
    #[on(init)]
    fn new(house: State<House>) -> Self {
        Self { house }
    }

    #[on(authorize)]
    fn authorize(&self, Path(room): Path<String>, user: User) -> Result<(), EventError> {
        self.house.admit(user.id())?;
        match self.house.rooms().contains(&&*room) {
            true => Ok(()),
            false => Err(EventError::new("unknown_room", format!("there is no room `{room}`"))),
        }
    }

    #[on(connect)]
    async fn connect(
        &self,
        Path(room): Path<String>,
        socket: Socket,
        user: User,
        presence: Presence<Viewer>,
    ) -> Result<(), EventError> {
        presence.track(user.id(), &Viewer { typing: false }).await?;
        socket.emit("history", self.house.said(&room)).await?;
        Ok(())
    }

    /// Says something in the room.
    #[on("say", rate = "10/s")]
    async fn say(
        &self,
        Path(room): Path<String>,
        socket: Socket,
        user: User,
        Data(text): Data<String>,
    ) -> Result<(), EventError> {
        let message = Message::new(&room, user.id(), &text)?;
        self.house.keep(message.clone());
        socket.channel_handle().emit("said", &message).await?;
        Ok(())
    }

    /// Shows to everyone in the room whether this client is typing.
    #[on("typing", rate = "5/s")]
    async fn typing(&self, presence: Presence<Viewer>, Data(typing): Data<bool>) -> Result<(), EventError> {
        presence.update(|viewer| viewer.typing = typing).await?;
        Ok(())
    }
}
