//! The arguments of `#[on(…)]`.

mod value;

#[cfg(test)]
mod tests;

use std::time::Duration;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{
    Attribute, Expr, ExprLit, ExprPath, Ident, Lit, LitStr, Meta, Token,
    parse::{ParseStream, Parser},
};

pub(crate) use value::duration;

use crate::{errors::Errors, event_name::RESERVED, guard, suggest::did_you_mean};

/// What a handler is for, as written in the attribute.
#[derive(Debug)]
pub(crate) enum Target {
    Events(Vec<LitStr>),
    Any,
    Authorize,
    Connect,
    Disconnect,
    Presence,
    Init,
}

/// The parsed arguments of `#[on(…)]`.
#[derive(Debug)]
pub(crate) struct On {
    pub(crate) target: Target,
    pub(crate) concurrent: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) rate: Option<(u32, Duration)>,
    /// The functions that run before the handler.
    pub(crate) guards: Vec<ExprPath>,
}

const WORDS: [&str; 6] = ["any", "authorize", "connect", "disconnect", "presence", "init"];
const OPTIONS: [&str; 4] = ["concurrent", "timeout", "rate", "guard"];

/// The argument with which `#[channel]` emits `#[on]`, only to make its import count as used.
pub(crate) const USED: &str = "__carolina_used";

/// `#[on]` outside a `#[channel]` block.
pub(crate) fn outside_channel(arguments: TokenStream, item: TokenStream) -> TokenStream {
    if arguments.to_string() == USED {
        return TokenStream::new();
    }
    let error = "`#[on]` works inside an impl block under `#[channel]`; write `#[channel]` above the `impl`";
    let error = if arguments.is_empty() {
        syn::Error::new(proc_macro2::Span::call_site(), error)
    } else {
        syn::Error::new_spanned(arguments, error)
    };
    let error = error.to_compile_error();
    quote!(#item #error)
}

/// What has been parsed so far.
#[derive(Default)]
struct Found {
    events: Vec<LitStr>,
    word: Option<(Ident, Target)>,
    concurrent: Option<Ident>,
    timeout: Option<(Ident, Option<Duration>)>,
    rate: Option<(Ident, Option<(u32, Duration)>)>,
    guards: Vec<ExprPath>,
    /// The target was given but is invalid, so it is not reported as missing.
    target_invalid: bool,
}

/// Parses an `#[on(…)]`. All errors go to `errors`; the valid parts are returned, so that the handler's other mistakes
/// can be reported too. `None` if it does not say what the handler is for.
pub(crate) fn parse(attribute: &Attribute, meta: &Meta, errors: &mut Errors) -> Option<On> {
    let arguments = match meta {
        Meta::Path(_) => TokenStream::new(),
        Meta::List(list) => list.tokens.clone(),
        Meta::NameValue(value) => {
            let value = value.value.to_token_stream();
            errors.at(&value, format!("the event has to be in parentheses: `#[on({value})]`"));
            return None;
        }
    };
    let mut found = Found::default();
    let parser = |input: ParseStream<'_>| parse_items(input, &mut found, errors);
    if let Err(error) = parser.parse2(arguments) {
        errors.push(error);
        found.target_invalid = true;
    }
    assemble(found, attribute, errors)
}

fn parse_items(input: ParseStream<'_>, found: &mut Found, errors: &mut Errors) -> syn::Result<()> {
    while !input.is_empty() {
        if input.peek(Lit) {
            match input.parse()? {
                Lit::Str(event) => take_event(event, found, errors),
                other => {
                    found.target_invalid = true;
                    errors.at(other, "an event's name is a string: `#[on(\"name\")]`");
                }
            }
        } else {
            let word: Ident = syn::ext::IdentExt::parse_any(input)?;
            match input.parse::<Option<Token![=]>>()? {
                Some(_) if word == "guard" => guard::parse(&word, input, &mut found.guards, errors)?,
                Some(_) => {
                    let empty = input.is_empty() || input.peek(Token![,]);
                    let value = if empty { None } else { Some(input.parse()?) };
                    take_option(word, value.as_ref(), found, errors);
                }
                None => take_word(word, found, errors),
            }
        }
        if input.is_empty() {
            break;
        }
        input.parse::<Token![,]>()?;
    }
    Ok(())
}

fn take_event(event: LitStr, found: &mut Found, errors: &mut Errors) {
    let name = event.value();
    if let Some(mistake) = invalid_name(&name) {
        errors.at(&event, mistake);
    } else if found.events.iter().any(|other| other.value() == name) {
        return errors.at(&event, format!("the event `{name}` is named twice here; once is enough"));
    }
    found.events.push(event);
}

/// Why this name cannot be an event's; `None` if it can.
fn invalid_name(name: &str) -> Option<String> {
    if let Some(mistake) = unreadable_name(name) {
        return Some(mistake);
    }
    Some(match name {
        "session_id" => {
            "`session_id` is the library's own event, by which a client presents its session; choose another name"
                .to_owned()
        }
        "exception" => {
            "`exception` is the library's own event, which reports a failure to a client; choose another name"
                .to_owned()
        }
        name if RESERVED.contains(&name) && WORDS.contains(&name) => format!(
            "Socket.IO reserves the name `{name}`; for that lifecycle handler write `#[on({name})]`, without quotes"
        ),
        name if RESERVED.contains(&name) => format!("Socket.IO reserves the name `{name}`; choose another"),
        "connection" => {
            "no client sends `connection`; for the handler that runs when a client has joined write `#[on(connect)]`, without quotes"
                .to_owned()
        }
        _ => return None,
    })
}

/// Why nobody could send an event of this name; `None` if one can.
pub(crate) fn unreadable_name(name: &str) -> Option<String> {
    let bad = name.chars().find(|character| character.is_control() || matches!(character, '"' | '\\'));
    if let Some(bad) = bad {
        let bad = if bad.is_control() { bad.escape_debug().to_string() } else { bad.to_string() };
        return Some(format!(
            "an event's name has no `{bad}` in it: JSON has to escape it, and the engine does not read that"
        ));
    }
    name.is_empty().then(|| "an event needs a name".to_owned())
}

fn take_word(word: Ident, found: &mut Found, errors: &mut Errors) {
    let target = match word.to_string().as_str() {
        "any" => Target::Any,
        "authorize" => Target::Authorize,
        "connect" => Target::Connect,
        "disconnect" => Target::Disconnect,
        "presence" => Target::Presence,
        "init" => Target::Init,
        "concurrent" => {
            if found.concurrent.is_some() {
                errors.duplicate(&word);
            }
            found.concurrent = Some(word);
            return;
        }
        "guard" => return guard::needs_value(&word, errors),
        option if OPTIONS.contains(&option) => {
            return needs_value(&word, errors);
        }
        unknown => {
            found.target_invalid = true;
            let known: Vec<&str> = WORDS.into_iter().chain(OPTIONS).collect();
            let near = did_you_mean(unknown, known.iter().copied());
            let message = if near.is_empty() {
                format!(
                    "an event's name has to be in quotes: `#[on(\"{unknown}\")]`; without quotes there are {}",
                    list(&known)
                )
            } else {
                format!("unknown word `{unknown}`{near} An event's name has to be in quotes: `#[on(\"{unknown}\")]`")
            };
            return errors.at(&word, message);
        }
    };
    match &found.word {
        Some((first, _)) if *first == word => errors.duplicate(&word),
        Some((first, _)) => {
            errors.at(&word, format!("this handler is for `{first}` already; give `{word}` a method of its own"));
        }
        None => found.word = Some((word, target)),
    }
}

fn take_option(name: Ident, value: Option<&Expr>, found: &mut Found, errors: &mut Errors) {
    let option = name.to_string();
    match option.as_str() {
        "timeout" => {
            if found.timeout.is_some() {
                errors.duplicate(&name);
            }
            let timeout = read(&name, value, value::duration, errors);
            found.timeout = Some((name, timeout));
        }
        "rate" => {
            if found.rate.is_some() {
                errors.duplicate(&name);
            }
            let rate = read(&name, value, value::rate, errors);
            found.rate = Some((name, rate));
        }
        word if WORDS.contains(&word) || OPTIONS.contains(&word) => {
            found.target_invalid = true;
            errors.at(&name, format!("`{word}` takes no value"));
        }
        _ => errors.unknown(
            &name,
            &["timeout", "rate", "guard"],
            "there are `timeout = \"5s\"`, `rate = \"20/s\"`, `guard = path::to::function` and `concurrent`",
        ),
    }
}

/// Parses the value of an option, which is a string.
fn read<T>(
    option: &Ident,
    value: Option<&Expr>,
    parse: fn(&str) -> Result<T, String>,
    errors: &mut Errors,
) -> Option<T> {
    let (first, second) = examples(option);
    match value {
        None => needs_value(option, errors),
        Some(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => match parse(&text.value()) {
            Ok(value) => return Some(value),
            Err(reason) => {
                errors.at(text, format!("{reason}; write for example `{option} = \"{first}\"` or `\"{second}\"`"));
            }
        },
        Some(other) => {
            errors.at(other, format!("the value of `{option}` is a string: `{option} = \"{first}\"`"));
        }
    }
    None
}

fn needs_value(option: &Ident, errors: &mut Errors) {
    errors.at(option, format!("`{option}` needs a value: `{option} = \"{}\"`", examples(option).0));
}

fn examples(option: &Ident) -> (&'static str, &'static str) {
    if option == "rate" { ("20/s", "5/500ms") } else { ("5s", "500ms") }
}

fn assemble(mut found: Found, attribute: &Attribute, errors: &mut Errors) -> Option<On> {
    let target = match (found.word.take(), found.events.is_empty()) {
        (Some((word, target)), alone) => {
            if !alone {
                errors.at(&word, format!("`{word}` and events cannot share a handler; give each a method of its own"));
            }
            check_options(&word, &target, &found, errors);
            target
        }
        (None, false) => Target::Events(found.events),
        (None, true) => {
            if !found.target_invalid {
                let words = list(&WORDS);
                errors.at(attribute, format!("`#[on(…)]` needs an event's name in quotes, or one of {words}"));
            }
            return None;
        }
    };
    Some(On {
        target,
        concurrent: found.concurrent.is_some(),
        timeout: found.timeout.and_then(|(_, timeout)| timeout),
        rate: found.rate.and_then(|(_, rate)| rate),
        guards: found.guards,
    })
}

/// Rejects options that do not apply to a lifecycle word.
fn check_options(word: &Ident, target: &Target, found: &Found, errors: &mut Errors) {
    if matches!(target, Target::Any) {
        return;
    }
    if let (Target::Presence, Some(option)) = (target, &found.concurrent) {
        errors.at(option, "`concurrent` is for events; `presence` runs beside all sockets");
    } else if let Some(option) = &found.concurrent {
        errors.at(option, format!("`concurrent` is for events; `{word}` has its fixed place in the socket's order"));
    }
    if let (Target::Presence, Some((option, _))) = (target, &found.rate) {
        errors.at(option, "`rate` is for events; `presence` runs at most once per `presence.batch`");
    } else if let Some((option, _)) = &found.rate {
        errors.at(option, format!("`rate` is for events; `{word}` happens once"));
    }
    for guard in &found.guards {
        errors.at(
            guard,
            format!("guards are for events; check it in `{word}` itself, and who may join in `#[on(authorize)]`"),
        );
    }
    if let (Target::Init, Some((option, _))) = (target, &found.timeout) {
        errors.at(option, "`timeout` is for handlers that a client waits for; `init` runs at start-up");
    }
}

fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
