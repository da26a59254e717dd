//! Channels with payloads of every kind, for tests of the contract. `cargo run -- contract …` writes it.

use std::collections::{BTreeMap, HashMap};

use carolina_sockets::prelude::*;

/// A place in the house.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
struct Desk {
    /// Its label.
    label: String,
    /// Where it stands, if it does.
    position: Option<(f64, f64)>,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Checkin {
    desk_name: String,
    seats: u8,
    note: Option<String>,
    kind: Kind,
}

/// How somebody comes.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// For a day.
    DayGuest,
    Member,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Welcome {
    /// Counted from the start.
    number: u64,
    desk: Desk,
}

/// A message of some kind.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Message {
    Text { text: String },
    Image { width: u32, height: u32 },
    Nothing,
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
enum Shape {
    Circle(f64),
    Line { from: (i32, i32), to: (i32, i32) },
    Empty,
}

/// Branches with branches.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
struct Tree {
    name: String,
    branches: Vec<Tree>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Upload {
    name: String,
    file: Bytes,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Download {
    file: Bytes,
    more: Option<Bytes>,
}

/// A type of another crate, say, that has no schema.
#[derive(Debug, Deserialize, Serialize)]
struct Opaque {
    value: u8,
}

#[derive(Debug, Deserialize, Validate, JsonSchema)]
#[validate(crate = "carolina_sockets::validator")]
struct SignUp {
    #[validate(length(min = 2, max = 40))]
    name: String,
    #[validate(range(min = 18, max = 120))]
    age: u8,
}

const TOO_MANY: &str = "too_many";

impl Custom {
    const NONE: &str = "no_seat";
}

/// Clients of `/custom`.
///
/// For the desk.
#[channel("/custom")]
#[emits("checked-in", String)]
#[emits("moved", Desk)]
#[emits("pair", (String, Option<u8>))]
#[emits("point", [f64; 2])]
#[emits("nothing", ())]
#[emits("file", Bytes)]
#[emits("download", Download)]
#[emits("many", Args<Vec<String>>)]
#[emits("opaque", Opaque)]
#[emits("message", Message)]
#[derive(Default)]
struct Custom {
    checkins: AtomicU64,
}

#[channel]
impl Custom {
    /// Takes a seat at a desk.
    ///
    /// Answers with the number of the check-in.
    #[on("checkin")]
    async fn checkin(&self, socket: Socket, Data(checkin): Data<Checkin>) -> Result<Welcome, EventError> {
        if checkin.desk_name.is_empty() {
            return Err(EventError::new("no_desk", "name the desk to check in at"));
        }
        self.room(checkin.seats)?;
        let _ = (checkin.note, checkin.kind);
        socket.broadcast().emit("checked-in", &checkin.desk_name).await?;
        let desk = Desk { label: checkin.desk_name, position: None, tags: Vec::new() };
        Ok(Welcome { number: self.checkins.fetch_add(1, Relaxed) + 1, desk })
    }

    fn room(&self, seats: u8) -> Result<(), EventError> {
        if seats == 0 {
            return Err(EventError::new(Self::NONE, "take a seat"));
        }
        if seats > 8 { Err(EventError::new(TOO_MANY, "there are eight seats")) } else { Ok(()) }
    }

    #[on("say")]
    fn say(&self, Data(text): Data<String>) {
        let _ = text;
    }

    #[on("sum")]
    fn sum(Data((one, other)): Data<(i32, Option<i32>)>) -> i32 {
        one.saturating_add(other.unwrap_or_default())
    }

    #[on("optional")]
    fn optional(Data(text): Data<Option<String>>) {
        let _ = text;
    }

    #[on("swap")]
    fn swap(Data((one, other)): Data<(String, bool)>) -> (bool, String) {
        (other, one)
    }

    #[on("array")]
    fn array(Data([one, other]): Data<[u8; 2]>) -> [u8; 2] {
        [other, one]
    }

    #[on("all")]
    fn all(Args(names): Args<Vec<String>>) -> usize {
        names.len()
    }

    #[on("draw")]
    fn draw(Data(shape): Data<Shape>) -> Shape {
        shape
    }

    #[on("tree")]
    fn tree(Data(tree): Data<Tree>) -> Tree {
        tree
    }

    #[on("map")]
    fn map(Data(map): Data<HashMap<String, i64>>) -> BTreeMap<String, i64> {
        map.into_iter().collect()
    }

    #[on("message")]
    fn message(Data(message): Data<Message>) -> Message {
        message
    }

    #[on("upload")]
    fn upload(Data(upload): Data<Upload>) -> usize {
        upload.name.len() + upload.file.len()
    }

    #[on("bytes")]
    fn bytes(Data((name, bytes)): Data<(String, Bytes)>) -> Bytes {
        let _ = name;
        bytes
    }

    #[on("opaque")]
    fn opaque(Data((opaque, text)): Data<(Opaque, String)>) -> Opaque {
        let _ = text;
        opaque
    }

    #[on("sign-up")]
    fn sign_up(Valid(sign_up): Valid<SignUp>) -> String {
        format!("{} is {}", sign_up.name, sign_up.age)
    }

    #[on("desk")]
    fn desk(Data(desk): Data<Desk>) -> Desk {
        desk
    }

    #[on("try")]
    fn attempt(TryData(text): TryData<String>) -> bool {
        text.is_ok()
    }

    #[on("ack")]
    async fn by_hand(ack: Ack) {
        let _ = ack.send("by hand").await;
    }

    #[on("hidden")]
    fn hidden() -> impl Serialize {
        "hidden"
    }

    #[on("nothing")]
    async fn nothing() -> Result<(), EventError> {
        Ok(())
    }
}

/// For those who are logged in, whatever they send.
#[channel("/open", private)]
#[derive(Default)]
struct Open;

#[channel]
impl Open {
    #[on(any)]
    fn any(&self, Event(name): Event, user: User) -> String {
        format!("{user}: {name}")
    }
}

/// One order each.
#[channel("/orders/{id}/lines/{line}")]
#[emits("changed", u16)]
#[derive(Default)]
struct Lines;

#[channel]
impl Lines {
    #[on(authorize)]
    fn authorize(Path((order, line)): Path<(u32, String)>) -> bool {
        order > 0 && !line.is_empty()
    }

    #[on("amount")]
    fn amount() -> u16 {
        1
    }
}

/// What is shown of who is in a room.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
struct Viewer {
    typing: bool,
}

/// One room each, in which everyone sees who is there.
#[channel("/rooms/{room}", presence)]
#[emits("said", String)]
#[derive(Default)]
struct Rooms;

#[channel]
impl Rooms {
    #[on(connect)]
    async fn joined(presence: Presence<Viewer>, socket: Socket) -> Result<(), EventError> {
        presence.track(socket.id().to_string(), &Viewer { typing: false }).await?;
        Ok(())
    }

    #[on("typing")]
    async fn typing(presence: Presence<Viewer>, Data(typing): Data<bool>) -> Result<(), EventError> {
        presence.update(|viewer| viewer.typing = typing).await?;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> carolina_sockets::Result {
    carolina_sockets::cli().await
}
