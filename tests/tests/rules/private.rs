//! R12: who may be on a channel.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use carolina_sockets::{
    EventError, Handshake, Identify, Identity, Socket, State, User, channel, identity::async_trait, on,
    testing::TestService,
};
use carolina_sockets_tests::{by_hand, start};

#[derive(Default)]
struct Seen {
    ran: AtomicUsize,
    rooms: Mutex<Vec<String>>,
}

/// Private, and asks further.
#[channel(private)]
struct Guarded {
    seen: State<Arc<Seen>>,
}

#[channel]
impl Guarded {
    #[on(init)]
    fn new(seen: State<Arc<Seen>>) -> Self {
        Self { seen }
    }

    #[on(authorize)]
    async fn authorize(&self, socket: Socket, user: User) -> Result<(), EventError> {
        // Whoever is refused has been in no room, this one included.
        socket.join("antechamber");
        tokio::task::yield_now().await;
        match user.id() {
            "banned" => Err(EventError::new("banned", "you may not come back")),
            "outsider" => Err(std::io::Error::other("the directory is down, user=outsider").into()),
            _ => Ok(()),
        }
    }

    #[on(connect)]
    fn connect(&self, socket: Socket) {
        self.seen.ran.fetch_add(1, SeqCst);
        *self.seen.rooms.lock().unwrap() = socket.rooms();
    }

    #[on(disconnect)]
    fn disconnect(&self) {
        self.seen.ran.fetch_add(1, SeqCst);
    }

    #[on("event")]
    fn event(&self) {
        self.seen.ran.fetch_add(1, SeqCst);
    }
}

/// Private, with nothing further.
#[channel(private)]
#[derive(Default)]
struct UsersOnly;

/// Believes whatever name the client gives.
struct ByName;

#[async_trait]
impl Identify for ByName {
    async fn identify(&self, handshake: &Handshake) -> Result<Identity, EventError> {
        match handshake.query().get("name") {
            None => Ok(Identity::anonymous()),
            Some("broken") => Err(std::io::Error::other("the user table is locked").into()),
            Some(name) => Ok(Identity::user(name)),
        }
    }
}

async fn service(seen: &Arc<Seen>) -> TestService {
    let builder = by_hand().identify(ByName).state(seen.clone());
    start(builder.mount::<Guarded>("/guarded").mount::<UsersOnly>("/users")).await
}

#[tokio::test]
async fn r12_a_private_channel_without_a_check_lets_in_users() {
    let service = service(&Arc::default()).await;
    assert_eq!(service.connect("/users").await.unwrap_err().code(), "unauthenticated");
    service.client().query("name", "ada").connect("/users").await.unwrap();
}

#[tokio::test]
async fn r12_who_is_refused_has_been_nowhere_and_run_nothing() {
    let seen = Arc::<Seen>::default();
    let service = service(&seen).await;
    let guarded = service.sockets().channel("/guarded").unwrap();
    for (name, code) in [
        (None, "unauthenticated"),
        (Some("banned"), "banned"),
        (Some("outsider"), "internal"),
        (Some("broken"), "internal"),
    ] {
        let client = match name {
            Some(name) => service.client().query("name", name),
            None => service.client(),
        };
        // Events that it sends without waiting for an answer run nothing either.
        let refused = client.connect("/guarded").await.unwrap_err();
        assert_eq!(refused.code(), code);
        assert!(!refused.to_string().contains("directory") && !refused.to_string().contains("locked"), "{refused}");
        assert_eq!(guarded.to("antechamber").emit("x", ()).await.unwrap().missed(), 0);
        assert!(guarded.online_users().await.unwrap().is_empty(), "{name:?}");
        assert!(!guarded.is_online("banned").await.unwrap());
    }
    assert_eq!(seen.ran.load(SeqCst), 0);
    let mut ada = service.client().query("name", "ada").connect("/guarded").await.unwrap();
    ada.request::<()>("event", ()).await.unwrap();
    assert_eq!(*seen.rooms.lock().unwrap(), ["antechamber"], "and not the library's own");
    assert_eq!(guarded.online_users().await.unwrap(), ["ada"]);
}
