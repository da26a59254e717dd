//! What all documents have in common: the schemas of types, under names that are settled, and of which every validator knows each word.

use std::collections::{BTreeMap, BTreeSet};

use heck::ToUpperCamelCase;
use schemars::generate::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::{Channel, Tuple, parameter};
use crate::registry::Schemas;

/// The name of the type whose values are sent as binary data.
const BYTES: &str = "Bytes";
/// Where definitions are in a document.
const DEFINITIONS: &str = "#/$defs/";
/// The greatest integer up to which JavaScript's numbers are exact.
const EXACT: f64 = 9_007_199_254_740_991.0;
/// The names that the file of types has for itself, or that would hide one of TypeScript's.
const RESERVED: [&str; 19] = [
    "ArrayBuffer",
    "Array",
    "Binary",
    "BinaryInput",
    "Channels",
    "Closed",
    "Gap",
    "CommonCode",
    "Exception",
    "Failure",
    "Infinity",
    "NaN",
    "Promise",
    "Record",
    "SystemRequests",
    "SystemEvents",
    "Uint8Array",
    "CarolinaSocketsChannels",
    "Main",
];
/// The formats that are known beyond `schemars`.
const FORMATS: [&str; 16] = [
    "date",
    "date-time",
    "duration",
    "email",
    "hostname",
    "idn-email",
    "idn-hostname",
    "ipv4",
    "ipv6",
    "iri",
    "json-pointer",
    "regex",
    "time",
    "uri",
    "uri-reference",
    "uuid",
];

/// The schema of binary data. It has no type: JSON has none for it.
pub(super) fn binary() -> Value {
    json!({ "description": "Binary data.", "contentEncoding": "binary", "contentMediaType": "application/octet-stream" })
}

/// Whether a schema is that of binary data.
pub(super) fn is_binary(schema: &Value) -> bool {
    schema["contentEncoding"] == "binary" && schema.get("type").is_none()
}

/// The definition that a reference names.
pub(super) fn referred(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix(DEFINITIONS)
}

fn definition<'a>(schema: &'a Value, definitions: &'a Map<String, Value>) -> &'a Value {
    let mut schema = schema;
    // A chain of names ends at a definition, or goes in a circle.
    for _ in 0..definitions.len() {
        match referred(schema).and_then(|name| definitions.get(name)) {
            Some(next) => schema = next,
            None => break,
        }
    }
    schema
}

/// The parts of a tuple or of an array of fixed length, which are as many arguments.
pub(super) fn parts(schema: &Value, definitions: &Map<String, Value>) -> Option<Vec<Value>> {
    let schema = definition(schema, definitions);
    if schema["type"] != "array" {
        return None;
    }
    if let Some(parts) = schema["prefixItems"].as_array() {
        return Some(parts.clone());
    }
    let length = schema["minItems"].as_u64().filter(|length| schema["maxItems"].as_u64() == Some(*length))?;
    Some(vec![schema.get("items")?.clone(); usize::try_from(length).ok()?])
}

/// Whether `null` is valid.
pub(super) fn allows_null(schema: &Value, definitions: &Map<String, Value>) -> bool {
    let schema = definition(schema, definitions);
    let Some(object) = schema.as_object() else { return schema == &Value::Bool(true) };
    if object.is_empty() {
        return true;
    }
    let any = |of: &str| {
        object.get(of).and_then(Value::as_array).is_some_and(|all| all.iter().any(|one| allows_null(one, definitions)))
    };
    match object.get("type") {
        Some(Value::String(of)) => of == "null",
        Some(Value::Array(of)) => of.iter().any(|of| of == "null"),
        _ if object.contains_key("enum") => {
            object["enum"].as_array().is_some_and(|values| values.contains(&Value::Null))
        }
        _ => any("anyOf") || any("oneOf"),
    }
}

/// The parameters of a path by their names, each `number`, `boolean` or `string`, from the type that they are read as: a scalar for one, a tuple in order,
/// or an object by name.
pub(super) fn parameter_types(
    names: &[&str],
    schema: &Value,
    definitions: &Map<String, Value>,
) -> BTreeMap<String, &'static str> {
    let scalar = |schema: &Value| match definition(schema, definitions)["type"].as_str()? {
        "integer" | "number" => Some("number"),
        "boolean" => Some("boolean"),
        "string" => Some("string"),
        _ => None,
    };
    let types: Vec<Option<&'static str>> =
        match (parts(schema, definitions), &definition(schema, definitions)["properties"]) {
            (Some(parts), _) => parts.iter().map(scalar).collect(),
            (None, Value::Object(properties)) => names.iter().map(|name| scalar(properties.get(*name)?)).collect(),
            _ => vec![scalar(schema)],
        };
    names.iter().zip(types).filter_map(|(name, of)| Some(((*name).to_owned(), of?))).collect()
}

/// Names each channel by its path: `/orders/{id}` is `OrdersId`, `/` is `Main`.
pub(super) fn name_channels(channels: &mut [Channel]) {
    let mut taken = BTreeSet::new();
    for channel in channels {
        let words: Vec<&str> = channel.path.split('/').map(|segment| parameter(segment).unwrap_or(segment)).collect();
        let name = identifier(&words.join(" "), "Main");
        channel.name = unused(name, &taken);
        taken.insert(channel.name.clone());
    }
}

/// An identifier of these words, in camel case.
fn identifier(words: &str, otherwise: &str) -> String {
    let words: String =
        words.chars().map(|character| if character.is_ascii_alphanumeric() { character } else { ' ' }).collect();
    match words.to_upper_camel_case() {
        name if name.is_empty() => otherwise.to_owned(),
        name if name.starts_with(|first: char| first.is_ascii_digit()) => format!("{otherwise}{name}"),
        name => name,
    }
}

fn unused(name: String, taken: &BTreeSet<String>) -> String {
    if !taken.contains(&name) {
        return name;
    }
    (2..).map(|number| format!("{name}{number}")).find(|name| !taken.contains(name)).unwrap_or(name)
}

/// Gives each type its name in all documents, where what is read and what is written differ two, and brings all schemas into the common form.
/// Returns the types.
pub(super) fn settle(
    schemas: &mut Schemas,
    channels: &mut [Channel],
    notes: &mut BTreeSet<String>,
) -> BTreeMap<String, Value> {
    let (read, written) = (taken_definitions(&mut schemas.read), taken_definitions(&mut schemas.written));
    let differing = differing(&read, &written);
    let mut taken = BTreeSet::from([BYTES.to_owned()]);
    let mut names = |definitions: &BTreeMap<String, Value>, suffix: Option<&str>, before: &BTreeMap<String, String>| {
        let mut names = BTreeMap::new();
        for name in definitions.keys().filter(|name| *name != BYTES) {
            let settled = match (before.get(name).filter(|_| !differing.contains(name)), suffix) {
                (Some(same), _) => same.clone(),
                (None, Some(suffix)) if differing.contains(name) => {
                    unused(format!("{}{suffix}", as_type(name)), &taken)
                }
                (None, _) => unused(as_type(name), &taken),
            };
            taken.insert(settled.clone());
            names.insert(name.clone(), settled);
        }
        names
    };
    let written_names = names(&written, None, &BTreeMap::new());
    let read_names = names(&read, Some("Input"), &written_names);
    let mut types = BTreeMap::new();
    for (definitions, names) in [(&written, &written_names), (&read, &read_names)] {
        for (name, settled) in names {
            let mut schema = definitions[name].clone();
            tidy(&mut schema, names, &mut |path| {
                notes.insert(format!("the type `{settled}`, {path}: an integer beyond 2^53, of which JavaScript's numbers lose the last digits"));
            });
            types.insert(settled.clone(), schema);
        }
    }
    for channel in &mut *channels {
        let path = channel.path.clone();
        let mut tuple = |what: &str, tuple: &mut Tuple, names: &BTreeMap<String, String>| {
            let schemas: Vec<&mut Value> = match tuple {
                Tuple::List { items, .. } => items.iter_mut().collect(),
                Tuple::All(schema) => vec![schema],
                Tuple::Unknown => Vec::new(),
            };
            for schema in schemas {
                tidy(schema, names, &mut |_| {
                    notes.insert(format!("`{path}`: {what} has an integer beyond 2^53, of which JavaScript's numbers lose the last digits"));
                });
            }
        };
        for (event, taken) in channel
            .takes
            .iter_mut()
            .map(|(event, taken)| (event.as_str(), taken))
            .chain(channel.takes_any.as_mut().map(|taken| ("any other event", taken)))
        {
            tuple(&format!("`{event}`"), &mut taken.arguments, &read_names);
            tuple(&format!("the answer to `{event}`"), &mut taken.answer, &written_names);
        }
        for (event, emitted) in &mut channel.emits {
            tuple(&format!("`{event}`"), emitted, &written_names);
        }
    }
    // A type of which the declarations name only parts, as the tuple that is several arguments, is in no document.
    drop_unused(&mut types, channels);
    types
}

/// A type's name, which stays as it is if TypeScript can have it.
fn as_type(name: &str) -> String {
    let sound = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
    if sound && !RESERVED.contains(&name) {
        name.to_owned()
    } else {
        identifier(name, "Type") + if sound { "Type" } else { "" }
    }
}

fn taken_definitions(generator: &mut SchemaGenerator) -> BTreeMap<String, Value> {
    generator.take_definitions(true).into_iter().collect()
}

/// The names of the types that are read otherwise than they are written, themselves or in a part.
fn differing(read: &BTreeMap<String, Value>, written: &BTreeMap<String, Value>) -> BTreeSet<String> {
    let both: Vec<&String> = read.keys().filter(|name| *name != BYTES && written.contains_key(*name)).collect();
    let mut found: BTreeSet<String> =
        both.iter().filter(|name| read[**name] != written[**name]).map(|name| (*name).clone()).collect();
    loop {
        let more: Vec<String> = both
            .iter()
            .filter(|name| !found.contains(**name) && references(&read[**name]).iter().any(|of| found.contains(of)))
            .map(|name| (*name).clone())
            .collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

/// The names of the definitions that a schema refers to.
fn references(schema: &Value) -> BTreeSet<String> {
    fn collect(schema: &Value, found: &mut BTreeSet<String>) {
        found.extend(referred(schema).map(str::to_owned));
        match schema {
            Value::Object(object) => object.values().for_each(|value| collect(value, found)),
            Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    collect(schema, &mut found);
    found
}

fn drop_unused(types: &mut BTreeMap<String, Value>, channels: &[Channel]) {
    let tuples = channels.iter().flat_map(|channel| {
        let taken =
            channel.takes.values().chain(&channel.takes_any).flat_map(|taken| [&taken.arguments, &taken.answer]);
        taken.chain(channel.emits.values())
    });
    let mut next: BTreeSet<String> = tuples
        .flat_map(|tuple| match tuple {
            Tuple::List { items, .. } => items.iter().flat_map(references).collect(),
            Tuple::All(schema) => references(schema),
            Tuple::Unknown => BTreeSet::new(),
        })
        .collect();
    let mut used = BTreeSet::new();
    while let Some(name) = next.pop_first() {
        if let Some(schema) = types.get(&name).filter(|_| !used.contains(&name)) {
            next.extend(references(schema));
        }
        used.insert(name);
    }
    types.retain(|name, _| used.contains(name));
}

/// Brings a schema into the common form: settled names, binary data, bounds instead of the formats that only `schemars` knows.
/// `beyond` is told where an integer may be beyond what JavaScript can hold.
fn tidy(schema: &mut Value, names: &BTreeMap<String, String>, beyond: &mut dyn FnMut(&str)) {
    tidy_at(schema, names, "itself", beyond);
}

fn tidy_at(schema: &mut Value, names: &BTreeMap<String, String>, path: &str, beyond: &mut dyn FnMut(&str)) {
    let Value::Object(object) = schema else { return };
    match object.get("$ref").and_then(Value::as_str).and_then(|of| of.strip_prefix(DEFINITIONS)) {
        Some(BYTES) => {
            let description = object.remove("description");
            *schema = binary();
            if let Some(description) = description {
                schema["description"] = description;
            }
            return;
        }
        Some(of) => {
            if let Some(settled) = names.get(of) {
                object.insert("$ref".to_owned(), format!("{DEFINITIONS}{settled}").into());
            }
        }
        None => {}
    }
    for word in ["$schema", "title", "$defs", "deprecated", "readOnly", "writeOnly", "examples"] {
        object.remove(word);
    }
    formats(object);
    if is_beyond(object) {
        beyond(path);
    }
    for (word, value) in object.iter_mut() {
        match (word.as_str(), value) {
            ("properties" | "patternProperties", Value::Object(properties)) => {
                for (name, property) in properties {
                    tidy_at(property, names, &format!("`{name}`"), beyond);
                }
            }
            (
                "items" | "additionalProperties" | "not" | "contains" | "propertyNames" | "unevaluatedProperties",
                inner,
            ) => {
                tidy_at(inner, names, path, beyond);
            }
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(all)) => {
                all.iter_mut().for_each(|one| tidy_at(one, names, path, beyond));
            }
            _ => {}
        }
    }
}

fn formats(object: &mut Map<String, Value>) {
    let Some(format) = object.get("format").and_then(Value::as_str) else { return };
    let bounds = match format {
        "int8" => Some((json!(i8::MIN), json!(i8::MAX))),
        "int16" => Some((json!(i16::MIN), json!(i16::MAX))),
        "int32" => Some((json!(i32::MIN), json!(i32::MAX))),
        "int64" | "int" => Some((json!(i64::MIN), json!(i64::MAX))),
        "uint8" => Some((json!(0), json!(u8::MAX))),
        "uint16" => Some((json!(0), json!(u16::MAX))),
        "uint32" => Some((json!(0), json!(u32::MAX))),
        "uint64" | "uint" => Some((json!(0), json!(u64::MAX))),
        "int128" => Some((json!(-1.7e38), json!(1.7e38))),
        "uint128" => Some((json!(0), json!(3.4e38))),
        _ => None,
    };
    if let Some((least, most)) = bounds {
        let bounded =
            |object: &Map<String, Value>, words: [&str; 2]| words.iter().any(|word| object.contains_key(*word));
        if !bounded(object, ["minimum", "exclusiveMinimum"]) {
            object.insert("minimum".to_owned(), least);
        }
        if !bounded(object, ["maximum", "exclusiveMaximum"]) {
            object.insert("maximum".to_owned(), most);
        }
    }
    if !object["format"].as_str().is_some_and(|format| FORMATS.contains(&format)) {
        object.remove("format");
    }
}

/// Whether a schema is that of an integer of which JavaScript's numbers may lose digits.
pub(super) fn is_beyond(object: &Map<String, Value>) -> bool {
    let is_integer = match object.get("type") {
        Some(Value::String(of)) => of == "integer",
        Some(Value::Array(of)) => of.iter().any(|of| of == "integer"),
        _ => false,
    };
    let beyond = |word: &str| object.get(word).and_then(Value::as_f64).is_some_and(|bound| bound.abs() > EXACT);
    is_integer && (beyond("maximum") || beyond("minimum"))
}
