//! Compares the schemas of payloads. In each direction, one of two schemas is narrow: whatever is valid by it has to be valid by the other, the wide one.
//!
//! Types may be in a circle, and may be parts of many others. So each pair of schemas is compared once, and while it is, it counts as equal.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt::Display,
    sync::LazyLock,
};

use serde_json::{Map, Value};

use super::{
    bounds::{self, is_multiple},
    plain::{Plain, is_anything, is_kin, kind, plains, shown, shown_all, shown_schema},
};

/// Which way a payload goes, seen from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    In,
    Out,
}

/// A difference within a payload.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// Where it is, below what is compared.
    at: String,
    pub(super) breaks: bool,
    was: String,
    is: String,
}

impl Change {
    fn new(at: &str, breaks: bool, was: impl Display, is: impl Display) -> Self {
        Self { at: at.to_owned(), breaks, was: was.to_string(), is: is.to_string() }
    }

    pub(super) fn told(&self, place: &str) -> String {
        let at = if self.at.is_empty() { "the arguments" } else { &self.at };
        format!("{place}, at {at}: was {}, is {}", self.was, self.is)
    }
}

type Changes = Vec<Change>;
/// Two schemas, as text.
type Pair = (String, String);

/// How many changes are told of a pair of schemas. A type that is in many places of another would have more than anybody reads.
const MOST: usize = 200;

/// The comparison of all payloads that go one way.
pub(super) struct Comparing<'a> {
    before: &'a Value,
    now: &'a Value,
    direction: Direction,
    known: HashMap<Pair, Changes>,
    /// The pairs that are being compared, each within the one before it.
    open: Vec<Pair>,
    /// The first of those that the present comparison has met again, and has taken for equal.
    assumed: usize,
    /// What is known only if such a pair is equal, with the pair's number.
    conditional: Vec<(usize, Pair)>,
}

impl<'a> Comparing<'a> {
    pub(super) fn new(before: &'a Value, now: &'a Value, direction: Direction) -> Self {
        let (known, open, conditional) = Default::default();
        Self { before, now, direction, known, open, assumed: usize::MAX, conditional }
    }

    /// Compares two arrays of arguments.
    pub(super) fn arguments(&mut self, old: &Value, new: &Value) -> Changes {
        let (olds, news) = (plains(self.before, old), plains(self.now, new));
        match (&olds[..], &news[..]) {
            ([old], [new]) if kind(old) == "array" && kind(new) == "array" => self.parameters(old, new),
            _ => self.alternatives(&olds, &news),
        }
    }

    /// Orders two by direction: the narrow one and the wide one.
    fn sides<T>(&self, old: T, new: T) -> (T, T) {
        match self.direction {
            Direction::In => (old, new),
            Direction::Out => (new, old),
        }
    }

    fn below(&mut self, changes: &mut Changes, path: &str, old: &Value, new: &Value) {
        let found = self.schemas(old, new);
        changes.extend(found.into_iter().map(|change| Change { at: format!("{path}{}", change.at), ..change }));
    }

    fn schemas(&mut self, old: &Value, new: &Value) -> Changes {
        let pair = (old.to_string(), new.to_string());
        if let Some(known) = self.known.get(&pair) {
            return known.clone();
        }
        if let Some(number) = self.open.iter().position(|open| *open == pair) {
            self.assumed = self.assumed.min(number);
            return Vec::new();
        }
        let number = self.open.len();
        self.open.push(pair);
        let assumed_before = std::mem::replace(&mut self.assumed, usize::MAX);
        let (olds, news) = (plains(self.before, old), plains(self.now, new));
        let mut changes = self.alternatives(&olds, &news);
        if changes.len() > MOST {
            changes.sort_by_key(|change| !change.breaks);
            changes.truncate(MOST);
        }
        let Some(pair) = self.open.pop() else { return changes };
        let assumed = std::mem::replace(&mut self.assumed, assumed_before);
        let is_sound = !changes.iter().any(|change| change.breaks);
        // What took this pair for equal was wrong, or depends now on what this pair depends on.
        let (of_this, others) = std::mem::take(&mut self.conditional).into_iter().partition(|(on, _)| *on >= number);
        self.conditional = others;
        let of_this: Vec<(usize, Pair)> = of_this;
        for (_, other) in of_this {
            if !is_sound {
                self.known.remove(&other);
            } else if assumed < number {
                self.conditional.push((assumed, other));
            }
        }
        if assumed < number {
            self.assumed = self.assumed.min(assumed);
            self.conditional.push((assumed, pair.clone()));
        }
        self.known.insert(pair, changes.clone());
        changes
    }

    /// Each alternative of the narrow side has to fit one of the wide side.
    fn alternatives(&mut self, olds: &[Plain], news: &[Plain]) -> Changes {
        let mut changes = Vec::new();
        let (narrow, wide) = self.sides(olds, news);
        let mut used = HashSet::new();
        for one in narrow {
            let mut best: Option<((usize, usize), usize, Changes)> = None;
            for (number, other) in wide.iter().enumerate().filter(|(_, other)| is_kin(one, other)) {
                let (old, new) = self.sides(one, other);
                let found = self.plain(old, new);
                let cost = (found.iter().filter(|change| change.breaks).count(), found.len());
                if best.as_ref().is_none_or(|(so_far, ..)| cost < *so_far) {
                    best = Some((cost, number, found));
                }
            }
            match best {
                Some((_, number, found)) => {
                    used.insert(number);
                    changes.extend(found);
                }
                None => changes.push(Change::new("", true, shown_all(olds), shown_all(news))),
            }
        }
        // What is wider without a narrow one of its kind.
        if used.len() < wide.len() && !changes.iter().any(|change| change.at.is_empty()) {
            changes.push(Change::new("", false, shown_all(olds), shown_all(news)));
        }
        changes.dedup_by(|one, other| {
            one.at.is_empty()
                && other.at.is_empty()
                && one.breaks == other.breaks
                && one.was == other.was
                && one.is == other.is
        });
        changes
    }

    fn plain(&mut self, old: &Plain, new: &Plain) -> Changes {
        let (narrow, wide) = self.sides(old, new);
        let differ = |breaks: bool| vec![Change::new("", breaks, shown(old), shown(new))];
        if is_anything(wide) {
            return if is_anything(narrow) { Vec::new() } else { differ(false) };
        }
        if let Some(value) = narrow.get("const") {
            return match wide.get("const") {
                Some(other) if other == value => Vec::new(),
                Some(_) => differ(true),
                None => differ(!bounds::has_room(wide, value)),
            };
        }
        let is_same = |word: &str| old.get(word) == new.get(word);
        // Whether something of the narrow one has no room, and whether they differ at all.
        let (mut breaks, mut differs) = (false, !is_same("type"));
        let mut add = |(breaks_too, differs_too)| {
            breaks |= breaks_too;
            differs |= differs_too;
        };
        let mut changes = Vec::new();
        match kind(narrow) {
            "string" => {
                add(bounds::counts(narrow, wide, ["minLength", "maxLength"]));
                for word in ["format", "pattern", "contentEncoding", "contentMediaType"] {
                    add((!is_same(word) && wide.contains_key(word), !is_same(word)));
                }
            }
            "number" | "integer" => {
                add(bounds::numbers(narrow, wide));
                let fits = match (narrow.get("multipleOf"), wide.get("multipleOf")) {
                    (_, None) => true,
                    (Some(one), Some(step)) => one == step || is_multiple(one, step),
                    (None, Some(step)) => *step == 1 && kind(narrow) == "integer",
                };
                add((!fits, !is_same("multipleOf")));
            }
            "array" => {
                changes = self.array(old, new);
                let unique = |of: &Plain| of.get("uniqueItems") == Some(&Value::Bool(true));
                add((unique(wide) && !unique(narrow), unique(wide) != unique(narrow)));
            }
            "object" => {
                changes = self.object(old, new);
                add(bounds::counts(narrow, wide, ["minProperties", "maxProperties"]));
            }
            _ => {}
        }
        if differs {
            changes.insert(0, Change::new("", breaks, shown(old), shown(new)));
        }
        changes
    }

    fn array(&mut self, old: &Plain, new: &Plain) -> Changes {
        let mut changes = Vec::new();
        let (olds, news) = (Items::of(old), Items::of(new));
        let (narrow, wide) = self.sides(&olds, &news);
        let breaks = narrow.least < wide.least || narrow.most > wide.most;
        if (olds.least, olds.most) != (news.least, news.most) {
            changes.push(Change::new("", breaks, shown(old), shown(new)));
        }
        let first = olds.first.len().max(news.first.len());
        let most = narrow.most;
        for number in (0..first).take_while(|number| *number < most) {
            self.below(&mut changes, &format!("[{number}]"), olds.item(number), news.item(number));
        }
        if first < most {
            self.below(&mut changes, "[]", &olds.rest, &news.rest);
        }
        changes
    }

    /// Arguments that a server does not ask for are ignored, and so are those that a listener does not take.
    fn parameters(&mut self, old: &Plain, new: &Plain) -> Changes {
        let mut changes = Vec::new();
        let (olds, news) = (Items::of(old), Items::of(new));
        // Of a list without an end, the documents tell no least number; nothing is known of the arguments, or all have one type.
        let (is_old_list, is_new_list) = (old.contains_key("minItems"), new.contains_key("minItems"));
        let count = |items: &Items, is_list: bool| match is_list {
            true if items.least == items.first.len() => format!("{} arguments", items.first.len()),
            true => format!("{} arguments, {} required", items.first.len(), items.least),
            false => "any number of arguments".to_owned(),
        };
        let sent = |items: &Items, is_list: bool| if is_list { items.first.len() } else { items.most };
        let breaks = match self.direction {
            Direction::In => news.least > olds.least || (!is_new_list && sent(&olds, is_old_list) > news.most),
            Direction::Out => olds.least > news.least,
        };
        let (was, is) = (count(&olds, is_old_list), count(&news, is_new_list));
        if breaks || was != is {
            changes.push(Change::new("", breaks, was, is));
        }
        let (narrow, wide) = self.sides((&olds, is_old_list), (&news, is_new_list));
        let all = match (narrow.1, wide.1) {
            (true, true) => narrow.0.first.len().min(wide.0.first.len()),
            (true, false) => narrow.0.first.len(),
            (false, true) => wide.0.first.len(),
            (false, false) => narrow.0.first.len().max(wide.0.first.len()),
        };
        for number in (0..all).take_while(|number| *number < narrow.0.most) {
            self.below(&mut changes, &format!("[{number}]"), olds.item(number), news.item(number));
        }
        if !is_old_list && !is_new_list && all < narrow.0.most {
            self.below(&mut changes, "[]", &olds.rest, &news.rest);
        }
        changes
    }

    fn object(&mut self, old: &Plain, new: &Plain) -> Changes {
        let mut changes = Vec::new();
        let (olds, news) = (Properties::of(old), Properties::of(new));
        let is_in = self.direction == Direction::In;
        let word = |is_required: bool| if is_required { "required" } else { "optional" };
        for (name, before) in olds.named {
            let at = format!(".{name}");
            let required = olds.required.contains(name.as_str());
            let was = format!("{} {}", word(required), shown_schema(self.before, before));
            let tell = |breaks: bool, is: &str| Change::new(&at, breaks, &was, is);
            match news.find(name) {
                Found::Named(now) => {
                    let is = news.required.contains(name.as_str());
                    if required != is {
                        // What is in may become optional, what is out required.
                        changes.push(Change::new(&at, is == is_in, word(required), word(is)));
                    }
                    self.below(&mut changes, &at, before, now);
                }
                Found::Other(now) => {
                    changes.push(tell(!is_in && required, "one of any name"));
                    self.below(&mut changes, &at, before, now);
                }
                Found::Refused => changes.push(tell(true, if is_in { "refused" } else { "not there" })),
                Found::Ignored => changes.push(tell(!is_in, if is_in { "ignored" } else { "not there" })),
            }
        }
        for (name, now) in news.named.iter().filter(|(name, _)| !olds.named.contains_key(*name)) {
            let at = format!(".{name}");
            let required = news.required.contains(name.as_str());
            let is = format!("{} {}", word(required), shown_schema(self.now, now));
            changes.push(Change::new(&at, is_in && required, "not there", is));
            if let Found::Other(before) = olds.find(name) {
                self.below(&mut changes, &at, before, now);
            }
        }
        self.patterns(&mut changes, &olds, &news);
        self.others(&mut changes, &olds, &news);
        changes
    }

    /// Properties whose names have a form, as those of maps whose keys are numbers.
    fn patterns(&mut self, changes: &mut Changes, olds: &Properties<'_>, news: &Properties<'_>) {
        let is_in = self.direction == Direction::In;
        for (pattern, before) in olds.patterns {
            let at = format!(".{{{pattern}}}");
            let was = shown_schema(self.before, before);
            match (news.patterns.get(pattern), &news.others) {
                (Some(now), _) => self.below(changes, &at, before, now),
                (None, Some(Value::Bool(false))) => changes.push(Change::new(&at, true, was, "refused")),
                (None, Some(now)) => self.below(changes, &at, before, now),
                (None, None) => changes.push(Change::new(&at, !is_in, was, "not there")),
            }
        }
        for (pattern, now) in news.patterns.iter().filter(|(pattern, _)| !olds.patterns.contains_key(*pattern)) {
            let at = format!(".{{{pattern}}}");
            match &olds.others {
                Some(before) if *before != Value::Bool(false) => self.below(changes, &at, before, now),
                _ => changes.push(Change::new(&at, false, "not there", shown_schema(self.now, now))),
            }
        }
    }

    /// Properties of any other name.
    fn others(&mut self, changes: &mut Changes, olds: &Properties<'_>, news: &Properties<'_>) {
        const REFUSED: Value = Value::Bool(false);
        let is_in = self.direction == Direction::In;
        let refuses = "an object that refuses further properties";
        let any = "an object with any further properties";
        match (&olds.others, &news.others) {
            (Some(REFUSED), Some(REFUSED)) | (None, None) => {}
            (Some(REFUSED), None) if is_in => changes.push(Change::new("", false, refuses, any)),
            (None, Some(REFUSED)) if is_in => changes.push(Change::new("", true, any, refuses)),
            (Some(REFUSED), None) | (None, Some(REFUSED)) => {}
            (Some(old), Some(REFUSED)) => {
                changes.push(Change::new(".*", is_in, shown_schema(self.before, old), "not there"));
            }
            (Some(old), None) => changes.push(Change::new(".*", false, shown_schema(self.before, old), "not there")),
            (Some(REFUSED) | None, Some(new)) => {
                // Who reads a map by the form of its keys meets others.
                let breaks = !is_in && !olds.patterns.is_empty();
                changes.push(Change::new(".*", breaks, "not there", shown_schema(self.now, new)));
            }
            (Some(old), Some(new)) => self.below(changes, ".*", old, new),
        }
    }
}

/// The items of an array: some at the beginning, each with a schema of its own, and the rest.
struct Items {
    first: Vec<Value>,
    rest: Value,
    least: usize,
    most: usize,
}

impl Items {
    fn of(of: &Plain) -> Self {
        let count = |word: &str| of.get(word).and_then(Value::as_u64).and_then(|count| usize::try_from(count).ok());
        let anything = || Value::Bool(true);
        let (first, rest) = match (of.get("prefixItems"), of.get("items")) {
            // As in draft 07.
            (None, Some(Value::Array(first))) => {
                (first.clone(), of.get("additionalItems").cloned().unwrap_or_else(anything))
            }
            (Some(Value::Array(first)), rest) => (first.clone(), rest.cloned().unwrap_or_else(anything)),
            (_, rest) => (Vec::new(), rest.cloned().unwrap_or_else(anything)),
        };
        let mut most = count("maxItems").unwrap_or(usize::MAX);
        if rest == Value::Bool(false) {
            most = most.min(first.len());
        }
        Self { first, rest, least: count("minItems").unwrap_or(0), most }
    }

    fn item(&self, number: usize) -> &Value {
        self.first.get(number).unwrap_or(&self.rest)
    }
}

/// What an object may have.
struct Properties<'a> {
    named: &'a Map<String, Value>,
    patterns: &'a Map<String, Value>,
    /// Of any other name. `None`: a server ignores them, and sends none.
    others: Option<Value>,
    required: BTreeSet<&'a str>,
}

/// What an object says of a property.
enum Found<'a> {
    Named(&'a Value),
    Other(&'a Value),
    Refused,
    Ignored,
}

impl<'a> Properties<'a> {
    fn of(of: &'a Plain) -> Self {
        static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        let all = |word: &str| of.get(word).and_then(Value::as_object).unwrap_or(&NONE);
        let (named, patterns) = (all("properties"), all("patternProperties"));
        // An object of which nothing is said may have anything.
        let is_bare = named.is_empty() && patterns.is_empty();
        let others = of.get("additionalProperties").cloned().or_else(|| is_bare.then_some(Value::Bool(true)));
        let required = of.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        Self { named, patterns, others, required: required.collect() }
    }

    fn find(&self, name: &str) -> Found<'_> {
        if let Some(named) = self.named.get(name) {
            return Found::Named(named);
        }
        let is_number = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
        for (pattern, schema) in self.patterns {
            // The forms of the keys that are numbers; no others are read here.
            let matches = match pattern.as_str() {
                r"^\d+$" => is_number(name),
                r"^-?\d+$" => is_number(name.strip_prefix('-').unwrap_or(name)),
                _ => false,
            };
            if matches {
                return Found::Other(schema);
            }
        }
        match &self.others {
            Some(Value::Bool(false)) => Found::Refused,
            Some(schema) => Found::Other(schema),
            None => Found::Ignored,
        }
    }
}
