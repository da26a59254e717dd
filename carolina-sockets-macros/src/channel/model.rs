//! The attributes as typed values.

use std::time::Duration;

use proc_macro2::Span;
use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Attribute, ExprPath, FnArg, Ident, LitStr, ReceiverKind, ReturnType, Signature, Type, spanned::Spanned};

use crate::on::On;

/// A struct under `#[channel]`.
pub(super) struct Driver {
    pub(super) name: Ident,
    pub(super) path: Option<LitStr>,
    pub(super) private: bool,
    pub(super) presence: Option<Presence>,
    pub(super) resume: Option<Resume>,
    /// The functions that run before each event's handler.
    pub(super) guards: Vec<ExprPath>,
    /// What it declares that it sends.
    pub(super) emits: Vec<Emit>,
    /// Its documentation comments.
    pub(super) docs: String,
    /// `#[cfg]`s of the struct.
    pub(super) cfgs: Vec<Attribute>,
    /// Whether the struct gets a row: no error makes one impossible.
    pub(super) sound: bool,
}

/// An `#[emits]` on a struct.
pub(super) struct Emit {
    pub(super) event: LitStr,
    /// The type of what is sent.
    pub(super) of: Type,
    /// The conditions of the `#[cfg_attr]`s around it.
    pub(super) cfgs: Vec<Attribute>,
}

/// `presence` or `presence(linger = "15s")`.
#[derive(Default)]
pub(super) struct Presence {
    /// Replaces `presence.linger`.
    pub(super) linger: Option<Duration>,
}

/// `resume` or `resume(disconnect = "now")`.
#[derive(Default)]
pub(super) struct Resume {
    /// Whether `#[on(disconnect)]` runs at once.
    pub(super) disconnect_now: Option<bool>,
}

/// An impl block under `#[channel]`.
pub(super) struct Block {
    /// The type of the `impl`.
    pub(super) channel: Type,
    /// The driver's name.
    pub(super) driver: String,
    /// `#[cfg]`s of the block.
    pub(super) cfgs: Vec<Attribute>,
    pub(super) handlers: Vec<Handler>,
    /// Whether the block itself has no errors; each handler has a flag of its own.
    pub(super) sound: bool,
}

/// A method under `#[on]`.
pub(super) struct Handler {
    pub(super) attribute: Attribute,
    /// `None` if the attribute does not say what the handler is for.
    pub(super) on: Option<On>,
    /// `#[cfg]`s of the method, repeated on its row.
    pub(super) cfgs: Vec<Attribute>,
    /// Its documentation comments.
    pub(super) docs: String,
    /// The codes of the errors that it makes.
    pub(super) codes: Vec<TokenStream>,
    pub(super) signature: Signature,
    /// Whether it has no errors and gets a row.
    pub(super) sound: bool,
}

/// How a method takes its channel.
pub(super) enum Receiver {
    /// Not at all.
    None,
    /// `&self`.
    Shared,
    /// `&mut self`.
    Exclusive,
    /// `self`, or any other receiver.
    Other,
}

impl Handler {
    pub(super) fn receiver(&self) -> Receiver {
        let Some(receiver) = self.signature.receiver() else { return Receiver::None };
        match &receiver.kind {
            ReceiverKind::Reference(_, _, None) => Receiver::Shared,
            ReceiverKind::Reference(_, _, Some(_)) => Receiver::Exclusive,
            ReceiverKind::Typed(_, of) => match of.to_token_stream().to_string().as_str() {
                "& Self" | "&Self" => Receiver::Shared,
                "& mut Self" | "&mut Self" => Receiver::Exclusive,
                _ => Receiver::Other,
            },
            _ => Receiver::Other,
        }
    }

    /// The types of the arguments, without the channel.
    pub(super) fn arguments(&self) -> impl Iterator<Item = &Type> {
        self.signature.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(argument) => Some(&*argument.ty),
            FnArg::Receiver(_) => None,
        })
    }

    /// The return type, if one is written.
    pub(super) fn output(&self) -> Option<&Type> {
        match &self.signature.output {
            ReturnType::Default => None,
            ReturnType::Type(_, output) => Some(output),
        }
    }

    /// The span of the return type, or of the name if there is none.
    pub(super) fn output_place(&self) -> Span {
        self.output().map_or_else(|| self.signature.ident.span(), Spanned::span)
    }
}
