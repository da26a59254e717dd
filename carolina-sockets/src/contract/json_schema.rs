//! One JSON Schema, draft 2020-12: of an object with a property for each channel, which has what it `takes` and `emits`, event by event.

use serde_json::{Map, Value, json};

use super::{Channel, Contract, Taken, Tuple};

/// The version of JSON Schema.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

pub(super) fn document(contract: &Contract) -> Value {
    let channels: Map<String, Value> =
        contract.channels.iter().map(|channel| (channel.path.clone(), self::channel(channel))).collect();
    let types: Map<String, Value> = contract.types.clone().into_iter().collect();
    json!({
        "$schema": DRAFT,
        "title": "The contract of the channels",
        "description": "Each property is a channel: the arguments of the events that it takes, of their answers, and of the events that it emits.",
        "type": "object",
        "properties": channels,
        "$defs": types,
    })
}

fn channel(channel: &Channel) -> Value {
    let takes: Map<String, Value> =
        channel.takes.iter().map(|(event, taken)| (event.clone(), self::taken(taken))).collect();
    let emits: Map<String, Value> =
        channel.emits.iter().flatten().map(|(event, arguments)| (event.clone(), tuple(arguments, true))).collect();
    let any = channel.takes_any.as_ref().map_or(Value::Bool(false), self::taken);
    let schema = json!({
        "type": "object",
        "properties": {
            "private": { "const": channel.private },
            "takes": { "type": "object", "properties": takes, "additionalProperties": any },
            "emits": { "type": "object", "properties": emits, "additionalProperties": channel.emits.is_none() },
        },
    });
    described(schema, &channel.docs)
}

fn taken(taken: &Taken) -> Value {
    let schema = json!({
        "type": "object",
        "properties": {
            "arguments": tuple(&taken.arguments, false),
            "answer": tuple(&taken.answer, true),
            "error": error(taken),
        },
    });
    described(schema, &taken.docs)
}

/// What an event that fails is answered with, below `error`.
pub(super) fn error(taken: &Taken) -> Value {
    let code = match taken.has_other_codes {
        true => json!({ "anyOf": [{ "enum": taken.codes }, { "type": "string" }] }),
        false => json!({ "enum": taken.codes }),
    };
    json!({
        "type": "object",
        "properties": { "code": code, "message": { "type": "string" }, "details": {} },
        "required": ["code", "message"],
    })
}

/// The schema of the array of arguments. A server ignores arguments that it does not ask for, so only what is sent `exactly` has no more.
pub(super) fn tuple(tuple: &Tuple, exactly: bool) -> Value {
    match tuple {
        Tuple::All(schema) => schema.clone(),
        Tuple::Unknown => json!({ "type": "array" }),
        Tuple::List { items, required } => {
            let mut schema = json!({ "type": "array", "minItems": required });
            if !items.is_empty() {
                schema["prefixItems"] = items.clone().into();
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
