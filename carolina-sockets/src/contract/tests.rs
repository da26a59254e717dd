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
            "Old": { "oneOf": [
                { "type": "object", "properties": { "add": { "type": "array", "items": { "$ref": "#/$defs/Old" } }, "to": { "$ref": "#/$defs/Old" } }, "required": ["add", "to"] },
                { "type": "object", "properties": { "neg": { "$ref": "#/$defs/Old" }, "with": { "$ref": "#/$defs/Old" } }, "required": ["neg"] },
                { "type": "integer" },
            ] },
            "New": { "oneOf": [
                { "type": "object", "properties": { "add": { "type": "array", "items": { "$ref": "#/$defs/New" } }, "to": { "$ref": "#/$defs/New" } }, "required": ["add", "to"] },
                { "type": "object", "properties": { "neg": { "$ref": "#/$defs/New" }, "with": { "$ref": "#/$defs/New" } }, "required": ["neg", "with"] },
                { "type": "integer" },
            ] },
            "Self": { "anyOf": [{ "type": "string" }, { "$ref": "#/$defs/Self" }, { "$ref": "#/$defs/Self" }] },
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
    let tuple =
        |of: &[&Value]| json!({ "type": "array", "prefixItems": of, "minItems": of.len(), "maxItems": of.len() });
    let tagged = |tags: &[&str]| {
        let all: Vec<Value> =
            tags.iter().map(|tag| object(json!({ "type": { "const": tag }, "a": text }), &["type", "a"])).collect();
        json!({ "oneOf": all })
    };
    let number = json!({ "type": "integer" });
    let map = |of: &Value| json!({ "type": "object", "additionalProperties": of });
    let keyed =
        |of: &Value| json!({ "type": "object", "additionalProperties": false, "patternProperties": { r"^\d+$": of } });
    let all = |of: &Value, least: usize, most: usize| json!({ "type": "array", "items": of, "minItems": least, "maxItems": most });
    let untyped = |of: &Value| json!({ "type": "array", "items": of });
    let range = |words: Value| {
        let mut of = number.clone();
        of.as_object_mut().unwrap().extend(words.as_object().unwrap().clone());
        of
    };
    // As serde has a variant with a name around its content.
    let around = |variants: &[(&str, &Value)]| {
        let all: Vec<Value> = variants.iter().map(|(name, of)| strict(object(json!({ *name: of }), &[name]))).collect();
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
        ("a longer tuple", tuple(&[&text]), tuple(&[&text, &text]), Breaking, Breaking),
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
        // Maps, and objects instead of maps.
        ("a map's values, by numbers", keyed(&text), keyed(&number), Breaking, Breaking),
        ("a map by numbers instead of texts", map(&text), keyed(&text), Breaking, Compatible),
        ("a map by texts instead of numbers", keyed(&text), map(&text), Compatible, Breaking),
        ("a map instead of an object, of its type", a_optional.clone(), map(&text), Compatible, Compatible),
        ("a map instead of an object, of another type", a_optional.clone(), map(&number), Breaking, Breaking),
        ("an object instead of a map, of its type", map(&text), a_optional.clone(), Compatible, Compatible),
        ("an object instead of a map, of another type", map(&number), a_optional.clone(), Breaking, Breaking),
        ("any object instead of a map", map(&text), json!({ "type": "object" }), Compatible, Breaking),
        ("a map instead of any object", json!({ "type": "object" }), map(&text), Breaking, Compatible),
        (
            "further properties beside named ones",
            a.clone(),
            {
                let mut of = a.clone();
                of["additionalProperties"] = number.clone();
                of
            },
            Compatible,
            Compatible,
        ),
        (
            "a smaller map",
            map(&text),
            {
                let mut of = map(&text);
                of["maxProperties"] = 3.into();
                of
            },
            Breaking,
            Compatible,
        ),
        ("others are no longer refused", strict(a.clone()), a.clone(), Compatible, Equal),
        (
            "others are refused, in all parts",
            json!({ "allOf": [a.clone()], "type": "object" }),
            json!({ "allOf": [a.clone()], "unevaluatedProperties": false }),
            Breaking,
            Equal,
        ),
        // Lists and tuples.
        ("a list of a fixed length as a tuple", all(&text, 2, 2), tuple(&[&text, &text]), Equal, Equal),
        ("a list instead of a tuple", tuple(&[&text, &text]), untyped(&text), Compatible, Breaking),
        ("a tuple instead of a list", untyped(&text), tuple(&[&text, &text]), Breaking, Compatible),
        ("another type in a tuple", tuple(&[&text, &text]), tuple(&[&text, &number]), Breaking, Breaking),
        ("a longer list", all(&text, 0, 2), all(&text, 0, 3), Compatible, Breaking),
        (
            "a set instead of a list",
            untyped(&text),
            {
                let mut of = untyped(&text);
                of["uniqueItems"] = true.into();
                of
            },
            Breaking,
            Compatible,
        ),
        (
            "a list in another form",
            tuple(&[&text]),
            json!({ "type": "array", "items": [text], "minItems": 1, "additionalItems": false }),
            Equal,
            Equal,
        ),
        // Ranges.
        (
            "a greatest number where neighbours are one in floating point",
            range(json!({ "maximum": 9_223_372_036_854_775_807_u64 })),
            range(json!({ "maximum": 9_223_372_036_854_775_806_u64 })),
            Breaking,
            Compatible,
        ),
        (
            "a bound that is in the range now",
            range(json!({ "exclusiveMinimum": 0 })),
            range(json!({ "minimum": 0 })),
            Compatible,
            Breaking,
        ),
        (
            "a bound that is out of the range now",
            range(json!({ "minimum": 0 })),
            range(json!({ "exclusiveMinimum": 0 })),
            Breaking,
            Compatible,
        ),
        (
            "a bound in another form",
            range(json!({ "exclusiveMinimum": 0 })),
            range(json!({ "minimum": 1 })),
            Equal,
            Equal,
        ),
        (
            "bounds of a number",
            json!({ "type": "number", "exclusiveMaximum": 1 }),
            json!({ "type": "number", "maximum": 1 }),
            Compatible,
            Breaking,
        ),
        ("finer steps", range(json!({ "multipleOf": 10 })), range(json!({ "multipleOf": 5 })), Compatible, Breaking),
        (
            "a tighter bound beside a reference",
            json!({ "$ref": "#/$defs/Narrow" }),
            json!({ "$ref": "#/$defs/Narrow", "minimum": 5 }),
            Breaking,
            Compatible,
        ),
        (
            "a looser bound beside a reference",
            json!({ "$ref": "#/$defs/Narrow", "maximum": 1000 }),
            json!({ "$ref": "#/$defs/Narrow" }),
            Equal,
            Equal,
        ),
        // Values.
        (
            "a text for which there is no room",
            json!({ "enum": ["a", "bc"] }),
            json!({ "type": "string", "minLength": 2 }),
            Breaking,
            Breaking,
        ),
        (
            "a text for which there is room",
            json!({ "const": "bc" }),
            json!({ "type": "string", "minLength": 2 }),
            Compatible,
            Breaking,
        ),
        (
            "a number for which there is no room",
            json!({ "const": 5 }),
            range(json!({ "minimum": 6 })),
            Breaking,
            Breaking,
        ),
        ("null in another form", json!({ "const": null }), json!({ "type": "null" }), Equal, Equal),
        (
            "null beside a range",
            json!({ "type": ["integer", "null"], "minimum": 0 }),
            json!({ "anyOf": [range(json!({ "minimum": 0 })), { "type": "null" }] }),
            Equal,
            Equal,
        ),
        (
            "a value that becomes null",
            json!({ "enum": ["a", "b"] }),
            json!({ "enum": ["a", null] }),
            Breaking,
            Breaking,
        ),
        // Alternatives.
        (
            "fractions beside integers",
            json!({ "anyOf": [number, { "type": "number" }] }),
            json!({ "anyOf": [{ "type": "number" }, number] }),
            Equal,
            Equal,
        ),
        (
            "as many alternatives, of which one is new",
            json!({ "anyOf": [range(json!({ "maximum": 5 })), range(json!({ "maximum": 6 }))] }),
            json!({ "anyOf": [range(json!({ "maximum": 6 })), text] }),
            Compatible,
            Breaking,
        ),
        (
            "a new variant around its content",
            around(&[("A", &text)]),
            around(&[("A", &text), ("B", &number)]),
            Compatible,
            Breaking,
        ),
        (
            "another content of a variant",
            around(&[("A", &text), ("B", &number)]),
            around(&[("A", &text), ("B", &text)]),
            Breaking,
            Breaking,
        ),
        ("a variant with another name", around(&[("A", &text)]), around(&[("B", &text)]), Breaking, Breaking),
        (
            "a property in a part",
            json!({ "allOf": [a, object(json!({ "b": text }), &[])] }),
            ab.clone(),
            Breaking,
            Compatible,
        ),
        (
            "a property's type in a part",
            json!({ "allOf": [a, object(json!({ "b": number }), &["b"])] }),
            ab.clone(),
            Breaking,
            Breaking,
        ),
        (
            "a tag of another type",
            tagged(&["a"]),
            object(json!({ "type": number, "a": text }), &["type", "a"]),
            Breaking,
            Breaking,
        ),
        // Types in a circle.
        (
            "a circle of types that all differ",
            json!({ "$ref": "#/$defs/Old" }),
            json!({ "$ref": "#/$defs/New" }),
            Breaking,
            Compatible,
        ),
        ("an alternative of itself", json!({ "$ref": "#/$defs/Self" }), text.clone(), Equal, Equal),
    ];
    let mut wrong = Vec::new();
    for (what, before, now, taken, sent) in matrix {
        for (takes, expected) in [(true, taken), (false, sent)] {
            let (found, told) = meaning(&document(&before, takes), &document(&now, takes));
            if found != expected {
                wrong.push(format!(
                    "{what}, {}: {found:?} instead of {expected:?}: {told}",
                    if takes { "taken" } else { "sent" }
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
    let all = json!({ "type": "array", "items": { "type": "string" } });
    let takes_all = channel(false, json!({ "e": event(all.clone(), list(0, 0)) }), json!(false), json!({}));
    let any_with_all = channel(false, json!({}), event(all.clone(), list(0, 0)), json!({}));
    let any_and = |arguments: Value| {
        channel(false, json!({ "e": event(arguments, list(0, 0)) }), event(all.clone(), list(0, 0)), json!({}))
    };
    let failing = |codes: &[&str]| {
        let mut taken = event(list(0, 0), list(0, 0));
        taken["properties"]["error"] =
            json!({ "properties": { "code": { "anyOf": [{ "enum": codes }, { "type": "string" }] } } });
        channel(false, json!({ "e": taken }), json!(false), json!({}))
    };
    let with_parameter = |path: &str, name: &str, of: Value| {
        let parts = json!({ "takes": {}, "emits": {}, "parameters": { "properties": { name: of } } });
        json!({ "properties": { path: { "properties": parts } } }).to_string()
    };
    let (of_number, of_text) = (json!({ "type": "number" }), json!({ "type": "string" }));
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
        ("any number of arguments", takes(2, 1, 0), takes_all.clone(), Compatible),
        ("a number of arguments that may be left out", takes_all.clone(), takes(1, 0, 0), Compatible),
        ("a number of arguments", takes_all, takes(1, 1, 0), Breaking),
        ("an event by its name, as any other", any_with_all.clone(), any_and(list(0, 0)), Compatible),
        ("an event by its name, with more than any other", any_with_all, any_and(list(1, 1)), Breaking),
        ("a new code of errors", failing(&["a"]), failing(&["a", "b"]), Compatible),
        ("the same codes of errors", failing(&["a"]), failing(&["a"]), Equal),
        (
            "another name of a parameter",
            with_parameter("/o/{a}", "a", of_number.clone()),
            with_parameter("/o/{b}", "b", of_number.clone()),
            Compatible,
        ),
        (
            "a parameter that is a number now",
            with_parameter("/o/{a}", "a", of_text.clone()),
            with_parameter("/o/{a}", "a", of_number.clone()),
            Breaking,
        ),
        (
            "a parameter that is a text now",
            with_parameter("/o/{a}", "a", of_number.clone()),
            with_parameter("/o/{a}", "a", of_text),
            Compatible,
        ),
        (
            "a parameter of any type",
            with_parameter("/o/{a}", "a", json!({})),
            with_parameter("/o/{a}", "a", of_number),
            Breaking,
        ),
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
                emits: Default::default(),
                declares_emits: false,
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
        emits: [("changed".to_owned(), super::Tuple::List { items: vec![json!({ "type": "string" })], required: 1 })]
            .into(),
        declares_emits: true,
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
