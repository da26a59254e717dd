//! R30: the rooms that are the library's own are refused wherever an application could name them.

use carolina_sockets::{
    ChannelHandle, Config, Data, Error, EventError, Handshake, Identify, Identity, Socket, channel,
    identity::async_trait,
    on,
    testing::{Client, TestService},
};
use carolina_sockets_tests::{by_hand, start};

const RESERVED: [&str; 4] = ["user.vic", "session.abc", "user.", "\0left"];

#[channel]
#[derive(Default)]
struct Hall;

#[channel]
impl Hall {
    #[on("join")]
    fn join(&self, socket: Socket, Data(room): Data<String>) -> (bool, Vec<String>) {
        (socket.join(room), socket.rooms())
    }

    #[on("join-both")]
    fn join_both(&self, socket: Socket, Data(room): Data<String>) -> (bool, Vec<String>) {
        (socket.join(["hall", &room]), socket.rooms())
    }

    #[on("try")]
    fn try_join(&self, socket: Socket, Data(room): Data<String>) -> Result<(), EventError> {
        socket.try_join(room).map_err(|error| EventError::new("no_room", error.to_string()))
    }

    #[on("leave")]
    fn leave(&self, socket: Socket, Data(room): Data<String>) {
        socket.leave(room);
    }

    #[on("tell")]
    async fn tell(&self, socket: Socket, Data((room, leave_out)): Data<(String, bool)>) -> Result<(), EventError> {
        let others = if leave_out { socket.except(room) } else { socket.to(room) };
        match others.emit("told", ()).await {
            Err(error @ Error::ReservedRoom { .. }) => Err(EventError::new("no_room", error.to_string())),
            other => Ok(other.map(|_| ())?),
        }
    }
}

/// Believes whatever name the client gives.
struct ByName;

#[async_trait]
impl Identify for ByName {
    async fn identify(&self, handshake: &Handshake) -> Result<Identity, EventError> {
        Ok(handshake
            .query()
            .get("name")
            .map_or_else(Identity::anonymous, |name| Identity::user(name).with_session(format!("of-{name}"))))
    }
}

async fn hall() -> (TestService, ChannelHandle) {
    let service = start(by_hand().config(Config::default()).identify(ByName).mount::<Hall>("/hall")).await;
    let channel = service.sockets().channel("/hall").unwrap();
    (service, channel)
}

async fn named(service: &TestService, name: &str) -> Client {
    service.client().query("name", name).connect("/hall").await.unwrap()
}

fn is_refused<T: std::fmt::Debug>(result: Result<T, Error>, room: &str) {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::ReservedRoom { .. }), "{room}: {error}");
    let text = error.to_string();
    match room {
        "session.abc" => assert!(text.contains("emit_to_session") && !text.contains("abc"), "{text}"),
        "\0left" => assert!(text.contains("NUL") && !text.contains('\0'), "{text}"),
        _ => assert!(text.contains("emit_to_user") && text.contains(room), "{text}"),
    }
}

#[tokio::test]
async fn r30_no_handler_puts_a_socket_into_the_librarys_rooms() {
    let (service, channel) = hall().await;
    let mut vic = named(&service, "vic").await;
    let mut mallory = named(&service, "mallory").await;
    let none = Vec::<String>::new();
    for room in RESERVED.into_iter().chain(["session.of-vic"]) {
        assert_eq!(mallory.request::<(bool, Vec<String>)>("join", room).await.unwrap(), (false, none.clone()));
        assert_eq!(mallory.request::<(bool, Vec<String>)>("join-both", room).await.unwrap(), (false, none.clone()));
        assert_eq!(mallory.request::<()>("try", room).await.unwrap_err().code(), "no_room");
        for leave_out in [false, true] {
            assert_eq!(mallory.request::<()>("tell", (room, leave_out)).await.unwrap_err().code(), "no_room");
        }
    }
    channel.emit_to_user("vic", "letter", ()).await.unwrap();
    channel.emit_to_session("of-vic", "note", ()).await.unwrap();
    for event in ["letter", "note"] {
        vic.expect::<serde_json::Value>(event).await.unwrap();
        mallory.expect_none(event).await.unwrap();
    }
    // Nor does one take a socket out of them.
    for room in ["user.vic", "session.of-vic"] {
        vic.request::<()>("leave", room).await.unwrap();
    }
    channel.to_user("vic").to_session("of-vic").emit("again", ()).await.unwrap();
    vic.expect::<serde_json::Value>("again").await.unwrap();
    // Its own rooms are its business.
    assert_eq!(vic.request::<(bool, Vec<String>)>("join-both", "users.vic").await.unwrap().1, ["hall", "users.vic"]);
}

#[tokio::test]
async fn r30_no_choice_of_clients_names_the_librarys_rooms() {
    let (service, channel) = hall().await;
    let mut vic = named(&service, "vic").await;
    for room in RESERVED {
        is_refused(channel.to(room).emit("told", ()).await, room);
        is_refused(channel.except(room).emit("told", ()).await, room);
        is_refused(channel.to("hall").except(["x", room]).emit("told", ()).await, room);
        is_refused(channel.to(room).to("hall").emit_with_ack::<()>("told", ()).await, room);
        is_refused(channel.to(room).join("hall").await, room);
        is_refused(channel.to(room).disconnect().await, room);
        is_refused(channel.local().join(room).await, room);
        is_refused(channel.local().join(["hall", room]).await, room);
        is_refused(channel.local().leave(room).await, room);
    }
    vic.expect_none("told").await.unwrap();
}

#[tokio::test]
async fn users_and_sessions_are_chosen_by_name() {
    let (service, channel) = hall().await;
    let (mut ada, mut bob) = (named(&service, "ada").await, named(&service, "bob").await);
    channel.except_user("ada").emit("a", ()).await.unwrap();
    channel.except_session("of-ada").emit("b", ()).await.unwrap();
    channel.to_user("ada").to_user("bob").except_session("of-bob").emit("c", ()).await.unwrap();
    channel.to_user("bob").join("bobs").await.unwrap();
    channel.to("bobs").emit("d", ()).await.unwrap();
    channel.emit("end", ()).await.unwrap();
    for (client, events) in [(&mut ada, ["c"].as_slice()), (&mut bob, &["a", "b", "d"])] {
        client.expect::<serde_json::Value>("end").await.unwrap();
        for event in ["a", "b", "c", "d"] {
            match events.contains(&event) {
                true => drop(client.expect::<serde_json::Value>(event).await.unwrap()),
                false => client.expect_none(event).await.unwrap(),
            }
        }
    }
}
