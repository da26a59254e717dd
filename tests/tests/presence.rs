//! R20: who is on a channel.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use carolina_sockets::{
    Config, Keys, Present,
    identity::async_trait,
    prelude::*,
    testing::{Client, TestService},
};
use carolina_sockets_tests::{
    by_hand,
    presence::{Mirror, sorted},
    servers::{Postgres, Redis},
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

async fn track(presence: &Presence<Viewer>, user: Option<User>) -> Result<(), EventError> {
    if let Some(user) = user {
        presence.track(user.id(), &Viewer { name: user.id().to_uppercase(), typing: false }).await?;
    }
    Ok(())
}

async fn show_typing(presence: &Presence<Viewer>, typing: bool) -> Result<(), EventError> {
    presence.update(|viewer| viewer.typing = typing).await?;
    Ok(())
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
                track(&presence, user).await
            }

            #[on("typing")]
            async fn typing(&self, presence: Presence<Viewer>, Data(typing): Data<bool>) -> Result<(), EventError> {
                show_typing(&presence, typing).await
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

/// The keys that were asked for, in order.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<Vec<Vec<String>>>>);

impl Names {
    fn note(&self, keys: &[String]) {
        self.0.lock().unwrap().push(keys.to_vec());
    }

    fn asked(&self) -> Vec<Vec<String>> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[derive(Serialize)]
struct Named {
    full_name: String,
}

macro_rules! named_channel {
    ($name:ident, $path:literal) => {
        #[channel($path, presence(linger = "1s"))]
        #[derive(Default)]
        struct $name;

        #[channel]
        impl $name {
            #[on(connect)]
            async fn joined(&self, presence: Presence<Viewer>, user: Option<User>) -> Result<(), EventError> {
                track(&presence, user).await
            }

            #[on("typing")]
            async fn typing(&self, presence: Presence<Viewer>, Data(typing): Data<bool>) -> Result<(), EventError> {
                show_typing(&presence, typing).await
            }

            #[on(presence, timeout = "2s")]
            async fn names(&self, keys: Keys, names: State<Names>) -> Result<HashMap<String, Named>, EventError> {
                names.note(&keys);
                assert!(!keys.iter().any(|key| key == "panic"), "as told");
                if keys.iter().any(|key| key == "slow") {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                }
                if keys.iter().any(|key| key == "fail") {
                    return Err(EventError::new("down", "the database is away"));
                }
                let known = keys.into_iter().filter(|key| key != "unknown");
                Ok(known.map(|key| (key.clone(), Named { full_name: format!("{key} of London") })).collect())
            }
        }
    };
}

named_channel!(NamedRooms, "/named");
named_channel!(NamedRoom, "/named/{id}");

async fn named(names: &Names) -> TestService {
    let builder = by_hand().identify(ByName).state(names.clone());
    start(builder.mount::<NamedRooms>("/named").mount::<NamedRoom>("/named/{id}")).await
}

#[tokio::test(start_paused = true)]
async fn r20_keys_are_added_to_once_for_a_batch_and_not_for_each_viewer() {
    let names = Names::default();
    let service = named(&names).await;
    for path in ["/named", "/named/7"] {
        let mut viewers = Vec::new();
        for number in 0..10 {
            viewers.push(service.connect(path).await.unwrap());
            assert_eq!(viewers[number].expect::<Value>("presence_state").await.unwrap(), json!({}));
        }
        let mut users = Vec::new();
        for name in ["ada", "bob", "unknown"] {
            users.push(join(&service, path, name).await);
        }
        for viewer in &mut viewers {
            let mut seen = BTreeMap::new();
            while seen.len() < 3 {
                let diff: Value = viewer.expect("presence_diff").await.unwrap();
                seen.extend(diff["joins"].as_object().unwrap().clone());
            }
            assert_eq!(seen["ada"]["full_name"], "ada of London");
            assert_eq!(seen["bob"]["full_name"], "bob of London");
            assert_eq!(seen["unknown"].as_object().unwrap().len(), 1, "{seen:?}");
            assert_eq!(seen["ada"]["metas"][0]["name"], "ADA");
        }
        let mut asked = names.asked().concat();
        asked.sort();
        assert_eq!(asked, ["ada", "bob", "unknown"], "each once");

        // Who joins now gets the same at once; a tab more, an update and a short absence ask nothing.
        let mut late = service.connect(path).await.unwrap();
        let state: Value = late.expect("presence_state").await.unwrap();
        assert_eq!(state["ada"]["full_name"], "ada of London");
        let tab = join(&service, path, "ada").await;
        let diff: Value = late.expect("presence_diff").await.unwrap();
        assert_eq!(diff["joins"]["ada"]["full_name"], "ada of London");
        drop(tab);
        users[0].request::<()>("typing", true).await.unwrap();
        let diff: Value = late.expect("presence_diff").await.unwrap();
        assert_eq!(diff["leaves"]["ada"]["full_name"], "ada of London");
        service.advance(Duration::from_secs(2)).await;
        assert_eq!(names.asked(), Vec::<Vec<String>>::new());
        // Who has gone and comes back is asked for again.
        users.remove(1).leave();
        service.advance(Duration::from_secs(3)).await;
        join(&service, path, "bob").await.expect::<Value>("presence_diff").await.unwrap();
        assert_eq!(names.asked(), [["bob"]]);
    }
}

#[tokio::test(start_paused = true)]
async fn r20_a_query_that_fails_hides_nobody_and_a_slow_one_holds_up_nobody_else() {
    let names = Names::default();
    let service = named(&names).await;
    let mut watcher = service.connect("/named").await.unwrap();
    watcher.deadline(Duration::from_secs(60));
    assert_eq!(watcher.expect::<Value>("presence_state").await.unwrap(), json!({}));
    for name in ["fail", "panic", "slow"] {
        let began = Instant::now();
        let user = join(&service, "/named", name).await;
        if name == "slow" {
            // Another room meanwhile.
            let mut other = join(&service, "/named/1", "ada").await;
            let diff: Value = other.expect("presence_diff").await.unwrap();
            assert_eq!(diff["joins"]["ada"]["full_name"], "ada of London");
            assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        }
        let diff: Value = watcher.expect("presence_diff").await.unwrap();
        assert_eq!(counts(&diff["joins"]), one(name));
        assert_eq!(diff["joins"][name].as_object().unwrap().len(), 1);
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        user.leave();
        let diff: Value = watcher.expect("presence_diff").await.unwrap();
        assert_eq!(counts(&diff["leaves"]), one(name));
    }
    // The one who watches first waits for the names, and gets one state with all.
    drop(watcher);
    service.advance(Duration::from_secs(5)).await;
    names.asked();
    let mut ada = join(&service, "/named/2", "ada").await;
    assert_eq!(ada.expect::<Value>("presence_state").await.unwrap(), json!({}));
    ada.expect::<Value>("presence_diff").await.unwrap();
    drop(ada);
    let mut first = service.connect("/named/2").await.unwrap();
    let state: Value = first.expect("presence_state").await.unwrap();
    assert_eq!(state["ada"]["full_name"], "ada of London");
    assert_eq!(names.asked(), [["ada"], ["ada"]]);
}

#[channel]
#[derive(Default)]
struct NamesWithout;

#[channel]
impl NamesWithout {
    #[on(presence)]
    fn names(&self, _keys: Keys) -> HashMap<u64, Named> {
        HashMap::new()
    }
}

#[tokio::test]
async fn r20_names_without_presence_are_told_what_to_write() {
    let error = by_hand().mount::<NamesWithout>("/without").build().await.unwrap_err().to_string();
    assert!(error.contains("`NamesWithout::names` is `#[on(presence)]`") && error.contains("above `struct"), "{error}");
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

#[tokio::test]
async fn r20_the_application_lists_a_key_without_a_socket() {
    let mut config = Config::default();
    config.presence.max_meta = 200;
    let builder = by_hand().config(config).identify(ByName);
    let service = start(builder.mount::<Rooms>("/rooms").mount::<Room>("/room/{id}")).await;
    let sockets = service.sockets();
    let room = sockets.of::<Room>().unwrap();
    let viewer = |name: &str| Viewer { name: name.to_owned(), typing: false };
    for (path, channel) in [("/rooms", sockets.channel("/rooms").unwrap()), ("/room/7", room.at(7))] {
        // Before anybody is there.
        channel.presence().track("robot", &viewer("R")).await.unwrap();
        let mut ada = join(&service, path, "ada").await;
        assert_eq!(counts(&ada.expect("presence_state").await.unwrap()), one("robot"));
        ada.expect::<Value>("presence_diff").await.unwrap();
        // A tab of the same user is another entry.
        channel.presence().track("ada", &viewer("by hand")).await.unwrap();
        let diff: Value = ada.expect("presence_diff").await.unwrap();
        assert_eq!(counts(&diff["joins"]), one("ada"));
        let list = present(&service, path).await;
        assert_eq!(list.iter().map(|one| (&*one.key, one.metas.len())).collect::<Vec<_>>(), [("ada", 2), ("robot", 1)]);
        channel.presence().update("ada", |viewer: &mut Viewer| viewer.typing = true).await.unwrap();
        let diff: Value = ada.expect("presence_diff").await.unwrap();
        assert_eq!(diff["joins"]["ada"]["metas"][0]["name"], "by hand");
        assert_eq!(diff["joins"]["ada"]["metas"][0]["typing"], true);
        // Replaced, not doubled.
        channel.presence().track("ada", &viewer("again")).await.unwrap();
        ada.expect::<Value>("presence_diff").await.unwrap();
        assert_eq!(present(&service, path).await[0].metas.len(), 2);
        // What the socket does with its own entry leaves the other one.
        ada.request::<()>("hide", ()).await.unwrap();
        assert_eq!(present(&service, path).await[0].metas, [viewer("again")]);
        ada.expect::<Value>("presence_diff").await.unwrap();
        channel.presence().untrack("ada").await.unwrap();
        channel.presence().untrack("nobody").await.unwrap();
        let diff: Value = ada.expect("presence_diff").await.unwrap();
        assert_eq!((counts(&diff["joins"]), counts(&diff["leaves"])), (BTreeMap::new(), one("ada")));
        drop(ada);
        assert_eq!(keys(&service, path).await, ["robot"]);
        channel.presence().untrack("robot").await.unwrap();
        assert_eq!(keys(&service, path).await, [""; 0]);

        let error = channel.presence().update("robot", |_: &mut Viewer| {}).await.unwrap_err().to_string();
        assert!(error.contains("call `track` before"), "{error}");
        let error = channel.presence().track("robot", &viewer(&"x".repeat(200))).await.unwrap_err().to_string();
        assert!(error.contains("presence.max_meta"), "{error}");
    }
    let error = room.presence().track("robot", &viewer("R")).await.unwrap_err().to_string();
    assert!(error.contains(".at(…)"), "{error}");
    assert!(matches!(
        room.at((7, 8)).presence().track(1, &viewer("R")).await,
        Err(carolina_sockets::Error::Parameters { .. })
    ));
}

/// Two nodes.
async fn outside_on_two_nodes(url: &str) {
    let node = async || {
        let mut config = Config::default();
        config.backplane.url = Some(url.to_owned());
        start(by_hand().identify(ByName).config(config).mount::<Rooms>("/rooms").mount::<Room>("/room/{id}")).await
    };
    let (here, there) = (node().await, node().await);
    let viewer = |name: &str| Viewer { name: name.to_owned(), typing: false };
    for path in ["/rooms", "/room/7", "/room/a%20b"] {
        let mut far = join(&there, path, "ada").await;
        let near = here.sockets().channel(path).unwrap().presence();
        near.track("robot", &viewer("R")).await.unwrap();
        let until = async |far: &mut Client, expected: &dyn Fn(&Value) -> bool| loop {
            let diff: Value = far.expect("presence_diff").await.unwrap();
            if expected(&diff) {
                return;
            }
        };
        until(&mut far, &|diff| diff["joins"]["robot"]["metas"][0]["typing"] == false).await;
        near.update("robot", |viewer: &mut Viewer| viewer.typing = true).await.unwrap();
        until(&mut far, &|diff| diff["joins"]["robot"]["metas"][0]["typing"] == true).await;
        assert_eq!(keys(&there, path).await, ["ada", "robot"]);
        // Each node's application has entries of its own.
        let other = there.sockets().channel(path).unwrap().presence();
        other.untrack("robot").await.unwrap();
        assert!(other.update("robot", |_: &mut Viewer| {}).await.is_err());
        near.untrack("robot").await.unwrap();
        until(&mut far, &|diff| counts(&diff["leaves"]) == one("robot")).await;
        // Of a node that ends nothing stays.
        near.track("robot", &viewer("R")).await.unwrap();
        until(&mut far, &|diff| counts(&diff["joins"]) == one("robot")).await;
        far.leave();
    }
    let mut watcher = there.connect("/room/7").await.unwrap();
    assert!(watcher.expect::<Value>("presence_state").await.unwrap()["robot"].is_object());
    here.sockets().shutdown().await;
    loop {
        let diff: Value = watcher.expect("presence_diff").await.unwrap();
        if counts(&diff["leaves"]).contains_key("robot") {
            break;
        }
    }
}

#[tokio::test]
async fn r20_the_application_lists_keys_for_all_nodes_over_redis() {
    let redis = Redis::start();
    outside_on_two_nodes(&redis.url()).await;
}

#[tokio::test]
async fn r20_the_application_lists_keys_for_all_nodes_over_postgres() {
    let postgres = Postgres::start();
    outside_on_two_nodes(&postgres.url()).await;
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
