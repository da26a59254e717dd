//! Schemas without references and alternatives: of each only the words that mean something for values of its type.

use serde_json::{Map, Value};

use super::{
    super::surface::resolve,
    bounds::{Limit, tightest},
};

/// A schema without alternatives and references.
pub(super) type Plain = Map<String, Value>;

/// What says nothing of which values are valid, or is resolved here.
const LEFT_OUT: [&str; 10] =
    ["$ref", "anyOf", "oneOf", "allOf", "description", "default", "title", "examples", "$schema", "$defs"];
/// Words of JSON Schema by the type to whose values they apply.
const WORDS: [(&str, &[&str]); 5] = [
    ("string", &["minLength", "maxLength", "pattern", "format", "contentEncoding", "contentMediaType"]),
    ("integer", &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]),
    ("number", &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]),
    ("array", &["items", "prefixItems", "additionalItems", "minItems", "maxItems", "uniqueItems"]),
    (
        "object",
        &["properties", "patternProperties", "additionalProperties", "required", "minProperties", "maxProperties"],
    ),
];
/// The forms of `unevaluatedProperties`, of which draft 07 has none of its own. Once all parts of a schema are one, they are `additionalProperties`.
const UNEVALUATED: [&str; 2] = ["unevaluatedProperties", "x-unevaluatedProperties"];

/// The alternatives of a schema.
pub(super) fn plains(root: &Value, schema: &Value) -> Vec<Plain> {
    let mut all: Vec<Plain> = Vec::new();
    let mut add = |one: Plain| {
        if !all.contains(&one) {
            all.push(one);
        }
    };
    for mut plain in flattened(root, schema, &mut Vec::new()) {
        if let Some(value) = plain.get("const") {
            add(constant(value));
            continue;
        }
        if let Some(values) = plain.get("enum").and_then(Value::as_array) {
            values.iter().map(constant).for_each(&mut add);
            continue;
        }
        for word in UNEVALUATED {
            if let Some(value) = plain.remove(word)
                && !plain.contains_key("additionalProperties")
            {
                plain.insert("additionalProperties".to_owned(), value);
            }
        }
        match types(&plain) {
            Some(kinds) => kinds.into_iter().map(|kind| of_type(&plain, kind)).for_each(&mut add),
            None if is_binary(&plain) => add(plain),
            None => {
                let words = |kind: &str| {
                    WORDS
                        .iter()
                        .find(|(of, _)| *of == kind)
                        .is_some_and(|(_, words)| words.iter().any(|word| plain.contains_key(*word)))
                };
                // A part of a type that is written in several says it once.
                match ["object", "array"].into_iter().find(|kind| words(kind)) {
                    Some(kind) => add(of_type(&plain, kind)),
                    None => add(Map::new()),
                }
            }
        }
    }
    all
}

fn constant(value: &Value) -> Plain {
    let (word, value) = match value {
        Value::Null => ("type", Value::from("null")),
        value => ("const", value.clone()),
    };
    Map::from_iter([(word.to_owned(), value)])
}

fn of_type(plain: &Plain, kind: &str) -> Plain {
    let words = WORDS.iter().find(|(of, _)| *of == kind).map_or(&[][..], |(_, words)| words);
    let mut one: Plain = plain
        .iter()
        .filter(|(word, _)| words.contains(&word.as_str()))
        .map(|(word, value)| (word.clone(), value.clone()))
        .collect();
    one.insert("type".to_owned(), kind.into());
    one
}

fn types(plain: &Plain) -> Option<Vec<&str>> {
    match plain.get("type")? {
        Value::String(one) => Some(vec![one]),
        Value::Array(several) => Some(several.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

/// `above` are the references that have led here. A type that is an alternative of itself adds none by that.
fn flattened<'a>(root: &'a Value, schema: &'a Value, above: &mut Vec<&'a str>) -> Vec<Plain> {
    let object = match schema {
        Value::Bool(false) => return Vec::new(),
        Value::Object(object) => object,
        _ => return vec![Map::new()],
    };
    let own: Plain = object
        .iter()
        .filter(|(word, _)| !LEFT_OUT.contains(&word.as_str()))
        .map(|(word, value)| (word.clone(), value.clone()))
        .collect();
    let mut all = vec![own];
    if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
        if above.contains(&reference) {
            return Vec::new();
        }
        if let Some(target) = resolve(root, reference) {
            above.push(reference);
            all = crossed(&all, &flattened(root, target, above));
            above.pop();
        }
    }
    for one in object.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        all = crossed(&all, &flattened(root, one, above));
    }
    for word in ["anyOf", "oneOf"] {
        if let Some(several) = object.get(word).and_then(Value::as_array) {
            let several: Vec<Plain> = several.iter().flat_map(|one| flattened(root, one, above)).collect();
            all = crossed(&all, &several);
        }
    }
    all
}

/// Each of these together with each of those.
fn crossed(these: &[Plain], those: &[Plain]) -> Vec<Plain> {
    these.iter().flat_map(|one| those.iter().filter_map(|other| merged(one, other))).collect()
}

/// What is valid by both, `None` if nothing is.
fn merged(one: &Plain, other: &Plain) -> Option<Plain> {
    let mut all = one.clone();
    for (word, value) in other {
        let Some(before) = all.get(word).filter(|before| *before != value) else {
            all.insert(word.clone(), value.clone());
            continue;
        };
        let both = match (word.as_str(), before, value) {
            ("type", ..) => Value::from(types_of_both(one, other)?),
            ("const", ..) => return None,
            ("enum", Value::Array(these), Value::Array(those)) => {
                these.iter().filter(|one| those.contains(one)).cloned().collect()
            }
            ("properties" | "patternProperties", Value::Object(these), Value::Object(those)) => {
                let mut properties = these.clone();
                for (name, schema) in those {
                    let schema = match properties.get(name) {
                        Some(first) if first != schema => both_of(first, schema),
                        _ => schema.clone(),
                    };
                    properties.insert(name.clone(), schema);
                }
                properties.into()
            }
            ("required", Value::Array(these), Value::Array(those)) => {
                let more = those.iter().filter(|name| !these.contains(name));
                these.iter().chain(more).cloned().collect()
            }
            ("minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties", ..) => {
                tightest(before, value, Limit::Least)
            }
            ("maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties", ..) => {
                tightest(before, value, Limit::Most)
            }
            ("additionalProperties" | "items", ..) => both_of(before, value),
            _ => value.clone(),
        };
        all.insert(word.clone(), both);
    }
    Some(all)
}

fn both_of(one: &Value, other: &Value) -> Value {
    match (one, other) {
        (Value::Bool(false), _) | (_, Value::Bool(false)) => false.into(),
        (Value::Bool(true), schema) | (schema, Value::Bool(true)) => schema.clone(),
        _ => serde_json::json!({ "allOf": [one, other] }),
    }
}

fn types_of_both(one: &Plain, other: &Plain) -> Option<Vec<String>> {
    let (these, those) = (types(one)?, types(other)?);
    let is_in = |kind: &str, all: &[&str]| all.contains(&kind) || (kind == "integer" && all.contains(&"number"));
    let mut both: Vec<String> =
        these.iter().filter(|kind| is_in(kind, &those)).map(|kind| (*kind).to_owned()).collect();
    both.extend(
        those.iter().filter(|kind| is_in(kind, &these) && !these.contains(kind)).map(|kind| (*kind).to_owned()),
    );
    (!both.is_empty()).then_some(both)
}

pub(super) fn is_binary(of: &Plain) -> bool {
    of.get("contentEncoding").is_some_and(|encoding| encoding == "binary") && !of.contains_key("type")
}

/// Whether any value is valid.
pub(super) fn is_anything(of: &Plain) -> bool {
    of.is_empty()
}

/// The type, of a constant its value's.
pub(super) fn kind(of: &Plain) -> &str {
    match (of.get("type"), of.get("const")) {
        (Some(kind), _) => kind.as_str().unwrap_or_default(),
        (None, Some(Value::String(_))) => "string",
        (None, Some(Value::Number(number))) if number.is_f64() => "number",
        (None, Some(Value::Number(_))) => "integer",
        (None, Some(Value::Bool(_))) => "boolean",
        _ => "",
    }
}

/// Whether two may be the same value in two versions: of one type, and of one variant where a property names it. The second is to have room for the first.
pub(super) fn is_kin(one: &Plain, other: &Plain) -> bool {
    if is_anything(other) {
        return true;
    }
    if is_anything(one) || is_binary(one) || is_binary(other) {
        return is_binary(one) && is_binary(other);
    }
    if let Some(other) = other.get("const") {
        return one.get("const") == Some(other);
    }
    match (kind(one), kind(other)) {
        ("object", "object") => {
            let tag = |of: &Plain| -> Vec<(String, Value)> {
                let all = of.get("properties").and_then(Value::as_object).into_iter().flatten();
                all.filter_map(|(name, property)| Some((name.clone(), property.get("const")?.clone()))).collect()
            };
            let (tags, others) = (tag(one), tag(other));
            tags.iter().all(|(name, value)| others.iter().all(|(other, of)| name != other || value == of))
        }
        ("integer", "number") => true,
        (one, other) => one == other && !one.is_empty(),
    }
}

pub(super) fn shown_schema(root: &Value, schema: &Value) -> String {
    shown_all(&plains(root, schema))
}

pub(super) fn shown_all(all: &[Plain]) -> String {
    let texts: Vec<String> = all.iter().map(shown).collect();
    if texts.is_empty() { "nothing".to_owned() } else { texts.join(" or ") }
}

/// A schema in a few words.
pub(super) fn shown(of: &Plain) -> String {
    if let Some(value) = of.get("const") {
        return value.to_string();
    }
    if is_binary(of) {
        return "binary data".to_owned();
    }
    let Some(kind) = of.get("type").and_then(Value::as_str) else { return "anything".to_owned() };
    let mut text = match kind {
        "array" => match (of.get("prefixItems").or(of.get("items")), of.get("items")) {
            (Some(Value::Array(items)), _) => format!("array of {} parts", items.len()),
            (_, Some(Value::Object(items))) => {
                format!("array of {}", items.get("type").and_then(Value::as_str).unwrap_or("items"))
            }
            _ => kind.to_owned(),
        },
        "object" if of.contains_key("properties") => {
            let names: Vec<&str> =
                of["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
            format!("object with {}", names.join(", "))
        }
        _ => kind.to_owned(),
    };
    for (word, words) in [
        ("format", "of the format"),
        ("pattern", "of the pattern"),
        ("minimum", "from"),
        ("exclusiveMinimum", "above"),
        ("maximum", "to"),
        ("exclusiveMaximum", "below"),
        ("multipleOf", "in steps of"),
        ("minLength", "with a length from"),
        ("maxLength", "with a length to"),
        ("minItems", "of at least"),
        ("maxItems", "of at most"),
        ("minProperties", "of at least"),
        ("maxProperties", "of at most"),
    ] {
        if let Some(value) = of.get(word) {
            text.push_str(&format!(" {words} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
        }
    }
    if of.get("uniqueItems") == Some(&Value::Bool(true)) {
        text.push_str(" without duplicates");
    }
    text
}
