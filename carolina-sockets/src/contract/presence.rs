//! What a channel with presence emits by itself (rule R20).

use serde_json::{Value, json};

use super::Tuple;

/// The two events. `shown` is the schema of what the application shows of each client.
pub(super) fn emits(shown: Option<Value>) -> [(String, Tuple); 2] {
    let reference = json!({ "type": "object", "properties": { "ref": { "type": "string" } }, "required": ["ref"] });
    let meta = match shown {
        Some(shown) => json!({ "allOf": [shown, reference] }),
        None => reference,
    };
    let present = json!({ "type": "object", "properties": { "metas": { "type": "array", "items": meta } }, "required": ["metas"] });
    let all = json!({ "type": "object", "additionalProperties": present });
    let differences =
        json!({ "type": "object", "properties": { "joins": all, "leaves": all }, "required": ["joins", "leaves"] });
    let event = |name: &str, payload: Value| (name.to_owned(), Tuple::List { items: vec![payload], required: 1 });
    [event("presence_state", all), event("presence_diff", differences)]
}
