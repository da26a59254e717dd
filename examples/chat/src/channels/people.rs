//! `/people`: who is online, on however many tabs, and direct messages. For those who are logged in.

use carolina_sockets::prelude::*;

use crate::house::{House, Message};

/// Clients of `/people`.
#[channel("/people", private, presence)]
#[emits("rooms", Vec<String>)]
#[emits("direct", Message)]
#[derive(Debug)]
pub(crate) struct People {
    house: State<House>,
}

/// What is shown of each client.
#[derive(Serialize, Deserialize)]
pub(crate) struct Person {
    moderator: bool,
}

/// A message to one user.
#[derive(Deserialize, JsonSchema)]
struct Direct {
    to: String,
    text: String,
}

#[channel]
impl People {
    #[on(init)]
    fn new(house: State<House>) -> Self {
        Self { house }
    }

    #[on(authorize)]
    fn authorize(&self, user: User) -> Result<(), EventError> {
        self.house.admit(user.id())
    }

    #[on(connect)]
    async fn connect(&self, socket: Socket, user: User, presence: Presence<Person>) -> Result<(), EventError> {
        presence.track(user.id(), &Person { moderator: self.house.is_moderator(user.id()) }).await?;
        socket.emit("rooms", self.house.rooms()).await?;
        Ok(())
    }

    /// Sends a message to all tabs of one user and of the sender.
    #[on("direct", rate = "10/s")]
    async fn direct(&self, socket: Socket, user: User, Data(direct): Data<Direct>) -> Result<(), EventError> {
        let channel = socket.channel_handle();
        if !channel.is_online(&direct.to).await? {
            return Err(EventError::new("offline", format!("{} is not online", direct.to)));
        }
        let message = Message::new(&direct.to, user.id(), &direct.text)?;
        channel.emit_to_user(&direct.to, "direct", &message).await?;
        if direct.to != user.id() {
            channel.emit_to_user(user.id(), "direct", &message).await?;
        }
        Ok(())
    }
}
