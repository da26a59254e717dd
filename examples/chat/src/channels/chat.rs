//! `/chat`: rooms, typing notices, who is online, direct messages. For those who are logged in.

use carolina_sockets::prelude::*;

use crate::house::{House, Message};

/// The available rooms. A room's clients are in the Socket.IO room `room.{name}`.
const ROOMS: [&str; 3] = ["lobby", "rust", "random"];

/// Clients of `/chat`.
#[channel("/chat", private)]
#[emits("rooms", Vec<String>)]
#[emits("online", Vec<String>)]
#[emits("said", Message)]
#[emits("typing", String)]
#[emits("direct", Message)]
#[derive(Debug)]
pub(crate) struct Chat {
    house: State<House>,
}

/// A message to one user.
#[derive(Deserialize, JsonSchema)]
struct Direct {
    to: String,
    text: String,
}

/// A room with its recent messages.
#[derive(Serialize, JsonSchema)]
struct Joined {
    room: String,
    said: Vec<Message>,
}

#[channel]
impl Chat {
    #[on(init)]
    fn new(house: State<House>) -> Self {
        Self { house }
    }

    #[on(authorize)]
    fn authorize(&self, user: User) -> Result<(), EventError> {
        match self.house.is_removed(user.id()) {
            true => Err(EventError::new("removed", "a moderator has removed you")),
            false => Ok(()),
        }
    }

    #[on(connect)]
    async fn connect(&self, socket: Socket) -> Result<(), EventError> {
        socket.emit("rooms", ROOMS.to_vec()).await?;
        tell_who_is_online(&socket).await
    }

    #[on(disconnect)]
    async fn disconnect(&self, socket: Socket) {
        // This may have been the user's last tab.
        let _ = tell_who_is_online(&socket).await;
    }

    /// Joins a room, leaves the previous one, and returns the room's recent messages.
    #[on("join")]
    fn join(&self, socket: Socket, Data(room): Data<String>) -> Result<Joined, EventError> {
        if !ROOMS.contains(&room.as_str()) {
            return Err(EventError::new("unknown_room", format!("there is no room `{room}`")));
        }
        for other in socket.rooms().iter().filter(|other| other.starts_with("room.")) {
            socket.leave(other);
        }
        socket.join(format!("room.{room}"));
        Ok(Joined { said: self.house.said(&room), room })
    }

    /// Says something in the room that was joined.
    #[on("say", rate = "10/s")]
    async fn say(&self, socket: Socket, user: User, Data(text): Data<String>) -> Result<(), EventError> {
        let room = room_of(&socket)?;
        let message = Message::new(&room, user.id(), checked(&text)?);
        self.house.keep(message.clone());
        socket.channel_handle().to(format!("room.{room}")).emit("said", &message).await?;
        Ok(())
    }

    /// Tells the others in the room.
    #[on("typing", rate = "5/s")]
    async fn typing(&self, socket: Socket, user: User) -> Result<(), EventError> {
        let room = room_of(&socket)?;
        socket.to(format!("room.{room}")).emit("typing", user.id()).await?;
        Ok(())
    }

    /// Sends a message to all tabs of one user and of the sender.
    #[on("direct", rate = "10/s")]
    async fn direct(&self, socket: Socket, user: User, Data(direct): Data<Direct>) -> Result<(), EventError> {
        let channel = socket.channel_handle();
        if !channel.is_online(&direct.to).await? {
            return Err(EventError::new("offline", format!("{} is not online", direct.to)));
        }
        let message = Message::new(&direct.to, user.id(), checked(&direct.text)?);
        channel.emit_to_user(&direct.to, "direct", &message).await?;
        if direct.to != user.id() {
            channel.emit_to_user(user.id(), "direct", &message).await?;
        }
        Ok(())
    }
}

/// Sends the list of online users to everyone, and their number to the public channel.
async fn tell_who_is_online(socket: &Socket) -> Result<(), EventError> {
    let channel = socket.channel_handle();
    let users = channel.online_users().await?;
    channel.emit("online", &users).await?;
    crate::channels::lobby::tell_count(users.len()).await;
    Ok(())
}

fn room_of(socket: &Socket) -> Result<String, EventError> {
    let rooms = socket.rooms();
    let room = rooms.iter().find_map(|room| room.strip_prefix("room."));
    room.map(str::to_owned).ok_or_else(|| EventError::new("no_room", "join a room first"))
}

fn checked(text: &str) -> Result<&str, EventError> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err(EventError::new("empty", "write something")),
        1..=2000 => Ok(text),
        _ => Err(EventError::new("too_long", "a message has at most 2000 characters")),
    }
}
