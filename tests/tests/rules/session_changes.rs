//! R11: sockets follow their session.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
};

use axum::body::Body;
use carolina_sockets::DisconnectReason;
use carolina_sockets_tests::until;
use tower_sessions::MemoryStore;

use crate::lobby::{COOKIE, Departure, join, log_in, service, service_telling, visit, whoami};

#[tokio::test]
async fn r11_log_in_and_log_out_by_http_reach_open_sockets_before_the_answer() {
    let service = service().await;
    let cookie = visit(&service, "/visit", None).await.unwrap();
    let (mut first, mut second) = (join(&service, "/lobby", &cookie).await, join(&service, "/lobby", &cookie).await);
    assert_eq!(whoami(&mut first).await, None);
    visit(&service, "/become?user=ada", Some(&cookie)).await;
    assert_eq!(whoami(&mut first).await.as_deref(), Some("ada"));
    assert_eq!(whoami(&mut second).await.as_deref(), Some("ada"));
    let mut members = join(&service, "/members", &cookie).await;
    service.sockets().channel("/lobby").unwrap().emit_to_user("ada", "news", 1).await.unwrap();
    assert_eq!(first.expect::<u8>("news").await.unwrap(), 1);
    assert_eq!(second.expect::<u8>("news").await.unwrap(), 1);
    visit(&service, "/become?user=bob", Some(&cookie)).await;
    assert_eq!(whoami(&mut first).await.as_deref(), Some("bob"));
    visit(&service, "/logout", Some(&cookie)).await;
    assert_eq!(whoami(&mut first).await, None);
    assert_eq!(whoami(&mut second).await, None);
    let closed: serde_json::Value = members.expect("carolina:closed").await.unwrap();
    assert_eq!(closed["code"], "unauthenticated", "{closed}");
    members.expect_disconnect().await.unwrap();
    for user in ["ada", "bob"] {
        service.sockets().channel("/lobby").unwrap().emit_to_user(user, "news", 2).await.unwrap();
    }
    for client in [&mut first, &mut second] {
        client.expect_none("news").await.unwrap();
    }
}

#[tokio::test]
async fn r11_a_renewed_session_cuts_every_socket_of_the_old_id_and_a_planted_cookie_gains_nothing() {
    let service = service().await;
    let planted = visit(&service, "/visit", None).await.unwrap();
    let mut victim = join(&service, "/lobby", &planted).await;
    // All of them come from the address of the request that logs in, as behind a proxy or NAT, or from another.
    let (same, elsewhere): (IpAddr, IpAddr) = ("127.0.0.1".parse().unwrap(), "203.0.113.7".parse().unwrap());
    let attacker = |address| service.client().address(address).cookie(COOKIE, &planted);
    let (mut near, mut far) =
        (attacker(same).connect("/lobby").await.unwrap(), attacker(elsewhere).connect("/lobby").await.unwrap());
    assert_eq!((whoami(&mut near).await, whoami(&mut far).await), (None, None));
    let renewed = visit(&service, "/login?user=ada", Some(&planted)).await.unwrap();
    assert_ne!(renewed, planted);
    for client in [&mut near, &mut far, &mut victim] {
        client.expect_disconnect().await.unwrap();
    }
    for address in [same, elsewhere] {
        assert_eq!(whoami(&mut attacker(address).connect("/lobby").await.unwrap()).await, None);
    }
    // The browser that logged in comes back with the cookie that it has now.
    let mut victim = join(&service, "/lobby", &renewed).await;
    assert_eq!(whoami(&mut victim).await.as_deref(), Some("ada"));
    // From here on the session is the new one.
    visit(&service, "/become?user=eve", Some(&planted)).await;
    assert_eq!(whoami(&mut victim).await.as_deref(), Some("ada"));
    visit(&service, "/logout", Some(&renewed)).await;
    assert_eq!(whoami(&mut victim).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r11_of_changes_at_once_the_last_one_holds() {
    let service = Arc::new(service().await);
    let cookie = visit(&service, "/visit", None).await.unwrap();
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(join(&service, "/lobby", &cookie).await);
    }
    for round in 0..50 {
        let changes = (0..8).map(|number| {
            let (service, cookie) = (service.clone(), cookie.clone());
            let path = format!("/become?user={round}-{number}");
            tokio::spawn(async move { visit(&service, &path, Some(&cookie)).await })
        });
        futures_util::future::join_all(changes).await;
        // Read by HTTP, and so from the store.
        let request = http::Request::get("/user").header("cookie", format!("{COOKIE}={cookie}"));
        let response = service.http(request.body(Body::empty()).unwrap()).await;
        let stored = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
        for client in &mut clients {
            assert_eq!(whoami(client).await.unwrap().as_bytes(), stored, "round {round}");
        }
    }
}

#[tokio::test]
async fn r11_a_session_that_expires_takes_its_user_along() {
    let service = service().await;
    let cookie = visit(&service, "/brief", None).await.unwrap();
    let mut client = join(&service, "/lobby", &cookie).await;
    let mut member = join(&service, "/members", &cookie).await;
    assert_eq!(whoami(&mut client).await.as_deref(), Some("brief"));
    member.expect_disconnect().await.unwrap();
    // All sockets of a session change before any leaves its channel.
    assert_eq!(whoami(&mut client).await, None);
}

#[tokio::test]
async fn r11_handlers_read_the_session_as_it_is_now() {
    let service = service().await;
    let cookie = visit(&service, "/visit", None).await.unwrap();
    let mut client = join(&service, "/lobby", &cookie).await;
    assert_eq!(client.request::<Option<String>>("notes", ()).await.unwrap().as_deref(), Some("seen"));
    // A handler may change it, too; its own socket is among those that follow.
    let mut member = join(&service, "/lobby", &cookie).await;
    client.request::<()>("become", "ada").await.unwrap();
    assert_eq!(whoami(&mut client).await.as_deref(), Some("ada"));
    assert_eq!(whoami(&mut member).await.as_deref(), Some("ada"));
    let mut stranger = service.connect("/lobby").await.unwrap();
    assert_eq!(stranger.request::<()>("notes", ()).await.unwrap_err().code(), "unauthenticated");
}

#[tokio::test]
async fn r11_who_left_is_known_after_a_log_out_and_why() {
    let left = Arc::<Mutex<Vec<Departure>>>::default();
    let service = service_telling(MemoryStore::default(), Some(left.clone())).await;
    let ended = async |expected: DisconnectReason, user: &str| {
        until("the socket has left", || !left.lock().unwrap().is_empty()).await;
        let user = Some(user.to_owned());
        assert_eq!(std::mem::take(&mut *left.lock().unwrap()), [(user.clone(), user, expected)]);
    };
    // The session ends.
    let cookie = log_in(&service, "ada").await;
    let mut member = join(&service, "/members", &cookie).await;
    visit(&service, "/logout", Some(&cookie)).await;
    member.expect_disconnect().await.unwrap();
    ended(DisconnectReason::LoggedOut, "ada").await;
    // It expires.
    let cookie = visit(&service, "/brief", None).await.unwrap();
    let mut member = join(&service, "/members", &cookie).await;
    member.expect_disconnect().await.unwrap();
    ended(DisconnectReason::LoggedOut, "brief").await;
    // It goes on under another id.
    let cookie = log_in(&service, "bob").await;
    let mut member = join(&service, "/members", &cookie).await;
    visit(&service, "/login?user=eve", Some(&cookie)).await.unwrap();
    member.expect_disconnect().await.unwrap();
    ended(DisconnectReason::SessionRenewed, "bob").await;
    // The server takes the user off, and a client leaves.
    let cookie = log_in(&service, "dan").await;
    let mut member = join(&service, "/members", &cookie).await;
    service.sockets().disconnect_user("dan").await.unwrap();
    member.expect_disconnect().await.unwrap();
    ended(DisconnectReason::ServerDisconnect, "dan").await;
    let member = join(&service, "/members", &cookie).await;
    member.leave();
    ended(DisconnectReason::ClientLeft, "dan").await;
}
