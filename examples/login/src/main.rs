//! Log-in by a form, a private channel, and notices from HTTP handlers to all tabs of a user.

use axum::{
    Form, Router,
    extract::Query,
    response::{Html, Redirect},
    routing::{get, post},
};
use carolina_sockets::{http::Session, prelude::*, sockets};

/// For those who are logged in. Nothing more has to be said: `private` lets in only sockets with a user.
#[channel("/account", private)]
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

fn failed(error: impl std::fmt::Display) -> String {
    format!("that did not work: {error}")
}

async fn page(session: Session) -> Result<Html<String>, String> {
    let user: Option<String> = session.get("user_id").await.map_err(failed)?;
    let body = match user {
        None => include_str!("login.html").to_owned(),
        Some(user) => include_str!("account.html").replace("{user}", &escaped(&user)),
    };
    Ok(Html(body))
}

/// Logs in whoever gives a name. A real application asks for more.
async fn login(session: Session, Form(login): Form<Login>) -> Result<Redirect, String> {
    // Whoever knew the session before the log-in does not know it after.
    session.cycle_id().await.map_err(failed)?;
    session.insert("user_id", login.name.trim()).await.map_err(failed)?;
    Ok(Redirect::to("/"))
}

/// Logs out. The sockets of this session leave `/account` before the answer is sent.
async fn logout(session: Session) -> Result<Redirect, String> {
    session.flush().await.map_err(failed)?;
    Ok(Redirect::to("/"))
}

/// Tells all tabs of whoever asks.
async fn notify(session: Session, Query(notice): Query<Notice>) -> Result<(), String> {
    let user: Option<String> = session.get("user_id").await.map_err(failed)?;
    let user = user.ok_or("log in first")?;
    let account = sockets().of::<Account>().map_err(failed)?;
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
    carolina_sockets::serve().router(routes).await
}
