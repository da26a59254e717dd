//! The contract: what the mounted channels take, answer and emit, as TypeScript, AsyncAPI and JSON Schema (rules R21 and R22).
//!
//! [`Contract::of`] asks the rows of a plan and sorts what they tell, so that equal sources give equal bytes, whatever order the linker has. The
//! documents are written from that; `check` compares two of them.

mod asyncapi;
mod check;
mod json_schema;
mod page;
mod presence;
mod schema;
mod surface;
#[cfg(test)]
mod tests;
mod typescript;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::{
    config::Config,
    error::code,
    plan::{MountPlan, Plan},
    registry::{
        Argument, Arguments, Description, Schemas,
        row::{HandlerRow, On},
    },
};

pub(crate) use check::{Comparison, compare};
pub(crate) use page::page;

/// What the channels of a service take, answer and emit.
#[derive(Debug)]
pub(crate) struct Contract {
    channels: Vec<Channel>,
    /// The types, by their names.
    types: BTreeMap<String, Value>,
    /// What there is to say to whoever writes the documents: types without a schema, numbers that JavaScript cannot hold.
    notes: BTreeSet<String>,
    server: Server,
}

/// Where and how clients connect.
#[derive(Debug)]
struct Server {
    host: String,
    path: String,
    cookie: String,
}

#[derive(Debug)]
struct Channel {
    path: String,
    /// The path as an identifier.
    name: String,
    docs: String,
    private: bool,
    /// The types of the path's parameters, as far as they are known.
    parameters: BTreeMap<String, &'static str>,
    /// By event.
    takes: BTreeMap<String, Taken>,
    /// Of events that nothing else names: `#[on(any)]`.
    takes_any: Option<Taken>,
    /// By event.
    emits: BTreeMap<String, Tuple>,
    /// Whether the channel declares what it emits; else it may emit anything besides.
    declares_emits: bool,
}

/// An event that a channel takes.
#[derive(Clone, Debug)]
struct Taken {
    docs: String,
    arguments: Tuple,
    answer: Tuple,
    codes: Vec<String>,
    has_other_codes: bool,
}

/// The arguments of an event or an acknowledgement.
#[derive(Clone, Debug)]
enum Tuple {
    /// One after the other; the first `required` have to be there.
    List { items: Vec<Value>, required: usize },
    /// Any number of them, by the schema of their array.
    All(Value),
    /// Nothing is known of them.
    Unknown,
}

/// The codes that any event may be answered with.
const CODES: [&str; 5] = [code::RATE_LIMITED, code::OVERLOADED, code::SHUTTING_DOWN, code::TIMEOUT, code::INTERNAL];

impl Contract {
    /// The contract of what is planned to be mounted.
    pub(crate) fn of(plan: &Plan, config: &Config) -> Self {
        let mut gathering = Gathering { schemas: Schemas::new(), notes: BTreeSet::new() };
        let mut channels: Vec<Channel> = plan.mounts.iter().map(|mount| gathering.channel(mount)).collect();
        schema::name_channels(&mut channels);
        let Gathering { mut schemas, mut notes } = gathering;
        let types = schema::settle(&mut schemas, &mut channels, &mut notes);
        let host = config.hosts.first().cloned().unwrap_or_else(|| Config::default().bind);
        let server = Server { host, path: config.transport.path.clone(), cookie: config.session.cookie.clone() };
        Self { channels, types, notes, server }
    }

    /// What whoever writes the documents should know, a line each.
    pub(crate) fn notes(&self) -> impl Iterator<Item = &str> {
        self.notes.iter().map(String::as_str)
    }

    /// As one JSON Schema, draft 2020-12.
    pub(crate) fn json_schema(&self) -> String {
        written(&json_schema::document(self))
    }

    /// As AsyncAPI 3.
    pub(crate) fn asyncapi(&self) -> String {
        written(&asyncapi::document(self))
    }

    /// As a file of types for TypeScript.
    pub(crate) fn typescript(&self) -> String {
        typescript::document(self)
    }
}

fn written(document: &impl Serialize) -> String {
    // Not by `Display` of a value, which checks every piece of the text again.
    let text = serde_json::to_string_pretty(document).expect("values with keys of text are JSON");
    text + "\n"
}

/// A map whose entries are made while it is written, one after the other, so that a large document is never there as a whole.
struct Entries<F>(F);

impl<F, I, K, V> Serialize for Entries<F>
where
    F: Fn() -> I,
    I: Iterator<Item = (K, V)>,
    K: Serialize,
    V: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map((self.0)())
    }
}

/// The names of a path's parameters: of segments that are written as `{name}`.
fn parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(parameter)
}

/// The name of the parameter that a segment is.
fn parameter(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// What has been asked so far.
struct Gathering {
    schemas: Schemas,
    notes: BTreeSet<String>,
}

impl Gathering {
    fn channel(&mut self, mount: &MountPlan) -> Channel {
        let mut channel = Channel {
            path: mount.path.clone(),
            name: String::new(),
            docs: mount.row.docs.to_owned(),
            private: mount.private,
            parameters: BTreeMap::new(),
            takes: BTreeMap::new(),
            takes_any: None,
            emits: BTreeMap::new(),
            declares_emits: !mount.row.emits.is_empty(),
        };
        let names: Vec<&str> = parameters(&mount.path).collect();
        for row in &mount.handlers {
            if !names.is_empty() && channel.parameters.is_empty() {
                channel.parameters = self.parameters(&names, row);
            }
            match row.on {
                On::Events(names) => {
                    for name in names {
                        channel.takes.insert((*name).to_owned(), self.taken(mount, row, &format!("`{name}`")));
                    }
                }
                On::Any => channel.takes_any = Some(self.taken(mount, row, "any other event")),
                On::Authorize | On::Connect | On::Disconnect | On::Presence | On::Init => {}
            }
        }
        for row in mount.row.emits {
            let mut description = Description::new(&mut self.schemas);
            (row.describe)(&mut description);
            let sent = description.sent;
            let what = format!("`{}`: `{}` is emitted with", mount.path, row.event);
            let tuple = self.tuple(&what, sent, false);
            channel.emits.insert(row.event.to_owned(), tuple);
        }
        if mount.row.presence.is_some() {
            let shown = mount.handlers.iter().find_map(|row| self.presence(row));
            for (event, tuple) in presence::emits(shown.map(|shown| shown.schema)) {
                channel.emits.entry(event).or_insert(tuple);
            }
        }
        channel
    }

    /// The types of a path's parameters, if this handler reads them.
    fn parameters(&mut self, names: &[&str], row: &HandlerRow) -> BTreeMap<String, &'static str> {
        let mut description = Description::new(&mut self.schemas);
        (row.describe)(&mut description);
        let Some(read) = description.parameters else { return BTreeMap::new() };
        schema::parameter_types(names, &read.schema, self.schemas.read.definitions())
    }

    /// The type of what is shown of each client that is present, if this handler keeps it.
    fn presence(&mut self, row: &HandlerRow) -> Option<Argument> {
        let mut description = Description::new(&mut self.schemas);
        (row.describe)(&mut description);
        description.presence
    }

    fn taken(&mut self, mount: &MountPlan, row: &HandlerRow, event: &str) -> Taken {
        let mut description = Description::new(&mut self.schemas);
        (row.describe)(&mut description);
        let Description { docs, taken, sent, answers_by_hand, codes, has_other_codes, .. } = description;
        let guarded = !(mount.row.guards.is_empty() && row.guards.is_empty());
        let mut all: BTreeSet<Cow<'static, str>> = CODES.into_iter().map(Cow::Borrowed).chain(codes).collect();
        if mount.private {
            all.extend([code::UNAUTHENTICATED, code::FORBIDDEN].map(Cow::Borrowed));
        }
        let place = |what: &str| format!("`{}`: {event} {what}", mount.path);
        let arguments = self.tuple(&place("is taken with"), taken.unwrap_or_default(), true);
        let answer = if answers_by_hand {
            self.notes.insert(format!(
                "{} by its `Ack`: the answer is `unknown` ({})",
                place("is answered"),
                row.location
            ));
            Tuple::Unknown
        } else {
            self.tuple(&place("is answered with"), sent, false)
        };
        Taken {
            docs: docs.to_owned(),
            arguments,
            answer,
            codes: all.into_iter().map(Cow::into_owned).collect(),
            has_other_codes: has_other_codes || guarded,
        }
    }

    /// `what` begins the note on a type without a schema.
    fn tuple(&mut self, what: &str, arguments: Arguments, is_read: bool) -> Tuple {
        let list = match &arguments {
            Arguments::List(list) => list.iter().collect(),
            Arguments::All(one) => vec![one],
        };
        for name in list.iter().filter_map(|argument| argument.opaque.as_deref()) {
            self.notes.insert(format!(
                "{what} `{name}`, which has no schema and is `unknown`: derive `schemars::JsonSchema` for it"
            ));
        }
        let generator = if is_read { &self.schemas.read } else { &self.schemas.written };
        match arguments {
            Arguments::All(Argument { schema, .. }) => Tuple::All(schema),
            Arguments::List(list) => {
                let items: Vec<Value> = list.into_iter().map(|argument| argument.schema).collect();
                let items = match &items[..] {
                    // A tuple behind a name of its own.
                    [one] => schema::parts(one, generator.definitions()).unwrap_or(items),
                    _ => items,
                };
                let null = |item: &Value| schema::allows_null(item, generator.definitions());
                let required = match is_read {
                    // A missing argument reads as `null`.
                    true => items.iter().rposition(|item| !null(item)).map_or(0, |last| last + 1),
                    false => items.len(),
                };
                Tuple::List { items, required }
            }
        }
    }
}
