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
    second_payload(handler, errors);
    for argument in handler.arguments() {
        if has_impl(argument.to_token_stream()) {
            errors.at(argument, "a handler's argument cannot be `impl Trait`; write the type you mean");
        } else if let Type::Reference(reference) = strip_groups(argument) {
            errors.at(argument, format!("a handler owns its arguments; {}", instead_of_reference(&reference.elem)));
        } else if let Some(borrowed) = borrowed_payload(argument) {
            errors.at(borrowed, "a payload is read into a value of its own: write `String` instead of `&str`, `Vec<T>` instead of `&[T]`");
        } else if let (Some(name), Some(target)) = (library_name(argument), target(handler)) {
            lifecycle_argument(argument, &name, target, errors);
        }
    }
}

/// The extractors that read an event's first arguments.
const PAYLOADS: [&str; 2] = ["Data", "Valid"];

/// Rejects `a: Data<A>, b: Data<B>`, which would read the same argument twice.
fn second_payload(handler: &Handler, errors: &mut Errors) {
    let payloads = handler.arguments().filter_map(|argument| {
        let name = library_name(argument).filter(|name| PAYLOADS.contains(&name.as_str()))?;
        Some((argument, name))
    });
    for (argument, name) in payloads.skip(1) {
        let message = format!(
            "this reads the event's first argument once more; to read several arguments write `{name}((a, b)): {name}<(A, B)>`"
        );
        errors.at(argument, message);
    }
}

/// What to write instead of a reference to this type.
fn instead_of_reference(to: &Type) -> String {
    match library_name(to) {
        Some(name) if name == "str" => "for text that the client sends take `Data(text): Data<String>`".to_owned(),
        Some(name) if EXTRACTORS.contains(&name.as_str()) => format!("take the extractor by value, as `{name}`"),
        _ => "take extractors by value, as `socket: Socket`, and what the client sends as `Data<T>`".to_owned(),
    }
}

/// The library's extractors.
const EXTRACTORS: [&str; 16] = [
    "Socket",
    "Data",
    "Valid",
    "TryData",
    "Args",
    "Ack",
    "Event",
    "Sockets",
    "State",
    "Session",
    "User",
    "SocketData",
    "Handshake",
    "Path",
    "DisconnectReason",
    "Keys",
];

/// How many parameters a `Path<T>` takes, where that is seen: of a tuple, or of one of the types that are one value.
pub(super) fn path_parameters(argument: &Type) -> Option<usize> {
    const ONE: [&str; 16] = [
        "bool", "char", "String", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128",
        "isize", "Uuid",
    ];
    if library_name(argument)? != "Path" {
        return None;
    }
    let Type::Path(path) = strip_groups(argument) else { return None };
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else { return None };
    let Some(GenericArgument::Type(of)) = arguments.args.first() else { return None };
    match strip_groups(of) {
        Type::Tuple(tuple) => Some(tuple.elems.len()).filter(|count| *count > 0),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            (last.arguments.is_empty() && ONE.iter().any(|one| last.ident == one)).then_some(1)
        }
        _ => None,
    }
}

/// A reference in what `Data<T>` and its like are to read.
fn borrowed_payload(argument: &Type) -> Option<&Type> {
    let name = library_name(argument)?;
    let Type::Path(path) = strip_groups(argument) else { return None };
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else { return None };
    let is_payload = PAYLOADS.contains(&name.as_str()) || ["TryData", "Args"].contains(&name.as_str());
    let mut types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(of) => Some(strip_groups(of)),
        _ => None,
    });
    let of = types.next().filter(|_| is_payload)?;
    let parts: Vec<&Type> = match of {
        Type::Tuple(tuple) => tuple.elems.iter().map(strip_groups).collect(),
        one => vec![one],
    };
    parts.into_iter().find(|part| matches!(part, Type::Reference(_)))
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
        Target::Presence if EXTRACTORS.contains(&name) && !["Keys", "State", "Sockets"].contains(&name) => errors.at(
            argument,
            format!("`#[on(presence)]` runs once for many keys, so there is no client and no `{name}`; it takes `keys: Keys`, `State<T>` and `Sockets`"),
        ),
        Target::Presence => {}
        _ if name == "Keys" => errors.at(argument, "`Keys` are known in `#[on(presence)]` alone"),
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
        (Some(Target::Presence), None) => errors.at(
            &handler.signature.ident,
            "`#[on(presence)]` returns what it adds to each key: `HashMap<String, T>` or `Result<HashMap<String, T>, E>`",
        ),
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
            Some(Target::Presence) => Some("presence"),
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
pub(super) fn library_name(of: &Type) -> Option<String> {
    let Type::Path(path) = strip_groups(of) else { return None };
    let segments = &path.path.segments;
    let ours = segments.len() == 1 || segments.first().is_some_and(|first| first.ident == "carolina_sockets");
    segments.last().filter(|_| ours).map(|last| last.ident.to_string())
}

pub(super) fn has_impl(tokens: TokenStream) -> bool {
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
