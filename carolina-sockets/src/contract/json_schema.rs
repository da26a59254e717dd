//! One JSON Schema, draft 2020-12: of an object with a property for each channel, which has what it `takes` and `emits`, event by event.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Channel, Contract, Entries, Taken, Tuple, parameters};

/// The version of JSON Schema.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The document, with its words in alphabetical order.
#[derive(Serialize)]
struct Document<T, C> {
    #[serde(rename = "$defs")]
    types: T,
    #[serde(rename = "$schema")]
    draft: &'static str,
    description: &'static str,
    properties: C,
    title: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
}

pub(super) fn document(contract: &Contract) -> impl Serialize {
    let mut channels: Vec<&Channel> = contract.channels.iter().collect();
    channels.sort_by_key(|channel| &channel.path);
    Document {
        types: &contract.types,
        draft: DRAFT,
        description: "Each property is a channel: the arguments of the events that it takes, of their answers, and of the events that it emits.",
        properties: Entries(move || {
            channels.clone().into_iter().map(|channel| (&channel.path, self::channel(channel)))
        }),
        title: "The contract of the channels",
        kind: "object",
    }
}

/// An object of these. `json!` copies each value that it is given, and with it all that is in it.
pub(super) fn object_of<const N: usize>(entries: [(&str, Value); N]) -> Value {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into()
}

pub(super) fn channel(channel: &Channel) -> Value {
    let takes: Map<String, Value> =
        channel.takes.iter().map(|(event, taken)| (event.clone(), self::taken(taken))).collect();
    let emits: Map<String, Value> =
        channel.emits.iter().map(|(event, arguments)| (event.clone(), tuple(arguments, true))).collect();
    let any = channel.takes_any.as_ref().map_or(Value::Bool(false), self::taken);
    let of_object = |properties: Map<String, Value>, others: Value| {
        object_of([("type", "object".into()), ("properties", properties.into()), ("additionalProperties", others)])
    };
    let properties = object_of([
        ("private", json!({ "const": channel.private })),
        ("takes", of_object(takes, any)),
        ("emits", of_object(emits, (!channel.declares_emits).into())),
    ]);
    let mut schema = object_of([("type", "object".into()), ("properties", properties)]);
    let of_path: Map<String, Value> = parameters(&channel.path)
        .map(|name| {
            let of = channel.parameters.get(name).map_or_else(|| json!({}), |of| json!({ "type": of }));
            (name.to_owned(), of)
        })
        .collect();
    if !of_path.is_empty() {
        schema["properties"]["parameters"] = json!({ "type": "object", "properties": of_path });
    }
    described(schema, &channel.docs)
}

fn taken(taken: &Taken) -> Value {
    let properties = object_of([
        ("arguments", tuple(&taken.arguments, false)),
        ("answer", tuple(&taken.answer, true)),
        ("error", error(taken)),
    ]);
    let schema = object_of([("type", "object".into()), ("properties", properties)]);
    described(schema, &taken.docs)
}

/// What an event that fails is answered with, below `error`.
pub(super) fn error(taken: &Taken) -> Value {
    let code = match taken.has_other_codes {
        true => json!({ "anyOf": [{ "enum": taken.codes }, { "type": "string" }] }),
        false => json!({ "enum": taken.codes }),
    };
    let properties =
        object_of([("code", code), ("message", json!({ "type": "string" })), ("details", Map::new().into())]);
    object_of([("type", "object".into()), ("properties", properties), ("required", json!(["code", "message"]))])
}

/// The schema of the array of arguments. A server ignores arguments that it does not ask for, so only what is sent `exactly` has no more.
pub(super) fn tuple(tuple: &Tuple, exactly: bool) -> Value {
    match tuple {
        Tuple::All(schema) => schema.clone(),
        Tuple::Unknown => json!({ "type": "array" }),
        Tuple::List { items, required } => {
            let mut schema = json!({ "type": "array", "minItems": required });
            if !items.is_empty() {
                schema["prefixItems"] = Value::Array(items.clone());
            }
            if exactly {
                schema["maxItems"] = items.len().into();
            }
            schema
        }
    }
}

pub(super) fn described(mut schema: Value, docs: &str) -> Value {
    if !docs.is_empty() {
        schema["description"] = docs.into();
    }
    schema
}
