//! R9: clients that do not read what is sent to them.

use carolina_sockets::DisconnectReason;
use carolina_sockets_tests::{DEADLINE, until, wire::RawSocket};

use crate::feed::feed;

#[tokio::test]
async fn r9_a_slow_reader_is_waited_for_and_then_closed() {
    let (service, shared) = feed(16).await;
    let mut other = service.connect("/feed").await.unwrap();
    let mut slow = RawSocket::join(&service.url(), "/feed").await;
    assert!(slow.send("42/feed,[\"flood\"]").await);
    until("the flood has an end", || shared.outcome.lock().unwrap().is_some()).await;
    let outcome = shared.outcome.lock().unwrap().take().unwrap().unwrap_err();
    assert!(outcome.contains("did not read its messages within 300ms"), "{outcome}");
    until("the disconnect handler", || shared.reason.lock().unwrap().is_some()).await;
    assert_eq!(*shared.reason.lock().unwrap(), Some(DisconnectReason::SlowReader));
    assert_eq!(other.request::<u8>("echo", 5).await.unwrap(), 5, "nobody else is disturbed");
    // Its transport is closed too, once it has read what was on its way.
    let ended = tokio::time::timeout(DEADLINE, async { while slow.read().await.is_some() {} });
    assert!(ended.await.is_ok());
    until("its place is free", || service.sockets().connections() == 1).await;
}

#[tokio::test]
async fn r9_a_reader_that_catches_up_loses_nothing() {
    let (service, _) = feed(16).await;
    let mut client = RawSocket::join(&service.url(), "/feed").await;
    let text = "y".repeat(2_000);
    for number in 0..60 {
        assert!(client.send(&format!("42/feed,{number}[\"echo\",\"{text}\"]")).await);
    }
    for number in 0..60 {
        let answer = client.read().await.expect("it is alive");
        assert!(answer.starts_with(&format!("43/feed,{number}[")), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r9_those_who_leave_have_missed_nothing() {
    // Room for all that is emitted, so that nobody can miss anything for the want of it.
    let (service, _) = feed(4096).await;
    let channel = service.sockets().channel("/feed").unwrap();
    for _ in 0..20 {
        let mut clients = Vec::new();
        for _ in 0..10 {
            clients.push(RawSocket::join(&service.url(), "/feed").await);
        }
        let leaving = tokio::spawn(async move { drop(clients) });
        for _ in 0..200 {
            assert_eq!(channel.emit("news", "bye").await.unwrap().missed(), 0);
            tokio::task::yield_now().await;
        }
        leaving.await.unwrap();
    }
}

#[tokio::test]
async fn r9_who_has_no_room_is_not_asked() {
    // As many packets as there may be: the bytes are the limit.
    let (service, _) = feed(100_000).await;
    let _slow = RawSocket::join(&service.url(), "/feed").await;
    let channel = service.sockets().channel("/feed").unwrap();
    let text = "z".repeat(20_000);
    let filled = async {
        while channel.emit("news", &text).await.unwrap().missed() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, filled).await.expect("the buffers were to be full");
    let answers = channel.emit_with_ack::<bool>("news", &text).await.unwrap();
    let [Err(error)] = &answers[..] else { panic!("{answers:?}") };
    assert!(error.to_string().contains("has no room"), "{error}");
}

#[tokio::test]
async fn r9_a_broadcast_counts_whom_it_missed() {
    let (service, _) = feed(8).await;
    let mut slow = RawSocket::join(&service.url(), "/feed").await;
    let channel = service.sockets().channel("/feed").unwrap();
    let text = "z".repeat(20_000);
    let (mut missed, sent) = (0, 400);
    for _ in 0..sent {
        missed += channel.emit("news", &text).await.unwrap().missed();
        tokio::task::yield_now().await;
    }
    assert!(missed > 0, "the buffers were to be full");
    let received = tokio::spawn(async move {
        let mut received = 0;
        loop {
            let text = slow.read().await.expect("it is alive");
            if text.starts_with("42/feed,[\"fence\"") {
                return received;
            }
            received += 1;
        }
    });
    // Room comes with reading.
    let fenced = tokio::time::timeout(DEADLINE, async {
        while channel.emit("fence", ()).await.unwrap().missed() > 0 {
            tokio::task::yield_now().await;
        }
    });
    fenced.await.unwrap();
    let received = tokio::time::timeout(DEADLINE, received).await.expect("what nobody has missed arrives");
    assert_eq!(received.unwrap() + missed, sent);
}
