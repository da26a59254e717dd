//! R18 and R19: channels with parameters.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use carolina_sockets::{
    Config, Emitter, Error,
    identity::async_trait,
    prelude::*,
    testing::{Client, TestService},
};
use carolina_sockets_tests::{
    DEADLINE, by_hand,
    servers::{Postgres, Redis},
    start, until,
    wire::RawSocket,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::sync::Barrier;

/// What has happened, in order.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn add(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    fn has(&self, text: &str) -> bool {
        self.0.lock().unwrap().iter().any(|seen| seen == text)
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[channel]
struct Orders {
    seen: State<Seen>,
}

#[channel]
impl Orders {
    #[on(init)]
    fn new(seen: State<Seen>) -> Self {
        seen.add("built");
        Self { seen }
    }

    #[on(authorize)]
    async fn may(&self, Path(id): Path<u64>, user: Option<User>) -> bool {
        self.seen.add(format!("authorize {id}"));
        tokio::task::yield_now().await;
        id != 13 || user.is_some()
    }

    #[on(connect)]
    async fn connect(&self, Path(id): Path<u64>, socket: Socket) -> Result<(), EventError> {
        socket.emit("welcome", id).await?;
        Ok(())
    }

    #[on("note")]
    async fn note(&self, Path(id): Path<u64>, socket: Socket, Data(text): Data<String>) -> Result<u64, EventError> {
        socket.broadcast().emit("noted", &text).await?;
        Ok(id)
    }

    #[on("where")]
    fn place(&self, socket: Socket) -> String {
        socket.channel().to_owned()
    }

    #[on("join")]
    fn join(&self, socket: Socket, Data(room): Data<String>) -> (bool, Vec<String>) {
        let joined = socket.join(room);
        let mut rooms = socket.rooms();
        rooms.sort();
        (joined, rooms)
    }

    #[on("echo")]
    fn echo(&self, Data(data): Data<Bytes>) -> Bytes {
        data
    }

    #[on("ask")]
    async fn ask(&self, socket: Socket, Data(number): Data<u32>) -> Result<u32, EventError> {
        Ok(socket.emit_with_ack::<u32>("question", number).await?)
    }

    #[on("nth")]
    fn nth(&self, Data((number, _)): Data<(u32, String)>) {
        self.seen.add(format!("nth {number}"));
    }

    #[on("nth of bytes")]
    fn nth_of_bytes(&self, Data((number, _)): Data<(u32, Bytes)>) {
        self.seen.add(format!("nth {number}"));
    }

    #[on("fail")]
    fn fail(&self) -> Result<(), EventError> {
        Err(EventError::new("no_way", "not today"))
    }

    #[on(disconnect)]
    fn disconnect(&self, Path(id): Path<u64>, socket: Socket, reason: DisconnectReason) {
        let mut rooms = socket.rooms();
        rooms.sort();
        self.seen.add(format!("disconnect {id} {reason:?} {rooms:?}"));
    }
}

/// At a path that `Orders` matches as well.
#[channel]
#[derive(Default)]
struct NewOrder;

#[channel]
impl NewOrder {
    #[on("where")]
    fn place(&self, socket: Socket) -> String {
        format!("new: {}", socket.channel())
    }
}

#[channel]
#[derive(Default)]
struct Documents;

#[channel]
impl Documents {
    #[on("name")]
    fn name(&self, Path(name): Path<String>) -> String {
        name
    }

    #[on("tell")]
    async fn tell(&self, socket: Socket, Data(text): Data<String>) -> Result<(), EventError> {
        socket.broadcast().emit("told", text).await?;
        Ok(())
    }
}

#[channel]
#[derive(Default)]
struct Shops;

#[derive(Serialize, Deserialize)]
struct Place {
    number: u32,
    shop: String,
}

#[channel]
impl Shops {
    #[on("tuple")]
    fn tuple(&self, Path((shop, number)): Path<(String, u32)>) -> (String, u32) {
        (shop, number)
    }

    #[on("struct")]
    fn by_name(&self, Path(place): Path<Place>) -> (Place,) {
        (place,)
    }
}

/// Believes whatever name the client gives.
struct ByName;

#[async_trait]
impl Identify for ByName {
    async fn identify(&self, handshake: &Handshake) -> Result<Identity, EventError> {
        Ok(handshake.query().get("name").map_or_else(Identity::anonymous, Identity::user))
    }
}

async fn orders(seen: &Seen) -> TestService {
    start(
        by_hand().identify(ByName).state(seen.clone()).mount::<Orders>("/orders/{id}").mount::<NewOrder>("/orders/new"),
    )
    .await
}

async fn joined(service: &TestService, path: &str) -> Client {
    service.connect(path).await.unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[tokio::test]
async fn r18_each_instance_is_a_channel_of_its_own() {
    let seen = Seen::default();
    let service = orders(&seen).await;
    let (mut one, mut two) = (joined(&service, "/orders/1").await, joined(&service, "/orders/2").await);
    // Two on one connection.
    let mut both = joined(&service, "/orders/1").await;
    let mut other = both.channel("/orders/2").await.unwrap();
    for (client, id) in [(&mut one, 1), (&mut two, 2), (&mut both, 1), (&mut other, 2)] {
        assert_eq!(client.expect::<u64>("welcome").await.unwrap(), id);
        assert_eq!(client.request::<String>("where", ()).await.unwrap(), format!("/orders/{id}"));
    }
    assert_eq!(one.request::<u64>("note", "a").await.unwrap(), 1);
    assert_eq!(both.expect::<String>("noted").await.unwrap(), "a");
    for client in [&mut one, &mut two, &mut other] {
        client.expect_none("noted").await.unwrap();
    }
    assert_eq!(seen.take().iter().filter(|what| *what == "built").count(), 1, "one channel value");

    // From outside.
    let sockets = service.sockets();
    let all = sockets.of::<Orders>().unwrap();
    all.at(1).emit("changed", "x").await.unwrap();
    sockets.channel("/orders/2").unwrap().emit("changed", "y").await.unwrap();
    all.emit("closing", ()).await.unwrap();
    for (client, text) in [(&mut one, "x"), (&mut both, "x"), (&mut two, "y"), (&mut other, "y")] {
        assert_eq!(client.expect::<String>("changed").await.unwrap(), text);
        client.expect::<()>("closing").await.unwrap();
        client.expect_none("changed").await.unwrap();
    }
    assert_eq!((all.path(), all.at("3").path()), ("/orders/{id}", "/orders/3"));
    all.at(99).emit("changed", "nobody").await.unwrap();
    assert_eq!(all.sockets().await.unwrap().len(), 4);
    assert_eq!(all.at(1).sockets().await.unwrap().len(), 2);

    // Rooms of one instance are not those of another.
    for client in [&mut one, &mut other] {
        assert_eq!(client.request::<(bool, Vec<String>)>("join", "vip").await.unwrap(), (true, vec!["vip".to_owned()]));
    }
    all.at(1).to("vip").emit("vip", 1).await.unwrap();
    all.at(1).except("vip").emit("rest", 1).await.unwrap();
    assert_eq!(one.expect::<u8>("vip").await.unwrap(), 1);
    both.expect::<u8>("rest").await.unwrap();
    for client in [&mut two, &mut both, &mut other] {
        client.expect_none("vip").await.unwrap();
    }
    for client in [&mut two, &mut one, &mut other] {
        client.expect_none("rest").await.unwrap();
    }
    all.to("vip").emit("vips", ()).await.unwrap();
    one.expect::<()>("vips").await.unwrap();
    other.expect::<()>("vips").await.unwrap();
    both.expect_none("vips").await.unwrap();
    all.at(1).except("nobody").join("everybody").await.unwrap();
    all.to("everybody").emit("of-1", ()).await.unwrap();
    both.expect::<()>("of-1").await.unwrap();
    other.expect_none("of-1").await.unwrap();
}

#[tokio::test]
async fn r18_events_answers_and_attachments_work_as_on_other_channels() {
    let seen = Seen::default();
    let service = orders(&seen).await;
    let mut client = joined(&service, "/orders/7").await;
    let bytes = Bytes::from(vec![7; 1000]);
    assert_eq!(client.request::<Bytes>("echo", &bytes).await.unwrap(), bytes);
    assert_eq!(client.request::<()>("fail", ()).await.unwrap_err().code(), "no_way");
    assert_eq!(client.request::<()>("unknown", ()).await.unwrap_err().code(), "unknown_event");
    assert_eq!(client.request::<()>("note", 5).await.unwrap_err().code(), "invalid_payload");
    client.emit("fail", ()).await.unwrap();
    let exception: serde_json::Value = client.expect("exception").await.unwrap();
    assert_eq!(exception["code"], "no_way", "{exception}");
    let ack = client.send_request("ask", 4).unwrap();
    assert_eq!(client.expect_and_answer::<u32>("question", 8).await.unwrap(), 4);
    assert_eq!(client.answer::<u32>(ack).await.unwrap(), 8);
    // Long ones, whose frames have longer heads.
    for length in [100, 120, 125, 126, 200, 65_000] {
        let text = "x".repeat(length);
        assert_eq!(client.request::<u64>("note", &text).await.unwrap(), 7, "{length}");
    }
    let all = service.sockets().of::<Orders>().unwrap();
    for asked in [all.clone(), all.at(7)] {
        let (answers, question) =
            tokio::join!(asked.emit_with_ack::<u32>("question", 1), client.expect_and_answer::<u32>("question", 2));
        assert_eq!(question.unwrap(), 1);
        assert_eq!(answers.unwrap().into_iter().map(Result::unwrap).collect::<Vec<_>>(), [2]);
    }
}

#[tokio::test]
async fn r18_a_literal_path_wins_over_a_parameter() {
    let service = orders(&Seen::default()).await;
    let mut new = joined(&service, "/orders/new").await;
    assert_eq!(new.request::<String>("where", ()).await.unwrap(), "new: /orders/new");
    let mut same = new.channel("/orders/5").await.unwrap();
    assert_eq!(same.request::<String>("where", ()).await.unwrap(), "/orders/5");
    service.sockets().channel("/orders/new").unwrap().emit("hello", ()).await.unwrap();
    new.expect::<()>("hello").await.unwrap();
    same.expect_none("hello").await.unwrap();
}

#[tokio::test]
async fn r18_what_two_templates_match_and_what_handlers_cannot_take_fails_at_start_up() {
    let builder = by_hand().state(Seen::default());
    let builder =
        builder.mount::<Orders>("/orders/{id}").mount::<Documents>("/{kind}/new").mount::<Shops>("/one/{shop}");
    let Err(Error::Startup(problems)) = TestService::start(builder.mount::<NewOrder>("/a/{b")).await else {
        panic!("it starts")
    };
    let all = problems.join("\n");
    for expected in [
        "`Orders` at \"/orders/{id}\"",
        "`Documents` at \"/{kind}/new\"",
        "Shops::tuple` takes `Path<(alloc::string::String, u32)>`, which is 2 parameters, and the path has one parameter",
        "a parameter `number`, and the path has `shop`",
        "write \"{b}\"",
    ] {
        assert!(all.contains(expected), "{expected}: {all}");
    }
    let overlap = problems.iter().find(|problem| problem.contains("matches as well")).unwrap();
    assert_eq!(overlap.matches("tests/parameters.rs:").count(), 2, "both places: {overlap}");

    let plain = by_hand().state(Seen::default()).mount::<Orders>("/orders");
    let Err(Error::Startup(problems)) = TestService::start(plain).await else { panic!("it starts") };
    assert!(problems.iter().any(|problem| problem.contains("`Orders::note` takes `Path<u64>`")), "{problems:?}");
}

#[tokio::test]
async fn r18_a_parameter_that_does_not_read_is_refused_before_anything_runs() {
    let seen = Seen::default();
    let service = orders(&seen).await;
    seen.take();
    let long = "9".repeat(200);
    for value in ["abc", "-1", "042", "%31%2F", "", "{id}", "1.5", "%ff", "18446744073709551616", &long] {
        let error = service.connect(&format!("/orders/{value}")).await.unwrap_err();
        assert_eq!(error.code(), "invalid_path", "{value}: {error}");
        let shown = error.to_string();
        assert!(shown.contains("`id`"), "{shown}");
    }
    let error = service.connect("/orders/abc").await.unwrap_err().to_string();
    assert!(error.contains("\"abc\"") && error.contains("an integer without a sign (u64)"), "{error}");
    assert_eq!(seen.take(), Vec::<String>::new(), "nothing has run");
    assert!(service.connect("/orders/1/2").await.is_err() && service.connect("/orders").await.is_err());
    let sockets = service.sockets();
    assert!(matches!(sockets.channel("/orders/"), Err(Error::UnknownChannel { .. })));
    assert!(matches!(sockets.channel("/other/1"), Err(Error::UnknownChannel { .. })));
    let orders = sockets.of::<Orders>().unwrap();
    for wrong in [orders.at((1, 2)), orders.at(""), sockets.of::<NewOrder>().unwrap().at(1)] {
        assert!(matches!(wrong.emit("x", ()).await, Err(Error::Parameters { .. })));
        assert!(matches!(wrong.to("room").sockets().await, Err(Error::Parameters { .. })));
    }
}

#[tokio::test]
async fn r18_spellings_of_one_parameter_are_one_channel() {
    let service = start(by_hand().mount::<Documents>("/docs/{name}")).await;
    for (name, spellings) in [
        ("größe", &["/docs/größe", "/docs/gr%C3%B6%C3%9Fe", "/docs/gr%c3%b6%c3%9fe"][..]),
        ("a b/c,d?", &["/docs/a%20b%2Fc%2Cd%3F", "/docs/a%20b%2fc%2cd%3f"]),
        ("日本", &["/docs/日本", "/docs/%E6%97%A5%E6%9C%AC"]),
        ("42", &["/docs/42", "/docs/%34%32"]),
    ] {
        let mut clients = Vec::new();
        for path in spellings {
            clients.push(joined(&service, path).await);
        }
        for client in &mut clients {
            assert_eq!(client.request::<String>("name", ()).await.unwrap(), name);
        }
        service.sockets().of::<Documents>().unwrap().at(name).emit("hello", name).await.unwrap();
        clients[0].request::<()>("tell", "news").await.unwrap();
        for (number, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.expect::<String>("hello").await.unwrap(), name);
            if number > 0 {
                assert_eq!(client.expect::<String>("told").await.unwrap(), "news");
            }
        }
        // One connection cannot be on it twice.
        if spellings.len() > 1 {
            assert_eq!(clients[0].channel(spellings[1]).await.unwrap_err().code(), "invalid_path");
        }
        // Its own spelling is free again when it has left.
        clients.remove(0).leave();
    }
    let long = "x".repeat(240);
    let mut client = joined(&service, &format!("/docs/{long}")).await;
    assert_eq!(client.request::<String>("name", ()).await.unwrap(), long);
}

#[tokio::test]
async fn r18_several_parameters_read_as_tuples_and_structs() {
    let service = start(by_hand().mount::<Shops>("/shops/{shop}/orders/{number}")).await;
    let mut client = joined(&service, "/shops/books/orders/7").await;
    assert_eq!(client.request::<(String, u32)>("tuple", ()).await.unwrap(), ("books".to_owned(), 7));
    let place: Place = client.request("struct", ()).await.unwrap();
    assert_eq!((&*place.shop, place.number), ("books", 7));
    let shops = service.sockets().of::<Shops>().unwrap();
    for handle in [shops.at(("books", 7)), shops.at(place), shops.at(["books", "7"])] {
        assert_eq!(handle.path(), "/shops/books/orders/7");
        handle.emit("hello", ()).await.unwrap();
        client.expect::<()>("hello").await.unwrap();
    }
    let error = service.connect("/shops/books/orders/seven").await.unwrap_err();
    assert!(error.to_string().contains("`number`"), "{error}");
}

#[tokio::test]
async fn r18_authorize_private_and_removal_are_of_each_instance() {
    let seen = Seen::default();
    let service = orders(&seen).await;
    assert_eq!(service.connect("/orders/13").await.unwrap_err().code(), "forbidden");
    let mut thirteen = service.client().query("name", "ada").connect("/orders/13").await.unwrap();
    let mut one = thirteen.channel("/orders/1").await.unwrap();
    let mut stranger = joined(&service, "/orders/1").await;
    let all = service.sockets().of::<Orders>().unwrap();
    assert_eq!(all.online_users().await.unwrap(), ["ada"]);
    assert!(all.at(13).is_online("ada").await.unwrap() && !all.at(2).is_online("ada").await.unwrap());
    all.at(1).emit_to_user("ada", "yours", ()).await.unwrap();
    one.expect::<()>("yours").await.unwrap();
    stranger.expect_none("yours").await.unwrap();
    thirteen.expect_none("yours").await.unwrap();

    // From one instance, and back at once.
    one.request::<(bool, Vec<String>)>("join", "r").await.unwrap();
    all.at(1).to_user("ada").disconnect().await.unwrap();
    one.expect_disconnect().await.unwrap();
    until("the handler", || seen.has("disconnect 1 ServerDisconnect [\"r\"]")).await;
    stranger.request::<u64>("note", "a").await.unwrap();
    let mut one = thirteen.channel("/orders/1").await.unwrap();
    stranger.request::<u64>("note", "b").await.unwrap();
    assert_eq!(one.expect::<String>("noted").await.unwrap(), "b");
    assert_eq!(thirteen.request::<u64>("note", "c").await.unwrap(), 13);

    // A user, everywhere.
    assert_eq!(service.sockets().disconnect_user("ada").await.unwrap(), 2);
    one.expect_disconnect().await.unwrap();
    thirteen.expect_disconnect().await.unwrap();
    all.disconnect().await.unwrap();
    stranger.expect_disconnect().await.unwrap();

    let config = Config::from_toml(
        "[channels]\n\"/orders/{id}\" = { driver = \"Documents\", private = true }\n\"/docs/{name}\" = { enabled = false }",
        "test.toml",
    );
    let builder = by_hand().identify(ByName).config(config.unwrap()).mount::<Documents>("/docs/{name}");
    let service = start(builder).await;
    assert_eq!(service.connect("/orders/1").await.unwrap_err().code(), "unauthenticated");
    let mut ada = service.client().query("name", "ada").connect("/orders/1").await.unwrap();
    assert_eq!(ada.request::<String>("name", ()).await.unwrap(), "1");
    assert!(service.connect("/docs/1").await.is_err());
}

#[tokio::test]
async fn r18_log_in_and_log_out_reach_instances() {
    let seen = Seen::default();
    let builder = by_hand().state(seen.clone()).mount::<Orders>("/orders/{id}");
    let service = start(builder.mount::<Documents>("/docs/{name}")).await;
    let browser = service.login_as("ada").await.unwrap();
    let mut thirteen = browser.clone().connect("/orders/13").await.unwrap();
    let mut one = thirteen.channel("/orders/1").await.unwrap();
    let mut doc = thirteen.channel("/docs/a%20b").await.unwrap();
    let mut stranger = joined(&service, "/orders/1").await;
    let all = service.sockets().of::<Orders>().unwrap();
    let docs = service.sockets().of::<Documents>().unwrap();
    assert_eq!(all.at(1).online_users().await.unwrap(), ["ada"]);
    assert_eq!(docs.at("a b").online_users().await.unwrap(), ["ada"]);

    // Where the user may not be without a log-in, the socket ends; elsewhere it goes on as nobody's.
    browser.logout().await.unwrap();
    thirteen.expect_disconnect().await.unwrap();
    until("the handler", || seen.0.lock().unwrap().iter().any(|what| what.starts_with("disconnect 13"))).await;
    until("it is gone", || all.instances() == 1).await;
    assert_eq!(all.online_users().await.unwrap(), [""; 0]);
    assert_eq!(docs.online_users().await.unwrap(), [""; 0]);
    all.at(1).emit_to_user("ada", "yours", ()).await.unwrap();
    assert_eq!(one.request::<u64>("note", "still here").await.unwrap(), 1);
    assert_eq!(stranger.expect::<String>("noted").await.unwrap(), "still here");
    one.expect_none("yours").await.unwrap();
    assert_eq!(doc.request::<String>("name", ()).await.unwrap(), "a b");
    assert_eq!(one.channel("/orders/13").await.unwrap_err().code(), "forbidden");

    // A log-in is a new session: clients come back with its cookie, to their instances as well.
    let other = service.login_as("bob").await.unwrap();
    let mut two = other.clone().connect("/orders/2").await.unwrap();
    other.login_as("cyd").await.unwrap();
    two.expect_disconnect().await.unwrap();
    until("the handler", || seen.has("disconnect 2 SessionRenewed []")).await;
    let mut two = other.clone().connect("/orders/2").await.unwrap();
    all.at(2).emit_to_user("cyd", "yours", ()).await.unwrap();
    two.expect::<()>("yours").await.unwrap();
    assert_eq!(all.online_users().await.unwrap(), ["cyd"]);
}

#[tokio::test]
async fn r18_who_leaves_and_joins_again_at_once_is_on_it() {
    let seen = Seen::default();
    let service = orders(&seen).await;
    let lobby = joined(&service, "/orders/new").await;
    let mut watcher = joined(&service, "/orders/1").await;
    for round in 0..100 {
        let mut client = lobby.channel("/orders/1").await.unwrap();
        assert_eq!(client.request::<u64>("note", round.to_string()).await.unwrap(), 1);
        assert_eq!(watcher.expect::<String>("noted").await.unwrap(), round.to_string());
        watcher.request::<u64>("note", "back").await.unwrap();
        client.expect::<String>("noted").await.unwrap();
        client.leave();
    }
    until("all have left", || {
        seen.0.lock().unwrap().iter().filter(|what| what.starts_with("disconnect 1 ClientLeft")).count() == 100
    })
    .await;
}

#[tokio::test]
async fn r19_one_connection_opens_so_many_and_no_more() {
    let mut config = Config::default();
    config.limits.channels_per_connection = 3;
    let service = start(by_hand().config(config).mount::<Documents>("/docs/{name}").mount::<NewOrder>("/plain")).await;
    let first = joined(&service, "/docs/0").await;
    let mut open = Vec::new();
    for number in 1..3 {
        open.push(first.channel(&format!("/docs/{number}")).await.unwrap());
    }
    let error = first.channel("/docs/3").await.unwrap_err();
    assert_eq!(error.code(), "too_many_channels");
    assert!(error.to_string().contains("limits.channels_per_connection"), "{error}");
    first.channel("/plain").await.unwrap();
    // There is room again when one is left; what is open goes on.
    open.remove(0).leave();
    let mut three = first.channel("/docs/3").await.unwrap();
    assert_eq!(three.request::<String>("name", ()).await.unwrap(), "3");
    assert_eq!(open[0].request::<String>("name", ()).await.unwrap(), "2");
    assert_eq!(first.channel("/docs/4").await.unwrap_err().code(), "too_many_channels");
}

#[channel]
struct Slow {
    together: State<Barrier>,
}

#[channel]
impl Slow {
    #[on(init)]
    fn new(together: State<Barrier>) -> Self {
        Self { together }
    }

    #[on(authorize)]
    async fn may(&self, Path(number): Path<usize>) -> bool {
        self.together.wait().await;
        number.is_multiple_of(2)
    }

    #[on("number")]
    fn number(&self, Path(number): Path<usize>) -> usize {
        number
    }
}

#[tokio::test]
async fn r18_fifty_joined_at_once_are_decided_side_by_side() {
    let service = start(by_hand().state(Barrier::new(50)).mount::<Slow>("/slow/{n}").mount::<NewOrder>("/plain")).await;
    let plain = joined(&service, "/plain").await;
    let paths: Vec<String> = (0..50).map(|number| format!("/slow/{number}")).collect();
    // None is decided before all have begun.
    let joining = futures_util::future::join_all(paths.iter().map(|path| plain.channel(path)));
    let joined = tokio::time::timeout(Duration::from_secs(5), joining).await.expect("side by side");
    for (number, client) in joined.into_iter().enumerate() {
        match client {
            Ok(mut client) => {
                assert_eq!(number % 2, 0);
                assert_eq!(client.request::<usize>("number", ()).await.unwrap(), number);
            }
            Err(error) => assert_eq!((number % 2, error.code()), (1, "forbidden")),
        }
    }
}

#[tokio::test]
async fn r18_packets_of_channels_that_are_not_open_do_no_harm() {
    let service = orders(&Seen::default()).await;
    let mut client = joined(&service, "/orders/1").await;
    for packet in [
        "42/orders/2,[\"note\",\"a\"]",
        "42/orders/2,7[\"note\",\"a\"]",
        "41/orders/2,",
        "41/orders/2",
        "43/orders/2,7[]",
        "42/orders/abc,[\"note\",\"a\"]",
        "40/orders/1,",
    ] {
        client.send_raw(packet);
        assert_eq!(client.request::<u64>("note", "b").await.unwrap(), 1, "{packet}");
    }
    // The path of all is nobody's.
    client.send_raw("42/orders/{id},[\"note\",\"a\"]");
    client.expect_disconnect().await.unwrap();
}

/// The frames of an event with this number, of some kind.
fn frames_of(random: &mut StdRng, number: u32) -> Vec<u8> {
    let attached = |number| format!("451-/orders/1,[\"nth of bytes\",{number},{{\"_placeholder\":true,\"num\":0}}]");
    let event = |size| format!("42/orders/1,[\"nth\",{number},\"{}\"]", "é".repeat(size));
    let (opcode, first) = match random.random_range(0..10) {
        0 => (1, attached(number)),
        1 => (1, event(random.random_range(100..20_000))),
        _ => (1, event(random.random_range(0..40))),
    };
    let mut frames = Vec::new();
    if first.starts_with("45") {
        push_frame(random, &mut frames, 0x80 | opcode, first.as_bytes());
        push_frame(random, &mut frames, 0x82, &[7; 30]);
    } else if random.random_range(0..10) == 0 {
        // In two frames.
        let (begin, end) = first.as_bytes().split_at(random.random_range(1..first.len()));
        push_frame(random, &mut frames, opcode, begin);
        push_frame(random, &mut frames, 0x80, end);
    } else {
        push_frame(random, &mut frames, 0x80 | opcode, first.as_bytes());
    }
    frames
}

fn push_frame(random: &mut StdRng, to: &mut Vec<u8>, first: u8, payload: &[u8]) {
    let mask: [u8; 4] = random.random();
    to.push(first);
    match u16::try_from(payload.len()).expect("a small payload") {
        length @ 0..126 => to.push(0x80 | u8::try_from(length).expect("below 126")),
        length => {
            to.push(0x80 | 126);
            to.extend(length.to_be_bytes());
        }
    }
    to.extend(mask);
    to.extend(payload.iter().enumerate().map(|(index, byte)| byte ^ mask[index % 4]));
}

#[tokio::test]
async fn r18_events_of_all_kinds_keep_their_order_however_they_arrive() {
    let mut config = Config::default();
    config.limits.events_per_second = 1_000_000;
    let seen = Seen::default();
    let builder = by_hand().config(config).state(seen.clone()).mount::<Orders>("/orders/{id}");
    let service = TestService::of(builder.build().await.unwrap()).listen().await.unwrap();
    for seed in 0..20 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut client = RawSocket::join(&service.url(), "/orders/1").await;
        let all: Vec<u8> = (0..100).flat_map(|number| frames_of(&mut random, number)).collect();
        let mut left = &all[..];
        while !left.is_empty() {
            // Now and then a part of a frame, and several at once.
            let (now, later) = left.split_at(random.random_range(1..=left.len().min(500)));
            assert!(client.send_bytes(now).await);
            left = later;
            if random.random_range(0..3) == 0 {
                tokio::task::yield_now().await;
            }
        }
        assert!(client.send("42/orders/1,0[\"where\"]").await);
        client.expect("43/orders/1,0").await;
        let numbers: Vec<String> = seen.take().into_iter().filter(|seen| seen.starts_with("nth")).collect();
        let expected: Vec<String> = (0..100).map(|number| format!("nth {number}")).collect();
        assert_eq!(numbers, expected, "seed {seed}");
    }
}

#[tokio::test]
async fn r18_packets_that_break_the_protocol_close_the_connection_as_on_other_channels() {
    let seen = Seen::default();
    let builder = by_hand().state(seen.clone()).mount::<Orders>("/orders/{id}");
    let service = TestService::of(builder.build().await.unwrap()).listen().await.unwrap();
    let closed = async |mut socket: RawSocket| {
        let closed = async { while socket.read().await.is_some() {} };
        tokio::time::timeout(DEADLINE, closed).await.expect("it is closed");
        until("it is forgotten", || service.sockets().connections() == 0).await;
    };
    // Without a mask, as no client may send: before and after it has joined, short and long.
    for packet in
        ["40/orders/1,".to_owned(), "42/orders/1,[\"where\"]".to_owned(), format!("42/orders/1,[\"{:0130}\"]", 0)]
    {
        let mut socket = RawSocket::open(&service.url()).await;
        if packet.starts_with("42") {
            socket.also_join("/orders/1").await;
        }
        let mut frame = vec![0x81];
        match u8::try_from(packet.len()).expect("a short packet") {
            length @ 0..126 => frame.push(length),
            length => frame.extend([126, 0, length]),
        }
        frame.extend(packet.as_bytes());
        assert!(socket.send_bytes(&frame).await);
        closed(socket).await;
    }
    // An event where an attachment is due.
    let mut socket = RawSocket::join(&service.url(), "/orders/1").await;
    socket.send("451-/orders/1,[\"nth of bytes\",0,{\"_placeholder\":true,\"num\":0}]").await;
    // Time for that to be read by itself.
    let mut other = RawSocket::join(&service.url(), "/orders/2").await;
    other.send("42/orders/2,0[\"where\"]").await;
    other.expect("43/orders/2,0").await;
    drop(other);
    socket.send("42/orders/1,[\"nth\",1,\"\"]").await;
    closed(socket).await;
    assert!(!seen.has("nth 1"));
}

#[tokio::test]
async fn r18_who_is_let_in_nowhere_is_closed_in_time() {
    let mut config = Config::default();
    config.limits.connect_timeout = Duration::from_millis(200);
    let builder = by_hand().config(config).state(Seen::default()).mount::<Orders>("/orders/{id}");
    let service = TestService::of(builder.build().await.unwrap()).listen().await.unwrap();
    let mut refused = RawSocket::open(&service.url()).await;
    let mut member = RawSocket::join(&service.url(), "/orders/1").await;
    refused.send("40/orders/abc,").await;
    refused.expect("44/orders/abc,").await;
    let closed = async { while refused.read().await.is_some() {} };
    tokio::time::timeout(DEADLINE, closed).await.expect("it is closed");
    // The namespace of all instances is nothing that a client hears of.
    member.send("42/orders/1,5[\"where\"]").await;
    assert_eq!(member.expect("4").await, "42/orders/1,[\"welcome\",1]");
    assert_eq!(member.expect("4").await, "43/orders/1,5[\"/orders/1\"]");
}

#[tokio::test]
async fn r19_instances_are_gone_with_their_last_socket() {
    let seen = Seen::default();
    let service = orders(&seen).await;
    let client = joined(&service, "/orders/new").await;
    let all = service.sockets().of::<Orders>().unwrap();
    for round in 0..5_u64 {
        let mut open = Vec::new();
        for id in 0..50 {
            open.push(client.channel(&format!("/orders/{}", round * 50 + id + 100)).await.unwrap());
        }
        assert_eq!(all.instances(), 50);
        open.into_iter().for_each(Client::leave);
        until("all are gone", || all.instances() == 0).await;
    }
    // Neither do those who are refused leave any.
    for _ in 0..100 {
        assert_eq!(client.channel("/orders/13").await.unwrap_err().code(), "forbidden");
    }
    assert_eq!(all.instances(), 0);
    let mut last = joined(&service, "/orders/1").await;
    last.request::<u64>("note", "a").await.unwrap();
    assert_eq!(all.instances(), 1);
    drop(last);
    until("gone with the connection", || all.instances() == 0).await;
    let seen: BTreeSet<String> = seen.take().into_iter().filter(|what| what.starts_with("disconnect")).collect();
    assert_eq!(seen.len(), 251, "each has left: {seen:?}");
}

/// Two nodes.
async fn on_two_nodes(url: &str) {
    let node = async || {
        let mut config = Config::default();
        config.backplane.url = Some(url.to_owned());
        let builder = by_hand().identify(ByName).state(Seen::default()).config(config);
        start(builder.mount::<Orders>("/orders/{id}").mount::<Documents>("/docs/{name}")).await
    };
    let (here, there) = (node().await, node().await);
    let mut near = here.client().query("name", "ada").connect("/orders/1").await.unwrap();
    let mut far = there.client().query("name", "bob").connect("/orders/1").await.unwrap();
    let mut other = far.channel("/orders/2").await.unwrap();
    let mut spelt = there.connect("/docs/gr%C3%B6%C3%9Fe").await.unwrap();

    // A handler's broadcast, and emits from outside to one instance and to all.
    near.request::<u64>("note", "a").await.unwrap();
    assert_eq!(far.expect::<String>("noted").await.unwrap(), "a");
    let orders = here.sockets().of::<Orders>().unwrap();
    orders.at(1).emit("one", 1).await.unwrap();
    orders.emit("all", vec![1, 2]).await.unwrap();
    for client in [&mut near, &mut far] {
        assert_eq!(client.expect::<u8>("one").await.unwrap(), 1);
    }
    for client in [&mut near, &mut far, &mut other] {
        assert_eq!(client.expect::<Vec<u8>>("all").await.unwrap(), [1, 2]);
    }
    here.sockets().of::<Documents>().unwrap().at("größe").emit("hello", ()).await.unwrap();
    spelt.expect::<()>("hello").await.unwrap();
    other.expect_none("one").await.unwrap();

    // Users, sockets, rooms and answers of all nodes.
    assert_eq!(orders.online_users().await.unwrap(), ["ada", "bob"]);
    assert_eq!(orders.at(1).online_users().await.unwrap(), ["ada", "bob"]);
    assert_eq!(orders.at(2).online_users().await.unwrap(), ["bob"]);
    assert!(orders.is_online("bob").await.unwrap() && !orders.at(2).is_online("ada").await.unwrap());
    assert_eq!((orders.sockets().await.unwrap().len(), orders.at(2).sockets().await.unwrap().len()), (3, 1));
    orders.at(1).emit_to_user("bob", "yours", ()).await.unwrap();
    far.expect::<()>("yours").await.unwrap();
    other.expect_none("yours").await.unwrap();
    far.request::<(bool, Vec<String>)>("join", "vip").await.unwrap();
    orders.at(1).to("vip").emit("vip", ()).await.unwrap();
    orders.to("vip").emit("vips", ()).await.unwrap();
    for event in ["vip", "vips"] {
        far.expect::<()>(event).await.unwrap();
        near.expect_none(event).await.unwrap();
        other.expect_none(event).await.unwrap();
    }
    let (answers, ..) = tokio::join!(
        orders.emit_with_ack::<u32>("question", 0),
        near.expect_and_answer::<u32>("question", 1),
        far.expect_and_answer::<u32>("question", 2),
        other.expect_and_answer::<u32>("question", 3),
    );
    let mut answers: Vec<u32> = answers.unwrap().into_iter().map(Result::unwrap).collect();
    answers.sort_unstable();
    assert_eq!(answers, [1, 2, 3]);

    // A process that serves no sockets.
    let worker = Emitter::connect(url).await.unwrap();
    worker.channel("/orders/2").emit("from-worker", 2).await.unwrap();
    worker.channel("/orders/{id}").emit("from-worker", 0).await.unwrap();
    assert_eq!(other.expect::<u8>("from-worker").await.unwrap(), 2);
    for client in [&mut near, &mut far, &mut other] {
        assert_eq!(client.expect::<u8>("from-worker").await.unwrap(), 0);
    }

    // Removal from one instance leaves the client on its others.
    orders.at(1).disconnect().await.unwrap();
    near.expect_disconnect().await.unwrap();
    far.expect_disconnect().await.unwrap();
    assert_eq!(other.request::<u64>("note", "still here").await.unwrap(), 2);
    here.sockets().disconnect_user("bob").await.unwrap();
    other.expect_disconnect().await.unwrap();
}

#[tokio::test]
async fn r18_instances_span_nodes_over_redis() {
    let redis = Redis::start();
    on_two_nodes(&redis.url()).await;
}

#[tokio::test]
async fn r18_instances_span_nodes_over_postgres() {
    let postgres = Postgres::start();
    on_two_nodes(&postgres.url()).await;
}
