//! One node of several, for the tests of many nodes: channels, and routes by which a test has it do things.

use axum::{
    Json, Router,
    extract::Query,
    routing::{get, post},
};
use carolina_sockets::{Keys, Present, http::Session, prelude::*, sockets};
use serde_json::{Value, json};

/// For everybody.
#[channel("/open")]
#[derive(Default)]
struct Open;

#[channel]
impl Open {
    #[on("join")]
    fn join(&self, socket: Socket, Data(room): Data<String>) -> Vec<String> {
        socket.join(room);
        socket.rooms()
    }

    #[on("whoami")]
    fn whoami(&self, user: Option<User>) -> Option<String> {
        user.map(|user| user.to_string())
    }

    #[on("node")]
    fn node(&self) -> u32 {
        std::process::id()
    }
}

/// For users.
#[channel("/members", private)]
#[derive(Default)]
struct Members;

/// How often `work` has begun.
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// One channel for each desk.
#[channel("/desks/{id}")]
#[derive(Default)]
struct Desks;

/// Where clients are tried out.
#[channel("/lab")]
#[derive(Default)]
struct Lab;

#[channel]
impl Lab {
    #[on("echo")]
    fn echo(&self, Args(values): Args<Vec<Value>>) -> Args<Vec<Value>> {
        Args(values)
    }

    #[on("fails")]
    fn fails(&self, Data(code): Data<String>) -> Result<(), EventError> {
        Err(EventError::new(code, "as it was asked to").details(json!({ "asked": true })))
    }

    /// Takes a while.
    #[on("work")]
    async fn work(&self) {
        BEGUN.fetch_add(1, Relaxed);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }

    #[on("never")]
    async fn never(&self) {
        std::future::pending::<()>().await;
    }

    #[on("whoami")]
    fn whoami(&self, user: Option<User>) -> Option<String> {
        user.map(|user| user.to_string())
    }

    #[on("dismiss")]
    fn dismiss(&self, socket: Socket) {
        drop(socket.disconnect());
    }

    #[on("address")]
    fn address(&self, handshake: Handshake) -> String {
        handshake.remote_address().to_string()
    }

    #[on("node")]
    fn node(&self) -> u32 {
        std::process::id()
    }

    #[on("auth")]
    fn auth(&self, handshake: Handshake) -> Result<Value, EventError> {
        handshake.auth()
    }
}

/// Where everybody sees who is there.
#[channel("/here", presence)]
#[derive(Default)]
struct Here;

#[derive(Serialize, Deserialize)]
struct Mood {
    mood: String,
}

#[derive(Serialize)]
struct Capitals {
    capitals: String,
}

#[derive(Deserialize)]
struct Key {
    key: Option<String>,
}

#[channel]
impl Here {
    #[on(connect)]
    async fn joined(&self, presence: Presence<Mood>, handshake: Handshake) -> Result<(), EventError> {
        if let Some(key) = handshake.auth::<Key>()?.key {
            presence.track(key, &Mood { mood: "fine".to_owned() }).await?;
        }
        Ok(())
    }

    /// The key in capitals.
    #[on(presence)]
    async fn capitals(&self, keys: Keys) -> Vec<(String, Capitals)> {
        keys.into_iter().map(|key| (key.clone(), Capitals { capitals: key.to_uppercase() })).collect()
    }

    #[on("mood")]
    async fn mood(&self, presence: Presence<Mood>, Data(mood): Data<String>) -> Result<(), EventError> {
        presence.update(|shown| shown.mood = mood).await?;
        Ok(())
    }

    #[on("node")]
    fn node(&self) -> u32 {
        std::process::id()
    }
}

async fn present() -> Result<Json<Vec<Present<Mood>>>, String> {
    let here = sockets().of::<Here>().map_err(|error| error.to_string())?;
    here.presence().list().await.map(Json).map_err(|error| error.to_string())
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    user: String,
    #[serde(default)]
    room: String,
    #[serde(default)]
    event: String,
    #[serde(default)]
    data: Value,
}

async fn login(session: Session, Query(asked): Query<Asked>) -> Result<(), String> {
    session.cycle_id().await.map_err(|error| error.to_string())?;
    session.insert("user_id", asked.user).await.map_err(|error| error.to_string())
}

async fn logout(session: Session) -> Result<(), String> {
    session.flush().await.map_err(|error| error.to_string())
}

async fn emit(Json(asked): Json<Asked>) -> Result<(), String> {
    let open = sockets().channel("/open").map_err(|error| error.to_string())?;
    let emitted = match (asked.user.as_str(), asked.room.as_str()) {
        ("", "") => open.emit(&asked.event, &asked.data).await,
        ("", room) => open.to(room).emit(&asked.event, &asked.data).await,
        (user, _) => open.emit_to_user(user, &asked.event, &asked.data).await,
    };
    emitted.map(|_| ()).map_err(|error| error.to_string())
}

async fn ask() -> Result<Json<Value>, String> {
    let open = sockets().channel("/open").map_err(|error| error.to_string())?;
    let answers = open.emit_with_ack::<Value>("question", ()).await.map_err(|error| error.to_string())?;
    Ok(Json(
        answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(|error| json!({ "failed": error.to_string() })))
            .collect(),
    ))
}

async fn online(Query(asked): Query<Asked>) -> Result<Json<Value>, String> {
    let open = sockets().channel("/open").map_err(|error| error.to_string())?;
    let users = open.online_users().await.map_err(|error| error.to_string())?;
    let is = open.is_online(&asked.user).await.map_err(|error| error.to_string())?;
    Ok(Json(json!({ "users": users, "is": is })))
}

async fn list(Query(asked): Query<Asked>) -> Result<Json<Value>, String> {
    let open = sockets().channel("/open").map_err(|error| error.to_string())?;
    let found = match asked.room.as_str() {
        "" => open.sockets().await,
        room => open.to(room).sockets().await,
    };
    let found = found.map_err(|error| error.to_string())?;
    Ok(Json(json!({ "all": found, "here": open.local_sockets().len() })))
}

async fn join_remote(Json(asked): Json<Asked>) -> Result<(), String> {
    let open = sockets().channel("/open").map_err(|error| error.to_string())?;
    open.except("nobody is in here").join(asked.room).await.map_err(|error| error.to_string())
}

async fn disconnect(Json(asked): Json<Asked>) -> Result<(), String> {
    sockets().disconnect_user(&asked.user).await.map(|_| ()).map_err(|error| error.to_string())
}

#[tokio::main]
async fn main() -> carolina_sockets::Result {
    let router = Router::new()
        .route("/", get(async || axum::response::Html("<!doctype html><title>test</title>")))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/emit", post(emit))
        .route("/ask", get(ask))
        .route("/online", get(online))
        .route("/sockets", get(list))
        .route("/present", get(present))
        .route("/join", post(join_remote))
        .route("/disconnect", post(disconnect));
    let served = carolina_sockets::cli().router(router).await;
    eprintln!("work begun: {}", BEGUN.load(Relaxed));
    served
}
