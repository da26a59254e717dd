//! What a row tells the contract when it is asked: the schemas of what a handler takes and answers, or of what a channel emits.

use std::{borrow::Cow, collections::BTreeSet};

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::Value;

use crate::error::code;

/// The schemas of all types: of those that are read and of those that are written, which serde may have differ.
#[derive(Debug)]
pub(crate) struct Schemas {
    pub(crate) read: SchemaGenerator,
    pub(crate) written: SchemaGenerator,
}

impl Schemas {
    pub(crate) fn new() -> Self {
        let settings = SchemaSettings::draft2020_12;
        let mut schemas = Self {
            read: settings().for_deserialize().into_generator(),
            written: settings().for_serialize().into_generator(),
        };
        // The first type of a name has it, so that `Bytes` is always the one that is sent as binary data.
        for generator in [&mut schemas.read, &mut schemas.written] {
            generator.subschema_for::<bytes::Bytes>();
        }
        schemas
    }
}

/// One argument of an event or an acknowledgement.
#[derive(Clone, Debug)]
pub(crate) struct Argument {
    pub(crate) schema: Value,
    /// The name of its type, if that has no schema.
    pub(crate) opaque: Option<String>,
}

/// The arguments of an event or an acknowledgement.
#[derive(Clone, Debug)]
pub(crate) enum Arguments {
    /// One after the other.
    List(Vec<Argument>),
    /// A type that stands for all of them.
    All(Argument),
}

impl Default for Arguments {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Arguments {
    fn push(&mut self, argument: Argument) {
        if let Self::List(list) = self {
            list.push(argument);
        }
    }

    fn repeat(&mut self, times: usize) {
        if let Self::List(list) = self
            && let Some(one) = list.pop()
        {
            list.extend(std::iter::repeat_n(one, times));
        }
    }
}

/// Collects what one row tells.
#[derive(Debug)]
pub struct Description<'a> {
    schemas: &'a mut Schemas,
    pub(crate) docs: &'static str,
    pub(crate) taken: Option<Arguments>,
    /// The type of the path's parameters.
    pub(crate) parameters: Option<Argument>,
    /// The type of what is shown of each client that is present.
    pub(crate) presence: Option<Argument>,
    pub(crate) sent: Arguments,
    /// The handler acknowledges by itself.
    pub(crate) answers_by_hand: bool,
    pub(crate) codes: BTreeSet<Cow<'static, str>>,
    /// Whether there may be other codes.
    pub(crate) has_other_codes: bool,
}

impl<'a> Description<'a> {
    pub(crate) fn new(schemas: &'a mut Schemas) -> Self {
        Self {
            schemas,
            docs: "",
            taken: None,
            parameters: None,
            presence: None,
            sent: Arguments::default(),
            answers_by_hand: false,
            codes: BTreeSet::new(),
            has_other_codes: false,
        }
    }

    /// The documentation.
    pub fn docs(&mut self, docs: &'static str) {
        self.docs = docs;
    }

    /// Adds a code of errors.
    pub fn code(&mut self, code: impl Into<Cow<'static, str>>) {
        self.codes.insert(code.into());
    }

    /// The handler returns a `Result`, whose error may have any code.
    pub fn may_fail(&mut self) {
        self.has_other_codes = true;
    }

    /// The handler needs a user.
    pub(crate) fn needs_user(&mut self) {
        self.code(code::UNAUTHENTICATED);
    }

    /// The handler answers through `Ack`.
    pub(crate) fn answers_by_hand(&mut self) {
        self.answers_by_hand = true;
    }

    /// The payload follows, one argument after the other. A second extractor of the payload reads the same arguments.
    pub fn begin_taken(&mut self) {
        self.code(code::INVALID_PAYLOAD);
        self.taken = Some(Arguments::default());
    }

    /// Repeats the last argument of the payload, so that it is there so many times.
    pub fn repeat_taken(&mut self, times: usize) {
        self.taken.get_or_insert_default().repeat(times);
    }

    /// What is sent follows, one argument after the other.
    pub fn begin_sent(&mut self) {
        self.sent = Arguments::default();
    }

    /// Repeats the last argument that is sent, so that it is there so many times.
    pub fn repeat_sent(&mut self, times: usize) {
        self.sent.repeat(times);
    }

    /// An argument that is sent and of which no type is known.
    pub fn opaque_sent(&mut self, name: &str) {
        self.sent.push(Argument { schema: Value::Bool(true), opaque: Some(name.to_owned()) });
    }

    pub(crate) fn add_taken(&mut self, argument: Argument) {
        self.taken.get_or_insert_default().push(argument);
    }

    pub(crate) fn add_sent(&mut self, argument: Argument) {
        self.sent.push(argument);
    }

    pub(crate) fn all_taken(&mut self, argument: Argument) {
        self.code(code::INVALID_PAYLOAD);
        self.taken = Some(Arguments::All(argument));
    }

    pub(crate) fn all_sent(&mut self, argument: Argument) {
        self.sent = Arguments::All(argument);
    }

    /// The path's parameters are read as this type.
    pub(crate) fn parameters(&mut self, argument: Argument) {
        self.parameters = Some(argument);
    }

    /// The handler keeps what is shown of each client that is present, of this type.
    pub(crate) fn presence(&mut self, argument: Argument) {
        self.presence = Some(argument);
    }

    /// The schema of a type that is read.
    pub(crate) fn read<T: JsonSchema>(&mut self) -> Argument {
        Argument { schema: self.schemas.read.subschema_for::<T>().into(), opaque: None }
    }

    /// The schema of a type that is written.
    pub(crate) fn written<T: JsonSchema>(&mut self) -> Argument {
        Argument { schema: self.schemas.written.subschema_for::<T>().into(), opaque: None }
    }
}

/// An argument of a type that has no schema.
pub(crate) fn opaque<T>() -> Argument {
    Argument { schema: Value::Bool(true), opaque: Some(std::any::type_name::<T>().to_owned()) }
}
