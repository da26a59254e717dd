//! The arguments of `#[on(…)]`.

use std::time::Duration;

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{
    Ident, Lit, LitStr, Token,
    parse::{ParseStream, Parser},
};

use crate::errors::{Errors, nearest};

/// What a handler is for, as it is written.
#[derive(Debug)]
pub(crate) enum Target {
    Events(Vec<LitStr>),
    Any,
    Authorize,
    Connect,
    Disconnect,
    Init,
}

/// `#[on(…)]`, read.
#[derive(Debug)]
pub(crate) struct On {
    pub(crate) span: Span,
    pub(crate) target: Target,
    pub(crate) concurrent: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) rate: Option<(u32, Duration)>,
}

const WORDS: [&str; 5] = ["any", "authorize", "connect", "disconnect", "init"];
const OPTIONS: [&str; 3] = ["concurrent", "timeout", "rate"];

/// Names that Socket.IO clients keep for themselves.
const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// By this argument `#[channel]` calls `#[on]`, for nothing but to use it.
pub(crate) const USED: &str = "__carolina_used";

/// `#[on]` where no `#[channel]` block has taken it away.
pub(crate) fn alone(arguments: TokenStream, item: TokenStream) -> TokenStream {
    if arguments.to_string() == USED {
        return TokenStream::new();
    }
    let span = arguments.into_iter().next().map_or_else(Span::call_site, |token| token.span());
    let error = syn::Error::new(
        span,
        "`#[on]` works inside an impl block under `#[channel]`; write `#[channel]` above the `impl`",
    )
    .to_compile_error();
    // The error stands beside the item. In an impl block it has to be one of its items.
    let method = syn::parse2::<syn::ImplItemFn>(item.clone()).ok().filter(|method| method.sig.receiver().is_some());
    match method {
        Some(method) => {
            let name = quote::format_ident!("__CAROLINA_ON_{}", method.sig.ident);
            quote!(#item #[allow(non_upper_case_globals)] const #name: () = { #error };)
        }
        None => quote!(#error #item),
    }
}

/// What was found, piece by piece.
#[derive(Default)]
struct Found {
    events: Vec<LitStr>,
    word: Option<(Ident, Target)>,
    concurrent: Option<Ident>,
    timeout: Option<(Ident, Duration)>,
    rate: Option<(Ident, (u32, Duration))>,
    /// Something was wrong enough not to be counted as missing.
    broken: bool,
}

/// Reads the arguments of an `#[on]` that stands at `span`. All that is wrong with them goes to `errors`; then there
/// is no result.
pub(crate) fn parse(arguments: TokenStream, span: Span, errors: &mut Errors) -> Option<On> {
    let mut found = Found::default();
    let mut local = Errors::default();
    let parser = |input: ParseStream<'_>| pieces(input, &mut found, &mut local);
    if let Err(error) = parser.parse2(arguments) {
        local.push(error);
        found.broken = true;
    }
    let on = assemble(found, span, &mut local);
    let sound = local.is_empty();
    errors.absorb(local);
    on.filter(|_| sound)
}

fn pieces(input: ParseStream<'_>, found: &mut Found, errors: &mut Errors) -> syn::Result<()> {
    while !input.is_empty() {
        if input.peek(Lit) {
            match input.parse()? {
                Lit::Str(event) => take_event(event, found, errors),
                other => {
                    found.broken = true;
                    errors.at(other, "an event's name is a string: `#[on(\"name\")]`");
                }
            }
        } else {
            let word: Ident = syn::ext::IdentExt::parse_any(input)?;
            match input.parse::<Option<Token![=]>>()? {
                Some(_) => take_option(word, input.parse()?, found, errors),
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
    if name.is_empty() {
        errors.at(&event, "an event needs a name");
    } else if let Some(bad) = name.chars().find(|character| character.is_control() || matches!(character, '"' | '\\')) {
        errors
            .at(&event, format!("an event's name has no `{}` in it: Socket.IO could not carry it", bad.escape_debug()));
    } else if name == "session_id" {
        errors.at(
            &event,
            "`session_id` is the library's own event, by which a client says who it is; choose another name",
        );
    } else if RESERVED.contains(&name.as_str()) {
        let hint = match WORDS.contains(&name.as_str()) {
            true => format!("; for that moment of the socket's life write `#[on({name})]`, without quotes"),
            false => "; choose another".to_owned(),
        };
        errors.at(&event, format!("Socket.IO keeps the name `{name}` for itself{hint}"));
    } else if found.events.iter().any(|other| other.value() == name) {
        errors.at(&event, format!("the event `{name}` is named twice here; once is enough"));
    }
    found.events.push(event);
}

fn take_word(word: Ident, found: &mut Found, errors: &mut Errors) {
    let target = match word.to_string().as_str() {
        "any" => Target::Any,
        "authorize" => Target::Authorize,
        "connect" => Target::Connect,
        "disconnect" => Target::Disconnect,
        "init" => Target::Init,
        "concurrent" => {
            if found.concurrent.is_some() {
                errors.at(&word, "`concurrent` is given twice; once is enough");
            }
            found.concurrent = Some(word);
            return;
        }
        option if OPTIONS.contains(&option) => {
            found.broken = true;
            let example = if option == "rate" { "20/s" } else { "5s" };
            return errors.at(&word, format!("`{option}` needs a value: `{option} = \"{example}\"`"));
        }
        unknown => {
            found.broken = true;
            let known: Vec<&str> = WORDS.into_iter().chain(OPTIONS).collect();
            return errors.at(
                &word,
                match nearest(unknown, &known) {
                    Some(near) => format!("unknown word `{unknown}`; did you mean `{near}`? An event's name stands in quotes: `#[on(\"{unknown}\")]`"),
                    None => format!("an event's name stands in quotes: `#[on(\"{unknown}\")]`; without quotes there are {}", list(&known)),
                },
            );
        }
    };
    if let Some((first, _)) = &found.word {
        return errors.at(&word, format!("this handler is for `{first}` already; give `{word}` a method of its own"));
    }
    found.word = Some((word, target));
}

fn take_option(name: Ident, value: Lit, found: &mut Found, errors: &mut Errors) {
    let option = name.to_string();
    if !["timeout", "rate"].contains(&option.as_str()) {
        found.broken = true;
        return errors.at(
            &name,
            match (option.as_str(), nearest(&option, &["timeout", "rate"])) {
                ("concurrent", _) => "`concurrent` takes no value".to_owned(),
                (_, Some(near)) => format!("unknown option `{option}`; did you mean `{near}`?"),
                (_, None) => format!(
                    "unknown option `{option}`; there are `timeout = \"5s\"`, `rate = \"20/s\"` and `concurrent`"
                ),
            },
        );
    }
    let Lit::Str(text) = value else {
        let example = if option == "rate" { "20/s" } else { "5s" };
        return errors.at(value, format!("the value of `{option}` is a string: `{option} = \"{example}\"`"));
    };
    let twice = |given: bool, errors: &mut Errors| {
        if given {
            errors.at(&name, format!("`{name}` is given twice; once is enough"));
        }
    };
    match option.as_str() {
        "timeout" => {
            twice(found.timeout.is_some(), errors);
            match duration(&text.value()) {
                Ok(timeout) => found.timeout = Some((name, timeout)),
                Err(reason) => {
                    errors.at(text, format!("{reason}; write for example `timeout = \"5s\"` or `\"500ms\"`"))
                }
            }
        }
        _ => {
            twice(found.rate.is_some(), errors);
            match rate(&text.value()) {
                Ok(rate) => found.rate = Some((name, rate)),
                Err(reason) => {
                    errors.at(text, format!("{reason}; write for example `rate = \"20/s\"` or `\"5/500ms\"`"))
                }
            }
        }
    }
}

fn assemble(found: Found, span: Span, errors: &mut Errors) -> Option<On> {
    let Found { events, word, concurrent, timeout, rate, broken } = found;
    let target = match (word, events.is_empty()) {
        (Some((word, _)), false) => {
            errors.at(&word, format!("`{word}` and events cannot share a handler; give each a method of its own"));
            return None;
        }
        (Some((word, target)), true) => {
            check_options(
                &word,
                &target,
                concurrent.as_ref(),
                timeout.as_ref().map(|(name, _)| name),
                rate.as_ref().map(|(name, _)| name),
                errors,
            );
            target
        }
        (None, false) => Target::Events(events),
        (None, true) => {
            if !broken {
                errors.here(span, format!("`#[on(…)]` needs an event's name in quotes, or one of {}", list(&WORDS)));
            }
            return None;
        }
    };
    Some(On {
        span,
        target,
        concurrent: concurrent.is_some(),
        timeout: timeout.map(|(_, timeout)| timeout),
        rate: rate.map(|(_, rate)| rate),
    })
}

/// Options that mean nothing to a lifecycle word.
fn check_options(
    word: &Ident,
    target: &Target,
    concurrent: Option<&Ident>,
    timeout: Option<&Ident>,
    rate: Option<&Ident>,
    errors: &mut Errors,
) {
    if matches!(target, Target::Any) {
        return;
    }
    if let Some(option) = concurrent {
        errors.at(option, format!("`concurrent` is for events; `{word}` has its fixed place in the socket's order"));
    }
    if let Some(option) = rate {
        errors.at(option, format!("`rate` is for events; `{word}` happens once"));
    }
    if let (Target::Init, Some(option)) = (target, timeout) {
        errors.at(option, "`timeout` is for handlers that a client waits for; `init` runs at start-up");
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err(format!("`{text}` is no time at all")),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("`{text}` is no duration ({error})")),
    }
}

fn rate(text: &str) -> Result<(u32, Duration), String> {
    let (count, per) = text.split_once('/').ok_or_else(|| format!("`{text}` is no rate: it has no `/`"))?;
    let count = count.trim();
    let number = count.parse::<u32>().map_err(|_| format!("`{count}` is no number of events"))?;
    if number == 0 {
        return Err("a rate of 0 would let no event in".to_owned());
    }
    let per = per.trim();
    let per = match per.starts_with(|first: char| first.is_ascii_digit()) {
        true => duration(per)?,
        false => duration(&format!("1{per}")).map_err(|_| format!("`{per}` is no unit of time"))?,
    };
    Ok((number, per))
}

fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<On, Vec<String>> {
        let mut errors = Errors::default();
        let on = parse(text.parse().unwrap(), Span::call_site(), &mut errors);
        let messages = errors.into_messages();
        on.ok_or(messages)
    }

    #[test]
    fn every_form_is_read() {
        assert!(matches!(read("\"a\", \"b\"").unwrap().target, Target::Events(events) if events.len() == 2));
        for (word, text) in WORDS.into_iter().zip(["Any", "Authorize", "Connect", "Disconnect", "Init"]) {
            assert_eq!(format!("{:?}", read(word).unwrap().target), text);
        }
        let on = read("\"a\", concurrent, timeout = \"5s\", rate = \"20/s\",").unwrap();
        assert!(on.concurrent);
        assert_eq!(on.timeout, Some(Duration::from_secs(5)));
        assert_eq!(on.rate, Some((20, Duration::from_secs(1))));
        assert_eq!(read("\"a\", rate = \"5/500ms\"").unwrap().rate, Some((5, Duration::from_millis(500))));
        assert_eq!(read("\"a\", rate = \"5/m\"").unwrap().rate, Some((5, Duration::from_secs(60))));
    }

    #[test]
    fn mistakes_are_told_with_the_right_spelling() {
        for (text, expected) in [
            ("", "needs an event's name in quotes"),
            ("checkin", "`#[on(\"checkin\")]`"),
            ("conect", "did you mean `connect`?"),
            ("\"a\", concurent", "did you mean `concurrent`?"),
            ("\"a\", \"a\"", "named twice"),
            ("\"connect\"", "`#[on(connect)]`, without quotes"),
            ("\"session_id\"", "the library's own event"),
            ("\"newListener\"", "keeps the name"),
            ("\"a\\\\b\"", "could not carry it"),
            ("\"\"", "needs a name"),
            ("7", "is a string"),
            ("connect, \"a\"", "cannot share a handler"),
            ("connect, disconnect", "for `connect` already"),
            ("connect, rate = \"1/s\"", "`rate` is for events"),
            ("init, concurrent", "`concurrent` is for events"),
            ("init, timeout = \"1s\"", "`init` runs at start-up"),
            ("\"a\", concurrent, concurrent", "given twice"),
            ("\"a\", timeout = \"1s\", timeout = \"2s\"", "given twice"),
            ("\"a\", timeout", "needs a value"),
            ("\"a\", timeout = 5", "is a string"),
            ("\"a\", timeout = \"soon\"", "`soon` is no duration"),
            ("\"a\", timeout = \"0s\"", "no time at all"),
            ("\"a\", rate = \"20\"", "it has no `/`"),
            ("\"a\", rate = \"0/s\"", "let no event in"),
            ("\"a\", rate = \"x/s\"", "no number of events"),
            ("\"a\", rate = \"2/fortnight\"", "no unit of time"),
            ("\"a\", timeot = \"1s\"", "did you mean `timeout`?"),
            ("\"a\", concurrent = \"yes\"", "takes no value"),
        ] {
            let messages = read(text).unwrap_err();
            assert!(messages.iter().any(|message| message.contains(expected)), "{text}: {messages:?}");
        }
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        assert_eq!(read("\"\", rate = \"x\", timeout = \"y\"").unwrap_err().len(), 3);
    }
}
