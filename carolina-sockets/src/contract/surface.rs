//! Reads a document that was written before, any of the three, into what `check` compares.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{asyncapi::ANY, typescript::EMBEDDED};

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
    /// Arguments and answer, by event.
    pub(super) takes: BTreeMap<String, (Value, Value)>,
    /// The same for all events that are not named, if the channel takes them.
    pub(super) takes_any: Option<(Value, Value)>,
    /// Arguments, by event; `None` if the channel declares nothing.
    pub(super) emits: Option<BTreeMap<String, Value>>,
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
            let taken =
                |event: &Value| (event["properties"]["arguments"].clone(), event["properties"]["answer"].clone());
            let any = &takes["additionalProperties"];
            let surface = ChannelSurface {
                private: parts["private"]["const"] == true,
                takes: entries(&takes["properties"]).map(|(event, schema)| (event.clone(), taken(schema))).collect(),
                takes_any: any.is_object().then(|| taken(any)),
                emits: (emits["additionalProperties"] != true).then(|| {
                    entries(&emits["properties"]).map(|(event, schema)| (event.clone(), schema.clone())).collect()
                }),
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
                takes: BTreeMap::new(),
                takes_any: None,
                emits: (channel["x-declares-emits"] != false).then(BTreeMap::new),
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
                Some("send") => drop(channel.emits.get_or_insert_default().insert(event, first["payload"].clone())),
                _ => {
                    let answer = message(&operation["reply"]["messages"][0])
                        .map_or(Value::Null, |answer| answer["payload"].clone());
                    let taken = (first["payload"].clone(), answer);
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
