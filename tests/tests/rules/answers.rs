//! R7: an event with an acknowledgement has one answer, and one without has at most an `exception`.

use std::sync::Arc;

use bytes::Bytes;
use carolina_sockets::{Ack, Args, Config, Data, Event, EventError, TryData, channel, on, testing::ClientError};
use carolina_sockets_tests::{DEADLINE, by_hand, start};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::desk::{Desk, Shared, desk};

#[channel]
impl Desk {
    #[on("by-hand")]
    async fn by_hand(&self, ack: Ack, Data(how): Data<String>) -> Result<(), EventError> {
        // Dropped when this handler returns.
        let (_running, returned) = oneshot::channel::<()>();
        match how.as_str() {
            "send" => ack.send("sent").await?,
            "later" => {
                tokio::spawn(async move {
                    let _ = returned.await;
                    let _ = ack.send("later").await;
                });
            }
            "drop" => drop(ack),
            "lose" => {
                tokio::spawn(async move {
                    let _ = returned.await;
                    drop(ack);
                });
            }
            "send-then-fail" => {
                let _ = ack.send("first").await;
                return Err(EventError::new("late", "too late"));
            }
            _ => return Err(EventError::new("keep-and-fail", "failed")),
        }
        Ok(())
    }

    #[on("keep", timeout = "50ms")]
    fn keep(&self, ack: Ack) {
        self.shared.kept.lock().unwrap().push(ack);
    }

    #[on("by-hand-and-value")]
    async fn by_hand_and_value(&self, ack: Ack) -> &'static str {
        let _ = ack.send("by hand").await;
        "returned"
    }

    #[on("optional")]
    fn optional(&self, Data((a, b)): Data<(u8, Option<String>)>) -> Vec<String> {
        vec![a.to_string(), b.unwrap_or_default()]
    }

    #[on("two")]
    fn two(&self, Data((a, b)): Data<(u8, String)>) -> (String, u8) {
        (b, a)
    }

    #[on("all")]
    fn all(&self, Args(numbers): Args<Vec<i64>>) -> Args<Vec<i64>> {
        Args(numbers.into_iter().rev().collect())
    }

    #[on("binary")]
    fn binary(&self, Data((name, bytes)): Data<(String, Bytes)>) -> (usize, Bytes) {
        (name.len(), bytes)
    }

    #[on("try")]
    fn try_it(&self, TryData(data): TryData<u8>) -> String {
        data.map_or_else(|error| error.code().to_owned(), |data| data.to_string())
    }

    #[on("a-name", "b-name")]
    fn named(&self, event: Event) -> String {
        event.0
    }
}

#[tokio::test]
async fn r7_success_acknowledges_with_the_value() {
    let service = start(desk(&Arc::default())).await;
    let mut client = service.connect("/desk").await.unwrap();
    assert_eq!(client.request::<Value>("checkin", json!({ "desk": "AB" })).await.unwrap(), json!({ "number": 2 }));
    assert_eq!(client.request::<(String, u8)>("two", (1, "x")).await.unwrap(), ("x".to_owned(), 1));
    // An argument that did not come is `null`.
    assert_eq!(client.request::<Vec<String>>("optional", (1, "x")).await.unwrap(), ["1", "x"]);
    assert_eq!(client.request::<Vec<String>>("optional", 1).await.unwrap(), ["1", ""]);
    let error = client.request::<Value>("two", 1).await.unwrap_err();
    assert!(error.to_string().contains("[1]"), "{error}");
    let reversed: (i64, i64, i64) = client.request("all", (1, 2, 3)).await.unwrap();
    assert_eq!(reversed, (3, 2, 1));
    let bytes = Bytes::from_static(&[0, 1, 2, 255]);
    assert_eq!(client.request::<(usize, Bytes)>("binary", ("name", bytes.clone())).await.unwrap(), (4, bytes));
    assert_eq!(client.request::<String>("try", "x").await.unwrap(), "invalid_payload");
    assert_eq!(client.request::<String>("try", 7).await.unwrap(), "7");
    assert_eq!(client.request::<String>("a-name", ()).await.unwrap(), "a-name");
    assert_eq!(client.request::<String>("b-name", ()).await.unwrap(), "b-name");
}

#[tokio::test]
async fn r7_without_an_acknowledgement_failure_is_one_exception() {
    let service = start(desk(&Arc::default())).await;
    let mut client = service.connect("/desk").await.unwrap();
    client.emit("fails", ()).await.unwrap();
    let body: Value = client.expect("exception").await.unwrap();
    let expected =
        json!({ "code": "sold_out", "message": "no seats are left", "details": { "waiting": 12 }, "event": "fails" });
    assert_eq!(body, expected);
    client.emit("nonsense", ()).await.unwrap();
    let body: Value = client.expect("exception").await.unwrap();
    assert_eq!((&body["code"], &body["event"]), (&json!("unknown_event"), &json!("nonsense")));
    // Success without an acknowledgement says nothing.
    client.emit("checkin", json!({ "desk": "A" })).await.unwrap();
    client.request::<bool>("first", ()).await.unwrap();
    client.expect_none("exception").await.unwrap();
}

#[tokio::test]
async fn r7_an_acknowledgement_by_hand_is_one_too() {
    let shared = Arc::default();
    let service = start(desk(&shared)).await;
    let mut client = service.connect("/desk").await.unwrap();
    assert_eq!(client.request::<String>("by-hand", "send").await.unwrap(), "sent");
    assert_eq!(client.request::<String>("by-hand", "later").await.unwrap(), "later");
    client.request::<()>("by-hand", "drop").await.unwrap();
    assert_eq!(client.request::<()>("keep", ()).await.unwrap_err().code(), "timeout");
    let kept = shared.kept.lock().unwrap().pop().unwrap();
    kept.send("too late").await.unwrap_err();
    assert_eq!(client.request::<()>("by-hand", "lose").await.unwrap_err().code(), "internal");
    assert_eq!(client.request::<String>("by-hand", "send-then-fail").await.unwrap(), "first");
    assert_eq!(client.request::<()>("by-hand", "fail").await.unwrap_err().code(), "keep-and-fail");
    assert_eq!(client.request::<String>("by-hand-and-value", ()).await.unwrap(), "by hand");
    // A second answer to any of them would have been an error of the client's.
    client.expect_none("exception").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r7_a_thousand_events_have_a_thousand_answers() {
    let shared = Arc::<Shared>::default();
    let mut config = Config::default();
    config.limits.events_per_second = 1_000_000;
    config.limits.mailbox = 900;
    config.limits.send_queue = 16;
    let service = start(by_hand().config(config).mount::<Desk>("/desk").state(shared.clone())).await;
    let mut client = service.connect("/desk").await.unwrap();
    client.deadline(DEADLINE);
    let ways: [(&str, Value, &str); 10] = [
        ("checkin", json!({ "desk": "A" }), ""),
        ("checkin", json!({ "desk": 5 }), "invalid_payload"),
        ("nonsense", json!(1), "unknown_event"),
        ("user", json!(1), "unauthenticated"),
        ("fails", json!("forbidden"), "forbidden"),
        ("fails", json!("mine"), "mine"),
        ("unknown-error", json!(1), "internal"),
        ("panics", json!(1), "internal"),
        ("unserializable", json!(1), "internal"),
        ("rated", json!(1), "rate_limited"),
    ];
    client.request::<u8>("rated", ()).await.unwrap();
    client.request::<u8>("rated", ()).await.unwrap();
    // All at once: some of them find the mailbox full.
    let sent: Vec<(i64, &str)> = (0..1_000)
        .map(|number| {
            let (event, data, code) = &ways[number % ways.len()];
            (client.send_request(event, data).unwrap(), *code)
        })
        .collect();
    let mut overloaded = 0;
    for (ack, expected) in sent {
        let code = match client.answer::<Value>(ack).await {
            Ok(_) => String::new(),
            Err(ClientError::Rejected { code, .. }) => code,
            Err(other) => panic!("{expected}: {other}"),
        };
        if code == "overloaded" {
            overloaded += 1;
        } else {
            assert_eq!(code, expected);
        }
    }
    assert!(overloaded < 1_000);
    let never = client.request::<()>("never", ()).await.unwrap_err();
    assert_eq!(never.code(), "timeout");
    // Whatever went wrong, the socket is as before, and nothing was answered twice.
    assert!(client.request::<bool>("first", ()).await.unwrap());
    client.expect_none("exception").await.unwrap();
}
