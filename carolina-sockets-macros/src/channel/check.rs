//! The rules that a block of handlers keeps. A trespass against any of them is a compile error where it stands.

use std::collections::HashMap;

use syn::{GenericArgument, PathArguments, ReturnType, Type, spanned::Spanned};

use super::model::{Block, Handler, Receiver};
use crate::{errors::Errors, on::Target};

pub(super) fn block(block: &Block, errors: &mut Errors) {
    for handler in &block.handlers {
        receiver(handler, errors);
        arguments(handler, errors);
        output(handler, errors);
    }
    duplicates(block, errors);
}

fn receiver(handler: &Handler, errors: &mut Errors) {
    match (&handler.receiver, &handler.on.target) {
        (Receiver::Other(span, "&mut self"), _) => errors.here(
            *span,
            "a channel is shared by all its clients: take `&self`, and keep what changes in a `Mutex` or an atomic",
        ),
        (Receiver::Other(span, _), _) => errors.here(*span, "a handler takes its channel as `&self`, or not at all"),
        (Receiver::Shared, Target::Init) => {
            errors.here(handler.method.span(), "`#[on(init)]` builds the channel, so it takes no `&self`");
        }
        _ => {}
    }
}

/// Extractors that have nothing to read at this moment.
fn arguments(handler: &Handler, errors: &mut Errors) {
    for argument in &handler.arguments {
        let Some(name) = last_segment(argument) else { continue };
        let of_event = ["Data", "TryData", "Args", "Ack"].contains(&name.as_str());
        match &handler.on.target {
            Target::Authorize | Target::Connect if of_event => errors.at(
                argument,
                format!("there is no event yet, so no `{name}`; for what the client sent along take `handshake: Handshake` and read `handshake.auth::<T>()`"),
            ),
            Target::Disconnect if of_event => {
                errors.at(argument, format!("the client is gone: `{name}` has nothing left to read"));
            }
            Target::Disconnect | Target::Init => {}
            _ if name == "DisconnectReason" => {
                errors.at(argument, "`DisconnectReason` is known in `#[on(disconnect)]` alone");
            }
            _ => {}
        }
    }
}

fn output(handler: &Handler, errors: &mut Errors) {
    if let (Target::Init, ReturnType::Default) = (&handler.on.target, &handler.output) {
        errors.at(&handler.method, "`#[on(init)]` builds the channel: it returns `Self` or `Result<Self, E>`");
    }
}

/// One handler per event, one of each lifecycle word. Handlers under `#[cfg]` may exclude each other, so they are left
/// to the check at start-up.
fn duplicates(block: &Block, errors: &mut Errors) {
    let mut events = HashMap::new();
    let mut words = HashMap::new();
    for handler in block.handlers.iter().filter(|handler| handler.cfgs.is_empty()) {
        let word = match &handler.on.target {
            Target::Events(names) => {
                for name in names {
                    if let Some(other) =
                        events.insert(name.value(), &handler.method).filter(|other| **other != handler.method)
                    {
                        errors.at(
                            name,
                            format!("`{}` has a handler already, `{other}`; one event has one handler", name.value()),
                        );
                    }
                }
                continue;
            }
            Target::Any => "any",
            Target::Authorize => "authorize",
            Target::Connect => "connect",
            Target::Disconnect => "disconnect",
            Target::Init => "init",
        };
        if let Some(other) = words.insert(word, &handler.method) {
            errors.here(handler.on.span, format!("a channel has one `#[on({word})]`, and `{other}` is it"));
        }
    }
}

/// The name of a type, without its path and arguments.
fn last_segment(of: &Type) -> Option<String> {
    match of {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
        _ => None,
    }
}

/// The parts of `Result<T, E>` as it is written: `T`, and `E` where it stands there.
pub(super) fn result_parts(of: &Type) -> Option<(&Type, Option<&Type>)> {
    let Type::Path(path) = of else { return None };
    let last = path.path.segments.last().filter(|segment| segment.ident == "Result")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    let mut types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(of) => Some(of),
        _ => None,
    });
    Some((types.next()?, types.next()))
}

/// Whether a type is `()`, a bare `Result`, or one that is not spelled out.
pub(super) fn is_unchecked(of: &Type) -> bool {
    match of {
        Type::Tuple(tuple) => tuple.elems.is_empty(),
        Type::ImplTrait(_) | Type::Never(_) => true,
        Type::Path(path) => {
            path.path.segments.last().is_some_and(|last| last.ident == "Result" && last.arguments.is_none())
        }
        _ => false,
    }
}

/// Where a type stands.
pub(super) fn place(of: &Type) -> proc_macro2::Span {
    of.span()
}
