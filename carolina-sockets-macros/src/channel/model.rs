//! What the attributes say, in types.

use proc_macro2::Span;
use syn::{Attribute, Ident, LitStr, Path, ReturnType, Type};

use crate::on::On;

/// A struct under `#[channel]`.
pub(super) struct Driver {
    pub(super) name: Ident,
    pub(super) path: Option<LitStr>,
    pub(super) private: bool,
    /// `#[cfg]`s of the struct.
    pub(super) cfgs: Vec<Attribute>,
}

/// An impl block under `#[channel]`.
pub(super) struct Block {
    /// The type it is for.
    pub(super) channel: Type,
    /// The driver's name.
    pub(super) driver: String,
    /// `#[cfg]`s of the block.
    pub(super) cfgs: Vec<Attribute>,
    pub(super) handlers: Vec<Handler>,
}

/// A method under `#[on]`.
pub(super) struct Handler {
    /// The attribute's path as it was written, to count as used.
    pub(super) attribute: Path,
    pub(super) on: On,
    pub(super) method: Ident,
    /// `#[cfg]`s of the method, to be put on its row too.
    pub(super) cfgs: Vec<Attribute>,
    pub(super) receiver: Receiver,
    pub(super) is_async: bool,
    pub(super) arguments: Vec<Type>,
    pub(super) output: ReturnType,
    /// Where the return type stands, or the name where there is none.
    pub(super) output_span: Span,
}

/// How a method takes its channel.
pub(super) enum Receiver {
    None,
    Shared,
    /// `&mut self`, `self` and the like, with the place.
    Other(Span, &'static str),
}
