//! Log-in by a form, a private channel, and notices from HTTP handlers to all tabs of a user.

use axum::{
    Form, Router,
    extract::Query,
    http::StatusCode,
    response::{Html, Redirect},
    routing::{get, post},
};
use carolina_sockets::{Config, http::Session, prelude::*};

/// For logged-in users: `private` admits only sockets with a user.
#[channel("/account", private)]
#[emits("notice", String)]
#[derive(Default)]
struct Account;

#[channel]
impl Account {
    #[on("whoami")]
    fn whoami(&self, user: User) -> String {
        user.to_string()
    }
}

#[derive(Deserialize)]
struct Login {
    name: String,
}

#[derive(Deserialize)]
struct Notice {
    text: String,
}

type Answer<T> = Result<T, (StatusCode, String)>;

fn failed(error: impl std::fmt::Display) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("that did not work: {error}"))
}

async fn page(session: Session) -> Answer<Html<String>> {
    let user: Option<String> = session.get("user_id").await.map_err(failed)?;
    let body = match user {
        None => include_str!("login.html").to_owned(),
        Some(user) => include_str!("account.html").replace("{user}", &escaped(&user)),
    };
    Ok(Html(body))
}

/// Logs in under any name. A real application checks credentials.
async fn login(session: Session, Form(login): Form<Login>) -> Answer<Redirect> {
    let name = login.name.trim();
    if name.is_empty() {
        return Err((StatusCode::BAD_REQUEST, "a name, please".to_owned()));
    }
    // A new id, so that a session id planted before the log-in is useless (session fixation).
    session.cycle_id().await.map_err(failed)?;
    session.insert("user_id", name).await.map_err(failed)?;
    Ok(Redirect::to("/"))
}

/// Logs out. The sockets of this session leave `/account` before the answer is sent.
async fn logout(session: Session) -> Answer<Redirect> {
    session.flush().await.map_err(failed)?;
    Ok(Redirect::to("/"))
}

/// Notifies all tabs of the current user.
async fn notify(sockets: Sockets, session: Session, Query(notice): Query<Notice>) -> Answer<()> {
    let user: Option<String> = session.get("user_id").await.map_err(failed)?;
    let user = user.ok_or((StatusCode::UNAUTHORIZED, "log in first".to_owned()))?;
    let account = sockets.of::<Account>().map_err(failed)?;
    account.emit_to_user(&user, "notice", &notice.text).await.map_err(failed)?;
    Ok(())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[tokio::main]
async fn main() -> carolina_sockets::Result {
    let routes = Router::new()
        .route("/", get(page))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/notify", post(notify));
    let mut config = Config::load()?;
    config.transport.serve_client = true; // /socket.io/client.js, for its page
    carolina_sockets::cli().config(config).router(routes).await
}
