//! Reads a document that was written before, any of the three, into what `check` compares.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{asyncapi::ANY, parameters, typescript::EMBEDDED};

/// What a document says, event by event.
#[derive(Debug)]
pub(super) struct Surface {
    /// What references point into.
    pub(super) root: Value,
    pub(super) channels: BTreeMap<String, ChannelSurface>,
}

#[derive(Debug)]
pub(super) struct ChannelSurface {
    pub(super) private: bool,
    /// The parameters of the path in order, with their types as far as these are known.
    pub(super) parameters: Vec<(String, Option<String>)>,
    /// By event.
    pub(super) takes: BTreeMap<String, TakenSurface>,
    /// Of all events that are not named, if the channel takes them.
    pub(super) takes_any: Option<TakenSurface>,
    /// Arguments, by event.
    pub(super) emits: BTreeMap<String, Value>,
    /// Whether the channel declares what it emits.
    pub(super) declares_emits: bool,
}

/// An event that a channel takes.
#[derive(Debug)]
pub(super) struct TakenSurface {
    pub(super) arguments: Value,
    pub(super) answer: Value,
    /// The codes of errors.
    pub(super) codes: BTreeSet<String>,
}

impl Surface {
    /// # Errors
    ///
    /// What is wrong with the text.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if text.lines().any(|line| line.starts_with(EMBEDDED)) {
            return Self::of_json_schema(embedded(text)?);
        }
        let document: Value = serde_json::from_str(text).map_err(|error| {
            format!("it is neither JSON ({error}) nor a file that `contract --typescript` has written")
        })?;
        if document.get("asyncapi").is_some() { Self::of_asyncapi(document) } else { Self::of_json_schema(document) }
    }

    fn of_json_schema(root: Value) -> Result<Self, String> {
        let described = root["properties"]
            .as_object()
            .ok_or("it is no contract: it has no `properties`, which are the channels")?;
        let mut channels = BTreeMap::new();
        for (path, channel) in described {
            let parts = &channel["properties"];
            let (takes, emits) = (&parts["takes"], &parts["emits"]);
            if !takes.is_object() || !emits.is_object() {
                return Err(format!("it is no contract: the channel `{path}` has no `takes` and `emits`"));
            }
            let taken = |event: &Value| {
                let parts = &event["properties"];
                TakenSurface {
                    arguments: parts["arguments"].clone(),
                    answer: parts["answer"].clone(),
                    codes: codes(&parts["error"]),
                }
            };
            let parameter = |name: &str| parts["parameters"]["properties"][name]["type"].as_str();
            let any = &takes["additionalProperties"];
            let surface = ChannelSurface {
                private: parts["private"]["const"] == true,
                parameters: typed(path, parameter),
                takes: entries(&takes["properties"]).map(|(event, schema)| (event.clone(), taken(schema))).collect(),
                takes_any: any.is_object().then(|| taken(any)),
                emits: entries(&emits["properties"]).map(|(event, schema)| (event.clone(), schema.clone())).collect(),
                declares_emits: emits["additionalProperties"] != true,
            };
            channels.insert(path.clone(), surface);
        }
        Ok(Self { root, channels })
    }

    fn of_asyncapi(root: Value) -> Result<Self, String> {
        let mut channels = BTreeMap::new();
        let mut paths = BTreeMap::new();
        for (name, channel) in entries(&root["channels"]) {
            let path = channel["address"].as_str().ok_or_else(|| format!("the channel `{name}` has no address"))?;
            paths.insert(format!("#/channels/{name}"), path.to_owned());
            let surface = ChannelSurface {
                private: channel["x-private"] == true,
                parameters: typed(path, |name| channel["parameters"][name]["x-type"].as_str()),
                takes: BTreeMap::new(),
                takes_any: None,
                emits: BTreeMap::new(),
                declares_emits: channel["x-declares-emits"] != false,
            };
            channels.insert(path.to_owned(), surface);
        }
        for (name, operation) in entries(&root["operations"]) {
            let broken = || format!("the operation `{name}` names no channel or message of the document");
            let path = operation["channel"]["$ref"].as_str().and_then(|of| paths.get(of)).ok_or_else(broken)?;
            let message = |at: &Value| resolve(&root, at["$ref"].as_str()?);
            let first = message(&operation["messages"][0]).ok_or_else(broken)?;
            let event = first["name"].as_str().ok_or_else(broken)?.to_owned();
            let channel = channels.get_mut(path).ok_or_else(broken)?;
            match operation["action"].as_str() {
                Some("send") => drop(channel.emits.insert(event, first["payload"].clone())),
                _ => {
                    let reply =
                        |number: usize| message(&operation["reply"]["messages"][number]).map(|of| &of["payload"]);
                    let taken = TakenSurface {
                        arguments: first["payload"].clone(),
                        answer: reply(0).cloned().unwrap_or_default(),
                        codes: reply(1)
                            .map(|error| codes(&error["items"][0]["properties"]["error"]))
                            .unwrap_or_default(),
                    };
                    if event == ANY {
                        channel.takes_any = Some(taken);
                    } else {
                        channel.takes.insert(event, taken);
                    }
                }
            }
        }
        Ok(Self { root, channels })
    }
}

/// The parameters of a path with their types.
fn typed<'a>(path: &str, of: impl Fn(&str) -> Option<&'a str>) -> Vec<(String, Option<String>)> {
    parameters(path).map(|name| (name.to_owned(), of(name).map(str::to_owned))).collect()
}

/// The codes in the schema of an error.
fn codes(error: &Value) -> BTreeSet<String> {
    let code = &error["properties"]["code"];
    let known = code["anyOf"].get(0).unwrap_or(code);
    known["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What a reference of a document points to.
pub(super) fn resolve<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(reference.strip_prefix('#')?)
}

fn entries(of: &Value) -> impl Iterator<Item = (&String, &Value)> {
    of.as_object().into_iter().flatten()
}

/// The JSON Schema inside of a TypeScript file.
fn embedded(text: &str) -> Result<Value, String> {
    let mut document = Map::new();
    for line in text.lines().filter_map(|line| line.strip_prefix(EMBEDDED)) {
        let (part, name, schema): (String, String, Value) = serde_json::from_str(line)
            .map_err(|error| format!("one of its lines behind `{EMBEDDED}` is broken: {error}"))?;
        document.entry(part).or_insert_with(|| Map::new().into())[name] = schema;
    }
    document.entry("properties").or_insert_with(|| Map::new().into());
    Ok(document.into())
}
