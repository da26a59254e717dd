//! Compares two contracts (rule R22). The direction decides what breaks a client: of what the server takes, everything that was valid has to stay valid; of
//! what it answers and emits, nothing may come that was not announced.

use std::{collections::HashSet, fmt};

use serde_json::{Map, Value};

use super::surface::{ChannelSurface, Surface, resolve};

/// The differences between two contracts.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// What clients of the contract before would fail by.
    pub(crate) breaking: Vec<String>,
    /// What else is different.
    pub(crate) compatible: Vec<String>,
}

/// Compares the text of a contract that was written before with the present one's.
///
/// # Errors
///
/// What is wrong with one of the texts.
pub(crate) fn compare(before: &str, now: &str) -> Result<Comparison, String> {
    let (before, now) = (Surface::read(before)?, Surface::read(now)?);
    let mut found = Comparison::default();
    for (path, old) in &before.channels {
        match now.channels.get(path) {
            Some(new) => {
                let documents = Documents { before: &before.root, now: &now.root, path };
                documents.channel(old, new, &mut found);
            }
            None => found.breaking.push(format!("`{path}`: the channel is not there any more")),
        }
    }
    let new = now.channels.keys().filter(|path| !before.channels.contains_key(*path));
    found.compatible.extend(new.map(|path| format!("`{path}`: a new channel")));
    Ok(found)
}

/// What references of both documents point into, and the channel that is compared.
struct Documents<'a> {
    before: &'a Value,
    now: &'a Value,
    path: &'a str,
}

impl Documents<'_> {
    fn compare(&self, what: &str, direction: Direction, old: &Value, new: &Value, found: &mut Comparison) {
        let place = format!("`{}`, {what}", self.path);
        let (before, now) = (self.before, self.now);
        Comparing { before, now, direction, place, seen: HashSet::new(), found }.arguments(old, new);
    }

    fn event(&self, event: &str, old: &(Value, Value), new: &(Value, Value), found: &mut Comparison) {
        self.compare(&format!("{event}, taken"), Direction::In, &old.0, &new.0, found);
        self.compare(&format!("{event}, answered"), Direction::Out, &old.1, &new.1, found);
    }

    fn channel(&self, old: &ChannelSurface, new: &ChannelSurface, found: &mut Comparison) {
        let path = self.path;
        match (old.private, new.private) {
            (false, true) => found.breaking.push(format!("`{path}`: the channel was for everybody and is private")),
            (true, false) => found.compatible.push(format!("`{path}`: the channel was private and is for everybody")),
            _ => {}
        }
        for (event, taken) in &old.takes {
            match new.takes.get(event).or(new.takes_any.as_ref()) {
                Some(new) => self.event(&format!("`{event}`"), taken, new, found),
                None => found.breaking.push(format!("`{path}`, `{event}`: the event is not taken any more")),
            }
        }
        match (&old.takes_any, &new.takes_any) {
            (Some(old), Some(new)) => self.event("any other event", old, new, found),
            (Some(_), None) => {
                found.breaking.push(format!("`{path}`: events of any other name are not taken any more"));
            }
            (None, Some(_)) => found.compatible.push(format!("`{path}`: events of any name are taken")),
            (None, None) => {}
        }
        let names = new.takes.keys().filter(|event| !old.takes.contains_key(*event));
        found.compatible.extend(names.map(|event| format!("`{path}`, `{event}`: a new event is taken")));
        self.emits(old, new, found);
    }

    fn emits(&self, old: &ChannelSurface, new: &ChannelSurface, found: &mut Comparison) {
        let path = self.path;
        let (olds, news) = match (&old.emits, &new.emits) {
            (Some(olds), Some(news)) => (olds, news),
            (Some(_), None) => {
                return found
                    .breaking
                    .push(format!("`{path}`: what the channel emits was declared, and is not any more"));
            }
            (None, Some(_)) => {
                return found.compatible.push(format!("`{path}`: what the channel emits is declared"));
            }
            (None, None) => return,
        };
        for (event, arguments) in olds {
            match news.get(event) {
                Some(new) => {
                    self.compare(&format!("`{event}`, emitted"), Direction::Out, arguments, new, found);
                }
                None => found.breaking.push(format!("`{path}`, `{event}`: the event is not emitted any more")),
            }
        }
        let names = news.keys().filter(|event| !olds.contains_key(*event));
        found.compatible.extend(names.map(|event| format!("`{path}`, `{event}`: a new event is emitted")));
    }
}

/// Which way a payload goes, seen from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    In,
    Out,
}

/// Pairs of schemas, as text.
type Pairs = HashSet<(String, String)>;

/// A schema without alternatives and references.
type Plain = Map<String, Value>;

/// The comparison of one payload.
struct Comparing<'a> {
    before: &'a Value,
    now: &'a Value,
    direction: Direction,
    /// Channel, event, and whether it is taken, answered or emitted.
    place: String,
    /// The pairs of schemas that were compared, as types may be in a circle.
    seen: Pairs,
    found: &'a mut Comparison,
}

impl Comparing<'_> {
    fn breaks(&mut self, path: &str, was: impl fmt::Display, is: impl fmt::Display) {
        self.found.breaking.push(format!("{}, at {path}: was {was}, is {is}", self.place));
    }

    fn allows(&mut self, path: &str, was: impl fmt::Display, is: impl fmt::Display) {
        self.found.compatible.push(format!("{}, at {path}: was {was}, is {is}", self.place));
    }

    /// Compares two arrays of arguments.
    fn arguments(&mut self, old: &Value, new: &Value) {
        let (olds, news) = (plains(self.before, old), plains(self.now, new));
        match (&olds[..], &news[..]) {
            ([old], [new]) if is_tuple(old) && is_tuple(new) => self.tuple(old, new, "", true),
            _ => self.schemas(old, new, ""),
        }
    }

    fn schemas(&mut self, old: &Value, new: &Value, path: &str) {
        if !self.seen.insert((format!("{path}{old}"), new.to_string())) {
            return;
        }
        // A recursive type is compared where it is met first.
        if path.matches('.').count() + path.matches('[').count() > 24 {
            return;
        }
        let (olds, news) = (plains(self.before, old), plains(self.now, new));
        let root = if path.is_empty() { "the arguments".to_owned() } else { path.to_owned() };
        // Each of these has to fit one of those.
        let (narrow, wide) = match self.direction {
            Direction::In => (&olds, &news),
            Direction::Out => (&news, &olds),
        };
        let mut used = HashSet::new();
        for one in narrow {
            let mut best: Option<(usize, Comparison, Pairs)> = None;
            for (number, other) in wide.iter().enumerate().filter(|(_, other)| is_kin(one, other)) {
                let (old, new) = if self.direction == Direction::In { (one, other) } else { (other, one) };
                let mut trial = Comparison::default();
                let mut comparing =
                    Comparing { found: &mut trial, place: self.place.clone(), seen: self.seen.clone(), ..*self };
                comparing.plain(old, new, path);
                let seen = comparing.seen;
                if best.as_ref().is_none_or(|(_, so_far, _)| trial.breaking.len() < so_far.breaking.len()) {
                    best = Some((number, trial, seen));
                }
            }
            match best {
                Some((number, trial, seen)) => {
                    used.insert(number);
                    self.seen = seen;
                    self.found.breaking.extend(trial.breaking);
                    self.found.compatible.extend(trial.compatible);
                }
                None => self.breaks(&root, shown_all(&olds), shown_all(&news)),
            }
        }
        if used.len() < wide.len() && narrow.len() != wide.len() {
            self.allows(&root, shown_all(&olds), shown_all(&news));
        }
    }

    fn plain(&mut self, old: &Plain, new: &Plain, path: &str) {
        let root = if path.is_empty() { "the arguments" } else { path };
        let (narrow, wide) = match self.direction {
            Direction::In => (old, new),
            Direction::Out => (new, old),
        };
        let same = |word: &str| old.get(word) == new.get(word);
        if wide.get("type").is_none() && wide.get("const").is_none() && !is_binary(wide) {
            if narrow.get("type").is_some() || narrow.get("const").is_some() {
                self.allows(root, shown(old), shown(new));
            }
            return;
        }
        if let Some(value) = wide.get("const") {
            if narrow.get("const") != Some(value) {
                self.breaks(root, shown(old), shown(new));
            }
            return;
        }
        if narrow.get("const").is_some() {
            self.allows(root, shown(old), shown(new));
            return;
        }
        let kind = narrow.get("type").and_then(Value::as_str).unwrap_or_default();
        if narrow.get("type") != wide.get("type") {
            self.allows(root, shown(old), shown(new));
        }
        match kind {
            "array" if is_tuple(old) && is_tuple(new) => self.tuple(old, new, path, false),
            "array" => {
                self.ranges(root, old, new, ["minItems", "maxItems"]);
                let nothing = Value::Bool(true);
                let items = |of: &Plain| of.get("items").unwrap_or(&nothing).clone();
                if is_tuple(old) || is_tuple(new) {
                    self.breaks(root, shown(old), shown(new));
                } else {
                    self.schemas(&items(old), &items(new), &format!("{path}[]"));
                }
            }
            "object" => self.object(old, new, path, root),
            "string" => {
                self.ranges(root, old, new, ["minLength", "maxLength"]);
                for word in ["format", "pattern"] {
                    match wide.get(word) {
                        _ if same(word) => {}
                        Some(_) => self.breaks(root, shown(old), shown(new)),
                        None => self.allows(root, shown(old), shown(new)),
                    }
                }
            }
            "number" | "integer" => {
                self.ranges(root, old, new, ["minimum", "maximum"]);
                self.ranges(root, old, new, ["exclusiveMinimum", "exclusiveMaximum"]);
                if !same("multipleOf") {
                    match wide.get("multipleOf") {
                        Some(_) => self.breaks(root, shown(old), shown(new)),
                        None => self.allows(root, shown(old), shown(new)),
                    }
                }
            }
            _ => {}
        }
    }

    /// Bounds: those of the wide one may not be tighter.
    fn ranges(&mut self, path: &str, old: &Plain, new: &Plain, [least, most]: [&str; 2]) {
        let (narrow, wide) = match self.direction {
            Direction::In => (old, new),
            Direction::Out => (new, old),
        };
        let bound = |of: &Plain, word: &str| of.get(word).and_then(Value::as_f64);
        let tighter = bound(wide, least).unwrap_or(f64::MIN) > bound(narrow, least).unwrap_or(f64::MIN)
            || bound(wide, most).unwrap_or(f64::MAX) < bound(narrow, most).unwrap_or(f64::MAX);
        if tighter {
            self.breaks(path, shown(old), shown(new));
        } else if [least, most].iter().any(|word| bound(old, word) != bound(new, word)) {
            self.allows(path, shown(old), shown(new));
        }
    }

    /// Arrays whose items have types of their own. Arguments that a server does not ask for are ignored, and so are those that a listener does not take.
    fn tuple(&mut self, old: &Plain, new: &Plain, path: &str, are_arguments: bool) {
        let (olds, news) = (parts(old), parts(new));
        for (number, (old, new)) in olds.iter().zip(&news).enumerate() {
            self.schemas(old, new, &format!("{path}[{number}]"));
        }
        let required = |of: &Plain| {
            of.get("minItems").and_then(Value::as_u64).map_or(0, |least| usize::try_from(least).unwrap_or(usize::MAX))
        };
        let count = |of: usize| format!("{of} {}", if are_arguments { "arguments" } else { "items" });
        let root = if path.is_empty() { "the arguments" } else { path };
        let (was, is) = (olds.len(), news.len());
        match self.direction {
            Direction::In if required(new) > required(old) => {
                self.breaks(root, format!("{} required", required(old)), format!("{} required", required(new)));
            }
            Direction::Out if is < was => self.breaks(root, count(was), count(is)),
            _ if is != was && !are_arguments => self.breaks(root, count(was), count(is)),
            _ if is != was => self.allows(root, count(was), count(is)),
            _ if required(old) != required(new) => {
                self.allows(root, format!("{} required", required(old)), format!("{} required", required(new)));
            }
            _ => {}
        }
    }

    fn object(&mut self, old: &Plain, new: &Plain, path: &str, root: &str) {
        let none = Map::new();
        let properties = |of: &Plain| of.get("properties").and_then(Value::as_object).unwrap_or(&none).clone();
        let required = |of: &Plain, name: &str| {
            of.get("required").and_then(Value::as_array).is_some_and(|all| all.iter().any(|one| one == name))
        };
        let (olds, news) = (properties(old), properties(new));
        let word = |is_required: bool| if is_required { "required" } else { "optional" };
        for (name, before) in &olds {
            let at = format!("{path}.{name}");
            let Some(now) = news.get(name) else {
                let was = format!("{} {}", word(required(old, name)), shown_schema(self.before, before));
                match self.direction {
                    Direction::Out => self.breaks(&at, was, "not there"),
                    Direction::In if refuses_others(new) => self.breaks(&at, was, "refused"),
                    Direction::In => self.allows(&at, was, "ignored"),
                }
                continue;
            };
            match (self.direction, required(old, name), required(new, name)) {
                (Direction::In, false, true) | (Direction::Out, true, false) => {
                    self.breaks(&at, word(required(old, name)), word(required(new, name)));
                }
                (_, was, is) if was != is => self.allows(&at, word(was), word(is)),
                _ => {}
            }
            self.schemas(before, now, &at);
        }
        for (name, now) in news.iter().filter(|(name, _)| !olds.contains_key(*name)) {
            let at = format!("{path}.{name}");
            let is = format!("{} {}", word(required(new, name)), shown_schema(self.now, now));
            match self.direction {
                Direction::In if required(new, name) => self.breaks(&at, "not there", is),
                Direction::Out if refuses_others(old) && !olds.is_empty() => self.allows(&at, "not there", is),
                _ => self.allows(&at, "not there", is),
            }
        }
        if self.direction == Direction::In && refuses_others(new) && !refuses_others(old) {
            self.breaks(root, "an object with any further properties", "one that refuses them");
        }
        let values = |of: &Plain| of.get("additionalProperties").filter(|values| values.is_object()).cloned();
        match (values(old), values(new)) {
            (Some(old), Some(new)) => self.schemas(&old, &new, &format!("{path}.*")),
            (None, Some(new)) if self.direction == Direction::In && !refuses_others(old) => {
                self.schemas(&Value::Bool(true), &new, &format!("{path}.*"));
            }
            (Some(_), None) if self.direction == Direction::Out && olds.is_empty() => {
                self.breaks(root, shown(old), shown(new));
            }
            _ => {}
        }
    }
}

fn refuses_others(of: &Plain) -> bool {
    of.get("additionalProperties") == Some(&Value::Bool(false))
}

fn is_binary(of: &Plain) -> bool {
    of.get("contentEncoding").is_some_and(|encoding| encoding == "binary") && !of.contains_key("type")
}

/// Whether the items have types of their own. An array of no items is that too.
fn is_tuple(of: &Plain) -> bool {
    of.get("type").is_some_and(|kind| kind == "array")
        && (of.contains_key("prefixItems") || of.get("items").is_none_or(Value::is_array))
        && !(of.get("items").is_none()
            && of.get("prefixItems").is_none()
            && of.get("minItems").is_none()
            && of.get("maxItems").is_none())
}

fn parts(of: &Plain) -> Vec<Value> {
    let parts = of.get("prefixItems").or_else(|| of.get("items").filter(|items| items.is_array()));
    parts.and_then(Value::as_array).cloned().unwrap_or_default()
}

/// Whether two may be the same value in two versions: of one kind, and of one variant where a property names it.
fn is_kin(one: &Plain, other: &Plain) -> bool {
    if is_binary(one) || is_binary(other) {
        return is_binary(one) == is_binary(other) || is_anything(other);
    }
    if is_anything(other) {
        return true;
    }
    if is_anything(one) {
        return false;
    }
    if let (Some(one), Some(other)) = (one.get("const"), other.get("const")) {
        return one == other;
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
        (one, other) => one == other && !(other.is_empty()),
    }
}

fn is_anything(of: &Plain) -> bool {
    !of.contains_key("type") && !of.contains_key("const") && !is_binary(of)
}

/// The type, of a constant its value's.
fn kind(of: &Plain) -> &str {
    match (of.get("type"), of.get("const")) {
        (Some(kind), _) => kind.as_str().unwrap_or_default(),
        (None, Some(Value::String(_))) => "string",
        (None, Some(Value::Number(number))) => {
            if number.is_f64() {
                "number"
            } else {
                "integer"
            }
        }
        (None, Some(Value::Bool(_))) => "boolean",
        (None, Some(Value::Null)) => "null",
        _ => "",
    }
}

/// The alternatives of a schema, each without references and alternatives of its own.
fn plains(root: &Value, schema: &Value) -> Vec<Plain> {
    let mut all = Vec::new();
    for plain in flattened(root, schema, 0) {
        if let Some(values) = plain.get("enum").and_then(Value::as_array) {
            for value in values {
                let mut one = Map::new();
                one.insert("const".to_owned(), value.clone());
                all.push(one);
            }
            continue;
        }
        if plain.contains_key("const") {
            all.push(plain.into_iter().filter(|(word, _)| word == "const").collect());
            continue;
        }
        match plain.get("type") {
            Some(Value::Array(kinds)) => {
                for kind in kinds.clone() {
                    let mut one = plain.clone();
                    one.insert("type".to_owned(), kind);
                    all.push(one);
                }
            }
            None if plain.contains_key("properties") => {
                let mut one = plain;
                one.insert("type".to_owned(), "object".into());
                all.push(one);
            }
            _ => all.push(plain),
        }
    }
    let mut unique: Vec<Plain> = Vec::new();
    for one in all {
        if !unique.contains(&one) {
            unique.push(one);
        }
    }
    unique
}

fn flattened(root: &Value, schema: &Value, depth: usize) -> Vec<Plain> {
    let object = match schema {
        Value::Bool(false) => return Vec::new(),
        Value::Object(object) if depth < 32 => object,
        _ => return vec![Map::new()],
    };
    let annotations = ["$ref", "anyOf", "oneOf", "allOf", "description", "default", "$schema", "$defs"];
    let own: Plain = object
        .iter()
        .filter(|(word, _)| !annotations.contains(&word.as_str()))
        .map(|(word, value)| (word.clone(), value.clone()))
        .collect();
    let mut all = vec![own];
    if let Some(target) = object.get("$ref").and_then(Value::as_str).and_then(|of| resolve(root, of)) {
        all = crossed(&all, &flattened(root, target, depth + 1));
    }
    for one in object.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        all = crossed(&all, &flattened(root, one, depth + 1));
    }
    for word in ["anyOf", "oneOf"] {
        if let Some(several) = object.get(word).and_then(Value::as_array) {
            let several: Vec<Plain> = several.iter().flat_map(|one| flattened(root, one, depth + 1)).collect();
            all = crossed(&all, &several);
        }
    }
    all
}

/// Each of these together with each of those.
fn crossed(these: &[Plain], those: &[Plain]) -> Vec<Plain> {
    these.iter().flat_map(|one| those.iter().map(|other| merged(one, other))).collect()
}

fn merged(one: &Plain, other: &Plain) -> Plain {
    let mut all = one.clone();
    for (word, value) in other {
        match (word.as_str(), all.get_mut(word), value) {
            ("properties", Some(Value::Object(properties)), Value::Object(more)) => properties.extend(more.clone()),
            ("required", Some(Value::Array(required)), Value::Array(more)) => required.extend(more.clone()),
            _ => drop(all.insert(word.clone(), value.clone())),
        }
    }
    all
}

fn shown_schema(root: &Value, schema: &Value) -> String {
    shown_all(&plains(root, schema))
}

fn shown_all(all: &[Plain]) -> String {
    let texts: Vec<String> = all.iter().map(shown).collect();
    if texts.is_empty() { "nothing".to_owned() } else { texts.join(" or ") }
}

/// A schema in a few words.
fn shown(of: &Plain) -> String {
    if let Some(value) = of.get("const") {
        return value.to_string();
    }
    if is_binary(of) {
        return "binary data".to_owned();
    }
    let Some(kind) = of.get("type").and_then(Value::as_str) else { return "anything".to_owned() };
    let mut text = match kind {
        "array" => match of.get("items") {
            Some(Value::Object(items)) => {
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
    ] {
        if let Some(value) = of.get(word) {
            text.push_str(&format!(" {words} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
        }
    }
    text
}
