//! What handlers take as arguments.

use std::sync::Arc;

use carolina_sockets::{EventContext, EventError, FromEvent, Handshake, Sockets, channel, on};
use carolina_sockets_tests::start;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::desk::{Desk, desk};

struct Language(String);

impl FromEvent for Language {
    async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
        tokio::task::yield_now().await;
        let handshake = Handshake::from_event(context).await?;
        match handshake.headers().get("accept-language") {
            Some(value) => Ok(Self(value.to_str()?.to_owned())),
            None => Err(EventError::new("no_language", "say which")),
        }
    }
}

#[channel]
impl Desk {
    #[on("language")]
    fn language(&self, Language(language): Language, _: Sockets) -> String {
        language
    }

    #[on("handshake")]
    fn handshake(&self, handshake: Handshake) -> Result<Value, EventError> {
        #[derive(Deserialize)]
        struct Auth {
            token: Option<String>,
        }
        Ok(json!({
            "token": handshake.auth::<Auth>()?.token,
            "query": handshake.query().get("who"),
            "cookie": handshake.cookies().get("fruit"),
            "address": handshake.remote_address().to_string(),
            "transport": format!("{:?}", handshake.transport()),
        }))
    }
}

#[tokio::test]
async fn extractors_read_the_handshake_and_what_the_user_wrote() {
    let service = start(desk(&Arc::default())).await;
    let builder = service.client().header("accept-language", "it").query("who", "me%20too").cookie("fruit", "kiwi%21");
    let mut client = builder.auth(json!({ "token": "t" })).connect("/desk").await.unwrap();
    assert_eq!(client.request::<String>("language", ()).await.unwrap(), "it");
    let handshake: Value = client.request("handshake", ()).await.unwrap();
    let expected =
        json!({ "token": "t", "query": "me too", "cookie": "kiwi!", "address": "127.0.0.1", "transport": "Websocket" });
    assert_eq!(handshake, expected);
    let mut plain = service.connect("/desk").await.unwrap();
    assert_eq!(plain.request::<String>("language", ()).await.unwrap_err().code(), "no_language");
    assert_eq!(plain.request::<Value>("handshake", ()).await.unwrap()["token"], Value::Null);
}
