//! R6: the order in which a socket's events are handled.

use std::sync::Arc;

use carolina_sockets::{Config, Data, Socket, channel, on};
use carolina_sockets_tests::{DEADLINE, by_hand, start, until};

use crate::desk::{Desk, Shared, desk};

#[channel]
impl Desk {
    #[on("wait")]
    async fn wait(&self) {
        self.shared.gate.notified().await;
    }

    #[on("free", concurrent)]
    async fn free(&self, Data(number): Data<u64>) -> u64 {
        number
    }

    #[on("released", concurrent)]
    async fn released(&self) -> &'static str {
        self.shared.gate.notified().await;
        "released"
    }

    #[on("join")]
    fn join(&self, socket: Socket, Data(room): Data<String>) -> Vec<String> {
        socket.join(room);
        socket.rooms()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r6_events_keep_their_order() {
    let shared = Arc::<Shared>::default();
    let service = start(desk(&shared)).await;
    let mut client = service.connect("/desk").await.unwrap();
    for number in 0..10_000_u64 {
        client.emit("number", number).await.unwrap();
    }
    // Behind them all, and answered after them all.
    client.deadline(DEADLINE);
    client.request::<bool>("first", ()).await.unwrap();
    assert_eq!(*shared.seen.lock().unwrap(), (0..10_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn r6_disconnect_comes_after_the_last_event() {
    let shared = Arc::<Shared>::default();
    let service = start(desk(&shared)).await;
    let mut client = service.connect("/desk").await.unwrap();
    client.request::<Vec<String>>("join", "news").await.unwrap();
    for number in 0..100_u64 {
        client.emit("number", number).await.unwrap();
    }
    client.leave();
    until("the disconnect handler", || !shared.reasons.lock().unwrap().is_empty()).await;
    let expected: Vec<u64> = (0..100).chain([u64::MAX]).collect();
    assert_eq!(*shared.seen.lock().unwrap(), expected);
    assert_eq!(*shared.reasons.lock().unwrap(), [("ClientLeft".to_owned(), vec!["news".to_owned()])]);
}

#[tokio::test]
async fn r6_concurrent_handlers_stand_outside_the_order() {
    let shared = Arc::<Shared>::default();
    let service = start(desk(&shared)).await;
    let mut client = service.connect("/desk").await.unwrap();
    client.request::<bool>("first", ()).await.unwrap();
    let waiting = client.send_request("wait", ()).unwrap();
    let queued = client.send_request("number", 5).unwrap();
    assert_eq!(client.request::<u64>("free", 9).await.unwrap(), 9, "it overtakes what waits");
    assert!(shared.seen.lock().unwrap().is_empty());
    shared.gate.notify_one();
    client.answer::<()>(waiting).await.unwrap();
    client.answer::<()>(queued).await.unwrap();
    let released = client.send_request("released", ()).unwrap();
    client.request::<()>("number", 6).await.unwrap();
    shared.gate.notify_one();
    assert_eq!(client.answer::<String>(released).await.unwrap(), "released");
}

#[tokio::test]
async fn r6_the_queue_is_bounded() {
    let shared = Arc::<Shared>::default();
    let mut config = Config::default();
    config.limits.mailbox = 4;
    let service = start(by_hand().config(config).mount::<Desk>("/desk").state(shared.clone())).await;
    let mut client = service.connect("/desk").await.unwrap();
    let mut other = service.connect("/desk").await.unwrap();
    client.request::<bool>("first", ()).await.unwrap();
    let waiting = client.send_request("wait", ()).unwrap();
    let queued: Vec<i64> = (0..4).map(|number| client.send_request("number", number).unwrap()).collect();
    let refused = client.request::<()>("number", 4).await.unwrap_err();
    assert_eq!(refused.code(), "overloaded");
    assert!(other.request::<bool>("first", ()).await.unwrap(), "nobody else is disturbed");
    shared.gate.notify_one();
    client.answer::<()>(waiting).await.unwrap();
    for ack in queued {
        client.answer::<()>(ack).await.unwrap();
    }
    assert_eq!(*shared.seen.lock().unwrap(), [0, 1, 2, 3]);
}
