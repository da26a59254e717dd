//! R30: the event names that Socket.IO's clients use for themselves are refused by every emit.

use carolina_sockets::{Broadcast, Emitter, Error, EventError, Socket, channel, on};
use carolina_sockets_tests::{by_hand, nodes::SECRET, servers::Redis, start};
use serde_json::Value;

const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

#[channel]
#[derive(Default)]
struct Names;

#[channel]
impl Names {
    /// Emits them to the client itself in every way, and returns the errors.
    #[on("emit-them")]
    async fn emit_them(&self, socket: Socket) -> Result<Vec<String>, EventError> {
        let mut errors = Vec::new();
        for name in RESERVED {
            errors.push(is_refused(socket.emit(name, 1).await, name));
            errors.push(is_refused(socket.emit_with_ack::<()>(name, 1).await, name));
            errors.push(is_refused(socket.broadcast().emit(name, 1).await, name));
        }
        socket.emit("connected", 1).await?;
        Ok(errors)
    }
}

fn is_refused<T: std::fmt::Debug>(result: Result<T, Error>, name: &str) -> String {
    let error = result.unwrap_err();
    assert!(matches!(&error, Error::ReservedEvent { event, .. } if event == name), "{name}: {error}");
    error.to_string()
}

#[tokio::test]
async fn r30_every_emit_refuses_the_reserved_event_names() {
    let service = start(by_hand().mount::<Names>("/names")).await;
    let mut client = service.connect("/names").await.unwrap();
    let errors: Vec<String> = client.request("emit-them", ()).await.unwrap();
    assert_eq!(errors.len(), 18);
    for error in errors {
        assert!(error.contains("reserved by Socket.IO") && error.contains("otherwise"), "{error}");
    }
    client.expect::<Value>("connected").await.unwrap();
    let channel = service.sockets().channel("/names").unwrap();
    for name in RESERVED {
        is_refused(channel.emit(name, 1).await, name);
        is_refused(channel.emit_with_ack::<()>(name, 1).await, name);
        is_refused(channel.emit_to_user("ada", name, 1).await, name);
        is_refused(channel.emit_to_session("of-ada", name, 1).await, name);
        let everyone: Broadcast = channel.local();
        is_refused(everyone.emit_with_ack::<()>(name, 1).await, name);
        client.expect_none(name).await.unwrap();
    }
}

#[tokio::test]
async fn r30_an_emitter_refuses_the_reserved_event_names() {
    let redis = Redis::start();
    let emitter = Emitter::connect_with_secret(&redis.url(), "carolina", SECRET).await.unwrap();
    for name in RESERVED {
        is_refused(emitter.channel("/").emit(name, 1).await, name);
        is_refused(emitter.channel("/").to(Vec::<String>::new()).emit(name, 1).await, name);
        is_refused(emitter.channel("/").emit_to_user(1, name, 1).await, name);
    }
}
