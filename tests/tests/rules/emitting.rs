//! All ways to emit, and who gets what.

use std::sync::Arc;

use carolina_sockets::{
    Args, DisconnectReason, Error, Sockets,
    testing::{Client, TestService},
};
use carolina_sockets_tests::{by_hand, start, until};
use serde_json::{Value, json};

use crate::feed::{Feed, Shared, feed};

async fn in_rooms(service: &TestService, rooms: &[&str]) -> Client {
    let mut client = service.connect("/feed").await.unwrap();
    client.request::<Value>("join", Args(rooms.to_vec())).await.unwrap();
    client
}

#[tokio::test]
async fn routes_emit_by_an_extractor() {
    use axum::{Router, body::Body, routing::post};

    async fn notify(sockets: Sockets) -> Result<(), String> {
        let feed = sockets.of::<Feed>().map_err(|error| error.to_string())?;
        feed.emit("news", "from a route").await.map(drop).map_err(|error| error.to_string())
    }

    let builder = by_hand().state(Arc::new(Shared::default())).mount::<Feed>("/feed");
    let routes = Router::new().route("/notify", post(notify));
    let service = start(builder).await.router(routes);
    let mut client = service.connect("/feed").await.unwrap();
    let answer = service.http(http::Request::post("/notify").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(client.expect::<String>("news").await.unwrap(), "from a route");
}

#[tokio::test]
async fn rooms_and_choices() {
    let (service, _) = feed(1024).await;
    let channel = service.sockets().channel("/feed").unwrap();
    let mut red = in_rooms(&service, &["red"]).await;
    let mut both = in_rooms(&service, &["red", "blue"]).await;
    let mut none = in_rooms(&service, &[]).await;

    channel.to("red").emit("a", 1).await.unwrap();
    channel.to(["red", "blue"]).emit("b", (1, "two")).await.unwrap();
    channel.to("red").except("blue").emit("c", json!({})).await.unwrap();
    channel.except(vec!["red".to_owned()]).emit("d", Args(vec![1, 2, 3])).await.unwrap();
    channel.to(Vec::<String>::new()).emit("e", ()).await.unwrap();
    channel.emit("end", ()).await.unwrap();

    for (client, expected) in [(&mut red, "abc"), (&mut both, "ab"), (&mut none, "d")] {
        client.expect::<Value>("end").await.unwrap();
        for event in ["a", "b", "c", "d", "e"] {
            match expected.contains(event) {
                true => assert!(client.expect::<Value>(event).await.is_ok(), "{event} of {expected}"),
                false => client.expect_none(event).await.unwrap(),
            }
        }
        client.expect_none("a").await.expect("each came once");
    }
    assert_eq!(both.request::<Vec<String>>("leave", "red").await.unwrap(), ["blue"]);
    channel.to("red").emit("f", ()).await.unwrap();
    channel.emit("end", ()).await.unwrap();
    both.expect::<Value>("end").await.unwrap();
    both.expect_none("f").await.unwrap();
    red.expect::<Value>("f").await.unwrap();
}

#[tokio::test]
async fn a_socket_speaks_to_the_others() {
    let (service, _) = feed(1024).await;
    let mut one = in_rooms(&service, &["room"]).await;
    let mut two = in_rooms(&service, &["room"]).await;
    let mut three = in_rooms(&service, &[]).await;
    one.request::<()>("tell-others", ()).await.unwrap();
    let id: String = two.expect("told").await.unwrap();
    assert_eq!(three.expect::<String>("told").await.unwrap(), id);
    one.request::<()>("tell-others", "room").await.unwrap();
    two.expect::<String>("told").await.unwrap();
    one.expect_none("told").await.unwrap();
    three.expect_none("told").await.unwrap();
}

#[tokio::test]
async fn acknowledgements_from_clients() {
    let (service, _) = feed(1024).await;
    let channel = service.sockets().channel("/feed").unwrap();
    let mut one = service.connect("/feed").await.unwrap();
    let asked = one.send_request("ask-me", ()).unwrap();
    assert_eq!(one.expect_and_answer::<(u8, u8)>("question", ("x", 7)).await.unwrap(), (1, 2));
    assert_eq!(one.answer::<String>(asked).await.unwrap(), "x7");

    let mut two = service.connect("/feed").await.unwrap();
    let collected = tokio::spawn(async move { channel.emit_with_ack::<u8>("count", ()).await });
    one.expect_and_answer::<Value>("count", 1).await.unwrap();
    two.expect_and_answer::<Value>("count", "not a number").await.unwrap();
    let answers = collected.await.unwrap().unwrap();
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Ok(1))).count(), 1, "{answers:?}");
    assert_eq!(
        answers.iter().filter(|answer| matches!(answer, Err(Error::Acknowledgement(_)))).count(),
        1,
        "{answers:?}"
    );
}

#[tokio::test]
async fn a_channel_disconnects_its_clients() {
    let (service, shared) = feed(1024).await;
    let channel = service.sockets().of::<Feed>().unwrap();
    let mut red = in_rooms(&service, &["red"]).await;
    let mut blue = in_rooms(&service, &["blue"]).await;
    channel.to("red").disconnect().await.unwrap();
    assert_eq!(red.expect::<Value>("carolina:closed").await.unwrap()["code"], "removed");
    red.expect_disconnect().await.unwrap();
    until("the disconnect handler", || shared.reason.lock().unwrap().is_some()).await;
    assert_eq!(*shared.reason.lock().unwrap(), Some(DisconnectReason::ServerDisconnect));
    assert_eq!(blue.request::<u8>("echo", 1).await.unwrap(), 1);
    blue.expect_none("carolina:closed").await.unwrap();
    channel.disconnect().await.unwrap();
    blue.expect_disconnect().await.unwrap();
}

#[tokio::test]
async fn what_does_not_serialize_is_an_error_value() {
    let (service, _) = feed(1024).await;
    let _client = service.connect("/feed").await.unwrap();
    let channel = service.sockets().channel("/feed").unwrap();
    let map = std::collections::HashMap::from([((1, 2), 3)]);
    let error = channel.emit("map", &map).await.unwrap_err();
    assert!(matches!(&error, Error::Serialize { event, .. } if event == "map"), "{error}");
}
