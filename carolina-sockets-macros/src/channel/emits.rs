//! `#[emits("event", Type)]` on a struct.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{
    Attribute, Lit, LitStr, Meta, Token, Type,
    parse::{ParseStream, Parser},
};

use super::{attributes::Taken, model::Emit};
use crate::{errors::Errors, event_name::RESERVED, on::unreadable_name};

const FORM: &str = "`#[emits(\"event\", Type)]`";

/// Where it belongs, for an `#[emits]` that is elsewhere.
pub(super) const ELSEWHERE: &str = "what a channel emits is declared above the struct, below its `#[channel]`";

/// `#[emits]` that no `#[channel]` has taken.
pub(crate) fn outside_channel(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let error = "`#[emits]` belongs below `#[channel]`, on the struct of a channel";
    let error = if arguments.is_empty() {
        syn::Error::new(proc_macro2::Span::call_site(), error)
    } else {
        syn::Error::new_spanned(arguments, error)
    };
    let error = error.to_compile_error();
    quote!(#item #error)
}

/// The declarations of a struct. Those with a mistake are left out.
pub(super) fn parse(attributes: Vec<Taken>, errors: &mut Errors) -> Vec<Emit> {
    let mut emits: Vec<Emit> = Vec::new();
    for Taken { attribute, conditions } in attributes {
        let Some((event, of)) = arguments(&attribute, errors) else { continue };
        let name = event.value();
        if let Some(mistake) = invalid_name(&name) {
            errors.at(&event, mistake);
            continue;
        }
        // Those under conditions may exclude each other.
        let same = |other: &Emit| other.cfgs.is_empty() && conditions.is_empty() && other.event.value() == name;
        if emits.iter().any(same) {
            errors.at(&event, format!("`{name}` is declared twice; once is enough"));
            continue;
        }
        emits.push(Emit { event, of, cfgs: conditions });
    }
    emits
}

/// Why a channel cannot emit an event of this name; `None` if it can.
fn invalid_name(name: &str) -> Option<String> {
    if RESERVED.contains(&name) {
        return Some(format!("Socket.IO reserves the name `{name}`; choose another"));
    }
    if name == "exception" || name.starts_with("carolina:") {
        return Some(format!("`{name}` is the library's own event; it is in every channel's contract already"));
    }
    unreadable_name(name)
}

fn arguments(attribute: &Attribute, errors: &mut Errors) -> Option<(LitStr, Type)> {
    let tokens = match &attribute.meta {
        Meta::Path(_) => TokenStream::new(),
        Meta::List(list) => list.tokens.clone(),
        Meta::NameValue(value) => {
            errors.at(&value.value, format!("the event and its type have to be in parentheses: {FORM}"));
            return None;
        }
    };
    if tokens.is_empty() {
        errors.at(attribute, format!("an event and the type of what is sent are missing: {FORM}"));
        return None;
    }
    match read.parse2(tokens) {
        Ok(read) => Some(read),
        Err(error) => {
            errors.push(error);
            None
        }
    }
}

fn read(input: ParseStream<'_>) -> syn::Result<(LitStr, Type)> {
    let event = match input.peek(Lit) {
        true => match input.parse()? {
            Lit::Str(event) => event,
            other => {
                return Err(syn::Error::new_spanned(other, format!("an event's name is a string: {FORM}")));
            }
        },
        false => {
            let first: Type = input.parse()?;
            let rest: TokenStream = input.parse()?;
            let text = first.to_token_stream().to_string();
            let begins_with_event =
                |rest: TokenStream| matches!(rest.into_iter().nth(1), Some(proc_macro2::TokenTree::Literal(_)));
            let message = if begins_with_event(rest) {
                format!("the event comes first: {FORM}")
            } else {
                format!("an event's name has to be in quotes: `#[emits(\"{text}\", Type)]`")
            };
            return Err(syn::Error::new_spanned(first, message));
        }
    };
    if input.is_empty() || (input.peek(Token![,]) && input.peek2(syn::parse::End)) {
        let name = event.to_token_stream();
        return Err(syn::Error::new_spanned(
            event,
            format!("the type of what is sent is missing, `()` for nothing: `#[emits({name}, Type)]`"),
        ));
    }
    input.parse::<Token![,]>()?;
    if input.peek(Lit) {
        let second: Lit = input.parse()?;
        let _: TokenStream = input.parse()?;
        return Err(syn::Error::new_spanned(second, "an `#[emits]` declares one event; write another for this one"));
    }
    let of: Type = input.parse()?;
    input.parse::<Option<Token![,]>>()?;
    if !input.is_empty() {
        let rest: TokenStream = input.parse()?;
        let (first, others) = (of.to_token_stream(), rest.to_string());
        let message = format!("several arguments are one tuple: `({first}, {})`", others.trim_end_matches(','));
        return Err(syn::Error::new_spanned(rest, message));
    }
    if super::check::has_impl(of.to_token_stream()) {
        return Err(syn::Error::new_spanned(of, "`impl Trait` names no type; write the type that is sent"));
    }
    Ok((event, of))
}
