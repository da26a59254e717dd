//! A chat. Its channels are in `src/channels`, where a new file is a new channel; its page is in `web`.

mod house;

mod channels {
    automod::dir!("src/channels");
}

use axum::{
    Form, Json, Router,
    extract::State,
    http::StatusCode,
    response::Redirect,
    routing::{get, post},
};
use carolina_sockets::http::Session;
use house::House;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Login {
    name: String,
}

type Answer<T> = Result<T, (StatusCode, String)>;

fn failed(error: impl std::fmt::Display) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("that did not work: {error}"))
}

/// Logs in under any name. A real application checks credentials.
async fn login(session: Session, Form(login): Form<Login>) -> Answer<Redirect> {
    let name = login.name.trim();
    if name.is_empty() || name.chars().count() > 24 || name.chars().any(char::is_control) {
        return Ok(Redirect::to("/?refused"));
    }
    // A new id, so that a session id planted before the log-in is useless (session fixation).
    session.cycle_id().await.map_err(failed)?;
    session.insert("user_id", name).await.map_err(failed)?;
    Ok(Redirect::to("/"))
}

/// Logs out, on every tab of this browser.
async fn logout(session: Session) -> Answer<Redirect> {
    session.flush().await.map_err(failed)?;
    Ok(Redirect::to("/"))
}

/// The logged-in user.
async fn me(State(house): State<House>, session: Session) -> Answer<Json<Value>> {
    let user: Option<String> = session.get("user_id").await.map_err(failed)?;
    let moderator = user.as_deref().is_some_and(|user| house.is_moderator(user));
    Ok(Json(json!({ "user": user, "moderator": moderator })))
}

#[tokio::main]
async fn main() -> carolina_sockets::Result {
    let house = House::default();
    let routes = Router::new()
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/me", get(me))
        .with_state(house.clone());
    carolina_sockets::cli().version(env!("CARGO_PKG_VERSION")).state(house).router(routes).await
}
