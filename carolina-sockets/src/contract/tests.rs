//! The comparison of contracts, change by change and in both directions; the form of names and documents.

use serde_json::{Value, json};

use super::{Contract, check::compare, schema};
use crate::{
    config::Config,
    plan::{Plan, PlanOptions},
    registry::{
        Registry,
        row::{ChannelRow, EmitRow, HandlerRow, On},
        test_rows,
    },
};

/// What a change means to clients.
#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    Equal,
    Compatible,
    Breaking,
}
use Meaning::{Breaking, Compatible, Equal};

/// A contract of one channel that takes `take`, is answered with the same, and emits `emit`, each with one argument of this schema.
fn document(schema: &Value, takes: bool) -> String {
    let one = |schema: &Value| json!({ "type": "array", "minItems": 1, "prefixItems": [schema] });
    let nothing = json!({ "type": "array", "minItems": 0, "maxItems": 0 });
    let taken = if takes { one(schema) } else { nothing.clone() };
    let answer = if takes { nothing } else { one(schema) };
    with(json!({
        "private": { "const": false },
        "takes": { "properties": { "take": { "properties": { "arguments": taken, "answer": answer } } }, "additionalProperties": false },
        "emits": { "properties": { "emit": if takes { json!({ "type": "array", "maxItems": 0 }) } else { one(schema) } }, "additionalProperties": false },
    }))
}

fn with(parts: Value) -> String {
    json!({
        "properties": { "/a": { "properties": parts } },
        "$defs": {
            "Narrow": { "type": "integer", "minimum": 0, "maximum": 255 },
            "Wide": { "type": "integer", "minimum": 0, "maximum": 65535 },
            "Tree": { "type": "object", "properties": { "of": { "type": "array", "items": { "$ref": "#/$defs/Tree" } } }, "required": ["of"] },
            "Wood": { "type": "object", "properties": { "of": { "type": "array", "items": { "$ref": "#/$defs/Wood" } }, "age": { "type": "integer" } }, "required": ["of"] },
        },
    })
    .to_string()
}

fn meaning(before: &str, now: &str) -> (Meaning, String) {
    let found = compare(before, now).unwrap();
    let told = format!("{found:#?}");
    match (found.breaking.is_empty(), found.compatible.is_empty()) {
        (true, true) => (Equal, told),
        (true, false) => (Compatible, told),
        (false, _) => (Breaking, told),
    }
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required })
}

#[test]
fn r22_the_direction_decides_what_breaks() {
    let text = json!({ "type": "string" });
    let a = object(json!({ "a": text }), &["a"]);
    let a_optional = object(json!({ "a": text }), &[]);
    let ab = object(json!({ "a": text, "b": text }), &["a", "b"]);
    let ab_optional = object(json!({ "a": text, "b": text }), &["a"]);
    let strict = |mut of: Value| {
        of["additionalProperties"] = false.into();
        of
    };
    let tagged = |tags: &[&str]| {
        let all: Vec<Value> =
            tags.iter().map(|tag| object(json!({ "type": { "const": tag }, "a": text }), &["type", "a"])).collect();
        json!({ "oneOf": all })
    };
    // Before, now, what it means for what the server takes, and for what it answers and emits.
    let matrix: Vec<(&str, Value, Value, Meaning, Meaning)> = vec![
        ("nothing", ab.clone(), ab.clone(), Equal, Equal),
        ("another type", text.clone(), json!({ "type": "integer" }), Breaking, Breaking),
        ("a new required property", a.clone(), ab.clone(), Breaking, Compatible),
        ("a new optional property", a.clone(), ab_optional.clone(), Compatible, Compatible),
        ("a removed required property", ab.clone(), a.clone(), Compatible, Breaking),
        ("a removed optional property", ab_optional.clone(), a.clone(), Compatible, Breaking),
        ("a removed property where others are refused", ab_optional.clone(), strict(a.clone()), Breaking, Breaking),
        ("a renamed property", a.clone(), object(json!({ "b": text }), &["b"]), Breaking, Breaking),
        ("a property that becomes optional", a.clone(), a_optional.clone(), Compatible, Breaking),
        ("a property that becomes required", a_optional.clone(), a.clone(), Breaking, Compatible),
        ("others are refused", a.clone(), strict(a.clone()), Breaking, Equal),
        ("null is allowed", text.clone(), json!({ "type": ["string", "null"] }), Compatible, Breaking),
        ("null is no longer allowed", json!({ "type": ["string", "null"] }), text.clone(), Breaking, Compatible),
        (
            "null is allowed, as an alternative",
            json!({ "$ref": "#/$defs/Wide" }),
            json!({ "anyOf": [{ "$ref": "#/$defs/Wide" }, { "type": "null" }] }),
            Compatible,
            Breaking,
        ),
        ("a new value", json!({ "enum": ["a"] }), json!({ "enum": ["a", "b"] }), Compatible, Breaking),
        ("a removed value", json!({ "enum": ["a", "b"] }), json!({ "enum": ["a"] }), Breaking, Compatible),
        (
            "values in another form",
            json!({ "enum": ["a", "b"] }),
            json!({ "oneOf": [{ "const": "b", "type": "string" }, { "const": "a" }] }),
            Equal,
            Equal,
        ),
        ("any text instead of values", json!({ "enum": ["a"] }), text.clone(), Compatible, Breaking),
        ("values instead of any text", text.clone(), json!({ "enum": ["a"] }), Breaking, Compatible),
        ("a wider range", json!({ "$ref": "#/$defs/Narrow" }), json!({ "$ref": "#/$defs/Wide" }), Compatible, Breaking),
        (
            "a narrower range",
            json!({ "$ref": "#/$defs/Wide" }),
            json!({ "$ref": "#/$defs/Narrow" }),
            Breaking,
            Compatible,
        ),
        ("fractions", json!({ "type": "integer" }), json!({ "type": "number" }), Compatible, Breaking),
        ("no fractions", json!({ "type": "number" }), json!({ "type": "integer" }), Breaking, Compatible),
        ("a shorter text", text.clone(), json!({ "type": "string", "maxLength": 5 }), Breaking, Compatible),
        (
            "a longer text",
            json!({ "type": "string", "maxLength": 5 }),
            json!({ "type": "string", "maxLength": 6 }),
            Compatible,
            Breaking,
        ),
        ("a format", text.clone(), json!({ "type": "string", "format": "uuid" }), Breaking, Compatible),
        (
            "another format",
            json!({ "type": "string", "format": "date" }),
            json!({ "type": "string", "format": "uuid" }),
            Breaking,
            Breaking,
        ),
        ("a new variant", tagged(&["a"]), tagged(&["a", "b"]), Compatible, Breaking),
        ("a removed variant", tagged(&["a", "b"]), tagged(&["a"]), Breaking, Compatible),
        ("variants in another order", tagged(&["a", "b"]), tagged(&["b", "a"]), Equal, Equal),
        (
            "a list's items",
            json!({ "type": "array", "items": text }),
            json!({ "type": "array", "items": { "type": ["string", "null"] } }),
            Compatible,
            Breaking,
        ),
        ("one instead of a list", json!({ "type": "array", "items": text }), text.clone(), Breaking, Breaking),
        (
            "a longer tuple",
            json!({ "type": "array", "prefixItems": [text], "minItems": 1 }),
            json!({ "type": "array", "prefixItems": [text, text], "minItems": 2 }),
            Breaking,
            Breaking,
        ),
        (
            "a map's values",
            json!({ "type": "object", "additionalProperties": text }),
            json!({ "type": "object", "additionalProperties": { "type": "integer" } }),
            Breaking,
            Breaking,
        ),
        ("a schema where there was none", json!(true), text.clone(), Breaking, Compatible),
        ("no schema any more", text.clone(), json!(true), Compatible, Breaking),
        ("binary data instead of text", text.clone(), schema::binary(), Breaking, Breaking),
        (
            "a new property in a circle of types",
            json!({ "$ref": "#/$defs/Tree" }),
            json!({ "$ref": "#/$defs/Wood" }),
            Compatible,
            Compatible,
        ),
        (
            "a removed property in a circle of types",
            json!({ "$ref": "#/$defs/Wood" }),
            json!({ "$ref": "#/$defs/Tree" }),
            Compatible,
            Breaking,
        ),
        ("descriptions", json!({ "type": "string", "description": "One." }), text.clone(), Equal, Equal),
    ];
    for (what, before, now, taken, sent) in matrix {
        let (found, told) = meaning(&document(&before, true), &document(&now, true));
        assert_eq!(found, taken, "{what}, taken: {told}");
        let (found, told) = meaning(&document(&before, false), &document(&now, false));
        assert_eq!(found, sent, "{what}, answered and emitted: {told}");
    }
}

#[test]
fn r22_channels_events_and_arguments_that_come_and_go() {
    let list = |count: usize, required: usize| json!({ "type": "array", "minItems": required, "prefixItems": vec![json!({ "type": "string" }); count] });
    let channel = |private: bool, taken: Value, any: Value, emitted: Value| {
        with(json!({
            "private": { "const": private },
            "takes": { "properties": taken, "additionalProperties": any },
            "emits": { "properties": emitted, "additionalProperties": emitted.is_null() },
        }))
    };
    let event = |arguments: Value, answer: Value| json!({ "properties": { "arguments": arguments, "answer": answer } });
    let takes = |count: usize, required: usize, answered: usize| {
        channel(false, json!({ "e": event(list(count, required), list(answered, answered)) }), json!(false), json!({}))
    };
    let emits = |names: &[&str]| {
        let all: serde_json::Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), list(1, 1))).collect();
        channel(false, json!({}), json!(false), all.into())
    };
    let none = channel(false, json!({}), json!(false), json!({}));
    let any = channel(false, json!({}), event(list(0, 0), list(0, 0)), json!({}));
    let undeclared = channel(false, json!({}), json!(false), Value::Null);
    let empty = json!({ "properties": {} }).to_string();
    for (what, before, now, expected) in [
        ("a new channel", empty.clone(), none.clone(), Compatible),
        ("a removed channel", none.clone(), empty, Breaking),
        ("a channel that becomes private", none.clone(), channel(true, json!({}), json!(false), json!({})), Breaking),
        ("a channel that becomes public", channel(true, json!({}), json!(false), json!({})), none.clone(), Compatible),
        ("a new event that is taken", none.clone(), takes(1, 1, 0), Compatible),
        ("a removed event that was taken", takes(1, 1, 0), none.clone(), Breaking),
        ("an event that any other takes now", takes(0, 0, 0), any.clone(), Compatible),
        ("any other event", none.clone(), any.clone(), Compatible),
        ("no other event", any, none.clone(), Breaking),
        ("a new required argument", takes(1, 1, 0), takes(2, 2, 0), Breaking),
        ("a new optional argument", takes(1, 1, 0), takes(2, 1, 0), Compatible),
        ("an argument that is no longer read", takes(2, 2, 0), takes(1, 1, 0), Compatible),
        ("a new answer", takes(1, 1, 0), takes(1, 1, 1), Compatible),
        ("an answer less", takes(1, 1, 1), takes(1, 1, 0), Breaking),
        ("a new event that is emitted", emits(&["a"]), emits(&["a", "b"]), Compatible),
        ("a removed event that was emitted", emits(&["a", "b"]), emits(&["a"]), Breaking),
        ("what is emitted is declared", undeclared.clone(), emits(&["a"]), Compatible),
        ("what is emitted is not declared any more", emits(&["a"]), undeclared, Breaking),
    ] {
        let (found, told) = meaning(&before, &now);
        assert_eq!(found, expected, "{what}: {told}");
    }
}

#[test]
fn r22_a_change_is_told_with_its_place() {
    let before = document(&object(json!({ "a": { "type": "array", "items": { "type": "string" } } }), &["a"]), true);
    let now = document(&object(json!({ "a": { "type": "array", "items": { "type": "integer" } } }), &["a"]), true);
    let found = compare(&before, &now).unwrap();
    assert_eq!(found.breaking, ["`/a`, `take`, taken, at [0].a[]: was string, is integer"]);
}

#[test]
fn r22_what_is_no_contract_is_refused() {
    let sound = with(json!({ "takes": {}, "emits": {} }));
    for (text, expected) in [
        ("", "neither JSON"),
        ("export {};", "neither JSON"),
        ("[]", "no contract"),
        ("{\"properties\": {\"/a\": {}}}", "`/a`"),
        ("//: nonsense", "is broken"),
        ("{\"asyncapi\": \"3.0.0\", \"channels\": {\"A\": {}}}", "no address"),
    ] {
        let problem = compare(text, &sound).unwrap_err();
        assert!(problem.contains(expected), "{text}: {problem}");
    }
}

/// A channel with twenty events, mounted a hundred times.
fn mounted(handlers: impl IntoIterator<Item = &'static HandlerRow>) -> Contract {
    let row = Box::leak(Box::new(ChannelRow {
        emits: &[
            EmitRow { event: "b", describe: |description| description.begin_sent() },
            EmitRow {
                event: "a",
                describe: |description| {
                    description.begin_sent();
                    let argument = description.written::<Vec<Payload>>();
                    description.add_sent(argument);
                },
            },
        ],
        ..*test_rows::channel::<test_rows::A>("A", None, 1)
    }));
    let registry = Registry::from_rows([&*row], handlers);
    let mounts: Vec<_> =
        (0..100).map(|number| (std::any::TypeId::of::<test_rows::A>(), "A", format!("/{number}"))).collect();
    let options = PlanOptions { discover: false, mounts: &mounts, has_state: &|_| true };
    let plan = Plan::make(&registry, &Config::default(), &options).unwrap();
    Contract::of(&plan, &Config::default())
}

/// What the events of the test have.
#[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
struct Payload {
    id: u64,
    name: Option<String>,
}

#[test]
fn r21_link_order_is_any_order() {
    let names: Vec<&'static [&'static str]> = (0..20)
        .map(|number| &*Box::leak(Box::new([&*format!("event{number}").leak()])))
        .map(|names| &names[..])
        .collect();
    let handlers: Vec<&'static HandlerRow> = names
        .iter()
        .zip(10..)
        .map(|(names, line)| {
            let row = HandlerRow {
                describe: |description| {
                    description.begin_taken();
                    let argument = description.read::<Payload>();
                    description.add_taken(argument);
                },
                ..*test_rows::handler::<test_rows::A>("A", On::Events(names), line)
            };
            &*Box::leak(Box::new(row))
        })
        .collect();
    let one = mounted(handlers.iter().copied());
    let other = mounted(handlers.iter().rev().copied());
    assert_eq!(one.channels.len(), 100);
    assert_eq!(one.channels[0].takes.len(), 20);
    assert!(one.typescript() == other.typescript() && one.typescript().contains("export namespace"));
    assert!(one.asyncapi() == other.asyncapi());
    assert!(one.json_schema() == other.json_schema());
    let compared = compare(&one.typescript(), &other.asyncapi()).unwrap();
    assert!(compared.breaking.is_empty() && compared.compatible.is_empty(), "{compared:#?}");
}

#[test]
fn r21_channels_are_named_by_their_paths() {
    let named = |paths: &[&str]| {
        let mut channels: Vec<super::Channel> = paths
            .iter()
            .map(|path| super::Channel {
                path: (*path).to_owned(),
                name: String::new(),
                docs: String::new(),
                private: false,
                parameters: Default::default(),
                takes: Default::default(),
                takes_any: None,
                emits: None,
            })
            .collect();
        schema::name_channels(&mut channels);
        channels.into_iter().map(|channel| channel.name).collect::<Vec<_>>()
    };
    assert_eq!(
        named(&["/", "/chat", "/my-chat", "/orders/{id}", "/orders/id", "/2024", "/größe", "/chat/room"]),
        ["Main", "Chat", "MyChat", "OrdersId", "OrdersId2", "Main2024", "GrE", "ChatRoom"]
    );
}

#[test]
fn r21_paths_with_parameters_are_in_every_document() {
    let channel = super::Channel {
        path: "/orders/{id}/lines/{line}".to_owned(),
        name: "OrdersIdLinesLine".to_owned(),
        docs: "The lines.".to_owned(),
        private: true,
        parameters: [("line".to_owned(), "number")].into(),
        takes: Default::default(),
        takes_any: None,
        emits: Some(
            [("changed".to_owned(), super::Tuple::List { items: vec![json!({ "type": "string" })], required: 1 })]
                .into(),
        ),
    };
    let contract = Contract {
        channels: vec![channel],
        types: Default::default(),
        notes: Default::default(),
        server: super::Server { host: "a".to_owned(), path: "/socket.io".to_owned(), cookie: "sid".to_owned() },
    };
    let types = contract.typescript();
    assert!(types.contains("export type Path = `/orders/${string | number}/lines/${number}`;"), "{types}");
    assert!(types.contains("id: string | number;") && types.contains("line: number;"), "{types}");
    let asyncapi: Value = serde_json::from_str(&contract.asyncapi()).unwrap();
    let described = &asyncapi["channels"]["OrdersIdLinesLine"];
    assert_eq!(described["address"], "/orders/{id}/lines/{line}");
    assert_eq!(described["parameters"].as_object().unwrap().keys().collect::<Vec<_>>(), ["id", "line"]);
    assert!(contract.json_schema().contains("\"/orders/{id}/lines/{line}\""));
}
