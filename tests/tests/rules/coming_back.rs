//! A client that was taken off a channel, and joins it again over the same connection.

use std::sync::Arc;

use carolina_sockets::{Socket, channel, on};
use carolina_sockets_tests::start;

use crate::desk::{Desk, desk};

#[channel]
impl Desk {
    #[on("leave-me")]
    fn leave_me(&self, socket: Socket) {
        tokio::spawn(async move { socket.disconnect().await });
    }
}

#[tokio::test]
async fn a_socket_that_was_taken_off_may_come_back_and_its_late_events_harm_nobody() {
    let service = start(desk(&Arc::default()).mount::<Desk>("/other")).await;
    let mut client = service.connect("/desk").await.unwrap();
    let mut other = client.channel("/other").await.unwrap();
    for _ in 0..3 {
        client.request::<()>("leave-me", ()).await.unwrap();
        client.expect_disconnect().await.unwrap();
        // Sent before the client has read the goodbye, as far as the server can tell.
        client.send_raw("42/desk,[\"first\"]");
        client.send_raw("42/desk,7[\"first\"]");
        assert!(other.request::<bool>("first", ()).await.unwrap(), "the connection lives");
        service.sockets().channel("/desk").unwrap().emit("late", ()).await.unwrap();
        client = other.channel("/desk").await.unwrap();
        assert!(client.request::<bool>("first", ()).await.unwrap());
        client.expect_none("late").await.unwrap();
    }
}
