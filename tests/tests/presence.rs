//! R20: who is on a channel.

use std::{collections::BTreeMap, time::Duration};

use carolina_sockets::{
    Config, Present,
    identity::async_trait,
    prelude::*,
    testing::{Client, TestService},
};
use carolina_sockets_tests::{
    by_hand,
    presence::{Mirror, sorted},
    start,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::time::Instant;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Viewer {
    name: String,
    typing: bool,
}

/// What every channel of these tests does.
macro_rules! channel_with_presence {
    ($name:ident, $($option:tt)*) => {
        #[channel($($option)*)]
        #[derive(Default)]
        struct $name;

        #[channel]
        impl $name {
            #[on(connect)]
            async fn joined(&self, presence: Presence<Viewer>, user: Option<User>) -> Result<(), EventError> {
                if let Some(user) = user {
                    presence.track(user.id(), &Viewer { name: user.id().to_uppercase(), typing: false }).await?;
                }
                Ok(())
            }

            #[on("typing")]
            async fn typing(&self, presence: Presence<Viewer>, Data(typing): Data<bool>) -> Result<(), EventError> {
                presence.update(|viewer| viewer.typing = typing).await?;
                Ok(())
            }

            #[on("track")]
            async fn track(&self, presence: Presence<Viewer>, Data(key): Data<u64>) -> Result<(), EventError> {
                let viewer = Viewer { name: "somebody".to_owned(), typing: false };
                presence.track(key, &viewer).await?;
                Ok(())
            }

            #[on("name")]
            async fn name(&self, presence: Presence<Viewer>, Data(name): Data<String>) -> Option<String> {
                presence.update(|viewer| viewer.name = name).await.err().map(|error| error.to_string())
            }

            #[on("hide")]
            async fn hide(&self, presence: Presence<Viewer>) -> Result<(), EventError> {
                presence.untrack().await?;
                Ok(())
            }

            #[on("list")]
            async fn list(&self, presence: Presence<Viewer>) -> Result<Vec<Present<Viewer>>, EventError> {
                Ok(presence.list().await?)
            }

            #[on("odd")]
            async fn odd(&self, texts: Presence<String>, nested: Presence<Value>) -> Vec<String> {
                let text = texts.track("odd", &"text".to_owned()).await.unwrap_err();
                let named = nested.track("odd", &json!({ "ref": 1 })).await.unwrap_err();
                vec![text.to_string(), named.to_string()]
            }

            #[on("remove")]
            fn remove(&self, socket: Socket) {
                drop(socket.disconnect());
            }
        }
    };
}

channel_with_presence!(Rooms, presence);
channel_with_presence!(Room, "/room/{id}", presence);
channel_with_presence!(Patient, presence(linger = "15s"));

struct ByName;

#[async_trait]
impl Identify for ByName {
    async fn identify(&self, handshake: &Handshake) -> Result<Identity, EventError> {
        Ok(handshake.query().get("name").map_or_else(Identity::anonymous, Identity::user))
    }
}

async fn rooms() -> TestService {
    start(by_hand().identify(ByName).mount::<Rooms>("/rooms").mount::<Patient>("/patient")).await
}

async fn join(service: &TestService, path: &str, name: &str) -> Client {
    service.client().query("name", name).connect(path).await.unwrap()
}

async fn present(service: &TestService, path: &str) -> Vec<Present<Viewer>> {
    service.sockets().channel(path).unwrap().presence().list().await.unwrap()
}

async fn keys(service: &TestService, path: &str) -> Vec<String> {
    present(service, path).await.into_iter().map(|present| present.key).collect()
}

/// The keys of what a `presence_diff` lists, with the number of their metas.
fn counts(listed: &Value) -> BTreeMap<String, usize> {
    let metas = |value: &Value| value["metas"].as_array().expect("a list").len();
    listed.as_object().expect("an object").iter().map(|(key, value)| (key.clone(), metas(value))).collect()
}

fn one(key: &str) -> BTreeMap<String, usize> {
    BTreeMap::from([(key.to_owned(), 1)])
}

#[tokio::test]
async fn r20_who_joins_gets_the_state_and_all_get_the_changes() {
    let service = rooms().await;
    let mut ada = join(&service, "/rooms", "ada").await;
    assert_eq!(ada.expect::<Value>("presence_state").await.unwrap(), json!({}));
    let diff: Value = ada.expect("presence_diff").await.unwrap();
    let meta = &diff["joins"]["ada"]["metas"][0];
    assert_eq!((meta["name"].as_str(), meta["typing"].as_bool()), (Some("ADA"), Some(false)));
    assert!(meta["ref"].as_str().is_some_and(|reference| !reference.is_empty()), "{diff}");
    assert_eq!(diff["leaves"], json!({}));

    let mut nobody = service.connect("/rooms").await.unwrap();
    let state: Value = nobody.expect("presence_state").await.unwrap();
    assert_eq!(state, diff["joins"], "the same references");
    let bob = join(&service, "/rooms", "bob").await;
    for client in [&mut ada, &mut nobody] {
        let diff: Value = client.expect("presence_diff").await.unwrap();
        assert_eq!((counts(&diff["joins"]), counts(&diff["leaves"])), (one("bob"), BTreeMap::new()));
    }
    let viewer = |name: &str| Viewer { name: name.to_owned(), typing: false };
    let here = present(&service, "/rooms").await;
    assert_eq!(here.iter().map(|one| one.key.as_str()).collect::<Vec<_>>(), ["ada", "bob"]);
    assert_eq!(here[0].metas, [viewer("ADA")]);
    assert_eq!(nobody.request::<Value>("list", ()).await.unwrap(), serde_json::to_value(&here).unwrap());
    bob.leave();
    let diff: Value = nobody.expect("presence_diff").await.unwrap();
    assert_eq!((counts(&diff["joins"]), counts(&diff["leaves"])), (BTreeMap::new(), one("bob")));
    assert_eq!(keys(&service, "/rooms").await, ["ada"]);
}

#[tokio::test]
async fn r20_a_key_joins_with_its_first_socket_and_leaves_with_its_last() {
    let service = rooms().await;
    let mut first = join(&service, "/rooms", "ada").await;
    first.expect::<Value>("presence_diff").await.unwrap();
    let mut second = join(&service, "/rooms", "ada").await;
    assert_eq!(counts(&second.expect("presence_state").await.unwrap()), one("ada"));
    let diff: Value = first.expect("presence_diff").await.unwrap();
    assert_eq!(counts(&diff["joins"]), one("ada"), "its own entry, not the first one's");
    assert_eq!(present(&service, "/rooms").await[0].metas.len(), 2);
    second.request::<()>("hide", ()).await.unwrap();
    let diff: Value = first.expect("presence_diff").await.unwrap();
    assert_eq!(counts(&diff["leaves"]), one("ada"));
    assert_eq!(present(&service, "/rooms").await[0].metas.len(), 1);
    first.request::<()>("hide", ()).await.unwrap();
    assert_eq!(keys(&service, "/rooms").await, [""; 0]);
    // Untracked twice.
    first.request::<()>("hide", ()).await.unwrap();
    // Under another key, in place of the first.
    first.request::<()>("track", 7).await.unwrap();
    first.request::<()>("track", 8).await.unwrap();
    assert_eq!(keys(&service, "/rooms").await, ["8"]);
}

#[tokio::test]
async fn r20_an_update_is_a_leave_of_the_old_and_a_join_of_the_new() {
    let service = rooms().await;
    let mut ada = join(&service, "/rooms", "ada").await;
    let before: Value = ada.expect("presence_diff").await.unwrap();
    ada.request::<()>("typing", true).await.unwrap();
    let diff: Value = ada.expect("presence_diff").await.unwrap();
    assert_eq!(diff["leaves"], before["joins"]);
    assert_eq!(diff["joins"]["ada"]["metas"][0]["typing"], true);
    assert_ne!(diff["joins"]["ada"]["metas"][0]["ref"], before["joins"]["ada"]["metas"][0]["ref"]);
    // What changes nothing is not told.
    ada.request::<()>("typing", true).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    ada.expect_none("presence_diff").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn r20_a_client_that_comes_back_within_linger_has_neither_left_nor_joined() {
    let service = rooms().await;
    let mut watcher = service.connect("/patient").await.unwrap();
    watcher.deadline(Duration::from_secs(60));
    for _ in 0..3 {
        let ada = join(&service, "/patient", "ada").await;
        let _ = watcher.expect::<Value>("presence_diff").await;
        drop(ada);
        for _ in 0..5 {
            service.advance(Duration::from_secs(14)).await;
            assert_eq!(keys(&service, "/patient").await, ["ada"]);
            let again = join(&service, "/patient", "ada").await;
            service.advance(Duration::from_secs(1)).await;
            assert_eq!(present(&service, "/patient").await[0].metas.len(), 1, "one socket");
            drop(again);
        }
        watcher.expect_none("presence_diff").await.unwrap();
        let began = Instant::now();
        let diff: Value = watcher.expect("presence_diff").await.unwrap();
        assert_eq!((counts(&diff["leaves"]), counts(&diff["joins"])), (one("ada"), BTreeMap::new()));
        let waited = began.elapsed();
        assert!(waited > Duration::from_secs(14) && waited < Duration::from_secs(16), "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn r20_who_leaves_or_is_removed_is_not_waited_for() {
    let service = rooms().await;
    let mut watcher = service.connect("/patient").await.unwrap();
    let mut ada = join(&service, "/patient", "ada").await;
    watcher.expect::<Value>("presence_diff").await.unwrap();
    ada.emit("remove", ()).await.unwrap();
    let began = Instant::now();
    watcher.expect::<Value>("presence_diff").await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
    let ada = join(&service, "/patient", "ada").await;
    watcher.expect::<Value>("presence_diff").await.unwrap();
    // Time enough to join again, as the front-end package does after a log-in.
    let ada = ada.reconnect().await.unwrap();
    service.advance(Duration::from_secs(3)).await;
    watcher.expect_none("presence_diff").await.unwrap();
    let began = Instant::now();
    ada.leave();
    watcher.expect::<Value>("presence_diff").await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(1200), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn r20_joins_are_told_in_batches() {
    let mut config = Config::default();
    config.presence.batch = Duration::from_secs(5);
    let service = start(by_hand().config(config).identify(ByName).mount::<Rooms>("/rooms")).await;
    let mut watcher = service.connect("/rooms").await.unwrap();
    watcher.deadline(Duration::from_secs(60));
    let mut all = Vec::new();
    for number in 0..20 {
        all.push(join(&service, "/rooms", &format!("user-{number}")).await);
    }
    let diff: Value = watcher.expect("presence_diff").await.unwrap();
    assert_eq!(counts(&diff["joins"]).len(), 20);
    watcher.expect_none("presence_diff").await.unwrap();
}

#[tokio::test]
async fn r20_a_log_out_ends_the_users_entry() {
    let service = start(by_hand().mount::<Rooms>("/rooms")).await;
    let browser = service.login_as("ada").await.unwrap();
    let mut ada = browser.clone().connect("/rooms").await.unwrap();
    let mut watcher = service.connect("/rooms").await.unwrap();
    ada.expect::<Value>("presence_diff").await.unwrap();
    assert_eq!(keys(&service, "/rooms").await, ["ada"]);
    browser.logout().await.unwrap();
    assert_eq!(keys(&service, "/rooms").await, [""; 0]);
    loop {
        let diff: Value = watcher.expect("presence_diff").await.unwrap();
        if counts(&diff["leaves"]) == one("ada") {
            break;
        }
    }
}

#[tokio::test]
async fn r20_what_cannot_be_tracked_is_told() {
    let mut config = Config::default();
    config.presence.max_meta = 100;
    let service = start(by_hand().config(config).identify(ByName).mount::<Rooms>("/rooms")).await;
    let mut ada = join(&service, "/rooms", "ada").await;
    let error: String = ada.request("name", "x".repeat(100)).await.unwrap();
    assert!(error.contains("presence on `/rooms`") && error.contains("presence.max_meta"), "{error}");
    let errors: Vec<String> = ada.request("odd", ()).await.unwrap();
    let [text, named] = &errors[..] else { panic!("{errors:?}") };
    assert!(text.contains("put it into a struct"), "{text}");
    assert!(named.contains("`ref`"), "{named}");
    // Nothing of it has changed the entry.
    assert_eq!(present(&service, "/rooms").await[0].metas, [Viewer { name: "ADA".to_owned(), typing: false }]);
    let mut nobody = service.connect("/rooms").await.unwrap();
    let error: String = nobody.request("name", "x").await.unwrap();
    assert!(error.contains("call `track` before"), "{error}");
    let other = service.sockets().channel("/rooms").unwrap().presence().list::<BTreeMap<String, u64>>().await;
    assert!(other.unwrap_err().to_string().contains("does not read as"));
}

#[channel]
#[derive(Default)]
struct Without;

#[channel]
impl Without {
    #[on("count")]
    async fn count(&self, presence: Presence<Viewer>) -> Result<usize, EventError> {
        Ok(presence.list().await?.len())
    }
}

#[channel]
#[derive(Default)]
struct Plain;

#[tokio::test]
async fn r20_a_channel_without_presence_is_told_what_to_write() {
    let error = by_hand().mount::<Without>("/without").build().await.unwrap_err().to_string();
    assert!(error.contains("presence.rs") && error.contains("#[channel(presence)]` above `struct Without`"), "{error}");
    let service = start(by_hand().mount::<Plain>("/plain")).await;
    let listed = service.sockets().channel("/plain").unwrap().presence().list::<Viewer>().await;
    assert!(listed.unwrap_err().to_string().contains("add `presence`"));
    let mut client = service.connect("/plain").await.unwrap();
    client.expect_none("presence_state").await.unwrap();
}

#[tokio::test]
async fn r20_each_instance_of_a_path_with_parameters_has_a_list_of_its_own() {
    let service = start(by_hand().identify(ByName).mount::<Room>("/room/{id}")).await;
    let mut ada = join(&service, "/room/7", "ada").await;
    let mut also = ada.channel("/room/a%20b").await.unwrap();
    let bob = join(&service, "/room/7", "bob").await;
    assert_eq!(ada.expect::<Value>("presence_state").await.unwrap(), json!({}));
    assert_eq!(counts(&ada.expect::<Value>("presence_diff").await.unwrap()["joins"]).get("ada"), Some(&1));
    assert_eq!(also.expect::<Value>("presence_state").await.unwrap(), json!({}));
    also.expect::<Value>("presence_diff").await.unwrap();
    let room = service.sockets().of::<Room>().unwrap();
    let keys = async |channel: carolina_sockets::ChannelHandle| -> Vec<String> {
        let list: Vec<Present<Viewer>> = channel.presence().list().await.unwrap();
        list.into_iter().map(|present| present.key).collect()
    };
    assert_eq!(keys(room.at(7)).await, ["ada", "bob"]);
    assert_eq!(keys(room.at("a b")).await, ["ada"]);
    assert_eq!(keys(room.at(8)).await, [""; 0]);
    assert_eq!(keys(service.sockets().channel("/room/7").unwrap()).await, ["ada", "bob"]);
    let all: Vec<Present<Viewer>> = room.presence().list().await.unwrap();
    assert_eq!(all.iter().map(|one| (one.key.as_str(), one.metas.len())).collect::<Vec<_>>(), [("ada", 2), ("bob", 1)]);
    let fault = room.at((7, 8)).presence().list::<Viewer>().await.unwrap_err().to_string();
    assert!(fault.contains("2 values"), "{fault}");
    bob.leave();
    loop {
        let diff: Value = ada.expect("presence_diff").await.unwrap();
        if counts(&diff["leaves"]) == one("bob") {
            break;
        }
    }
    also.expect_none("presence_diff").await.unwrap();
    // Over and over, an instance keeps nothing.
    for number in 0..50 {
        let client = join(&service, &format!("/room/{number}"), "cyd").await;
        client.leave();
    }
}

async fn storm(seed: u64) {
    let service = rooms().await;
    let mut random = StdRng::seed_from_u64(seed);
    let names = ["ada", "bob", "cyd", "dan"];
    let mut clients: Vec<(&str, Client)> = Vec::new();
    let mut watcher = service.connect("/patient").await.unwrap();
    let mut mirror = Mirror::default();
    mirror.state(&watcher.expect("presence_state").await.unwrap());
    for step in 0..300 {
        let at = random.random_range(0..clients.len().max(1));
        match random.random_range(0..10) {
            0..4 => {
                let name = names[random.random_range(0..names.len())];
                clients.push((name, join(&service, "/patient", name).await));
            }
            _ if clients.is_empty() => {}
            4..6 => drop(clients.swap_remove(at)),
            6 => clients.swap_remove(at).1.leave(),
            7 => {
                let (name, client) = clients.swap_remove(at);
                clients.push((name, client.reconnect().await.unwrap()));
            }
            _ => clients[at].1.request::<()>("typing", step % 3 == 0).await.unwrap(),
        }
        service.advance(Duration::from_millis(random.random_range(0..3000))).await;
    }
    service.advance(Duration::from_secs(20)).await;
    let expected: Vec<(String, Vec<Value>)> = present(&service, "/patient")
        .await
        .into_iter()
        .map(|Present { key, metas, .. }| {
            (key, sorted(metas.iter().map(|meta| serde_json::to_value(meta).unwrap()).collect()))
        })
        .collect();
    for name in names {
        let open = clients.iter().filter(|(of, _)| *of == name).count();
        let listed = expected.iter().find(|(key, _)| key == name).map_or(0, |(_, metas)| metas.len());
        assert_eq!(listed, open, "{name} in seed {seed}");
    }
    while mirror.list() != expected {
        mirror.diff(&watcher.expect("presence_diff").await.unwrap());
    }
    watcher.expect_none("presence_diff").await.unwrap();
    for (_, mut client) in clients {
        let mut mirror = Mirror::default();
        mirror.state(&client.expect("presence_state").await.unwrap());
        while mirror.list() != expected {
            mirror.diff(&client.expect("presence_diff").await.unwrap());
        }
        client.expect_none("presence_diff").await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn r20_after_any_storm_every_clients_list_is_the_servers() {
    for seed in 0..8 {
        storm(seed).await;
    }
}
