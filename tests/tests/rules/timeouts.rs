//! R8: a handler's time is limited. The clock is paused, so that the limits are exact; nothing but the test may wait for it.

use std::{sync::Arc, time::Duration};

use carolina_sockets::{channel, on};
use carolina_sockets_tests::start;
use tokio::time::Instant;

use crate::desk::{Desk, desk};

#[channel]
impl Desk {
    #[on("never", timeout = "60ms")]
    async fn never(&self) {
        std::future::pending::<()>().await;
    }
}

#[tokio::test(start_paused = true)]
async fn r8_a_handler_that_never_ends_is_ended() {
    let service = start(desk(&Arc::default())).await;
    let mut client = service.connect("/desk").await.unwrap();
    let began = Instant::now();
    let never = client.send_request("never", ()).unwrap();
    let behind = client.send_request("first", ()).unwrap();
    assert_eq!(client.answer::<()>(never).await.unwrap_err().code(), "timeout");
    let took = began.elapsed();
    assert!((Duration::from_millis(60)..Duration::from_millis(70)).contains(&took), "{took:?}");
    assert!(client.answer::<bool>(behind).await.unwrap(), "the next event has its turn");
}
