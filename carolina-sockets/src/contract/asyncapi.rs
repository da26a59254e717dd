//! AsyncAPI 3: a channel for each path, a message for each event, whose payload is the array of its arguments. What the server takes is an operation
//! `receive`, with its answer and its error as the reply, what it emits one of `send`. Schemas are draft 07, which AsyncAPI has as its own.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    Channel, Contract, Entries, Server, Taken, Tuple,
    json_schema::{self, object_of},
    parameters, schema,
};

/// Where types are in this document.
const TYPES: &str = "#/components/schemas/";
/// The event that stands for all that have no name, of `#[on(any)]`.
pub(super) const ANY: &str = "*";

/// The document, with its words in alphabetical order.
#[derive(Serialize)]
struct Document<C, O> {
    asyncapi: &'static str,
    channels: C,
    components: Value,
    #[serde(rename = "defaultContentType")]
    content_type: &'static str,
    info: Value,
    operations: O,
    servers: Value,
}

/// An operation of the document, by which it is made while the document is written.
#[derive(Clone, Copy)]
enum Operation<'a> {
    Receive(&'a Channel, &'a str, &'a Taken),
    Send(&'a Channel, &'a str),
}

impl Operation<'_> {
    fn made(self) -> Value {
        match self {
            Self::Receive(channel, event, taken) => receive(channel, event, taken),
            Self::Send(channel, event) => {
                let to = reference(&format!("channels/{}", channel.name));
                let name = key(&format!("send.{event}"));
                let message = reference(&format!("channels/{}/messages/{name}", channel.name));
                object_of([("action", "send".into()), ("channel", to), ("messages", vec![message].into())])
            }
        }
    }
}

pub(super) fn document(contract: &Contract) -> impl Serialize {
    let channels: BTreeMap<&str, &Channel> =
        contract.channels.iter().map(|channel| (channel.name.as_str(), channel)).collect();
    let mut operations = BTreeMap::new();
    for channel in &contract.channels {
        for (event, taken) in channel
            .takes
            .iter()
            .map(|(event, taken)| (event.as_str(), taken))
            .chain(channel.takes_any.as_ref().map(|taken| (ANY, taken)))
        {
            let name = format!("{}.receive.{}", channel.name, key(event));
            operations.insert(name, Operation::Receive(channel, event, taken));
        }
        for event in channel.emits.keys() {
            operations.insert(format!("{}.send.{}", channel.name, key(event)), Operation::Send(channel, event));
        }
    }
    let types: Map<String, Value> = contract.types.iter().map(|(name, schema)| (name.clone(), older(schema))).collect();
    let server = &contract.server;
    Document {
        asyncapi: "3.0.0",
        channels: Entries(move || channels.clone().into_iter().map(|(name, channel)| (name, self::channel(channel)))),
        components: components(types, server),
        content_type: "application/json",
        info: json!({
            "title": "The contract of the channels",
            "version": "1.0.0",
            "description": "Channels are namespaces of Socket.IO, all over one connection. The payload of a message is the array of its event's arguments.",
        }),
        operations: Entries(move || operations.clone().into_iter().map(|(name, operation)| (name, operation.made()))),
        servers: json!({
            "main": {
                "host": "{host}",
                "pathname": server.path,
                "protocol": "ws",
                "protocolVersion": "13",
                "description": "Socket.IO 5 over Engine.IO 4, by WebSocket and HTTP long polling.",
                "variables": { "host": { "default": server.host, "description": "The address of the application." } },
                "security": [reference("components/securitySchemes/session"), reference("components/securitySchemes/sessionId")],
            },
        }),
    }
}

fn components(types: Map<String, Value>, server: &Server) -> Value {
    let schemes = json!({
        "session": {
            "type": "httpApiKey",
            "in": "cookie",
            "name": server.cookie,
            "description": "The session's cookie, which a log-in over HTTP sets. Channels that are not private need none.",
        },
        "sessionId": {
            "type": "apiKey",
            "in": "user",
            "description": "For clients without cookies: the cookie's value as `auth: { sessionId }` of the handshake, or in the event `session_id`.",
        },
    });
    object_of([("schemas", types.into()), ("securitySchemes", schemes)])
}

fn channel(channel: &Channel) -> Value {
    let mut messages = Map::new();
    let mut message = |name: String, title: &str, docs: &str, payload: Value| {
        messages.insert(
            key(&name),
            json_schema::described(object_of([("name", title.into()), ("payload", payload)]), docs),
        );
    };
    for (event, taken) in channel
        .takes
        .iter()
        .map(|(event, taken)| (event.as_str(), taken))
        .chain(channel.takes_any.as_ref().map(|taken| (ANY, taken)))
    {
        message(format!("receive.{event}"), event, &taken.docs, tuple(&taken.arguments, false));
        message(format!("answer.{event}"), event, &format!("The answer to `{event}`."), tuple(&taken.answer, true));
        let properties = object_of([("error", json_schema::error(taken))]);
        let error = object_of([("type", "object".into()), ("properties", properties), ("required", json!(["error"]))]);
        let failure = Tuple::List { items: vec![error], required: 1 };
        message(
            format!("error.{event}"),
            event,
            &format!("The answer to an `{event}` that has failed."),
            tuple(&failure, true),
        );
    }
    for (event, emitted) in &channel.emits {
        message(format!("send.{event}"), event, "", tuple(emitted, true));
    }
    let mut document = json_schema::described(
        object_of([("address", channel.path.clone().into()), ("messages", messages.into())]),
        &channel.docs,
    );
    document["x-private"] = channel.private.into();
    document["x-declares-emits"] = channel.declares_emits.into();
    let parameters: Map<String, Value> = parameters(&channel.path)
        .map(|name| {
            let of = channel.parameters.get(name).map(|of| format!(", a {of}")).unwrap_or_default();
            let mut described = json!({ "description": format!("The segment `{{{name}}}` of the path{of}.") });
            if let Some(of) = channel.parameters.get(name) {
                described["x-type"] = (*of).into();
            }
            (name.to_owned(), described)
        })
        .collect();
    if !parameters.is_empty() {
        document["parameters"] = parameters.into();
    }
    document
}

fn receive(channel: &Channel, event: &str, taken: &Taken) -> Value {
    let at = |kind: &str| reference(&format!("channels/{}/messages/{}", channel.name, key(&format!("{kind}.{event}"))));
    let to = reference(&format!("channels/{}", channel.name));
    let mut operation = json_schema::described(
        object_of([
            ("action", "receive".into()),
            ("channel", to.clone()),
            ("messages", vec![at("receive")].into()),
            ("reply", object_of([("channel", to), ("messages", vec![at("answer"), at("error")].into())])),
        ]),
        &taken.docs,
    );
    if channel.private {
        operation["security"] =
            json!([reference("components/securitySchemes/session"), reference("components/securitySchemes/sessionId")]);
    }
    operation
}

fn reference(to: &str) -> Value {
    object_of([("$ref", format!("#/{to}").into())])
}

/// A name as a key, of which AsyncAPI allows letters, digits, `.`, `-` and `_`; what else is in it is written as its number, behind `_`.
fn key(name: &str) -> String {
    let mut key = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' => key.push(character),
            '_' => key.push_str("__"),
            other => key.push_str(&format!("_{:x}_", u32::from(other))),
        }
    }
    key
}

fn tuple(tuple: &Tuple, exactly: bool) -> Value {
    older(&json_schema::tuple(tuple, exactly))
}

/// A schema in the words of draft 07.
fn older(schema: &Value) -> Value {
    let object = match schema {
        Value::Object(object) => object,
        Value::Array(all) => return all.iter().map(older).collect(),
        other => return other.clone(),
    };
    let mut result = Map::new();
    for (word, value) in object {
        match word.as_str() {
            "$ref" => {}
            "prefixItems" => drop(result.insert("items".to_owned(), older(value))),
            "items" if object.contains_key("prefixItems") => {
                drop(result.insert("additionalItems".to_owned(), older(value)))
            }
            "properties" | "patternProperties" => {
                let all = value.as_object().into_iter().flatten();
                let all: Map<String, Value> = all.map(|(name, property)| (name.clone(), older(property))).collect();
                result.insert(word.clone(), all.into());
            }
            // Draft 07 has none; `contract --check` reads it.
            "unevaluatedProperties" => drop(result.insert("x-unevaluatedProperties".to_owned(), older(value))),
            "enum" | "const" | "default" | "required" => drop(result.insert(word.clone(), value.clone())),
            _ => drop(result.insert(word.clone(), older(value))),
        }
    }
    let Some(name) = schema::referred(schema) else { return result.into() };
    let reference = object_of([("$ref", format!("{TYPES}{name}").into())]);
    if result.is_empty() {
        return reference;
    }
    // Beside `$ref`, draft 07 reads nothing.
    let mut all = vec![reference];
    all.extend(result.remove("allOf").and_then(|more| more.as_array().cloned()).into_iter().flatten());
    result.insert("allOf".to_owned(), all.into());
    result.into()
}
