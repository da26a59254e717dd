//! R23 and R24: clients that come back get what they missed, or are told that they do not.

use std::time::Duration;

use carolina_sockets::{Config, prelude::*, testing::TestService};
use carolina_sockets_tests::{
    by_hand, feed,
    program::node,
    resume::{ByName, Unaware, Wire},
    start, until, with_tls,
};
use serde_json::Value;

feed!(Feed, resume);
feed!(Now, resume(disconnect = "now"));
feed!(Of, "/of/{id}", resume);
feed!(Plain, "/plain");

async fn service_with(change: impl FnOnce(&mut Config)) -> TestService {
    let mut config = Config::default();
    config.resume.events = 50;
    config.limits.events_per_second = 100_000;
    change(&mut config);
    let builder = by_hand().config(config).identify(ByName);
    let builder = builder.mount::<Feed>("/feed").mount::<Now>("/now").mount::<Of>("/of/{id}").mount::<Plain>("/plain");
    start(builder).await.listen().await.unwrap()
}

async fn service() -> TestService {
    service_with(|_| {}).await
}

#[tokio::test(flavor = "multi_thread")]
async fn r23_the_official_client_resumes_over_websocket() {
    let service = service().await;
    node("resume.mjs", &[&service.url(), "websocket"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r23_the_official_client_resumes_over_polling() {
    let service = service().await;
    node("resume.mjs", &[&service.url(), "polling"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r23_the_official_client_resumes_when_it_upgrades() {
    let service = service().await;
    node("resume.mjs", &[&service.url(), "polling,websocket"]).await;
}

/// One part of what the official client does.
async fn official(part: &str) {
    let service = service().await;
    node("resume.mjs", &[&service.url(), "websocket", part]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r23_the_official_client_resumes_before_its_first_event() {
    official("first").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r23_the_official_client_resumes_again_and_again() {
    official("again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r23_the_official_client_resumes_after_quiet_time() {
    official("quiet").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r23_texts_as_arguments_are_no_offsets_of_the_official_client() {
    official("texts").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r24_the_official_client_is_given_a_gap_and_no_part_of_what_was_missed() {
    official("more").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r28_the_official_client_resumes_over_https_and_wss() {
    let service = service_with(|config| *config = with_tls(config.clone())).await;
    for transports in ["websocket", "polling", "polling,websocket"] {
        node("resume.mjs", &[&service.url(), transports]).await;
    }
}

async fn resume(service: &TestService, auth: Value, channel: &str, name: Option<&str>) -> Wire {
    Wire::resume(&service.url(), auth, channel, name).await
}

fn asking(name: &str) -> Value {
    serde_json::json!({ "resume": true, "name": name })
}

#[tokio::test(flavor = "multi_thread")]
async fn r24_a_pid_is_worth_nothing_to_another() {
    let service = service().await;
    let ada = Wire::join(&service.url(), "/feed", asking("ada")).await;
    let auth = ada.auth();
    assert_eq!(ada.pid.len(), 32, "128 bits");
    drop(ada);
    service.sockets().channel("/feed").unwrap().emit_to_user("ada", "secret", 1).await.unwrap();
    for name in [Some("bob"), None] {
        let other = resume(&service, auth.clone(), "/feed", name).await;
        assert_eq!(other.gap, Some(serde_json::json!({ "reason": "identity" })));
        assert!(other.missed.is_empty(), "{:?}", other.missed);
        assert_ne!(auth["pid"], *other.pid, "it is a new client");
    }
    let ada = resume(&service, auth.clone(), "/feed", Some("ada")).await;
    assert_eq!((ada.gap, auth["pid"].as_str()), (None, Some(ada.pid.as_str())), "it is still hers");
    assert_eq!(ada.missed.len(), 1, "{:?}", ada.missed);
    let guessed = serde_json::json!({ "pid": "0".repeat(32), "offset": ada.offset });
    let guessed = resume(&service, guessed, "/feed", Some("ada")).await;
    assert_eq!(guessed.gap.unwrap()["reason"], "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn r24_who_was_logged_out_is_a_new_client() {
    let service = service().await;
    let ada = Wire::join(&service.url(), "/feed", asking("ada")).await;
    let auth = ada.auth();
    service.sockets().disconnect_user("ada").await.unwrap();
    let back = resume(&service, auth, "/feed", Some("ada")).await;
    assert_eq!(back.gap.unwrap()["reason"], "expired", "the server has ended it");
}

#[tokio::test(flavor = "multi_thread")]
async fn r24_another_start_of_the_server_is_a_gap() {
    let service = service().await;
    let client = Wire::join(&service.url(), "/feed", asking("ada")).await;
    let another = self::service().await;
    let back = resume(&another, client.auth(), "/feed", Some("ada")).await;
    assert_eq!(back.gap.unwrap()["reason"], "epoch");
    let odd = serde_json::json!({ "pid": back.pid, "offset": "nonsense" });
    drop(back.socket);
    let odd = resume(&another, odd, "/feed", Some("ada")).await;
    assert_eq!(odd.gap.unwrap()["reason"], "epoch");
}

/// Offsets that a client makes up reach no further back than it was there.
#[tokio::test(flavor = "multi_thread")]
async fn r24_nobody_is_given_what_was_sent_before_they_came() {
    let service = service().await;
    let ada = Wire::join(&service.url(), "/feed", asking("ada")).await;
    service.sockets().channel("/feed").unwrap().emit("before", 1).await.unwrap();
    let bob = Wire::join(&service.url(), "/feed", asking("bob")).await;
    let epoch = bob.offset.split_once(':').unwrap().0.to_owned();
    let auth = serde_json::json!({ "pid": bob.pid, "offset": format!("{epoch}:0") });
    drop(bob);
    service.sockets().channel("/feed").unwrap().emit("after", 2).await.unwrap();
    let bob = resume(&service, auth, "/feed", Some("bob")).await;
    assert_eq!((bob.gap.is_none(), bob.missed.len()), (true, 1), "{:?}", bob.missed);
    assert!(bob.missed[0].contains("after"), "{:?}", bob.missed);
    drop(ada);
}

/// Where an instance has no log, or no more, the server has not been started again for that.
#[tokio::test(flavor = "multi_thread")]
async fn r24_an_instance_without_a_log_is_no_other_start_of_the_server() {
    let service = service().await;
    let client = Wire::join(&service.url(), "/of/7", asking("ada")).await;
    let elsewhere = resume(&service, client.auth(), "/of/8", Some("ada")).await;
    assert_eq!(elsewhere.gap.unwrap()["reason"], "expired");
}

/// An emit on all instances of a template is not one on a channel whose own path the template matches.
#[tokio::test(flavor = "multi_thread")]
async fn r23_a_channel_keeps_nothing_of_a_template_that_matches_its_path() {
    let builder = by_hand().identify(ByName).mount::<Of>("/of/{id}").mount::<Feed>("/of/all");
    let service = start(builder).await.listen().await.unwrap();
    let client = Wire::join(&service.url(), "/of/all", asking("ada")).await;
    let instance = Wire::join(&service.url(), "/of/7", asking("ada")).await;
    let (auth, of_instance) = (client.auth(), instance.auth());
    drop((client, instance));
    service.sockets().of::<Of>().unwrap().emit("everywhere", 1).await.unwrap();
    assert!(resume(&service, auth, "/of/all", Some("ada")).await.missed.is_empty());
    assert_eq!(resume(&service, of_instance, "/of/7", Some("ada")).await.missed.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn r24_who_comes_too_late_is_told() {
    let service = service_with(|config| config.resume.window = Duration::from_millis(300)).await;
    let client = Wire::join(&service.url(), "/feed", asking("ada")).await;
    let auth = client.auth();
    let mut asker = service.client().auth(serde_json::json!({})).connect("/feed").await.unwrap();
    drop(client);
    assert_eq!(asker.request::<usize>("left", ()).await.unwrap(), 0, "its client may come back");
    let deadline = tokio::time::Instant::now() + carolina_sockets_tests::DEADLINE;
    while asker.request::<usize>("left", ()).await.unwrap() == 0 {
        assert!(tokio::time::Instant::now() < deadline, "`#[on(disconnect)]` does not run");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let back = resume(&service, auth, "/feed", Some("ada")).await;
    assert_eq!(back.gap.unwrap()["reason"], "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn r23_a_handler_is_told_and_nobody_has_left() {
    let service = service().await;
    for (channel, left) in [("/feed", 0), ("/of/7", 0), ("/now", 1)] {
        let client = Wire::join(&service.url(), channel, asking("ada")).await;
        let auth = client.auth();
        let handle = service.sockets().channel(channel).unwrap();
        drop(client);
        let gone = handle.clone();
        until("its connection is closed", || gone.local_sockets().is_empty()).await;
        for number in 0..3 {
            handle.emit("news", number).await.unwrap();
        }
        let mut back = resume(&service, auth, channel, Some("ada")).await;
        assert_eq!((back.missed.len(), back.gap.is_none()), (3, true), "{channel}: {:?}", back.missed);
        for (event, answer) in [("resumed", 3), ("left", left)] {
            assert!(back.socket.send(&format!("42{channel},5[\"{event}\"]")).await);
            assert_eq!(back.socket.expect("43").await, format!("43{channel},5[{answer}]"), "{event}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r23_a_client_that_comes_back_before_its_end_was_noticed_has_one_socket() {
    let service = service().await;
    let first = Wire::join(&service.url(), "/feed", asking("ada")).await;
    let handle = service.sockets().channel("/feed").unwrap();
    handle.emit("news", 1).await.unwrap();
    let mut second = resume(&service, first.auth(), "/feed", Some("ada")).await;
    assert_eq!((second.pid.as_str(), second.missed.len()), (first.pid.as_str(), 1));
    assert_eq!(handle.local_sockets().len(), 1);
    handle.emit("news", 2).await.unwrap();
    assert_eq!(second.event().await, ["news".into(), Value::from(2)]);
    // The end of the first connection does not take the second one along.
    drop(first);
    let third = resume(&service, second.auth(), "/feed", Some("ada")).await;
    assert_eq!((third.gap, third.pid.as_str()), (None, second.pid.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn r23_a_client_that_did_not_ask_gets_the_same_bytes() {
    let service = service().await;
    let mut packets = Vec::new();
    for channel in ["/plain", "/feed"] {
        let mut client = Unaware::join(&service.url(), channel).await;
        client.send("1[\"shout\",\"a\"]", 2).await;
        client.send("2[\"tell\",\"b\"]", 2).await;
        client.send("[\"nothing\"]", 1).await;
        packets.push(client.received());
    }
    assert_eq!(packets[0], packets[1]);
}
