//! The end of a service.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use carolina_sockets::{Data, DisconnectReason, State, channel, on};
use carolina_sockets_tests::{by_hand, start};
use tokio::sync::Notify;

#[derive(Default)]
struct Work {
    begun: Notify,
    go_on: Notify,
    done: AtomicBool,
    left: AtomicBool,
}

#[channel]
struct Workshop {
    work: State<Arc<Work>>,
}

#[channel]
impl Workshop {
    #[on(init)]
    fn new(work: State<Arc<Work>>) -> Self {
        Self { work }
    }

    #[on("work")]
    async fn work(&self) {
        self.work.begun.notify_one();
        self.work.go_on.notified().await;
        self.work.done.store(true, SeqCst);
    }

    #[on("echo", concurrent)]
    fn echo(&self, Data(number): Data<u8>) -> u8 {
        number
    }

    #[on(disconnect)]
    fn disconnect(&self, _: DisconnectReason) {
        self.work.left.store(true, SeqCst);
    }
}

#[tokio::test]
async fn r8_shutdown_lets_running_handlers_finish_and_refuses_the_rest() {
    let work = Arc::<Work>::default();
    let service = start(by_hand().mount::<Workshop>("/workshop").state(work.clone())).await;
    let mut client = service.connect("/workshop").await.unwrap();
    let running = client.send_request("work", ()).unwrap();
    work.begun.notified().await;
    let sockets = service.sockets().clone();
    let shutdown = tokio::spawn(async move { sockets.shutdown().await });
    // It has begun when nobody is let in any more.
    while service.connect("/workshop").await.is_ok() {}
    // While it waits for the handler, it refuses events, and nobody is disconnected yet.
    assert_eq!(client.request::<u8>("echo", 1).await.unwrap_err().code(), "shutting_down");
    assert!(!shutdown.is_finished());
    work.go_on.notify_one();
    shutdown.await.unwrap();
    assert!(work.done.load(SeqCst));
    client.answer::<()>(running).await.unwrap();
    let closed: serde_json::Value = client.expect("carolina:closed").await.unwrap();
    assert_eq!(closed["code"], "shutting_down", "{closed}");
    client.expect_disconnect().await.unwrap();
    assert!(work.left.load(SeqCst), "the disconnect handler has run");
}
