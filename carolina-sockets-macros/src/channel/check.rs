//! The rules for a block of handlers. Each violation is a compile error at the offending token.

use std::collections::HashMap;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{FnArg, GenericArgument, GenericParam, PathArguments, Type};

use super::model::{Block, Handler, Receiver};
use crate::{errors::Errors, on::Target};

/// Checks every handler. One that breaks a rule is marked as not sound.
pub(super) fn block(block: &mut Block, errors: &mut Errors) {
    for handler in &mut block.handlers {
        let before = errors.count();
        receiver(handler, errors);
        signature(handler, errors);
        arguments(handler, errors);
        output(handler, errors);
        handler.sound &= errors.count() == before;
    }
    duplicates(&mut block.handlers, errors);
}

fn receiver(handler: &Handler, errors: &mut Errors) {
    let place = handler.signature.receiver();
    match handler.receiver() {
        Receiver::Exclusive => errors.at(
            place,
            "a channel is shared by all its clients: take `&self`, and keep what changes in a `Mutex` or an atomic",
        ),
        Receiver::Other => {
            errors.at(place, "a channel is shared by all its clients, so a handler takes it as `&self`, or not at all")
        }
        Receiver::Shared if matches!(target(handler), Some(Target::Init)) => {
            errors.at(place, "`#[on(init)]` builds the channel, so it takes no `&self`");
        }
        Receiver::Shared | Receiver::None => {}
    }
}

/// Rejects function qualifiers and parameters that no handler may have.
fn signature(handler: &Handler, errors: &mut Errors) {
    let signature = &handler.signature;
    if let syn::Safety::Unsafe(token) = &signature.safety {
        errors.at(token, "a handler cannot be `unsafe`: whatever a client sends ends up in it");
    }
    if let Some(token) = &signature.abi {
        errors.at(token, "a handler is an ordinary function; leave `extern` out");
    }
    for parameter in &signature.generics.params {
        if !matches!(parameter, GenericParam::Lifetime(_)) {
            errors.at(parameter, "a handler cannot be generic: its type would be unknown; write the one you mean");
        }
    }
    for input in &signature.inputs {
        let FnArg::Typed(argument) = input else { continue };
        for attribute in argument.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg")) {
            errors.at(attribute, "a handler's argument cannot be conditional; put `#[cfg]` on the method");
        }
    }
}

/// Rejects argument types that cannot be extractors, and extractors that have nothing to read in this kind of handler.
fn arguments(handler: &Handler, errors: &mut Errors) {
    for argument in handler.arguments() {
        if has_impl(argument.to_token_stream()) {
            errors.at(argument, "a handler's argument cannot be `impl Trait`; write the type you mean");
        } else if let Type::Reference(_) = strip_groups(argument) {
            errors.at(argument, "a handler owns its arguments; take the extractor by value, as `socket: Socket`");
        } else if let (Some(name), Some(target)) = (library_name(argument), target(handler)) {
            lifecycle_argument(argument, &name, target, errors);
        }
    }
}

fn lifecycle_argument(argument: &Type, name: &str, target: &Target, errors: &mut Errors) {
    let of_event = ["Data", "Valid", "TryData", "Args", "Ack", "Event"].contains(&name);
    match target {
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

fn output(handler: &Handler, errors: &mut Errors) {
    match (target(handler), handler.output()) {
        (Some(Target::Init), None) => errors
            .at(&handler.signature.ident, "`#[on(init)]` builds the channel: it returns `Self` or `Result<Self, E>`"),
        (_, Some(never @ Type::Never(_))) => errors.at(
            never,
            "a handler ends, and its end is the client's answer; for work that goes on, `tokio::spawn` it and return",
        ),
        _ => {}
    }
}

/// One handler per event and per lifecycle word. Handlers under `#[cfg]` may exclude each other, so they are checked at
/// start-up instead.
fn duplicates(handlers: &mut [Handler], errors: &mut Errors) {
    let mut events = HashMap::new();
    let mut words = HashMap::new();
    for handler in handlers.iter_mut().filter(|handler| handler.cfgs.is_empty()) {
        let before = errors.count();
        let method = handler.signature.ident.to_string();
        let word = match handler.on.as_ref().map(|on| &on.target) {
            None => continue,
            Some(Target::Events(names)) => {
                for name in names {
                    let event = name.value();
                    match events.get(&event) {
                        Some(other) => errors
                            .at(name, format!("`{event}` has a handler already, `{other}`; one event has one handler")),
                        None => drop(events.insert(event, method.clone())),
                    }
                }
                None
            }
            Some(Target::Any) => Some("any"),
            Some(Target::Authorize) => Some("authorize"),
            Some(Target::Connect) => Some("connect"),
            Some(Target::Disconnect) => Some("disconnect"),
            Some(Target::Init) => Some("init"),
        };
        if let Some(word) = word {
            match words.get(word) {
                Some(other) => {
                    errors.at(&handler.attribute, format!("a channel has one `#[on({word})]`, and `{other}` is it"));
                }
                None => drop(words.insert(word, method)),
            }
        }
        handler.sound &= errors.count() == before;
    }
}

fn target(handler: &Handler) -> Option<&Target> {
    handler.on.as_ref().map(|on| &on.target)
}

/// A type without the invisible groups that `macro_rules` puts around it, and without parentheses.
pub(super) fn strip_groups(of: &Type) -> &Type {
    match of {
        Type::Group(group) => strip_groups(&group.elem),
        Type::Paren(paren) => strip_groups(&paren.elem),
        other => other,
    }
}

/// The name of a type that looks like one of the library's: a bare name, or a path that begins with the library's name.
fn library_name(of: &Type) -> Option<String> {
    let Type::Path(path) = strip_groups(of) else { return None };
    let segments = &path.path.segments;
    let ours = segments.len() == 1 || segments.first().is_some_and(|first| first.ident == "carolina_sockets");
    segments.last().filter(|_| ours).map(|last| last.ident.to_string())
}

fn has_impl(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(word) => word == "impl",
        TokenTree::Group(group) => has_impl(group.stream()),
        _ => false,
    })
}

/// `T` and `E` of a `Result<T, E>` written with both.
pub(super) fn result_parts(of: &Type) -> Option<(&Type, &Type)> {
    let Type::Path(path) = strip_groups(of) else { return None };
    let last = path.path.segments.last().filter(|segment| segment.ident == "Result")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    let mut types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(of) => Some(of),
        _ => None,
    });
    Some((types.next()?, types.next()?))
}
