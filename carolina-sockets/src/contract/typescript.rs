//! A file of types for TypeScript: the types of payloads, a namespace for each channel with the events as the official client's generics take them,
//! and the map of channels that types the front-end package.

use std::{collections::BTreeMap, fmt::Write};

use serde_json::{Map, Value};

use super::{CODES, Channel, Contract, Taken, Tuple, json_schema, parameter, parameters, schema};

/// Begins each line of the JSON Schema in the file.
pub(super) const EMBEDDED: &str = "//: ";

const HEAD: &str = r#"// Written by `contract --typescript` from the channels' declarations; changes are lost.
/* eslint-disable */

/** The codes that any event may be answered with. */
export type CommonCode = COMMON;

/** What an event that has failed is answered with. */
export interface Failure<Code extends string = string> {
  error: { code: Code; message: string; details?: unknown };
}

/** The failure of an event that was sent without an acknowledgement. */
export interface Exception {
  code: string;
  message: string;
  details?: unknown;
  event: string;
}

/** Why the server ends the channel, sent before it does. */
export interface Closed {
  code: string;
  message: string;
}

/** What a client has missed for good, with when that began, in milliseconds since 1970. */
export interface Gap {
  reason: "expired" | "overflow" | "epoch" | "identity" | "node";
  since?: number;
}

/** Binary data, as clients send it. */
export type BinaryInput = ArrayBuffer | Uint8Array;
/** Binary data, as browsers get it. */
export type Binary = ArrayBuffer;

/** What the library itself emits on every channel. */
export interface SystemEvents {
  exception: (exception: Exception) => void;
  "carolina:closed": (closed: Closed) => void;
  /** On a channel with `resume`, to clients that have asked for it. */
  "carolina:gap": (gap: Gap, offset: string) => void;
  "carolina:offset": (offset: string) => void;
}

/** What the library itself takes on every channel. */
export interface SystemRequests {
  session_id: (session: string, answer?: (failure?: Failure) => void) => void;
}
"#;

pub(super) fn document(contract: &Contract) -> String {
    let common: Vec<String> = CODES.iter().map(|code| quoted(code)).collect();
    let mut text = HEAD.replace("COMMON", &common.join(" | "));
    let usage = Usage::of(contract);
    for (name, schema) in &contract.types {
        text.push('\n');
        comment(&mut text, "", &description(schema));
        let is_read = usage.is_read(name);
        if let Some(body) = interface(schema, is_read) {
            let _ = writeln!(text, "export interface {name} {body}");
        } else {
            let _ = writeln!(text, "export type {name} = {};", type_of(schema, is_read, 0));
        }
    }
    for channel in &contract.channels {
        text.push('\n');
        namespace(&mut text, channel);
    }
    text.push_str("\n/** The channels by their paths, as `new WebSocketsService<Channels>()` takes them. */\nexport interface Channels {\n");
    for Channel { path, name, .. } in &contract.channels {
        let _ = writeln!(
            text,
            "  {}: {{ path: {name}.Path; listen: {name}.ServerToClientEvents; emit: {name}.ClientToServerEvents }};",
            quoted(path)
        );
    }
    text.push_str("}\n\ndeclare global {\n  /** Types the channels of the npm package `carolina-sockets`. */\n");
    text.push_str("  interface CarolinaSocketsChannels extends Channels {}\n}\n");
    embed(&mut text, contract);
    text
}

/// Adds the JSON Schema, so that `contract --check` can compare with this file too: a line for each type and each channel.
fn embed(text: &mut String, contract: &Contract) {
    text.push_str("\n// The same as JSON Schema, for `contract --check`:\n");
    let mut line = |part: &str, name: &str, schema: &Value| {
        let line = serde_json::to_string(&(part, name, schema)).expect("values with keys of text are JSON");
        // These two end a line in JavaScript.
        let line = line.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
        let _ = writeln!(text, "{EMBEDDED}{line}");
    };
    for (name, schema) in &contract.types {
        line("$defs", name, schema);
    }
    let mut channels: Vec<&Channel> = contract.channels.iter().collect();
    channels.sort_by_key(|channel| &channel.path);
    for channel in channels {
        line("properties", &channel.path, &json_schema::channel(channel));
    }
}

/// Which types clients send.
struct Usage(BTreeMap<String, bool>);

impl Usage {
    fn of(contract: &Contract) -> Self {
        let mut read = BTreeMap::new();
        let taken = contract.channels.iter().flat_map(|channel| channel.takes.values().chain(&channel.takes_any));
        let mut next: Vec<&Value> = taken
            .flat_map(|taken| match &taken.arguments {
                Tuple::List { items, .. } => items.iter().collect(),
                Tuple::All(schema) => vec![schema],
                Tuple::Unknown => Vec::new(),
            })
            .collect();
        while let Some(schema) = next.pop() {
            if let Some(name) = schema::referred(schema)
                && read.insert(name.to_owned(), true).is_none()
            {
                next.extend(contract.types.get(name));
            }
            match schema {
                Value::Object(object) => next.extend(object.values()),
                Value::Array(values) => next.extend(values),
                _ => {}
            }
        }
        Self(read)
    }

    fn is_read(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

fn namespace(text: &mut String, channel: &Channel) {
    let access = if channel.private { " For clients that it authorizes." } else { "" };
    comment(text, "", &format!("`{}`.{access}\n{}", channel.path, channel.docs));
    let _ = writeln!(text, "export namespace {} {{", channel.name);
    let _ = writeln!(text, "  /** Where a client joins it. */\n  export type Path = {};", pattern(channel));
    if parameters(&channel.path).next().is_some() {
        text.push_str("  /** The parameters of the path. */\n  export interface Parameters {\n");
        for name in parameters(&channel.path) {
            let _ = writeln!(text, "    {}: {};", key(name), parameter_type(channel, name));
        }
        text.push_str("  }\n");
    }
    text.push_str(
        "\n  /** What the server sends. */\n  export interface ServerToClientEvents extends SystemEvents {\n",
    );
    for (event, tuple) in &channel.emits {
        let _ = writeln!(text, "    {}: {};", key(event), signature(&parameters_of(tuple, false), None));
    }
    if !channel.declares_emits {
        text.push_str("    /** The channel declares nothing of what it emits. */\n    [event: string]: (...data: any[]) => void;\n");
    }
    text.push_str(
        "  }\n\n  /** What a client sends. */\n  export interface ClientToServerEvents extends SystemRequests {\n",
    );
    for (event, taken) in &channel.takes {
        comment(text, "    ", &taken.docs);
        let _ = writeln!(text, "    {}: {};", key(event), handler(taken));
    }
    if let Some(taken) = &channel.takes_any {
        comment(text, "    ", &taken.docs);
        text.push_str("    [event: string]: (...data: any[]) => void;\n");
    }
    text.push_str("  }\n}\n");
}

/// The type of an event that the server takes. An event that is answered with a value has its acknowledgement as the last argument; with the others it
/// may be left out.
fn handler(taken: &Taken) -> String {
    let own = taken.codes.iter().filter(|code| !CODES.contains(&code.as_str()));
    let mut codes: Vec<String> = std::iter::once("CommonCode".to_owned()).chain(own.map(|code| quoted(code))).collect();
    if taken.has_other_codes {
        codes.push("(string & {})".to_owned());
    }
    let failure = format!("Failure<{}>", codes.join(" | "));
    let answer = match &taken.answer {
        Tuple::List { items, .. } => match &items[..] {
            [] => {
                return signature(
                    &parameters_of(&taken.arguments, true),
                    Some(&format!("answer?: (failure?: {failure}) => void")),
                );
            }
            [one] => format!("(answer: {} | {failure}) => void", type_of(one, false, 2)),
            several => {
                let several: Vec<String> = several.iter().map(|one| type_of(one, false, 2)).collect();
                format!("(...answer: [{}] | [failure: {failure}]) => void", several.join(", "))
            }
        },
        Tuple::All(schema) => format!("(...answer: {} | [failure: {failure}]) => void", type_of(schema, false, 2)),
        Tuple::Unknown => "(...answer: any[]) => void".to_owned(),
    };
    signature(&parameters_of(&taken.arguments, true), Some(&format!("answer: {answer}")))
}

/// The parameters of a listener: each a list, of which there are several where arguments may be left out.
enum Parameters {
    Fixed(Vec<Vec<String>>),
    Rest(String),
}

fn parameters_of(tuple: &Tuple, is_read: bool) -> Parameters {
    match tuple {
        Tuple::All(schema) => Parameters::Rest(type_of(schema, is_read, 2)),
        Tuple::Unknown => Parameters::Rest("any[]".to_owned()),
        Tuple::List { items, required } => {
            let named: Vec<String> = items
                .iter()
                .enumerate()
                .map(|(number, item)| {
                    let name = if items.len() == 1 { "data".to_owned() } else { format!("data{}", number + 1) };
                    format!("{name}: {}", type_of(item, is_read, 2))
                })
                .collect();
            Parameters::Fixed((*required..=items.len()).map(|length| named[..length].to_vec()).collect())
        }
    }
}

fn signature(parameters: &Parameters, answer: Option<&str>) -> String {
    let answer = answer.map(str::to_owned);
    match parameters {
        Parameters::Fixed(lists) => match &lists[..] {
            [one] => format!("({}) => void", one.iter().cloned().chain(answer).collect::<Vec<_>>().join(", ")),
            several => {
                let tuples = several.iter().map(|one| {
                    format!("[{}]", one.iter().cloned().chain(answer.clone()).collect::<Vec<_>>().join(", "))
                });
                format!("(...data: {}) => void", tuples.collect::<Vec<_>>().join(" | "))
            }
        },
        Parameters::Rest(of) => match answer.as_deref().and_then(|answer| answer.split_once(": ")) {
            // Nothing that may be left out can follow a rest element.
            Some(("answer?", answer)) => format!("(...data: {of} | [...{}, {answer}]) => void", in_brackets(of)),
            Some((_, answer)) => format!("(...data: [...{}, {answer}]) => void", in_brackets(of)),
            None => format!("(...data: {of}) => void"),
        },
    }
}

/// The paths that a channel's path stands for, as a type.
fn pattern(channel: &Channel) -> String {
    if parameters(&channel.path).next().is_none() {
        return quoted(&channel.path);
    }
    let segments = channel.path.split('/').map(|segment| match parameter(segment) {
        Some(name) => format!("${{{}}}", parameter_type(channel, name)),
        None => segment.replace('\\', "\\\\").replace('`', "\\`").replace("${", "\\${"),
    });
    format!("`{}`", segments.collect::<Vec<_>>().join("/"))
}

fn parameter_type<'a>(channel: &'a Channel, name: &str) -> &'a str {
    channel.parameters.get(name).copied().unwrap_or("string | number")
}

/// The body of an interface, for an object with known properties alone.
fn interface(schema: &Value, is_read: bool) -> Option<String> {
    let object = schema.as_object()?;
    let plain = object.keys().all(|word| {
        matches!(word.as_str(), "type" | "properties" | "required" | "description" | "default")
            || (word == "additionalProperties" && object[word] == false)
    });
    (plain && object.get("type")? == "object" && object.contains_key("properties")).then(|| members(object, is_read, 0))
}

fn members(object: &Map<String, Value>, is_read: bool, depth: usize) -> String {
    let required = |name: &str| {
        object.get("required").and_then(Value::as_array).is_some_and(|all| all.iter().any(|one| one == name))
    };
    let indent = "  ".repeat(depth + 1);
    let mut text = "{\n".to_owned();
    for (name, property) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
        comment(&mut text, &indent, &description(property));
        let optional = if required(name) { "" } else { "?" };
        let _ = writeln!(text, "{indent}{}{optional}: {};", key(name), type_of(property, is_read, depth + 1));
    }
    let _ = write!(text, "{}}}", "  ".repeat(depth));
    text
}

/// The documentation, with what a number may lose.
fn description(schema: &Value) -> String {
    let mut text = schema["description"].as_str().unwrap_or_default().to_owned();
    if schema.as_object().is_some_and(schema::is_beyond) {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str("An integer that may be beyond 2^53, where numbers lose their last digits.");
    }
    text
}

/// A schema as a type.
fn type_of(schema: &Value, is_read: bool, depth: usize) -> String {
    let object = match schema {
        Value::Bool(false) => return "never".to_owned(),
        Value::Object(object) => object,
        _ => return "unknown".to_owned(),
    };
    if schema::is_binary(schema) {
        return if is_read { "BinaryInput" } else { "Binary" }.to_owned();
    }
    let mut all: Vec<String> = Vec::new();
    if let Some(name) = schema::referred(schema) {
        all.push(name.to_owned());
    }
    for word in ["anyOf", "oneOf"] {
        if let Some(several) = object.get(word).and_then(Value::as_array) {
            all.push(union(several.iter().map(|one| type_of(one, is_read, depth))));
        }
    }
    for one in object.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        all.push(type_of(one, is_read, depth));
    }
    if let Some(value) = object.get("const") {
        all.push(literal(value));
    } else if let Some(values) = object.get("enum").and_then(Value::as_array) {
        all.push(union(values.iter().map(literal)));
    } else if let Some(own) = own_type(object, is_read, depth, !all.is_empty()) {
        all.push(own);
    }
    all.retain(|one| one != "unknown");
    match &all[..] {
        [] => "unknown".to_owned(),
        [one] => one.clone(),
        several => several
            .iter()
            .map(|one| if one.contains(" | ") { format!("({one})") } else { one.clone() })
            .collect::<Vec<_>>()
            .join(" & "),
    }
}

/// The type by `type`; `is_part` of a union or an intersection, where an object without properties of its own says nothing.
fn own_type(object: &Map<String, Value>, is_read: bool, depth: usize, is_part: bool) -> Option<String> {
    let names: Vec<&str> = match object.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ if object.contains_key("properties") => vec!["object"],
        _ => return None,
    };
    let types = names.into_iter().map(|name| match name {
        "string" => "string".to_owned(),
        "number" | "integer" => "number".to_owned(),
        "boolean" => "boolean".to_owned(),
        "null" => "null".to_owned(),
        "array" => array(object, is_read, depth),
        _ => self::object(object, is_read, depth, is_part),
    });
    Some(union(types))
}

fn array(object: &Map<String, Value>, is_read: bool, depth: usize) -> String {
    let rest = object.get("items").filter(|items| **items != false);
    let Some(parts) = object.get("prefixItems").and_then(Value::as_array) else {
        let items = rest.map_or_else(|| "unknown".to_owned(), |items| type_of(items, is_read, depth));
        return format!("{}[]", in_brackets(&items));
    };
    let least =
        object.get("minItems").and_then(Value::as_u64).and_then(|least| usize::try_from(least).ok()).unwrap_or(0);
    let mut parts: Vec<String> = parts
        .iter()
        .enumerate()
        .map(|(number, part)| {
            let part = type_of(part, is_read, depth);
            if number < least { part } else { format!("{}?", in_brackets(&part)) }
        })
        .collect();
    if let Some(rest) = rest {
        parts.push(format!("...{}[]", in_brackets(&type_of(rest, is_read, depth))));
    }
    format!("[{}]", parts.join(", "))
}

fn object(object: &Map<String, Value>, is_read: bool, depth: usize, is_part: bool) -> String {
    let has_properties = object.get("properties").and_then(Value::as_object).is_some_and(|all| !all.is_empty());
    let values: Vec<&Value> = match object.get("additionalProperties") {
        Some(Value::Bool(_)) | None => object
            .get("patternProperties")
            .and_then(Value::as_object)
            .map(|all| all.values().collect())
            .unwrap_or_default(),
        Some(values) => vec![values],
    };
    let mut all = Vec::new();
    if has_properties {
        all.push(members(object, is_read, depth));
    }
    if !values.is_empty() {
        // Beside named properties, others may be of any type, or these would have to fit.
        let values = if has_properties {
            "unknown".to_owned()
        } else {
            union(values.into_iter().map(|one| type_of(one, is_read, depth)))
        };
        all.push(format!("{{ [key: string]: {values} }}"));
    }
    match &all[..] {
        [] if is_part => "unknown".to_owned(),
        [] if object.get("additionalProperties") == Some(&Value::Bool(false)) => "Record<string, never>".to_owned(),
        [] => "{ [key: string]: unknown }".to_owned(),
        _ => all.join(" & "),
    }
}

fn union(types: impl Iterator<Item = String>) -> String {
    let mut all: Vec<String> = Vec::new();
    for one in types {
        if one == "unknown" {
            return one;
        }
        let one = if one.contains(" & ") { format!("({one})") } else { one };
        if !all.contains(&one) {
            all.push(one);
        }
    }
    if all.is_empty() { "never".to_owned() } else { all.join(" | ") }
}

fn in_brackets(of: &str) -> String {
    if of.contains(" | ") || of.contains(" & ") || of.contains("=>") { format!("({of})") } else { of.to_owned() }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Object(_) | Value::Array(_) => "unknown".to_owned(),
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

/// A text in quotes.
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

/// The name of a property, in quotes where it needs them.
fn key(name: &str) -> String {
    let plain = name.starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '_' | '$'))
        && name.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '_' | '$'));
    if plain { name.to_owned() } else { quoted(name) }
}

fn comment(text: &mut String, indent: &str, docs: &str) {
    let docs = docs.trim().replace("*/", "*\\/");
    match docs.lines().count() {
        0 => {}
        1 => {
            let _ = writeln!(text, "{indent}/** {docs} */");
        }
        _ => {
            let _ = writeln!(text, "{indent}/**");
            for line in docs.lines() {
                let _ = writeln!(text, "{}", format!("{indent} * {line}").trim_end());
            }
            let _ = writeln!(text, "{indent} */");
        }
    }
}
