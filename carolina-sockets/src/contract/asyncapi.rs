//! AsyncAPI 3: a channel for each path, a message for each event, whose payload is the array of its arguments. What the server takes is an operation
//! `receive`, with its answer and its error as the reply, what it emits one of `send`. Schemas are draft 07, which AsyncAPI has as its own.

use serde_json::{Map, Value, json};

use super::{Channel, Contract, Taken, Tuple, json_schema, parameters, schema};

/// Where types are in this document.
const TYPES: &str = "#/components/schemas/";
/// The event that stands for all that have no name, of `#[on(any)]`.
pub(super) const ANY: &str = "*";

pub(super) fn document(contract: &Contract) -> Value {
    let (mut channels, mut operations) = (Map::new(), Map::new());
    for channel in &contract.channels {
        channels.insert(channel.name.clone(), self::channel(channel));
        for (event, taken) in channel
            .takes
            .iter()
            .map(|(event, taken)| (event.as_str(), taken))
            .chain(channel.takes_any.as_ref().map(|taken| (ANY, taken)))
        {
            operations.insert(format!("{}.receive.{}", channel.name, key(event)), receive(channel, event, taken));
        }
        for event in channel.emits.iter().flat_map(|emits| emits.keys()) {
            let to = reference(&format!("channels/{}", channel.name));
            let message = reference(&format!("channels/{}/messages/{}", channel.name, key(&format!("send.{event}"))));
            operations.insert(
                format!("{}.send.{}", channel.name, key(event)),
                json!({ "action": "send", "channel": to, "messages": [message] }),
            );
        }
    }
    let types: Map<String, Value> = contract.types.iter().map(|(name, schema)| (name.clone(), older(schema))).collect();
    let server = &contract.server;
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "The contract of the channels",
            "version": "1.0.0",
            "description": "Channels are namespaces of Socket.IO, all over one connection. The payload of a message is the array of its event's arguments.",
        },
        "defaultContentType": "application/json",
        "servers": {
            "main": {
                "host": "{host}",
                "pathname": server.path,
                "protocol": "ws",
                "protocolVersion": "13",
                "description": "Socket.IO 5 over Engine.IO 4, by WebSocket and HTTP long polling.",
                "variables": { "host": { "default": server.host, "description": "The address of the application." } },
                "security": [reference("components/securitySchemes/session"), reference("components/securitySchemes/sessionId")],
            },
        },
        "channels": channels,
        "operations": operations,
        "components": {
            "schemas": types,
            "securitySchemes": {
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
            },
        },
    })
}

fn channel(channel: &Channel) -> Value {
    let mut messages = Map::new();
    let mut message = |name: String, title: &str, docs: &str, payload: Value| {
        messages.insert(key(&name), json_schema::described(json!({ "name": title, "payload": payload }), docs));
    };
    for (event, taken) in channel
        .takes
        .iter()
        .map(|(event, taken)| (event.as_str(), taken))
        .chain(channel.takes_any.as_ref().map(|taken| (ANY, taken)))
    {
        message(format!("receive.{event}"), event, &taken.docs, tuple(&taken.arguments, false));
        message(format!("answer.{event}"), event, &format!("The answer to `{event}`."), tuple(&taken.answer, true));
        let error =
            json!({ "type": "object", "properties": { "error": json_schema::error(taken) }, "required": ["error"] });
        let failure = Tuple::List { items: vec![error], required: 1 };
        message(
            format!("error.{event}"),
            event,
            &format!("The answer to an `{event}` that has failed."),
            tuple(&failure, true),
        );
    }
    for (event, emitted) in channel.emits.iter().flatten() {
        message(format!("send.{event}"), event, "", tuple(emitted, true));
    }
    let mut document = json_schema::described(json!({ "address": channel.path, "messages": messages }), &channel.docs);
    document["x-private"] = channel.private.into();
    document["x-declares-emits"] = channel.emits.is_some().into();
    let parameters: Map<String, Value> = parameters(&channel.path)
        .map(|name| {
            let of = channel.parameters.get(name).map(|of| format!(", a {of}")).unwrap_or_default();
            (name.to_owned(), json!({ "description": format!("The segment `{{{name}}}` of the path{of}.") }))
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
        json!({
            "action": "receive",
            "channel": to,
            "messages": [at("receive")],
            "reply": { "channel": to, "messages": [at("answer"), at("error")] },
        }),
        &taken.docs,
    );
    if channel.private {
        operation["security"] =
            json!([reference("components/securitySchemes/session"), reference("components/securitySchemes/sessionId")]);
    }
    operation
}

fn reference(to: &str) -> Value {
    json!({ "$ref": format!("#/{to}") })
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
            "unevaluatedProperties" => {}
            "enum" | "const" | "default" | "required" => drop(result.insert(word.clone(), value.clone())),
            _ => drop(result.insert(word.clone(), older(value))),
        }
    }
    let Some(name) = schema::referred(schema) else { return result.into() };
    let reference = json!({ "$ref": format!("{TYPES}{name}") });
    if result.is_empty() {
        return reference;
    }
    // Beside `$ref`, draft 07 reads nothing.
    let mut all = vec![reference];
    all.extend(result.remove("allOf").and_then(|more| more.as_array().cloned()).into_iter().flatten());
    result.insert("allOf".to_owned(), all.into());
    result.into()
}
